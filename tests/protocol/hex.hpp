// Bytes as the tests like to write them.
#pragma once

#include "protocol/wire/bytes.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::test {

using bytes = std::vector<std::uint8_t>;

// "01 ff" or "01ff"
inline bytes from_hex(std::string_view digits) {
    const auto nibble = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
    bytes out;
    int high = -1;
    for (const char c : digits) {
        if (c == ' ')
            continue;
        if (high < 0) {
            high = nibble(c);
        } else {
            out.push_back(static_cast<std::uint8_t>(high * 16 + nibble(c)));
            high = -1;
        }
    }
    return out;
}

inline std::string to_hex(wire::bytes_view view) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const std::uint8_t byte : view) {
        out.push_back(digits[byte >> 4]);
        out.push_back(digits[byte & 15]);
    }
    return out;
}

}  // namespace linnet::test
