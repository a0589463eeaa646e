#include "broker/core/broker.hpp"

#include "broker/core/message_pool.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_journal.hpp"

namespace linnet::core {

published_topology::~published_topology() { release_topology(root); }

broker::broker(const broker_options& options, const clock_source& clock)
    : options_(options),
      clock_(clock),
      wakers_(options.shards),
      pools_(options.shards),
      held_(std::make_unique<shard_bytes[]>(options.shards)),
      homes_(options.shards),
      editor_(std::make_unique<topology_editor>()),
      domain_(options.shards) {
    for (unsigned from = 0; from < options.shards; ++from) {
        bells_.push_back(std::make_unique<lockfree::doorbell>());
        for (unsigned to = 0; to < options.shards; ++to) {
            // A shard says nothing to itself through a ring.
            rings_.push_back(from == to ? nullptr : std::make_unique<command_ring>(options.ring_capacity));
        }
    }
    topology_ = std::make_unique<lockfree::snapshot<published_topology>>(
        domain_, std::make_unique<published_topology>(editor_->commit()));
}

broker::~broker() {
    hand_over();
    topology_.reset();
}

void broker::hand_over() noexcept {
    editor_->release_owner();
    if (keeper_ != nullptr) {
        keeper_->release_owner();
    }
    domain_.release_writer();
}

void broker::publish_topology() {
    if (editor_->changed()) {
        topology_->publish(std::make_unique<published_topology>(editor_->commit()));
    }
}

std::uint64_t broker::bytes_of(memory_use what) const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < pools_.size(); ++i) {
        const auto* pool = pools_[i];
        if (what == memory_use::messages) {
            sum += pool == nullptr ? 0 : pool->held_bytes();
        } else if (what == memory_use::places) {
            sum += pool == nullptr ? 0 : pool->beside_bytes();
        } else {
            sum += held_[i].by_use[static_cast<std::size_t>(what)].load(std::memory_order_relaxed);
        }
    }
    // Holes that messages have left, and lists of free blocks: a twelfth was measured under overload.
    constexpr std::uint64_t allocator_part = 12;
    if (what == memory_use::program && sum != 0) {
        sum += (bytes_of(memory_use::messages) + bytes_of(memory_use::places)) / allocator_part;
    }
    return sum;
}

std::uint64_t broker::held_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < memory_uses; ++i) {
        sum += bytes_of(static_cast<memory_use>(i));
    }
    return sum;
}

void broker::update_memory_alarm() noexcept {
    if (options_.memory_high_bytes == 0) {
        return;
    }
    // It ends a little lower than it begins, so that it does not flutter.
    const std::uint64_t high = options_.memory_high_bytes;
    const std::uint64_t held = held_bytes();
    const bool on = memory_alarm() ? held > high - high / 20 : held > high;
    if (on != memory_alarm() && alarm_.exchange(on, std::memory_order_relaxed) != on) {
        for (std::uint16_t i = 0; i < options_.shards; ++i) {
            wake(shard_id{i});
        }
    }
}

void broker::set_disk_full(shard_id of, bool full) noexcept {
    const auto bit = std::uint64_t{1} << of.value;
    const auto before = full ? disks_full_.fetch_or(bit, std::memory_order_relaxed)
                             : disks_full_.fetch_and(~bit, std::memory_order_relaxed);
    if ((before & bit) != (full ? bit : 0)) {
        for (std::uint16_t i = 0; i < options_.shards; ++i) {
            wake(shard_id{i});
        }
    }
}

void broker::set_disk_low(bool low) noexcept {
    if (disk_low_.exchange(low, std::memory_order_relaxed) != low) {
        for (std::uint16_t i = 0; i < options_.shards; ++i) {
            wake(shard_id{i});
        }
    }
}

void broker::store_failed(const std::string& complaint) {
    if (!store_failed_.exchange(true) && options_.on_store_failed) {
        options_.on_store_failed(complaint);
    }
}

}  // namespace linnet::core
