#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace linnet::core {

namespace detail {

// The two halves of a 128-bit product folded together: one multiplication mixes every bit into every other.
[[nodiscard]] inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}
[[nodiscard]] inline std::uint64_t load(const char* at, std::size_t bytes) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, at, bytes);
    return word;
}
inline constexpr std::uint64_t odd_a = 0x9e37'79b9'7f4a'7c15;
inline constexpr std::uint64_t odd_b = 0xe703'7ed1'a0b4'28db;

}  // namespace detail

// The same for the same text in every process and version: what consistent hashing promises to publishers.
[[nodiscard]] inline std::uint64_t stable_hash(std::string_view text, std::uint64_t seed = 0) noexcept {
    using namespace detail;
    const char* at = text.data();
    std::size_t left = text.size();
    std::uint64_t h = mix(seed ^ odd_a, left ^ odd_b);
    for (; left > 16; at += 16, left -= 16) {
        h = mix(load(at, 8) ^ odd_a, load(at + 8, 8) ^ h);
    }
    // The last 0 to 16 bytes; overlapping loads instead of a loop over single bytes.
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    if (left >= 8) {
        a = load(at, 8);
        b = load(at + left - 8, 8);
    } else if (left >= 4) {
        a = load(at, 4);
        b = load(at + left - 4, 4);
    } else if (left > 0) {
        a = (load(at, 1) << 16) | (load(at + left / 2, 1) << 8) | load(at + left - 1, 1);
    }
    return mix(odd_b ^ a, h ^ b);
}

// Chosen at start: nobody can prepare names that collide.
[[nodiscard]] std::uint64_t random_seed();
inline const std::uint64_t process_seed = random_seed();

// For the tables of this process.
[[nodiscard]] inline std::uint64_t text_hash(std::string_view text) noexcept { return stable_hash(text, process_seed); }

}  // namespace linnet::core
