// amqp://user:password@host:port/vhost, as RabbitMQ's URI specification reads it; mqtt:// and http:// in its image.
#pragma once

#include "bench/load/outcome.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::load {

enum class protocol : std::uint8_t { amqp, mqtt, http };

[[nodiscard]] constexpr std::string_view name_of(protocol p) noexcept {
    switch (p) {
        case protocol::amqp: return "amqp";
        case protocol::mqtt: return "mqtt";
        case protocol::http: return "http";
    }
    return "";
}

struct broker_uri {
    protocol speaks = protocol::amqp;
    std::string user = "guest";
    std::string password = "guest";
    std::string host = "127.0.0.1";
    std::string port = "5672";
    std::string vhost = "/";
};

// Percent-encoding is undone; "/" behind the port is the vhost with the empty name, nothing there is "/".
[[nodiscard]] outcome<broker_uri> parse_broker_uri(std::string_view text);

}  // namespace linnet::load
