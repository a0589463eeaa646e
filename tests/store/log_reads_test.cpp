#include "tests/core/random_seed.hpp"
#include "tests/store/log_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <random>

// Records that lie scattered: read side by side, shown in order.

namespace linnet::test {
namespace {

// So far apart that no read takes two of them.
constexpr std::size_t apart_bytes = 20'000;

struct scattered {
    explicit scattered(std::size_t count, std::uint64_t seed = 1) : medium({.seed = seed}) {
        medium.set_prompt(true);
        opened = open(medium);
        for (std::size_t i = 0; i < count; ++i) {
            records.push_back(put(*opened.log, text(i, 100)));
            put(*opened.log, text(i, apart_bytes));
        }
        settle(*opened.log, medium);
        medium.set_prompt(false);
    }
    // More of them, close together.
    void add_row(std::size_t count) {
        medium.set_prompt(true);
        for (std::size_t i = 0; i < count; ++i) {
            records.push_back(put(log(), text(i, 1000)));
        }
        settle(log(), medium);
        medium.set_prompt(false);
    }
    [[nodiscard]] static core::record_range range_of(const kept_record& r) { return {r.at, r.bytes}; }
    [[nodiscard]] std::vector<core::record_range> ranges() const {
        std::vector<core::record_range> all;
        std::ranges::transform(records, std::back_inserter(all), range_of);
        return all;
    }
    [[nodiscard]] core::durable_log& log() { return *opened.log; }

    simulated_disk medium;
    reopened opened;
    std::vector<kept_record> records;
};

TEST(LogReads, ScatteredRecordsAreReadSideBySide) {
    scattered s(100);
    gathering into;
    s.log().read(s.ranges(), into);
    std::size_t rounds = 0;
    std::size_t together = 0;
    while (!into.done && rounds < 1000) {
        static_cast<void>(s.log().poll());
        together = std::max(together, s.medium.under_way());
        s.medium.finish_all();
        rounds += into.done ? 0 : 1;
    }
    EXPECT_EQ(into.shown, s.records);
    EXPECT_EQ(together, 16U);
    EXPECT_LE(rounds, 100U / 16 + 1) << "turns of asking and answering";
}

// Three or four segments in a row: a read ends with its segment.
TEST(LogReads, ARowIsReadInFewReads) {
    scattered s(0);
    s.add_row(200);
    gathering into;
    s.log().read(s.ranges(), into);
    static_cast<void>(s.log().poll());
    EXPECT_LE(s.medium.under_way(), 5U);
    s.medium.finish_all();
    for (int rounds = 0; rounds < 4 && !into.done; ++rounds) {
        static_cast<void>(s.log().poll());
        s.medium.finish_all();
    }
    EXPECT_EQ(into.shown, s.records) << "at most a turn more for a record that two segments share";
}

// Nothing is wrong with the records: they are not shown as damaged, but later.
TEST(LogReads, WaitForDescriptorsAndMemory) {
    for (const int error : {EMFILE, ENFILE, ENOMEM, EAGAIN}) {
        scattered s(50);
        s.medium.set_prompt(true);
        s.log().tick({});  // what it writes when it comes to rest
        settle(s.log(), s.medium);
        s.log().tick({});
        gathering listed;
        gathering read_on;
        s.medium.fail_from(1, error);
        s.log().read(s.ranges(), listed);
        s.log().read_on(s.log().begin(), 1000, read_on);
        for (int i = 0; i < 10; ++i) {
            static_cast<void>(s.log().poll());
        }
        EXPECT_TRUE(listed.shown.empty() && read_on.shown.empty());
        const auto asked = s.medium.operations();
        for (int i = 0; i < 10; ++i) {
            static_cast<void>(s.log().poll());
        }
        EXPECT_EQ(s.medium.operations(), asked) << "asked again before its time";
        s.log().tick({});
        for (int i = 0; i < 10; ++i) {
            static_cast<void>(s.log().poll());
        }
        EXPECT_GT(s.medium.operations(), asked);
        EXPECT_TRUE(listed.shown.empty() && read_on.shown.empty());

        s.medium.fail_from(0, 0);
        s.log().tick({});
        for (int i = 0; i < 100 && !listed.done; ++i) {
            static_cast<void>(s.log().poll());
        }
        EXPECT_EQ(listed.shown, s.records);
        EXPECT_EQ(s.log().complaint(), "");
    }
}

// Whatever is asked for, in whatever order the disk answers, beside others who ask.
TEST(LogReads, AreShownInTheOrderAskedFor) {
    const auto seed = fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    scattered s(150, seed);
    // The last ones are not durable, and read from memory.
    for (std::size_t i = 0; i < 20; ++i) {
        s.records.push_back(put(s.log(), text(1000 + i, 3000)));
    }
    std::array<gathering, 5> readers;
    std::array<std::vector<kept_record>, 5> expected;
    for (std::size_t i = 0; i < readers.size(); ++i) {
        std::vector<core::record_range> which;
        for (std::size_t n = 0; n < 100; ++n) {
            // In order, backwards, anyhow, and some of them twice.
            const auto& r = s.records[i == 0 ? n : i == 1 ? s.records.size() - 1 - n : random() % s.records.size()];
            expected[i].push_back(r);
            which.push_back(scattered::range_of(r));
        }
        s.log().read(which, readers[i]);
    }
    const auto all_done = [&] { return std::ranges::all_of(readers, &gathering::done); };
    for (int i = 0; i < 10'000 && !all_done(); ++i) {
        static_cast<void>(s.log().poll());
        EXPECT_LE(s.medium.under_way(), 32U + 2) << "a write and a spare segment may be under way beside the reads";
        s.medium.finish(random() % 4);
    }
    for (std::size_t i = 0; i < readers.size(); ++i) {
        EXPECT_EQ(readers[i].shown, expected[i]) << "reader " << i;
    }
    settle(s.log(), s.medium);
    EXPECT_FALSE(s.log().busy());
}

TEST(LogReads, OneThatFailsOnceIsReadAgain) {
    scattered s(40);
    gathering into;
    s.log().read(s.ranges(), into);
    static_cast<void>(s.log().poll());
    s.medium.fail_at(6, EIO);  // of the sixteen under way
    settle(s.log(), s.medium);
    EXPECT_TRUE(s.medium.failed());
    EXPECT_EQ(into.shown, s.records);
}

// A read of many records fails with one of its sectors.
TEST(LogReads, NeighboursOfWhatFailsAreReadOneByOne) {
    scattered s(0);
    s.add_row(50);
    gathering into;
    s.log().read(s.ranges(), into);
    static_cast<void>(s.log().poll());
    s.medium.fail_at(1, EIO);  // all of them, or most
    settle(s.log(), s.medium);
    EXPECT_TRUE(s.medium.failed());
    EXPECT_EQ(into.shown, s.records);
}

TEST(LogReads, ReadingOnLosesNothingToAReadThatFailsOnce) {
    scattered s(40);
    gathering into;
    s.log().read_on(s.records.front().at, 300'000, into);
    static_cast<void>(s.log().poll());
    s.medium.fail_at(1, EIO);
    settle(s.log(), s.medium);
    EXPECT_TRUE(s.medium.failed());
    ASSERT_TRUE(into.done);
    EXPECT_EQ(std::ranges::count(into.shown, 0, &kept_record::kind), 0);
    EXPECT_GT(into.shown.size(), 20U);
    EXPECT_EQ(into.shown.front(), s.records.front());
}

TEST(LogReads, OneThatFailsAgainIsDamagedAndTheOthersAreNot) {
    scattered s(40);
    gathering into;
    s.log().read(s.ranges(), into);
    static_cast<void>(s.log().poll());
    s.medium.fail_from(1, EIO);
    while (into.shown.size() < 3) {
        s.medium.finish_all();
        static_cast<void>(s.log().poll());
    }
    s.medium.fail_from(0, 0);
    settle(s.log(), s.medium);
    ASSERT_EQ(into.shown.size(), 40U);
    EXPECT_GE(std::ranges::count(into.shown, 0, &kept_record::kind), 3);
    EXPECT_LE(std::ranges::count(into.shown, 0, &kept_record::kind), 16);
    for (std::size_t i = 0; i < 40; ++i) {
        EXPECT_EQ(into.shown[i].at, s.records[i].at);
        EXPECT_TRUE(into.shown[i].kind == 0 || into.shown[i] == s.records[i]);
    }
}

// Nobody waits for those reads any more, but their buffers are the disk's until they are done.
TEST(LogReads, WhatIsDroppedMeanwhileIsShownAsGone) {
    scattered s(40);
    gathering into;
    s.log().read(s.ranges(), into);
    static_cast<void>(s.log().poll());
    EXPECT_EQ(s.medium.under_way(), 16U);
    s.log().drop_before(s.records.back().at);
    static_cast<void>(s.log().poll());
    EXPECT_EQ(std::ranges::count(into.shown, 0, &kept_record::kind), static_cast<std::ptrdiff_t>(into.shown.size()));
    settle(s.log(), s.medium);
    ASSERT_TRUE(into.done);
    EXPECT_EQ(into.shown.back(), s.records.back());
    EXPECT_FALSE(s.log().busy());
    EXPECT_GE(s.log().begin(), s.records.front().at);
}

}  // namespace
}  // namespace linnet::test
