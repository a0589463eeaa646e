// The numbers of MQTT: packet types, versions, qualities of service, and who speaks which dialect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace linnet::mqtt {

enum class packet_type : std::uint8_t {
    connect = 1,
    connack = 2,
    publish = 3,
    puback = 4,
    pubrec = 5,
    pubrel = 6,
    pubcomp = 7,
    subscribe = 8,
    suback = 9,
    unsubscribe = 10,
    unsuback = 11,
    pingreq = 12,
    pingresp = 13,
    disconnect = 14,
    auth = 15,
};

constexpr std::string_view packet_name(packet_type type) noexcept {
    switch (type) {
        case packet_type::connect: return "CONNECT";
        case packet_type::connack: return "CONNACK";
        case packet_type::publish: return "PUBLISH";
        case packet_type::puback: return "PUBACK";
        case packet_type::pubrec: return "PUBREC";
        case packet_type::pubrel: return "PUBREL";
        case packet_type::pubcomp: return "PUBCOMP";
        case packet_type::subscribe: return "SUBSCRIBE";
        case packet_type::suback: return "SUBACK";
        case packet_type::unsubscribe: return "UNSUBSCRIBE";
        case packet_type::unsuback: return "UNSUBACK";
        case packet_type::pingreq: return "PINGREQ";
        case packet_type::pingresp: return "PINGRESP";
        case packet_type::disconnect: return "DISCONNECT";
        case packet_type::auth: return "AUTH";
    }
    return "reserved packet type 0";
}

// As CONNECT says it; `unknown` until it has.
enum class version : std::uint8_t { unknown = 0, v3_1 = 3, v3_1_1 = 4, v5 = 5 };

enum class role : std::uint8_t { client, server };

// What decides whether bytes are legal: the version, and who sent them.
struct dialect {
    version spoken = version::unknown;
    role sender = role::client;

    bool operator==(const dialect&) const = default;
};

enum class qos : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

// [MQTT-1.5.5-1] Four bytes of seven bits.
inline constexpr std::uint32_t varint_max = 268'435'455;
inline constexpr std::size_t varint_bytes_max = 4;
inline constexpr std::size_t string_bytes_max = 65'535;

// Type and flags, and the remaining length.
inline constexpr std::size_t fixed_header_bytes_min = 2;
inline constexpr std::size_t fixed_header_bytes_max = 1 + varint_bytes_max;
// The largest packet that can be said.
inline constexpr std::uint32_t packet_bytes_max = varint_max + fixed_header_bytes_max;

}  // namespace linnet::mqtt
