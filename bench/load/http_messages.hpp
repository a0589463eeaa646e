// What an HTTP producer sends: a POST encoded once for each of its targets.
#pragma once

#include "bench/load/ready_messages.hpp"

namespace linnet::load {

// The body is the payload itself or, for RabbitMQ, JSON with the payload in it.
[[nodiscard]] ready_messages http_messages(const plan& p, unsigned producer, const options& o, const broker_uri& uri);

}  // namespace linnet::load
