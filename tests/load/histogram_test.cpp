#include "bench/load/histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace {

using linnet::load::histogram;

// The same definition on the plain values.
std::uint64_t exact_percentile(const std::vector<std::uint64_t>& sorted, double percent) {
    const auto rank = static_cast<std::size_t>(std::ceil(percent * static_cast<double>(sorted.size()) / 100 - 1e-9));
    return sorted[std::max<std::size_t>(rank, 1) - 1];
}

TEST(Histogram, IsEmptyAtFirst) {
    const histogram h;
    EXPECT_EQ(h.count(), 0U);
    EXPECT_EQ(h.min(), 0U);
    EXPECT_EQ(h.max(), 0U);
    EXPECT_EQ(h.percentile(99), 0U);
    EXPECT_EQ(h.mean(), 0);
    EXPECT_EQ(h.stddev(), 0);
}

TEST(Histogram, CountsEachValueBelowTwoThousandExactly) {
    histogram h;
    for (std::uint64_t v = 1; v <= 1000; ++v)
        h.record(v);
    EXPECT_EQ(h.percentile(50), 500U);
    EXPECT_EQ(h.percentile(99), 990U);
    EXPECT_EQ(h.percentile(99.9), 999U);
    EXPECT_EQ(h.percentile(100), 1000U);
    EXPECT_EQ(h.percentile(0), 1U);
    EXPECT_DOUBLE_EQ(h.mean(), 500.5);
}

TEST(Histogram, BucketsJoinWithoutGapsOrOverlaps) {
    std::uint64_t next = 0;
    for (std::size_t i = 0; i < histogram::counts_max; ++i) {
        ASSERT_EQ(histogram::lowest_in(i), next) << "bucket " << i;
        next = histogram::highest_in(i) + 1;
        ASSERT_EQ(histogram::index_of(histogram::lowest_in(i)), i);
        ASSERT_EQ(histogram::index_of(histogram::highest_in(i)), i);
    }
    EXPECT_EQ(next, histogram::value_max + 1);
}

TEST(Histogram, EveryBucketIsWithinAThousandthOfItsValues) {
    for (std::size_t i = 1; i < histogram::counts_max; ++i) {
        const auto width = static_cast<double>(histogram::highest_in(i) - histogram::lowest_in(i));
        ASSERT_LE(width, static_cast<double>(histogram::lowest_in(i)) / 1000) << "bucket " << i;
    }
}

TEST(Histogram, PercentilesAreWithinAThousandthOfTheExactOnes) {
    std::mt19937_64 random{7};
    std::lognormal_distribution<double> latency{11.0, 2.0};
    histogram h;
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 200'000; ++i) {
        values.push_back(static_cast<std::uint64_t>(latency(random)));
        h.record(values.back());
    }
    std::sort(values.begin(), values.end());
    for (const double percent : {0.0, 1.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 99.999, 100.0}) {
        const auto exact = static_cast<double>(exact_percentile(values, percent));
        const auto found = static_cast<double>(h.percentile(percent));
        EXPECT_GE(found, exact) << percent;
        EXPECT_LE(found, exact * 1.001 + 1) << percent;
    }
    EXPECT_EQ(h.min(), values.front());
    EXPECT_EQ(h.max(), values.back());
}

TEST(Histogram, TakesRunsAndMergesAsIfRecordedOneByOne) {
    histogram one_by_one;
    histogram runs;
    histogram first;
    histogram second;
    for (std::uint64_t v : {5ULL, 70'000ULL, 70'001ULL, 123'456'789ULL}) {
        for (int i = 0; i < 3; ++i)
            one_by_one.record(v);
        runs.record(v, 3);
        (v < 70'001 ? first : second).record(v, 3);
    }
    first.add(second);
    for (const histogram* each : {&runs, &first}) {
        EXPECT_EQ(each->count(), one_by_one.count());
        EXPECT_EQ(each->min(), one_by_one.min());
        EXPECT_EQ(each->max(), one_by_one.max());
        EXPECT_DOUBLE_EQ(each->mean(), one_by_one.mean());
        for (double p = 0; p <= 100; p += 0.5)
            EXPECT_EQ(each->percentile(p), one_by_one.percentile(p)) << p;
    }
}

TEST(Histogram, KeepsTooLongDurationsAsItsGreatestValue) {
    histogram h;
    h.record(~std::uint64_t{0});
    EXPECT_EQ(h.max(), histogram::value_max);
    EXPECT_EQ(h.count(), 1U);
    EXPECT_EQ(h.percentile(50), histogram::value_max);
}

TEST(Histogram, ForgetsEverythingOnReset) {
    histogram h;
    h.record(12);
    h.record(histogram::value_max);
    h.reset();
    EXPECT_TRUE(h.empty());
    h.record(3);
    EXPECT_EQ(h.percentile(100), 3U);
    EXPECT_EQ(h.count(), 1U);
}

}  // namespace
