// Whole runs against the small peer in this process: every message goes through real sockets.
#include "bench/load/run.hpp"

#include "bench/load/amqp_driver.hpp"
#include "bench/load/connection_scenarios.hpp"
#include "bench/load/loopback_peer.hpp"
#include "bench/load/option_table.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

namespace {

using namespace linnet::load;
using role = loopback_peer::role;

options options_of(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--warmup", "0", "--interval", "0.1"});
    const auto o = parse_options(arguments);
    EXPECT_TRUE(o) << o.error();
    return *o;
}

amqp_uri uri_of(const loopback_peer& peer) {
    amqp_uri uri;
    uri.port = fmt::format("{}", peer.port());
    return uri;
}

report run(const loopback_peer& peer, const options& o) {
    amqp_driver driver{uri_of(peer), o};
    auto result = run_load(o, driver, {});
    EXPECT_TRUE(result) << result.error();
    return result ? std::move(*result) : report{};
}

report run(role r, std::vector<std::string> arguments) {
    const loopback_peer peer{r};
    return run(peer, options_of(std::move(arguments)));
}

TEST(Run, CountsEveryMessageThere) {
    const report r = run(role::broker, {"amqp", "-a", "-C", "50000", "-D", "50000"});
    EXPECT_EQ(r.total.sent, 50'000U);
    EXPECT_EQ(r.total.received, 50'000U);
    EXPECT_EQ(r.times.latency.count(), 50'000U);
    EXPECT_EQ(r.never_arrived, 0U);
    EXPECT_FALSE(r.faults.any());
}

TEST(Run, ConfirmsAndAcknowledges) {
    const report r = run(role::broker, {"amqp", "-c", "100", "-q", "200", "-A", "10", "-C", "20000", "-D", "20000"});
    EXPECT_EQ(r.total.received, 20'000U);
    EXPECT_EQ(r.total.confirmed, 20'000U);
    EXPECT_EQ(r.times.confirm.count(), 20'000U);
}

TEST(Run, BodiesLargerThanAFrameComeBackWhole) {
    const report r = run(role::broker, {"amqp", "-a", "-s", "300000", "-C", "50", "-D", "50"});
    EXPECT_EQ(r.total.received, 50U);
    EXPECT_EQ(r.times.latency.count(), 50U);
    EXPECT_FALSE(r.faults.any());
}

TEST(Run, TinyAndEmptyBodiesCarryNoStamp) {
    for (const char* size : {"0", "11"}) {
        const report r = run(role::broker, {"amqp", "-a", "-s", size, "-C", "1000", "-D", "1000"});
        EXPECT_EQ(r.total.received, 1000U) << size;
        EXPECT_TRUE(r.times.latency.empty()) << size;
    }
}

TEST(Run, FansOutToManyConsumersOfOneConnection) {
    const report r = run(role::broker, {"fanout", "-y", "30", "--consumers-per-connection", "10", "--channels", "3",
                                        "-C", "500", "-D", "500"});
    EXPECT_EQ(r.total.sent, 500U);
    EXPECT_EQ(r.total.received, 15'000U);
    EXPECT_FALSE(r.faults.any());
}

TEST(Run, GoesRoundManyQueuesOnTwoThreads) {
    const report r = run(role::broker, {"queues", "-qpt", "50", "-x", "2", "-y", "10", "--threads", "2", "-z", "0.3",
                                        "--in-flight", "1000"});
    EXPECT_GT(r.total.sent, 1000U);
    EXPECT_EQ(r.never_arrived, 0U);
    EXPECT_FALSE(r.faults.any());
}

TEST(Run, KeepsToItsRate) {
    const report r = run(role::broker, {"amqp", "-a", "-r", "2000", "-z", "1"});
    EXPECT_DOUBLE_EQ(r.offered_per_s, 2000);
    EXPECT_NEAR(static_cast<double>(r.measured.sent), 2000, 400);
    EXPECT_EQ(r.never_arrived, 0U);
}

TEST(Run, ASlowConsumerIsHeldToItsRate) {
    const report r = run(role::broker, {"amqp", "-a", "-r", "5000", "-R", "1000", "-z", "1", "--drain", "0"});
    EXPECT_NEAR(static_cast<double>(r.measured.received), 1000, 300);
}

TEST(Run, FindsWhatABadBrokerDoes) {
    const options o = options_of({"amqp", "-a", "-C", "10000"});
    {
        const loopback_peer peer{role::broker, {.drop_every = 1000}};
        const report r = run(peer, o);
        // The last one dropped has no successor that would show the gap.
        EXPECT_EQ(r.faults.missing, 9U);
        EXPECT_EQ(r.never_arrived, 10U);
    }
    {
        const loopback_peer peer{role::broker, {.repeat_every = 1000}};
        EXPECT_EQ(run(peer, o).faults.duplicates, 10U);
    }
    {
        const loopback_peer peer{role::broker, {.swap_every = 1500}};
        const report r = run(peer, o);
        EXPECT_EQ(r.faults.out_of_order, 6U);
        EXPECT_EQ(r.faults.missing, 0U);
    }
}

TEST(Run, ReportsTheBrokersProcess) {
    const report r = run(role::broker, {"amqp", "-a", "-z", "0.5", "--in-flight", "1000", "--broker-pid",
                                        fmt::format("{}", ::getpid())});
    ASSERT_TRUE(r.cost);
    EXPECT_GT(r.cost->cpu_seconds, 0);
    EXPECT_GT(r.cost->rss_bytes, 1'000'000U);
    EXPECT_GT(r.generator_cpu_seconds, 0);
}

TEST(Run, SaysWhyThereIsNoBroker) {
    amqp_uri nowhere;
    nowhere.port = "1";
    const options o = options_of({"amqp"});
    amqp_driver driver{nowhere, o};
    const auto result = run_load(o, driver, {});
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().find("cannot connect to 127.0.0.1:1"), std::string::npos) << result.error();
}

TEST(ConnectionScenarios, HoldAndChurn) {
    const loopback_peer peer{role::broker};
    const auto held = hold_connections(options_of({"conn", "--connections", "50", "-z", "0"}), uri_of(peer));
    ASSERT_TRUE(held) << held.error();
    EXPECT_EQ(held->opened, 50U);
    EXPECT_EQ(held->open_times.count(), 50U);
    for (const char* what : {"connection", "channel", "queue"}) {
        const auto churned = churn(options_of({"churn", "--churn", what, "-z", "0.1"}), uri_of(peer));
        ASSERT_TRUE(churned) << churned.error();
        EXPECT_GT(churned->opened, 0U) << what;
    }
}

}  // namespace
