#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::cli {

// amqp[s]://user:password@host:port/vhost?verify=verify_none&cacertfile=FILE, as RabbitMQ's URI specification
// reads it: percent-encoding is undone, no path is the vhost "/", the path "/" alone is the one with the empty name.
struct amqp_uri {
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
};

[[nodiscard]] tl::expected<amqp_uri, std::string> parse_amqp_uri(std::string_view text);

// What --url says, else the first of $LINNET_URL, $AMQP_URL, $RABBITMQ_URL and $CLOUDAMQP_URL, else this machine.
// Credentials that the URI lacks come from $RABBITMQ_DEFAULT_USER and _PASS, as a container has them.
[[nodiscard]] tl::expected<amqp_uri, std::string> broker_uri(std::string_view flag);

}  // namespace linnet::cli
