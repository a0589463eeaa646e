#pragma once

#include "broker/base/thread_owner.hpp"
#include "broker/lockfree/atomics.hpp"

namespace linnet::lockfree {

// Says whether a shard sleeps, so that its peers write its eventfd only then, and one of them only.
//
// The shard, with nothing left to do:             A peer, having published something for it:
//
//     bell.prepare_to_sleep();     (1)                tail.store(...)              (3)
//     look at every ring and inbox (2)                if (bell.must_wake())        (4)
//     if all are empty: block                             write the eventfd
//     bell.awake();
//
// Why no wake-up is lost. (1) to (4) are sequentially consistent, so they stand in one order S that
// all threads agree on, in which each thread's own order is kept and a load never sees a value
// older than the last store before it in S. If (4) comes after (1), it sees the flag set, or
// cleared since: by another peer, who then writes the eventfd, or by the shard, which is awake and
// will look again, after its next (1), to which this same argument applies. Otherwise (4) comes
// before (1), hence (3) before (2), and the second look finds the item. Acquire and release alone
// do not suffice: they let each side's load pass its own store, and then both look too early. The
// model in tests/lockfree shows it.
//
// The shard may also wake for its own reasons while a peer is between clearing the flag and writing
// the eventfd. The write then ends a later sleep early, once; the shard finds nothing and sleeps
// again.
//
// One bell a shard, rung by all its peers, after rings (spsc_ring) and inboxes (mpsc_inbox) alike.
//
// Threads:  prepare_to_sleep(), awake() only from the owning shard; must_wake(), sleeping() from
//           any.
// Bounds:   one load a publication while the shard is awake, and its line stays shared in all
//           caches; at most one must_wake() a sleep returns true.
// Fails:    cannot.
template <class Atomics = std_atomics>
class basic_doorbell {
public:
    basic_doorbell() = default;
    basic_doorbell(const basic_doorbell&) = delete;
    basic_doorbell& operator=(const basic_doorbell&) = delete;
    ~basic_doorbell() = default;

    // ---- the shard ----

    // From here on peers will ring. The caller must now look at all its sources once more before it
    // blocks.
    void prepare_to_sleep() noexcept {
        owner_.check();
        sleeping_.store(true, std::memory_order_seq_cst);
    }

    // After blocking, or instead of it when the second look found something.
    void awake() noexcept {
        owner_.check();
        // Relaxed suffices: a peer that still sees the flag set wakes us needlessly, and one that
        // sees it cleared relies on the next prepare_to_sleep(), which is later in this variable's
        // order.
        sleeping_.store(false, std::memory_order_relaxed);
    }

    // ---- a peer ----

    // To be asked after each publication (spsc_ring::publish() that returned true,
    // mpsc_inbox::push()). True: the caller, and no one else for this sleep, writes the eventfd.
    [[nodiscard]] bool must_wake() noexcept {
        if (!sleeping_.load(std::memory_order_seq_cst)) [[likely]] {
            return false;
        }
        // Relaxed suffices: the exchange only picks one of several ringers. If the flag is gone by
        // now, then another ringer took it or the shard awoke; either way the shard's next
        // prepare_to_sleep() comes after our load above, so its second look finds what we
        // published.
        return sleeping_.exchange(false, std::memory_order_relaxed);
    }

    // A moment ago, for metrics.
    [[nodiscard]] bool sleeping() const noexcept { return sleeping_.load(std::memory_order_relaxed); }

private:
    // Shared: set by the shard, cleared by whoever wakes it. Alone on its line: every peer reads it
    // each turn, and no neighbour may take that line away.
    alignas(cacheline_bytes) typename Atomics::template atomic<bool, site::bell_sleeping> sleeping_{false};
    // Shard only, and constant once bound.
    alignas(cacheline_bytes) thread_owner owner_;
};

using doorbell = basic_doorbell<>;

}  // namespace linnet::lockfree
