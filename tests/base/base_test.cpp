#include "broker/base/assert.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/result.hpp"
#include "broker/base/strong_id.hpp"
#include "broker/base/thread_owner.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <type_traits>
#include <unordered_set>

namespace linnet {
namespace {

using apple = strong_id<struct apple_tag>;
using pear = strong_id<struct pear_tag>;

TEST(Assert, SaysWhatWhereAndWhy) {
    const int found = 3;
    LINNET_ASSERT(found == 3, "never printed");
    EXPECT_DEATH(LINNET_ASSERT(found == 4, "found {}", found),
                 "assertion failed: found == 4 at .*base_test.cpp:.*: found 3");
}

TEST(Assert, DoesNotEvaluateTheMessageOfWhatHolds) {
    int evaluated = 0;
    LINNET_ASSERT(true, "{}", ++evaluated);
    EXPECT_EQ(evaluated, 0);
}

TEST(StrongId, OfOneKindIsNotOfAnother) {
    static_assert(!std::is_convertible_v<apple, pear>);
    static_assert(!std::is_convertible_v<int, apple>);
    static_assert(sizeof(apple) == sizeof(std::uint32_t));
    EXPECT_LT(apple{1}, apple{2});
    EXPECT_EQ(apple{}, apple{0});
    EXPECT_EQ((std::unordered_set<apple>{{1}, {1}, {2}}.size()), 2U);
}

TEST(Result, IsAValueOrAReason) {
    const auto half = [](int n) -> result<int, std::string> {
        if (n % 2 != 0) {
            return fail(std::string{"odd"});
        }
        return n / 2;
    };
    EXPECT_EQ(half(4), 2);
    EXPECT_EQ(half(3).error(), "odd");
}

TEST(ManualClock, MovesOnlyWhenTold) {
    auto clock = manual_clock_source{};
    const auto start = clock.now();
    const auto wall = clock.wall_now();
    EXPECT_EQ(clock.now(), start);
    clock.advance(5);
    EXPECT_EQ(clock.now(), start + 5);
    EXPECT_EQ(clock.wall_now(), wall + 5);
    clock.jump_wall(-1'000);
    EXPECT_EQ(clock.now(), start + 5);
    EXPECT_EQ(clock.wall_now(), wall - 995);
}

TEST(SystemClock, NeverGoesBack) {
    const auto clock = system_clock_source{};
    auto last = clock.now();
    for (int i = 0; i < 1'000; ++i) {
        const auto now = clock.now();
        ASSERT_GE(now, last);
        last = now;
    }
    EXPECT_GT(clock.wall_now(), 1'700'000'000 * ns_per_s);
}

#if defined(LINNET_DEBUG_CHECKS)
TEST(ThreadOwner, AbortsOnASecondThread) {
    EXPECT_DEATH(
        {
            const auto owner = thread_owner{};
            owner.check();
            std::thread{[&] { owner.check(); }}.join();
        },
        "thread that does not own it");
}
#endif

TEST(ThreadOwner, CanBeHandedOver) {
    const auto owner = thread_owner{};
    owner.check();
    owner.check();
    owner.release();
    std::thread{[&] { owner.check(); }}.join();
}

}  // namespace
}  // namespace linnet
