#pragma once

#include <cstdint>

// Eight bytes of a text looked at in one word.

namespace linnet::mqtt {

inline constexpr std::uint64_t ones = 0x0101'0101'0101'0101;  // times a byte: that byte in each place
inline constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080;

}  // namespace linnet::mqtt
