// One control packet, found in place at the front of the bytes that have arrived.
//
//     type (4 bits) | flags (4 bits) | remaining length (1 to 4 bytes) | `remaining length` bytes
//
// What can be refused is refused at the earliest byte: type and flags with the first one, the size with the
// last byte of its length, so that nobody buffers a packet that will be thrown away.
//
// Owns:     nothing; `body` views the input.
// Bounds:   packet_bytes_max is the caller's: what it lets the peer make it keep.
#pragma once

#include "protocol/mqtt/fault.hpp"
#include "protocol/mqtt/varint.hpp"
#include "protocol/wire/bytes.hpp"

#include <array>

namespace linnet::mqtt {

struct fixed_header {
    packet_type type{};
    std::uint8_t flags = 0;
    std::uint8_t bytes = 0;  // its own
    std::uint32_t body_bytes = 0;

    [[nodiscard]] constexpr std::size_t packet_bytes() const noexcept { return std::size_t{bytes} + body_bytes; }
    [[nodiscard]] constexpr bool is_minimal() const noexcept { return bytes == 1 + varint_size(body_bytes); }
};

struct frame {
    fixed_header header{};
    wire::bytes_view body{};

    [[nodiscard]] constexpr packet_type type() const noexcept { return header.type; }
    // How far to move on in the input.
    [[nodiscard]] constexpr std::size_t size() const noexcept { return header.packet_bytes(); }
};

namespace detail {

// Judges type and flags, which share the first byte.
struct first_byte_verdict {
    bool good = true;
    fault why{};
};
[[nodiscard]] first_byte_verdict judge_first_byte(std::uint8_t byte, dialect spoken) noexcept;

// The same as a table: for each dialect and type, a bit for each value of the flags that is legal.
inline constexpr std::size_t dialect_count = 12;
[[nodiscard]] constexpr std::size_t index_of(dialect spoken) noexcept {
    return static_cast<std::size_t>(spoken.spoken) * 2 + static_cast<std::size_t>(spoken.sender);
}
extern const std::array<std::array<std::uint16_t, 16>, dialect_count> legal_flags;

[[nodiscard]] inline bool is_legal_first_byte(std::uint8_t byte, dialect spoken) noexcept {
    return (legal_flags[index_of(spoken)][byte >> 4] >> (byte & 0x0F) & 1) != 0;
}

}  // namespace detail

// `packet_bytes_max` counts the whole packet, as Maximum Packet Size does. While the version is unknown only
// CONNECT passes [MQTT-3.1.0-1]. MQTT 3 never forbade a remaining length in more bytes than it needs, so
// there, and in the first packet, it passes; decode<connect> refuses it once it has seen a 5, and judges its flags.
[[nodiscard]] inline decoded<fixed_header> decode_fixed_header(wire::bytes_view input, dialect spoken,
                                                               std::uint32_t bytes_max = packet_bytes_max) noexcept {
    if (input.empty())
        return wire::need_more{fixed_header_bytes_min};
    const std::uint8_t first = input[0];
    if (!detail::is_legal_first_byte(first, spoken)) [[unlikely]]
        return refused{detail::judge_first_byte(first, spoken).why};
    const decoded<varint> length = decode_varint(input.subspan(1));
    if (!length) [[unlikely]] {
        if (length.needs_more())
            return wire::need_more{1 + length.bytes_needed()};
        return refused{fault::remaining_length_too_long};
    }
    const fixed_header found{.type = static_cast<packet_type>(first >> 4),
                             .flags = static_cast<std::uint8_t>(first & 0x0F),
                             .bytes = static_cast<std::uint8_t>(1 + length->bytes),
                             .body_bytes = length->value};
    if (length->bytes > 1 && spoken.spoken == version::v5 && !length->is_minimal()) [[unlikely]]
        return refused{fault::varint_not_minimal};
    if (found.packet_bytes() > bytes_max) [[unlikely]]
        return refused{fault::packet_too_large};
    return found;
}

// need_more names the bytes that the packet has in all once its header is there.
[[nodiscard]] inline decoded<frame> decode_frame(wire::bytes_view input, dialect spoken,
                                                 std::uint32_t bytes_max = packet_bytes_max) noexcept {
    const decoded<fixed_header> header = decode_fixed_header(input, spoken, bytes_max);
    if (!header) [[unlikely]] {
        if (header.needs_more())
            return wire::need_more{header.bytes_needed()};
        return refused{header.reason()};
    }
    if (input.size() < header->packet_bytes())
        return wire::need_more{header->packet_bytes()};
    return frame{*header, input.subspan(header->bytes, header->body_bytes)};
}

}  // namespace linnet::mqtt
