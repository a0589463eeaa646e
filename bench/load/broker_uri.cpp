#include "bench/load/broker_uri.hpp"

#include <charconv>

namespace linnet::load {
namespace {

outcome<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned octet = 0;
        const char* digits = text.data() + i + 1;
        if (i + 2 >= text.size() || std::from_chars(digits, digits + 2, octet, 16).ptr != digits + 2) {
            return failure("'{}': % without two hexadecimal digits", text);
        }
        out += static_cast<char>(octet);
        i += 2;
    }
    return out;
}

outcome<void> read_user(broker_uri& uri, std::string_view text) {
    const std::size_t colon = text.find(':');
    auto user = percent_decoded(text.substr(0, colon));
    auto password = percent_decoded(colon == text.npos ? "" : text.substr(colon + 1));
    if (!user)
        return tl::unexpected{user.error()};
    if (!password)
        return tl::unexpected{password.error()};
    uri.user = *user;
    uri.password = *password;
    return {};
}

void read_host(broker_uri& uri, std::string_view text) {
    // An IPv6 address stands in brackets.
    const std::size_t bracket = text.find(']');
    const std::size_t colon = text.find(':', bracket == text.npos ? 0 : bracket);
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']'))
        host = host.substr(1, host.size() - 2);
    if (!host.empty())
        uri.host = host;
    if (colon != text.npos)
        uri.port = text.substr(colon + 1);
}

}  // namespace

outcome<broker_uri> parse_broker_uri(std::string_view text) {
    broker_uri uri;
    std::string_view rest = text;
    if (rest.starts_with("amqp://")) {
        rest.remove_prefix(7);
    } else if (rest.starts_with("mqtt://")) {
        rest.remove_prefix(7);
        uri.speaks = protocol::mqtt;
        uri.port = "1883";
    } else if (rest.starts_with("http://")) {
        rest.remove_prefix(7);
        uri.speaks = protocol::http;
        uri.port = "15672";
    } else {
        return failure("'{}' does not begin with amqp://, mqtt:// or http://", text);
    }
    rest = rest.substr(0, rest.find('?'));
    const std::size_t slash = rest.find('/');
    if (slash != rest.npos) {
        auto vhost = percent_decoded(rest.substr(slash + 1));
        if (!vhost)
            return tl::unexpected{vhost.error()};
        uri.vhost = *vhost;
        rest = rest.substr(0, slash);
    }
    if (const std::size_t at = rest.rfind('@'); at != rest.npos) {
        if (auto done = read_user(uri, rest.substr(0, at)); !done)
            return tl::unexpected{done.error()};
        rest = rest.substr(at + 1);
    }
    read_host(uri, rest);
    return uri;
}

}  // namespace linnet::load
