// A PUBLISH that goes out many times: written once, then copied, with the packet id put in for each receiver.
//
// A message fans out to receivers that differ in little. Those that agree in version, QoS, retain flag and
// properties of their own (most: none) get the same bytes but for the packet id, and after a while in a queue
// but for the message expiry. The image knows where both stand.
//
//     append_forwardable(stored, received.properties);              // once a message, as it arrives
//     publish_image image = make_image(buffer, publish, version::v5);  // once a kind of receiver
//     to = put_image(to, image, next_packet_id);                  // once a receiver
//
// Owns:     nothing; the image views the buffer that it was made in.
#pragma once

#include "protocol/mqtt/encode.hpp"

namespace linnet::mqtt {

// ---- What of a publisher's properties its receivers get ------------------------------------------------------
//
// All but the topic alias, which is the connection's [MQTT-3.3.2-7], unaltered and in their order
// [MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18], [MQTT-3.3.2-20]; the
// message expiry comes first, where it can be found without looking [MQTT-3.3.2-6].

inline constexpr std::size_t message_expiry_bytes = 5;

// Whether the block can be handed on as it is: neither an alias nor an expiry in another place than the first.
[[nodiscard]] inline bool is_forwardable(const property_block& block) noexcept {
    if (block.contains(property::topic_alias))
        return false;
    return !block.contains(property::message_expiry_interval) ||
           block.bytes()[0] == static_cast<std::uint8_t>(property::message_expiry_interval);
}

// Appends the block to `out` as its receivers get it.
template <class Bytes>
void append_forwardable(Bytes& out, const property_block& block) {
    if (is_forwardable(block)) {
        const std::size_t before = out.size();
        out.resize(before + block.bytes().size());
        wire::put_bytes(reinterpret_cast<std::uint8_t*>(out.data()) + before, block.bytes().data(),
                        block.bytes().size());
        return;
    }
    if (const auto expiry = block.get<property::message_expiry_interval>())
        append_property<property::message_expiry_interval>(out, *expiry);
    for (const property_value& each : block) {
        if (each.id != property::topic_alias && each.id != property::message_expiry_interval)
            append_property(out, each);
    }
}

// Of a block that append_forwardable() has made.
[[nodiscard]] inline bool has_message_expiry(wire::bytes_view forwardable) noexcept {
    return !forwardable.empty() && forwardable[0] == static_cast<std::uint8_t>(property::message_expiry_interval);
}

// ---- The image -----------------------------------------------------------------------------------------------

struct publish_image {
    wire::bytes_view bytes{};
    std::uint32_t packet_id_at = 0;       // 0: QoS 0 has none
    std::uint32_t message_expiry_at = 0;  // 0: there is none

    [[nodiscard]] std::size_t size() const noexcept { return bytes.size(); }
};

// `buffer` has room for encoded_size(p, spoken). The properties are forwardable ones.
[[nodiscard]] inline publish_image make_image(std::uint8_t* buffer, const publish& p, version spoken) noexcept {
    const publish_head head = detail::head_of(p);
    const std::size_t bytes = encoded_size(p, spoken);
    const std::uint8_t* const end = encode(buffer, p, spoken);
    publish_image image{.bytes = {buffer, end}};
    const std::size_t body = detail::publish_body_bytes(head, spoken);
    std::size_t at = bytes - body + 2 + p.topic.size();
    if (p.qos != qos::at_most_once) {
        image.packet_id_at = static_cast<std::uint32_t>(at);
        at += 2;
    }
    if (spoken == version::v5 && has_message_expiry(head.properties)) {
        at += varint_size(static_cast<std::uint32_t>(head.properties.size())) + 1;
        image.message_expiry_at = static_cast<std::uint32_t>(at);
    }
    return image;
}

// Writes image.size() bytes. The id is not looked at where QoS 0 has none.
inline std::uint8_t* put_image(std::uint8_t* to, const publish_image& image, std::uint16_t packet_id) noexcept {
    std::uint8_t* const end = wire::put_bytes(to, image.bytes.data(), image.bytes.size());
    if (image.packet_id_at != 0)
        wire::store(to + image.packet_id_at, packet_id);
    return end;
}

// [MQTT-3.3.2-6] At `written`, where put_image() has written the image: what is left after waiting.
inline void set_message_expiry(std::uint8_t* written, const publish_image& image, std::uint32_t seconds) noexcept {
    LINNET_WIRE_CHECK(image.message_expiry_at != 0);
    wire::store(written + image.message_expiry_at, seconds);
}

// [MQTT-3.3.1-1] At the front of a packet that goes out once more.
inline void set_dup(std::uint8_t* written) noexcept { *written |= 0x08; }

}  // namespace linnet::mqtt
