#pragma once

#include "broker/base/clock.hpp"

#include <cstdint>

namespace linnet::core {
class broker;
}

namespace linnet::app {

// Holds the account of memory (core/memory_use.hpp), which is one of what was asked for, against the kernel's, which
// counts pages. What is between them (the program, holes that messages have left, small things that nobody counts) is
// counted as memory_use::program, up to a quarter of the budget; near the budget the heap gives back whole pages that
// are holes.
//
// Threads: one, the main one. Without a budget it does nothing.
class memory_watch {
public:
    // Outlives this.
    explicit memory_watch(core::broker& parts) noexcept : parts_(parts) {}

    // What is resident now is the program's: to be called when it has served nobody yet.
    void begin() noexcept;
    void look(mono_ns now) noexcept;
    // So much is held that it should look again in a tenth of a second; else in a second.
    [[nodiscard]] bool is_pressing() const noexcept { return pressing_; }

private:
    void count(std::uint64_t bytes) noexcept;

    core::broker& parts_;
    std::uint64_t at_start_ = 0;
    std::uint64_t counted_at_start_ = 0;
    std::uint64_t counted_ = 0;  // as the budget has it
    mono_ns released_ = 0;       // when the heap last gave back what it could
    mono_ns release_pause_ = ns_per_s;
    bool pressing_ = false;
};

}  // namespace linnet::app
