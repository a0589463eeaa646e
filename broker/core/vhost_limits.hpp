#pragma once

#include "broker/base/result.hpp"
#include "broker/core/value.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace linnet::core {

// What an administrator allows a vhost to have. A negative number allows any, and is kept, as in RabbitMQ.
struct vhost_limits {
    std::optional<std::int64_t> connections_max;
    std::optional<std::int64_t> queues_max;

    [[nodiscard]] bool empty() const noexcept { return !connections_max && !queues_max; }
    bool operator==(const vhost_limits&) const = default;
};

// "max-connections" and "max-queues", as RabbitMQ names them. What is anything else is a sentence.
[[nodiscard]] result<vhost_limits, std::string> read_vhost_limits(const value_table& t);
[[nodiscard]] value_table to_table(const vhost_limits& l);

[[nodiscard]] constexpr bool exceeds(std::uint64_t count, std::optional<std::int64_t> most) noexcept {
    return most && *most >= 0 && count > static_cast<std::uint64_t>(*most);
}

// How many connections a vhost has, on all shards.
//
// Shared by all versions of the vhost's node and by every seat: a connection may outlast its vhost by some turns.
//
// Threads: any.
class vhost_population {
public:
    // Enters, unless `most` are there.
    [[nodiscard]] bool enter(std::optional<std::int64_t> most) noexcept {
        // Relaxed suffices: nothing is read on the strength of the count.
        const auto there = connections_.fetch_add(1, std::memory_order_relaxed);
        if (exceeds(there + 1, most)) {
            leave();
            return false;
        }
        return true;
    }
    void leave() noexcept { connections_.fetch_sub(1, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t connections() const noexcept { return connections_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> connections_{0};
};

// A connection's place in its vhost, until it is destroyed. An empty one is nowhere.
class vhost_seat {
public:
    vhost_seat() = default;
    // Of one who has entered.
    explicit vhost_seat(std::shared_ptr<vhost_population> in) noexcept : in_(std::move(in)) {}
    vhost_seat(vhost_seat&&) noexcept = default;
    vhost_seat& operator=(vhost_seat&& other) noexcept {
        if (this != &other) {
            release();
            in_ = std::move(other.in_);
        }
        return *this;
    }
    ~vhost_seat() { release(); }

    void release() noexcept {
        if (const auto left = std::exchange(in_, nullptr)) {
            left->leave();
        }
    }

private:
    std::shared_ptr<vhost_population> in_;
};

}  // namespace linnet::core
