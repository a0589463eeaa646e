#include "broker/app/memory_watch.hpp"

#include "broker/app/resident_memory.hpp"
#include "broker/core/broker.hpp"

#include <algorithm>

namespace linnet::app {
namespace {

// Of the budget: what the program may count for at its start, lest hardly anything else had room in a small one; what
// may be added to that for what nobody counts; and what makes it worth while to ask the heap for pages.
constexpr std::uint64_t program_part = 8;
constexpr std::uint64_t unknown_part = 4;
constexpr std::uint64_t margin_part = 16;
constexpr mono_ns release_pause_max = 60 * ns_per_s;

std::uint64_t without(std::uint64_t whole, std::uint64_t part) noexcept { return whole - std::min(whole, part); }

}  // namespace

void memory_watch::count(std::uint64_t bytes) noexcept {
    counted_ = bytes;
    parts_.set_bytes(core::control_shard, core::memory_use::program, bytes);
}

void memory_watch::begin() noexcept {
    at_start_ = without(resident_bytes(), parts_.held_bytes());
    counted_at_start_ = std::min(at_start_, parts_.options().memory_high_bytes / program_part);
    count(counted_at_start_);
}

void memory_watch::look(mono_ns now) noexcept {
    const std::uint64_t budget = parts_.options().memory_high_bytes;
    if (budget == 0) {
        return;
    }
    const std::uint64_t resident = resident_bytes();
    const std::uint64_t held = parts_.held_bytes();
    // The rule of thumb for holes is among it (broker::bytes_of).
    const std::uint64_t unknown = without(resident, without(held, counted_) + at_start_);
    count(counted_at_start_ + std::min(unknown, budget / unknown_part));
    pressing_ = without(std::max(resident, held), at_start_) > budget / 4;

    const std::uint64_t margin = budget / margin_part;
    if (resident > budget - margin && unknown > margin && now - released_ >= release_pause_) {
        released_ = now;
        release_heap();
        // What does not go is in use, or holes that are less than a page: asked again less and less often.
        const bool helped = without(resident, resident_bytes()) > margin / 4;
        release_pause_ = helped ? ns_per_s : std::min(2 * release_pause_, release_pause_max);
    }
}

}  // namespace linnet::app
