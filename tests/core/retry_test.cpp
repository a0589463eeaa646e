#include "broker/core/retry.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace linnet::core {
namespace {

TEST(RetryPolicy, GrowsByItsFactorUpToItsMaximum) {
    retry_policy p;
    p.base = 100 * ns_per_ms;
    p.factor = 3;
    p.max = ns_per_s;
    EXPECT_EQ(p.pause_after(1), 100 * ns_per_ms);
    EXPECT_EQ(p.pause_after(2), 300 * ns_per_ms);
    EXPECT_EQ(p.pause_after(3), 900 * ns_per_ms);
    EXPECT_EQ(p.pause_after(4), ns_per_s);
    EXPECT_EQ(p.pause_after(4'000'000'000), ns_per_s) << "where the power is beyond every number";
    EXPECT_FALSE(p.exhausted(4'000'000'000));
}

TEST(RetryPolicy, KeepsItsPauseWithAFactorOfOne) {
    retry_policy p;
    p.base = 5 * ns_per_ms;
    p.factor = 1;
    EXPECT_EQ(p.pause_after(1), 5 * ns_per_ms);
    EXPECT_EQ(p.pause_after(1'000'000), 5 * ns_per_ms);
    p.base = 0;
    p.factor = 9;
    EXPECT_EQ(p.pause_after(1'000'000), 0) << "no pause stays none, whatever the factor";
}

TEST(RetryPolicy, EndsAfterItsLimit) {
    retry_policy p;
    p.limit = 3;
    EXPECT_FALSE(p.exhausted(2));
    EXPECT_TRUE(p.exhausted(3));
}

TEST(RetryLine, GivesItemsBackByTimeThenPosition) {
    retry_line line;
    const auto item = [](position pos) {
        queue_item i;
        i.pos = pos;
        return i;
    };
    line.add(30, item(1));
    line.add(10, item(7));
    line.add(10, item(5));
    line.add(20, item(2));
    EXPECT_EQ(line.next_due(), 10);
    EXPECT_FALSE(line.take_due(9));
    std::vector<position> order;
    while (auto i = line.take_due(20)) {
        order.push_back(i->pos);
    }
    EXPECT_EQ(order, (std::vector<position>{5, 7, 2}));
    EXPECT_EQ(line.next_due(), 30);
    EXPECT_EQ(line.take_any()->pos, 1U);
    EXPECT_TRUE(line.empty());
}

}  // namespace
}  // namespace linnet::core
