#include "broker/store/sync_times.hpp"
#include "tests/store/log_support.hpp"

#include <gtest/gtest.h>

namespace linnet::test {
namespace {

TEST(FileLog, TakesNoSpaceUntilItIsUsed) {
    simulated_disk medium;
    auto o = open(medium);
    ASSERT_TRUE(o.log) << o.why;
    EXPECT_TRUE(o.report.clean);
    EXPECT_TRUE(o.log->close());
    EXPECT_TRUE(medium.snapshot().empty());
}

TEST(FileLog, BringsBackWhatWasWritten) {
    simulated_disk medium;
    std::vector<kept_record> put_in;
    {
        auto o = open(medium);
        ASSERT_TRUE(o.log) << o.why;
        EXPECT_EQ(o.log->epoch(), 1U);
        for (std::size_t i = 0; i < 100; ++i) {
            put_in.push_back(put(*o.log, text(i, 1 + i * 7)));
            if (i % 3 == 0)
                settle(*o.log, medium);
        }
        settle(*o.log, medium);
        EXPECT_EQ(o.log->durable(), o.log->end());
        EXPECT_TRUE(o.log->close());
    }
    auto o = open(medium);
    ASSERT_TRUE(o.log) << o.why;
    EXPECT_EQ(o.records, put_in);
    EXPECT_TRUE(o.report.clean);
    EXPECT_EQ(o.report.records, put_in.size());
    EXPECT_EQ(o.log->epoch(), 2U);
    EXPECT_TRUE(o.log->close());
}

// From being handed to the disk until poll() has seen it, however many records a write holds.
TEST(FileLog, CountsHowLongItsWritesTake) {
    simulated_disk medium;
    manual_clock_source clock;
    store::sync_times times(clock);
    auto options = small_log();
    options.syncs = &times;
    auto o = open(medium, options);
    ASSERT_TRUE(o.log) << o.why;
    put(*o.log, "first");  // its segment is made
    settle(*o.log, medium);
    const auto before = times.look();
    for (const mono_ns takes : {70 * ns_per_us, 3 * ns_per_ms, 2 * ns_per_s}) {
        put(*o.log, "one");
        put(*o.log, "two");
        o.log->flush();
        clock.advance(takes);
        settle(*o.log, medium);
    }
    const auto after = times.look();
    EXPECT_EQ(after.sum - before.sum, 2 * ns_per_s + 3 * ns_per_ms + 70 * ns_per_us);
    for (const std::size_t place : {std::size_t{1}, std::size_t{5}, std::size_t{9}})
        EXPECT_EQ(after.counts[place] - before.counts[place], 1U) << place;
}

TEST(FileLog, GoesOnFromSegmentToSegment) {
    simulated_disk medium;
    std::vector<kept_record> put_in;
    for (int cycle = 0; cycle < 4; ++cycle) {
        auto o = open(medium);
        ASSERT_TRUE(o.log) << o.why;
        EXPECT_EQ(o.records, put_in);
        for (std::size_t i = 0; i < 300; ++i) {
            put_in.push_back(put(*o.log, text(put_in.size(), 1 + i * 13 % 1500)));
            if (i % 5 == 0)
                o.log->flush();
            if (i % 7 == 0) {
                medium.finish(2);
                o.log->poll();
            }
        }
        if (cycle % 2 == 0)
            EXPECT_TRUE(o.log->close());
        else
            settle(*o.log, medium);
    }
    EXPECT_GT(medium.snapshot().size(), 10U);
}

TEST(FileLog, JoinsRecordsLargerThanASegment) {
    simulated_disk medium;
    std::vector<kept_record> put_in;
    {
        auto o = open(medium);
        ASSERT_TRUE(o.log) << o.why;
        put_in.push_back(put(*o.log, "before"));
        put_in.push_back(put(*o.log, text(1, 300'000)));
        put_in.push_back(put(*o.log, "behind"));
        gathering from_memory;
        std::vector<core::record_range> which;
        for (const auto& r : put_in)
            which.push_back({r.at, r.bytes});
        o.log->read(which, from_memory);
        o.log->poll();
        EXPECT_TRUE(from_memory.done);
        EXPECT_EQ(from_memory.shown, put_in);
        settle(*o.log, medium);
        gathering from_disk;
        o.log->read(which, from_disk);
        settle(*o.log, medium);
        EXPECT_EQ(from_disk.shown, put_in);
    }
    auto o = open(medium);
    ASSERT_TRUE(o.log) << o.why;
    EXPECT_EQ(o.records, put_in);
}

}  // namespace
}  // namespace linnet::test
