// Every operation of a log's life on the disk fails once, and from then on for ever; and whatever it was, what the
// log had called durable is there afterwards, and nothing else than what was appended.

#include "tests/store/log_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

namespace linnet::test {
namespace {

enum class fault_lasts : std::uint8_t { once, for_ever };

struct life {
    simulated_disk medium{{.seed = 1}};
    std::vector<kept_record> put_in;
    core::log_position durable = 0;
    core::log_position dropped = 0;
    bool closed = false;  // the log says that its end is a clean one
    bool was_full = false;
};

void note_health(life& l, core::durable_log& log) {
    if (log.health() == core::log_health::failed) {
        EXPECT_FALSE(log.complaint().empty());
    } else {
        l.durable = std::max(l.durable, log.durable());
    }
    l.was_full = l.was_full || log.health() == core::log_health::full;
}

void turn(life& l, core::durable_log& log) {
    log.flush();
    l.medium.finish(3);
    log.poll();
    log.tick(0);
    note_health(l, log);
}

void read_some(life& l, core::durable_log& log) {
    const std::size_t first = l.put_in.size() - 30;
    std::vector<core::record_range> wanted;
    for (std::size_t i = first; i < first + 5; ++i) {
        wanted.push_back({l.put_in[i].at, l.put_in[i].bytes});
    }
    gathering into;
    log.read(wanted, into);
    for (int i = 0; i < 50 && !into.done; ++i) {
        turn(l, log);
    }
    EXPECT_TRUE(into.done || log.health() == core::log_health::failed) << "a reader was forgotten";
    for (std::size_t i = 0; i < into.shown.size(); ++i) {
        EXPECT_TRUE(into.shown[i] == l.put_in[first + i] || into.shown[i].kind == 0) << "a wrong record was read";
    }
    while (!into.done && log.busy() && l.medium.under_way() > 0) {
        turn(l, log);  // it borrows the reader
    }
}

// Two openings, several segments, reading, dropping, closing. Ends early when the log has failed.
void live(life& l) {
    for (int opening = 0; opening < 2; ++opening) {
        l.closed = false;
        auto o = open(l.medium);
        if (!o.log) {
            EXPECT_FALSE(o.why.empty());
            return;
        }
        for (int i = 0; i < 120; ++i) {
            l.put_in.push_back(put(*o.log, text(l.put_in.size(), 1 + static_cast<std::size_t>(i) * 137 % 4000)));
            if (i % 3 == 0) {
                turn(l, *o.log);
            }
            if (i == 60) {
                read_some(l, *o.log);
            }
            if (i == 90) {
                l.dropped = l.put_in[l.put_in.size() - 60].at;
                o.log->drop_before(l.dropped);
            }
        }
        for (int i = 0; i < 60; ++i) {
            turn(l, *o.log);
        }
        l.closed = o.log->close();
        EXPECT_FALSE(l.closed && o.log->health() == core::log_health::failed);
        note_health(l, *o.log);
        if (!l.closed) {
            return;
        }
    }
}

void check(const life& l, store::disk_image found) {
    simulated_disk medium(std::move(found), {});
    const auto o = open(medium);
    ASSERT_TRUE(o.log) << "a failure has become damage: " << o.why;
    if (o.records.empty()) {
        const auto kept = [&](const kept_record& r) { return r.at >= l.dropped && r.at < l.durable; };
        EXPECT_TRUE(std::ranges::none_of(l.put_in, kept)) << "all is lost";
        return;
    }
    const auto first = std::ranges::find(l.put_in, o.records.front());
    ASSERT_NE(first, l.put_in.end()) << "a record from nowhere at " << o.records.front().at;
    ASSERT_LE(o.records.size(), static_cast<std::size_t>(l.put_in.end() - first));
    EXPECT_TRUE(std::ranges::equal(o.records, std::span(first, o.records.size())));
    EXPECT_TRUE(first == l.put_in.begin() || first->at <= l.dropped) << "something has gone that was wanted";
    const auto next = first + static_cast<std::ptrdiff_t>(o.records.size());
    EXPECT_TRUE(next == l.put_in.end() || next->at >= l.durable)
        << "durable up to " << l.durable << ", and not there: " << next->at;
    if (l.closed) {
        EXPECT_EQ(next, l.put_in.end());
        EXPECT_TRUE(o.report.clean);
    }
}

class LogFault : public ::testing::TestWithParam<std::tuple<int, fault_lasts>> {};

TEST_P(LogFault, LosesNothingWhateverFails) {
    const auto [error, how_long] = GetParam();
    std::uint64_t nth = 0;
    for (bool fired = true; fired;) {
        ++nth;
        SCOPED_TRACE(std::string(std::strerror(error)) + " at operation " + std::to_string(nth));
        life l;
        if (how_long == fault_lasts::once) {
            l.medium.fail_at(nth, error);
        } else {
            l.medium.fail_from(nth, error);
        }
        live(l);
        fired = l.medium.failed();
        EXPECT_TRUE(fired || l.closed) << "it fails without a reason";
        check(l, l.medium.snapshot());
        for (std::uint64_t seed = 0; seed < 4; ++seed) {
            check(l, l.medium.crash(seed));
        }
        if (HasFailure()) {
            return;
        }
    }
    EXPECT_GT(nth, 100U) << "hardly anything was tried";
}

INSTANTIATE_TEST_SUITE_P(Every, LogFault,
                         ::testing::Combine(::testing::Values(EIO, ENOSPC),
                                            ::testing::Values(fault_lasts::once, fault_lasts::for_ever)));

// No room for another segment is no failure: what is asked to wait goes on when there is some again.
TEST(LogFull, GoesOnWhenThereIsRoomAgain) {
    simulated_disk medium({.seed = 1, .capacity_bytes = 3 * small_log().segment_bytes});
    std::vector<kept_record> put_in;
    auto o = open(medium);
    ASSERT_TRUE(o.log) << o.why;
    const auto turns = [&](int count) {
        for (int i = 0; i < count; ++i) {
            o.log->flush();
            medium.finish_all();
            o.log->poll();
            o.log->tick(i);
        }
    };
    for (std::size_t i = 0; i < 100; ++i) {
        put_in.push_back(put(*o.log, text(i, 4000)));
        turns(2);
    }
    EXPECT_EQ(o.log->health(), core::log_health::full);
    EXPECT_FALSE(o.log->complaint().empty());
    EXPECT_LT(o.log->durable(), o.log->end());

    medium.set_capacity(100 * small_log().segment_bytes);
    turns(50);
    EXPECT_EQ(o.log->health(), core::log_health::good) << o.log->complaint();
    EXPECT_EQ(o.log->durable(), o.log->end());
    EXPECT_TRUE(o.log->close());
    EXPECT_EQ(open(medium).records, put_in);
}

}  // namespace
}  // namespace linnet::test
