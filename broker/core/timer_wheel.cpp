#include "broker/core/timer_wheel.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

namespace linnet::core {

void timer::stop() noexcept {
    if (wheel_ != nullptr) {
        wheel_->unlink(*this);
    }
}

timer_wheel::timer_wheel(mono_ns now) noexcept : now_tick_(static_cast<std::uint64_t>(now / tick_ns)) {}

void timer_wheel::start(timer& t, mono_ns deadline) noexcept {
    t.stop();
    t.deadline_ = deadline;
    file(t, now_tick_ + 1);
    t.wheel_ = this;
    ++size_;
}

// Rounds up, so that a timer never fires early; one whose deadline has passed fires at `earliest`.
void timer_wheel::file(timer& t, std::uint64_t earliest) noexcept {
    const auto due = static_cast<std::uint64_t>(std::max<mono_ns>(t.deadline_ + tick_ns - 1, 0) / tick_ns);
    const std::uint64_t tick = std::max(due, earliest);
    const std::uint64_t distance = tick - now_tick_;
    std::size_t level = 0;
    while (level + 1 < levels && distance >= (std::uint64_t{1} << (8 * (level + 1)))) {
        ++level;
    }
    // Beyond the last level: wait in its farthest bucket.
    constexpr std::uint64_t reach = (std::uint64_t{1} << (8 * levels)) - 1;
    const std::uint64_t filed = std::min(tick, now_tick_ + reach);
    const std::size_t slot = (filed >> (8 * level)) & (buckets - 1);
    const std::size_t bucket = level * buckets + slot;
    t.bucket_ = static_cast<std::uint16_t>(bucket);
    t.prev_ = nullptr;
    t.next_ = heads_[bucket];
    if (t.next_ != nullptr) {
        t.next_->prev_ = &t;
    }
    heads_[bucket] = &t;
    occupied_[level][slot / 64] |= std::uint64_t{1} << (slot % 64);
}

void timer_wheel::unlink(timer& t) noexcept {
    if (t.prev_ != nullptr) {
        t.prev_->next_ = t.next_;
    } else if (heads_[t.bucket_] == &t) {
        heads_[t.bucket_] = t.next_;
        if (t.next_ == nullptr) {
            const std::size_t slot = t.bucket_ % buckets;
            occupied_[t.bucket_ / buckets][slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
        }
    }
    if (t.next_ != nullptr) {
        t.next_->prev_ = t.prev_;
    }
    t.next_ = t.prev_ = nullptr;
    t.wheel_ = nullptr;
    --size_;
}

// Files a coarse bucket's timers anew, now that they are near enough for a finer one.
void timer_wheel::cascade(std::size_t level) noexcept {
    const std::size_t slot = (now_tick_ >> (8 * level)) & (buckets - 1);
    timer* t = std::exchange(heads_[level * buckets + slot], nullptr);
    occupied_[level][slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
    while (t != nullptr) {
        timer* next = t->next_;
        file(*t, now_tick_);  // this very tick's bucket has not been emptied yet
        t = next;
    }
}

std::size_t timer_wheel::advance(mono_ns now) {
    const auto target = static_cast<std::uint64_t>(now / tick_ns);
    std::size_t fired = 0;
    while (now_tick_ < target) {
        if (size_ == 0) {
            now_tick_ = target;
            break;
        }
        // Ticks without anything to do are skipped up to the next bucket or cascade.
        const auto next = static_cast<std::uint64_t>(next_due(std::numeric_limits<mono_ns>::max()) / tick_ns);
        now_tick_ = std::min(target, std::max(now_tick_ + 1, next));
        for (std::size_t level = levels - 1; level > 0; --level) {
            if ((now_tick_ & ((std::uint64_t{1} << (8 * level)) - 1)) == 0) {
                cascade(level);
            }
        }
        const std::size_t slot = now_tick_ & (buckets - 1);
        while (timer* t = heads_[slot]) {
            unlink(*t);
            ++fired;
            t->on_timer(now);
        }
    }
    return fired;
}

mono_ns timer_wheel::next_due(mono_ns horizon) const noexcept {
    if (size_ == 0) {
        return horizon;
    }
    // The first occupied fine bucket ahead, or the next cascade of an occupied coarser one.
    std::uint64_t best = std::numeric_limits<std::uint64_t>::max();
    for (std::size_t level = 0; level < levels; ++level) {
        const std::uint64_t unit = now_tick_ >> (8 * level);
        for (std::uint64_t step = 1; step <= buckets;) {
            const std::size_t slot = (unit + step) & (buckets - 1);
            const std::uint64_t word = occupied_[level][slot / 64] >> (slot % 64);
            if (word != 0) {
                const std::uint64_t skip = static_cast<std::uint64_t>(std::countr_zero(word));
                if (step + skip <= buckets) {
                    best = std::min(best, (unit + step + skip) << (8 * level));
                }
                break;
            }
            step += 64 - slot % 64;
        }
    }
    if (best >= static_cast<std::uint64_t>(horizon / tick_ns)) {
        return horizon;
    }
    return static_cast<mono_ns>(best) * tick_ns;
}

}  // namespace linnet::core
