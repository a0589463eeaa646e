#pragma once

#include "broker/core/broker.hpp"
#include "broker/core/delay_store.hpp"
#include "broker/core/exchange_tally.hpp"
#include "broker/core/flight_recorder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/route_cache.hpp"
#include "broker/core/shard.hpp"
#include "broker/core/shard_clients.hpp"
#include "broker/core/shard_errands.hpp"
#include "broker/core/shard_once.hpp"
#include "broker/core/shard_replies.hpp"
#include "broker/core/shard_retained.hpp"
#include "broker/core/shard_streams.hpp"
#include "broker/core/slot_table.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

// The inside of a shard, for shard*.cpp and control.cpp only.

namespace linnet::core {

class control;

// A consumer of this shard on a queue of another: what arrives for it, and the credit it gives back.
struct consumer_proxy {
    std::uint32_t slot = 0;  // its own
    delivery_sink* sink = nullptr;
    std::uint64_t tag = 0;
    session_handle session;
    queue_handle queue;
    consumer_id consumer{};  // known once the owner has answered
    // What its queue may send ahead. What went back unread closes it: until the queue's answer nothing is passed on,
    // for what was on its way then stands behind what went back.
    enum class window : std::uint8_t { open, closing, closed };
    window state = window::open;
    bool marked = false;          // in `proxies_to_credit`
    std::uint32_t passed_on = 0;  // credit that is not told yet, in units of window_cost()
    std::uint32_t withheld = queue::remote_window - queue::remote_window_first;  // of the window, while it is narrow
    std::uint32_t owed = 0;                        // not open: what its queue counts against it
    std::unique_ptr<std::deque<delivery>> held{};  // while the sink is not ready; bounded by the window
    mono_ns held_since = 0;
};

// A message that a queue let go, waiting to be routed again.
struct dead_letter {
    queue_item item;
    death_reason why;
    std::string queue_name;
    vhost_id vhost;
    std::string exchange;
    std::optional<std::string> key;
    queue_handle from;
    bool in_doubt;  // it may have died before, and have a successor already
};

// A dead letter's successor is on its way to stable storage: until it is there its queue keeps the old one.
struct burial {
    queue_handle from{};
    position pos = 0;
    std::uint64_t bytes = 0;
    owner_uid delayed = 0;   // not a queue but these delayed messages have it
    durable_waiter then{};   // or it is a publish of which a part is delayed: this confirm goes on ...
    std::uint64_t logs = 0;  // ... to wait for these
};

// A log that this shard serves. The log goes first: what it still reads belongs to the journal.
struct stored_log {
    std::unique_ptr<journal> messages;
    std::unique_ptr<durable_log> log;
    log_position ticked_at = 0;  // its end when it was last given time
};

// One of the queues that a message is being recorded for.
struct stored_target {
    queue* to;
    position pos;
    stored_ref where;
};

// A get that waits for its queue to read messages back.
struct held_get {
    std::unique_ptr<routed_request> asked;
    shard_id asker;
};

// A publish whose targets lie on several other shards: the confirm waits for all of them.
struct split_publish {
    std::uint32_t waiting = 0;  // 0: free
    bool accepted = true;
};

// On its way to the control shard, for a recent-history exchange.
struct remembered {
    message_ptr msg;
    vhost_id vhost;
    std::string exchange;
};

// A copy that says: consumers may have seen it before.
[[nodiscard]] message_ptr said_again(message_pool& pool, const message& m);

struct shard_state final : queue_context, delay_context {
    shard_state(shard& s, broker& b, mono_ns now);
    ~shard_state() override;

    // ---- queue_context -------------------------------------------------------------------------
    [[nodiscard]] mono_ns now() const noexcept override { return self.now_; }
    [[nodiscard]] wall_ns wall_now() const noexcept override { return self.wall_now_; }
    [[nodiscard]] timer_wheel& timers() noexcept override { return wheel; }
    [[nodiscard]] chunk_swap* index_swap() noexcept override { return swap.get(); }
    void on_dead(const queue& q, queue_item&& item, death_reason why) override;
    void deliver_remote(const remote_consumer& to, delivery&& d) override;
    void cancel_remote(const remote_consumer& to, cancel_reason why) override;
    void forget_local(delivery_sink& sink, queue_handle q, consumer_id c) override {
        static_cast<void>(forget_source(sink, q, c));
    }
    void on_unused(const queue& q) override;
    void on_loaded(queue& q) override;
    void on_flight(const queue& q, flight_step what, const message& m, position pos, consumer_id to) override;
    void on_settled(queue& q) override { settling.push_back(q.self()); }
    [[nodiscard]] const property_reader* reader_of(protocol_tag tag) const noexcept override {
        return parts.reader_of(tag);
    }

    // ---- delay_context -------------------------------------------------------------------------
    [[nodiscard]] mono_ns delay_now() const noexcept override { return self.now_; }
    [[nodiscard]] wall_ns delay_wall_now() const noexcept override { return self.wall_now_; }
    [[nodiscard]] timer_wheel& delay_timers() noexcept override { return wheel; }
    void on_due(delay_store& from, position id, message_ptr m) override;

    // ---- Queues --------------------------------------------------------------------------------
    [[nodiscard]] queue* find(queue_handle h) noexcept;
    [[nodiscard]] queue* find(queue_place p) noexcept;
    // By what the store knows it by.
    [[nodiscard]] queue* queue_named(owner_uid uid) noexcept;
    [[nodiscard]] queue_handle create_queue(const queue_spec& spec);
    [[nodiscard]] owner_answer create(const queue_spec& spec);
    // That queue's declaration is durable.
    void note_declared(owner_uid uid);
    [[nodiscard]] owner_uid part_with(std::uint32_t slot);
    void let_go(owner_uid uid);
    void forget(const accounts& gone);
    void schedule_pump(queue& q);
    void remove_unused_queues();
    [[nodiscard]] std::uint64_t memory_excess() const noexcept;
    // Above half of the memory budget: queues put what they hold into the log. True: it gave something back.
    bool relieve();
    bool short_of_memory = false;  // at its last look
    bool near_budget = false;      // likewise, at the alarm's
    // To the budget, what this shard holds beside messages and output.
    void tell_memory();
    void pump_queues();

    // ---- Talking to peers ----------------------------------------------------------------------
    void send(shard_id to, const command& c);
    void flush_backlogs();
    void receive(shard_id from, const command& c);
    [[nodiscard]] bool drain_rings();
    void publish_tails();
    void send_chains_home();
    void send_pointer(shard_id to, command_kind kind, void* object, queue_place place = {}, std::uint64_t tag = 0,
                      std::uint8_t detail = 0);

    // ---- Requests ------------------------------------------------------------------------------
    [[nodiscard]] std::string vhost_name(vhost_id v) const;
    [[nodiscard]] std::optional<vhost_id> vhost_named(std::string_view name) const;
    // The log that a request concerns by the name of a client or a vhost; none: it concerns no such thing.
    [[nodiscard]] std::optional<std::uint16_t> home_of(const request& r) const;
    void send_home(std::unique_ptr<routed_request> r);
    void do_home_request(routed_request& r);
    [[nodiscard]] std::optional<reply> start(request&& r);
    void answer(session_handle to, reply&& r);  // wherever the session lives
    [[nodiscard]] reply do_queue_request(routed_request& r, shard_id asker);
    [[nodiscard]] owner_answer do_owner_task(owner_task& t);
    void pass_to_session(session_handle to, reply&& r);
    [[nodiscard]] reply do_consume(queue& q, routed_request& r, shard_id asker);
    void finish_consume(const reply& r, std::uint32_t proxy_slot, std::uint32_t proxy_generation);
    void end_consumer(queue_handle q, consumer_id c);
    // The reply, if it can be given now: a queue that goes with its last consumer must be gone first.
    [[nodiscard]] std::optional<reply> after_removal(queue_handle q, session_handle to, reply&& r);
    static void note_source(delivery_sink& sink, queue_handle q, consumer_id c, std::uint32_t proxy_slot);
    [[nodiscard]] static std::uint32_t forget_source(delivery_sink& sink, queue_handle q, consumer_id c);
    void resume(delivery_sink& sink);

    // Where publishes through that exchange are counted: good until routes.epoch() changes.
    [[nodiscard]] exchange_counts& tally_of(const vhost_node& v, std::string_view exchange);

    // ---- Publishing ----------------------------------------------------------------------------
    [[nodiscard]] publish_result publish_routed(message_ptr m, const shard::route& r, session_handle publisher,
                                                std::uint64_t sink_tag, std::uint64_t sequence);
    [[nodiscard]] publish_result publish_rare(message_ptr m, const vhost_node& v, const shard::route& r,
                                              const durable_waiter& confirm);
    // What happens to it, without a word of it to the flight recorder.
    [[nodiscard]] publish_result publish_unnoted(message_ptr m, const vhost_node& v, const shard::route& r,
                                                 const durable_waiter& confirm);
    [[nodiscard]] publish_result publish_rest(message_ptr m, const shard::route& r, const durable_waiter& confirm);
    void publish_here(message_ptr m, targets where, const durable_waiter& confirm, publish_result& out);
    void publish_there(message_ptr m, targets where, const durable_waiter& confirm, publish_result& out);
    void receive_publish(shard_id from, const publish_command& p, std::uint16_t count);
    // One that has gone hears nothing.
    void pass_to_subscriber(queue_place p, const message_ptr& m);
    void receive_settled(const publish_settled_command& s);
    void receive_own_settled(const publish_settled_command& s, bool accepted);
    [[nodiscard]] reply answer_direct(const direct_question& q) const;
    void receive_direct(const pointer_command& p);
    [[nodiscard]] std::optional<reply> ask_for_consumer(consumer_question&& q);
    void bury_dead();
    void bury(dead_letter&& d);
    [[nodiscard]] bool publish_dead(dead_letter&& d, const burial* old);
    [[nodiscard]] bool recorded_only_in(const journal* log, const message& m, const shard::route& r) noexcept;
    [[nodiscard]] journal* log_of(const burial& b) noexcept;
    void succeed(message_ptr m, const vhost_node& v, const shard::route& r, const burial& old);
    void finish_burial(const burial& b, bool accepted);
    void remember(message_ptr m, const vhost_node& v);

    // ---- The flight recorder (shard_flight.cpp) ------------------------------------------------
    // Of messages without an id these do nothing, but for new_step() and note_step().
    [[nodiscard]] wall_ns flight_now() const noexcept;
    void note_arrival(const message& m) noexcept;
    [[nodiscard]] std::optional<flight_event> new_step(flight_step what, const message& m, vhost_id v) const;
    void note_step(flight_step what, const message& m, vhost_id v, queue_handle at, position pos, consumer_id to);
    void note_death(const queue& q, const queue_item& item, death_reason why);
    void note_published(const message& m, const vhost_node& v, const shard::route& r, const durable_waiter& confirm);
    void note_unrouted(flight_step how, const message& m, vhost_id v, session_handle publisher,
                       std::string_view exchange, std::string_view key);

    // ---- Storing (shard_store.cpp) -------------------------------------------------------------
    // Bits of `stores`.
    using log_set = std::uint64_t;
    // ... and those streams that the message under way was appended to.
    static constexpr log_set with_streams = log_set{1} << 63;
    [[nodiscard]] delay_store& delays_of_log(owner_uid uid);
    [[nodiscard]] record_owner* owner_of(owner_uid uid);
    // Holds it back in the name of that exchange; returns the log that has it.
    [[nodiscard]] log_set delay(const message_ptr& m, const vhost_node& v, std::string_view exchange, mono_ns by);
    [[nodiscard]] publish_result publish_delayed(message_ptr m, const vhost_node& v, const shard::route& r,
                                                 const durable_waiter& confirm);
    void make_stores();
    [[nodiscard]] queue_keeping keeping_of(const queue_spec& spec) noexcept;
    // Hands the message to these queues of this shard, recorded where it has to be: in which logs?
    [[nodiscard]] log_set hand_out(const message_ptr& m, std::span<const queue_place> where, bool& accepted);
    [[nodiscard]] log_set log_of(const queue& q) const noexcept;
    void hand_to(queue& q, const message_ptr& m, bool& accepted);
    // What hand_to() has left in `storing`: recorded only, or enqueued as well.
    [[nodiscard]] log_set record_storing(const message& m);
    [[nodiscard]] log_set enqueue_recorded(const message_ptr& m);
    [[nodiscard]] durable_waiter confirm_for(session_handle publisher, std::uint64_t sink_tag,
                                             std::uint64_t sequence) const noexcept;
    void publish_stored(message_ptr m, targets where, durable_waiter confirm, publish_result& out);
    [[nodiscard]] std::uint32_t split(std::uint32_t answers, bool accepted);
    // Tells it (on_durable) once all that has been recorded there is durable.
    void wait_for(log_set logs, durable_waiter w);
    // All that it waited for in this shard's logs is there.
    void on_durable(durable_waiter w);
    void tell_waiter(const durable_waiter& w);
    void receive_sync(shard_id from, const publish_settled_command& c);
    void settle_stored(queue_place q, consumer_id c, std::span<const position> which, std::uint64_t bytes);
    void receive_settle_stored(const settle_stored_command& c, std::uint16_t count);
    void receive_received(shard_id from, const received_command& c);
    void tell_settled_sessions();
    void poll_stores();
    void flush_stores();
    // What queues have settled since the last time, one record each.
    void record_settlements();
    void watch_health();
    [[nodiscard]] mono_ns stores_due(mono_ns horizon) const noexcept;
    void close_stores() noexcept;
    [[nodiscard]] bool must_wait(const routed_request& r);
    void hold_get(std::unique_ptr<routed_request> r, shard_id asker);
    void answer_held_gets();

    // ---- Deliveries from afar ------------------------------------------------------------------
    void receive_delivery(shard_id from, const deliver_command& d);
    void hand_to_sink(consumer_proxy& p, delivery&& d);
    void drop_proxy(std::uint32_t slot);
    void send_cancel(queue_handle q, consumer_id c);
    void drop_proxy_of(queue_handle q, consumer_id c, std::uint32_t slot);
    void release_held(consumer_proxy& p);
    void note_held(consumer_proxy& p, delivery&& d);
    // What waits for sinks that have not been ready for long goes back to its queues when memory is short: they can
    // spill it, and others may want it.
    void return_held();
    void take_held(consumer_proxy& p, std::vector<delivery>& into);
    void receive_window_closed(consumer_proxy& p);
    void reopen(consumer_proxy& p);
    void add_credit(consumer_proxy& p, std::uint32_t cost);
    void send_credits();
    // What a turn would do, and what it would tell others.
    [[nodiscard]] bool has_work() const noexcept;
    [[nodiscard]] bool has_unsent() const noexcept;
    void give_back(shard_id owner, give_back_kind how, std::vector<delivery> batch);
    void take_back(give_back_kind how, std::vector<delivery>& batch);

    shard& self;
    broker& parts;
    message_pool messages;
    timer_wheel wheel;
    flight_recorder recorder;
    wall_ns late_turn = 0;  // the turn that late_now is of
    wall_ns late_now = 0;

    std::vector<stored_log> stores;  // log number: shard id + index * shards
    std::unordered_map<owner_uid, record_owner*> owners;
    // Queues whose declaration is not durable yet, oldest first, and what has been recorded meanwhile: a crash that
    // takes a queue takes its messages, too, so nothing is confirmed before all that were there are there for good.
    struct young_queue {
        owner_uid uid;
        bool declared = false;
    };
    struct early_confirm {
        std::uint64_t declarations;  // it waits until so many have become durable
        durable_waiter who;
    };
    std::deque<young_queue> young;
    std::uint64_t grown_up = 0;  // how many young ones there have been
    std::deque<early_confirm> early_confirms;
    std::uint32_t relief_slot = 0;  // the queue that gave way last
    std::unordered_map<owner_uid, std::unique_ptr<delay_store>> delays;
    std::vector<stored_target> storing;  // of hand_out(); reused
    std::vector<queue_handle> settling;  // have settled messages that are not recorded yet
    log_set repeated = 0;                // likewise: where duplicates' first ones are
    std::vector<message_place> places;   // likewise
    std::unordered_map<std::uint64_t, burial> burials;
    std::uint64_t last_burial = 0;
    std::vector<held_get> held_gets;
    bool in_transaction = false;
    std::uint64_t transaction_shards = 0;  // others that settle for it, a bit each
    mono_ns stores_ticked = 0;
    bool store_failed = false;
    bool disk_full = false;

    std::unique_ptr<chunk_swap> swap;  // outlives the queues, whose indexes borrow it
    slot_table<std::unique_ptr<queue>> queues;
    std::unordered_map<owner_uid, std::unique_ptr<queue>> parting;  // deleted, as far as a crash does not undo it
    shard_streams streams{*this};
    shard_clients clients{*this};
    shard_errands errands{*this};
    shard_once once{*this};
    shard_retained retained{*this};
    shard_replies replies{*this};
    slot_table<session_port*> sessions;
    slot_table<delivery_sink*> subscribers;
    slot_table<consumer_proxy> proxies;
    std::vector<std::uint32_t> proxies_to_credit;
    std::uint64_t held_count = 0;  // deliveries, of all proxies
    struct held_watch final : timer {
        explicit held_watch(shard_state& of) noexcept : state(of) {}
        void on_timer(mono_ns) override { state.return_held(); }
        shard_state& state;
    } watching_held{*this};
    std::vector<queue_handle> to_pump;  // each queue at most once: pump_marks
    std::vector<queue_handle> pumping;
    std::vector<bool> pump_marks;           // by queue slot
    std::vector<queue_handle> unused_here;  // on the control shard
    std::deque<dead_letter> dead;
    std::vector<split_publish> splits{1};  // slot 0 means "not split"
    std::vector<std::uint32_t> free_splits;
    std::vector<std::pair<session_handle, reply>> replies_later;
    std::vector<session_handle> settled_sessions;  // of this drain: to be told that it is over

    std::vector<std::deque<command>> backlogs;  // by peer; only while its ring is full
    std::size_t backlog_total = 0;

    route_cache routes;
    exchange_tally tally;
    all_protocol_counts protocols{};
    core::broker_counts totals{};
    rate_window<message_counts> messages_window;
    rate_window<churn_counts> churn_window;
    turn_histogram turns;
    bool slept = true;  // since the last turn began
    route_scratch_ptr scratch = make_route_scratch();
    std::uint64_t entropy = 0x9e3779b97f4a7c15ULL;

    // Set while submit() runs a request that may be answered at once.
    std::optional<reply>* capture = nullptr;
    session_handle capture_for;
    std::uint64_t capture_cookie = 0;

    std::unique_ptr<control> the_control;  // on the control shard only
    lockfree::snapshot_reader* reader = nullptr;
    std::int64_t connection_bytes = 0;
    alarms alarms_seen;
    mono_ns alarm_checked = 0;
};

}  // namespace linnet::core
