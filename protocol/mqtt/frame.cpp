#include "protocol/mqtt/frame.hpp"

namespace linnet::mqtt::detail {
namespace {

constexpr bool sends(role sender, packet_type type) noexcept {
    switch (type) {
        case packet_type::connect:
        case packet_type::subscribe:
        case packet_type::unsubscribe:
        case packet_type::pingreq: return sender == role::client;
        case packet_type::connack:
        case packet_type::suback:
        case packet_type::unsuback:
        case packet_type::pingresp: return sender == role::server;
        case packet_type::publish:
        case packet_type::puback:
        case packet_type::pubrec:
        case packet_type::pubrel:
        case packet_type::pubcomp:
        case packet_type::disconnect:
        case packet_type::auth: return true;
    }
    return false;
}

// MQTT 3 has no AUTH, and its servers do not say goodbye.
constexpr bool exists(packet_type type, dialect spoken) noexcept {
    if (spoken.spoken == version::v5)
        return true;
    return type != packet_type::auth && !(type == packet_type::disconnect && spoken.sender == role::server);
}

// [MQTT-2.1.3-1] Table 2-2. MQTT 3.1 uses the flags of PUBLISH throughout: a retry of SUBSCRIBE may carry DUP,
// and what has no meaning is not looked at.
constexpr first_byte_verdict judge_flags(packet_type type, unsigned flags, version spoken) noexcept {
    if (type == packet_type::publish) {
        const unsigned level = flags >> 1 & 3;
        if (level == 3)
            return {false, fault::qos_invalid};
        if ((flags & 8) != 0 && level == 0 && spoken != version::v3_1)
            return {false, fault::dup_without_qos};
        return {};
    }
    // What a first packet speaks it says later: decode<connect> judges its flags.
    if (spoken == version::unknown)
        return {};
    const bool acknowledged = type == packet_type::pubrel || type == packet_type::subscribe ||
                              type == packet_type::unsubscribe;
    const unsigned expected = acknowledged ? 2 : 0;
    return {flags == expected || spoken == version::v3_1, fault::flags_reserved};
}

constexpr first_byte_verdict judge(std::uint8_t byte, dialect spoken) noexcept {
    const auto type = static_cast<packet_type>(byte >> 4);
    if (byte >> 4 == 0)
        return {false, fault::packet_type_reserved};
    if (spoken.spoken == version::unknown && type != packet_type::connect)
        return {false, fault::connect_expected};
    if (!exists(type, spoken))
        return {false, type == packet_type::auth ? fault::packet_type_reserved : fault::packet_type_unexpected};
    if (!sends(spoken.sender, type))
        return {false, fault::packet_type_unexpected};
    return judge_flags(type, byte & 0x0FU, spoken.spoken);
}

constexpr std::array<std::array<std::uint16_t, 16>, dialect_count> make_legal_flags() noexcept {
    std::array<std::array<std::uint16_t, 16>, dialect_count> table{};
    for (const version spoken : {version::unknown, version::v3_1, version::v3_1_1, version::v5}) {
        for (const role sender : {role::client, role::server}) {
            const dialect each{spoken, sender};
            for (unsigned byte = 0; byte < 256; ++byte) {
                if (judge(static_cast<std::uint8_t>(byte), each).good)
                    table[index_of(each)][byte >> 4] |= static_cast<std::uint16_t>(1U << (byte & 15));
            }
        }
    }
    return table;
}

}  // namespace

constinit const std::array<std::array<std::uint16_t, 16>, dialect_count> legal_flags = make_legal_flags();

first_byte_verdict judge_first_byte(std::uint8_t byte, dialect spoken) noexcept { return judge(byte, spoken); }

}  // namespace linnet::mqtt::detail
