#include "broker/lockfree/counter.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace linnet::lockfree {
namespace {

TEST(Counter, AddsUp) {
    counter c;
    EXPECT_EQ(c.value(), 0u);
    c.add();
    c.add(41);
    EXPECT_EQ(c.value(), 42u);
}

TEST(Counter, WrapsAtTheEnd) {
    counter c;
    c.add(std::numeric_limits<std::uint64_t>::max());
    c.add(2);
    EXPECT_EQ(c.value(), 1u);
}

TEST(Gauge, RisesAndFalls) {
    gauge g;
    g.add(5);
    g.sub();
    EXPECT_EQ(g.value(), 4);
    g.sub(6);
    EXPECT_EQ(g.value(), -2);
    g.set(9);
    EXPECT_EQ(g.value(), 9);
}

}  // namespace
}  // namespace linnet::lockfree
