#pragma once

#include "broker/core/client.hpp"
#include "broker/core/command.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/shard.hpp"

#include <cstdint>
#include <unordered_map>

namespace linnet::core {

struct shard_state;

// A shard's publishes that come with a mark at their client (shard::publish_once).
//
// Each is a transaction (decision 0014) of the message and the mark. The client's home is told before that one is under
// way, and afterwards how it ended: both on the way that the session's detach takes, so the home knows of it first.
//
// Threads: the shard's.
// Bounds:  some 100 bytes a publish under way; the client's window bounds those.
class shard_once {
public:
    explicit shard_once(shard_state& home) : home_(home) {}

    [[nodiscard]] publish_result publish(message_ptr m, const vhost_node& v, const shard::route& r,
                                         const client_ticket& client, std::uint32_t number,
                                         const durable_waiter& confirm);
    // All that it went to has it durable, or refused it.
    void settled(std::uint64_t id, bool accepted);
    void end() { open_.clear(); }

private:
    struct under_way {
        client_ticket client;
        std::uint32_t number = 0;
        bool accepted = true;  // so far
        durable_waiter confirm;
    };

    [[nodiscard]] publish_result transact(message_ptr m, const vhost_node& v, const shard::route& r, const under_way& u,
                                          std::uint64_t id);
    void mark(const under_way& u);
    void tell(const under_way& u, mark_step what);

    shard_state& home_;
    std::unordered_map<std::uint64_t, under_way> open_;
    std::uint64_t last_ = 0;
};

}  // namespace linnet::core
