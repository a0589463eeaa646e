// What an MQTT producer publishes: a PUBLISH encoded once for each of its topics.
#pragma once

#include "bench/load/ready_messages.hpp"

namespace linnet::load {

// Where the packet id stands in what put_next() has written, for QoS 1 and 2: in front of the payload, in MQTT 5
// with the properties between them, which are none, a byte.
[[nodiscard]] inline std::uint8_t* packet_id_at(std::uint8_t* payload, const options& o) noexcept {
    return payload - (o.version == mqtt::version::v5 ? 3 : 2);
}

[[nodiscard]] ready_messages mqtt_messages(const plan& p, unsigned producer, const options& o);

}  // namespace linnet::load
