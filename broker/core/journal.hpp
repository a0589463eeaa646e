#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/log.hpp"
#include "broker/core/message.hpp"
#include "broker/core/record_owner.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace linnet::core {

class message_pool;

// One place that a recorded message takes: its position at its owner.
struct message_place {
    owner_uid owner = 0;
    position pos = 0;
    std::uint32_t attempts = 0;  // as record_owner::attempts() has it
};

// Somebody who waits until what has been recorded so far is durable: a publisher here or on another shard, who
// hears of it by a publish_settled. Plain values: the shard knows what they mean.
struct durable_waiter {
    std::uint64_t sequence = 0;
    std::uint64_t sink_tag = 0;
    std::uint64_t also = 0;  // further logs of this shard to wait for, a bit each
    std::uint32_t slot = 0;  // of the publisher's session
    std::uint32_t generation = 0;
    std::uint32_t group = 0;  // the publisher's: which of its split publishes
    shard_id publisher{};     // its shard
    bool accepted = true;
};

// The messages of one log: what is recorded of them, what is still wanted, who waits for it to be durable.
//
// A message is written once for all its owners in this log and read back by place. The journal knows how much
// of each segment is still wanted; the oldest segments are cleaned (what is alive is copied to the end) so that the
// log stays below twice what is alive and a few segments.
//
// Threads: its shard's.
// Bounds:  56 bytes a waiter; messages appended are bounded by the log (congested()): who stores them waits.
class journal {
public:
    // Finds the owner of that name, null when it is gone: its records are dead then.
    using owner_finder = std::function<record_owner*(owner_uid)>;

    // Recovery first: replay() for each record of the log, then open(). Only recording needs the log itself.
    journal(message_pool& pool, owner_finder find);
    // Over an empty log: open at once.
    journal(durable_log& log, message_pool& pool, owner_finder find);
    ~journal();
    journal(const journal&) = delete;
    journal& operator=(const journal&) = delete;

    // ---- Recording -----------------------------------------------------------------------------
    // None of these waits or fails. Group: begin_group() ... end_group() are recovered whole or not at all.
    void begin_group() noexcept;
    bool end_group();  // false: nothing was recorded in it
    // `due`: a delayed message's time; 0: none. The ref is the same for all of its places.
    [[nodiscard]] stored_ref record_message(const message& m, wall_ns now, std::span<const message_place> places,
                                            wall_ns due = 0);
    // How many it has been called for, by whoever.
    [[nodiscard]] std::uint64_t recorded_messages() const noexcept;
    // Those messages are done: `count` positions from each `first` on.
    struct run {
        position first = 0;
        std::uint64_t count = 0;
    };
    void record_settled(owner_uid owner, std::span<const run> runs);
    // It came back, or was received: after a crash it is to have that many attempts, and received_bit, had_bit.
    void record_attempts(owner_uid owner, position pos, std::uint32_t attempts);
    // Before a clean end: what lies below may have been delivered before, which an unclean start found and the next one
    // cannot know.
    void record_doubt(owner_uid owner, position below);
    // What an owner wants to know again after a crash beside its messages; it is told before their segment goes,
    // which waits until it has recorded them again (record_owner::on_dropping). Returns where it lies.
    log_position record_keys(owner_uid owner, std::span<const std::uint8_t> keys);
    // Owners give back what they had accounted for, whatever the reason.
    void release(const stored_ref& ref) noexcept;

    // ---- Durability ----------------------------------------------------------------------------
    // Tells it, by a later poll(), that everything recorded so far is durable; in a group: that the group is.
    void wait(const durable_waiter& w);
    [[nodiscard]] bool waiting() const noexcept;
    // In a turn: takes note of the disk, calls waiters in order. At its end: flush(), and some cleaning when there is
    // need, which goes on with whatever wakes the shard for the log.
    bool poll(const std::function<void(const durable_waiter&)>& on_durable);
    void flush();
    [[nodiscard]] bool congested() const noexcept;
    [[nodiscard]] durable_log& log() noexcept;

    // ---- Reading back --------------------------------------------------------------------------
    // Brings the messages back, later, by owner.on_fetched(); the owner is looked up again by then.
    struct wanted {
        position pos = 0;
        stored_ref where;
    };
    void fetch(owner_uid owner, std::span<const wanted> which);

    // ---- Recovery ------------------------------------------------------------------------------
    // Each record of the log in order, before its shard runs; then open() once, with the log that showed them.
    // Whatever the bytes say, nothing breaks: a record that makes no sense is counted as damaged.
    void replay(const log_record& r);
    void open(durable_log& log);
    // For the next thread: recovery runs on another than the shard.
    void release_owner() const noexcept;

    // ---- Figures -------------------------------------------------------------------------------
    struct figures {
        std::uint64_t live_bytes = 0;
        std::uint64_t log_bytes = 0;
        std::uint64_t copied_bytes = 0;  // by cleaning
        std::uint64_t damaged = 0;       // messages whose bytes failed their check when read back
    };
    [[nodiscard]] figures look() const noexcept;

private:
    struct state;
    struct fetching;
    struct cleaner;
    std::unique_ptr<state> state_;
    thread_owner owner_;
};

}  // namespace linnet::core
