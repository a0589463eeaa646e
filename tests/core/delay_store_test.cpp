#include "broker/core/delay_store.hpp"
#include "broker/core/delay_tree.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

// ---- The tree ----------------------------------------------------------------------------------

TEST(DelayTree, AgreesWithAPlainMap) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 rng(seed);
    delay_tree tree;
    std::map<position, std::uint64_t> model;
    for (int step = 0; step < 60'000; ++step) {
        // Grows in the first half and shrinks in the second.
        const bool grow = rng() % 8 < (step < 30'000 ? 6U : 2U);
        const position id = rng() % 3 == 0 ? 100'000 + static_cast<position>(step) : rng() % 20'000;
        if (grow) {
            ASSERT_EQ(tree.insert({id, id * 3, 7}), model.emplace(id, id * 3).second);
        } else {
            const auto at = model.lower_bound(id);
            const position victim = at == model.end() ? id : at->first;
            const auto gone = tree.erase(victim);
            ASSERT_EQ(gone.has_value(), model.erase(victim) == 1);
        }
        ASSERT_EQ(tree.size(), model.size());
        ASSERT_EQ(tree.first().has_value(), !model.empty());
        if (!model.empty()) {
            ASSERT_EQ(tree.first()->id, model.begin()->first);
        }
        const auto found = tree.find(id);
        ASSERT_EQ(found.has_value(), model.contains(id));
        if (step % 997 == 0) {
            std::vector<position> seen;
            tree.for_each(id, [&](const delay_entry& e) {
                seen.push_back(e.id);
                return seen.size() < 100;
            });
            std::vector<position> expected;
            for (auto at = model.lower_bound(id); at != model.end() && expected.size() < 100; ++at) {
                expected.push_back(at->first);
            }
            ASSERT_EQ(seen, expected);
        }
    }
}

TEST(DelayTree, StaysWithinFortyBytesAnEntry) {
    std::mt19937_64 rng(1);
    delay_tree in_order;
    delay_tree at_random;
    for (position i = 1; i <= 200'000; ++i) {
        in_order.insert({i, i, 1});
        at_random.insert({rng(), i, 1});
    }
    EXPECT_LE(in_order.footprint() / in_order.size(), 24U);
    EXPECT_LE(at_random.footprint() / at_random.size(), 36U);
}

// ---- The store, in memory ----------------------------------------------------------------------

class fake_context final : public delay_context {
public:
    [[nodiscard]] mono_ns delay_now() const noexcept override { return time; }
    [[nodiscard]] wall_ns delay_wall_now() const noexcept override { return wall; }
    [[nodiscard]] timer_wheel& delay_timers() noexcept override { return wheel; }
    void on_due(delay_store& from, position id, message_ptr m) override {
        const auto b = m->body();
        came.push_back({{b.begin(), b.end()}, time});
        from.settled(id);
    }
    void advance(mono_ns by) {
        time += by;
        wall += by;
        wheel.advance(time);
    }

    struct arrival {
        std::string body;
        mono_ns at;
    };
    mono_ns time = 5 * ns_per_s;
    wall_ns wall = 1'700'000'000 * ns_per_s;
    timer_wheel wheel{5 * ns_per_s};
    std::vector<arrival> came;
};

class DelayStore : public ::testing::Test {
protected:
    DelayStore() { message_pool::enter(&pool); }
    ~DelayStore() override { message_pool::enter(nullptr); }

    message_ptr make(std::string_view body) {
        return make_message(pool, "later", "key", {}, {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()},
                            {});
    }
    [[nodiscard]] std::vector<std::string> bodies() const {
        std::vector<std::string> all;
        for (const auto& a : context.came) {
            all.push_back(a.body);
        }
        return all;
    }

    message_pool pool{shard_id{0}};
    fake_context context;
};

TEST_F(DelayStore, WhatAFullMillisecondHasNoRoomForComesInTheNext) {
    delay_store store(context, nullptr, delays_of(vhost_id{1}));
    constexpr int at_once = 1000;
    for (int i = 0; i < at_once; ++i) {
        store.add(make("early"), 300 * ns_per_ms);
    }
    // The counter comes round to the same numbers.
    for (int i = at_once; i < 1 << 20; ++i) {
        store.cancel(store.add(make("other"), 500 * ns_per_ms));
    }
    for (int i = 0; i < at_once; ++i) {
        store.add(make("late"), 300 * ns_per_ms);
    }
    for (int i = 0; i < 400; ++i) {
        context.advance(ns_per_ms);
    }
    const auto all = bodies();
    EXPECT_EQ(std::ranges::count(all, "early"), at_once);
    EXPECT_EQ(std::ranges::count(all, "late"), at_once);
    EXPECT_LE(context.came.back().at - context.came.front().at, 5 * ns_per_ms);
    EXPECT_TRUE(store.empty());
}

TEST_F(DelayStore, PublishesInTheOrderOfDueTimes) {
    delay_store store(context, nullptr, delays_of(vhost_id{1}));
    store.add(make("third"), 300 * ns_per_ms);
    store.add(make("first"), 100 * ns_per_ms);
    store.add(make("second"), 200 * ns_per_ms);
    store.add(make("fourth"), 300 * ns_per_ms);
    context.advance(99 * ns_per_ms);
    EXPECT_TRUE(context.came.empty());
    for (int i = 0; i < 300; ++i) {
        context.advance(ns_per_ms);
    }
    EXPECT_EQ(bodies(), (std::vector<std::string>{"first", "second", "third", "fourth"}));
    EXPECT_TRUE(store.empty());
}

TEST_F(DelayStore, IsNeverEarlyAndAtMostTwoTicksLate) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 rng(seed);
    delay_store store(context, nullptr, delays_of(vhost_id{1}));
    std::map<std::string, mono_ns> due;
    for (int i = 0; i < 5000; ++i) {
        const auto name = std::to_string(i);
        const auto delay = static_cast<mono_ns>(1 + rng() % static_cast<std::uint64_t>(3 * ns_per_s));
        store.add(make(name), delay);
        due[name] = context.time + delay;
        if (i % 10 == 0) {
            context.advance(static_cast<mono_ns>(rng() % static_cast<std::uint64_t>(ns_per_ms)));
        }
    }
    while (!store.empty()) {
        context.advance(ns_per_ms);
    }
    ASSERT_EQ(context.came.size(), due.size());
    for (const auto& [body, at] : context.came) {
        EXPECT_GE(at, due[body]);
        EXPECT_LE(at, due[body] + 3 * ns_per_ms);
    }
}

TEST_F(DelayStore, CancelsAndBrowsesInOrder) {
    delay_store store(context, nullptr, delays_of(vhost_id{1}));
    std::vector<position> ids;
    for (int i = 0; i < 100; ++i) {
        ids.push_back(store.add(make(std::to_string(i)), (100 - i) * ns_per_s));
    }
    EXPECT_TRUE(store.cancel(ids[99]));
    EXPECT_FALSE(store.cancel(ids[99]));
    const auto first = store.browse(10);
    ASSERT_EQ(first.size(), 10U);
    EXPECT_EQ(first[0].id, ids[98]);
    EXPECT_EQ(first[0].due_wall, context.wall + 2 * ns_per_s);
    std::size_t seen = first.size();
    for (auto page = first; page.size() == 10; seen += page.size()) {
        page = store.browse(page.back(), 10);
    }
    EXPECT_EQ(seen, 99U);
    context.advance(3 * ns_per_s);
    EXPECT_EQ(bodies(), (std::vector<std::string>{"98", "97"}));
}

TEST_F(DelayStore, FollowsNoJumpOfTheWallClock) {
    delay_store store(context, nullptr, delays_of(vhost_id{1}));
    constexpr wall_ns ten_years = wall_ns{3652} * 86'400 * ns_per_s;
    store.add(make("before"), 10 * ns_per_s);
    context.wall += ten_years;
    context.advance(ns_per_ms);
    store.add(make("after"), 5 * ns_per_s);
    context.wall -= 2 * ten_years;
    store.add(make("back"), 7 * ns_per_s);
    EXPECT_EQ(store.browse(3)[0].due_wall, context.wall + 2 * ten_years + 5 * ns_per_s) << "as it was meant";
    context.advance(4 * ns_per_s);
    EXPECT_TRUE(context.came.empty());
    for (int i = 0; i < 7; ++i) {
        context.advance(ns_per_s);
    }
    EXPECT_EQ(bodies(), (std::vector<std::string>{"after", "back", "before"}));
}

TEST_F(DelayStore, TakesAnyDelayAndLetsGoOfAllWhenItEnds) {
    {
        delay_store store(context, nullptr, delays_of(vhost_id{1}));
        store.add(make("never"), std::numeric_limits<mono_ns>::max());
        store.add(make("now"), 0);
        context.advance(2 * ns_per_ms);
        EXPECT_EQ(bodies(), (std::vector<std::string>{"now"}));
        EXPECT_EQ(store.look().waiting, 1U);
    }
    EXPECT_EQ(pool.held_bytes(), 0U);
}

TEST_F(DelayStore, PublishesMoreThanATurnTakesInOrder) {
    delay_store store(context, nullptr, delays_of(vhost_id{1}));
    for (int i = 0; i < 10'000; ++i) {
        store.add(make(std::to_string(i)), ns_per_s);
    }
    context.advance(ns_per_s + ns_per_ms);
    EXPECT_EQ(context.came.size(), 4096U);
    context.advance(ns_per_ms);
    context.advance(ns_per_ms);
    ASSERT_EQ(context.came.size(), 10'000U);
    for (int i = 0; i < 10'000; ++i) {
        ASSERT_EQ(context.came[static_cast<std::size_t>(i)].body, std::to_string(i));
    }
}

}  // namespace
}  // namespace linnet::core
