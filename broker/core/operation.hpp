#pragma once

#include "broker/core/delivery.hpp"
#include "broker/core/error.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/value.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

// What a session may ask of the core, beside publishing and settling: all cold, all by value, so that a
// request can travel to the shard that owns its object and the reply can travel back.

namespace linnet::core {

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
enum class bind_destination : std::uint8_t { queue, exchange };
// Whose wildcards a binding key is written in. MQTT's, when they lead, never match a key that begins with '$'.
enum class pattern_syntax : std::uint8_t { amqp, mqtt, nats };
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

using request_body = std::variant<declare_exchange, delete_exchange, bind, unbind, declare_queue, delete_queue,
                                  purge_queue, consume, cancel, get, end_session>;

struct request {
    vhost_id vhost{};
    session_handle from{};
    std::uint64_t cookie = 0;  // the session's; comes back in the reply
    request_body body;
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
};
struct got_message {
    std::optional<delivery> message;  // none: empty
    std::uint64_t remaining = 0;
};

struct reply {
    std::uint64_t cookie = 0;
    // monostate: done, nothing to tell.
    outcome<std::variant<std::monostate, queue_info, consumer_info, got_message>> result;
};

}  // namespace linnet::core
