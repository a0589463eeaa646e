#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/session_port.hpp"
#include "broker/core/timer_wheel.hpp"
#include "broker/core/topology.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

class broker;  // all shards, their rings, the published topology: shared parts, see broker.hpp
class queue;
class topology_editor;
struct shard_state;  // what shard.cpp keeps

enum class settlement : std::uint8_t {
    accepted,  // ack
    requeued,  // back to its old place, marked redelivered
    rejected,  // dead-lettered, or dropped
};

// The last route of one publisher, good while the topology stands: most publishers repeat their address.
struct route_memo {
    std::uint64_t topology_version = 0;  // 0: nothing remembered
    std::uint64_t cache_epoch = 0;
    const exchange_node* exchange = nullptr;
    targets where;
    std::uint16_t exchange_bytes = 0;
    std::uint16_t key_bytes = 0;
    std::array<char, 112> address;  // exchange, then key; longer ones are not remembered
};

struct publish_result {
    // How many queues the message was routed to.
    std::uint32_t routed = 0;
    // A queue on this shard refused it (overflow reject-publish): with confirms, nack.
    bool rejected = false;
    // Targets lie on other shards: on_publish_settled(sequence) follows when a sequence was given.
    bool pending = false;
};

// What one reactor thread owns of the core: queues, timers, the message pool, its ends of the rings.
//
// A session calls this and nothing else of the core. Everything that concerns another shard is turned into
// a command (command.hpp) behind these calls.
//
// Threads: the shard's own (thread_owner), but for wake-ups.
class shard {
public:
    shard(broker& parts, shard_id id);
    ~shard();
    shard(const shard&) = delete;
    shard& operator=(const shard&) = delete;

    // ---- The turn ------------------------------------------------------------------------------
    // The reactor calls begin_turn() when it wakes, handles its sockets, then end_turn(): drains rings
    // (bounded), fires timers, pumps queues, publishes ring tails, wakes peers, announces quiescence.
    void begin_turn();
    // True when there is more to do at once: do not block.
    [[nodiscard]] bool end_turn();
    // Before blocking: false when work arrived in the meantime. awake() afterwards.
    [[nodiscard]] bool prepare_to_sleep();
    void awake();
    // Lets go of everything, on the shard's own thread and in a turn: its last call.
    void end();
    // How long the reactor may block at most.
    [[nodiscard]] mono_ns next_due(mono_ns horizon) const noexcept;

    [[nodiscard]] shard_id id() const noexcept { return id_; }
    [[nodiscard]] mono_ns now() const noexcept { return now_; }
    [[nodiscard]] wall_ns wall_now() const noexcept { return wall_now_; }
    [[nodiscard]] timer_wheel& timers() noexcept;
    [[nodiscard]] message_pool& pool() noexcept;
    [[nodiscard]] broker& parts() noexcept { return parts_; }

    // ---- Topology ------------------------------------------------------------------------------
    // The version of this moment; keep neither it nor what it points to beyond the turn.
    [[nodiscard]] topology_view topology() const noexcept;

    // Control shard only: changes vhosts, rights or policies between two operations, and publishes. What
    // the change returns are queues whose settings it changed.
    void change_topology(std::function<std::vector<queue_entry>(topology_editor&)> change);

    // ---- Sessions ------------------------------------------------------------------------------
    [[nodiscard]] session_handle add_session(session_port& s);
    // Ends its consumers on other shards and its exclusive queues. To be called while its sinks still live.
    void remove_session(session_handle h) noexcept;
    [[nodiscard]] session_port* find_session(session_handle h) const noexcept;

    // ---- Operations ----------------------------------------------------------------------------
    // Done at once when everything concerned lives here: the reply is returned. Else nothing is, and
    // session_port::on_reply() brings it; the session must hold its input back until then, so that its
    // peer's commands stay in order.
    [[nodiscard]] std::optional<reply> submit(request r);

    // ---- Publishing ----------------------------------------------------------------------------
    // Where a message to (exchange, key) goes. Uses the memo, then this shard's cache, then the topology.
    // Null exchange in the result: there is no such exchange.
    struct route {
        const exchange_node* exchange = nullptr;
        targets where;
        bool delayed = false;   // a delayed-message exchange: publish() looks at the delay
        bool remember = false;  // a recent-history exchange: publish() keeps the message there
    };
    [[nodiscard]] route find_route(const vhost_node& v, std::string_view exchange, std::string_view key,
                                   const property_reader* reader, std::span<const std::uint8_t> properties,
                                   route_memo& memo);
    // The union of the routes of several keys (CC, BCC); not cached.
    [[nodiscard]] route find_routes(const vhost_node& v, std::string_view exchange,
                                    std::span<const std::string_view> keys, const property_reader* reader,
                                    std::span<const std::uint8_t> properties);

    // Hands the message to every target. `sink` and `sequence` name the confirm to give later when targets
    // are remote (sequence 0: no confirm asked).
    publish_result publish(message_ptr m, const vhost_node& v, const route& r, session_handle publisher,
                           std::uint64_t sink_tag, std::uint64_t sequence);

    // ---- Sinks without a queue -----------------------------------------------------------------
    // Does that session live and take messages for this key (session_port::takes_direct)? As submit(): the
    // reply is returned when it lives here, else on_reply() brings it. A done reply is yes, not_found no.
    [[nodiscard]] std::optional<reply> find_direct(session_handle from, std::uint64_t cookie, session_handle to,
                                                   std::string key);

    // ---- Settling ------------------------------------------------------------------------------
    // Takes the deliveries over. Consecutive ones of one queue and consumer should come in one call.
    void settle(std::span<delivery> batch, settlement how);
    // The cheap one for acks: `count` messages of `bytes` lent to this consumer are done.
    void settle_accepted(queue_handle q, consumer_id c, std::uint32_t count, std::uint64_t bytes);
    // The sink became ready again.
    void resume(delivery_sink& sink);
    // The consumer's window changed (AMQP: a channel-wide limit that is to hold for each of its consumers).
    void set_prefetch(queue_handle q, consumer_id c, std::uint32_t prefetch);
    // The consumer ends. Like submit(cancel) without an answer; for sessions on their way out.
    void forget_consumer(queue_handle q, consumer_id c, delivery_sink& sink);
    // A message for one sink of one session, wherever it lives, with no queue between. False: known to be
    // gone. `sink_tag` is what session_port::find_sink() understands.
    bool deliver_direct(session_handle to, std::uint64_t sink_tag, message_ptr m);
    // Deliver what credit and readiness now allow; sessions call it once after a batch of input.
    void pump();

    // ---- Pressure --------------------------------------------------------------------------------
    // A peer's ring is full and what it should take waits here: read no more input until it has gone.
    [[nodiscard]] bool congested() const noexcept;

    // ---- Memory --------------------------------------------------------------------------------
    // True while publishers are to be held back (memory above the high watermark).
    [[nodiscard]] bool memory_alarm() const noexcept;

private:
    friend struct shard_state;
    broker& parts_;
    shard_id id_;
    mono_ns now_ = 0;
    wall_ns wall_now_ = 0;
    thread_owner owner_;
    std::unique_ptr<shard_state> state_;
};

}  // namespace linnet::core
