// When the i-th message of a producer ought to be sent.
//
// An open-loop load is a list of instants fixed in advance; a latency is measured from such an instant, not
// from when the generator came round to sending. So a broker that stalls is charged for every message that
// it kept waiting (no "coordinated omission").
//
// Above one message per quantum the instants are gathered on ticks one quantum apart, several messages to a
// tick: waking for each message by itself would measure the generator's system calls, not the broker.
//
// Threads:  a value; one at a time.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace linnet::load {

class schedule {
public:
    // Closed loop: everything is due at once, always.
    schedule() = default;
    schedule(std::int64_t start_ns, double rate_per_s, std::int64_t quantum_ns) noexcept
        : start_ns_{start_ns},
          interval_ns_{1e9 / rate_per_s},
          quantum_ns_{interval_ns_ < static_cast<double>(quantum_ns) ? quantum_ns : 1} {}

    [[nodiscard]] bool open_loop() const noexcept { return interval_ns_ > 0; }

    // The intended instant of message `index`, from 0. Only in open loop.
    [[nodiscard]] std::int64_t intended_ns(std::uint64_t index) const noexcept {
        const auto exact = static_cast<std::int64_t>(std::ceil(static_cast<double>(index) * interval_ns_));
        return start_ns_ + (exact + quantum_ns_ - 1) / quantum_ns_ * quantum_ns_;
    }

    // How many messages are due at `now_ns`, counted from the start of the schedule.
    [[nodiscard]] std::uint64_t due(std::int64_t now_ns) const noexcept {
        if (!open_loop())
            return std::numeric_limits<std::uint64_t>::max();
        if (now_ns < start_ns_)
            return 0;
        const std::int64_t tick = (now_ns - start_ns_) / quantum_ns_ * quantum_ns_;
        auto count = static_cast<std::uint64_t>(static_cast<double>(tick) / interval_ns_) + 1;
        // Floating point may be off by one at a boundary; intended_ns() is the definition.
        while (count > 0 && intended_ns(count - 1) > now_ns)
            --count;
        while (intended_ns(count) <= now_ns)
            ++count;
        return count;
    }

private:
    std::int64_t start_ns_ = 0;
    double interval_ns_ = 0;
    std::int64_t quantum_ns_ = 1;
};

// The schedule of one of `count` producers with the same rate, which must not all send at the same instant.
struct schedule_stagger {
    double rate_per_s = 0;  // 0: closed loop
    unsigned index = 0;
    unsigned count = 1;

    [[nodiscard]] schedule from(std::int64_t start_ns, std::int64_t quantum_ns) const noexcept {
        if (rate_per_s <= 0)
            return {};
        const double period = std::fmax(1e9 / rate_per_s, static_cast<double>(quantum_ns));
        return {start_ns + static_cast<std::int64_t>(period * index / count), rate_per_s, quantum_ns};
    }
};

}  // namespace linnet::load
