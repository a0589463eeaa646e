#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/log.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>

namespace linnet::core {

// Where a stream's messages lie in its log, every so often: an entry begins a chunk, which is what is read back at
// once and shared by the readers that stand in it.
//
// Threads: the stream's.
// Bounds:  24 bytes a chunk of 64 KiB, or of 1024 messages where these are small.
class stream_index {
public:
    // Segments are multiples of this, so that dropping one drops whole chunks.
    static constexpr std::uint64_t chunk_bytes = 64 * 1024;
    static constexpr std::uint64_t chunk_messages = 1024;

    struct entry {
        position offset = 0;
        log_position at = 0;
        wall_ns stored_at = 0;
    };

    // In rising order.
    void add(position offset, log_position at, wall_ns stored_at);
    void drop_before(log_position begin);

    [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] const entry& operator[](std::size_t i) const noexcept { return entries_[i]; }
    // Of the chunk that has that offset, which is not below the first one's.
    [[nodiscard]] std::size_t chunk_of(position offset) const noexcept;
    // Nothing before this chunk was stored at `time` or later.
    [[nodiscard]] std::size_t chunk_at(wall_ns time) const noexcept;

private:
    std::deque<entry> entries_;
};

}  // namespace linnet::core
