// How many messages a producer may send now, and which intended time each carries.
//
// Three brakes: the schedule (open loop), the number of messages (-C), the confirm window (-c). A brake
// delays the sending but never the intended time.
//
// Threads:  one at a time.
#pragma once

#include "bench/load/confirm_window.hpp"
#include "bench/load/schedule.hpp"

#include <algorithm>
#include <optional>

namespace linnet::load {

class producer_pace {
public:
    producer_pace(schedule when, std::uint64_t messages_max, std::uint32_t window)
        : when_{when}, left_{messages_max == 0 ? std::numeric_limits<std::uint64_t>::max() : messages_max} {
        if (window != 0)
            window_.emplace(window);
    }

    void start(schedule when) noexcept { when_ = when; }

    [[nodiscard]] std::uint64_t allowance(std::int64_t now_ns) const noexcept {
        std::uint64_t most = left_;
        if (when_.open_loop()) {
            const std::uint64_t due = when_.due(now_ns);
            most = std::min(most, due > sent_ ? due - sent_ : 0);
        }
        if (window_)
            most = std::min(most, window_->room());
        return most;
    }

    // The intended time of the next message; counts it as sent.
    std::int64_t next(std::int64_t now_ns) noexcept {
        const std::int64_t intended = when_.open_loop() ? when_.intended_ns(sent_) : now_ns;
        ++sent_;
        --left_;
        if (window_)
            window_->open(intended);
        return intended;
    }

    // When the schedule allows the next one; `at once` (0) in closed loop.
    [[nodiscard]] std::int64_t next_due_ns() const noexcept {
        if (left_ == 0 || (window_ && window_->room() == 0))
            return std::numeric_limits<std::int64_t>::max();
        return when_.open_loop() ? when_.intended_ns(sent_) : 0;
    }

    template <class Settled>
    void settle(std::uint64_t number, bool multiple, Settled settled) {
        if (window_)
            window_->settle(number, multiple, settled);
    }

    // The lowest number that is not settled; with a window only.
    [[nodiscard]] std::uint64_t oldest() const noexcept { return window_ ? window_->oldest() : 0; }

    [[nodiscard]] bool open_loop() const noexcept { return when_.open_loop(); }
    [[nodiscard]] bool finished() const noexcept { return left_ == 0 && (!window_ || window_->empty()); }

private:
    schedule when_;
    std::uint64_t sent_ = 0;
    std::uint64_t left_;
    std::optional<confirm_window> window_;
};

}  // namespace linnet::load
