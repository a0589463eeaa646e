#pragma once

#include "broker/base/thread_owner.hpp"
#include "broker/core/chunk_swap.hpp"
#include "broker/core/counts.hpp"
#include "broker/core/death_log.hpp"
#include "broker/core/dedup_window.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/flight_recorder.hpp"
#include "broker/core/group_lines.hpp"
#include "broker/core/item_ring.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/looks.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/queue_index.hpp"
#include "broker/core/queue_settings.hpp"
#include "broker/core/record_owner.hpp"
#include "broker/core/retry.hpp"
#include "broker/core/timer_wheel.hpp"
#include "broker/core/topology.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// What a queue needs of the shard it lives on.
class queue_context {
public:
    queue_context() = default;
    queue_context(const queue_context&) = delete;
    queue_context& operator=(const queue_context&) = delete;
    virtual ~queue_context() = default;

    [[nodiscard]] virtual mono_ns now() const noexcept = 0;
    // For records alone: what is stored says when by the wall clock. All deadlines run on now().
    [[nodiscard]] virtual wall_ns wall_now() const noexcept = 0;
    [[nodiscard]] virtual timer_wheel& timers() noexcept = 0;
    // Who understands such a property block; null: nobody.
    [[nodiscard]] virtual const property_reader* reader_of(protocol_tag tag) const noexcept {
        static_cast<void>(tag);
        return nullptr;
    }
    // Takes the parts of deep indexes that are not needed soon; null: all stay in memory.
    [[nodiscard]] virtual chunk_swap* index_swap() noexcept { return nullptr; }
    // The message left the queue without being consumed: dead-letter it, or let it go. Must not re-enter
    // the queue (the shard works these off later). When `item.stored` (only with a dead-letter exchange), the queue
    // still holds its record: settle_stored() with consumer 0 once the successor is durable, or there is none.
    // Without a dead-letter exchange it may come without its message.
    virtual void on_dead(const class queue& q, queue_item&& item, death_reason why) = 0;
    // Consumers on other shards.
    virtual void deliver_remote(const struct remote_consumer& to, delivery&& d) = 0;
    virtual void cancel_remote(const struct remote_consumer& to, cancel_reason why) = 0;
    // A consumer of this shard that the queue is about to tell of its end: its sink counts one source less.
    virtual void forget_local(delivery_sink& sink, queue_handle q, consumer_id c) {
        static_cast<void>(sink);
        static_cast<void>(q);
        static_cast<void>(c);
    }
    // An auto-delete queue lost its last consumer, or a queue's x-expires ran out: it wants to be deleted.
    virtual void on_unused(const class queue& q) = 0;
    // Messages have come back from the log: there is something to pump, and a waiting get() can be answered.
    virtual void on_loaded(class queue& q) = 0;
    // A step of a message that has an id (message_traits::identified).
    virtual void on_flight(const class queue& q, flight_step what, const message& m, position pos, consumer_id to) {
        static_cast<void>(q);
        static_cast<void>(what);
        static_cast<void>(m);
        static_cast<void>(pos);
        static_cast<void>(to);
    }
    // Messages are settled that the log still takes for wanted: record_settled() at the end of the turn, so that all of
    // a turn is one record, and where a transaction begins and ends.
    virtual void on_settled(class queue& q) = 0;
};

// Where a queue keeps what is to outlive the process, or what memory has no room for.
struct queue_keeping {
    journal* log = nullptr;  // none: everything stays in memory
    owner_uid uid = 0;
    // What stays in memory, and is read ahead, of messages that the log has: a disk answers within a millisecond, in
    // which a fast consumer takes a thousand. With large bodies the bytes count: 1 MiB takes a disk as long.
    std::uint32_t window_messages = 4096;
    std::uint64_t window_bytes = 1024 * 1024;
};

// The place of a consumer whose session lives on another shard.
struct remote_consumer {
    shard_id shard{};
    std::uint32_t proxy_slot = 0;
    std::uint32_t proxy_generation = 0;
};

enum class enqueue_result : std::uint8_t { accepted, refused };

// What a queue will do with a message that is to be recorded before it is enqueued.
enum class admission : std::uint8_t {
    take,       // record it under take_position(), then enqueue_stored()
    pass,       // not to be recorded: enqueue() it (an auto-ack consumer takes it, or it is refused and dead-lettered)
    refuse,     // reject-publish, and the queue is full
    duplicate,  // seen within the deduplication window: done already, as far as its publisher is concerned
};

// The only buffer of the broker: an ordered line of messages that consumers compete for.
//
// A message goes straight to a consumer that can take it; only what nobody can take yet is stored. What is
// lent leaves the queue (see delivery) until it is settled or comes back, then into its old place by its position, so
// that order survives a requeue.
//
// What the log has is in an index as well, until it is settled. A long queue keeps a window at its head in
// memory; what lies behind exists in the index alone ("paged") and is read back before consumers get there. Messages
// that the log does not have stay in memory wherever they stand, until shrink() writes them there.
//
// A message expires wherever it stands. With a time to live of the queue's own, deadlines rise with the positions
// and looking at the head suffices; those that do not follow that rule are in a heap.
//
// Threads: the owning shard's.
// Bounds:  32 bytes a message in memory beside the message itself, 17 to 31 a message that the log has (see
//          queue_index), 16 for a deadline that is out of order. A window of messages that the log has stays in
//          memory; max_length and the memory budget bound the rest. Delivering costs O(1), with many consumers
//          O(consumers that cannot take now); O(log n) for what the log has.
class queue final : public record_owner, private timer {
public:
    // How much may be under way to a consumer on another shard, in units of window_cost(): so many small messages or
    // 4 MiB. A turn of a busy shard takes milliseconds; this many keep a consumer at some millions a second meanwhile.
    static constexpr std::uint32_t remote_window = 8192;
    // At first, and after it had been closed, it is so much; a consumer that takes what it gets is given twice as much
    // (consumer_proxy::withheld). So thousands of slow ones hold little.
    static constexpr std::uint32_t remote_window_first = 512;
    // Beyond so many, messages that expired out of order wait to be read back for their dead-letter exchange.
    static constexpr std::uint32_t doomed_max = 1024;

    queue(queue_context& context, queue_handle self, const queue_spec& spec, queue_keeping keeping = {});
    ~queue() override;

    [[nodiscard]] queue_handle self() const noexcept { return self_; }
    [[nodiscard]] const queue_spec& spec() const noexcept { return spec_; }
    [[nodiscard]] std::uint64_t ready_count() const noexcept { return ready_; }
    [[nodiscard]] std::uint64_t ready_bytes() const noexcept { return ready_bytes_; }
    [[nodiscard]] std::uint64_t unacked_count() const noexcept { return unacked_; }
    // Waiting for their next attempt: neither ready nor lent.
    [[nodiscard]] std::uint64_t delayed_count() const noexcept { return retries_.size(); }
    [[nodiscard]] std::uint64_t consumer_count() const noexcept { return order_.size(); }
    [[nodiscard]] bool had_consumer() const noexcept { return had_consumer_; }
    // By the low bits of a position (flight_position_mask). For people: O(messages) in a queue with groups or retries.
    [[nodiscard]] whereabouts find_message(position low_bits) const;
    // Ready messages that are not in memory.
    [[nodiscard]] std::uint64_t paged_count() const noexcept { return paged_; }
    // Messages that were lost because the log could not give them back.
    [[nodiscard]] std::uint64_t damaged_count() const noexcept { return damaged_; }
    // What the queue costs beside its messages.
    [[nodiscard]] std::uint64_t own_bytes() const noexcept;
    // Of the bodies of those that are lent and have to be acknowledged.
    [[nodiscard]] std::uint64_t unacked_bytes() const noexcept { return unacked_bytes_; }
    // Those that the log has, lent ones included, whoever wrote them there.
    [[nodiscard]] std::uint64_t stored_count() const noexcept;
    // Since the process began.
    [[nodiscard]] message_counts counts() const noexcept;
    // For people: all of these together. Rates are kept from the first look on; most queues are never looked at.
    [[nodiscard]] queue_figures figures();
    // Those first that are served first.
    [[nodiscard]] std::vector<consumer_look> consumers() const;

    // ---- Messages ------------------------------------------------------------------------------
    [[nodiscard]] enqueue_result enqueue(message_ptr m);
    // Does this message have to be recorded here? One look on the hot path.
    [[nodiscard]] bool records(const message& m) const noexcept { return durable_ && m.persistent(); }
    // Its successor may be there already: a crash came between, or an end before anybody was told.
    [[nodiscard]] bool in_doubt(const queue_item& item) const noexcept {
        return item.pos < delivered_below_ || (item.redelivered && item.pos < recovered_end_);
    }
    [[nodiscard]] const queue_keeping& keeping() const noexcept { return keeping_; }
    [[nodiscard]] admission admit(const message& m);
    [[nodiscard]] position take_position() noexcept { return next_position_++; }
    // After admit() said take: recorded at `where` under `pos`.
    void enqueue_stored(message_ptr m, position pos, const stored_ref& where);
    // Between the two: it is recorded and to be enqueued only when that is durable. It counts for the length, and its
    // key.
    void expect(const message& m);
    void enqueue_expected(message_ptr m, position pos, const stored_ref& where);
    // The head is in memory, or there is none; else loading has been begun and on_loaded() follows.
    [[nodiscard]] bool head_at_hand();
    enum class gives : std::uint8_t {
        all,
        stored,  // what the log has already: nothing is written
    };
    // Lets go of messages that the log has (a queue of the process's own is written there first), the last
    // to be consumed first. `spares`: a queue whose consumers take keeps its window, which it would read back at once.
    // Returns the bytes of memory given back.
    std::uint64_t shrink(std::uint64_t bytes, gives what = gives::all, bool spares = false);
    // basic.get: the head, lent to nobody in particular (consumer id 0) unless `no_ack`. Needs head_at_hand().
    [[nodiscard]] std::optional<delivery> get(bool no_ack);
    std::uint64_t purge();
    // Lends what consumers can take. Returns false when it stopped at its bound with more to do.
    bool pump();
    // A policy changed.
    void apply(const queue_spec& spec);
    // Declared again or looked at: the lease of x-expires begins anew.
    void touch();

    // ---- Consumers -----------------------------------------------------------------------------
    struct attachment {
        std::uint64_t tag = 0;
        delivery_sink* sink = nullptr;  // on this shard, or null:
        remote_consumer remote{};       // then here
        session_handle session{};
        std::string label;
        std::uint32_t prefetch = 0;
        std::int64_t priority = 0;
        bool no_ack = false;
        bool exclusive = false;
        // For people.
        std::uint32_t place = 0;
        value_table arguments{};
    };
    [[nodiscard]] outcome<consumer_id> attach(attachment a);
    // What it holds stays lent until it is settled or given back.
    void detach(consumer_id id);
    void set_prefetch(consumer_id id, std::uint32_t prefetch);
    // The far shard has passed on as much, in units of window_cost(): so much more may be under way.
    void add_credit(consumer_id id, std::uint32_t count);
    // Nothing more for a consumer of another shard, until credit for a whole window more opens it again. Where it is;
    // null for one that is gone.
    [[nodiscard]] const remote_consumer* close_window(consumer_id id);

    // ---- Settling ------------------------------------------------------------------------------
    // `count` lent messages of `bytes` are done; credit returns to the consumer. Call pump() later.
    void settle(consumer_id id, std::uint32_t count, std::uint64_t bytes) noexcept;
    // Of a stored queue: those messages, lent to that consumer (0: by get(), or dead-lettered by now), are done and
    // forgotten, to be recorded with all others of the turn.
    void settle_stored(consumer_id id, std::span<const position> which, std::uint64_t bytes);
    // What a transaction had settled before a crash, found out after recovery: nobody has been lent anything since.
    void settle_recovered(std::span<const position> which);
    // What on_settled() asked for. Until then a crash brings them back, as it does what the disk does not have yet.
    void record_settled();
    // Lent, its consumer has it: when it comes back, after a crash too, its delivery says so. False: the log does not
    // have it, so there is nothing that could outlive a crash.
    [[nodiscard]] bool note_received(position pos);
    // Comes back: requeued into its old place, or rejected (dead-lettered or dropped). Without its message if it is in
    // the log: it goes on as paged, or stays lent until it has been read back for a dead-letter exchange.
    void requeue(delivery&& d);
    // Comes back from somebody who only looked: redelivered, and no attempt.
    void return_seen(delivery&& d);
    // In flight to a consumer that was gone when it arrived: as if never lent.
    void bounce(delivery&& d);
    void reject(delivery&& d);

    // ---- record_owner --------------------------------------------------------------------------
    [[nodiscard]] record_range place_of(position pos) const override;
    [[nodiscard]] std::uint32_t attempts(position pos) const override;
    void on_moved(position pos, const stored_ref& to) override;
    void on_fetched(position pos, message_ptr m) override;
    void on_recovered(const recovered_message& m) override;
    void on_recovered_settled(position first, std::uint64_t count) override;
    void on_recovered_attempts(position pos, std::uint32_t attempts) override;
    [[nodiscard]] bool on_recovered_keys(std::span<const std::uint8_t> keys, log_position at) override;
    [[nodiscard]] bool on_dropping(log_position keep) override;
    void on_recovered_doubt(position below) override { delivered_below_ = below; }
    void on_recovery_end(bool clean) override;
    // Before its log is closed for good.
    void on_clean_end();

    // For the next thread: recovery runs on another than the shard.
    void release_owner() const noexcept { owner_.release(); }

    // The queue is being deleted: consumers are told, nothing happens any more. Returns how many were ready. What is
    // stored stays so: a crash may show that it never was deleted.
    std::uint64_t shut_down();
    // Has it anything in the log that would come back after a crash? Then let_go() is to wait until that is out of the
    // question.
    [[nodiscard]] bool lasts() const noexcept { return durable_; }
    // Every record that it accounts for.
    void let_go();

private:
    struct consumer {
        attachment a;
        consumer_id id{};
        std::uint32_t in_flight = 0;  // lent and not settled; only with acks
        std::uint32_t under_way = 0;  // of a far one's window: window_cost() of what it has not passed on, and withheld
        bool attached = true;
    };
    struct due {
        mono_ns deadline = 0;
        position pos = 0;
    };
    static constexpr position nowhere = std::numeric_limits<position>::max();
    static constexpr mono_ns never = std::numeric_limits<mono_ns>::max();
    // The messages of one priority.
    struct lane {
        explicit lane(chunk_swap* swap) noexcept : index(swap) {}
        item_ring head;                  // in memory, before everything paged
        item_ring tail;                  // in memory, behind something paged: the log does not have these
        position first_paged = nowhere;  // in order: head, this one, the rest of the paged ones and the tail
        mono_ns first_paged_deadline = 0;
        std::size_t low_water = 0;  // so few left at the head: read ahead
        mono_ns latest = 0;         // no deadline in order is later
        bool uses_heap = false;     // some deadline was out of order
        std::vector<due> dues;      // a heap: ready ones whose deadlines are out of order, and some that are gone
        queue_index index;

        [[nodiscard]] bool empty() const noexcept { return head.empty() && first_paged == nowhere; }
    };
    struct found {
        lane* in = nullptr;
        queue_index::place at;
        [[nodiscard]] explicit operator bool() const noexcept { return in != nullptr; }
    };
    static constexpr std::uint32_t pump_batch_max = 4096;

    void on_timer(mono_ns now) override;
    [[nodiscard]] static bool can_take(const consumer& c) noexcept;
    // For the flight recorder: of most messages nothing.
    void tell(flight_step what, const message& m, position pos, consumer_id to = {}) const {
        if (m.traits().identified) [[unlikely]] {
            context_.on_flight(*this, what, m, pos, to);
        }
    }
    void tell_lent(const delivery& d) const {
        tell(d.no_ack        ? flight_step::sent
             : d.redelivered ? flight_step::redelivered
                             : flight_step::delivered,
             *d.msg, d.pos, d.consumer);
    }
    [[nodiscard]] consumer* next_taker() noexcept;
    [[nodiscard]] consumer* peek_taker() noexcept;
    [[nodiscard]] consumer* next_taker_by_priority() noexcept;
    [[nodiscard]] consumer* find(consumer_id id) noexcept;
    [[nodiscard]] static queue_item new_item(message_ptr&& m, position pos, mono_ns deadline) noexcept {
        const bool redelivered = m->traits().repeated;
        return {std::move(m), pos, deadline, 0, redelivered, false};
    }
    // Nobody can take it now.
    [[nodiscard]] enqueue_result line_up(message_ptr&& m, mono_ns deadline);
    void lend(consumer& c, queue_item&& item);
    void hand_over(consumer& c, queue_item&& item, bool in_log = false);
    void store(queue_item&& item);
    void store_stored(lane& l, queue_item&& item);
    [[nodiscard]] lane& lane_of(std::uint8_t priority) noexcept;
    [[nodiscard]] lane* head_lane() noexcept;
    [[nodiscard]] queue_item take_head(lane& l) noexcept {
        queue_item item = l.head.pop_front();
        count_out(item.msg->body_bytes(), item.deadline);
        return item;
    }
    [[nodiscard]] bool full_for_one_more(const message& m) const noexcept;
    [[nodiscard]] bool over_length() const noexcept;
    void drop_overflow();
    [[nodiscard]] bool unused() const noexcept;
    enum class coming_back : std::uint8_t { untouched, seen, failed, rejected };
    void put_back(delivery&& d, coming_back how);
    // It is lent no longer, whatever becomes of it.
    void release(consumer_id id, std::uint32_t count, std::uint64_t bytes) noexcept;
    // It left without being consumed.
    void die(queue_item&& item, death_reason why);
    void count_in(const queue_item& item) noexcept {
        ++ready_;
        ready_bytes_ += item.msg->body_bytes();
        with_deadline_ += item.deadline != 0 ? 1 : 0;
    }
    void count_out(std::uint32_t body_bytes, mono_ns deadline) noexcept {
        --ready_;
        ready_bytes_ -= body_bytes;
        with_deadline_ -= deadline != 0 ? 1 : 0;
    }

    // ---- Time (queue_time.cpp) -----------------------------------------------------------------
    // 0: never, the common, free case.
    [[nodiscard]] mono_ns deadline_of(const message& m) const noexcept {
        return m.time_to_live() < 0 && !spec_.settings.message_ttl ? 0 : deadline_after(m.time_to_live());
    }
    [[nodiscard]] mono_ns deadline_after(mono_ns time_to_live) const noexcept;
    [[nodiscard]] mono_ns deadline_of(const recovered_message& m) const noexcept;
    [[nodiscard]] bool in_order(lane& l, mono_ns deadline) noexcept;
    void watch(lane& l, position pos, mono_ns deadline);
    void watch_lent(const queue_item& item) noexcept;
    void watch_again(lane& l, position pos, mono_ns deadline);
    void watch_out_of_order(lane& l, position pos, mono_ns deadline);
    void rebuild_dues(lane& l);
    void drop_expired();
    void drop_expired_heads(lane& l, mono_ns now);
    void drop_expired_inside(lane& l, mono_ns now);
    void expire(lane& l, position pos);
    [[nodiscard]] mono_ns next_expiry(lane& l) noexcept;
    void arm_timer() noexcept;

    // ---- What the log has (queue_stored.cpp) ---------------------------------------------------
    [[nodiscard]] found locate(position pos) noexcept;
    [[nodiscard]] std::optional<index_entry> entry_of(position pos) const;
    void note(const queue_item& item, const stored_ref& where, entry_state s);
    // Settled in the queue; the record of it follows with record_settled().
    void forget(const found& f);
    void add_settled(position pos);
    [[nodiscard]] bool note_lent(position pos, bool no_ack);
    // Of a queue_item or an index_entry: as it is recorded.
    template <class Item>
    [[nodiscard]] static std::uint32_t attempts_of(const Item& i) noexcept {
        return std::min(i.delivery_count, attempts_mask) | (i.received ? received_bit : 0U) |
               (i.redelivered ? had_bit : 0U);
    }
    void note_attempts(const queue_item& item);
    void forget_deadline(position pos);
    [[nodiscard]] bool window_full(const lane& l) const noexcept;
    void page_out(lane& l, const queue_item& item, std::uint32_t body_bytes);
    void take_back(delivery&& d, coming_back how);
    [[nodiscard]] std::optional<death_reason> end_of(const delivery& d, coming_back how) const noexcept;
    [[nodiscard]] bool waits_to_return(delivery& d, coming_back how);
    void wait_to_return(delivery&& d, coming_back how);
    void store_paged(const queue_item& item);
    void fetch_returning();
    [[nodiscard]] bool take_returning(position pos, message_ptr& m);
    void drop_paged(lane& l, queue_index::place p);
    void find_first_paged(lane& l, position from);
    void join_tail(lane& l);
    void load(lane& l);
    void read_ahead();
    void take_fetched(position pos, message_ptr m);
    void on_damaged(lane& l, queue_index::place p);
    // Paged no longer, whatever becomes of it.
    void count_loaded(lane& l, const index_entry& e);
    void doom(lane& l, queue_index::place p);
    void spill(lane& l, queue_item&& item);
    [[nodiscard]] std::uint64_t shrink(lane& l, std::uint64_t bytes, gives what, bool spares);
    [[nodiscard]] bool moves() const noexcept;
    [[nodiscard]] std::size_t window_at_head(lane& l) const noexcept;
    void order_recovered(lane& l);
    [[nodiscard]] queue_item item_of(const index_entry& e, message_ptr m) const noexcept;

    // ---- Deduplication, groups, retries (queue_features.cpp) -----------------------------------
    void set_up_features();
    void apply_dedup();
    [[nodiscard]] enqueue_result enqueue_special(message_ptr&& m, mono_ns deadline);
    [[nodiscard]] std::optional<fingerprint> print_of(const message& m) const;
    [[nodiscard]] bool is_duplicate(const message& m);
    void note_key(const message& m);
    [[nodiscard]] group_lines::key group_of(const queue_item& item) const;
    void file_head(lane& l);
    [[nodiscard]] bool pump_groups();
    void lend_grouped(consumer& c, queue_item&& item);
    [[nodiscard]] bool find_free_group();
    [[nodiscard]] std::optional<queue_item> take_free(bool no_ack);
    void store_back(queue_item&& item);
    void drop_expired_groups();
    void wake();
    // Whether that was all for now: it waits for its next attempt, or had its last.
    [[nodiscard]] bool pause_or_end(queue_item& item);
    [[nodiscard]] bool waits_since_recovery(const index_entry& e) const noexcept;
    void wait_since_recovery(lane& l, queue_index::place p, message_ptr m);
    void end_pauses();
    std::uint64_t drop_paused();

    queue_context& context_;
    queue_handle self_;
    queue_spec spec_;
    queue_keeping keeping_;
    bool durable_ = false;  // it has a log, and its persistent messages are recorded there
    // Lane 0 is the lowest priority; one lane unless x-max-priority asks for more.
    std::vector<lane> lanes_;
    std::uint64_t ready_ = 0;
    std::uint64_t ready_bytes_ = 0;
    std::uint64_t unacked_ = 0;
    std::uint64_t unacked_bytes_ = 0;
    message_counts counts_;  // but for `publish`, which the positions tell
    position next_position_ = 1;
    position began_at_ = 1;          // what has come since then, this process has seen come
    std::uint64_t paged_ = 0;        // of ready_: not in memory
    std::uint64_t paged_bytes_ = 0;  // of ready_bytes_, likewise
    std::uint64_t fetching_ = 0;     // asked back from the log and not come yet
    std::uint64_t damaged_ = 0;
    std::uint64_t doomed_ = 0;      // of those: to be dead-lettered
    position delivered_below_ = 0;  // after a crash: what may have been delivered before
    // Of what has been dead-lettered since the start, where the log has it.
    position dying_from_ = nowhere;
    position dying_below_ = 0;
    std::uint64_t expected_ = 0;
    std::uint64_t expected_bytes_ = 0;
    position recovered_end_ = 0;         // what recovery found lies below
    std::vector<journal::run> settled_;  // of this turn, to be recorded at its end
    std::uint64_t with_deadline_ = 0;    // ready messages that can expire: none is the common, free case
    mono_ns unused_since_ = 0;
    // By slot (the id's low half); order_ is by priority, then arrival.
    std::vector<std::unique_ptr<consumer>> consumers_;
    std::vector<consumer*> order_;
    std::size_t turn_ = 0;            // round robin: where the next search starts
    bool priorities_differ_ = false;  // between consumers
    consumer* active_ = nullptr;      // of a single-active-consumer queue
    std::uint32_t next_generation_ = 1;
    bool had_consumer_ = false;
    bool closing_ = false;
    mono_ns pumped_at_ = 0;  // when somebody last took something that had waited
    std::unique_ptr<dedup_window> dedup_;
    std::unique_ptr<group_lines> groups_;
    bool special_ = false;  // has one of these
    retry_line retries_;
    // Come back without their messages, and a dead-letter exchange has to see them: read back in this order, the first
    // of them now. Whole ones of that kind that come behind them wait for them.
    struct bare {
        delivery d;
        coming_back how;
    };
    std::unique_ptr<std::deque<bare>> returning_;
    std::size_t returning_asked_ = 0;
    mono_ns returning_again_ = 0;  // when to look whether the log can follow; 0: it is not that what they wait for
    mono_ns recovered_at_ = 0;     // 0: it began empty
    std::unique_ptr<rate_window<message_counts>> window_;
    thread_owner owner_;
};

}  // namespace linnet::core
