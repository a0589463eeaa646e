#pragma once

#include "broker/base/assert.hpp"

#if defined(LINNET_DEBUG_CHECKS)
#include <atomic>
#include <thread>
#endif

namespace linnet {

// A member that says which thread may touch its object, and in debug builds proves it.
//
// The first call of check() binds the object to the calling thread; release() frees it for the next
// thread (an object built on the main thread and handed to a shard). In release builds it is empty.
class thread_owner {
public:
#if defined(LINNET_DEBUG_CHECKS)
    void check() const noexcept {
        auto self = std::this_thread::get_id();
        auto none = std::thread::id{};
        if (owner_.load(std::memory_order_relaxed) == self) {
            return;
        }
        LINNET_ASSERT(owner_.compare_exchange_strong(none, self, std::memory_order_relaxed),
                      "object used from a thread that does not own it");
    }
    void release() const noexcept { owner_.store(std::thread::id{}, std::memory_order_relaxed); }

private:
    mutable std::atomic<std::thread::id> owner_{};
#else
    void check() const noexcept {}
    void release() const noexcept {}
#endif
};

}  // namespace linnet
