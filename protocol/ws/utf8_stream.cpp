#include "protocol/ws/utf8_stream.hpp"

namespace linnet::ws {
namespace {

const std::uint8_t* skip_ascii(const std::uint8_t* at, const std::uint8_t* end) noexcept {
    while (end - at >= 8 && (wire::load<std::uint64_t>(at) & 0x8080'8080'8080'8080) == 0)
        at += 8;
    while (at != end && *at < 0x80)
        ++at;
    return at;
}

}  // namespace

// Table 3-7 of the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF.
bool utf8_stream::begin_character(std::uint8_t first) noexcept {
    if (first < 0xC2 || first > 0xF4)
        return false;
    wanted_ = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    low_ = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    high_ = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    return true;
}

bool utf8_stream::feed(wire::bytes_view bytes) noexcept {
    const std::uint8_t* at = bytes.data();
    const std::uint8_t* const end = at + bytes.size();
    while (at != end) {
        if (wanted_ == 0) {
            at = skip_ascii(at, end);
            if (at == end)
                return true;
            if (!begin_character(*at++))
                return false;
        } else {
            if (*at < low_ || *at > high_)
                return false;
            ++at;
            --wanted_;
            low_ = 0x80;
            high_ = 0xBF;
        }
    }
    return true;
}

}  // namespace linnet::ws
