// The doorbell together with what it announces, the ring and the inbox, under Relacy: a shard never
// sleeps on an item, and is rung at most once a sleep. Each of the sequentially consistent
// operations is needed.

#include "relacy_atomics.hpp"

#include "broker/lockfree/doorbell.hpp"
#include "broker/lockfree/mpsc_inbox.hpp"
#include "broker/lockfree/spsc_ring.hpp"

namespace linnet::lockfree::model {
namespace {

enum class second_look { taken, forgotten };
enum class ringing { after_publishing, before_publishing };

template <class Mutant>
struct letter : inbox_hook<letter<Mutant>, relacy_atomics<Mutant>> {};

// The shard's side: its bell, its eventfd, and a sleep that ends only by the eventfd.
template <class Mutant>
struct sleeper {
    basic_doorbell<relacy_atomics<Mutant>> bell;
    // Relaxed everywhere: the eventfd may order nothing that the bell should.
    rl::atomic<int> eventfd{0};
    int sleeps = 0;
    int rung = 0;
    bool blocked = false;

    void ring_if_needed() {
        if (bell.must_wake()) {
            ++rung;
            eventfd.fetch_add(1, rl::mo_relaxed, RL_INFO);
        }
    }

    // One sleep. False: the thread would still be blocked.
    template <class Empty>
    bool sleep(second_look look, Empty all_empty) {
        ++sleeps;
        bell.prepare_to_sleep();
        if ((look == second_look::forgotten || all_empty()) && eventfd.exchange(0, rl::mo_relaxed, RL_INFO) == 0) {
            blocked = true;
            return false;
        }
        bell.awake();
        return true;
    }

    // At the end of time: whoever blocks has a wake-up under way, or nothing to do.
    void check(bool all_empty) {
        if (blocked) {
            RL_ASSERT(all_empty || eventfd.load(rl::mo_relaxed, RL_INFO) > 0);
        }
        RL_ASSERT(rung <= sleeps);
    }
};

// One peer sends two items through a ring, a turn each; the shard sleeps up to twice.
template <class Mutant, second_look Look = second_look::taken, ringing Ring = ringing::after_publishing>
struct ring_and_bell : fixture<ring_and_bell<Mutant, Look, Ring>, 2> {
    std::unique_ptr<sleeper<Mutant>> shard = std::make_unique<sleeper<Mutant>>();
    std::unique_ptr<spsc_ring<unsigned, relacy_atomics<Mutant>>> ring =
        std::make_unique<spsc_ring<unsigned, relacy_atomics<Mutant>>>(4);

    void thread(unsigned index) {
        if (index == 0) {
            send();
            send();
        } else if (shard->sleep(Look, [this] { return ring->empty(); })) {
            ring->drain(4, [](unsigned) {});
            static_cast<void>(shard->sleep(Look, [this] { return ring->empty(); }));
        }
    }
    void send() {
        static_cast<void>(ring->try_push(1));
        if (Ring == ringing::before_publishing) {
            shard->ring_if_needed();
            static_cast<void>(ring->publish());
        } else if (ring->publish()) {
            shard->ring_if_needed();
        }
    }
    void after() { shard->check(ring->empty()); }
};

// The same through an inbox.
template <class Mutant, second_look Look = second_look::taken>
struct inbox_and_bell : fixture<inbox_and_bell<Mutant, Look>, 2> {
    std::unique_ptr<sleeper<Mutant>> shard = std::make_unique<sleeper<Mutant>>();
    std::unique_ptr<mpsc_inbox<letter<Mutant>, relacy_atomics<Mutant>>> inbox =
        std::make_unique<mpsc_inbox<letter<Mutant>, relacy_atomics<Mutant>>>();

    void thread(unsigned index) {
        if (index == 0) {
            send();
            send();
        } else if (shard->sleep(Look, [this] { return inbox->empty(); })) {
            static_cast<void>(inbox->take_all());
            static_cast<void>(shard->sleep(Look, [this] { return inbox->empty(); }));
        }
    }
    void send() {
        inbox->push(std::make_unique<letter<Mutant>>());
        shard->ring_if_needed();
    }
    void after() { shard->check(inbox->empty()); }
};

// Two peers, one with a ring and one with the inbox, and one bell; the shard sleeps up to `Sleeps`
// times.
template <class Mutant, int Sleeps, second_look Look = second_look::taken>
struct two_peers : fixture<two_peers<Mutant, Sleeps, Look>, 3> {
    std::unique_ptr<sleeper<Mutant>> shard = std::make_unique<sleeper<Mutant>>();
    std::unique_ptr<spsc_ring<unsigned, relacy_atomics<Mutant>>> ring =
        std::make_unique<spsc_ring<unsigned, relacy_atomics<Mutant>>>(2);
    std::unique_ptr<mpsc_inbox<letter<Mutant>, relacy_atomics<Mutant>>> inbox =
        std::make_unique<mpsc_inbox<letter<Mutant>, relacy_atomics<Mutant>>>();

    void thread(unsigned index) {
        switch (index) {
            case 0:
                static_cast<void>(ring->try_push(1));
                static_cast<void>(ring->publish());
                shard->ring_if_needed();
                break;
            case 1:
                inbox->push(std::make_unique<letter<Mutant>>());
                shard->ring_if_needed();
                break;
            default:
                for (int left = Sleeps; shard->sleep(Look, [this] { return all_empty(); }) && --left > 0;) {
                    ring->drain(2, [](unsigned) {});
                    static_cast<void>(inbox->take_all());
                }
        }
    }
    bool all_empty() { return ring->empty() && inbox->empty(); }
    void after() { shard->check(all_empty()); }
};

// Every peer that sees the flag believes to be the one that rings.
struct no_claim : faithful {
    template <class Site, class T>
    static T seen(operation op, T value, int) {
        if constexpr (std::is_same_v<Site, site::bell_sleeping>) {
            return op == operation::rmw ? true : value;
        }
        return value;
    }
};

constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto acq_rel = std::memory_order_acq_rel;
constexpr auto seq_cst = std::memory_order_seq_cst;

using weak_prepare = weakened<site::bell_sleeping, operation::store, seq_cst, release>;
using weak_must_wake = weakened<site::bell_sleeping, operation::load, seq_cst, acquire>;
using weak_publish = weakened<site::ring_tail, operation::store, seq_cst, release>;
using weak_ring_look = weakened<site::ring_tail, operation::load, seq_cst, acquire>;
using weak_push = weakened<site::inbox_head, operation::rmw, seq_cst, acq_rel>;
using weak_inbox_look = weakened<site::inbox_head, operation::load, seq_cst, acquire>;

TEST(DoorbellModel, LosesNoWakeUpOfARingInAnyInterleaving) {
    EXPECT_TRUE(holds("full search", search_all<ring_and_bell<faithful>>()));
}
TEST(DoorbellModel, LosesNoWakeUpOfAnInboxInAnyInterleaving) {
    EXPECT_TRUE(holds("full search", search_all<inbox_and_bell<faithful>>()));
}
TEST(DoorbellModel, LosesNoWakeUpOfTwoPeersInAnyInterleaving) {
    EXPECT_TRUE(holds("full search", search_all<two_peers<faithful, 1>>()));
}
TEST(DoorbellModel, LosesNoWakeUpOfTwoPeersAtRandom) {
    EXPECT_TRUE(holds("random", try_random<two_peers<faithful, 3>>(random_iterations())));
}

TEST(DoorbellModel, CatchesAForgottenSecondLook) {
    EXPECT_TRUE(caught(search_all<ring_and_bell<faithful, second_look::forgotten>>()));
    EXPECT_TRUE(caught(search_all<inbox_and_bell<faithful, second_look::forgotten>>()));
    EXPECT_TRUE(caught(search_all<two_peers<faithful, 1, second_look::forgotten>>()));
}
TEST(DoorbellModel, CatchesRingingBeforePublishing) {
    using early = ring_and_bell<faithful, second_look::taken, ringing::before_publishing>;
    EXPECT_TRUE(caught(search_all<early>()));
}
TEST(DoorbellModel, CatchesAFlagRaisedWithReleaseOnly) {
    EXPECT_TRUE(caught(search_all<ring_and_bell<weak_prepare>>()));
    EXPECT_TRUE(caught(search_all<inbox_and_bell<weak_prepare>>()));
}
TEST(DoorbellModel, CatchesAFlagReadWithAcquireOnly) {
    EXPECT_TRUE(caught(search_all<ring_and_bell<weak_must_wake>>()));
    EXPECT_TRUE(caught(search_all<inbox_and_bell<weak_must_wake>>()));
}
TEST(DoorbellModel, CatchesARingPublishedWithReleaseOnly) {
    EXPECT_TRUE(caught(search_all<ring_and_bell<weak_publish>>()));
}
TEST(DoorbellModel, CatchesASecondLookAtTheRingWithAcquireOnly) {
    EXPECT_TRUE(caught(search_all<ring_and_bell<weak_ring_look>>()));
}
TEST(DoorbellModel, CatchesAnInboxPushedWithAcquireAndReleaseOnly) {
    EXPECT_TRUE(caught(search_all<inbox_and_bell<weak_push>>()));
}
TEST(DoorbellModel, CatchesASecondLookAtTheInboxWithAcquireOnly) {
    EXPECT_TRUE(caught(search_all<inbox_and_bell<weak_inbox_look>>()));
}
TEST(DoorbellModel, CatchesTwoRingsForOneSleep) { EXPECT_TRUE(caught(search_all<two_peers<no_claim, 1>>())); }

}  // namespace
}  // namespace linnet::lockfree::model
