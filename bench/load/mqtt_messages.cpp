#include "bench/load/mqtt_messages.hpp"

#include "protocol/mqtt/encode.hpp"

namespace linnet::load {

ready_messages mqtt_messages(const plan& p, unsigned producer, const options& o) {
    ready_messages messages{o};
    for (const target_plan& target : p.producers[producer].targets) {
        messages.add(target.stream, [&](auto& block, const auto& body) {
            // The packet id is patched in; 1 holds its place.
            const mqtt::publish packet{.topic = target.key, .payload = body, .packet_id = 1, .qos = o.qos};
            const std::size_t before = block.size();
            const std::size_t size = mqtt::encoded_size(packet, o.version);
            block.resize(before + size);
            mqtt::encode(block.data() + before, packet, o.version);
            return size - body.size();
        });
    }
    return messages;
}

}  // namespace linnet::load
