#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

// Counts what a program allocates and gives back. It replaces operator new: for one source of a program of its own.

namespace linnet::test {

inline std::atomic<std::size_t> allocations{0};
inline std::atomic<std::size_t> releases{0};

inline void release(void* memory) noexcept {
    releases.fetch_add(memory != nullptr ? 1 : 0, std::memory_order_relaxed);
    std::free(memory);
}

}  // namespace linnet::test

// Not inlined: the compiler would see malloc in one and not in the other, and warn of a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    linnet::test::allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* memory = std::malloc(size); memory != nullptr)
        return memory;
    throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { linnet::test::release(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { linnet::test::release(memory); }
