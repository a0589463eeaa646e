#include "broker/net/admission.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace linnet::net {
namespace {

TEST(Admission, CountsWithoutLimits) {
    admission a({});
    for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(a.enter("10.0.0.1"));
    }
    EXPECT_EQ(a.count(), 1000U);
    EXPECT_EQ(a.refused(), 0U);
}

TEST(Admission, RefusesBeyondTheTotalWhoeverAsks) {
    admission a({.connections = 2});
    EXPECT_TRUE(a.enter("10.0.0.1"));
    EXPECT_TRUE(a.enter("10.0.0.2"));
    EXPECT_FALSE(a.enter("10.0.0.1"));
    EXPECT_FALSE(a.enter("10.0.0.3"));
    EXPECT_EQ(a.count(), 2U);
    EXPECT_EQ(a.refused(), 2U);
    a.leave("10.0.0.2");
    EXPECT_TRUE(a.enter("10.0.0.3"));
}

TEST(Admission, AnAddressHasAShareOfItsOwn) {
    admission a({.connections = 10, .connections_per_address = 2});
    EXPECT_TRUE(a.enter("10.0.0.1"));
    EXPECT_TRUE(a.enter("10.0.0.1"));
    EXPECT_FALSE(a.enter("10.0.0.1"));
    EXPECT_TRUE(a.enter("::1"));
    a.leave("10.0.0.1");
    EXPECT_TRUE(a.enter("10.0.0.1"));
    EXPECT_FALSE(a.enter("10.0.0.1"));
    EXPECT_EQ(a.count(), 3U);
}

TEST(Admission, LoweredLimitsSendNobodyAwayAndLetNobodyIn) {
    admission a({});
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(a.enter("10.0.0.1"));
    }
    a.set_limits({.connections = 3, .connections_per_address = 3});
    EXPECT_EQ(a.count(), 5U);
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(a.enter("10.0.0.1"));
        a.leave("10.0.0.1");
    }
    EXPECT_TRUE(a.enter("10.0.0.1"));
    EXPECT_FALSE(a.enter("10.0.0.2"));
    a.set_limits({});
    EXPECT_TRUE(a.enter("10.0.0.2"));
}

// Against the plain version: counts in a map.
TEST(Admission, AgreesWithAModel) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 chance(seed);
    const auto below = [&](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(chance); };
    const std::array<std::string, 4> addresses{"10.0.0.1", "10.0.0.2", "::1", "2001:db8:0:1:2:3:4:5"};
    admission::limits limits{.connections = 12, .connections_per_address = 5};
    admission a(limits);
    std::map<std::string, std::uint32_t> model;
    std::uint32_t total = 0;
    std::uint64_t refused = 0;
    for (int i = 0; i < 20'000; ++i) {
        const auto& address = addresses.at(below(addresses.size()));
        auto& here = model[address];
        if (below(500) == 0) {
            limits = {below(20), below(8)};
            a.set_limits(limits);
        } else if (below(2) == 0) {
            const bool expected = (limits.connections == 0 || total < limits.connections) &&
                                  (limits.connections_per_address == 0 || here < limits.connections_per_address);
            ASSERT_EQ(a.enter(address), expected) << "step " << i;
            here += expected ? 1 : 0;
            total += expected ? 1 : 0;
            refused += expected ? 0 : 1;
        } else if (here != 0) {
            a.leave(address);
            --here;
            --total;
        }
        ASSERT_EQ(a.count(), total) << "step " << i;
        ASSERT_EQ(a.refused(), refused) << "step " << i;
    }
}

TEST(Admission, HoldsTheLimitWhenManyThreadsAsk) {
    constexpr std::uint32_t limit = 7;
    constexpr int rounds = 20'000;
    admission a({.connections = limit});
    std::atomic<std::uint32_t> inside{0};
    std::atomic<bool> exceeded{false};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, address = std::to_string(t)] {
                for (int i = 0; i < rounds; ++i) {
                    // Three at a time from each of four: more than fit.
                    int mine = 0;
                    for (int k = 0; k < 3; ++k) {
                        if (a.enter(address)) {
                            ++mine;
                            if (inside.fetch_add(1) + 1 > limit) {
                                exceeded = true;
                            }
                        }
                    }
                    for (; mine != 0; --mine) {
                        inside.fetch_sub(1);
                        a.leave(address);
                    }
                }
            });
        }
    }
    EXPECT_FALSE(exceeded);
    EXPECT_EQ(a.count(), 0U);
}

}  // namespace
}  // namespace linnet::net
