#pragma once

#include "broker/lockfree/atomics.hpp"

#include <cstdint>

namespace linnet::lockfree {

// A statistic that one thread counts and any thread reads.
//
// With a single writer a load and a store do what a locked add would: some 0.3 ns instead of 5.
// Totals are sums over the shards' counters, made when somebody asks. Counters of one shard may
// share cache lines with each other, not with another shard's.
//
// Threads:  add() from one thread; value() from any.
// Bounds:   2^64, then it wraps.
// Fails:    cannot. A second writer loses counts; whoever owns the counter has a thread_owner for
//           that.
template <class Atomics = std_atomics>
class basic_counter {
public:
    basic_counter() = default;
    basic_counter(const basic_counter&) = delete;
    basic_counter& operator=(const basic_counter&) = delete;
    ~basic_counter() = default;

    // Relaxed throughout: a figure orders nothing else, and the store is atomic so no reader sees
    // half of it.
    void add(std::uint64_t by = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    typename Atomics::template atomic<std::uint64_t, site::counter_value> value_{0};
};

// The same for a figure that also falls: connections open, messages ready, bytes held.
template <class Atomics = std_atomics>
class basic_gauge {
public:
    basic_gauge() = default;
    basic_gauge(const basic_gauge&) = delete;
    basic_gauge& operator=(const basic_gauge&) = delete;
    ~basic_gauge() = default;

    void add(std::int64_t by = 1) noexcept { set(value() + by); }
    void sub(std::int64_t by = 1) noexcept { set(value() - by); }
    void set(std::int64_t to) noexcept { value_.store(to, std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
    typename Atomics::template atomic<std::int64_t, site::counter_value> value_{0};
};

using counter = basic_counter<>;
using gauge = basic_gauge<>;

}  // namespace linnet::lockfree
