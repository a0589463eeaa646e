#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/sync_histogram.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace linnet::store {

// Counts how long the writes of all logs of a store take, from being handed to the disk until the log has noted that
// they are durable.
//
// One for all of them, streams' too, which come and go: a locked add costs nothing beside a write to the disk.
//
// Threads: any.
// Owns:    the counts. Borrows the clock.
class sync_times {
public:
    explicit sync_times(const clock_source& clock) noexcept : clock_(clock) {}
    sync_times(const sync_times&) = delete;
    sync_times& operator=(const sync_times&) = delete;

    [[nodiscard]] mono_ns now() const noexcept { return clock_.now(); }
    // Relaxed: figures order nothing else.
    void add(mono_ns took) noexcept {
        counts_[core::sync_histogram::place_of(took)].fetch_add(1, std::memory_order_relaxed);
        sum_.fetch_add(took, std::memory_order_relaxed);
    }
    // Of some moment; a write that ends meanwhile may be in part of it only.
    [[nodiscard]] core::sync_histogram look() const noexcept {
        core::sync_histogram h;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            h.counts[i] = counts_[i].load(std::memory_order_relaxed);
        }
        h.sum = sum_.load(std::memory_order_relaxed);
        return h;
    }

private:
    const clock_source& clock_;
    std::array<std::atomic<std::uint64_t>, core::sync_histogram::bounds.size() + 1> counts_{};
    std::atomic<mono_ns> sum_{0};
};

}  // namespace linnet::store
