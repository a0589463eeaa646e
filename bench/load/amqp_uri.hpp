// amqp://user:password@host:port/vhost, as RabbitMQ's URI specification reads it.
#pragma once

#include "bench/load/outcome.hpp"

#include <string>
#include <string_view>

namespace linnet::load {

struct amqp_uri {
    std::string user = "guest";
    std::string password = "guest";
    std::string host = "127.0.0.1";
    std::string port = "5672";
    std::string vhost = "/";
};

// Percent-encoding is undone; "/" behind the port is the vhost with the empty name, nothing there is "/".
[[nodiscard]] outcome<amqp_uri> parse_amqp_uri(std::string_view text);

}  // namespace linnet::load
