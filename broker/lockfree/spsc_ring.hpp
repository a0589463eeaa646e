#pragma once

#include "broker/base/assert.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/lockfree/atomics.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace linnet::lockfree {

enum class push_result : std::uint8_t { pushed, full };

// A bounded queue that carries commands from one shard to another.
//
// The producer fills slots privately and tells the consumer once a turn, with one store of the
// tail; the consumer takes what is there with one load and gives the slots back with one store of
// the head. So a batch costs two cache lines handed over, not two for every item. Each side keeps
// the last index it saw of the other and looks again only when that one is used up.
//
// Indices only grow and are masked on access: full and empty need no spare slot, and 64 bits do not
// wrap.
//
// Threads:  try_push(), try_claim(), has_room(), free_slots(), publish(), unpublished() only from
//           the producer; drain(), empty() only from the consumer; size_approx() anywhere.
// Owns:     the slots, allocated once.
// Bounds:   capacity fixed at construction; pushing returns full, it never blocks or allocates.
// Fails:    cannot. A second producer or consumer aborts in debug builds (thread_owner).
template <class T, class Atomics = std_atomics>
class spsc_ring {
    static_assert(std::is_trivially_copyable_v<T>, "slots are overwritten, never destroyed");

public:
    using value_type = T;

    // `capacity` must be a power of two.
    explicit spsc_ring(std::size_t capacity)
        : capacity_(capacity), slots_(std::make_unique_for_overwrite<slot[]>(capacity)) {
        LINNET_ASSERT(std::has_single_bit(capacity), "ring capacity {} is not a power of two", capacity);
    }
    spsc_ring(const spsc_ring&) = delete;
    spsc_ring& operator=(const spsc_ring&) = delete;
    ~spsc_ring() = default;

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    // ---- producer ----

    // Copies into the next slot. The consumer sees nothing before publish().
    [[nodiscard]] push_result try_push(const T& value) noexcept {
        T* claimed = try_claim();
        if (claimed == nullptr) [[unlikely]] {
            return push_result::full;
        }
        *claimed = value;
        return push_result::pushed;
    }

    // The next slot to be filled in place, or null when full. It counts as pushed: fill it before
    // publish().
    [[nodiscard]] T* try_claim() noexcept {
        if (!has_room(1)) [[unlikely]] {
            return nullptr;
        }
        return &slots_[index(producer_.tail++)].value.write();
    }

    // Whether `count` more slots are free. Touches the consumer's line only when the last look says
    // no.
    [[nodiscard]] bool has_room(std::size_t count) noexcept {
        producer_.owner.check();
        if (capacity_ - used_when_last_seen() >= count) [[likely]] {
            return true;
        }
        look_at_head();
        return capacity_ - used_when_last_seen() >= count;
    }

    // Slots free now; more may become free at any time, fewer only by the caller's own pushes.
    [[nodiscard]] std::size_t free_slots() noexcept {
        producer_.owner.check();
        look_at_head();
        return capacity_ - used_when_last_seen();
    }

    // Shows the consumer everything pushed so far; true if that was anything, and then the
    // consumer's doorbell must be asked (doorbell.hpp). Meant to be called once a turn.
    [[nodiscard]] bool publish() noexcept {
        producer_.owner.check();
        if (producer_.tail == producer_.published) {
            return false;
        }
        producer_.published = producer_.tail;
        // Release, so that the slots are visible to whoever reads this tail. Sequentially
        // consistent on top of that, because the load of the sleeping flag that follows must not
        // pass it: see doorbell.
        shared_tail_.index.store(producer_.tail, std::memory_order_seq_cst);
        return true;
    }

    // Slots filled since the last publish().
    [[nodiscard]] std::size_t unpublished() const noexcept {
        producer_.owner.check();
        return static_cast<std::size_t>(producer_.tail - producer_.published);
    }

    // ---- consumer ----

    // Calls f(const T&) for at most `max` items, oldest first, and returns how many there were. The
    // slots are given back together at the end; f must not drain this ring.
    template <class F>
    std::size_t drain(std::size_t max, F&& f) {
        consumer_.owner.check();
        // Acquire pairs with publish(): the slots below this tail were written before it.
        const std::uint64_t tail = shared_tail_.index.load(std::memory_order_acquire);
        const auto available = static_cast<std::size_t>(tail - consumer_.head);
        const std::size_t count = std::min(max, available);
        if (count == 0) {
            return 0;
        }
        for (std::size_t i = 0; i < count; ++i) {
            f(slots_[index(consumer_.head + i)].value.read());
        }
        consumer_.head += count;
        // Release, so that our reads of the slots are over before the producer writes them again.
        shared_head_.index.store(consumer_.head, std::memory_order_release);
        return count;
    }

    // Sequentially consistent: this is the second look of a shard that has announced its sleep. On
    // x86-64 the load costs the same as any other.
    [[nodiscard]] bool empty() const noexcept {
        consumer_.owner.check();
        return shared_tail_.index.load(std::memory_order_seq_cst) == consumer_.head;
    }

    // ---- anyone ----

    // How full the ring was a moment ago, for metrics. Acquire on the head keeps the tail from
    // being older than it, so the difference is never negative.
    [[nodiscard]] std::size_t size_approx() const noexcept {
        const std::uint64_t head = shared_head_.index.load(std::memory_order_acquire);
        const std::uint64_t tail = shared_tail_.index.load(std::memory_order_acquire);
        return std::min(capacity_, static_cast<std::size_t>(tail - head));
    }

    // Lets another thread become the producer (or consumer); the hand-over must synchronize by
    // itself.
    void release_producer() const noexcept { producer_.owner.release(); }
    void release_consumer() const noexcept { consumer_.owner.release(); }

private:
    using cell = typename Atomics::template cell<T>;

    // A slot as large as a cache line begins on one, so that an item never straddles two.
    struct alignas(sizeof(cell) % cacheline_bytes == 0 ? cacheline_bytes : alignof(cell)) slot {
        cell value;
    };

    [[nodiscard]] std::size_t index(std::uint64_t at) const noexcept {
        return static_cast<std::size_t>(at) & (capacity_ - 1);
    }
    [[nodiscard]] std::size_t used_when_last_seen() const noexcept {
        return static_cast<std::size_t>(producer_.tail - producer_.head_seen);
    }
    void look_at_head() noexcept {
        // Acquire pairs with drain(): the consumer is done with the slots below this head.
        producer_.head_seen = shared_head_.index.load(std::memory_order_acquire);
    }

    // Constant after construction.
    const std::size_t capacity_;
    const std::unique_ptr<slot[]> slots_;

    // Producer only.
    struct alignas(cacheline_bytes) {
        std::uint64_t tail = 0;       // the next slot to be filled
        std::uint64_t published = 0;  // what shared_tail_ says
        std::uint64_t head_seen = 0;  // shared_head_ when last looked at
        thread_owner owner;
    } producer_;

    // Consumer only.
    struct alignas(cacheline_bytes) {
        std::uint64_t head = 0;  // the next slot to be read
        thread_owner owner;
    } consumer_;

    // Shared, a line each: the tail is written by the producer and read by the consumer, the head
    // the other way round. They stand apart from the private groups so that a polling peer disturbs
    // nobody.
    struct alignas(cacheline_bytes) {
        typename Atomics::template atomic<std::uint64_t, site::ring_tail> index{0};
    } shared_tail_;
    struct alignas(cacheline_bytes) {
        typename Atomics::template atomic<std::uint64_t, site::ring_head> index{0};
    } shared_head_;
};

}  // namespace linnet::lockfree
