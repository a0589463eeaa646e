// The alphabet of every codec: views of bytes, and big-endian integers at any alignment.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace linnet::wire {

using bytes_view = std::span<const std::uint8_t>;

[[nodiscard]] inline bytes_view as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

[[nodiscard]] inline std::string_view as_text(bytes_view bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Network order <-> host order, its own inverse.
template <std::unsigned_integral Int>
[[nodiscard]] constexpr Int big_endian(Int value) noexcept {
    if constexpr (std::endian::native == std::endian::big || sizeof(Int) == 1) {
        return value;
    } else if constexpr (sizeof(Int) == 2) {
        return __builtin_bswap16(value);
    } else if constexpr (sizeof(Int) == 4) {
        return __builtin_bswap32(value);
    } else {
        return __builtin_bswap64(value);
    }
}

// Reads sizeof(Int) bytes at `from`, which the caller has checked. memcpy, since `from` is unaligned.
template <std::unsigned_integral Int>
[[nodiscard]] inline Int load(const std::uint8_t* from) noexcept {
    Int value;
    std::memcpy(&value, from, sizeof value);
    return big_endian(value);
}

// Writes sizeof(Int) bytes at `to` and returns the place behind them.
template <std::unsigned_integral Int>
inline std::uint8_t* store(std::uint8_t* to, Int value) noexcept {
    value = big_endian(value);
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

// Appends `size` bytes and returns the place behind them.
//
// Names, keys and tags are nearly always shorter than 33 bytes; a call of memcpy costs more than such a
// copy itself. Two overlapping moves cover each range without writing past the end.
inline std::uint8_t* put_bytes(std::uint8_t* to, const void* from, std::size_t size) noexcept {
    const auto* source = static_cast<const std::uint8_t*>(from);
    const auto both_ends = [&]<std::size_t Width>(std::integral_constant<std::size_t, Width>) {
        std::uint8_t head[Width];
        std::uint8_t tail[Width];
        std::memcpy(head, source, Width);
        std::memcpy(tail, source + size - Width, Width);
        std::memcpy(to, head, Width);
        std::memcpy(to + size - Width, tail, Width);
    };
    if (size > 32) {
        std::memcpy(to, source, size);
    } else if (size >= 16) {
        both_ends(std::integral_constant<std::size_t, 16>{});
    } else if (size >= 8) {
        both_ends(std::integral_constant<std::size_t, 8>{});
    } else if (size >= 4) {
        both_ends(std::integral_constant<std::size_t, 4>{});
    } else if (size >= 2) {
        both_ends(std::integral_constant<std::size_t, 2>{});
    } else if (size == 1) {
        *to = *source;
    }
    return to + size;
}

}  // namespace linnet::wire
