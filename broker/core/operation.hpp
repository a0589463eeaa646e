#pragma once

#include "broker/core/client.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/error.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/pattern_syntax.hpp"
#include "broker/core/reply_handle.hpp"
#include "broker/core/retained.hpp"
#include "broker/core/value.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// What a session may ask of the core, beside publishing and settling: all cold, all by value, so that a
// request can travel to the shard that owns its object and the reply can travel back.

namespace linnet::core {

class topology_editor;
class topology_journal;
struct administered;  // administer.hpp
struct queue_spec;    // topology.hpp
struct queue_entry;

enum class if_absent : std::uint8_t { create, fail };

struct declare_exchange {
    std::string name;
    std::string type;
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    value_table arguments;
    if_absent absent = if_absent::create;  // fail: AMQP's passive
};
struct delete_exchange {
    std::string name;
    bool if_unused = false;
};
// A subscriber is a sink of a session, with no queue between: it has no name that people could use (core::subscribe).
enum class bind_destination : std::uint8_t { queue, exchange, subscriber };
struct bind {
    std::string source;
    std::string destination;
    bind_destination kind = bind_destination::queue;
    std::string routing_key;
    value_table arguments;
    pattern_syntax syntax = pattern_syntax::amqp;
};
struct unbind {
    std::string source;
    std::string destination;
    bind_destination kind = bind_destination::queue;
    std::string routing_key;
    value_table arguments;
    pattern_syntax syntax = pattern_syntax::amqp;
};
// Binds a sink (shard::add_subscriber) to a topic exchange by these patterns: all of them, or with an error none. What
// matches arrives at the sink while it is there to take it; nothing of it is kept.
struct subscribe {
    std::string source;
    queue_handle sink;
    std::vector<std::string> patterns;
    pattern_syntax syntax = pattern_syntax::amqp;
};
struct unsubscribe {
    std::string source;
    queue_handle sink;
    std::vector<std::string> patterns;
    pattern_syntax syntax = pattern_syntax::amqp;
};
// Whatever it is bound by.
struct end_subscriber {
    queue_handle sink;
};
struct declare_queue {
    std::string name;  // never empty: the session makes up server-named ones
    bool durable = false;
    bool exclusive = false;
    bool auto_delete = false;
    value_table arguments;
    if_absent absent = if_absent::create;
    bool server_named = false;  // the session made the name up: it may begin with "amq."
};
struct delete_queue {
    std::string name;
    bool if_unused = false;
    bool if_empty = false;
};
struct purge_queue {
    std::string name;
};
struct consume {
    std::string queue;
    std::uint64_t tag = 0;          // handed back with every delivery
    std::string label;              // the consumer tag, for people
    delivery_sink* sink = nullptr;  // stays on the asking session's shard, whatever shard the queue is on
    std::uint32_t prefetch = 0;     // 0: unlimited
    std::int64_t priority = 0;
    bool no_ack = false;
    bool exclusive = false;
    value_table arguments;
    std::uint32_t place = 0;  // within the session, for people (AMQP: the channel)
};
struct cancel {
    queue_handle queue;
    consumer_id consumer;
    delivery_sink* sink = nullptr;  // as given to consume
};
struct get {
    std::string queue;
    bool no_ack = false;
};
// Everything that lives as long as a session: its exclusive queues.
struct end_session {};
// Users, vhosts, rights, policies and parameters: whatever the one writer of the topology can do between two
// operations, on its thread, recorded with what the journal is told. A change that fails must have changed nothing.
struct administer {
    std::function<outcome<administered>(topology_editor&, topology_journal&)> change;
};
// As administer, for a change that brings queues along. `plan` says which there are to be beside those that are there,
// and changes nothing; their owners make them; then `change` gets them in the same order and cannot fail any more.
// Nobody else's change comes in between, and after a crash all of it is there, or nothing.
struct install {
    std::function<outcome<std::vector<queue_spec>>(const topology_editor&, const topology_journal&)> plan;
    std::function<administered(topology_editor&, topology_journal&, const std::vector<queue_entry>& made)> change;
};

using request_body =
    std::variant<declare_exchange, delete_exchange, bind, unbind, declare_queue, delete_queue, purge_queue, consume,
                 cancel, get, end_session, subscribe, unsubscribe, end_subscriber, attach_client, keep_client,
                 read_retained, read_reply, watch_reply, close_reply, administer, install>;

struct request {
    vhost_id vhost{};
    session_handle from{};
    std::uint64_t cookie = 0;  // the session's; comes back in the reply
    request_body body;
    // When all that the reply still waits for is the disk, a reply that says so (carried_out) comes before.
    bool pipelined = false;
};

struct queue_info {
    std::string name;
    queue_handle handle;
    std::uint64_t message_count = 0;
    std::uint64_t consumer_count = 0;
};
struct consumer_info {
    queue_handle queue;
    consumer_id consumer;
    // Of a stream: its history, which with a delivery's position names a place for good (consume's x-stream-epoch and
    // x-stream-offset take them back), and the first position that will be looked at.
    std::uint64_t epoch = 0;
    position next = 0;
};
struct got_message {
    std::optional<delivery> message;  // none: empty
    std::uint64_t remaining = 0;
};

// It is done, and everybody sees it; the reply proper follows once it is durable. Those of one session come in order.
struct carried_out {};

struct reply {
    std::uint64_t cookie = 0;
    // monostate: done, nothing to tell.
    outcome<std::variant<std::monostate, queue_info, consumer_info, got_message, attached_client, retained_messages,
                         kept_reply, carried_out>>
        result;
};

}  // namespace linnet::core
