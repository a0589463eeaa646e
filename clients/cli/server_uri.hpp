#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::cli {

enum class protocol : std::uint8_t { amqp, mqtt, http };

// amqp[s]://user:password@host:port/vhost?verify=verify_none&cacertfile=FILE, as RabbitMQ's URI specification
// reads it: percent-encoding is undone, no path is the vhost "/", the path "/" alone is the one with the empty name.
// mqtt[s]:// and http[s]:// likewise; there no path and "/" alone are both the vhost "/".
struct server_uri {
    protocol speaks = protocol::amqp;
    bool tls = false;
    bool verify = true;
    std::string ca_file;  // empty: the system's
    std::optional<std::string> user;
    std::optional<std::string> password;
    std::string host = "127.0.0.1";
    std::uint16_t port = 5672;
    std::string vhost = "/";

    // Without the password, for people.
    [[nodiscard]] std::string text() const;
    // The same server and user through another protocol, on its usual port.
    [[nodiscard]] server_uri through(protocol other) const;
};

[[nodiscard]] tl::expected<server_uri, std::string> parse_server_uri(std::string_view text);

// For what speaks AMQP: what --url says, else the first of $LINNET_URL, $AMQP_URL, $RABBITMQ_URL and $CLOUDAMQP_URL,
// else this machine. Credentials that the URI lacks come from $RABBITMQ_DEFAULT_USER and _PASS, as a container has
// them.
[[nodiscard]] tl::expected<server_uri, std::string> broker_uri(std::string_view flag);

}  // namespace linnet::cli
