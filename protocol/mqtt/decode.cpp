#include "protocol/mqtt/decode.hpp"

#include "protocol/mqtt/body_reader.hpp"

#include <algorithm>

namespace linnet::mqtt {
namespace {

using detail::body_reader;

// CONNECT's flags.
enum connect_flag : std::uint8_t {
    reserved_flag = 0x01,
    clean_start_flag = 0x02,
    will_flag = 0x04,
    will_qos_flags = 0x18,
    will_retain_flag = 0x20,
    password_flag = 0x40,
    user_name_flag = 0x80,
};

constexpr std::string_view name_of_3_1 = "MQIsdp";
constexpr std::string_view name_since_3_1_1 = "MQTT";

// [MQTT-3.1.2-1], [MQTT-3.1.2-2]: name and level belong together.
void read_protocol(body_reader& from, version& spoken) noexcept {
    const std::string_view name = from.text();
    from.require(name == name_since_3_1_1 || name == name_of_3_1, fault::protocol_name_unknown);
    const auto level = from.u8();
    const bool known = name == name_of_3_1 ? level == 3 : level == 4 || level == 5;
    from.require(known, fault::protocol_version_unsupported);
    spoken = static_cast<version>(known ? level : 0);
}

[[nodiscard]] verdict judge_connect_flags(unsigned flags, version spoken) noexcept {
    // MQTT 3.1 does not use the bit, and did not say that it is 0.
    if ((flags & reserved_flag) != 0 && spoken != version::v3_1)
        return fault::connect_flag_reserved;
    if ((flags & will_flag) == 0 && (flags & (will_qos_flags | will_retain_flag)) != 0)
        return fault::will_flags_without_will;
    if ((flags & will_qos_flags) == will_qos_flags)
        return fault::will_qos_invalid;
    if (spoken != version::v5 && (flags & password_flag) != 0 && (flags & user_name_flag) == 0)
        return fault::password_without_user_name;
    return std::nullopt;
}

[[nodiscard]] will read_will(body_reader& from, unsigned flags, version spoken) noexcept {
    will w;
    if (spoken == version::v5)
        w.properties = from.properties(will_rules());
    w.topic = from.text();
    from.note(judge_topic_name(w.topic));
    from.require(!w.topic.empty(), fault::topic_name_missing);
    w.payload = from.binary();
    w.qos = static_cast<qos>((flags & will_qos_flags) >> 3);
    w.retain = (flags & will_retain_flag) != 0;
    return w;
}

void read_credentials(body_reader& from, unsigned flags, connect& c) noexcept {
    // "The Remaining Length takes precedence over the User Name flag", says MQTT 3.1 for older clients' sake.
    const auto announced = [&](connect_flag flag) {
        return (flags & flag) != 0 && !(c.spoken == version::v3_1 && from.at_end());
    };
    if (announced(user_name_flag))
        c.user_name = from.text();
    if (announced(password_flag))
        c.password = from.binary();
}

// 3.1.2.11.10: data without a method means nothing.
[[nodiscard]] verdict judge_authentication(const property_block& properties) noexcept {
    if (properties.contains(property::authentication_data) && !properties.contains(property::authentication_method))
        return fault::authentication_data_without_method;
    return std::nullopt;
}

// [MQTT-3.9.3-2], [MQTT-3.11.3-2]; in MQTT 3 a quality of service, or 0x80.
[[nodiscard]] verdict judge_reasons(wire::bytes_view codes, packet_type type, version spoken) noexcept {
    const auto is_good = [&](std::uint8_t code) {
        return spoken == version::v5 ? is_legal(static_cast<reason_code>(code), type, role::server)
                                     : code <= 2 || code == 0x80;
    };
    if (codes.empty())
        return fault::reason_codes_missing;
    return std::all_of(codes.begin(), codes.end(), is_good) ? verdict{} : verdict{fault::reason_code_illegal};
}

template <class Packet>
[[nodiscard]] Packet read_id_and_properties(body_reader& from, version spoken) noexcept {
    Packet p;
    p.packet_id = from.packet_id();
    if (spoken == version::v5)
        p.properties = from.properties(rules_of(Packet::type));
    return p;
}

// PINGREQ and PINGRESP.
template <class Packet>
[[nodiscard]] decoded<Packet> decode_empty(const frame& from) noexcept {
    return body_reader{from.body}.finish(Packet{});
}

}  // namespace

template <>
decoded<connect> decode<connect>(const frame& from, dialect) noexcept {
    body_reader body{from.body};
    connect c;
    read_protocol(body, c.spoken);
    // What decode_frame could not know yet.
    body.require(c.spoken != version::v5 || from.header.is_minimal(), fault::varint_not_minimal);
    body.require(c.spoken == version::v3_1 || from.header.flags == 0, fault::flags_reserved);
    const unsigned flags = body.u8();
    body.note(judge_connect_flags(flags, c.spoken));
    c.clean_start = (flags & clean_start_flag) != 0;
    c.keep_alive_s = body.u16();
    if (c.spoken == version::v5) {
        c.properties = body.properties(rules_of(packet_type::connect));
        body.note(judge_authentication(c.properties));
    }
    c.client_id = body.text();
    if ((flags & will_flag) != 0)
        c.will = read_will(body, flags, c.spoken);
    read_credentials(body, flags, c);
    return body.finish(c);
}

std::optional<version> version_to_refuse_in(wire::bytes_view connect_body) noexcept {
    wire::reader from{connect_body};
    const std::string_view name = wire::as_text(from.bytes(from.u16()));
    const std::uint8_t level = from.u8();
    if (!from.ok() || (name != name_since_3_1_1 && name != name_of_3_1))
        return std::nullopt;
    if (name == name_of_3_1)
        return version::v3_1;
    // [MQTT-3.1.2-2], in 3.1.1 of the same number: a later one is answered in the latest that we know. A high bit is
    // what mosquitto's bridges add to MQTT 3's levels; told no in MQTT 3, they come back without it.
    return level >= 5 && level < 0x80 ? version::v5 : version::v3_1_1;
}

template <>
decoded<connack> decode<connack>(const frame& from, dialect spoken) noexcept {
    body_reader body{from.body};
    connack c;
    const std::uint8_t flags = body.u8();
    // MQTT 3.1 has no such flags, and reserves the byte.
    if (spoken.spoken != version::v3_1) {
        body.require((flags & 0xFE) == 0, fault::connack_flags_reserved);
        c.session_present = (flags & 1) != 0;
    }
    if (spoken.spoken == version::v5) {
        c.reason = body.reason(packet_type::connack, spoken.sender);
        c.properties = body.properties(rules_of(packet_type::connack));
    } else {
        const auto reason = reason_of_return_code(body.u8());
        body.require(reason.has_value(), fault::reason_code_illegal);
        c.reason = reason.value_or(reason_code::unspecified_error);
    }
    // 3.1.1: [MQTT-3.2.2-4]
    body.require(!c.session_present || c.reason == reason_code::success, fault::session_present_with_failure);
    return body.finish(c);
}

template <>
decoded<subscribe> decode<subscribe>(const frame& from, dialect spoken) noexcept {
    body_reader body{from.body};
    auto s = read_id_and_properties<subscribe>(body, spoken.spoken);
    // What failed until here left nothing to read.
    const auto list = subscription_list::parse(body.rest(), spoken.spoken);
    if (list)
        s.subscriptions = *list;
    else
        body.note(list.reason());
    return body.finish(s);
}

template <>
decoded<unsubscribe> decode<unsubscribe>(const frame& from, dialect spoken) noexcept {
    body_reader body{from.body};
    auto u = read_id_and_properties<unsubscribe>(body, spoken.spoken);
    const auto list = filter_list::parse(body.rest(), spoken.spoken);
    if (list)
        u.filters = *list;
    else
        body.note(list.reason());
    return body.finish(u);
}

template <>
decoded<suback> decode<suback>(const frame& from, dialect spoken) noexcept {
    body_reader body{from.body};
    auto s = read_id_and_properties<suback>(body, spoken.spoken);
    s.reasons = body.rest();
    body.note(judge_reasons(s.reasons, packet_type::suback, spoken.spoken));
    return body.finish(s);
}

template <>
decoded<unsuback> decode<unsuback>(const frame& from, dialect spoken) noexcept {
    body_reader body{from.body};
    auto u = read_id_and_properties<unsuback>(body, spoken.spoken);
    if (spoken.spoken == version::v5) {
        u.reasons = body.rest();
        body.note(judge_reasons(u.reasons, packet_type::unsuback, spoken.spoken));
    }
    return body.finish(u);
}

template <>
decoded<pingreq> decode<pingreq>(const frame& from, dialect) noexcept {
    return decode_empty<pingreq>(from);
}

template <>
decoded<pingresp> decode<pingresp>(const frame& from, dialect) noexcept {
    return decode_empty<pingresp>(from);
}

template <>
decoded<disconnect> decode<disconnect>(const frame& from, dialect spoken) noexcept {
    body_reader body{from.body};
    disconnect d;
    // 3.14.2.1, 3.14.2.2.1: an absent reason is 0x00, absent properties are none.
    if (spoken.spoken == version::v5 && !body.at_end()) {
        d.reason = body.reason(packet_type::disconnect, spoken.sender);
        if (!body.at_end())
            d.properties = body.properties(rules_of(packet_type::disconnect));
        body.require(spoken.sender == role::client || !d.properties.contains(property::session_expiry_interval),
                     fault::session_expiry_from_server);
    }
    return body.finish(d);
}

template <>
decoded<auth> decode<auth>(const frame& from, dialect spoken) noexcept {
    body_reader body{from.body};
    auth a;
    // 3.15.2.1: both may be absent together, and then they mean success.
    if (!body.at_end()) {
        a.reason = body.reason(packet_type::auth, spoken.sender);
        a.properties = body.properties(rules_of(packet_type::auth));
        body.require(a.properties.contains(property::authentication_method), fault::authentication_method_missing);
    } else {
        body.require(is_legal(a.reason, packet_type::auth, spoken.sender), fault::reason_code_illegal);
    }
    return body.finish(a);
}

decoded<detail::publish_properties> detail::decode_publish_properties(wire::bytes_view from, bool topic_is_empty,
                                                                      role sender) noexcept {
    body_reader body{from};
    const property_block block = body.properties(rules_of(packet_type::publish));
    const std::size_t bytes = from.size() - body.remaining();
    body.require(sender == role::server || !block.contains(property::subscription_identifier),
                 fault::subscription_id_from_client);
    body.require(!topic_is_empty || block.contains(property::topic_alias), fault::topic_name_missing);
    (void)body.rest();
    return body.finish(publish_properties{block, bytes});
}

decoded<detail::reason_and_properties> detail::decode_reason(wire::bytes_view from, packet_type type,
                                                             dialect spoken) noexcept {
    if (spoken.spoken != version::v5)
        return refused{fault::packet_overlong};
    body_reader body{from};
    const reason_code reason = body.reason(type, spoken.sender);
    // 3.4.2.2.1 and its like: without a length there are none.
    const property_block properties = body.at_end() ? property_block{} : body.properties(rules_of(type));
    return body.finish(reason_and_properties{reason, properties});
}

}  // namespace linnet::mqtt
