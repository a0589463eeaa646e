#pragma once

#include "broker/core/broker.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/route_cache.hpp"
#include "broker/core/shard.hpp"
#include "broker/core/slot_table.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
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
    consumer_id consumer;                        // known once the owner has answered
    std::uint32_t passed_on = 0;                 // deliveries handed to the sink since the last credit
    bool marked = false;                         // in `proxies_to_credit`
    std::unique_ptr<std::deque<delivery>> held;  // while the sink is not ready; bounded by the queue's window
};

// A message that a queue let go, waiting to be routed again.
struct dead_letter {
    queue_item item;
    death_reason why;
    std::string queue_name;
    vhost_id vhost;
    std::string exchange;
    std::optional<std::string> key;
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

struct shard_state final : queue_context {
    shard_state(shard& s, broker& b, mono_ns now);
    ~shard_state() override;

    // ---- queue_context -------------------------------------------------------------------------
    [[nodiscard]] mono_ns now() const noexcept override { return self.now_; }
    [[nodiscard]] timer_wheel& timers() noexcept override { return wheel; }
    void on_dead(const queue& q, queue_item&& item, death_reason why) override;
    void deliver_remote(const remote_consumer& to, delivery&& d) override;
    void cancel_remote(const remote_consumer& to, cancel_reason why) override;
    void on_unused(const queue& q) override;

    // ---- Queues --------------------------------------------------------------------------------
    [[nodiscard]] queue* find(queue_handle h) noexcept;
    [[nodiscard]] queue* find(queue_place p) noexcept;
    [[nodiscard]] queue_handle create_queue(const queue_spec& spec);
    void schedule_pump(queue& q);
    void remove_unused_queues();
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
    [[nodiscard]] std::optional<reply> start(request&& r);
    void answer(session_handle to, reply&& r);  // wherever the session lives
    [[nodiscard]] reply do_queue_request(routed_request& r, shard_id asker);
    [[nodiscard]] owner_answer do_owner_task(owner_task& t);
    void pass_to_session(session_handle to, reply&& r);
    [[nodiscard]] reply do_consume(queue& q, routed_request& r, shard_id asker);
    void finish_consume(const reply& r, std::uint32_t proxy_slot);
    void end_consumer(queue_handle q, consumer_id c);
    // The reply, if it can be given now: a queue that goes with its last consumer must be gone first.
    [[nodiscard]] std::optional<reply> after_removal(queue_handle q, session_handle to, reply&& r);
    static void note_source(delivery_sink& sink, queue_handle q, consumer_id c, std::uint32_t proxy_slot);
    [[nodiscard]] static std::uint32_t forget_source(delivery_sink& sink, queue_handle q, consumer_id c);
    void resume(delivery_sink& sink);

    // ---- Publishing ----------------------------------------------------------------------------
    void publish_here(message_ptr m, targets where, publish_result& out);
    void publish_there(message_ptr m, targets where, session_handle publisher, std::uint64_t sink_tag,
                       std::uint64_t sequence, publish_result& out);
    void receive_publish(shard_id from, const publish_command& p, std::uint16_t count);
    void receive_settled(const publish_settled_command& s);
    [[nodiscard]] reply answer_direct(const direct_question& q) const;
    void receive_direct(const pointer_command& p);
    void bury_dead();
    void bury(dead_letter&& d);
    [[nodiscard]] mono_ns delay_of(const message& m) const;
    void delay(message_ptr m, const vhost_node& v, mono_ns by);
    void publish_again(message_ptr m, vhost_id vhost);
    void remember(message_ptr m, const vhost_node& v);

    // ---- Deliveries from afar ------------------------------------------------------------------
    void receive_delivery(shard_id from, const deliver_command& d);
    void hand_to_sink(consumer_proxy& p, delivery&& d);
    void drop_proxy(std::uint32_t slot);
    void drop_proxy_of(queue_handle q, consumer_id c, std::uint32_t slot);
    void release_held(consumer_proxy& p);
    void send_credits();
    void give_back(shard_id owner, give_back_kind how, std::vector<delivery> batch);
    void take_back(give_back_kind how, std::vector<delivery>& batch);

    shard& self;
    broker& parts;
    message_pool messages;
    timer_wheel wheel;

    slot_table<std::unique_ptr<queue>> queues;
    slot_table<session_port*> sessions;
    slot_table<consumer_proxy> proxies;
    std::vector<std::uint32_t> proxies_to_credit;
    std::vector<queue_handle> to_pump;  // each queue at most once: pump_marks
    std::vector<queue_handle> pumping;
    std::vector<bool> pump_marks;           // by queue slot
    std::vector<queue_handle> unused_here;  // on the control shard
    std::unordered_set<timer*> delayed;     // owned: messages in delayed-message exchanges
    std::deque<dead_letter> dead;
    std::vector<split_publish> splits{1};  // slot 0 means "not split"
    std::vector<std::uint32_t> free_splits;
    std::vector<std::pair<session_handle, reply>> replies_later;
    std::vector<session_handle> settled_sessions;  // of this drain: to be told that it is over

    std::vector<std::deque<command>> backlogs;  // by peer; only while its ring is full
    std::size_t backlog_total = 0;

    route_cache routes;
    route_scratch_ptr scratch = make_route_scratch();
    std::uint64_t entropy = 0x9e3779b97f4a7c15ULL;

    // Set while submit() runs a request that may be answered at once.
    std::optional<reply>* capture = nullptr;
    session_handle capture_for;
    std::uint64_t capture_cookie = 0;

    std::unique_ptr<control> the_control;  // on the control shard only
    lockfree::snapshot_reader* reader = nullptr;
    bool alarm_seen = false;
    mono_ns alarm_checked = 0;
};

}  // namespace linnet::core
