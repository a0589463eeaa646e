#pragma once

#include "broker/core/delivery.hpp"
#include "broker/core/error.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/topology.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

// Everything that one shard ever says to another. Reading this file is reading the concurrency design:
// there is no other way from shard to shard, but for the published topology.
//
// A command is one cache line in a ring (lockfree/spsc_ring.hpp). Hot commands carry their all inline;
// cold ones carry an owning raw pointer, which the receiver takes over.

namespace linnet::core {

enum class command_kind : std::uint8_t {
    // -- hot
    publish,          // a message for queues of the receiver
    publish_settled,  // ... and the answer, when the publisher wants a confirm
    deliver,          // a message lent to a consumer of the receiver
    settle_accepted,  // acks
    credit,           // deliveries have been passed on to their session: more may come
    free_chain,       // dead messages going home to the receiver's pool
    // -- cold
    give_back,           // a batch requeued, rejected or bounced
    deliver_direct,      // a message for a session, with no queue between (direct reply-to)
    find_direct,         // whether a session would take such a message; answered by a reply
    queue_request,       // consume, cancel, get, purge on a queue of the receiver
    control_request,     // declare, delete, bind ...: to the control shard
    reply,               // the answer to either, to the session's shard
    owner_task,          // the control to a queue's owner: create, inspect, destroy, apply
    owner_answer,        // ... and back
    queue_unused,        // an owner to the control: this queue asks to be deleted
    answer_after,        // ... and this reply is to be given when that has been done
    consumer_cancelled,  // an owner to a consumer's shard
    set_prefetch,
    remember,  // a message for a recent-history exchange, to the control shard
};

struct queue_place {
    std::uint32_t slot;
    std::uint32_t generation;
};
inline constexpr std::size_t inline_places = 2;
inline constexpr std::uint16_t many_places = 0xffff;  // command::count: they lie in `more`

// A request on its way to where it can be done.
struct routed_request {
    request what;
    queue_handle target;           // for queue requests
    std::uint32_t proxy_slot = 0;  // for consume from afar
    std::uint32_t proxy_generation = 0;
};

// Does this session take direct messages for this key?
struct direct_question {
    session_handle from;
    std::uint64_t cookie = 0;
    session_handle to;
    std::string key;
};

enum class owner_task_kind : std::uint8_t { create, inspect, destroy, apply, replay };

struct owner_task {
    owner_task_kind kind;
    queue_handle handle;  // all but create
    queue_spec spec;      // create, apply
    bool if_unused = false;
    bool if_empty = false;
    std::vector<message_ptr> messages;  // replay: a recent-history exchange fills a queue just bound
};

struct owner_answer {
    queue_handle handle;
    std::uint64_t message_count = 0;
    std::uint64_t consumer_count = 0;
    // destroy only: a condition did not hold, or the queue had gone.
    enum class verdict : std::uint8_t { done, in_use, not_empty, gone } what = verdict::done;
};

enum class give_back_kind : std::uint8_t { requeue, reject, bounce };

struct publish_command {
    message* m;              // one reference for each place
    std::uint64_t sequence;  // 0: no answer wanted
    std::uint64_t sink_tag;
    queue_place publisher;  // a session slot of the sender
    std::uint32_t group;    // the sender's: which of its split publishes; 0: not split
    union {
        queue_place places[inline_places];
        std::vector<queue_place>* more;  // when there are more of them
    };
};
struct publish_settled_command {
    std::uint64_t sequence;
    std::uint64_t sink_tag;
    queue_place publisher;
    std::uint32_t group;
    bool accepted;
};
struct deliver_command {
    message* m;
    queue_place queue;
    std::uint64_t consumer;  // consumer_id: bare, for a command must be trivial
    position pos;
    mono_ns deadline;
    std::uint32_t delivery_count;
    std::uint32_t proxy_slot;
    std::uint32_t proxy_generation;
    bool redelivered;
    bool no_ack;
};
struct settle_command {
    queue_place queue;
    std::uint64_t consumer;
    std::uint64_t bytes;
    std::uint32_t count;
};
struct pointer_command {
    void* object;
    queue_place place;
    std::uint64_t tag;
    std::uint8_t detail;
};

struct alignas(64) command {
    // No initializers: a ring's slots stay untouched, and their pages unused, until they are filled.
    command_kind kind;
    std::uint16_t count;
    union {
        publish_command publish;
        publish_settled_command settled;
        deliver_command deliver;
        settle_command settle;
        pointer_command pointer;
    };
};
static_assert(sizeof(command) == 64, "a command is one cache line");
static_assert(std::is_trivially_default_constructible_v<command>);

}  // namespace linnet::core
