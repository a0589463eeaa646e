#include "broker/core/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <vector>

namespace linnet::core {
namespace {

struct recorder final : timer {
    void on_timer(mono_ns now) override {
        fired_at = now;
        ++fired;
    }
    mono_ns fired_at = -1;
    int fired = 0;
};

constexpr mono_ns tick = ns_per_ms;

TEST(TimerWheel, FiresAtItsTickNeverBefore) {
    timer_wheel wheel(0);
    recorder t;
    wheel.start(t, 5 * tick);
    EXPECT_EQ(wheel.advance(5 * tick - 1), 0U);
    EXPECT_EQ(t.fired, 0);
    EXPECT_EQ(wheel.advance(5 * tick), 1U);
    EXPECT_EQ(t.fired, 1);
    EXPECT_FALSE(t.running());
    EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheel, RoundsUpWithinATick) {
    timer_wheel wheel(0);
    recorder t;
    wheel.start(t, 5 * tick + 1);
    wheel.advance(5 * tick + tick - 1);
    EXPECT_EQ(t.fired, 0);
    wheel.advance(6 * tick);
    EXPECT_EQ(t.fired, 1);
}

TEST(TimerWheel, StoppedTimersStaySilent) {
    timer_wheel wheel(0);
    recorder t;
    wheel.start(t, 5 * tick);
    t.stop();
    wheel.advance(100 * tick);
    EXPECT_EQ(t.fired, 0);
}

TEST(TimerWheel, ADyingTimerStopsItself) {
    timer_wheel wheel(0);
    {
        recorder t;
        wheel.start(t, 5 * tick);
        EXPECT_EQ(wheel.size(), 1U);
    }
    EXPECT_EQ(wheel.size(), 0U);
    wheel.advance(100 * tick);
}

TEST(TimerWheel, ATimerMayStartItselfAgain) {
    struct repeating final : timer {
        explicit repeating(timer_wheel& w) : wheel(w) {}
        void on_timer(mono_ns now) override {
            ++fired;
            wheel.start(*this, now + 10 * tick);
        }
        timer_wheel& wheel;
        int fired = 0;
    };
    timer_wheel wheel(0);
    repeating t(wheel);
    wheel.start(t, 10 * tick);
    for (mono_ns now = 0; now <= 1000 * tick; now += tick) {
        wheel.advance(now);
    }
    EXPECT_EQ(t.fired, 100);
    t.stop();
}

TEST(TimerWheel, ReachesBeyondItsLastLevel) {
    timer_wheel wheel(0);
    recorder t;
    const mono_ns years = mono_ns{200} * 24 * 3600 * ns_per_s;
    wheel.start(t, years);
    wheel.advance(years - tick);
    EXPECT_EQ(t.fired, 0);
    wheel.advance(years);
    EXPECT_EQ(t.fired, 1);
}

TEST(TimerWheel, NextDueIsNeverLateAndReachesTheDeadline) {
    timer_wheel wheel(0);
    EXPECT_EQ(wheel.next_due(123 * tick), 123 * tick);
    recorder t;
    wheel.start(t, 100'000 * tick);
    mono_ns now = 0;
    int steps = 0;
    while (t.fired == 0) {
        const mono_ns due = wheel.next_due(now + 3600 * ns_per_s);
        ASSERT_LE(due, 100'000 * tick);
        ASSERT_GT(due, now);
        now = due;
        wheel.advance(now);
        ++steps;
    }
    EXPECT_EQ(now, 100'000 * tick);
    EXPECT_LE(steps, 4);  // a stop at each level's cascade, not at each tick
}

// Against the plain version: a multimap by deadline.
TEST(TimerWheel, AgreesWithAModelOverRandomLives) {
    const auto seed = std::random_device{}();
    RecordProperty("seed", std::to_string(seed));
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    const mono_ns start = static_cast<mono_ns>(random() % 1'000'000) * tick;
    timer_wheel wheel(start);
    std::vector<std::unique_ptr<recorder>> timers;
    std::vector<mono_ns> due(400, -1);
    for (int i = 0; i < 400; ++i) {
        timers.push_back(std::make_unique<recorder>());
    }
    mono_ns now = start;
    for (int step = 0; step < 20'000; ++step) {
        const auto i = static_cast<std::size_t>(random() % timers.size());
        if (random() % 4 == 0) {
            timers[i]->stop();
            due[i] = -1;
        } else {
            const auto far = static_cast<mono_ns>(random() % (std::uint64_t{1} << (random() % 26)));
            due[i] = now + far * tick / 3;
            wheel.start(*timers[i], due[i]);
        }
        if (random() % 3 == 0) {
            now += static_cast<mono_ns>(random() % (std::uint64_t{1} << (random() % 18))) * tick / 7;
            for (auto& t : timers) {
                t->fired = 0;
            }
            const mono_ns before = now;
            wheel.advance(now);
            for (std::size_t k = 0; k < timers.size(); ++k) {
                const mono_ns last_tick = before / tick * tick;
                if (due[k] >= 0 && due[k] <= last_tick) {
                    // A deadline in the running tick or before fires by the tick after its start.
                    if (timers[k]->fired == 1) {
                        due[k] = -1;
                    }
                } else {
                    ASSERT_EQ(timers[k]->fired, 0) << "early";
                }
            }
            // Whatever is overdue by more than a tick must have fired.
            for (std::size_t k = 0; k < timers.size(); ++k) {
                if (due[k] >= 0) {
                    ASSERT_GT(due[k] + 2 * tick, now) << "timer " << k << " is late";
                }
            }
        }
    }
}

}  // namespace
}  // namespace linnet::core
