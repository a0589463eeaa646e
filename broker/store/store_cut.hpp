#pragma once

#include "broker/core/log.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace linnet::store {

// What a cut leaves of one log: the segments from `first` to `last` (none when that is below), the last one up to
// `end`.
struct log_cut {
    std::string folder;  // within the data folder
    std::uint32_t log_number = 0;
    std::uint64_t segment_bytes = 0;
    std::uint64_t first = 1;
    std::uint64_t last = 0;
    core::log_position end = 0;
};

// A cut through all logs of a store while they are written: a position in each, such that all that lies below is a
// state of the broker, as a crash might have left it.
//
// Each log notes its end before the first record that it appends once it knows that a cut is wanted; nothing stops, and
// no log waits for another. That is enough: what is appended here because of something there (a dead letter is
// settled because its successor is durable) is appended by a thread that has heard of it from the one over there, and
// with it of the cut. So when the cause lies above the cut, the consequence does, too.
//
// From its note on until the cut is lifted a log lets go of no segment.
//
// Threads: any for wanted(); enter(), note() and leave() for a log its own; the others one.
class store_cut {
public:
    using log_id = const void*;

    // Which one; 0: none.
    [[nodiscard]] std::uint64_t wanted() const noexcept { return wanted_.load(std::memory_order_acquire); }

    // ---- A log's part --------------------------------------------------------------------------
    void enter(log_id who);
    // Once everything below its end is durable. Of another cut than the one that is wanted: nothing.
    void note(log_id who, std::uint64_t which, log_cut what);
    void leave(log_id who);

    // ---- Whoever wants one ---------------------------------------------------------------------
    // One through the logs that are here now; what was wanted before is not any more.
    void begin();
    // All of it, once each log has said its part.
    [[nodiscard]] std::optional<std::vector<log_cut>> finished() const;
    void lift();

private:
    std::atomic<std::uint64_t> wanted_{0};
    mutable std::mutex mutex_;
    // Below the mutex:
    std::set<log_id> logs_;
    std::set<log_id> awaited_;
    std::vector<log_cut> noted_;
    std::uint64_t latest_ = 0;
};

}  // namespace linnet::store
