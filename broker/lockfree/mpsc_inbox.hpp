#pragma once

#include "broker/base/thread_owner.hpp"
#include "broker/lockfree/atomics.hpp"

#include <memory>
#include <utility>

namespace linnet::lockfree {

// What an item of an inbox derives from: struct login_checked : inbox_hook<login_checked> { ... };
template <class T, class Atomics = std_atomics>
class inbox_hook {
private:
    template <class, class>
    friend class mpsc_inbox;
    template <class, class>
    friend class inbox_batch;

    typename Atomics::template cell<T*> next_;
};

// Items taken from an inbox, oldest first. What is not popped is deleted with it.
template <class T, class Atomics = std_atomics>
class inbox_batch {
public:
    inbox_batch() = default;
    inbox_batch(inbox_batch&& other) noexcept : first_(std::exchange(other.first_, nullptr)) {}
    inbox_batch& operator=(inbox_batch&& other) noexcept {
        std::swap(first_, other.first_);
        return *this;
    }
    inbox_batch(const inbox_batch&) = delete;
    inbox_batch& operator=(const inbox_batch&) = delete;
    ~inbox_batch() {
        while (!empty()) {
            static_cast<void>(pop_front());
        }
    }

    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    // Null when empty.
    [[nodiscard]] std::unique_ptr<T> pop_front() noexcept {
        std::unique_ptr<T> item{first_};
        if (item) {
            first_ = item->next_.read();
        }
        return item;
    }

private:
    template <class, class>
    friend class mpsc_inbox;

    T* first_ = nullptr;
};

// Carries items from any thread to one shard: the password pool, the main thread, administration.
//
// A stack that is only ever taken whole. push() links the item in front of the last one; take_all()
// cuts the chain off with one exchange and reverses it. As nobody pops a single item, a head that
// has come back to an old address (ABA) does no harm: what counts is that it is the head *now*.
//
// These paths are cold; between shards the rings carry everything that is counted by the million.
//
// Threads:  push() from any; take_all(), empty() only from the owner.
// Owns:     the items inside; the destructor deletes what was never taken.
// Bounds:   none of its own: a pusher allocates its item, so the pusher's own limit (requests in
//           flight) is the bound. push() never allocates; under contention it retries, each retry
//           being somebody else's success.
// Order:    items of one thread come out in the order they were pushed.
// Fails:    cannot.
template <class T, class Atomics = std_atomics>
class mpsc_inbox {
public:
    mpsc_inbox() = default;
    mpsc_inbox(const mpsc_inbox&) = delete;
    mpsc_inbox& operator=(const mpsc_inbox&) = delete;
    ~mpsc_inbox() {
        owner_.release();  // whoever ends the shard may be another thread
        static_cast<void>(take_all());
    }

    // The owner's doorbell must be asked afterwards.
    void push(std::unique_ptr<T> item) noexcept {
        T* mine = item.release();
        // Relaxed suffices: the value is only a first guess for the exchange, nobody looks through
        // it.
        T* last = head_.load(std::memory_order_relaxed);
        do {
            mine->next_.write() = last;
            // Release publishes the item. Sequentially consistent on top of that, because the load
            // of the sleeping flag that follows must not pass it: see doorbell.
        } while (!head_.compare_exchange_weak(last, mine, std::memory_order_seq_cst, std::memory_order_relaxed));
    }

    // Everything pushed so far. One load when there is nothing.
    [[nodiscard]] inbox_batch<T, Atomics> take_all() noexcept {
        owner_.check();
        inbox_batch<T, Atomics> batch;
        // Relaxed suffices: nothing is looked at through this value, and missing an item that
        // arrives just now is as good as having been called just before.
        if (head_.load(std::memory_order_relaxed) == nullptr) [[likely]] {
            return batch;
        }
        // Acquire pairs with the release of every push in the chain: each later push continues the
        // release sequence of the ones below it, being a read-modify-write.
        T* newest = head_.exchange(nullptr, std::memory_order_acquire);
        while (newest != nullptr) {
            T* older = newest->next_.read();
            newest->next_.write() = batch.first_;
            batch.first_ = newest;
            newest = older;
        }
        return batch;
    }

    // Sequentially consistent: this is the second look of a shard that has announced its sleep.
    [[nodiscard]] bool empty() const noexcept {
        owner_.check();
        return head_.load(std::memory_order_seq_cst) == nullptr;
    }

private:
    // Shared: the newest item.
    alignas(cacheline_bytes) typename Atomics::template atomic<T*, site::inbox_head> head_{nullptr};
    // Owner only.
    alignas(cacheline_bytes) thread_owner owner_;
};

}  // namespace linnet::lockfree
