#include "protocol/ws/handshake.hpp"

#include "protocol/ws/sha1.hpp"

#include <algorithm>

namespace linnet::ws {
namespace {

constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view accept_guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, 1.3

template <std::size_t Size>
std::array<char, (Size + 2) / 3 * 4> base64(std::span<const std::uint8_t, Size> bytes) noexcept {
    std::array<char, (Size + 2) / 3 * 4> text;
    auto to = text.begin();
    for (std::size_t at = 0; at < Size; at += 3) {
        const auto octet = [&](std::size_t i) -> std::uint32_t { return i < Size ? bytes[i] : 0; };
        const std::uint32_t three = octet(at) << 16 | octet(at + 1) << 8 | octet(at + 2);
        for (std::size_t i = 0; i < 4; ++i)
            *to++ = at + i <= Size ? base64_alphabet[three >> (18 - 6 * i) & 63] : '=';
    }
    return text;
}

// A few names, each once. Nobody offers more; the bound keeps looking back cheap.
class name_set {
public:
    // False: it is in there already, or there is no room.
    [[nodiscard]] bool add(std::string_view name) noexcept {
        std::string_view* const end = names_.data() + count_;
        if (count_ == names_.size() || std::find(names_.data(), end, name) != end)
            return false;
        *end = name;
        ++count_;
        return true;
    }

private:
    std::array<std::string_view, 32> names_;
    std::size_t count_ = 0;
};

constexpr upgrade_refused bad_request(std::string_view reason) noexcept { return {.status = 400, .reason = reason}; }

// What is wrong with the request itself, whatever we serve.
std::optional<upgrade_refused> refuse(const upgrade_request& request) noexcept {
    if (!asks_for_websocket(request)) {
        return upgrade_refused{.status = 426,
                               .reason = "This is a WebSocket endpoint.",
                               .header_name = "Upgrade",
                               .header_value = "websocket"};
    }
    if (request.method != "GET") {
        return upgrade_refused{
            .status = 405, .reason = "A WebSocket handshake is a GET.", .header_name = "Allow", .header_value = "GET"};
    }
    if (!request.http_1_1)
        return bad_request("A WebSocket handshake needs HTTP/1.1.");
    if (request.host.empty())
        return bad_request("The Host header is missing.");
    if (request.version != "13") {
        return upgrade_refused{.status = 426,
                               .reason = "Only version 13 of the WebSocket protocol is spoken here.",
                               .header_name = "Sec-WebSocket-Version",
                               .header_value = "13"};
    }
    if (!is_key(request.key))
        return bad_request("Sec-WebSocket-Key is not 16 bytes in base64.");
    return std::nullopt;
}

constexpr std::string_view status_text(std::uint16_t status) noexcept {
    switch (status) {
        case 403: return "403 Forbidden";
        case 405: return "405 Method Not Allowed";
        case 426: return "426 Upgrade Required";
        default: return "400 Bad Request";
    }
}

void append_header(std::string& text, std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

bool asks_for_websocket(const upgrade_request& request) noexcept {
    return lists_token(request.upgrade, "websocket") && lists_token(request.connection, "upgrade");
}

upgrade_answer answer_upgrade(const upgrade_request& request, const upgrade_policy& policy) noexcept {
    if (const auto refusal = refuse(request))
        return *refusal;
    if (!may_connect(request.origin, request.host, policy.origins))
        return upgrade_refused{.status = 403, .reason = "Pages of this origin may not connect."};
    const auto protocol = choose_protocol(request.protocols, policy.protocols);
    if (!protocol)
        return bad_request("Sec-WebSocket-Protocol is malformed.");
    // Without a policy, too: what is malformed must not pass.
    const deflate_answer deflate = agree_on_deflate(request.extensions, policy.deflate.value_or(deflate_policy{}));
    if (std::holds_alternative<header_malformed>(deflate))
        return bad_request("Sec-WebSocket-Extensions is malformed.");
    upgrade_accepted accepted{.accept = accept_of(request.key), .protocol = *protocol};
    if (const auto* agreement = std::get_if<deflate_agreement>(&deflate); agreement != nullptr && policy.deflate)
        accepted.deflate = *agreement;
    return accepted;
}

std::string to_response(const upgrade_accepted& answer) {
    std::string text = "HTTP/1.1 101 Switching Protocols\r\n";
    append_header(text, "Upgrade", "websocket");
    append_header(text, "Connection", "Upgrade");
    append_header(text, "Sec-WebSocket-Accept", {answer.accept.data(), answer.accept.size()});
    if (!answer.protocol.empty())
        append_header(text, "Sec-WebSocket-Protocol", answer.protocol);
    if (answer.deflate)
        append_header(text, "Sec-WebSocket-Extensions", to_header(*answer.deflate));
    return text += "\r\n";
}

std::string to_response(const upgrade_refused& answer) {
    std::string text = "HTTP/1.1 ";
    text.append(status_text(answer.status)).append("\r\n");
    if (!answer.header_name.empty())
        append_header(text, answer.header_name, answer.header_value);
    append_header(text, "Connection", answer.header_name == "Upgrade" ? "close, Upgrade" : "close");
    append_header(text, "Content-Type", "text/plain; charset=utf-8");
    append_header(text, "Content-Length", std::to_string(answer.reason.size() + 1));
    return text.append("\r\n").append(answer.reason).append("\n");
}

bool is_key(std::string_view text) noexcept {
    // 16 bytes are 22 characters, of which the last has four idle bits, and two of padding.
    return text.size() == 24 && text.ends_with("==") &&
           text.substr(0, 22).find_first_not_of(base64_alphabet) == std::string_view::npos;
}

accept_text accept_of(std::string_view key) noexcept {
    std::array<std::uint8_t, sizeof(key_text) + accept_guid.size()> both;
    std::uint8_t* const end = wire::put_bytes(both.data(), key.data(), std::min(key.size(), sizeof(key_text)));
    wire::put_bytes(end, accept_guid.data(), accept_guid.size());
    const auto bytes = static_cast<std::size_t>(end - both.data()) + accept_guid.size();
    return base64(std::span<const std::uint8_t, 20>{sha1({both.data(), bytes})});
}

std::optional<std::string_view> choose_protocol(header_lines offered,
                                                std::span<const std::string_view> served) noexcept {
    name_set seen;
    std::string_view chosen;
    for (const std::string_view text : offered) {
        header_cursor line{text};
        while (!line.at_end()) {
            if (line.take(','))
                continue;
            const auto name = line.token();
            if (name.empty() || !seen.add(name) || (!line.at_end() && !line.take(',')))
                return std::nullopt;
            if (const auto at = std::find(served.begin(), served.end(), name); chosen.empty() && at != served.end())
                chosen = *at;
        }
    }
    return chosen;
}

key_text make_key(std::span<const std::uint8_t, 16> random) noexcept { return base64(random); }

}  // namespace linnet::ws
