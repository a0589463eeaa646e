#include "broker/lockfree/spsc_ring.hpp"

#include "random_run.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <vector>

namespace linnet::lockfree {
namespace {

struct alignas(cacheline_bytes) command {
    std::uint64_t number;
    std::uint64_t check[7];
};
static_assert(sizeof(command) == cacheline_bytes);

std::vector<std::uint64_t> drained(spsc_ring<command>& ring, std::size_t max) {
    std::vector<std::uint64_t> numbers;
    ring.drain(max, [&](const command& c) { numbers.push_back(c.number); });
    return numbers;
}

TEST(SpscRing, ShowsNothingBeforePublish) {
    spsc_ring<command> ring(4);
    ASSERT_EQ(ring.try_push({1, {}}), push_result::pushed);
    EXPECT_TRUE(ring.empty());
    EXPECT_EQ(drained(ring, 4), std::vector<std::uint64_t>{});
    EXPECT_EQ(ring.unpublished(), 1u);
    EXPECT_TRUE(ring.publish());
    EXPECT_EQ(ring.unpublished(), 0u);
    EXPECT_FALSE(ring.empty());
    EXPECT_EQ(drained(ring, 4), std::vector<std::uint64_t>{1});
}

TEST(SpscRing, PublishSaysWhetherThereWasAnything) {
    spsc_ring<command> ring(4);
    EXPECT_FALSE(ring.publish());
    ASSERT_EQ(ring.try_push({1, {}}), push_result::pushed);
    EXPECT_TRUE(ring.publish());
    EXPECT_FALSE(ring.publish());
}

TEST(SpscRing, FillsEverySlotAndThenSaysFull) {
    spsc_ring<command> ring(4);
    for (std::uint64_t i = 0; i < 4; ++i) {
        ASSERT_EQ(ring.try_push({i, {}}), push_result::pushed);
    }
    EXPECT_EQ(ring.try_push({4, {}}), push_result::full);
    EXPECT_EQ(ring.try_claim(), nullptr);
    EXPECT_FALSE(ring.has_room(1));
    EXPECT_EQ(ring.free_slots(), 0u);
    ASSERT_TRUE(ring.publish());
    EXPECT_EQ(drained(ring, 1), std::vector<std::uint64_t>{0});
    EXPECT_TRUE(ring.has_room(1));
    EXPECT_FALSE(ring.has_room(2));
    EXPECT_EQ(ring.try_push({4, {}}), push_result::pushed);
    EXPECT_EQ(ring.try_push({5, {}}), push_result::full);
}

TEST(SpscRing, WorksWithASingleSlot) {
    spsc_ring<command> ring(1);
    for (std::uint64_t i = 0; i < 3; ++i) {
        ASSERT_EQ(ring.try_push({i, {}}), push_result::pushed);
        ASSERT_EQ(ring.try_push({i, {}}), push_result::full);
        ASSERT_TRUE(ring.publish());
        EXPECT_EQ(drained(ring, 9), std::vector<std::uint64_t>{i});
    }
}

TEST(SpscRing, DrainsNoMoreThanItIsTold) {
    spsc_ring<command> ring(8);
    for (std::uint64_t i = 0; i < 6; ++i) {
        ASSERT_EQ(ring.try_push({i, {}}), push_result::pushed);
    }
    ASSERT_TRUE(ring.publish());
    EXPECT_EQ(drained(ring, 0), (std::vector<std::uint64_t>{}));
    EXPECT_EQ(drained(ring, 4), (std::vector<std::uint64_t>{0, 1, 2, 3}));
    EXPECT_EQ(drained(ring, 4), (std::vector<std::uint64_t>{4, 5}));
}

TEST(SpscRing, AClaimedSlotIsFilledInPlace) {
    spsc_ring<command> ring(2);
    command* slot = ring.try_claim();
    ASSERT_NE(slot, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(slot) % cacheline_bytes, 0u);
    *slot = {7, {}};
    ASSERT_TRUE(ring.publish());
    EXPECT_EQ(drained(ring, 2), std::vector<std::uint64_t>{7});
}

// Any sequence of operations gives what a deque gives, with the published part kept apart from the
// private.
TEST(SpscRing, BehavesLikeADeque) {
    testing::dice dice(testing::seed_of_this_run("BehavesLikeADeque"));
    for (std::size_t capacity : {1u, 2u, 8u, 64u}) {
        spsc_ring<command> ring(capacity);
        std::deque<std::uint64_t> hidden;
        std::deque<std::uint64_t> visible;
        std::uint64_t next = 0;
        for (int step = 0; step < 100'000; ++step) {
            const bool room = hidden.size() + visible.size() < capacity;
            switch (dice.roll(6)) {
                case 0:
                case 1:
                    ASSERT_EQ(ring.try_push({next, {}}), room ? push_result::pushed : push_result::full);
                    if (room) {
                        hidden.push_back(next);
                    }
                    ++next;
                    break;
                case 2:
                    if (command* slot = ring.try_claim()) {
                        ASSERT_TRUE(room);
                        *slot = {next, {}};
                        hidden.push_back(next++);
                    } else {
                        ASSERT_FALSE(room);
                    }
                    break;
                case 3:
                    ASSERT_EQ(ring.unpublished(), hidden.size());
                    ASSERT_EQ(ring.publish(), !hidden.empty());
                    visible.insert(visible.end(), hidden.begin(), hidden.end());
                    hidden.clear();
                    break;
                case 4: {
                    const std::size_t free = capacity - hidden.size() - visible.size();
                    const std::size_t wanted = dice.roll(static_cast<std::uint32_t>(capacity) + 1);
                    ASSERT_EQ(ring.has_room(wanted), wanted <= free);
                    ASSERT_EQ(ring.free_slots(), free);
                    ASSERT_EQ(ring.empty(), visible.empty());
                    ASSERT_EQ(ring.size_approx(), visible.size());
                    break;
                }
                default: {
                    const std::size_t max = dice.roll(static_cast<std::uint32_t>(capacity) + 2);
                    for (std::uint64_t number : drained(ring, max)) {
                        ASSERT_FALSE(visible.empty());
                        ASSERT_EQ(number, visible.front());
                        visible.pop_front();
                    }
                    ASSERT_TRUE(visible.empty() || max < capacity);
                }
            }
        }
    }
}

using SpscRingDeathTest = ::testing::Test;

TEST(SpscRingDeathTest, RefusesACapacityThatIsNoPowerOfTwo) {
    EXPECT_DEATH(spsc_ring<command>(3), "power of two");
    EXPECT_DEATH(spsc_ring<command>(0), "power of two");
}

}  // namespace
}  // namespace linnet::lockfree
