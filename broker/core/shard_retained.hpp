#pragma once

#include "broker/core/command.hpp"
#include "broker/core/retained_store.hpp"
#include "broker/core/shard.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linnet::core {

struct shard_state;

// A shard's last values: the stores of its logs, and the publishes that wait for one.
//
// Threads: the shard's.
// Bounds:  values that wait behind an errand, and what asks for them: as long as the disk takes to write its
// transaction.
class shard_retained final : public retained_context {
public:
    explicit shard_retained(shard_state& home) : home_(home) {}

    // ---- Publishing ----------------------------------------------------------------------------
    // Makes it its key's last value wherever that lives, and publishes it; a confirm waits for both.
    [[nodiscard]] publish_result publish(message_ptr m, const vhost_node& v, const shard::route& r,
                                         const durable_waiter& confirm);
    void receive(shard_id from, const retain_command& c);
    // A part of such a publish has been done.
    void joined(std::uint64_t publish, bool accepted);

    // ---- Order ---------------------------------------------------------------------------------
    // A value for that log has become an errand, which leaves when its transaction is durable; errands leave in the
    // order in which they were given. Until it has, whatever is published to the log after it waits behind it: what was
    // published last is to be what is kept.
    void errand_given(std::uint16_t log) { ++orders_[log].given; }
    void errand_sent(std::uint16_t log);

    // ---- Reading -------------------------------------------------------------------------------
    [[nodiscard]] std::uint16_t home_of(vhost_id v) const noexcept;
    // Of this shard, to whichever log: what it was given to keep before is there by then. False: it need not wait.
    [[nodiscard]] bool hold_request(std::unique_ptr<routed_request>& r);
    void request(const routed_request& r);

    // ---- Storing -------------------------------------------------------------------------------
    [[nodiscard]] retained_store& store(std::uint16_t log);
    [[nodiscard]] std::span<const std::unique_ptr<retained_store>> all() const noexcept { return stores_; }
    void on_recovery_end(std::uint16_t log, bool clean);
    void hand_over() noexcept;
    // Memory, beside messages.
    [[nodiscard]] std::uint64_t bytes() const noexcept;
    void end() {
        drop_held();
        stores_.clear();
    }

    // ---- retained_context ----------------------------------------------------------------------
    [[nodiscard]] mono_ns now() const noexcept override;
    [[nodiscard]] wall_ns wall_now() const noexcept override;
    [[nodiscard]] timer_wheel& timers() noexcept override;
    [[nodiscard]] std::string name_of(vhost_id v) const override;
    [[nodiscard]] std::optional<vhost_id> find_vhost(std::string_view name) const override;
    void later(std::function<void()> f) override;
    void answer(session_handle to, reply&& r) override;
    void found(const retained_store& at, vhost_id v) override;

private:
    // Its confirm goes on once all parts have been done.
    struct joint {
        std::uint32_t waiting = 0;
        bool accepted = true;
        durable_waiter then;
    };
    // What one log is to get of this shard.
    struct order {
        struct held {
            retain_command what{};                    // its message's reference is ours
            std::uint64_t after;                      // goes when so many errands have been sent
            std::unique_ptr<routed_request> asked{};  // in place of a value
        };
        std::uint64_t given = 0;
        std::uint64_t sent = 0;
        std::deque<held> waiting;

        [[nodiscard]] bool is_late() const noexcept { return sent != given; }
    };

    [[nodiscard]] std::uint64_t log_bit(std::uint16_t log) const noexcept;
    void send(const retain_command& c);
    void drop_held() noexcept;
    // Recorded: it is to be waited for.
    [[nodiscard]] retained_store::outcome keep(const message_ptr& m, vhost_id v, std::uint64_t publish);

    shard_state& home_;
    std::vector<std::unique_ptr<retained_store>> stores_;  // by log / shards; null until there is need
    std::unordered_map<std::uint64_t, joint> joints_;
    std::unordered_map<std::uint16_t, order> orders_;
    std::uint64_t last_joint_ = 0;
};

}  // namespace linnet::core
