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
    settle_stored,    // acks of messages that the receiver's log has
    received,         // a message that is lent has reached its consumer for good; answered by a publish_settled
    credit,           // deliveries have been passed on to their session: more may come
    free_chain,       // dead messages going home to the receiver's pool
    // -- cold
    give_back,           // a batch requeued, looked at, rejected or bounced
    deliver_direct,      // a message for a session, with no queue between (direct reply-to)
    find_direct,         // whether a session would take such a message; answered by a reply
    queue_request,       // consume, cancel, get, purge on a queue of the receiver
    control_request,     // declare, delete, bind ...: to the control shard
    reply,               // the answer to either, to the session's shard
    owner_task,          // the control to a queue's owner: create, inspect, destroy, apply
    owner_answer,        // ... and back
    queue_parted,        // the control to an owner: that the queue is deleted is durable, what it has stored may go
    queue_declared,      // ... that it is there is durable: what waits for that is confirmed
    accounts_gone,       // the control to all: these vhosts and users are no more, which is durable
    queue_unused,        // an owner to the control: this queue asks to be deleted
    answer_after,        // ... and this reply is to be given when that has been done
    consumer_cancelled,  // an owner to a consumer's shard
    window_closed,       // likewise: no more comes to the consumer, nothing is on its way
    stream_gap,          // likewise: what the consumer was to read next is no longer kept
    set_prefetch,
    sync,               // a publish_settled is wanted once all is durable that the receiver has recorded so far
    remember,           // a message for a recent-history exchange, to the control shard
    home_request,       // attach, keep, read_retained: to the shard of a client's or a vhost's home
    detach_client,      // likewise
    mark_client,        // likewise; answered by a publish_settled, but for some steps
    client_taken_over,  // ... and back to a session: somebody else wants its client
    answer,             // a message for a reply handle of the receiver
    answer_unrouted,    // ... which is not there: instead of a publish_settled
    unwatch_reply,      // a session no longer watches a handle of the receiver
    reply_news,         // ... and what there is to tell one that does
    find_consumer,      // whether anybody consumes from one of these queues; answered by a reply
    retain,             // a message that becomes its key's last value, to its vhost's home; answered like a publish
    errand,             // what a transaction does in a log of the receiver; answered by a publish_settled
};

struct queue_place {
    std::uint32_t slot;
    std::uint32_t generation;
};
inline constexpr std::size_t inline_places = 2;
inline constexpr std::size_t inline_positions = 4;
inline constexpr std::uint16_t many_places = 0xffff;  // command::count: they lie in `more`

// A request on its way to where it can be done.
struct routed_request {
    request what;
    queue_handle target;           // for queue requests
    std::uint32_t proxy_slot = 0;  // for consume from afar
    std::uint32_t proxy_generation = 0;
    std::uint16_t home = 0;  // for home requests: the log
};

// Does this session take direct messages for this key?
struct direct_question {
    session_handle from;
    std::uint64_t cookie = 0;
    session_handle to;
    std::string key;
};

// An answer on its way to its handle.
struct routed_answer {
    reply_token token;
    vhost_id vhost{};
    message_ptr what;
    std::uint64_t sequence = 0;  // 0: no word wanted
    std::uint64_t sink_tag = 0;
    session_handle from;
};
// It goes from shard to shard until somebody says yes, or nobody is left to ask.
struct consumer_question {
    session_handle from;
    std::uint64_t cookie = 0;
    std::vector<queue_handle> where;
};
struct reply_watcher {
    reply_token token;
    session_handle session;
    std::uint64_t tag = 0;
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
    // destroy only: a condition did not hold, or the queue had gone. create only: it failed, for this reason.
    enum class verdict : std::uint8_t { done, in_use, not_empty, gone, failed } what = verdict::done;
    std::string complaint{};
    // destroy only: it has something stored under this name, and waits for queue_parted with it.
    owner_uid parting = 0;
};

// What a transaction does in one other log: its message is for these queues, streams and the last values; or, without
// one, these positions of the queue are done, or a number is marked at a client. See errands.hpp.
struct errand_part {
    std::uint16_t from_log = 0;
    std::uint16_t to_log = 0;
    position number = 0;  // among the errands of `from_log`
    std::vector<errand_target> to;
    message_ptr msg;
    std::string vhost;  // of a message that is to be retained
    std::vector<position> settled;
    client_mark mark;
    consumer_id consumer;
    std::uint64_t bytes = 0;
    bool again = false;  // a crash had left it; it may have been run before
};

struct accounts {
    std::vector<vhost_id> vhosts;
    std::vector<std::string> users;
};

// `unread`: bounced, and their consumer gets no more until credit says that it takes again. Answered by a
// window_closed, if the consumer is still there.
enum class give_back_kind : std::uint8_t { requeue, show, reject, bounce, unread };

// A client_ticket as a command carries it.
struct client_place {
    std::uint64_t number;
    position entry;
    std::uint32_t home;
};
// What a client's home is told of a mark: by who has the client, or by its shard, of a publish that comes with one
// (client_registry.hpp).
enum class mark_step : std::uint8_t { set, clear, expected, taken, dropped, withdrawn };

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
// What of a shard itself waits for a publish, or for what is to become durable.
enum class own_waiter : std::uint32_t {
    burial,
    stream,
    client,
    retained,
    transaction,
    errand,
    landing,
    answer,
    forwarded_answer,
    once,
};
struct publish_settled_command {
    std::uint64_t sequence;
    std::uint64_t sink_tag;
    queue_place publisher;  // generation 0: the shard itself, and its slot an own_waiter
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
    bool stored;
    bool received : 1;
    bool in_log : 1;
};
struct settle_command {
    queue_place queue;
    std::uint64_t consumer;
    std::uint64_t bytes;
    std::uint32_t count;
};
struct settle_stored_command {
    queue_place queue;
    std::uint64_t consumer;
    std::uint64_t bytes;
    union {
        position positions[inline_positions];
        std::vector<position>* more;  // when there are more of them
    };
};
struct received_command {
    queue_place queue;
    position pos;
    std::uint64_t sequence;
    std::uint64_t sink_tag;
    queue_place from;  // a session slot of the sender
};
struct client_mark_command {
    std::uint64_t sequence;
    std::uint64_t sink_tag;
    queue_place from;  // a session slot of the sender
    client_place ticket;
    std::uint32_t number;
    mark_step step;
};
struct taken_over_command {
    queue_place who;  // a session slot of the receiver
    client_place ticket;
};
struct retain_command {
    message* m;              // one reference
    std::uint64_t sequence;  // 0: no answer wanted
    std::uint64_t sink_tag;
    queue_place publisher;
    std::uint32_t group;
    std::uint32_t vhost;
    std::uint16_t home;
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
        settle_stored_command settle_stored;
        received_command received;
        client_mark_command mark;
        taken_over_command taken_over;
        retain_command retain;
        pointer_command pointer;
    };
};
static_assert(sizeof(command) == 64, "a command is one cache line");
static_assert(std::is_trivially_default_constructible_v<command>);

}  // namespace linnet::core
