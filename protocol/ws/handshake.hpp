// The opening handshake (RFC 6455, 4), of a server and of a client, as values: HTTP itself is another room's.
//
// A header that must not come twice and did is to be given as its lines joined by commas, which no check here lets
// pass.
//
// Owns:     answers own their texts, but for the sub-protocol's name, which is the policy's.
#pragma once

#include "protocol/wire/bytes.hpp"
#include "protocol/ws/deflate_agreement.hpp"
#include "protocol/ws/origin.hpp"

#include <array>
#include <string>

namespace linnet::ws {

struct upgrade_request {
    std::string_view method{};
    bool http_1_1 = true;  // or later
    std::string_view host{};
    header_lines upgrade{};
    header_lines connection{};
    std::string_view key{};      // Sec-WebSocket-Key
    std::string_view version{};  // Sec-WebSocket-Version
    header_lines protocols{};    // Sec-WebSocket-Protocol
    header_lines extensions{};   // Sec-WebSocket-Extensions
    std::optional<std::string_view> origin{};
};

struct upgrade_policy {
    std::span<const std::string_view> protocols{};  // those that are served
    origin_policy origins{};
    std::optional<deflate_policy> deflate{};  // none: never compress
};

// 28 characters of base64.
using accept_text = std::array<char, 28>;

struct upgrade_accepted {
    accept_text accept{};
    std::string_view protocol{};  // one of the policy's; empty if none of those offered is served, or none was offered
    std::optional<deflate_agreement> deflate{};
};

struct upgrade_refused {
    std::uint16_t status = 400;
    std::string_view reason{};  // for people: the body
    // What an answer must have beside its status; empty names for none.
    std::string_view header_name{};
    std::string_view header_value{};
};

using upgrade_answer = std::variant<upgrade_accepted, upgrade_refused>;

// Does the request want to become a WebSocket? If not it is for somebody else, or gets 426.
[[nodiscard]] bool asks_for_websocket(const upgrade_request& request) noexcept;

[[nodiscard]] upgrade_answer answer_upgrade(const upgrade_request& request, const upgrade_policy& policy) noexcept;

// The whole answer, up to and with the empty line; a refusal closes the connection and has its reason as a body.
[[nodiscard]] std::string to_response(const upgrade_accepted& answer);
[[nodiscard]] std::string to_response(const upgrade_refused& answer);

// ---- The parts --------------------------------------------------------------------------------

// Base64 of 16 bytes, whichever.
[[nodiscard]] bool is_key(std::string_view text) noexcept;
[[nodiscard]] accept_text accept_of(std::string_view key) noexcept;

// The first of the offered protocols that is served; names are compared octet by octet. Empty if there is none.
// Nothing if the offer breaks its grammar or repeats a name.
[[nodiscard]] std::optional<std::string_view> choose_protocol(header_lines offered,
                                                              std::span<const std::string_view> served) noexcept;

// A client's key, of 16 random bytes.
using key_text = std::array<char, 24>;
[[nodiscard]] key_text make_key(std::span<const std::uint8_t, 16> random) noexcept;

}  // namespace linnet::ws
