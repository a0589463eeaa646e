#include "protocol/wire/utf8.hpp"

namespace linnet::wire {
namespace {

constexpr bool is_continuation(std::uint8_t byte) { return (byte & 0xC0) == 0x80; }

// How many bytes the character at `at` has, or 0 if it is not one. Table 3-7 of the Unicode standard:
// only the second byte's range depends on the first.
std::size_t character_size(const std::uint8_t* at, std::size_t remaining) {
    const std::uint8_t first = *at;
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    const std::size_t size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (size > remaining)
        return 0;
    const std::uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    const std::uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < low || at[1] > high)
        return 0;
    for (std::size_t i = 2; i < size; ++i) {
        if (!is_continuation(at[i]))
            return 0;
    }
    return size;
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
    const bytes_view bytes = as_bytes(text);
    std::size_t at = 0;
    while (at < bytes.size()) {
        // Eight ASCII bytes at a time: names and topics are hardly ever anything else.
        while (bytes.size() - at >= 8 && (load<std::uint64_t>(&bytes[at]) & 0x8080'8080'8080'8080) == 0)
            at += 8;
        if (at == bytes.size())
            break;
        const std::size_t size = character_size(&bytes[at], bytes.size() - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) noexcept {
    if (text.size() <= bytes_max)
        return text;
    std::size_t size = bytes_max;
    while (size > 0 && is_continuation(static_cast<std::uint8_t>(text[size])))
        --size;
    return text.substr(0, size);
}

}  // namespace linnet::wire
