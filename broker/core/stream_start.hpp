#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/value.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace linnet::core {

// "7D", "12h", "30m": Y, M, D, h, m, s, a year of 365 days and a month of 30, as RabbitMQ has it. None when it is
// something else, or zero. What is too long to count is as good as for ever.
[[nodiscard]] std::optional<mono_ns> parse_age(std::string_view text) noexcept;

// Where a consumer of a stream wants to begin.
struct stream_start {
    enum class point : std::uint8_t {
        first,   // the oldest message that is kept
        last,    // the batch that was written last
        next,    // what is published from now on
        offset,  // that message; the nearest that is kept or to come
        time,    // the first message stored then or later
    };
    point what = point::next;
    position offset = 0;
    wall_ns time = 0;
};

// What `x-stream-offset` says; null: nothing. None: it makes no sense.
[[nodiscard]] std::optional<stream_start> parse_stream_start(const value* argument, wall_ns now) noexcept;

}  // namespace linnet::core
