#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace linnet::net {

// Counts connections against the daemon's limits, over all reactors.
//
// Threads: any. The per-address table is behind a mutex, taken once a connection at its start and end; no
//          other lock is taken while it is held.
class admission {
public:
    struct limits {
        std::uint32_t connections = 0;              // 0: unlimited
        std::uint32_t connections_per_address = 0;  // 0: unlimited
    };
    explicit admission(const limits& l) noexcept : limits_(l) {}

    // True: counted, and leave() must follow.
    [[nodiscard]] bool enter(std::string_view address);
    void leave(std::string_view address) noexcept;
    void set_limits(const limits& l) noexcept;
    [[nodiscard]] std::uint32_t count() const noexcept { return count_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

private:
    std::mutex mutex_;
    limits limits_;                                              // guarded by mutex_
    std::unordered_map<std::string, std::uint32_t> by_address_;  // guarded by mutex_
    std::atomic<std::uint32_t> count_{0};
    std::atomic<std::uint64_t> refused_{0};
};

}  // namespace linnet::net
