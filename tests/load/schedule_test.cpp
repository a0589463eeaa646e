#include "bench/load/producer_pace.hpp"

#include <gtest/gtest.h>

namespace {

using linnet::load::producer_pace;
using linnet::load::schedule;
using linnet::load::schedule_stagger;

constexpr std::int64_t start = 1'000'000'000;

TEST(Schedule, ClosedLoopIsAlwaysDue) {
    const schedule s;
    EXPECT_FALSE(s.open_loop());
    EXPECT_EQ(s.due(0), std::numeric_limits<std::uint64_t>::max());
}

TEST(Schedule, SpacesMessagesEvenlyBelowOneAQuantum) {
    const schedule s{start, 1000, 100'000};
    EXPECT_EQ(s.due(start - 1), 0U);
    EXPECT_EQ(s.due(start), 1U);
    EXPECT_EQ(s.due(start + 999'999), 1U);
    EXPECT_EQ(s.due(start + 1'000'000), 2U);
    EXPECT_EQ(s.intended_ns(0), start);
    EXPECT_EQ(s.intended_ns(5), start + 5'000'000);
}

TEST(Schedule, GathersFastMessagesOnTicks) {
    // A message each 10 us, ticks of 100 us: ten a tick.
    const schedule s{start, 100'000, 100'000};
    EXPECT_EQ(s.due(start), 1U);
    EXPECT_EQ(s.due(start + 99'999), 1U);
    EXPECT_EQ(s.due(start + 100'000), 11U);
    for (std::uint64_t i = 1; i <= 10; ++i)
        EXPECT_EQ(s.intended_ns(i), start + 100'000) << i;
    EXPECT_EQ(s.intended_ns(11), start + 200'000);
}

TEST(Schedule, DueAndIntendedAgreeAtEveryInstant) {
    for (const double rate : {0.3, 1.0, 7.0, 999.0, 12'345.6, 333'333.3, 4'000'000.0}) {
        const schedule s{start, rate, 100'000};
        std::uint64_t before = 0;
        for (std::int64_t now = start; now < start + 20'000'000; now += 7'919) {
            const std::uint64_t due = s.due(now);
            ASSERT_GE(due, before);
            ASSERT_LE(s.intended_ns(due - 1), now) << rate;
            ASSERT_GT(s.intended_ns(due), now) << rate;
            before = due;
        }
    }
}

TEST(Schedule, KeepsTheRateOverAnHour) {
    const schedule s{start, 123'456.7, 100'000};
    const std::int64_t hour = 3'600'000'000'000;
    EXPECT_NEAR(static_cast<double>(s.due(start + hour)), 123'456.7 * 3600, 20);
}

TEST(Schedule, StaggersProducersWithinOnePeriod) {
    EXPECT_FALSE(schedule_stagger{}.from(start, 100'000).open_loop());
    const schedule_stagger third{.rate_per_s = 1000, .index = 2, .count = 4};
    EXPECT_EQ(third.from(start, 100'000).intended_ns(0), start + 500'000);
    const schedule_stagger fast{.rate_per_s = 1e6, .index = 1, .count = 2};
    EXPECT_EQ(fast.from(start, 100'000).intended_ns(0), start + 50'000);
}

TEST(ProducerPace, StampsLateMessagesWithTheirIntendedTime) {
    producer_pace p{schedule{start, 1000, 1000}, 0, 0};
    // The generator comes round 5 ms late: six are due, each with its own instant.
    const std::int64_t now = start + 5'000'000;
    ASSERT_EQ(p.allowance(now), 6U);
    for (std::int64_t i = 0; i < 6; ++i)
        EXPECT_EQ(p.next(now), start + i * 1'000'000);
    EXPECT_EQ(p.allowance(now), 0U);
    EXPECT_EQ(p.next_due_ns(), start + 6'000'000);
}

TEST(ProducerPace, ClosedLoopStampsWithNow) {
    producer_pace p{{}, 0, 0};
    EXPECT_EQ(p.next(77), 77);
    EXPECT_EQ(p.next_due_ns(), 0);
}

TEST(ProducerPace, AFullWindowHoldsBackButKeepsTheSchedule) {
    producer_pace p{schedule{start, 1000, 1000}, 0, 2};
    const std::int64_t late = start + 9'000'000;
    ASSERT_EQ(p.allowance(late), 2U);
    p.next(late);
    p.next(late);
    EXPECT_EQ(p.allowance(late), 0U);
    EXPECT_EQ(p.next_due_ns(), std::numeric_limits<std::int64_t>::max());
    int settled = 0;
    p.settle(1, false, [&](std::int64_t intended) {
        EXPECT_EQ(intended, start);
        ++settled;
    });
    EXPECT_EQ(settled, 1);
    ASSERT_EQ(p.allowance(late), 1U);
    EXPECT_EQ(p.next(late), start + 2'000'000);
}

TEST(ProducerPace, EndsAfterItsMessagesAndTheirConfirms) {
    producer_pace p{{}, 3, 10};
    EXPECT_EQ(p.allowance(1), 3U);
    for (int i = 0; i < 3; ++i)
        p.next(1);
    EXPECT_EQ(p.allowance(1), 0U);
    EXPECT_FALSE(p.finished());
    p.settle(3, true, [](std::int64_t) {});
    EXPECT_TRUE(p.finished());
}

}  // namespace
