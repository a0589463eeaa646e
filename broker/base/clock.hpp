#pragma once

#include <chrono>
#include <cstdint>

namespace linnet {

// Monotonic time in nanoseconds since an arbitrary start. All timers run on it: wall-clock jumps move nothing.
using mono_ns = std::int64_t;

// Wall-clock time in nanoseconds since 1970-01-01 UTC. For timestamps that people or other brokers see.
using wall_ns = std::int64_t;

inline constexpr mono_ns ns_per_us = 1'000;
inline constexpr mono_ns ns_per_ms = 1'000'000;
inline constexpr mono_ns ns_per_s = 1'000'000'000;

// Where time comes from. A shard reads it once a turn and hands the value down, so that a simulator
// decides what time it is and the hot path makes no clock call.
//
// Threads: implementations must be callable from any thread.
class clock_source {
public:
    clock_source() = default;
    clock_source(const clock_source&) = delete;
    clock_source& operator=(const clock_source&) = delete;
    virtual ~clock_source() = default;

    [[nodiscard]] virtual mono_ns now() const noexcept = 0;
    [[nodiscard]] virtual wall_ns wall_now() const noexcept = 0;
};

class system_clock_source final : public clock_source {
public:
    [[nodiscard]] mono_ns now() const noexcept override {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }
    [[nodiscard]] wall_ns wall_now() const noexcept override {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    }
};

// Time that moves only when a test says so.
class manual_clock_source final : public clock_source {
public:
    [[nodiscard]] mono_ns now() const noexcept override { return mono_; }
    [[nodiscard]] wall_ns wall_now() const noexcept override { return wall_; }

    void advance(mono_ns by) noexcept {
        mono_ += by;
        wall_ += by;
    }
    // A step of the wall clock alone, as NTP or an administrator makes one.
    void jump_wall(wall_ns by) noexcept { wall_ += by; }

private:
    mono_ns mono_{ns_per_s};
    wall_ns wall_{1'700'000'000 * ns_per_s};
};

}  // namespace linnet
