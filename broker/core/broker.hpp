#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/command.hpp"
#include "broker/core/homes.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/memory_use.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/topology.hpp"
#include "broker/lockfree/doorbell.hpp"
#include "broker/lockfree/snapshot.hpp"
#include "broker/lockfree/spsc_ring.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace linnet::core {

class control;
class message_pool;
class stream_store;
class shard;
class topology_editor;
class topology_journal;

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
    // Bytes of memory (memory_use.hpp) above which publishers are held back; 0: never.
    std::uint64_t memory_high_bytes = 0;
    // How many logs of messages there are; log i is served by shard i mod shards. 0: nothing is stored. Otherwise at
    // least as many as shards, and each is opened before the shards run: shard::restore_queue(), replay(), open_log().
    std::uint16_t logs = 0;
    // How many last values a vhost may have, and how many named clients there may be, connected or kept
    // (evenly spread over the logs: a log has its share of them); 0: no limit.
    std::uint64_t retained_max = 0;
    std::uint64_t clients_max = 0;
    reply_limits replies{};
    // Slots of each shard's flight recorder; 0: nothing is recorded.
    std::size_t recorder_events = 0;
    // Where streams keep their logs; null: a stream is an ordinary queue. Must outlive the broker.
    stream_store* streams = nullptr;
    // What the buffers of all logs take; null: nothing. Any thread, from the first shard's alone.
    std::uint64_t (*log_buffer_bytes)() noexcept = nullptr;
    // A log has failed: nothing more becomes durable and the process has to end, with an error. From any shard.
    std::function<void(const std::string& complaint)> on_store_failed{};
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
    // What keeps the topology; null: nothing does. It must outlive the shards. Before any shard runs.
    [[nodiscard]] topology_journal* keeper() const noexcept { return keeper_; }
    void set_keeper(topology_journal* k) noexcept { keeper_ = k; }
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

    [[nodiscard]] core::homes& homes() noexcept { return homes_; }

    // For sums over all shards. Of messages and places pools tell; each shard sets the others, for itself.
    void register_pool(shard_id of, const message_pool* p) noexcept { pools_[of.value] = p; }
    void set_bytes(shard_id of, memory_use what, std::uint64_t bytes) noexcept {
        held_[of.value].by_use[static_cast<std::size_t>(what)].store(bytes, std::memory_order_relaxed);
    }
    // Any thread.
    [[nodiscard]] std::uint64_t bytes_of(memory_use what) const noexcept;
    [[nodiscard]] std::uint64_t held_bytes() const noexcept;

    // Set by whichever shard looks first, from time to time, seen by all. Any thread.
    [[nodiscard]] bool memory_alarm() const noexcept { return alarm_.load(std::memory_order_relaxed); }
    void update_memory_alarm() noexcept;

    // A log of that shard has no room left, or has some again.
    void set_disk_full(shard_id of, bool full) noexcept;
    // The disk below all logs runs out of room, or has some again. Any thread, one at a time.
    void set_disk_low(bool low) noexcept;
    [[nodiscard]] bool disk_alarm() const noexcept {
        return disks_full_.load(std::memory_order_relaxed) != 0 || disk_low_.load(std::memory_order_relaxed);
    }
    // Of transactions that a crash had left half done, what has yet to be done again, over all shards. Any thread.
    // Nobody is to look into queues before that: server.cpp.
    void note_errands(std::ptrdiff_t more) noexcept { errands_left_.fetch_add(more, std::memory_order_acq_rel); }
    [[nodiscard]] bool errands_left() const noexcept { return errands_left_.load(std::memory_order_acquire) != 0; }

    // A log failed: once for all, whoever notices first.
    void store_failed(const std::string& complaint);

private:
    // Constant after construction.
    const broker_options options_;
    const clock_source& clock_;
    std::vector<std::unique_ptr<command_ring>> rings_;
    std::vector<std::unique_ptr<lockfree::doorbell>> bells_;
    std::vector<waker*> wakers_;
    std::vector<const message_pool*> pools_;

    // Shared: single writers each, relaxed; figures for the budget.
    struct alignas(64) shard_bytes {
        std::array<std::atomic<std::uint64_t>, memory_uses> by_use{};
    };
    std::unique_ptr<shard_bytes[]> held_;
    std::atomic<bool> alarm_{false};
    std::atomic<std::uint64_t> disks_full_{0};  // a bit a shard
    std::atomic<bool> disk_low_{false};
    std::atomic<bool> store_failed_{false};
    std::atomic<std::ptrdiff_t> errands_left_{0};

    topology_journal* keeper_ = nullptr;  // the control's
    core::homes homes_;

    // The order matters: the snapshot's garbage goes to the domain, its nodes belong to the editor.
    std::unique_ptr<topology_editor> editor_;
    lockfree::snapshot_domain domain_;
    std::unique_ptr<lockfree::snapshot<published_topology>> topology_;
};

}  // namespace linnet::core
