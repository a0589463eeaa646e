#include "broker/core/shard_state.hpp"

#include <algorithm>

// Queues give way before publishers have to: what a queue holds in memory goes to the log and is read back when
// its turn comes.

namespace linnet::core {

namespace {

// What one takes on average beside what is counted: its entries in tables, and its definition.
constexpr std::uint64_t queue_bytes = sizeof(queue) + 1536;

// A turn gives back at most so much, and looks at so many queues for it: some milliseconds of work.
constexpr std::uint64_t relief_bytes_a_turn = 4 * 1024 * 1024;
// While so much waits to be written, nothing is added to it: those who wait for their confirms come first. Near the
// budget it may be more, but never so much that the log is congested by it. Where the disk cannot follow, memory fills
// up; what the log has already, goes in any case. Of a small budget all logs together take a part at most, for what
// waits to be written is memory, too.
constexpr std::uint64_t unwritten_bytes_max = 4 * 1024 * 1024;
constexpr std::uint64_t unwritten_bytes_max_when_short = 12 * 1024 * 1024;
constexpr std::uint64_t unwritten_part = 16;
constexpr std::uint64_t written_bytes_a_turn_min = 256 * 1024;
constexpr std::size_t queues_a_turn = 4096;

}  // namespace

void shard_state::tell_memory() {
    const auto tell = [this](memory_use what, std::uint64_t bytes) { parts.set_bytes(self.id(), what, bytes); };
    tell(memory_use::connections,
         static_cast<std::uint64_t>(std::max<std::int64_t>(connection_bytes, 0)) + held_count * sizeof(delivery));
    tell(memory_use::queues, (queues.size() + parting.size()) * queue_bytes);
    // With the flight recorder: an index of what has happened.
    tell(memory_use::indexes, (swap == nullptr ? 0 : swap->held_bytes()) + recorder.bytes());
    std::uint64_t waiting = 0;
    for (const auto& [uid, held] : delays) {
        waiting += held->look().index_bytes;
    }
    tell(memory_use::delays, waiting);
    tell(memory_use::clients, clients.bytes());
    tell(memory_use::retained, retained.bytes());
    tell(memory_use::replies, replies.bytes());
    if (self.id() == control_shard && parts.options().log_buffer_bytes != nullptr) {
        tell(memory_use::logs, parts.options().log_buffer_bytes());
    }
}

// How much more is held than half of what the budget leaves for messages.
std::uint64_t shard_state::memory_excess() const noexcept {
    const std::uint64_t budget = parts.options().memory_high_bytes;
    if (budget == 0) [[unlikely]] {
        return 0;
    }
    const std::uint64_t held = parts.held_bytes();
    const std::uint64_t spillable = parts.bytes_of(memory_use::messages) + parts.bytes_of(memory_use::places);
    const std::uint64_t others = held - std::min(held, spillable);
    const std::uint64_t mark = others + (budget - std::min(budget, others)) / 2;
    return held - std::min(held, mark);
}

bool shard::is_short_of_memory() const noexcept { return state_->short_of_memory; }

// From that half on queues spill, one after the other; publishers are held back only at the whole of it.
bool shard_state::relieve() {
    short_of_memory = false;
    if (stores.empty()) [[unlikely]] {
        return false;
    }
    const std::uint64_t excess = memory_excess();
    short_of_memory = excess != 0;
    if (excess == 0) [[likely]] {
        return false;
    }
    const std::uint64_t budget = parts.options().memory_high_bytes;
    const std::uint64_t held = parts.held_bytes();
    const bool spares = held <= budget - budget / 16;
    const std::uint64_t share = budget / unwritten_part / std::max<std::uint64_t>(parts.options().logs, 1);
    const std::uint64_t unwritten = held > budget - budget / 8 ? std::min(unwritten_bytes_max_when_short, share)
                                                               : std::min(unwritten_bytes_max, share / 2);
    const auto behind = [=](const stored_log& s) { return s.log->end() - s.log->durable() > unwritten; };
    const bool follows = !std::ranges::any_of(stores, behind) && !self.logs_congested();
    const auto what = follows ? queue::gives::all : queue::gives::stored;
    const std::uint64_t written = follows ? std::max(share / 2, written_bytes_a_turn_min) : relief_bytes_a_turn;
    const std::uint64_t wanted = std::min({excess, relief_bytes_a_turn, written});
    const std::size_t slots = queues.slots();
    std::uint64_t freed = 0;
    for (std::size_t looked = 0; looked < std::min(slots, queues_a_turn) && freed < wanted; ++looked) {
        relief_slot = relief_slot + 1 < slots ? relief_slot + 1 : 0;
        if (auto* q = queues.find_slot(relief_slot); q != nullptr && (*q)->ready_count() != 0) {
            freed += (*q)->shrink(wanted - freed, what, spares);
        }
    }
    for (auto& [uid, d] : delays) {
        if (follows && freed < wanted) {
            freed += d->shrink(wanted - freed);
        }
    }
    return freed != 0;
}

}  // namespace linnet::core
