#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace linnet::core {

// 128 bits that stand for a text: long enough that two of them never meet by chance.
struct fingerprint {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const fingerprint&) const = default;
};

// What makes the hash ours: whoever does not know it cannot prepare texts that collide.
struct hash_key {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    bool operator==(const hash_key&) const = default;
};
[[nodiscard]] hash_key random_hash_key();

// SipHash-2-4 with its 128-bit output (Aumasson and Bernstein).
[[nodiscard]] fingerprint keyed_hash(const hash_key& key, std::string_view text) noexcept;

}  // namespace linnet::core
