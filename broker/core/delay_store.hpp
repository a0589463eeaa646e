#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/delay_tree.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/record_owner.hpp"
#include "broker/core/timer_wheel.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

namespace linnet::core {

class delay_store;

// What a store of delayed messages needs of its shard.
class delay_context {
public:
    delay_context() = default;
    delay_context(const delay_context&) = delete;
    delay_context& operator=(const delay_context&) = delete;
    virtual ~delay_context() = default;

    [[nodiscard]] virtual mono_ns delay_now() const noexcept = 0;
    [[nodiscard]] virtual wall_ns delay_wall_now() const noexcept = 0;
    [[nodiscard]] virtual timer_wheel& delay_timers() noexcept = 0;
    // It is due: to be routed by the topology of this moment and published. Calls from.settled(id) in one group with
    // what becomes of it, or as soon as that is durable; at once when nothing has to be.
    virtual void on_due(delay_store& from, position id, message_ptr m) = 0;
};

// The owner of the delayed messages of one vhost, in each log where it has any.
inline constexpr owner_uid delaying_owner = owner_uid{1} << 62;
[[nodiscard]] constexpr owner_uid delays_of(vhost_id v, std::uint16_t log = 0) noexcept {
    return delaying_owner | std::uint64_t{log} << 32 | v.value;
}
[[nodiscard]] constexpr std::uint16_t delayed_log(owner_uid uid) noexcept {
    return static_cast<std::uint16_t>(uid >> 32);
}
[[nodiscard]] constexpr bool is_delaying(owner_uid uid) noexcept { return (uid & delaying_owner) != 0; }
[[nodiscard]] constexpr vhost_id delayed_vhost(owner_uid uid) noexcept {
    return vhost_id{static_cast<std::uint32_t>(uid & 0xffff'ffffU)};
}

// Messages of one vhost and log that are to be published later: those of delayed-message exchanges.
//
// A message's id is its position in the log and begins with the millisecond when it is due, so that one ordered tree
// finds the next, browses, cancels and answers the journal. The message itself waits in the log and is read
// back shortly before it is due; a transient one waits in memory, and goes to the log when memory is short.
//
// Time is monotonic while the process runs: ids are on a time line that starts as wall-clock time and does not follow
// its jumps. After a jump, new messages begin a time line of their own, so that every record holds the wall-clock
// time that its publisher meant, which is what counts after a restart.
//
// Threads: its shard's.
// Bounds:  21 to 32 bytes a waiting message; of those about to be due, fetch_count or fetch_bytes are in memory.
// Fails:   a record that is damaged is given up and counted.
class delay_store final : public record_owner, private timer {
public:
    // How long before it is due a message is asked back from the log.
    static constexpr mono_ns fetch_ahead = 500 * ns_per_ms;
    static constexpr std::size_t fetch_count = 4096;
    static constexpr std::uint64_t fetch_bytes = 16 * 1024 * 1024;

    delay_store(delay_context& context, journal* log, owner_uid uid);
    ~delay_store() override;

    // Takes it over for so long; recorded when it is persistent and there is a log, so its confirm has to wait
    // for the journal. Returns its id.
    position add(message_ptr m, mono_ns delay);
    // Nothing will be published. False when it is not waiting (any more).
    bool cancel(position id);
    // What became of it is durable.
    void settled(position id);

    struct pending {
        position id = 0;
        mono_ns due = 0;          // on the monotonic clock of now
        wall_ns due_wall = 0;     // as its publisher meant it
        std::uint32_t bytes = 0;  // of its record; 0: in memory only
    };
    // At most `most` waiting messages in the order they are due, those behind `after` (0: from the first).
    [[nodiscard]] std::vector<pending> browse(const pending& after, std::size_t most) const;
    [[nodiscard]] std::vector<pending> browse(std::size_t most) const { return browse(pending{}, most); }

    // Writes messages that are only in memory to the log, the first to be due first, but for those that are due soon;
    // returns the bytes given back. A call looks at a part of them and the next goes on from there: 0 does not say that
    // there are none.
    std::uint64_t shrink(std::uint64_t bytes);

    struct figures {
        std::uint64_t waiting = 0;
        std::uint64_t index_bytes = 0;
        std::uint64_t message_bytes = 0;  // of messages in memory
        std::uint64_t damaged = 0;
    };
    [[nodiscard]] figures look() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return waiting_ == 0 && publishing_.empty(); }
    [[nodiscard]] owner_uid uid() const noexcept { return uid_; }
    [[nodiscard]] journal* log() const noexcept { return log_; }
    // It was due before this process began, and the one before may have published it.
    [[nodiscard]] bool in_doubt(position id) const noexcept { return id < in_doubt_below_; }
    // For the next thread: recovery runs on another than the shard.
    void release_owner() const noexcept { owner_.release(); }

    // ---- record_owner --------------------------------------------------------------------------
    [[nodiscard]] record_range place_of(position pos) const override;
    void on_moved(position pos, const stored_ref& to) override;
    void on_fetched(position pos, message_ptr m) override;
    void on_recovered(const recovered_message& m) override;
    void on_recovered_settled(position first, std::uint64_t count) override;
    void on_recovered_attempts(position, std::uint32_t) override {}  // nothing delayed has been delivered
    void on_recovered_doubt(position below) override { in_doubt_below_ = below; }
    // What was due meanwhile is published in the next turns.
    void on_recovery_end(bool clean) override;
    // Before its log is closed for good.
    void on_clean_end();

private:
    // Messages whose ids are on one time line: monotonic time plus `offset`.
    struct time_line {
        delay_tree tree;
        wall_ns offset = 0;
    };
    static constexpr std::size_t due_a_turn = 4096;
    static constexpr std::size_t looked_a_turn = 64 * 1024;  // by shrink()

    void on_timer(mono_ns now) override;
    [[nodiscard]] time_line& line_for_new();
    [[nodiscard]] time_line* line_of(position id) noexcept;
    [[nodiscard]] const time_line* line_of(position id) const noexcept;
    [[nodiscard]] time_line* next_line() noexcept;
    [[nodiscard]] static mono_ns due_of(const time_line& l, position id) noexcept;
    void fetch_soon_due();
    bool publish_due();
    void forget(const delay_entry& e);
    [[nodiscard]] stored_ref record(const message& m, position id, wall_ns due, bool lasting);
    void arm() noexcept;
    void drop_empty_lines();

    delay_context& context_;
    journal* log_;
    owner_uid uid_;
    std::list<time_line> lines_;  // the newest last; nearly always one
    std::uint64_t waiting_ = 0;
    std::uint64_t in_memory_bytes_ = 0;
    std::uint32_t sequence_ = 0;
    struct {
        position asked = 0;
        position given = 0;
    } crowded_;  // the last full millisecond, and the one after it that has room
    // Asked back from the log (null) or there already.
    std::map<position, message_ptr> near_;
    std::uint64_t near_bytes_ = 0;
    mono_ns look_again_ = 0;  // for more of them; looking costs as much as there are
    position shrunk_to_ = 0;  // how far shrink() has looked
    // Handed out by on_due() and not settled: their records still count.
    std::unordered_map<position, delay_entry> publishing_;
    position in_doubt_below_ = 0;  // after a crash: what was due by then
    std::uint64_t damaged_ = 0;
    thread_owner owner_;
};

}  // namespace linnet::core
