#pragma once

#include "broker/base/thread_owner.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"
#include "broker/lockfree/counter.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace linnet::core {

// The memory of one shard's messages: free lists by size class, so that a message in steady state costs
// two list operations and no call of the allocator.
//
// A message freed on another shard is chained up there and comes home as one command a turn, whatever the
// number (take_chain / accept_chain): two shards never share a list.
//
// Threads:  one shard's. held_bytes() and beside_bytes() from any.
// Bounds:   keeps at most `kept_bytes_max` of free blocks a class; the rest goes back to the allocator.
// Fails:    throws std::bad_alloc when the system has no memory: the daemon ends (decision 0022).
class message_pool {
public:
    explicit message_pool(shard_id home) noexcept : home_(home) {}
    message_pool(const message_pool&) = delete;
    message_pool& operator=(const message_pool&) = delete;
    ~message_pool();

    // A raw block with room for a message and `payload_bytes` behind it.
    [[nodiscard]] message* allocate(std::size_t payload_bytes);
    void free(message* m) noexcept;
    // A block that grew elsewhere (message_builder): its account is settled here.
    [[nodiscard]] message* grow(message* m, std::size_t payload_used, std::size_t payload_bytes);

    // Messages of other shards that died here, as a chain for their home; null when there is none.
    [[nodiscard]] message* take_chain(shard_id home) noexcept;
    void accept_chain(message* first) noexcept;

    // Memory that goes with messages: the rings they stand in. On the account of the shard that runs on this thread.
    static void note_beside(std::int64_t bytes) noexcept;

    [[nodiscard]] std::uint64_t beside_bytes() const noexcept { return static_cast<std::uint64_t>(beside_.value()); }

    // Bytes in live messages of this shard: its part of the memory budget.
    [[nodiscard]] std::uint64_t held_bytes() const noexcept { return static_cast<std::uint64_t>(held_.value()); }
    [[nodiscard]] shard_id home() const noexcept { return home_; }

    // For the next thread: a broker is set up on another than the shard's.
    void release_owner() const noexcept { owner_.release(); }

    // The pool of the shard that runs on this thread: where message_ptr gives its blocks.
    static void enter(message_pool* current) noexcept;
    [[nodiscard]] static message_pool* current() noexcept;

private:
    static constexpr std::size_t small_step = 32;
    static constexpr std::size_t small_max = 1024;
    static constexpr std::size_t class_max = 64 * 1024;
    static constexpr std::size_t classes = small_max / small_step + 4 * 6;
    static constexpr std::uint8_t unpooled = 255;
    static constexpr std::size_t kept_bytes_max = 1024 * 1024;

    [[nodiscard]] static std::uint8_t class_of(std::size_t bytes) noexcept;
    [[nodiscard]] static std::size_t bytes_of(std::uint8_t size_class) noexcept;
    void recycle(message* m) noexcept;

    struct free_list {
        message* first = nullptr;
        std::size_t bytes = 0;
    };
    std::array<free_list, classes> free_{};
    std::array<message*, shards_max> going_home_{};
    lockfree::gauge held_;
    lockfree::gauge beside_;
    shard_id home_;
    thread_owner owner_;
};

}  // namespace linnet::core
