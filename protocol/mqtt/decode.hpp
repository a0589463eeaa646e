// Whole packets out of the frames that frame.hpp found: decode<publish>(frame, dialect).
//
// By hand and inline for what each message needs, PUBLISH and the acknowledgements without a reason; the rest
// lies in decode.cpp. None of them asks for more: a frame is whole.
//
// Owns:     nothing; a decoded packet views the frame's bytes.
// Fails:    with a fault that names the clause.
#pragma once

#include "protocol/mqtt/frame.hpp"
#include "protocol/mqtt/packets.hpp"
#include "protocol/mqtt/topic.hpp"

namespace linnet::mqtt {

// The frame's type must be Packet's, and the dialect the one that the frame was found with.
template <packet Packet>
[[nodiscard]] decoded<Packet> decode(const frame& from, dialect spoken) noexcept;

// CONNECT says itself which version it is in; `spoken.spoken` is not looked at.
template <>
[[nodiscard]] decoded<connect> decode<connect>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<connack> decode<connack>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<subscribe> decode<subscribe>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<suback> decode<suback>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<unsubscribe> decode<unsubscribe>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<unsuback> decode<unsuback>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<pingreq> decode<pingreq>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<pingresp> decode<pingresp>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<disconnect> decode<disconnect>(const frame& from, dialect spoken) noexcept;
template <>
[[nodiscard]] decoded<auth> decode<auth>(const frame& from, dialect spoken) noexcept;

// The version in which to refuse a CONNECT whose decoding failed: what it says it speaks, as far as one can
// tell, and the nearest that we speak. None: it is nothing that MQTT ever began with; close without a word.
[[nodiscard]] std::optional<version> version_to_refuse_in(wire::bytes_view connect_body) noexcept;

namespace detail {

// The properties of a PUBLISH, with the length in front, and what is judged together with them.
struct publish_properties {
    property_block block{};
    std::size_t bytes = 0;  // with the length
};
[[nodiscard]] decoded<publish_properties> decode_publish_properties(wire::bytes_view from, bool topic_is_empty,
                                                                    role sender) noexcept;

// The reason and properties of an acknowledgement that has them.
struct reason_and_properties {
    reason_code reason{};
    property_block properties{};
};
[[nodiscard]] decoded<reason_and_properties> decode_reason(wire::bytes_view from, packet_type type,
                                                           dialect spoken) noexcept;

}  // namespace detail

// topic (2 + n) | packet id (2), if QoS > 0 | properties (1 + n), in MQTT 5 | payload
template <>
[[nodiscard]] inline decoded<publish> decode<publish>(const frame& from, dialect spoken) noexcept {
    LINNET_WIRE_CHECK(from.type() == packet_type::publish);
    const wire::bytes_view body = from.body;
    const unsigned flags = from.header.flags;
    publish p;
    p.qos = static_cast<qos>(flags >> 1 & 3);
    p.dup = (flags & 8) != 0;
    p.retain = (flags & 1) != 0;
    const bool has_properties = spoken.spoken == version::v5;
    const bool has_id = p.qos != qos::at_most_once;
    std::size_t at = 2;
    if (body.size() < at) [[unlikely]]
        return refused{fault::packet_truncated};
    at += wire::load<std::uint16_t>(body.data());
    const std::size_t fixed = at + (has_id ? 2 : 0);
    if (body.size() < fixed + (has_properties ? 1 : 0)) [[unlikely]]
        return refused{fault::packet_truncated};
    p.topic = wire::as_text(body.subspan(2, at - 2));
    if (const verdict bad = judge_topic_name(p.topic)) [[unlikely]]
        return refused{*bad};
    if (has_id) {
        p.packet_id = wire::load<std::uint16_t>(&body[at]);
        if (p.packet_id == 0) [[unlikely]]
            return refused{fault::packet_id_zero};
    }
    at = fixed;
    // The usual packet has a topic and no properties.
    const bool plain = has_properties && !p.topic.empty() && body[at] == 0;
    if (plain) {
        ++at;
    } else if (has_properties) {
        const auto properties = detail::decode_publish_properties(body.subspan(at), p.topic.empty(), spoken.sender);
        if (!properties) [[unlikely]]
            return refused{properties.reason()};
        p.properties = properties->block;
        at += properties->bytes;
    } else if (p.topic.empty()) [[unlikely]] {
        return refused{fault::topic_name_missing};
    }
    p.payload = body.subspan(at);
    return p;
}

// packet id (2) | reason (1) and properties (1 + n), in MQTT 5, if they say anything
template <packet_type Type>
[[nodiscard]] decoded<acknowledgement<Type>> decode_acknowledgement(const frame& from, dialect spoken) noexcept {
    LINNET_WIRE_CHECK(from.type() == Type);
    if (from.body.size() < 2) [[unlikely]]
        return refused{fault::packet_truncated};
    acknowledgement<Type> a{.packet_id = wire::load<std::uint16_t>(from.body.data())};
    if (a.packet_id == 0) [[unlikely]]
        return refused{fault::packet_id_zero};
    if (from.body.size() > 2) {
        const auto more = detail::decode_reason(from.body.subspan(2), Type, spoken);
        if (!more) [[unlikely]]
            return refused{more.reason()};
        a.reason = more->reason;
        a.properties = more->properties;
    }
    return a;
}

template <>
[[nodiscard]] inline decoded<puback> decode<puback>(const frame& from, dialect spoken) noexcept {
    return decode_acknowledgement<packet_type::puback>(from, spoken);
}
template <>
[[nodiscard]] inline decoded<pubrec> decode<pubrec>(const frame& from, dialect spoken) noexcept {
    return decode_acknowledgement<packet_type::pubrec>(from, spoken);
}
template <>
[[nodiscard]] inline decoded<pubrel> decode<pubrel>(const frame& from, dialect spoken) noexcept {
    return decode_acknowledgement<packet_type::pubrel>(from, spoken);
}
template <>
[[nodiscard]] inline decoded<pubcomp> decode<pubcomp>(const frame& from, dialect spoken) noexcept {
    return decode_acknowledgement<packet_type::pubcomp>(from, spoken);
}

// Decodes whatever packet it is and calls visit(packet). Answers with what was wrong, if anything was.
template <class Visitor>
[[nodiscard]] verdict visit_packet(const frame& from, dialect spoken, Visitor&& visit) {
    const auto as = [&]<class Packet>(const decoded<Packet>& p) -> verdict {
        if (!p)
            return p.reason();
        visit(*p);
        return std::nullopt;
    };
    switch (from.type()) {
        case packet_type::connect: return as(decode<connect>(from, spoken));
        case packet_type::connack: return as(decode<connack>(from, spoken));
        case packet_type::publish: return as(decode<publish>(from, spoken));
        case packet_type::puback: return as(decode<puback>(from, spoken));
        case packet_type::pubrec: return as(decode<pubrec>(from, spoken));
        case packet_type::pubrel: return as(decode<pubrel>(from, spoken));
        case packet_type::pubcomp: return as(decode<pubcomp>(from, spoken));
        case packet_type::subscribe: return as(decode<subscribe>(from, spoken));
        case packet_type::suback: return as(decode<suback>(from, spoken));
        case packet_type::unsubscribe: return as(decode<unsubscribe>(from, spoken));
        case packet_type::unsuback: return as(decode<unsuback>(from, spoken));
        case packet_type::pingreq: return as(decode<pingreq>(from, spoken));
        case packet_type::pingresp: return as(decode<pingresp>(from, spoken));
        case packet_type::disconnect: return as(decode<disconnect>(from, spoken));
        case packet_type::auth: return as(decode<auth>(from, spoken));
    }
    return fault::packet_type_reserved;
}

}  // namespace linnet::mqtt
