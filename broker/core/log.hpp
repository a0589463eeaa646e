#pragma once

#include "broker/base/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

// The seam between the broker and what survives it. The core knows a log by this interface alone:
// broker/store implements it in memory, over files and over a simulated disk; a replicated log can take
// their place without a change above.

namespace linnet::core {

// Where a record lies in its log: a byte offset that only grows, over all segments there ever were. Zero is
// no position: the first record of a log lies behind the first segment's header.
using log_position = std::uint64_t;

// What a stored record is good for after a failure of ...
enum class survives : std::uint8_t { nothing, process, power };

struct log_capabilities {
    survives what = survives::nothing;
    bool replicated = false;
    std::uint32_t record_bytes_max = 0;
    std::uint64_t segment_bytes = 0;
};

// Bits of a record that the log itself understands.
struct record_flags {
    // More records of the same group follow: after a crash all of a group are there, or none.
    static constexpr std::uint8_t more = 1;
};

// One record as recovery and reading show it. The bytes are good during the call only.
struct log_record {
    log_position at = 0;
    std::uint8_t kind = 0;  // the writer's; the log does not look at it
    std::uint8_t flags = 0;
    std::span<const std::uint8_t> payload;
    std::uint32_t bytes = 0;  // in the log, as append() counted them
};

enum class log_health : std::uint8_t {
    good,
    full,    // no room to prepare another segment: publishers are to be held back; what frees room goes on
    failed,  // a write or sync failed: nothing more will become durable, and the process must end (P5)
};

// A record wanted back. Owned by whoever asks; must stay until done() has been called or the log ends.
class log_reader {
public:
    log_reader() = default;
    log_reader(const log_reader&) = delete;
    log_reader& operator=(const log_reader&) = delete;
    virtual ~log_reader() = default;
    // One of the records asked for, in the order asked; not durable ones come from memory. `payload` is empty
    // and `kind` 0 where the stored bytes fail their check: damage, which is named in the log's own report.
    virtual void on_record(std::size_t index, const log_record& r) = 0;
    virtual void on_done() = 0;
};

struct record_range {
    log_position at = 0;
    std::uint32_t bytes = 0;  // as append() counted them
};

// An append-only sequence of records, in segments that are dropped from the oldest on.
//
// Records become durable in order: durable() is a prefix. Nothing here blocks and append() cannot fail; trouble
// shows in health() and congested().
//
// Threads: one shard's; recovery has run before, on the thread that opened the log.
// Bounds:  what is appended and not yet written stays in memory: while congested() callers stop the input that makes
//          messages be stored; what settles them goes on.
class durable_log {
public:
    durable_log() = default;
    durable_log(const durable_log&) = delete;
    durable_log& operator=(const durable_log&) = delete;
    virtual ~durable_log() = default;

    using parts = std::span<const std::span<const std::uint8_t>>;
    struct appended {
        log_position at = 0;
        std::uint32_t bytes = 0;  // what it takes in the log, header and padding included
    };
    // The parts are written one behind the other, and are not needed afterwards.
    virtual appended append(std::uint8_t kind, std::uint8_t flags, parts payload) = 0;

    // Begins to write what has been appended, unless as much as is sensible is under way already: then the
    // next poll() that sees a write end goes on by itself. Once a turn.
    virtual void flush() = 0;
    // Takes note of what the disk has done: moves durable(), calls readers. True when there was anything.
    virtual bool poll() = 0;
    // Something is under way whose end poll() will see; wake_through() says how one hears of it.
    [[nodiscard]] virtual bool busy() const noexcept = 0;
    // What failed for lack of space is tried again, and spare memory is given back: about once a second, from the
    // shard's timers.
    virtual void tick(mono_ns now) = 0;
    // An eventfd, the shard's own, that is written to when poll() would find something: one for all of its logs,
    // so the kernel wakes the shard without a thread between. Set once, before the first append or read; the
    // descriptor must outlive the log. A log that is driven by poll() alone (a simulated one) does not look at it.
    virtual void wake_through(int event_fd) = 0;

    // Everything appended has a position below.
    [[nodiscard]] virtual log_position end() const noexcept = 0;
    // Every record that lies below is on stable storage.
    [[nodiscard]] virtual log_position durable() const noexcept = 0;
    // The oldest position still kept.
    [[nodiscard]] virtual log_position begin() const noexcept = 0;

    // Reads records back, possibly long after this call. Ranges in rising order cost least.
    virtual void read(std::span<const record_range> which, log_reader& into) = 0;
    // Shows every durable record that begins in [from, from + bytes_max), in order, possibly long after this
    // call: for cleaning a segment piece by piece.
    virtual void read_on(log_position from, std::uint32_t bytes_max, log_reader& into) = 0;
    // Every record from `from` to the durable end, in order, on this thread, blocking: for backups and
    // tests. Stops when `f` returns false.
    virtual void scan(log_position from, const std::function<bool(const log_record&)>& f) = 0;
    // Nothing below is wanted any more: whole segments go.
    virtual void drop_before(log_position keep) = 0;

    // More waits to be written than should: read no more input that ends here.
    [[nodiscard]] virtual bool congested() const noexcept = 0;
    [[nodiscard]] virtual log_health health() const noexcept = 0;
    [[nodiscard]] virtual std::string complaint() const = 0;  // why it is not good
    [[nodiscard]] virtual log_capabilities capabilities() const noexcept = 0;

    // The log's epoch: grows by one with every opening; a replicated log's term.
    [[nodiscard]] virtual std::uint64_t epoch() const noexcept = 0;
    // For the next thread: whoever set it up, or ended the shard, gives it away.
    virtual void release_owner() const noexcept = 0;
    // Writes everything out, waits for it, and marks the end as a clean one. Blocks. False: it failed.
    virtual bool close() = 0;
};

}  // namespace linnet::core
