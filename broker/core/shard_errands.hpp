#pragma once

#include "broker/core/command.hpp"
#include "broker/core/errands.hpp"
#include "broker/core/shard.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace linnet::core {

struct shard_state;

// What a shard's transactions do in other logs than their own, and what those of others do here.
//
// A transaction's own log is the first of its shard. What it does elsewhere becomes errands of that log, which leave
// once it is durable. Streams have logs of their own, so what goes to one is always an errand.
//
// Threads: the shard's.
class shard_errands {
public:
    explicit shard_errands(shard_state& home) : home_(home) {}

    // ---- Within a transaction ------------------------------------------------------------------
    [[nodiscard]] publish_result publish(message_ptr m, const vhost_node& v, const shard::route& r,
                                         const durable_waiter& confirm);
    // False: it is none of ours, for that queue's log is the transaction's own, or it has none.
    [[nodiscard]] bool settle(queue_handle q, consumer_id c, std::span<const position> which, std::uint64_t bytes);
    // A number at a client whose home is another log.
    void mark(std::uint16_t home, const client_mark& m);
    // It has been recorded. True: `then` is told when its errands have been run and all is durable. False: it has none.
    [[nodiscard]] bool end(const durable_waiter& then);

    // ---- Running them --------------------------------------------------------------------------
    // The transaction's own log has it.
    void decided(std::uint64_t id);
    void receive(errand_part&& p);
    // One of the logs that it went to has it durable.
    void answered(std::uint16_t log, position number, bool accepted);

    // ---- Messages that are seen when they are durable ------------------------------------------
    // It has just been recorded, here for `storing` of the shard, and is to be in those queues when that is durable.
    // For whoever acknowledges it in a transaction, or knows it by its position, relies on it: a crash must not put
    // another message there.
    void land(const message_ptr& m);
    void landed(std::uint64_t id);

    // ---- The whole -----------------------------------------------------------------------------
    [[nodiscard]] errands& of(std::uint16_t log);
    void on_recovery_end(std::uint16_t log, bool clean);
    void hand_over() noexcept;
    void end() {
        landings_.clear();
        logs_.clear();
    }
    // Once a turn: what a crash has left is run again.
    void poll() {
        if (!left_.empty()) [[unlikely]] {
            run_left();
        }
    }

private:
    struct transaction {
        std::vector<position> errands;
        std::size_t waiting = 0;
        bool accepted = true;
        durable_waiter then;
    };
    // To be run, in this order; `parts` of what a crash has left, 0: of a transaction of this life.
    struct left_over {
        std::uint16_t log = 0;
        position number = 0;
        std::size_t parts = 0;
    };
    // A message that has been recorded in one log and is not in its queues yet.
    struct landing {
        struct place {
            queue_handle to;
            position pos;
            stored_ref where;
        };
        message_ptr msg;
        journal* log = nullptr;
        std::vector<place> places;
    };
    using parts_of_errand = std::vector<errand_part>;

    [[nodiscard]] std::uint16_t own_log() const noexcept;
    [[nodiscard]] shard_id shard_of(std::uint16_t log) const noexcept;
    // The name of a queue, or stream, that the transaction's own log does not have.
    [[nodiscard]] std::optional<durable_name> elsewhere(queue_handle q) const;
    // The home of that vhost's last values, if the message is to become one and that is another log.
    [[nodiscard]] std::optional<durable_name> retained_elsewhere(const message& m, vhost_id v,
                                                                 const shard::route& r) const;
    void add(errand e);
    [[nodiscard]] static parts_of_errand parts_of(std::uint16_t log, position number, const errand& e);
    // Sends it off, one part for each log that it is for.
    void run(std::uint16_t log, position number, errand& e, bool again);
    void run_left();
    void send(errand_part&& p);
    [[nodiscard]] static bool retains(const errand_part& p) noexcept;
    void record_landing(const errand_part& p, std::span<const queue_place> queues, bool& accepted);
    [[nodiscard]] std::uint64_t run_in_queues(const errand_part& p, std::span<const queue_place> queues,
                                              bool& accepted);
    void retain(const errand_part& p, bool& accepted);
    [[nodiscard]] std::uint64_t run_at_client(const errand_part& p);
    [[nodiscard]] std::uint64_t run_in_streams(const errand_part& p, std::span<const queue_place> streams,
                                               bool& accepted);

    shard_state& home_;
    std::vector<std::unique_ptr<errands>> logs_;  // by log / shards; null until there is need
    std::vector<position> gathered_;              // of the transaction that is being recorded
    std::unordered_map<std::uint64_t, transaction> open_;
    std::uint64_t last_transaction_ = 0;
    std::unordered_map<std::uint64_t, landing> landings_;
    std::uint64_t last_landing_ = 0;
    std::deque<left_over> left_;
    bool asked_back_ = false;
};

}  // namespace linnet::core
