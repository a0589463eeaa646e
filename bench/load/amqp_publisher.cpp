#include "bench/load/amqp_publisher.hpp"

#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/properties_builder.hpp"

#include <algorithm>

namespace linnet::load {

amqp_publisher::amqp_publisher(const plan& p, unsigned producer, const options& o, std::uint16_t channel,
                               std::uint32_t frame_max)
    : has_time_{o.size >= stamp_time_bytes} {
    amqp::basic_properties_builder properties;
    if (o.persistent)
        properties.set_delivery_mode(2);
    const std::string encoded = properties.encode();
    std::vector<std::uint8_t> body(o.size, 'x');
    std::vector<std::uint32_t> streams;
    for (const target_plan& target : p.producers[producer].targets) {
        auto at = std::find(streams.begin(), streams.end(), target.stream);
        if (at == streams.end())
            at = streams.insert(at, target.stream);
        const amqp::basic_publish method{.exchange = p.exchange, .routing_key = target.key, .mandatory = o.mandatory};
        write_stamp(body.data(), body.size(), {.stream = target.stream});
        entry e{};
        e.offset = block_.size();
        e.sequence = static_cast<std::uint32_t>(at - streams.begin());
        e.payload = static_cast<std::uint32_t>(amqp::content_head_size(method, wire::as_bytes(encoded)) +
                                               amqp::frame_header_bytes);
        amqp::append_content(block_, channel, method, wire::as_bytes(encoded), body, frame_max);
        e.size = static_cast<std::uint32_t>(block_.size() - e.offset);
        message_bytes_max_ = std::max<std::size_t>(message_bytes_max_, e.size);
        entries_.push_back(e);
    }
    sequences_.resize(streams.size());
}

}  // namespace linnet::load
