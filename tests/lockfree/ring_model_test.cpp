// The ring's own code under Relacy: what goes in comes out, in order, complete, and no slot is
// touched by both sides at once; and each memory order in it is needed.

#include "relacy_atomics.hpp"

#include "broker/lockfree/spsc_ring.hpp"

#include <optional>

namespace linnet::lockfree::model {
namespace {

template <class Mutant>
using ring = spsc_ring<unsigned, relacy_atomics<Mutant>>;

// The producer offers four items in two turns to a ring of two; the consumer drains three times.
template <class Mutant>
struct transfer : fixture<transfer<Mutant>, 2> {
    std::unique_ptr<ring<Mutant>> shared = std::make_unique<ring<Mutant>>(2);
    unsigned pushed = 0;
    unsigned taken = 0;

    void thread(unsigned index) {
        if (index == 0) {
            produce_turn();
            produce_turn();
        } else {
            for (int turn = 0; turn < 3; ++turn) {
                consume_turn();
            }
        }
    }
    void after() {
        static_cast<void>(shared->publish());
        consume_turn();
        RL_ASSERT(taken == pushed);
        RL_ASSERT(pushed >= 2);
        RL_ASSERT(shared->empty());
        RL_ASSERT(shared->free_slots() == 2);
        RL_ASSERT(shared->size_approx() == 0);
    }

    void produce_turn() {
        for (int i = 0; i < 2; ++i) {
            if (shared->try_push(pushed + 1) == push_result::pushed) {
                ++pushed;
            }
        }
        static_cast<void>(shared->publish());
    }
    void consume_turn() {
        shared->drain(2, [this](unsigned value) {
            RL_ASSERT(value == taken + 1);
            taken = value;
        });
    }
};

// Two items pass while a third thread asks how many there are.
template <class Mutant>
struct observed : fixture<observed<Mutant>, 3> {
    std::unique_ptr<ring<Mutant>> shared = std::make_unique<ring<Mutant>>(8);

    void thread(unsigned index) {
        switch (index) {
            case 0: produce(); break;
            case 1: shared->drain(8, [](unsigned) {}); break;
            default: RL_ASSERT(shared->size_approx() <= 2);
        }
    }
    void produce() {
        for (unsigned i = 0; i < 2; ++i) {
            static_cast<void>(shared->try_push(i));
            static_cast<void>(shared->publish());
        }
    }
};

// Four threads pass items around in a circle, each the consumer of one ring and the producer of the
// next.
template <class Mutant>
struct circle : fixture<circle<Mutant>, 4> {
    static constexpr unsigned items = 3;
    std::unique_ptr<ring<Mutant>> rings[4];
    unsigned seen[4] = {};

    circle() {
        for (auto& r : rings) {
            r = std::make_unique<ring<Mutant>>(2);
        }
    }
    void thread(unsigned index) {
        auto& in = *rings[index];
        auto& out = *rings[(index + 1) % 4];
        unsigned sent = 0;
        for (int turn = 0; turn < 4; ++turn) {
            while (sent < items && out.try_push(sent + 1) == push_result::pushed) {
                ++sent;
            }
            static_cast<void>(out.publish());
            in.drain(2, [&](unsigned value) { RL_ASSERT(value == ++seen[index]); });
        }
        RL_ASSERT(seen[index] <= items);
    }
};

// A producer that believes in one slot more than there is.
struct off_by_one : faithful {
    template <class Site, class T>
    static T seen(operation, T value, int) {
        if constexpr (std::is_same_v<Site, site::ring_head>) {
            return value + 1;
        }
        return value;
    }
};

template <class Site, operation Op, std::memory_order From>
using relaxed = weakened<Site, Op, From, std::memory_order_relaxed>;

constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto seq_cst = std::memory_order_seq_cst;

TEST(RingModel, DeliversAllInOrderInEveryInterleaving) {
    EXPECT_TRUE(holds("full search", search_all<transfer<faithful>>()));
}
TEST(RingModel, SizeIsNeverMoreThanWasPushedInAnyInterleaving) {
    EXPECT_TRUE(holds("full search", search_all<observed<faithful>>()));
}
TEST(RingModel, DeliversAllInOrderAmongFourThreadsAtRandom) {
    EXPECT_TRUE(holds("random", try_random<circle<faithful>>(random_iterations())));
}

// The producer's order in publish(): without it the consumer reads a slot before it is filled.
TEST(RingModel, CatchesARelaxedPublish) {
    EXPECT_TRUE(caught(search_all<transfer<relaxed<site::ring_tail, operation::store, seq_cst>>>()));
}
TEST(RingModel, CatchesARelaxedDrain) {
    EXPECT_TRUE(caught(search_all<transfer<relaxed<site::ring_tail, operation::load, acquire>>>()));
}
TEST(RingModel, CatchesSlotsGivenBackTooEarly) {
    EXPECT_TRUE(caught(search_all<transfer<relaxed<site::ring_head, operation::store, release>>>()));
}
TEST(RingModel, CatchesARelaxedLookAtTheHead) {
    EXPECT_TRUE(caught(search_all<transfer<relaxed<site::ring_head, operation::load, acquire>>>()));
    EXPECT_TRUE(caught(search_all<observed<relaxed<site::ring_head, operation::load, acquire>>>()));
}
TEST(RingModel, CatchesASlotTooMany) { EXPECT_TRUE(caught(search_all<transfer<off_by_one>>())); }

}  // namespace
}  // namespace linnet::lockfree::model
