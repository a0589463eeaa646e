#pragma once

#include "broker/core/stamp_set.hpp"
#include "broker/core/topic_tree.hpp"
#include "broker/core/topology.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// Collects the targets of a route, each once.
class target_set {
public:
    void clear() noexcept {
        targets_.clear();
        hashed_ = false;
    }
    void add(queue_handle q) {
        if (targets_.size() < linear_max) {
            for (const queue_handle known : targets_) {
                if (known == q) {
                    return;
                }
            }
        } else if (!is_new(q)) {
            return;
        }
        targets_.push_back(q);
    }
    [[nodiscard]] std::span<const queue_handle> all() const noexcept { return targets_; }

private:
    // Comparing with a few is cheaper than hashing; most routes have a few.
    static constexpr std::size_t linear_max = 16;

    // A place is held by one queue at a time, so within a version it names the queue.
    [[nodiscard]] static std::uint64_t number_of(queue_handle q) noexcept {
        return (std::uint64_t{q.shard.value} << 32) | q.slot;
    }
    [[nodiscard]] bool is_new(queue_handle q) {
        if (!hashed_) {
            hashed_ = true;
            seen_.clear();
            for (const queue_handle known : targets_) {
                seen_.insert(number_of(known));
            }
        }
        return seen_.insert(number_of(q));
    }

    std::vector<queue_handle> targets_;
    stamp_set seen_;
    bool hashed_ = false;
};

struct route_scratch {
    target_set found;
    // Delayed-message exchanges that hold the message.
    std::vector<std::string> delays;
    // Exchanges still to be asked, and all that were ever in line: a cycle of bindings ends.
    std::vector<const exchange_node*> line;
    stamp_set passed;
    topic_match match;
    // Of hashing and random exchanges: the bindings to choose from.
    std::vector<const binding_node*> choice;
};

}  // namespace linnet::core
