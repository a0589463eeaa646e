#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/chunk_swap.hpp"
#include "broker/core/counts.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/flight_recorder.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/log.hpp"
#include "broker/core/looks.hpp"
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
class stream;
class topology_editor;
struct shard_state;  // what shard.cpp keeps

enum class settlement : std::uint8_t {
    accepted,   // ack
    requeued,   // back to its old place, marked redelivered: an attempt that failed
    looked_at,  // likewise, but that was no attempt to work on it
    bounced,    // back to its old place as it was: it has reached nobody
    rejected,   // dead-lettered, or dropped
};

// The last route of one publisher, good while the topology stands: most publishers repeat their address.
struct route_memo {
    std::uint64_t topology_version = 0;  // 0: nothing remembered
    std::uint64_t cache_epoch = 0;
    const exchange_node* exchange = nullptr;
    targets where;
    exchange_counts* counts = nullptr;  // of that exchange
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

// A queue or a stream, as people look at it: good within the turn.
class queue_look {
public:
    queue_look(queue* q, stream* s) noexcept : queue_(q), stream_(s) {}  // one of them
    [[nodiscard]] const queue_spec& spec() const noexcept;
    [[nodiscard]] queue_handle handle() const noexcept;
    [[nodiscard]] queue_figures figures() const;
    // The cheap part: for sums over all queues.
    struct sums {
        std::uint64_t ready = 0;
        std::uint64_t unacked = 0;
        std::uint64_t consumers = 0;
    };
    [[nodiscard]] sums totals() const noexcept;
    [[nodiscard]] std::vector<consumer_look> consumers() const;
    // Of a queue; a stream does not know.
    [[nodiscard]] whereabouts find_message(position low_bits) const;

private:
    queue* queue_;
    stream* stream_;
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
    // Before blocking: false when there is work, which may have come after the turn's end. Once it was true: awake()
    // afterwards.
    [[nodiscard]] bool prepare_to_sleep();
    void awake();
    // Writes out what is stored and lets go of everything, on the shard's own thread and in a turn: its last call.
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

    // ---- What is stored ------------------------------------------------------------------------
    // Where deep queues put parts of their indexes. Before there are queues; without one they stay in memory.
    void set_index_swap(std::unique_ptr<chunk_swap> swap);
    // Before it runs, on the thread that sets the broker up, in this order: the stored queues that live here; each
    // record of each of its logs (numbers: id, id + shards, ...); the logs themselves. Then hand_over().
    // No handle for a stream whose log cannot be opened: the stream_store knows why, and nothing is to run then.
    [[nodiscard]] queue_handle restore_queue(const queue_spec& spec);
    void replay(std::uint16_t log, const log_record& r);
    void open_log(std::uint16_t number, std::unique_ptr<durable_log> log, bool clean);
    // The thread that set it up gives it away.
    void hand_over() noexcept;
    // Of all of its logs together.
    [[nodiscard]] journal::figures store_figures() const noexcept;
    // The logs write to this eventfd when they want a turn; once, after they are open.
    void wake_through(int event_fd);
    // All logs have a look at what is wanted of them at this turn's end, those at rest, too. On the shard's thread.
    void look_at_logs();

    // ---- Sessions ------------------------------------------------------------------------------
    // Connections and their sessions take so much more (less) memory, beside messages and output.
    void note_connection_bytes(std::int64_t more) noexcept;
    [[nodiscard]] session_handle add_session(session_port& s);
    // Ends its consumers on other shards and its exclusive queues. To be called while its sinks still live.
    void remove_session(session_handle h) noexcept;
    [[nodiscard]] session_port* find_session(session_handle h) const noexcept;

    // ---- Operations ----------------------------------------------------------------------------
    // Done at once when everything concerned lives here: the reply is returned. Else nothing is, and
    // session_port::on_reply() brings it; the session must hold its input back until then, so that its
    // peer's commands stay in order.
    [[nodiscard]] std::optional<reply> submit(request r);

    // ---- Named clients (client.hpp) ------------------------------------------------------------
    // attach and keep are requests; these are not answered by a reply.
    void detach_client(vhost_id vhost, session_handle from, core::detach_client d);
    // Notes or forgets the number; on_publish_settled(sink_tag, sequence) follows, once that is durable where the
    // client is. Not accepted: the ticket is stale.
    void mark_client(client_ticket ticket, session_handle from, std::uint64_t sink_tag, std::uint64_t sequence,
                     std::uint32_t number, bool set);

    // ---- Publishing ----------------------------------------------------------------------------
    // Where a message to (exchange, key) goes. Uses the memo, then this shard's cache, then the topology.
    // Null exchange in the result: there is no such exchange.
    struct route {
        const exchange_node* exchange = nullptr;
        targets where;
        bool delayed = false;   // delayed-message exchanges hold it, or part of it: `delays`
        bool remember = false;  // a recent-history exchange: publish() keeps the message there
        std::span<const std::string> delays{};
    };
    [[nodiscard]] route find_route(const vhost_node& v, std::string_view exchange, std::string_view key,
                                   const property_reader* reader, std::span<const std::uint8_t> properties,
                                   route_memo& memo);
    enum class delays : std::uint8_t { asked, over };
    // The union of the routes of several keys (CC, BCC); not cached.
    [[nodiscard]] route find_routes(const vhost_node& v, std::string_view exchange,
                                    std::span<const std::string_view> keys, const property_reader* reader,
                                    std::span<const std::uint8_t> properties, delays what = delays::asked);

    // Hands the message to every target. `sink` and `sequence` name the confirm to give later when targets
    // are remote (sequence 0: no confirm asked).
    publish_result publish(message_ptr m, const vhost_node& v, const route& r, session_handle publisher,
                           std::uint64_t sink_tag, std::uint64_t sequence);

    // Within a transaction (begin_transaction()): the same, but what goes to other logs is an errand of it, which
    // end_transaction() answers for.
    publish_result publish_in_transaction(message_ptr m, const vhost_node& v, const route& r, session_handle publisher,
                                          std::uint64_t sink_tag, std::uint64_t sequence);

    // For a client whose state is kept: the message and the mark of that number at the client are one, after a crash
    // too, whatever logs they go to. Of the result, `rejected` and `pending` alone; on_publish_settled() says the
    // verdict on the whole. A mark is forgotten with mark_client().
    [[nodiscard]] publish_result publish_once(message_ptr m, const vhost_node& v, const route& r,
                                              const client_ticket& client, std::uint32_t number,
                                              session_handle publisher, std::uint64_t sink_tag, std::uint64_t sequence);

    // ---- Replies (reply_handle.hpp) --------------------------------------------------------------
    // Opens a handle whose answer is kept. Refused: resource_error.
    [[nodiscard]] outcome<opened_reply> open_reply(vhost_id v, kept_terms terms, session_handle from,
                                                   std::uint64_t sink_tag, std::uint64_t sequence);
    // The token that a responder of another protocol is to be shown with this delivery, whose publisher said that; the
    // same one each time it is delivered on this shard. None: there is nowhere to answer to, or no room for a handle.
    [[nodiscard]] std::optional<reply_token> lend_reply(vhost_id v, const delivery& request,
                                                        const neutral_properties& said);
    // Publishes to the handle of that token. Of the result: `routed` is 0 when it is known not to be there; pending:
    // either on_publish_settled() or on_publish_unrouted() follows.
    publish_result answer(message_ptr m, vhost_id v, const reply_token& to, session_handle publisher,
                          std::uint64_t sink_tag, std::uint64_t sequence);
    // read_reply, watch_reply and close_reply are requests.
    void unwatch_reply(const reply_token& t, session_handle from, std::uint64_t tag);
    // Does anybody consume from one of these queues? As find_direct(): a done reply is yes, not_found no.
    [[nodiscard]] std::optional<reply> find_consumer(session_handle from, std::uint64_t cookie, targets where);

    // ---- Sinks without a queue -----------------------------------------------------------------
    // Names a sink, for core::subscribe to bind it. What matches is passed to delivery_sink::on_message() in the turn
    // in which it is published here, or comes in from another shard.
    [[nodiscard]] queue_handle add_subscriber(delivery_sink& sink);
    // With its bindings in that vhost; nothing reaches it from now on.
    void remove_subscriber(vhost_id v, queue_handle sink);
    // Does that session live and take messages for this key (session_port::takes_direct)? As submit(): the
    // reply is returned when it lives here, else on_reply() brings it. A done reply is yes, not_found no.
    [[nodiscard]] std::optional<reply> find_direct(session_handle from, std::uint64_t cookie, session_handle to,
                                                   std::string key);

    // ---- Settling ------------------------------------------------------------------------------
    // Takes the deliveries over. Consecutive ones of one queue and consumer should come in one call.
    void settle(std::span<delivery> batch, settlement how);
    // The cheap one for acks: `count` messages of `bytes` lent to this consumer are done.
    void settle_accepted(queue_handle q, consumer_id c, std::uint32_t count, std::uint64_t bytes);
    // The same for those that are stored, by their positions.
    void settle_stored(queue_handle q, consumer_id c, std::span<const position> which, std::uint64_t bytes);
    // The consumer has that message, which is lent to it, and has yet to be done with it (MQTT's PUBREC). After
    // on_publish_settled(sequence) no delivery of it will fail to say so (delivery::received), whatever crashes.
    void note_received(queue_handle q, position pos, session_handle from, std::uint64_t sink_tag,
                       std::uint64_t sequence);
    // What is published and acknowledged in between is recovered whole or not at all, wherever it goes. The end: true
    // when on_publish_settled(sequence) follows, once all of it is durable, here and elsewhere.
    void begin_transaction();
    [[nodiscard]] bool end_transaction(session_handle from, std::uint64_t sink_tag, std::uint64_t sequence);
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

    // ---- The flight recorder (flight_recorder.hpp) -----------------------------------------------
    // Of messages that have an id (message_traits::identified), what sessions alone see. It goes to its recorder, of
    // which every shard has one of its own.
    void note_accepted(vhost_id v, const delivery& d);
    // Returned or dropped: it was not given to publish().
    void note_unrouted(flight_step how, const message& m, vhost_id v, session_handle publisher);
    void note_passed_on(const message& m, vhost_id v, session_handle to);
    [[nodiscard]] const flight_recorder& recorder() const noexcept;

    // ---- For people (looks.hpp) ----------------------------------------------------------------
    // Calls f for those in `most` slots from slot `from` on (0: the first), so that a hundred thousand are looked at in
    // many turns. Returns where to go on; 0: that was all. What comes or goes meanwhile is seen once or not at all.
    [[nodiscard]] std::uint32_t for_some_queues(std::uint32_t from, std::uint32_t most,
                                                const std::function<void(const queue_look&)>& f);
    [[nodiscard]] std::uint32_t for_some_sessions(std::uint32_t from, std::uint32_t most,
                                                  const std::function<void(session_handle, session_port&)>& f);
    // Of this shard; none: it has gone.
    [[nodiscard]] std::optional<queue_look> look_at(queue_handle h);
    // What clients of that protocol have done on this shard: their sessions count here.
    [[nodiscard]] protocol_counts& counts(spoken p) noexcept;
    [[nodiscard]] const all_protocol_counts& counts() const noexcept;
    [[nodiscard]] core::broker_counts broker_counts() const noexcept;
    [[nodiscard]] const turn_histogram& turns() const noexcept;
    [[nodiscard]] exchange_look look_at(vhost_id v, std::string_view exchange);
    // Of all this shard's clients together, with rates.
    template <class Counts>
    struct looked {
        Counts counts{};
        typename rate_window<Counts>::seen seen{};
    };
    [[nodiscard]] looked<message_counts> look_at_messages();
    [[nodiscard]] looked<churn_counts> look_at_churn();

    // ---- Pressure --------------------------------------------------------------------------------
    // A peer's ring is full and what it should take waits here: read no more input until it has gone.
    [[nodiscard]] bool congested() const noexcept;
    // More waits to be written to a log than should: whoever makes that more is to wait until it has gone, that is
    // whose input lets stored_messages() rise. Others go on: a slow disk is no matter of theirs.
    [[nodiscard]] bool logs_congested() const noexcept;
    // At the last turn's end queues had to let messages go that the log has: who holds such a delivery should, too
    // (delivery::in_log).
    [[nodiscard]] bool is_short_of_memory() const noexcept;
    // How many messages went into this shard's logs so far.
    [[nodiscard]] std::uint64_t stored_messages() const noexcept;

    // While there are any, publishers are to be held back.
    [[nodiscard]] alarms active_alarms() const noexcept;

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
