#include "bench/load/condition.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace linnet::load;

report finished_run() {
    report r;
    r.seconds = 2;
    r.measured.received = 200'000;
    for (int i = 1; i <= 100; ++i)
        r.times.latency.record(static_cast<std::uint64_t>(i) * 1000);
    r.times.confirm.record(7'000'000);
    r.faults.missing = 3;
    return r;
}

bool fails(const char* text) {
    const auto all = parse_conditions(text);
    EXPECT_TRUE(all) << all.error();
    const report r = finished_run();
    return std::any_of(all->begin(), all->end(), [&](const condition& c) { return c.holds(r); });
}

TEST(Condition, ComparesTimesWithUnits) {
    EXPECT_TRUE(fails("p99>98us"));
    EXPECT_FALSE(fails("p99 > 5 ms"));
    EXPECT_TRUE(fails("p50<0.001s"));
    EXPECT_TRUE(fails("max>=100000"));
    EXPECT_TRUE(fails("confirm.p50>5ms"));
    EXPECT_FALSE(fails("confirm.p99.9<=5ms"));
}

TEST(Condition, ComparesRatesAndFaults) {
    EXPECT_TRUE(fails("received<100001"));
    EXPECT_FALSE(fails("received<100000"));
    EXPECT_TRUE(fails("missing>0"));
    EXPECT_FALSE(fails("duplicates>0,lost>0"));
    EXPECT_TRUE(fails("duplicates>0, missing>2"));
}

TEST(Condition, RefusesWhatItDoesNotKnow) {
    for (const char* wrong : {"p99", ">5", "p99>", "p99>5h", "p101>1", "speed>1", "p99=5", "pxx>1", "p99>5ms,x"}) {
        EXPECT_FALSE(parse_conditions(wrong)) << wrong;
    }
}

}  // namespace
