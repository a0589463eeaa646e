#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"

#include <cstdint>
#include <vector>

namespace linnet::core {

// A message lent to a consumer until it is settled. It goes back to its queue, so that a queue keeps nothing for what
// it has lent but a count: whole, or without its message if the log has that. Who holds it may let the message go once
// it is sent, and does when memory is short (shard::is_short_of_memory).
struct delivery {
    message_ptr msg;
    queue_handle queue;
    consumer_id consumer;
    position pos = 0;
    mono_ns deadline = 0;              // when it expires in that queue; 0: never
    std::uint32_t delivery_count = 0;  // failed attempts before this one
    bool redelivered = false;
    bool no_ack = false;  // settled by having been sent
    bool stored = false;  // its queue's journal has it: settling names its position
    // A consumer has it and has said so (shard::note_received): the message is not to be sent again, what follows is.
    bool received : 1 = false;
    // Its queue reads the message back if it is rejected or requeued without it.
    bool in_log : 1 = false;
};

// What a message counts in the window of a consumer on another shard: a large one as several.
[[nodiscard]] inline std::uint32_t window_cost(const message& m) noexcept {
    constexpr std::uint64_t unit_bytes = 512;
    return static_cast<std::uint32_t>(1 + m.body_bytes() / unit_bytes);
}

enum class cancel_reason : std::uint8_t { queue_deleted, queue_lost, policy };

// Where deliveries of one AMQP channel (or one MQTT session) arrive. Lives on the session's shard.
//
// `ready()` is the back-pressure: a queue lends to a sink only while it is ready. A session clears it when
// its output is above the high watermark, its channel-wide prefetch is used up, or flow is off; when it
// sets it again it calls shard::resume(sink).
//
// Threads: the session's shard only.
class delivery_sink {
public:
    delivery_sink() = default;
    delivery_sink(const delivery_sink&) = delete;
    delivery_sink& operator=(const delivery_sink&) = delete;
    virtual ~delivery_sink() = default;

    // `tag` is what the session gave when it attached the consumer.
    virtual void on_delivery(std::uint64_t tag, delivery&& d) = 0;
    // The broker ended the consumer (its queue is gone). No delivery follows for that tag. May come while
    // the session itself deletes the queue, within its submit().
    virtual void on_cancelled(std::uint64_t tag, cancel_reason why) = 0;

    // A stream no longer has what this consumer was to read next: it goes on at `resumed`. Of no concern to protocols
    // whose deliveries tell the offset.
    virtual void on_gap(std::uint64_t tag, position resumed) {
        static_cast<void>(tag);
        static_cast<void>(resumed);
    }

    // A message that one of the sink's own bindings matches (shard::add_subscriber). Only sinks that have any are
    // asked, ready or not: what they cannot take they drop, and count. Nothing to settle.
    virtual void on_message(const message_ptr& m) { static_cast<void>(m); }

    // A message for the sink itself, with no queue between: a direct reply. Nothing to settle.
    virtual void on_direct(message_ptr m) = 0;

    [[nodiscard]] bool ready() const noexcept { return ready_; }

protected:
    bool ready_ = true;

private:
    friend struct shard_state;
    std::uint32_t resumed_s_ = 0;  // when it was last ready for more, in seconds
    // The shard's own notes: where this sink consumes, here or (through a proxy) on another shard.
    struct source {
        queue_handle queue;
        consumer_id consumer;
        std::uint32_t proxy_slot;
    };
    std::vector<source> sources_;
};

}  // namespace linnet::core
