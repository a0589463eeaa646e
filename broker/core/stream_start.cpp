#include "broker/core/stream_start.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <system_error>

namespace linnet::core {

namespace {

constexpr std::int64_t forever_s = std::numeric_limits<std::int64_t>::max() / 2 / ns_per_s;

[[nodiscard]] std::int64_t seconds_of(char unit) noexcept {
    constexpr std::int64_t day = 24 * 3600;
    switch (unit) {
        case 'Y': return 365 * day;
        case 'M': return 30 * day;
        case 'D': return day;
        case 'h': return 3600;
        case 'm': return 60;
        case 's': return 1;
        default: return 0;
    }
}

[[nodiscard]] std::optional<stream_start> from_text(std::string_view text, wall_ns now) noexcept {
    using point = stream_start::point;
    if (text == "first") {
        return stream_start{point::first};
    }
    if (text == "last") {
        return stream_start{point::last};
    }
    if (text == "next") {
        return stream_start{point::next};
    }
    const auto age = parse_age(text);
    return age ? std::optional(stream_start{point::time, 0, now - std::min(*age, now)}) : std::nullopt;
}

}  // namespace

std::optional<mono_ns> parse_age(std::string_view text) noexcept {
    const char* const last = text.data() + text.size();
    std::uint64_t amount = 0;
    const auto [end, bad] = std::from_chars(text.data(), last, amount);
    const std::int64_t unit = last - end == 1 ? seconds_of(*end) : 0;
    // An amount that does not fit has its digits passed over: it is not a mistake, only long.
    const bool long_one = bad == std::errc::result_out_of_range;
    if (unit == 0 || (bad != std::errc{} && !long_one) || (amount == 0 && !long_one)) {
        return std::nullopt;
    }
    const bool endless = long_one || amount > static_cast<std::uint64_t>(forever_s / unit);
    return (endless ? forever_s : static_cast<std::int64_t>(amount) * unit) * ns_per_s;
}

std::optional<stream_start> parse_stream_start(const value* argument, wall_ns now) noexcept {
    using point = stream_start::point;
    if (argument == nullptr) {
        return stream_start{};
    }
    if (const std::string* text = argument->as_string()) {
        return from_text(*text, now);
    }
    if (argument->type == value_type::timestamp) {
        const auto seconds = std::clamp<std::int64_t>(std::get<std::int64_t>(argument->data), 0, forever_s);
        return stream_start{point::time, 0, seconds * ns_per_s};
    }
    if (const std::int64_t* offset = argument->as_integer()) {
        return *offset < 0 ? stream_start{point::first} : stream_start{point::offset, static_cast<position>(*offset)};
    }
    return std::nullopt;
}

}  // namespace linnet::core
