// What both sides have agreed on about permessage-deflate (RFC 7692, 7.1), and how they come to it.
//
//     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, permessage-deflate
//
// A client offers alternatives in its order of preference. The first one that is valid and that we can serve is
// taken; one with an unknown, repeated or ill-valued parameter is declined, which is no error.
#pragma once

#include "protocol/ws/header_list.hpp"

#include <string>
#include <variant>

namespace linnet::ws {

struct deflate_agreement {
    bool server_keeps_context = true;
    bool client_keeps_context = true;
    int server_window_bits = 15;
    int client_window_bits = 15;
    // Whether the answer names them. The server's limit must be named if it was asked for, even as 15; the client's
    // may be named only if the client offered to obey one.
    bool names_server_window_bits = false;
    bool names_client_window_bits = false;

    bool operator==(const deflate_agreement&) const = default;
};

// What a server is willing to do. A context costs memory for each connection: 150 KiB for what we send, 40 KiB for
// what we receive, against a better ratio for small messages that resemble one another.
struct deflate_policy {
    bool server_keeps_context = false;
    bool client_keeps_context = false;
    int server_window_bits_max = 15;
    int client_window_bits_max = 15;
};

// The header does not keep to the grammar: the handshake fails (RFC 6455, 9.1).
struct header_malformed {};

struct deflate_declined {};

using deflate_answer = std::variant<deflate_agreement, deflate_declined, header_malformed>;

// A server's side: the values of the request's Sec-WebSocket-Extensions lines.
[[nodiscard]] deflate_answer agree_on_deflate(header_lines offers, const deflate_policy& policy) noexcept;

// The value of the answer's line.
[[nodiscard]] std::string to_header(const deflate_agreement& agreement);

// A client's side: what it asks for, which is also what it would accept.
struct deflate_offer {
    bool server_keeps_context = true;
    bool client_keeps_context = true;
    std::optional<int> server_window_bits_max{};
    std::optional<int> client_window_bits_max = 15;  // none: the server may not limit our window
};

[[nodiscard]] std::string to_header(const deflate_offer& offer);

// The values of the answer's lines. An answer that the offer does not allow counts as malformed: the client has to
// fail the connection.
[[nodiscard]] deflate_answer accept_deflate(header_lines answer, const deflate_offer& offer) noexcept;

}  // namespace linnet::ws
