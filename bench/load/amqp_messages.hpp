// What an AMQP producer publishes: publish, header and body frames, encoded once for each of its routing keys.
#pragma once

#include "bench/load/ready_messages.hpp"

namespace linnet::load {

[[nodiscard]] ready_messages amqp_messages(const plan& p, unsigned producer, const options& o, std::uint16_t channel,
                                           std::uint32_t frame_max);

}  // namespace linnet::load
