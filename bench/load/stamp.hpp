// What a payload begins with: perf-test's 4-byte sequence number and 8-byte time, both big-endian, and
// behind them, where it fits, the number of the stream that the sequence belongs to.
//
// A stream is one producer's messages to one routing key: within a stream a broker must keep the order, so a
// consumer can tell gaps, duplicates and reordering apart. perf-test writes no stream and ignores ours.
//
// Where a body must be text (server-sent events, JSON) the three are written as hexadecimal digits, twice the size.
#pragma once

#include "protocol/wire/bytes.hpp"

#include <charconv>
#include <optional>
#include <string_view>

namespace linnet::load {

inline constexpr std::size_t stamp_time_bytes = 12;
inline constexpr std::size_t stamp_bytes = 16;

enum class stamp_form : std::uint8_t { binary, text };

// What the sequence and the time take, and what the stream takes with them.
[[nodiscard]] constexpr std::size_t stamp_time_bytes_of(stamp_form f) noexcept {
    return f == stamp_form::text ? 2 * stamp_time_bytes : stamp_time_bytes;
}
[[nodiscard]] constexpr std::size_t stamp_bytes_of(stamp_form f) noexcept {
    return f == stamp_form::text ? 2 * stamp_bytes : stamp_bytes;
}

struct stamp {
    std::uint32_t sequence = 0;
    std::uint32_t stream = 0;
    std::int64_t time_ns = 0;
};

// `size` is the payload's; what does not fit is left out, and read back as 0.
inline void write_stamp(std::uint8_t* payload, std::size_t size, const stamp& s) noexcept {
    if (size < stamp_time_bytes)
        return;
    wire::store(payload, s.sequence);
    wire::store(payload + 4, static_cast<std::uint64_t>(s.time_ns));
    if (size >= stamp_bytes)
        wire::store(payload + 12, s.stream);
}

namespace detail {

template <class Int>
std::uint8_t* put_digits(std::uint8_t* to, Int value) noexcept {
    constexpr std::string_view digits = "0123456789abcdef";
    for (unsigned shift = 8 * sizeof(Int); shift != 0;) {
        shift -= 4;
        *to++ = static_cast<std::uint8_t>(digits[value >> shift & 15U]);
    }
    return to;
}

}  // namespace detail

inline void write_stamp(std::uint8_t* payload, std::size_t size, const stamp& s, stamp_form form) noexcept {
    if (form == stamp_form::binary)
        return write_stamp(payload, size, s);
    if (size < stamp_time_bytes_of(form))
        return;
    std::uint8_t* const to = detail::put_digits(payload, s.sequence);
    std::uint8_t* const behind = detail::put_digits(to, static_cast<std::uint64_t>(s.time_ns));
    if (size >= stamp_bytes_of(form))
        detail::put_digits(behind, s.stream);
}

// Nothing where there is no stamp: the text is too short, or somebody else's.
[[nodiscard]] inline std::optional<stamp> read_text_stamp(std::string_view text) noexcept {
    constexpr auto form = stamp_form::text;
    const auto read = [&]<class Int>(std::size_t at, Int& to) {
        const char* const end = text.data() + at + 2 * sizeof(Int);
        const auto done = std::from_chars(text.data() + at, end, to, 16);
        return done.ec == std::errc{} && done.ptr == end;
    };
    stamp s;
    std::uint64_t time = 0;
    if (text.size() < stamp_time_bytes_of(form) || !read(0, s.sequence) || !read(2 * sizeof s.sequence, time))
        return {};
    s.time_ns = static_cast<std::int64_t>(time);
    if (text.size() >= stamp_bytes_of(form) && !read(stamp_time_bytes_of(form), s.stream))
        s.stream = 0;
    return s;
}

[[nodiscard]] inline stamp read_stamp(const std::uint8_t* payload, std::size_t size) noexcept {
    if (size < stamp_time_bytes)
        return {};
    return {wire::load<std::uint32_t>(payload), size >= stamp_bytes ? wire::load<std::uint32_t>(payload + 12) : 0,
            static_cast<std::int64_t>(wire::load<std::uint64_t>(payload + 4))};
}

}  // namespace linnet::load
