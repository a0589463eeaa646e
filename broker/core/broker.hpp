#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/command.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/topology.hpp"
#include "broker/lockfree/doorbell.hpp"
#include "broker/lockfree/snapshot.hpp"
#include "broker/lockfree/spsc_ring.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace linnet::core {

class control;
class message_pool;
class shard;
class topology_editor;

// Rouses a shard that blocks in its reactor (an eventfd there; nothing in a simulator).
class waker {
public:
    waker() = default;
    waker(const waker&) = delete;
    waker& operator=(const waker&) = delete;
    virtual ~waker() = default;
    virtual void wake() noexcept = 0;  // from any thread
};

using command_ring = lockfree::spsc_ring<command>;

// One version of the topology, owned by the snapshot that publishes it.
struct published_topology {
    explicit published_topology(const topology_root* r) noexcept : root(r) {}
    published_topology(const published_topology&) = delete;
    published_topology& operator=(const published_topology&) = delete;
    ~published_topology();
    const topology_root* root;
};

struct broker_options {
    std::uint16_t shards = 1;
    std::size_t ring_capacity = 16 * 1024;
    property_readers readers{};
    // Bytes of messages and output above which publishers are held back; 0: never.
    std::uint64_t memory_high_bytes = 0;
};

// What the shards share: the rings between them, the published topology, who sleeps. The parts list of the
// core; it does nothing by itself.
//
// Threads: built and destroyed on the main thread while no shard runs; in between as its parts say.
class broker {
public:
    broker(const broker_options& options, const clock_source& clock);
    ~broker();
    broker(const broker&) = delete;
    broker& operator=(const broker&) = delete;

    [[nodiscard]] std::uint16_t shard_count() const noexcept { return options_.shards; }
    [[nodiscard]] const broker_options& options() const noexcept { return options_; }
    [[nodiscard]] const clock_source& clock() const noexcept { return clock_; }
    [[nodiscard]] const property_reader* reader_of(protocol_tag tag) const noexcept {
        return options_.readers[static_cast<std::size_t>(tag)];
    }

    // Before any shard runs: the vhosts, users and policies of the configuration.
    [[nodiscard]] topology_editor& editor() noexcept { return *editor_; }
    // The thread that set it up gives it away: before the shards run, and after they have ended.
    void hand_over() noexcept;
    // Shows readers what the editor made. Control shard, or before any shard runs.
    void publish_topology();

    [[nodiscard]] command_ring& ring(shard_id from, shard_id to) noexcept {
        return *rings_[from.value * std::size_t{options_.shards} + to.value];
    }
    [[nodiscard]] lockfree::doorbell& bell(shard_id of) noexcept { return *bells_[of.value]; }
    void set_waker(shard_id of, waker* w) noexcept { wakers_[of.value] = w; }
    void wake(shard_id of) noexcept {
        if (auto* w = wakers_[of.value]; w != nullptr) {
            w->wake();
        }
    }
    [[nodiscard]] lockfree::snapshot_domain& domain() noexcept { return domain_; }
    [[nodiscard]] const lockfree::snapshot<published_topology>& topology() const noexcept { return *topology_; }

    // For sums over all shards.
    void register_pool(shard_id of, const message_pool* p) noexcept { pools_[of.value] = p; }
    [[nodiscard]] std::uint64_t held_bytes() const noexcept;
    void set_output_bytes(shard_id of, std::uint64_t bytes) noexcept;

    // Set by the control shard from time to time, seen by all.
    [[nodiscard]] bool memory_alarm() const noexcept { return alarm_.load(std::memory_order_relaxed); }
    void update_memory_alarm() noexcept;

private:
    // Constant after construction.
    const broker_options options_;
    const clock_source& clock_;
    std::vector<std::unique_ptr<command_ring>> rings_;
    std::vector<std::unique_ptr<lockfree::doorbell>> bells_;
    std::vector<waker*> wakers_;
    std::vector<const message_pool*> pools_;

    // Shared: single writers each, relaxed; figures for the budget.
    struct alignas(64) padded_bytes {
        std::atomic<std::uint64_t> value{0};
    };
    std::unique_ptr<padded_bytes[]> output_bytes_;
    std::atomic<bool> alarm_{false};

    // The order matters: the snapshot's garbage goes to the domain, its nodes belong to the editor.
    std::unique_ptr<topology_editor> editor_;
    lockfree::snapshot_domain domain_;
    std::unique_ptr<lockfree::snapshot<published_topology>> topology_;
};

}  // namespace linnet::core
