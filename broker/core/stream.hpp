#pragma once

#include "broker/base/thread_owner.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/errand_marks.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/stream_chunks.hpp"
#include "broker/core/stream_filter.hpp"
#include "broker/core/stream_index.hpp"
#include "broker/core/stream_item.hpp"
#include "broker/core/stream_record.hpp"
#include "broker/core/stream_start.hpp"
#include "broker/core/timer_wheel.hpp"
#include "broker/core/topology.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {

// What a stream needs of the shard it lives on.
class stream_context {
public:
    stream_context() = default;
    stream_context(const stream_context&) = delete;
    stream_context& operator=(const stream_context&) = delete;
    virtual ~stream_context() = default;

    [[nodiscard]] virtual mono_ns now() const noexcept = 0;
    [[nodiscard]] virtual wall_ns wall_now() const noexcept = 0;
    [[nodiscard]] virtual timer_wheel& timers() noexcept = 0;
    [[nodiscard]] virtual message_pool& pool() noexcept = 0;
    [[nodiscard]] virtual const property_reader* reader_of(protocol_tag tag) const noexcept = 0;
    // Consumers on other shards.
    virtual void deliver_remote(const remote_consumer& to, delivery&& d) = 0;
    virtual void cancel_remote(const remote_consumer& to, cancel_reason why) = 0;
    virtual void gap_remote(const remote_consumer& to, position resumed) = 0;
    // A consumer of this shard that the stream is about to tell of its end: its sink counts one source less.
    virtual void forget_local(delivery_sink& sink, queue_handle q, consumer_id c) {
        static_cast<void>(sink);
        static_cast<void>(q);
        static_cast<void>(c);
    }
    // From now on until it is no longer busy(): flush() at the end of turns, poll() when the disk has something.
    virtual void on_active(class stream& s) = 0;
    // Readers can go on: pump() later.
    virtual void on_readable(class stream& s) = 0;
    virtual void on_durable(const durable_waiter& w) = 0;
};

// Where the logs of streams are, by the durable names of their queues.
//
// Threads: each call from the shard that the stream lives on, or, while none runs, the main thread. Both block: they
//          stand for a declaration or a deletion, and make or remove a folder.
class stream_store {
public:
    stream_store() = default;
    stream_store(const stream_store&) = delete;
    stream_store& operator=(const stream_store&) = delete;
    virtual ~stream_store() = default;

    // Opens the log of that name or begins it, and shows what it has to `visit`.
    [[nodiscard]] virtual result<std::unique_ptr<durable_log>, std::string> open(
        owner_uid uid, std::uint64_t segment_bytes, const std::function<void(const log_record&)>& visit) = 0;
    // It has been closed, and nothing of it is wanted any more.
    virtual void remove(owner_uid uid) = 0;
};

// A queue that only grows and is read by many, each at a place of its own (AMQP: x-queue-type stream).
//
// Messages have offsets 0, 1, 2 ... and lie in a log that is the stream's alone. Nobody sees one before it is durable:
// so what a reader has seen is never taken back by a crash, and its offset never means another message. Settling
// only gives credit back. What is old goes by whole segments, by size and age.
//
// Readers at the end are served from the newest messages, which stay in memory while there are readers; those behind
// read chunks from the log, shared by all that stand there, the next one ahead of need.
//
// Threads: the owning shard's; until open(), the thread that recovers.
// Bounds:  1 MiB or 4096 of the newest messages, 4 MiB of chunks read back, 24 bytes of index a chunk, a hundred-odd
//          bytes a reader. A pump looks at 4096 messages.
// Fails:   damaged records are passed over, as the log has reported them; append() refuses what fits no record.
class stream final : private timer {
public:
    // Without a bound of its own, what a log in memory keeps.
    static constexpr std::uint64_t memory_bytes_max = std::uint64_t{64} << 20;
    static constexpr std::uint32_t remote_window = queue::remote_window;

    stream(stream_context& context, queue_handle self, const queue_spec& spec);
    ~stream() override;

    // ---- Recovery: each record in order, then the log that showed them -------------------------
    void replay(const log_record& r);
    void open(std::unique_ptr<durable_log> log);

    [[nodiscard]] queue_handle self() const noexcept { return self_; }
    [[nodiscard]] const queue_spec& spec() const noexcept { return spec_; }
    [[nodiscard]] durable_log& log() noexcept { return *log_; }
    // The oldest offset that is kept, and the one that the next message gets.
    [[nodiscard]] position first_offset() const noexcept { return first_; }
    [[nodiscard]] position next_offset() const noexcept { return next_; }
    // What can be read lies below.
    [[nodiscard]] position readable_end() const noexcept { return readable_; }
    [[nodiscard]] std::uint64_t message_count() const noexcept { return next_ - first_; }
    [[nodiscard]] std::uint64_t consumer_count() const noexcept { return order_.size(); }
    // For people, as a queue's.
    [[nodiscard]] queue_figures figures();
    [[nodiscard]] std::vector<consumer_look> consumers() const;
    // Names this history: an offset of another one says nothing here. Offsets of one history stay good over restarts.
    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }

    // ---- Writing -------------------------------------------------------------------------------
    [[nodiscard]] enqueue_result append(message_ptr m, const errand_name& brought_by = {});
    // That errand has brought its message, if it was to bring one.
    [[nodiscard]] bool has_run(const errand_name& e) const noexcept {
        return e.number != 0 && marks_.has(e.log, e.number);
    }
    // on_durable(w) follows when everything appended so far can be read; never from within.
    void wait(const durable_waiter& w);
    // Ends a batch, and begins to write it.
    void flush();
    // Takes note of what the disk has done. True when there was anything.
    bool poll();
    // As if it were busy, once.
    void activate();
    [[nodiscard]] bool busy() const noexcept { return log_->busy() || !batches_.empty() || readable_ != next_; }
    [[nodiscard]] bool congested() const noexcept { return log_->congested(); }

    // ---- Readers -------------------------------------------------------------------------------
    struct attachment {
        std::uint64_t tag = 0;
        delivery_sink* sink = nullptr;  // on this shard, or null:
        remote_consumer remote{};       // then here
        std::string label;
        std::uint32_t prefetch = 0;  // 0: unlimited
        bool no_ack = false;
        // For people.
        session_handle session{};
        std::uint32_t place = 0;
        value_table arguments{};
        stream_start start{};
        // Of the history that `start.offset` belongs to; 0: of this one, whichever it is. Another one's readers
        // begin at the first message and are told of the gap.
        std::uint64_t epoch = 0;
        std::unique_ptr<stream_filter> filter;
    };
    // What consume says by its arguments: x-stream-offset, x-stream-epoch, filters. `resource` is for the refusal.
    [[nodiscard]] static outcome<void> read_arguments(const value_table& arguments, std::string_view resource,
                                                      wall_ns now, attachment& into);
    [[nodiscard]] consumer_id attach(attachment a);
    // What it looks at next; the end for one that is gone.
    [[nodiscard]] position next_of(consumer_id id) noexcept;
    void detach(consumer_id id);
    void set_prefetch(consumer_id id, std::uint32_t prefetch);
    // As queue::add_credit.
    void add_credit(consumer_id id, std::uint32_t count);
    // `count` deliveries are done, however: credit returns. Call pump() later.
    void settle(consumer_id id, std::uint32_t count) noexcept;
    // The shard's note that a pump is to come: false when there was one already.
    [[nodiscard]] bool mark_scheduled() noexcept { return !std::exchange(scheduled_, true); }
    void unmark_scheduled() noexcept { scheduled_ = false; }
    // Delivers what readers can take. False: it stopped at its bound with more to do.
    bool pump();

    // ---- The whole -----------------------------------------------------------------------------
    // A policy changed.
    void apply(const queue_spec& spec);
    // The stream is being deleted: readers are told. Returns how many messages it had.
    std::uint64_t shut_down();
    // Who still waited then.
    [[nodiscard]] std::vector<durable_waiter> let_go();
    // For the next thread: recovery runs on another than the shard.
    void release_owner() const noexcept { owner_.release(); }

private:
    struct reader {
        attachment a;
        consumer_id id{};
        position next = 0;            // what it reads next
        wall_ns not_before = 0;       // while it looks for its first message
        bool lost_history = false;    // and is yet to be told
        std::uint32_t in_flight = 0;  // delivered and not settled; only with acks
        std::uint32_t under_way = 0;  // as queue::consumer's
    };
    struct batch {
        log_position end = 0;  // of its last record, which may be written in several parts
        position next = 0;     // the first offset behind it
    };
    enum class look : std::uint8_t { found, loading, end };
    struct found_item {
        look what;
        stream_item* item = nullptr;
    };

    static constexpr std::size_t newest_count_max = 4096;
    static constexpr std::size_t newest_bytes_max = 1024 * 1024;
    static constexpr std::uint32_t pump_batch_max = 4096;
    static constexpr std::uint32_t reader_batch_max = 256;

    void on_timer(mono_ns now) override;
    void keep_newest(message_ptr m, wall_ns now);
    void note_durable();
    [[nodiscard]] bool keep_marks(log_position keep);
    // Retention (stream_retention.cpp).
    void retain();
    void watch_age();
    [[nodiscard]] log_position keep_from_by_size() const noexcept;
    [[nodiscard]] log_position keep_from_by_age() const noexcept;
    // Reading (stream_read.cpp).
    [[nodiscard]] found_item look_up(position offset);
    [[nodiscard]] found_item look_up_stored(position offset);
    void load(std::size_t chunk);
    void close_gap(reader& r);
    [[nodiscard]] bool wants(const reader& r, stream_item& item) const;
    [[nodiscard]] static bool can_take(const reader& r) noexcept;
    std::uint32_t serve(reader& r, std::uint32_t most);
    void deliver(reader& r, const stream_item& item, position offset);
    [[nodiscard]] position begin_of(const attachment& a, wall_ns& not_before, bool& gap) const noexcept;
    [[nodiscard]] reader* find(consumer_id id) noexcept;

    stream_context& context_;
    queue_handle self_;
    queue_spec spec_;
    std::uint64_t epoch_;
    // Readers, by slot (the id's low half), and in turn.
    std::vector<std::unique_ptr<reader>> readers_;
    std::vector<reader*> order_;
    std::size_t turn_ = 0;
    std::uint32_t next_generation_ = 1;
    // The log.
    stream_record_writer writer_;
    stream_record_reader replayed_;
    stream_index index_;
    errand_marks marks_;
    record_bytes marks_bytes_;
    position first_ = 0;
    position readable_ = 0;
    position next_ = 0;
    position began_at_ = 0;  // what has come since then, this process has seen come
    message_counts counts_;  // but for `publish`
    std::unique_ptr<rate_window<message_counts>> window_;
    position last_batch_ = 0;  // where the newest readable batch begins
    log_position last_at_ = 0;
    log_position last_end_ = 0;
    mono_ns opened_ = 0;
    wall_ns opened_wall_ = 0;
    wall_ns last_stored_at_ = 0;
    std::uint64_t retained_segment_ = 0;  // of the log's end when retention was last looked at
    bool active_ = false;
    bool scheduled_ = false;
    std::deque<batch> batches_;  // flushed and not yet durable
    struct waiting {
        position until = 0;
        durable_waiter who;
    };
    std::deque<waiting> waiters_;
    // The newest messages, up to next_; empty without readers.
    std::deque<stream_item> newest_;
    std::size_t newest_bytes_ = 0;
    // The order matters: the log may call chunks until it is gone.
    stream_chunks chunks_;
    std::unique_ptr<durable_log> log_;
    thread_owner owner_;
};

}  // namespace linnet::core
