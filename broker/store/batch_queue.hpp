#pragma once

#include "broker/core/log.hpp"
#include "broker/store/aligned_buffer.hpp"
#include "broker/store/record.hpp"
#include "broker/store/segment.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>

namespace linnet::store {

// What is to be written by one write of the disk: records and, last, their commit.
struct batch {
    enum class stage : std::uint8_t { open, closed, writing, written };

    aligned_buffer buffer;  // begins at a block of the segment
    std::uint64_t id = 0;   // rises by one
    std::uint64_t segment = 0;
    std::uint32_t base = 0;       // where the buffer begins in the segment
    std::uint32_t begin = 0;      // where the batch begins in the buffer: behind what lies in its first block already
    std::uint32_t used = 0;       // bytes of the buffer
    std::uint32_t commit_at = 0;  // in the buffer, once closed
    std::uint16_t skip = 0;       // the commit's, once closed
    store::segment* home = nullptr;
    std::uint32_t count = 0;
    std::uint32_t crcs = 0;       // over the records' CRCs
    core::log_position next = 0;  // where the next batch begins, once closed
    mono_ns begun = 0;            // when the disk was given it, where anybody wants to know
    stage at = stage::open;

    // Its first block is also the last one of the batch before: they must not be written together.
    [[nodiscard]] bool shares_block() const noexcept { return begin != 0; }
    [[nodiscard]] std::uint32_t bytes() const noexcept { return used - begin; }
};

// What has been appended and is not yet durable: gives every record its place, cuts batches.
//
// A batch is closed when it is to be written, or when it or its segment is full. A small one is not padded: the next
// begins in the same block, which is then written again. From `pad_from` on it is padded to the block, so that the
// next write need not wait for this one.
//
// Threads: one.
// Bounds:  none: append cannot fail. Buffers come from a pool, and go back as batches become durable.
class batch_queue {
public:
    struct limits {
        std::uint32_t batch_bytes = 0;  // of a buffer
        std::uint32_t pad_from = 0;
    };
    // Where writing goes on, and what lies before that in its block.
    struct start {
        core::log_position at = 0;
        std::span<const std::uint8_t> block;
        core::log_position last_commit = 0;
        std::uint64_t next_index = 1;
        std::uint64_t epoch = 1;
    };
    // The segment of that number; made known when it is not yet.
    using segment_finder = std::function<segment&(std::uint64_t number)>;

    batch_queue(const segment_geometry& g, limits l, const start& s, segment_finder find);

    core::durable_log::appended append(std::uint8_t kind, std::uint8_t flags, core::durable_log::parts payload);
    // The open batch is to be written.
    void close();
    [[nodiscard]] bool has_open() const noexcept {
        return !batches_.empty() && batches_.back().at == batch::stage::open;
    }
    [[nodiscard]] const batch& open() const noexcept { return batches_.back(); }
    // Large enough to be written while others still are.
    [[nodiscard]] bool open_is_large() const noexcept { return has_open() && open().used >= limits_.pad_from; }

    // The oldest closed batch that no write has been begun for.
    [[nodiscard]] batch* next_to_write() noexcept;
    // Its commit is completed; now it is the disk's.
    [[nodiscard]] std::span<const std::uint8_t> begin_write(batch& b, core::log_position durable);
    const batch& written(std::uint64_t id);
    [[nodiscard]] std::uint32_t writing() const noexcept { return writing_; }
    // Lets go of what is written, oldest first; the position below which everything is.
    core::log_position release_written();
    // Buffers kept for the next batch are given back.
    void trim() noexcept { pool_.trim(); }

    [[nodiscard]] core::log_position end() const noexcept;
    // What lies there and above is here, not on the disk.
    [[nodiscard]] core::log_position begin() const noexcept;
    [[nodiscard]] std::uint64_t bytes() const noexcept { return end() - begin(); }

    struct seen {
        std::optional<stored_record> record;  // none: a commit, or nothing yet
        core::log_position next = 0;          // 0: nothing lies behind yet
    };
    // The record at a position from begin() on; it must be one's beginning.
    [[nodiscard]] seen look(core::log_position at) const;

private:
    struct source;
    [[nodiscard]] batch& room_for(std::uint32_t bytes);
    void begin_batch();
    void close(bool segment_ends);
    core::log_position put(const record_header& h, source& from);
    void hand_on(const batch& b);
    [[nodiscard]] const batch& holding(core::log_position at) const;
    [[nodiscard]] core::log_position position(const batch& b, std::uint32_t in_buffer) const noexcept {
        return geometry_.at(b.segment, b.base + in_buffer);
    }

    // Constant after construction.
    const segment_geometry geometry_;
    const limits limits_;
    const std::uint32_t part_payload_;  // more does not lie in one piece
    const std::uint64_t epoch_;
    const segment_finder find_;

    buffer_pool pool_;
    std::deque<batch> batches_;
    core::log_position next_;  // where the next batch begins
    aligned_buffer tail_;      // what lies before that in its block; empty while nothing does
    core::log_position last_commit_;
    std::uint64_t next_index_;
    std::uint64_t next_id_ = 0;
    std::size_t begun_ = 0;  // batches that a write has been begun for: the oldest
    std::uint32_t writing_ = 0;
};

}  // namespace linnet::store
