#pragma once

#include <atomic>
#include <cstddef>

// What the lock-free structures are made of, as a policy, so that a model checker can be handed the
// very same code: production uses std_atomics, the exhaustive tests a policy over instrumented
// types.
//
// A policy offers two templates. atomic<T, Site> has the load / store / exchange /
// compare_exchange_weak of std::atomic; Site is an empty tag that names the variable, so that a
// test can weaken the order of one operation and show that it is needed. cell<T> is memory that is
// *not* atomic and is handed from thread to thread by the atomics around it: what a race detector
// must watch.
//
// Every operation names its order, and every order has its reason beside it. There are no fences:
// ThreadSanitizer does not model them, and what it cannot see it cannot prove.

namespace linnet::lockfree {

// Two threads that write within one such block slow each other down by some 100 times. A constant
// of ours, not std::hardware_destructive_interference_size, which may differ between compiler
// flags.
inline constexpr std::size_t cacheline_bytes = 64;

// The names of the shared variables.
namespace site {
struct ring_tail;
struct ring_head;
struct bell_sleeping;
struct epoch_global;
struct epoch_reader;
struct snapshot_pointer;
struct inbox_head;
struct counter_value;
}  // namespace site

// Plain memory; the policy's calls vanish.
template <class T>
class plain_cell {
public:
    [[nodiscard]] const T& read() const noexcept { return value_; }
    // The slot, to be written before it is published.
    [[nodiscard]] T& write() noexcept { return value_; }

private:
    T value_;
};

struct std_atomics {
    template <class T, class Site>
    using atomic = std::atomic<T>;
    template <class T>
    using cell = plain_cell<T>;
};

}  // namespace linnet::lockfree
