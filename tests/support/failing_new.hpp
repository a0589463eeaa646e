#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>

// An operator new that fails when it is told to, and counts what is alive. It replaces the program's: for one source of
// a program of its own.
//
//     starvation s(n, shortage::once);      // the n-th allocation from here (1: the next one) fails
//     ...                                   // as with the real one: the new handler is called, else std::bad_alloc
//     s.end();                              // so that a test's own allocations do not
//
// Threads: any; one starvation at a time.

namespace linnet::test {

enum class shortage : std::uint8_t { once, for_ever };

namespace detail {

inline constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

inline std::atomic<std::uint64_t> asked{0};
inline std::atomic<std::uint64_t> first_refused{never};
inline std::atomic<std::uint64_t> last_refused{never};
inline std::atomic<std::int64_t> alive{0};

// [new.delete.single]: the handler is called again and again until there is memory, or it does not return.
inline bool refused() {
    const auto nth = asked.fetch_add(1, std::memory_order_relaxed) + 1;
    if (nth < first_refused.load(std::memory_order_relaxed) || nth > last_refused.load(std::memory_order_relaxed)) {
        return false;
    }
    if (const auto handler = std::get_new_handler()) {
        handler();
    }
    return true;
}

inline void* take(std::size_t size, std::size_t alignment) {
    const std::size_t whole = (size + alignment - 1) / alignment * alignment;
    void* const memory = refused() ? nullptr : std::aligned_alloc(alignment, whole == 0 ? alignment : whole);
    if (memory == nullptr) {
        throw std::bad_alloc{};
    }
    alive.fetch_add(1, std::memory_order_relaxed);
    return memory;
}

inline void give(void* memory) noexcept {
    alive.fetch_sub(memory != nullptr ? 1 : 0, std::memory_order_relaxed);
    std::free(memory);
}

}  // namespace detail

// Blocks that were allocated and not given back.
[[nodiscard]] inline std::int64_t blocks_alive() noexcept { return detail::alive.load(std::memory_order_relaxed); }
[[nodiscard]] inline std::uint64_t allocations_so_far() noexcept {
    return detail::asked.load(std::memory_order_relaxed);
}

class starvation {
public:
    starvation(std::uint64_t nth, shortage how_long) noexcept {
        const auto first = allocations_so_far() + nth;
        first_ = first;
        detail::last_refused.store(how_long == shortage::once ? first : detail::never, std::memory_order_relaxed);
        detail::first_refused.store(first, std::memory_order_relaxed);
    }
    starvation(const starvation&) = delete;
    starvation& operator=(const starvation&) = delete;
    ~starvation() { end(); }

    // Enough for everybody again.
    void end() noexcept {
        if (detail::first_refused.exchange(detail::never, std::memory_order_relaxed) != detail::never) {
            fired_ = allocations_so_far() >= first_;
        }
    }
    // After its end: was anything refused?
    [[nodiscard]] bool fired() const noexcept { return fired_; }

private:
    std::uint64_t first_;
    bool fired_ = false;
};

}  // namespace linnet::test

// Not inlined: the compiler would see malloc in one and not in the other, and warn of a mismatch. The array and the
// nothrow forms call these.
[[gnu::noinline]] void* operator new(std::size_t size) {
    return linnet::test::detail::take(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
    return linnet::test::detail::take(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { linnet::test::detail::give(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { linnet::test::detail::give(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept { linnet::test::detail::give(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    linnet::test::detail::give(memory);
}
