// T6 of a whole broker: one write fails that was to make random traffic durable, of queues, batches and transactions in
// one log or several, or of a stream (P5).
//
//     LINNET_SEED=<seed>             the same runs again
//     LINNET_SYNC_FAILURES=5000      more of them
#include "tests/core/crash_run.hpp"
#include "tests/core/random_seed.hpp"
#include "tests/store/sync_failures.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace linnet::core {
namespace {

using crash_test::body_of;
using crash_test::crash_run;
using store::failed_write;

// What is said of a stream's messages before and after the write that fails.
class stream_run {
public:
    stream_run(std::uint64_t seed, failed_write how) : random_(seed), options_{.seed = seed, .stream = true} {
        durable_cluster c(options_);
        test_session s(c.at(0));
        c.declare(s, "stream", {{"x-queue-type", make_string("stream")}});
        auto& medium = c.stream_medium();
        medium.set_prompt(false);
        medium.fail_write_at(1 + random_.among(20), EIO, how);
        for (int i = 0; i < 1000 && !medium.failed(); ++i) {
            step(c, s);
        }
        c.settle();
        for (auto& [id, accepted] : std::exchange(s.settled, {})) {
            confirmed_ = std::max(confirmed_, id);
        }
        for (int i = 0; i < 20; ++i) {
            step(c, s);
        }
        medium.finish_all();
        c.settle();
        if (!s.settled.empty()) {
            broken_ = std::to_string(s.settled.begin()->first) + " was confirmed after a sync had failed";
        } else if (!medium.failed() || c.failures().size() != 1) {
            broken_ = "no failure, or none that was reported once";
        } else {
            look(c.crash(random_.among(1U << 20)));
        }
    }
    // What went wrong, or nothing.
    [[nodiscard]] const std::string& broken() const { return broken_; }

private:
    void step(durable_cluster& c, test_session& s) {
        if (random_.among(3) == 0) {
            c.stream_medium().finish(1 + random_.among(3));
        }
        for (auto n = random_.among(5); n != 0; --n) {
            ++last_id_;
            static_cast<void>(c.publish(s, "", "stream", body_of(last_id_), last_id_));
        }
        c.turn(0);
    }
    // Numbers from 1 on, none left out, at least as far as they were confirmed.
    void look(disk_images left) try {
        durable_cluster found(options_, std::move(left));
        test_session reader(found.at(0));
        consume all;
        all.queue = "stream";
        all.tag = 1;
        all.sink = &reader;
        all.prefetch = 10'000;
        all.arguments = {{"x-stream-offset", make_string("first")}};
        const auto r = found.ask(reader, std::move(all));
        const auto count = found.count_of(reader, "stream");
        for (std::uint64_t round = 0; reader.got.size() < count && round <= count; ++round) {
            found.settle();
        }
        for (std::size_t i = 0; i < reader.got.size() && broken_.empty(); ++i) {
            if (body_text(*reader.got[i].msg) != body_of(i + 1)) {
                broken_ = "another message where " + std::to_string(i + 1) + " should be";
            }
        }
        if (reader.got.size() < confirmed_ || reader.got.size() > last_id_) {
            broken_ = std::to_string(reader.got.size()) + " of " + std::to_string(confirmed_) + " that were confirmed";
        }
        if (r.result) {
            const auto& info = std::get<consumer_info>(*r.result);
            found.enter(0).forget_consumer(info.queue, info.consumer, reader);
        }
        found.enter(0).settle(reader.got, settlement::requeued);
        reader.got.clear();
        reader.leave();
    } catch (const unreadable_log& why) {
        broken_ = why.what();
    }

    store::random_choices random_;
    durable_cluster::options options_;
    std::uint64_t last_id_ = 0;
    std::uint64_t confirmed_ = 0;
    std::string broken_;
};

[[nodiscard]] failed_write way(std::uint64_t seed) {
    return seed % 2 == 0 ? failed_write::unsure : failed_write::remembered;
}

TEST(DurableSync, AfterAFailedOneNothingIsConfirmed) {
    const auto first = test::fresh_seed();
    const auto wanted = test::sync_failures_wanted();
    std::uint64_t seed = first;
    for (std::uint64_t failures = 0; failures < wanted; ++seed) {
        LINNET_TRACE_SEED(seed);
        ASSERT_LT(seed - first, 2 * wanted + 10) << "hardly a write fails";
        // Of one log nothing at all may be confirmed; of several, what the others have.
        crash_run run(seed, {.logs = static_cast<std::uint16_t>(seed % 3 == 0 ? 3 : 1)});
        failures += run.sync_failure(way(seed)) ? 1U : 0U;
        for (const auto& what : run.broken()) {
            ADD_FAILURE() << what;
        }
        if (HasFailure()) {
            return;
        }
    }
    std::printf("%llu failures from LINNET_SEED=%llu\n", static_cast<unsigned long long>(wanted),
                static_cast<unsigned long long>(first));
}

TEST(DurableSync, NorOfAStream) {
    const auto first = test::fresh_seed();
    for (std::uint64_t seed = first; seed < first + test::sync_failures_wanted(); ++seed) {
        LINNET_TRACE_SEED(seed);
        ASSERT_EQ(stream_run(seed, way(seed)).broken(), "");
    }
}

// What a broker would be that asked for the sync again and believed the answer.
TEST(DurableSync, ABrokerThatBelievesTheNextOneIsNoticed) {
    const auto first = test::fresh_seed();
    int confirmed = 0;
    int lost = 0;
    for (std::uint64_t seed = first; seed < first + 50; ++seed) {
        LINNET_TRACE_SEED(seed);
        EXPECT_NE(stream_run(seed, failed_write::believed).broken(), "");
        crash_run run(seed, {.logs = 1});
        static_cast<void>(run.sync_failure(failed_write::believed));
        for (const auto& what : run.broken()) {
            confirmed += what.find("after a sync had failed") != std::string::npos ? 1 : 0;
            lost += what.find("lost") != std::string::npos || what.find("cannot be opened") != std::string::npos ? 1
                                                                                                                 : 0;
        }
    }
    EXPECT_GT(confirmed, 0);
    EXPECT_GT(lost, 0);
}

}  // namespace
}  // namespace linnet::core
