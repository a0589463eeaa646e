#pragma once

#include "broker/core/log.hpp"
#include "broker/store/aligned_buffer.hpp"
#include "broker/store/batch_queue.hpp"
#include "broker/store/disk.hpp"
#include "broker/store/record_assembler.hpp"
#include "broker/store/segment_chain.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace linnet::store {

// Records that are wanted back: from memory while they are not yet durable, from the disk else, neighbours by one
// read. What is shown has passed its check; what does not is shown as damage.
//
// Records that lie scattered take a read each. A request has many of them under way side by side, since a disk answers
// sixteen nearly as fast as one, and a turn of the shard lies between asking and answering. It shows them in the order
// in which they were asked for nevertheless.
//
// Threads: one.
// Bounds:  `reads_max` reads under way, so many of them for what is to be shown next; the others wait their turn. For
//          each request at most `pieces_max` buffers: two of 256 KiB and two blocks, or many small ones, and one more.
class log_reads {
public:
    // Completions of such tags are its own.
    static constexpr std::uint64_t tag_bit = std::uint64_t{1} << 61;

    log_reads(disk& d, const segment_geometry& g, segment_chain& chain, const batch_queue& batches);

    void add(std::span<const core::record_range> which, core::log_reader& into);
    void add(core::log_position from, std::uint32_t bytes_max, core::log_reader& into);
    // Goes on with all requests as far as they get without the disk. True: something was shown.
    bool run(core::log_position begin, core::log_position durable);
    // What could not be read for lack of descriptors or memory may be tried again.
    // True: there is something.
    bool retry() noexcept { return std::exchange(waits_, false); }
    void on_read(std::uint64_t tag, int error);

    [[nodiscard]] bool empty() const noexcept { return requests_.empty(); }
    // Damage met so far, and where the latest was.
    [[nodiscard]] std::uint64_t damaged() const noexcept { return damaged_; }
    [[nodiscard]] core::log_position damaged_at() const noexcept { return damaged_at_; }

private:
    static constexpr std::size_t reads_max = 32;
    static constexpr std::size_t reads_ahead_max = 24;  // the rest is for what somebody waits for now
    static constexpr std::size_t pieces_max = 16;
    static constexpr std::uint32_t read_bytes_max = 256 * 1024;
    static constexpr std::uint32_t gap_max = 16 * 1024;  // cheaper read than skipped

    // What has been read of the log, or is being read.
    struct piece {
        aligned_buffer buffer;
        core::log_position from = 0;
        std::uint32_t bytes = 0;
        std::size_t first = 0;  // of a request's `which` that it was read for ...
        std::size_t last = 0;   // ... up to this one, behind which it goes
        std::uint64_t tag = 0;
        bool under_way = true;
        int error = 0;

        [[nodiscard]] bool covers(core::log_position at) const noexcept { return at >= from && at < from + bytes; }
    };
    struct request {
        core::log_reader* into = nullptr;  // null: done, and here for the reads that are still under way
        // read(): these; read_on(): none, but what begins in [from, until).
        std::vector<core::record_range> which;
        core::log_position from = 0;
        core::log_position until = 0;

        std::size_t shown = 0;           // records so far: the next index
        core::log_position at = 0;       // of the record to be looked at; 0: the next of `which` begins
        bool passing_damage = false;     // read_on(): between a damaged record and the next good one
        core::log_position retried = 0;  // there the disk could not read a stretch, and has been asked for less
        record_assembler assembler;

        std::vector<piece> pieces;  // by `last`
        std::size_t planned = 0;    // all of `which` before it are shown, or have their pieces
        aligned_buffer spare;

        [[nodiscard]] bool reads_on() const noexcept { return which.empty(); }
    };
    enum class found : std::uint8_t {
        record,
        nothing,
        damage,
        unreadable,  // the disk says that it cannot
        under_way,
        elsewhere,  // on the disk, and not asked for yet
    };
    struct look {
        found what = found::damage;
        stored_record record;
        core::log_position next = 0;
        std::uint32_t bytes = 0;  // elsewhere: how many are to be read
    };

    // Each goes on until it is done (true) or waits for the disk.
    bool run_ranges(request& r);
    bool run_on(request& r);
    [[nodiscard]] core::log_position first_place(core::log_position from) const;
    [[nodiscard]] look look_at(request& r) const;
    // None of them: how many bytes are needed to see more.
    [[nodiscard]] look look_in(const piece* p, core::log_position at, const segment& s) const;
    struct stretch {
        core::log_position from = 0;
        std::uint32_t bytes = 0;
        std::size_t first = 0;
        std::size_t last = 0;
    };
    // How far one read should reach from there on: over that one of `which` and those that follow closely.
    [[nodiscard]] stretch neighbours(const request& r, std::size_t first, core::log_position from) const;
    // Later, when as many are under way as may be.
    void begin_read(request& r, const stretch& what);
    void read_ahead(request& r);
    [[nodiscard]] bool may_read_ahead(const request& r) const noexcept;
    static void drop_piece(request& r, std::vector<piece>::iterator p);
    [[nodiscard]] bool ask_for_less(request& r, std::uint32_t bytes);
    [[nodiscard]] std::uint32_t pass_unreadable(request& r);
    static std::uint32_t drop_refused(request& r);
    static void drop_shown(request& r);
    void show(request& r, const core::log_record& record);
    void show_damage(request& r, core::log_position at);

    // Constant after construction.
    disk& disk_;
    const segment_geometry geometry_;
    segment_chain& chain_;
    const batch_queue& batches_;

    std::deque<std::unique_ptr<request>> requests_;
    std::uint64_t next_tag_ = 0;
    std::size_t under_way_ = 0;
    bool waits_ = false;  // no read begins until retry()
    core::log_position begin_ = 0;
    core::log_position durable_ = 0;
    bool shown_any_ = false;
    std::uint64_t damaged_ = 0;
    core::log_position damaged_at_ = 0;
};

}  // namespace linnet::store
