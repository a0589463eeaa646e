// Packets into bytes, written where the caller has made room.
//
// Every packet has encoded_size(), which tells exactly what encode() will write; that takes a pointer into a
// buffer with that much room and returns the place behind its last byte. Nothing here allocates. Compare
// encoded_size() with the peer's Maximum Packet Size first: [MQTT-3.1.2-24], [MQTT-3.2.2-15].
//
// PUBLISH and the acknowledgements are inline. For a message that goes out many times see publish_image.hpp.
//
// Bounds:   strings and binary data of at most 65535 bytes, bodies within varint_max: the caller's duty, asserted.
#pragma once

#include "protocol/mqtt/packets.hpp"
#include "protocol/wire/check.hpp"

namespace linnet::mqtt {

inline std::uint8_t* put_fixed_header(std::uint8_t* to, packet_type type, unsigned flags,
                                      std::size_t body_bytes) noexcept {
    LINNET_WIRE_CHECK(body_bytes <= varint_max);
    *to = static_cast<std::uint8_t>(static_cast<unsigned>(type) << 4 | flags);
    return put_varint(to + 1, static_cast<std::uint32_t>(body_bytes));
}

[[nodiscard]] constexpr std::size_t packet_size(std::size_t body_bytes) noexcept {
    return 1 + varint_size(static_cast<std::uint32_t>(body_bytes)) + body_bytes;
}

// connect::spoken says its version; all others are written in the connection's.
template <packet Packet>
[[nodiscard]] std::size_t encoded_size(const Packet& p, version spoken) noexcept;
template <packet Packet>
std::uint8_t* encode(std::uint8_t* to, const Packet& p, version spoken) noexcept;

#define LINNET_MQTT_ENCODES(Packet)                                                                                    \
    extern template std::size_t encoded_size(const Packet& p, version spoken) noexcept;                                \
    extern template std::uint8_t* encode(std::uint8_t* to, const Packet& p, version spoken) noexcept
LINNET_MQTT_ENCODES(connect);
LINNET_MQTT_ENCODES(connack);
LINNET_MQTT_ENCODES(subscribe);
LINNET_MQTT_ENCODES(suback);
LINNET_MQTT_ENCODES(unsubscribe);
LINNET_MQTT_ENCODES(unsuback);
LINNET_MQTT_ENCODES(pingreq);
LINNET_MQTT_ENCODES(pingresp);
LINNET_MQTT_ENCODES(disconnect);
LINNET_MQTT_ENCODES(auth);
#undef LINNET_MQTT_ENCODES

// Everything of a PUBLISH but its payload, for payloads that are sent by reference. Properties that are the
// receiver's own (subscription ids, a topic alias) follow those that all receivers get.
struct publish_head {
    std::string_view topic{};
    wire::bytes_view properties{};
    wire::bytes_view own_properties{};
    std::size_t payload_bytes = 0;
    std::uint16_t packet_id = 0;
    mqtt::qos qos = qos::at_most_once;
    bool dup = false;
    bool retain = false;
};

namespace detail {

[[nodiscard]] inline std::size_t publish_properties_bytes(const publish_head& h) noexcept {
    return h.properties.size() + h.own_properties.size();
}

[[nodiscard]] inline std::size_t publish_body_bytes(const publish_head& h, version spoken) noexcept {
    std::size_t bytes = 2 + h.topic.size() + (h.qos == qos::at_most_once ? 0 : 2) + h.payload_bytes;
    if (spoken == version::v5) {
        const std::size_t properties = publish_properties_bytes(h);
        bytes += varint_size(static_cast<std::uint32_t>(properties)) + properties;
    }
    return bytes;
}

[[nodiscard]] inline publish_head head_of(const publish& p) noexcept {
    return {.topic = p.topic,
            .properties = p.properties.bytes(),
            .own_properties = {},
            .payload_bytes = p.payload.size(),
            .packet_id = p.packet_id,
            .qos = p.qos,
            .dup = p.dup,
            .retain = p.retain};
}

}  // namespace detail

// Without the payload's bytes, though they count in the remaining length.
[[nodiscard]] inline std::size_t encoded_size(const publish_head& h, version spoken) noexcept {
    return packet_size(detail::publish_body_bytes(h, spoken)) - h.payload_bytes;
}

inline std::uint8_t* encode(std::uint8_t* to, const publish_head& h, version spoken) noexcept {
    const unsigned flags = (h.dup ? 8U : 0U) | static_cast<unsigned>(h.qos) << 1 | (h.retain ? 1U : 0U);
    to = put_fixed_header(to, packet_type::publish, flags, detail::publish_body_bytes(h, spoken));
    to = detail::put_string(to, h.topic);
    if (h.qos != qos::at_most_once)
        to = wire::store(to, h.packet_id);
    if (spoken != version::v5)
        return to;
    to = put_varint(to, static_cast<std::uint32_t>(detail::publish_properties_bytes(h)));
    to = wire::put_bytes(to, h.properties.data(), h.properties.size());
    return wire::put_bytes(to, h.own_properties.data(), h.own_properties.size());
}

[[nodiscard]] inline std::size_t encoded_size(const publish& p, version spoken) noexcept {
    return packet_size(detail::publish_body_bytes(detail::head_of(p), spoken));
}

inline std::uint8_t* encode(std::uint8_t* to, const publish& p, version spoken) noexcept {
    return wire::put_bytes(encode(to, detail::head_of(p), spoken), p.payload.data(), p.payload.size());
}

namespace detail {

// Reason and properties are left out where they say nothing: what MQTT 3 does always.
template <packet_type Type>
[[nodiscard]] std::size_t acknowledgement_body_bytes(const acknowledgement<Type>& a, version spoken) noexcept {
    if (spoken != version::v5 || (a.reason == reason_code::success && a.properties.empty())) [[likely]]
        return 2;
    const std::size_t properties = a.properties.bytes().size();
    return properties == 0 ? 3 : 3 + varint_size(static_cast<std::uint32_t>(properties)) + properties;
}

}  // namespace detail

inline constexpr std::size_t short_acknowledgement_bytes = 4;

template <packet_type Type>
[[nodiscard]] std::size_t encoded_size(const acknowledgement<Type>& a, version spoken) noexcept {
    return packet_size(detail::acknowledgement_body_bytes(a, spoken));
}

template <packet_type Type>
std::uint8_t* encode(std::uint8_t* to, const acknowledgement<Type>& a, version spoken) noexcept {
    const std::size_t bytes = detail::acknowledgement_body_bytes(a, spoken);
    to = put_fixed_header(to, Type, Type == packet_type::pubrel ? 2 : 0, bytes);
    to = wire::store(to, a.packet_id);
    if (bytes > 2) [[unlikely]] {
        *to++ = static_cast<std::uint8_t>(a.reason);
        if (bytes > 3) {
            const wire::bytes_view properties = a.properties.bytes();
            to = put_varint(to, static_cast<std::uint32_t>(properties.size()));
            to = wire::put_bytes(to, properties.data(), properties.size());
        }
    }
    return to;
}

// Grows any container of bytes (std::string, std::vector<std::uint8_t>).
template <class Bytes, packet Packet>
void append_packet(Bytes& out, const Packet& p, version spoken) {
    const std::size_t before = out.size();
    out.resize(before + encoded_size(p, spoken));
    encode(reinterpret_cast<std::uint8_t*>(out.data()) + before, p, spoken);
}

}  // namespace linnet::mqtt
