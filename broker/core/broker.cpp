#include "broker/core/broker.hpp"

#include "broker/core/message_pool.hpp"
#include "broker/core/topology_editor.hpp"

namespace linnet::core {

published_topology::~published_topology() { release_topology(root); }

broker::broker(const broker_options& options, const clock_source& clock)
    : options_(options),
      clock_(clock),
      wakers_(options.shards),
      pools_(options.shards),
      output_bytes_(std::make_unique<padded_bytes[]>(options.shards)),
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
    domain_.release_writer();
}

void broker::publish_topology() {
    if (editor_->changed()) {
        topology_->publish(std::make_unique<published_topology>(editor_->commit()));
    }
}

std::uint64_t broker::held_bytes() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < pools_.size(); ++i) {
        sum += pools_[i] == nullptr ? 0 : pools_[i]->held_bytes();
        sum += output_bytes_[i].value.load(std::memory_order_relaxed);
    }
    return sum;
}

void broker::set_output_bytes(shard_id of, std::uint64_t bytes) noexcept {
    output_bytes_[of.value].value.store(bytes, std::memory_order_relaxed);
}

void broker::update_memory_alarm() noexcept {
    if (options_.memory_high_bytes == 0) {
        return;
    }
    // It ends a little lower than it begins, so that it does not flutter.
    const std::uint64_t high = options_.memory_high_bytes;
    const std::uint64_t held = held_bytes();
    const bool on = memory_alarm() ? held > high - high / 20 : held > high;
    if (on != memory_alarm()) {
        alarm_.store(on, std::memory_order_relaxed);
        for (std::uint16_t i = 0; i < options_.shards; ++i) {
            wake(shard_id{i});
        }
    }
}

}  // namespace linnet::core
