// MQTT's variable byte integer: seven bits a byte, the low ones first, four bytes at most.
//
// Owns:     nothing.
// Fails:    varint_too_long; need_more where the input ends within one.
#pragma once

#include "protocol/mqtt/fault.hpp"
#include "protocol/wire/bytes.hpp"

namespace linnet::mqtt {

constexpr std::size_t varint_size(std::uint32_t value) noexcept {
    return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20'0000 ? 3 : 4;
}

// At most varint_max: the caller's duty.
inline std::uint8_t* put_varint(std::uint8_t* to, std::uint32_t value) noexcept {
    LINNET_WIRE_CHECK(value <= varint_max);
    while (value >= 0x80)
        [[unlikely]] {
            *to++ = static_cast<std::uint8_t>(value | 0x80);
            value >>= 7;
        }
    *to = static_cast<std::uint8_t>(value);
    return to + 1;
}

struct varint {
    std::uint32_t value = 0;
    std::uint8_t bytes = 0;

    [[nodiscard]] constexpr bool is_minimal() const noexcept { return bytes == varint_size(value); }
};

[[nodiscard]] inline decoded<varint> decode_varint(wire::bytes_view input) noexcept {
    varint found;
    while (found.bytes < varint_bytes_max) {
        if (found.bytes == input.size())
            return wire::need_more{input.size() + 1};
        const std::uint8_t byte = input[found.bytes];
        found.value |= (byte & 0x7FU) << 7 * found.bytes;
        ++found.bytes;
        if (byte < 0x80)
            return found;
    }
    return refused{fault::varint_too_long};
}

}  // namespace linnet::mqtt
