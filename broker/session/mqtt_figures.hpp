#pragma once

#include "broker/core/ids.hpp"
#include "broker/lockfree/counter.hpp"
#include "broker/session/name_pool.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace linnet::session {

// What the MQTT sessions of one shard have done.
//
// Threads: written on the shard's, read on any.
struct alignas(64) mqtt_counts {
    lockfree::counter packets_received;
    lockfree::counter packets_sent;
    lockfree::counter bytes_received;
    lockfree::counter bytes_sent;
    lockfree::counter publishes_received;
    lockfree::counter publishes_sent;
    lockfree::counter publishes_dropped;  // of QoS 0, for clients that read too slowly
    lockfree::counter payload_received;   // bytes
    lockfree::counter payload_sent;
    lockfree::counter sockets;      // opened
    lockfree::counter connections;  // that got as far as CONNACK
    lockfree::gauge clients;        // connected now
    lockfree::gauge subscriptions;  // of those
};

// Working memory of whichever session of a shard is at work: nothing in it lasts beyond a step.
struct alignas(64) mqtt_scratch {
    std::string block;
    std::string topic;
    std::string properties;
    std::string own_properties;
};

// ... and of all shards.
class mqtt_figures {
public:
    [[nodiscard]] mqtt_counts& of(core::shard_id s) noexcept { return counts_[s.value]; }
    [[nodiscard]] mqtt_scratch& scratch_of(core::shard_id s) noexcept { return scratch_[s.value]; }
    // Of its sessions' users and vhosts.
    [[nodiscard]] name_pool& names_of(core::shard_id s) noexcept { return names_[s.value]; }
    template <class Figure>
    [[nodiscard]] auto sum(Figure mqtt_counts::*which) const noexcept {
        decltype((counts_[0].*which).value()) all = 0;
        for (const auto& one : counts_) {
            all += (one.*which).value();
        }
        return all;
    }

private:
    std::array<mqtt_counts, core::shards_max> counts_{};
    std::array<mqtt_scratch, core::shards_max> scratch_{};
    std::array<name_pool, core::shards_max> names_{};
};

}  // namespace linnet::session
