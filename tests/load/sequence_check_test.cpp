#include "bench/load/sequence_check.hpp"

#include "bench/load/meter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <random>
#include <set>
#include <vector>

namespace {

using linnet::load::sequence_check;
using linnet::load::sequence_faults;

sequence_faults after(std::initializer_list<std::uint32_t> numbers) {
    sequence_check check;
    for (const std::uint32_t n : numbers)
        check.saw(n);
    return check.faults();
}

TEST(SequenceCheck, FindsNothingWrongInOrder) {
    sequence_check check;
    for (std::uint32_t n = 500; n < 100'000; ++n)
        check.saw(n);
    EXPECT_FALSE(check.faults().any());
}

TEST(SequenceCheck, CountsWhatAGapSkips) {
    const auto f = after({0, 1, 5, 6});
    EXPECT_EQ(f.missing, 3U);
    EXPECT_EQ(f.duplicates + f.out_of_order, 0U);
}

TEST(SequenceCheck, ALateNumberIsOutOfOrderAndNoLongerMissing) {
    const auto f = after({0, 2, 1, 3});
    EXPECT_EQ(f.missing, 0U);
    EXPECT_EQ(f.out_of_order, 1U);
    EXPECT_EQ(f.duplicates, 0U);
}

TEST(SequenceCheck, ANumberSeenBeforeIsADuplicate) {
    EXPECT_EQ(after({0, 1, 1, 2}).duplicates, 1U);
    EXPECT_EQ(after({0, 1, 2, 0, 3}).duplicates, 1U);
    EXPECT_EQ(after({0, 2, 1, 1, 3}).duplicates, 1U);
}

TEST(SequenceCheck, WhatIsOlderThanTheWindowCountsAsDuplicate) {
    sequence_check check;
    check.saw(0);
    for (std::uint32_t n = 2; n < 5000; ++n)
        check.saw(n);
    check.saw(1);
    EXPECT_EQ(check.faults().missing, 1U);
    EXPECT_EQ(check.faults().duplicates, 1U);
}

TEST(SequenceCheck, BeginsAnywhereAndWraps) {
    const auto f = after({0xFFFF'FFFE, 0xFFFF'FFFF, 0, 1, 3});
    EXPECT_EQ(f.missing, 1U);
    EXPECT_EQ(f.out_of_order + f.duplicates, 0U);
}

TEST(SequenceCheck, ANumberBeforeTheFirstOneWasOnlyLate) { EXPECT_EQ(after({7, 6, 8}).out_of_order, 1U); }

TEST(SequenceCheck, SurvivesAJumpLargerThanTheWindow) {
    const auto f = after({0, 5000, 5001, 5000, 4999});
    EXPECT_EQ(f.missing, 4998U);
    EXPECT_EQ(f.duplicates, 1U);
    EXPECT_EQ(f.out_of_order, 1U);
}

// Against a set that remembers everything, on shuffles and repeats that stay within the window.
TEST(SequenceCheck, AgreesWithAPlainModel) {
    std::mt19937 random{3};
    for (int round = 0; round < 50; ++round) {
        std::vector<std::uint32_t> numbers;
        for (std::uint32_t n = 1000; n < 6000; ++n) {
            if (random() % 10 == 0)
                continue;
            numbers.push_back(n);
            if (random() % 10 == 0)
                numbers.push_back(n);
        }
        for (std::size_t i = 0; i + 300 < numbers.size(); i += 300) {
            std::shuffle(numbers.begin() + static_cast<std::ptrdiff_t>(i),
                         numbers.begin() + static_cast<std::ptrdiff_t>(i + 300), random);
        }
        numbers.insert(numbers.begin(), 999);  // the first one is the lowest
        sequence_check check;
        std::set<std::uint32_t> seen;
        std::uint32_t highest = 998;
        sequence_faults expected;
        for (const std::uint32_t n : numbers) {
            check.saw(n);
            if (!seen.insert(n).second) {
                ++expected.duplicates;
            } else if (n > highest) {
                highest = n;
            } else {
                ++expected.out_of_order;
            }
        }
        expected.missing = highest - 998 - seen.size();
        EXPECT_EQ(check.faults().missing, expected.missing);
        EXPECT_EQ(check.faults().duplicates, expected.duplicates);
        EXPECT_EQ(check.faults().out_of_order, expected.out_of_order);
    }
}

TEST(StreamWatch, KeepsStreamsApart) {
    linnet::load::stream_watch watch;
    for (std::uint32_t n = 0; n < 100; ++n) {
        watch.saw(1, n);
        watch.saw(2, n * 2);
    }
    EXPECT_EQ(watch.faults(false).missing, 99U);
    EXPECT_EQ(watch.faults(true).missing, 0U);
}

TEST(Stamp, IsPerfTestsLayout) {
    std::uint8_t payload[16];
    linnet::load::write_stamp(payload, sizeof payload, {0x01020304, 0x0A0B0C0D, 0x1112131415161718});
    const std::vector<std::uint8_t> expected{1,    2,    3,    4,    0x11, 0x12, 0x13, 0x14,
                                             0x15, 0x16, 0x17, 0x18, 0x0A, 0x0B, 0x0C, 0x0D};
    EXPECT_EQ(std::vector<std::uint8_t>(payload, payload + 16), expected);
    EXPECT_EQ(linnet::load::read_stamp(payload, 16).stream, 0x0A0B0C0DU);
    EXPECT_EQ(linnet::load::read_stamp(payload, 12).stream, 0U);
    EXPECT_EQ(linnet::load::read_stamp(payload, 11).time_ns, 0);
}

}  // namespace
