#include "bench/load/amqp_messages.hpp"

#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/properties_builder.hpp"

namespace linnet::load {

ready_messages amqp_messages(const plan& p, unsigned producer, const options& o, std::uint16_t channel,
                             std::uint32_t frame_max) {
    amqp::basic_properties_builder builder;
    if (o.persistent)
        builder.set_delivery_mode(2);
    // A reader of events gets as it stands what says that it is text.
    if (o.form() == stamp_form::text)
        builder.set_text(amqp::property::content_type, "text/plain");
    const std::string encoded = builder.encode();
    const auto properties = wire::as_bytes(encoded);
    ready_messages messages{o};
    for (const target_plan& target : p.producers[producer].targets) {
        const amqp::basic_publish method{.exchange = p.exchange, .routing_key = target.key, .mandatory = o.mandatory};
        messages.add(target.stream, [&](auto& block, const auto& body) {
            amqp::append_content(block, channel, method, properties, body, frame_max);
            return amqp::content_head_size(method, properties) + amqp::frame_header_bytes;
        });
    }
    return messages;
}

}  // namespace linnet::load
