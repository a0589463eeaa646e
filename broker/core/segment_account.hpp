#pragma once

#include "broker/base/assert.hpp"
#include "broker/core/log.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>

namespace linnet::core {

// How many bytes of each of a log's segments are still wanted.
//
// While the log is being recovered nobody knows how long its segments are: until open() it counts by grains, of which
// every segment is a multiple.
//
// Threads: one.
// Bounds:  8 bytes a segment; a grain while recovering.
class segment_account {
public:
    static constexpr std::uint64_t grain_bytes = 64 * 1024;

    void add(log_position at, std::uint64_t bytes) {
        const std::uint64_t segment = at / unit_;
        if (live_.empty() && !open_) {
            first_ = segment;
        }
        if (segment < first_) {
            return;  // recovery: records come in order, so this is none of ours
        }
        while (first_ + live_.size() <= segment) {
            live_.push_back(0);
        }
        live_[segment - first_] += bytes;
        total_ += bytes;
    }
    // What lies in a segment that has been dropped no longer counts.
    void remove(log_position at, std::uint64_t bytes) noexcept {
        const std::uint64_t segment = at / unit_;
        if (segment < first_ || segment - first_ >= live_.size()) {
            return;
        }
        auto& held = live_[segment - first_];
        LINNET_DEBUG_ASSERT(held >= bytes, "{} bytes given back where {} are held", bytes, held);
        bytes = std::min(bytes, held);
        held -= bytes;
        total_ -= bytes;
    }

    void open(log_position begin, std::uint64_t segment_bytes) {
        const auto grains = std::exchange(live_, {});
        LINNET_ASSERT(grains.empty() || segment_bytes % grain_bytes == 0, "segments of {} bytes", segment_bytes);
        const std::uint64_t first_grain = first_;
        unit_ = segment_bytes;
        open_ = true;
        first_ = begin / unit_;
        total_ = 0;
        for (std::size_t i = 0; i < grains.size(); ++i) {
            if (grains[i] != 0) {
                add((first_grain + i) * grain_bytes, grains[i]);
            }
        }
    }

    // Drops the oldest segments that are dead and lie wholly below `durable`. True when there were any.
    [[nodiscard]] bool drop_dead(log_position durable) noexcept {
        const std::uint64_t before = first_;
        while (segment_end() <= durable && (live_.empty() || live_.front() == 0)) {
            drop_first();
        }
        return first_ != before;
    }
    // The oldest segment counts for nothing any more.
    void forget_first() noexcept {
        if (!live_.empty()) {
            total_ -= std::exchange(live_.front(), 0);
        }
    }

    [[nodiscard]] log_position first_position() const noexcept { return first_ * unit_; }
    [[nodiscard]] log_position segment_end() const noexcept { return (first_ + 1) * unit_; }
    [[nodiscard]] std::uint64_t segment_bytes() const noexcept { return unit_; }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }

private:
    void drop_first() noexcept {
        if (!live_.empty()) {
            live_.pop_front();
        }
        ++first_;
    }

    std::uint64_t unit_ = grain_bytes;
    bool open_ = false;
    std::uint64_t first_ = 0;
    std::uint64_t total_ = 0;
    std::deque<std::uint64_t> live_;  // of segment first_ + i
};

}  // namespace linnet::core
