#pragma once

#include "broker/core/counts.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/value.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What queues and sessions tell of themselves to people: plain values of one moment, made when somebody asks.

namespace linnet::core {

// A queue's or a stream's.
struct queue_figures {
    std::uint64_t ready = 0;
    std::uint64_t unacked = 0;
    std::uint64_t delayed = 0;  // wait for their next attempt
    std::uint64_t ready_bytes = 0;
    std::uint64_t unacked_bytes = 0;
    std::uint64_t paged = 0;   // of those ready: not in memory
    std::uint64_t stored = 0;  // the log has them
    std::uint64_t consumers = 0;
    std::uint64_t consumers_active = 0;  // can take one now
    std::uint64_t memory_bytes = 0;      // of the queue and of the messages that it has in memory
    message_counts counts{};
    rate_window<message_counts>::seen seen{};

    [[nodiscard]] std::uint64_t messages() const noexcept { return ready + unacked + delayed; }
};

struct consumer_look {
    std::string label;
    session_handle session;
    std::uint32_t place = 0;  // within the session (AMQP: the channel)
    std::uint32_t prefetch = 0;
    bool no_ack = false;
    bool exclusive = false;
    bool active = true;  // false: another one of a queue with a single active consumer is
    value_table arguments{};
    consumer_id id{};  // within its queue; of a stream's: none
};

struct connection_look {
    session_handle session;
    std::string name;  // "127.0.0.1:53412 -> 127.0.0.1:5672"
    std::string given_name;
    std::string user;
    std::string vhost;
    std::string protocol;  // for people: "AMQP 0-9-1"
    spoken of = spoken::amqp091;
    std::string state;  // "running", "blocked" ...
    std::string mechanism;
    std::string peer_address;
    std::uint16_t peer_port = 0;
    std::string local_address;
    std::uint16_t local_port = 0;
    bool tls = false;
    std::uint32_t frame_max = 0;
    std::uint32_t channel_max = 0;
    std::uint32_t heartbeat_s = 0;
    std::uint32_t channels = 0;
    std::uint32_t publishers = 0;  // channels that have published
    std::uint32_t consumers = 0;
    wall_ns since = 0;
    value_table properties{};         // as the client gave them
    std::uint64_t waiting_bytes = 0;  // of output
    octet_counts octets{};
    rate_window<octet_counts>::seen seen{};
};

// An exchange's traffic on one shard.
struct exchange_look {
    exchange_counts counts{};
    double in_rate = 0;
    double out_rate = 0;
    exchange_look& operator+=(const exchange_look& o) noexcept {
        counts.in += o.counts.in;
        counts.out += o.counts.out;
        in_rate += o.in_rate;
        out_rate += o.out_rate;
        return *this;
    }
};

// A numbered conversation within a connection.
struct channel_look {
    std::uint32_t number = 0;
    std::string state;
    std::uint32_t consumers = 0;
    std::uint32_t prefetch = 0;
    std::uint32_t prefetch_all = 0;  // of all consumers together
    std::uint64_t unacked = 0;
    std::uint64_t unconfirmed = 0;
    std::uint64_t uncommitted = 0;       // publishes of a transaction
    std::uint64_t acks_uncommitted = 0;  // and settlements
    bool confirm = false;
    bool transactional = false;
    message_counts counts{};
    rate_window<message_counts>::seen seen{};
};

}  // namespace linnet::core
