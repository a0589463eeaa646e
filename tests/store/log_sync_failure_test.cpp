// T6: one synced write fails, and that is the end of the log's promises (P5). Nothing is confirmed after it, the log
// says for ever that it has failed, and the next opening finds what is on the medium.
//
//     LINNET_SEED=<seed>             the same lives again
//     LINNET_SYNC_FAILURES=5000      more of them

#include "tests/core/random_seed.hpp"
#include "tests/store/log_model.hpp"
#include "tests/store/sync_failures.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace linnet::test {
namespace {

using store::failed_write;

// Ends with the write that fails, or tells that it came to none.
class doomed_life {
public:
    doomed_life(std::uint64_t seed, failed_write how)
        : random_(seed), medium_({.seed = seed}), one_by_one_(random_.yes()) {
        o_ = open(medium_);
        EXPECT_TRUE(o_.log) << o_.why;
        model_.confirmed(o_.log->durable());
        medium_.fail_write_at(1 + random_.among(60), EIO, how);
    }

    // What went wrong, or nothing.
    std::string run() {
        for (int i = 0; i < 1000 && !medium_.failed(); ++i) {
            step();
        }
        if (!medium_.failed()) {
            return "no write failed";
        }
        if (std::string wrong = go_on(); !wrong.empty()) {
            return wrong;
        }
        return random_.yes() ? next_process() : next_machine();
    }

private:
    void step() {
        switch (random_.among(8)) {
            case 0:
            case 1: append(); break;
            case 2: o_.log->flush(); break;
            case 3: o_.log->tick(0); break;
            case 4:
                if (random_.among(8) == 0) {
                    o_.log->drop_before(o_.log->durable());
                    model_.dropped(o_.log->begin());
                }
                break;
            default: finish(); break;
        }
    }

    void append() {
        for (std::size_t group = random_.among(6) == 0 ? 3 : 1; group > 0; --group) {
            const std::size_t bytes = random_.among(8) == 0 ? random_.among(30'000) : random_.among(900);
            model_.appended(put(*o_.log, text(number_++, bytes), group > 1 ? core::record_flags::more : 0));
        }
    }

    // One operation ends, or several before the log looks.
    void finish() {
        medium_.finish(one_by_one_ ? 1 : 1 + random_.among(4));
        // Of several that end together those before the failing one may still count.
        const bool may_count = !medium_.failed() || !one_by_one_;
        o_.log->poll();
        if (may_count) {
            model_.confirmed(o_.log->durable());
        }
    }

    // Whatever is asked of it now, and whatever the disk brings.
    std::string go_on() {
        for (std::size_t i = 0; i < 60; ++i) {
            if (o_.log->health() != core::log_health::failed) {
                return "it says that it has not failed";
            }
            if (o_.log->complaint().empty()) {
                return "it does not say why";
            }
            if (o_.log->durable() > model_.durable()) {
                return "it confirms up to " + std::to_string(o_.log->durable()) + " after the failure at " +
                       std::to_string(model_.durable());
            }
            step_after();
        }
        return o_.log->close() ? "it closes as if nothing had been" : std::string{};
    }
    void step_after() {
        if (random_.yes()) {
            append();
        }
        o_.log->flush();
        medium_.finish(random_.among(4));
        o_.log->poll();
        o_.log->tick(static_cast<mono_ns>(number_) * ns_per_s);
    }

    std::string next_process() {
        simulated_disk left = medium_.kill(random_.among(1U << 20));
        o_.log.reset();
        return look(left);
    }
    std::string next_machine() {
        simulated_disk left(medium_.crash(random_.among(1U << 20)), {});
        return look(left);
    }
    // What is found is built upon: the machine may stop at any time after that.
    std::string look(simulated_disk& left) {
        auto again = open(left);
        if (!again.log) {
            return "refused: " + again.why;
        }
        if (std::string wrong = model_.check(again.records); !wrong.empty()) {
            return wrong;
        }
        model_.restart(again.records);
        model_.appended(put(*again.log, text(number_++, 700)));
        settle(*again.log, left);
        model_.confirmed(again.log->durable());
        simulated_disk last(left.crash(random_.among(1U << 20)), {});
        const auto found = open(last);
        if (!found.log) {
            return "refused after a crash: " + found.why;
        }
        const std::string wrong = model_.check(found.records);
        return wrong.empty() ? wrong : "after a crash: " + wrong;
    }

    store::random_choices random_;
    simulated_disk medium_;
    const bool one_by_one_;
    reopened o_;
    log_model model_;
    std::size_t number_ = 0;
};

TEST(LogSyncFailure, IsTheEndOfAllConfirms) {
    const std::uint64_t first = fresh_seed();
    const std::uint64_t count = sync_failures_wanted();
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        LINNET_TRACE_SEED(seed);
        const auto how = seed % 2 == 0 ? failed_write::unsure : failed_write::remembered;
        ASSERT_EQ(doomed_life(seed, how).run(), "");
    }
    std::printf("%llu failures from LINNET_SEED=%llu\n", static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(first));
}

// What a log would be that asked for the sync again and believed the answer.
TEST(LogSyncFailure, ALogThatBelievesTheNextSyncIsNoticed) {
    const std::uint64_t first = fresh_seed();
    for (std::uint64_t seed = first; seed < first + 20; ++seed) {
        LINNET_TRACE_SEED(seed);
        EXPECT_NE(doomed_life(seed, failed_write::believed).run(), "");
    }
}

}  // namespace
}  // namespace linnet::test
