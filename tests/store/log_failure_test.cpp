#include "tests/store/log_model.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>

// Every operation of the disk fails once, or from then on: the log says so, confirms nothing after a write that failed,
// and loses nothing that it had confirmed.

namespace linnet::test {
namespace {

// Some hundred operations: several segments, one of them used again, one large record, an end.
class busy_life {
public:
    explicit busy_life(simulated_disk& medium) : medium_{medium} {}

    // Until something fails for good, or the end.
    void run() {
        auto o = open(medium_);
        if (!o.log) {
            EXPECT_NE(o.why, "");
            return;
        }
        log_ = o.log.get();
        for (std::size_t i = 0; i < 60 && !failed_; ++i) {
            model_.appended(put(*log_, text(i, i == 30 ? 90'000 : 2'500)));
            log_->flush();
            step();
            if (i == 45) {
                log_->drop_before(log_->durable());
                model_.dropped(log_->begin());
            }
            if (i % 10 == 0)
                read_back(i);
            log_->tick(0);
        }
        for (int i = 0; i < 50 && !failed_ && log_->durable() != log_->end(); ++i) {
            log_->tick(0);
            log_->flush();
            step();
        }
        ended_ = log_->close();
        EXPECT_TRUE(ended_ || log_->health() != core::log_health::good) << log_->complaint();
        note();
    }

    [[nodiscard]] const log_model& model() const { return model_; }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] bool was_full() const { return was_full_; }
    [[nodiscard]] bool has_failed() const { return failed_; }

private:
    void step() {
        for (int i = 0; i < 20 && (medium_.under_way() != 0 || i == 0); ++i) {
            medium_.finish_all();
            log_->poll();
            note();
        }
    }

    void note() {
        was_full_ = was_full_ || log_->health() == core::log_health::full;
        EXPECT_TRUE(log_->health() == core::log_health::good || !log_->complaint().empty());
        if (failed_) {
            // Nothing is confirmed once a write has failed.
            EXPECT_EQ(log_->durable(), model_.durable());
            EXPECT_EQ(log_->health(), core::log_health::failed);
            return;
        }
        model_.confirmed(log_->durable());
        failed_ = log_->health() == core::log_health::failed;
    }

    void read_back(std::size_t i) {
        const kept_record& wanted = model_.records()[i];
        if (wanted.at < log_->begin())
            return;
        gathering g;
        const core::record_range which{wanted.at, wanted.bytes};
        log_->read({&which, 1}, g);
        for (int turn = 0; turn < 20 && !g.done; ++turn)
            step();
        ASSERT_TRUE(g.done);
        ASSERT_EQ(g.shown.size(), 1U);
        // A read that fails shows damage, never other bytes.
        if (g.shown.front().kind == 0)
            EXPECT_NE(log_->complaint(), "");
        else
            EXPECT_EQ(g.shown.front(), wanted);
    }

    simulated_disk& medium_;
    core::durable_log* log_ = nullptr;
    log_model model_;
    bool ended_ = false;
    bool failed_ = false;
    bool was_full_ = false;
};

enum class lasting : std::uint8_t { once, for_ever };

// How many operations there were to fail.
std::uint64_t fail_each(int error, lasting how, std::uint64_t& full, std::uint64_t& failed) {
    for (std::uint64_t n = 1;; ++n) {
        SCOPED_TRACE("operation " + std::to_string(n) + " fails with " + std::to_string(error));
        simulated_disk medium;
        if (how == lasting::once)
            medium.fail_at(n, error);
        else
            medium.fail_from(n, error);
        busy_life life{medium};
        life.run();
        const bool fired = medium.failed();
        EXPECT_TRUE(fired || life.ended());
        full += life.was_full() ? 1U : 0U;
        failed += life.has_failed() ? 1U : 0U;
        simulated_disk after{medium.crash(n), {}};
        const auto o = open(after);
        EXPECT_TRUE(o.log) << o.why;
        EXPECT_EQ(life.model().check(o.records), "");
        if (!fired || testing::Test::HasFailure())
            return n - 1;
    }
}

TEST(LogFailure, EveryOperationFails) {
    for (const lasting how : {lasting::once, lasting::for_ever}) {
        for (const int error : {EIO, ENOSPC}) {
            std::uint64_t full = 0;
            std::uint64_t failed = 0;
            const std::uint64_t operations = fail_each(error, how, full, failed);
            EXPECT_GT(operations, 100U);
            EXPECT_GT(failed, 50U);
            EXPECT_EQ(full > 0, error == ENOSPC);
        }
    }
}

// Opening what a crash left, each operation of that failing: the next attempt finds everything.
TEST(LogFailure, EveryOperationOfRecoveryFails) {
    simulated_disk before;
    busy_life life{before};
    before.fail_from(150, EIO);
    life.run();
    const store::disk_image left = before.crash(7);
    for (std::uint64_t n = 1;; ++n) {
        SCOPED_TRACE("operation " + std::to_string(n));
        simulated_disk medium{left, {}};
        medium.fail_at(n, EIO);
        {
            const auto o = open(medium);
            EXPECT_EQ(o.log == nullptr, !o.why.empty());
        }
        const bool fired = medium.failed();
        simulated_disk after{medium.crash(n), {}};
        const auto o = open(after);
        ASSERT_TRUE(o.log) << o.why;
        ASSERT_EQ(life.model().check(o.records), "");
        if (!fired)
            break;
        ASSERT_LT(n, 10'000U);
    }
}

TEST(LogFailure, AFullDiskIsFullUntilThereIsRoom) {
    simulated_disk medium{{.capacity_bytes = 3 * small_log().segment_bytes}};
    log_model model;
    auto o = open(medium);
    ASSERT_TRUE(o.log) << o.why;
    std::size_t number = 0;
    while (o.log->health() == core::log_health::good && number < 1000) {
        model.appended(put(*o.log, text(number++, 2'000)));
        settle(*o.log, medium);
    }
    ASSERT_EQ(o.log->health(), core::log_health::full);
    EXPECT_NE(o.log->complaint(), "");
    // There is room for what frees room, in what was prepared before.
    EXPECT_EQ(o.log->durable(), o.log->end());
    for (int i = 0; i < 20; ++i)
        model.appended(put(*o.log, text(number++, 100)));
    settle(*o.log, medium);
    EXPECT_EQ(o.log->durable(), o.log->end());
    // Even when that is used up nothing is lost: it waits, and the log says that it is congested.
    for (int i = 0; i < 300; ++i)
        model.appended(put(*o.log, text(number++, 2'000)));
    settle(*o.log, medium);
    EXPECT_LT(o.log->durable(), o.log->end());
    EXPECT_EQ(o.log->health(), core::log_health::full);
    medium.set_capacity(1 << 30);
    o.log->tick(0);
    settle(*o.log, medium);
    EXPECT_EQ(o.log->health(), core::log_health::good) << o.log->complaint();
    EXPECT_EQ(o.log->durable(), o.log->end());
    model.confirmed(o.log->durable());
    simulated_disk after{medium.crash(1), {}};
    const auto again = open(after);
    ASSERT_TRUE(again.log) << again.why;
    EXPECT_EQ(model.check(again.records), "");
}

// A crash when not even a commit has room any more: the next opening says that the disk is full, takes what makes room,
// and goes on once there is some.
TEST(LogFailure, AFullDiskIsOpenedAgain) {
    simulated_disk before{{.capacity_bytes = 3 * small_log().segment_bytes}};
    log_model model;
    {
        auto o = open(before);
        ASSERT_TRUE(o.log) << o.why;
        for (std::size_t i = 0; i < 300; ++i)
            model.appended(put(*o.log, text(i, 2'000)));
        settle(*o.log, before);
        ASSERT_LT(o.log->durable(), o.log->end());
        model.confirmed(o.log->durable());
    }
    simulated_disk medium{before.crash(1), {.capacity_bytes = 3 * small_log().segment_bytes}};
    auto o = open(medium);
    ASSERT_TRUE(o.log) << o.why;
    EXPECT_EQ(model.check(o.records), "");
    EXPECT_EQ(o.log->health(), core::log_health::full);
    ASSERT_FALSE(o.records.empty());
    put(*o.log, text(300, 100));
    o.log->tick(0);
    settle(*o.log, medium);
    EXPECT_LT(o.log->durable(), o.log->end());
    o.log->drop_before(o.records.back().at);
    settle(*o.log, medium);
    o.log->tick(0);
    settle(*o.log, medium);
    EXPECT_EQ(o.log->durable(), o.log->end());
    simulated_disk after{medium.crash(2), {}};
    const auto again = open(after);
    ASSERT_TRUE(again.log) << again.why;
    ASSERT_FALSE(again.records.empty());
    EXPECT_EQ(again.records.back().payload, text(300, 100));
}

TEST(LogFailure, DroppingMakesRoom) {
    simulated_disk medium{{.capacity_bytes = 3 * small_log().segment_bytes}};
    auto o = open(medium);
    ASSERT_TRUE(o.log) << o.why;
    for (std::size_t i = 0; i < 400; ++i) {
        put(*o.log, text(i, 2'000));
        o.log->flush();
        settle(*o.log, medium);
        o.log->drop_before(o.log->durable());
        settle(*o.log, medium);
    }
    EXPECT_EQ(o.log->health(), core::log_health::good) << o.log->complaint();
    EXPECT_EQ(o.log->durable(), o.log->end());
}

}  // namespace
}  // namespace linnet::test
