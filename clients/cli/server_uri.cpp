#include "clients/cli/server_uri.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

namespace linnet::cli {
namespace {

using text_or_error = tl::expected<std::string, std::string>;

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

text_or_error percent_decode(std::string_view text) {
    auto out = std::string{};
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) {
            return tl::unexpected{fmt::format("\"{}\" holds a % without two hexadecimal digits", text)};
        }
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::string percent_encode(std::string_view text) {
    auto out = std::string{};
    for (char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view{"-._~"}.find(c) != std::string_view::npos;
        out += plain ? std::string{c} : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

// Cuts `text` at the first `separator`; what stands behind it, or nothing if there is none.
std::optional<std::string_view> cut(std::string_view& text, char separator) {
    const auto at = text.find(separator);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const auto rest = text.substr(at + 1);
    text = text.substr(0, at);
    return rest;
}

std::string parse_credentials(std::string_view text, server_uri& uri) {
    const auto password = cut(text, ':');
    auto user = percent_decode(text);
    auto secret = percent_decode(password.value_or(""));
    if (!user || !secret) {
        return "the user or the password holds a % without two hexadecimal digits";
    }
    uri.user = std::move(*user);
    if (password) {
        uri.password = std::move(*secret);
    }
    return {};
}

std::string parse_host(std::string_view text, server_uri& uri) {
    auto port = std::optional<std::string_view>{};
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) {
            return "\"[\" without \"]\" in the host";
        }
        const auto behind = text.substr(end + 1);
        if (!behind.empty() && !behind.starts_with(':')) {
            return fmt::format("\"{}\" behind the host", behind);
        }
        port = behind.empty() ? port : std::optional{behind.substr(1)};
        text = text.substr(1, end - 1);
    } else {
        port = cut(text, ':');
    }
    auto host = percent_decode(text);
    if (!host) {
        return host.error();
    }
    if (!host->empty()) {
        uri.host = std::move(*host);
    }
    if (!port || port->empty()) {
        return {};
    }
    const auto* end = port->data() + port->size();
    const auto [rest, error] = std::from_chars(port->data(), end, uri.port);
    return error == std::errc{} && rest == end && uri.port != 0 ? std::string{}
                                                                : fmt::format("\"{}\" is no port", *port);
}

std::string parse_query(std::string_view text, server_uri& uri) {
    for (auto rest = std::optional{text}; rest && !rest->empty();) {
        auto parameter = *rest;
        rest = cut(parameter, '&');
        const auto value = percent_decode(cut(parameter, '=').value_or(""));
        if (!value) {
            return value.error();
        }
        if (parameter == "verify") {
            uri.verify = *value != "verify_none";
        } else if (parameter == "cacertfile") {
            uri.ca_file = *value;
        }
        // The others (heartbeat, channel_max, ...) are for clients that stay longer than we do.
    }
    return {};
}

const char* first_set(std::initializer_list<const char*> names) {
    for (const auto* name : names) {
        if (const char* value = std::getenv(name); value != nullptr && *value != '\0') {
            return value;
        }
    }
    return nullptr;
}

struct scheme {
    std::string_view prefix;
    protocol speaks;
    bool tls;
    std::uint16_t port;
};

constexpr std::array schemes{
    scheme{"amqp", protocol::amqp, false, 5672},  scheme{"amqps", protocol::amqp, true, 5671},
    scheme{"mqtt", protocol::mqtt, false, 1883},  scheme{"mqtts", protocol::mqtt, true, 8883},
    scheme{"http", protocol::http, false, 15672}, scheme{"https", protocol::http, true, 15671},
};

const scheme& scheme_of(protocol speaks, bool tls) {
    return *std::ranges::find_if(schemes, [&](const scheme& s) { return s.speaks == speaks && s.tls == tls; });
}

tl::expected<server_uri, std::string> parse(std::string_view text, const scheme& of) {
    auto uri = server_uri{};
    uri.speaks = of.speaks;
    uri.tls = of.tls;
    uri.port = of.port;
    const auto query = cut(text, '?');
    const auto path = cut(text, '/');
    auto authority = text;
    auto error = std::string{};
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        error = parse_credentials(authority.substr(0, at), uri);
        authority.remove_prefix(at + 1);
    }
    if (error.empty()) {
        error = parse_host(authority, uri);
    }
    if (error.empty() && query) {
        error = parse_query(*query, uri);
    }
    if (error.empty() && path && !(path->empty() && of.speaks != protocol::amqp)) {
        auto vhost = percent_decode(*path);
        error = vhost ? "" : vhost.error();
        uri.vhost = vhost ? std::move(*vhost) : "";
    }
    if (!error.empty()) {
        return tl::unexpected{std::move(error)};
    }
    return uri;
}

}  // namespace

server_uri server_uri::through(protocol other) const {
    auto uri = *this;
    uri.speaks = other;
    uri.port = scheme_of(other, tls).port;
    return uri;
}

std::string server_uri::text() const {
    const bool v6 = host.find(':') != std::string::npos;
    const bool is_told = speaks == protocol::amqp || vhost != "/";
    return fmt::format("{}://{}{}{}{}:{}{}", scheme_of(speaks, tls).prefix, user ? percent_encode(*user) + '@' : "",
                       v6 ? "[" : "", host, v6 ? "]" : "", port, is_told ? '/' + percent_encode(vhost) : "");
}

tl::expected<server_uri, std::string> parse_server_uri(std::string_view text) {
    for (const auto& each : schemes) {
        const auto prefix = fmt::format("{}://", each.prefix);
        if (text.starts_with(prefix)) {
            return parse(text.substr(prefix.size()), each);
        }
    }
    return tl::unexpected{std::string{"a URL begins with amqp://, mqtt:// or http://, or one of these with an s"}};
}

tl::expected<server_uri, std::string> broker_uri(std::string_view flag) {
    auto text = std::string{flag};
    if (text.empty()) {
        const char* from_environment = first_set({"LINNET_URL", "AMQP_URL", "RABBITMQ_URL", "CLOUDAMQP_URL"});
        text = from_environment != nullptr ? from_environment : "amqp://127.0.0.1:5672";
    }
    auto uri = parse_server_uri(text);
    if (uri && uri->speaks != protocol::amqp) {
        return tl::unexpected{std::string{"a URL begins with amqp:// or amqps:// here"}};
    }
    if (uri && !uri->user) {
        const char* user = std::getenv("RABBITMQ_DEFAULT_USER");
        const char* password = std::getenv("RABBITMQ_DEFAULT_PASS");
        if (user != nullptr && password != nullptr) {
            uri->user = user;
            uri->password = password;
        }
    }
    return uri;
}

}  // namespace linnet::cli
