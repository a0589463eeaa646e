#pragma once

#include "broker/base/clock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace linnet::core {

class timer_wheel;

// Something that wants to be called once at a time. Intrusive: starting and stopping allocate nothing.
//
// Threads: the wheel's. Must be stopped, or fire, before it dies; its destructor stops it.
class timer {
public:
    timer() = default;
    timer(const timer&) = delete;
    timer& operator=(const timer&) = delete;
    virtual ~timer() { stop(); }

    // Called once, from advance(), not before the deadline. May start itself again.
    virtual void on_timer(mono_ns now) = 0;

    void stop() noexcept;
    [[nodiscard]] bool running() const noexcept { return wheel_ != nullptr; }
    [[nodiscard]] mono_ns deadline() const noexcept { return deadline_; }

private:
    friend class timer_wheel;
    timer* next_ = nullptr;
    timer* prev_ = nullptr;
    timer_wheel* wheel_ = nullptr;
    mono_ns deadline_ = 0;
    std::uint16_t bucket_ = 0;
};

// A hierarchical timing wheel: four levels of 256 buckets over a tick of 1 ms reach 49 days; what lies
// beyond waits in the last bucket and is filed again when that comes round.
//
// Starting and stopping cost O(1). A timer fires in the first advance() at or after its deadline's tick,
// so up to a tick late, never early.
//
// Threads: one shard's.
// Bounds:  a timer costs its own bytes only. advance() visits each passed tick once, and skips ahead when
//          no timer runs.
class timer_wheel {
public:
    explicit timer_wheel(mono_ns now) noexcept;
    timer_wheel(const timer_wheel&) = delete;
    timer_wheel& operator=(const timer_wheel&) = delete;

    // Replaces an earlier deadline of the same timer.
    void start(timer& t, mono_ns deadline) noexcept;

    // Fires what is due. Returns how many fired.
    std::size_t advance(mono_ns now);

    // When the next call of advance() could have something to do; `horizon` when nothing is due before it.
    [[nodiscard]] mono_ns next_due(mono_ns horizon) const noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    friend class timer;
    static constexpr std::size_t levels = 4;
    static constexpr std::size_t buckets = 256;
    static constexpr mono_ns tick_ns = ns_per_ms;

    void file(timer& t, std::uint64_t earliest) noexcept;
    void unlink(timer& t) noexcept;
    void cascade(std::size_t level) noexcept;

    std::array<timer*, levels * buckets> heads_{};
    std::array<std::array<std::uint64_t, buckets / 64>, levels> occupied_{};
    std::uint64_t now_tick_;
    std::size_t size_ = 0;
};

}  // namespace linnet::core
