// Whole runs against the small peer in this process: every message goes through real sockets.
#include "bench/load/run.hpp"

#include "bench/load/amqp_driver.hpp"
#include "bench/load/connection_scenarios.hpp"
#include "bench/load/http_driver.hpp"
#include "bench/load/loopback_peer.hpp"
#include "bench/load/mqtt_driver.hpp"
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

report run(const loopback_peer& peer, options o) {
    o.uri.port = fmt::format("{}", peer.port());
    const auto with = [&](auto driver) {
        auto result = run_load(o, driver, {});
        EXPECT_TRUE(result) << result.error();
        return result ? std::move(*result) : report{};
    };
    switch (o.uri.speaks) {
        case protocol::amqp: return with(amqp_driver{o.uri, o});
        case protocol::mqtt: return with(mqtt_driver{o.uri, o});
        case protocol::http: return with(http_driver{o.uri, o});
    }
    return {};
}

report run(role r, std::vector<std::string> arguments) {
    const options o = options_of(std::move(arguments));
    const loopback_peer peer{o.uri.speaks, r};
    return run(peer, o);
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
        const loopback_peer peer{protocol::amqp, role::broker, {.drop_every = 1000}};
        const report r = run(peer, o);
        // The last one dropped has no successor that would show the gap.
        EXPECT_EQ(r.faults.missing, 9U);
        EXPECT_EQ(r.never_arrived, 10U);
    }
    {
        const loopback_peer peer{protocol::amqp, role::broker, {.repeat_every = 1000}};
        EXPECT_EQ(run(peer, o).faults.duplicates, 10U);
    }
    {
        const loopback_peer peer{protocol::amqp, role::broker, {.swap_every = 1500}};
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
    const options o = options_of({"amqp", "--uri", "amqp://127.0.0.1:1"});
    amqp_driver driver{o.uri, o};
    const auto result = run_load(o, driver, {});
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().find("cannot connect to 127.0.0.1:1"), std::string::npos) << result.error();
}

TEST(Run, MqttCountsEveryMessageOfEveryQuality) {
    for (const char* version : {"3.1.1", "5"}) {
        for (const char* qos : {"0", "1", "2"}) {
            const report r = run(role::broker, {"mqtt", "--qos", qos, "--mqtt-version", version, "-C", "70000", "-D",
                                                "70000", "-c", "300"});
            EXPECT_EQ(r.total.sent, 70'000U) << version << " QoS " << qos;
            EXPECT_EQ(r.total.received, 70'000U) << version << " QoS " << qos;
            EXPECT_EQ(r.times.latency.count(), 70'000U);
            EXPECT_EQ(r.total.confirmed, *qos == '0' ? 0U : 70'000U) << version << " QoS " << qos;
            EXPECT_EQ(r.total.nacked, 0U);
            EXPECT_FALSE(r.faults.any());
        }
    }
}

TEST(Run, MqttFansOutAndIn) {
    const report out = run(role::broker, {"mqtt", "-y", "20", "-C", "500", "-D", "500"});
    EXPECT_EQ(out.total.received, 10'000U);
    EXPECT_EQ(out.never_arrived, 0U);
    EXPECT_FALSE(out.faults.any());
    const report in = run(role::broker, {"mqtt", "--qos", "1", "-x", "20", "-C", "500", "-D", "10000"});
    EXPECT_EQ(in.total.received, 10'000U);
    EXPECT_EQ(in.total.confirmed, 10'000U);
    EXPECT_FALSE(in.faults.any());
}

TEST(Run, MqttPairsKeepToTheirTopics) {
    const report r = run(role::broker, {"mqtt", "-x", "10", "-y", "10", "-qp", "pair/%d", "-qpt", "10", "--threads",
                                        "2", "-C", "300", "-D", "300"});
    EXPECT_EQ(r.total.received, 3'000U);
    EXPECT_FALSE(r.faults.any());
}

TEST(Run, MqttMessagesLargerThanAReadComeBackWhole) {
    for (const char* size : {"0", "11", "300000"}) {
        const report r = run(role::broker, {"mqtt", "-s", size, "-C", "50", "-D", "50"});
        EXPECT_EQ(r.total.received, 50U) << size;
        EXPECT_FALSE(r.faults.any());
    }
}

TEST(Run, FindsWhatABadMqttBrokerDoes) {
    const options o = options_of({"mqtt", "-C", "10000"});
    {
        const loopback_peer peer{protocol::mqtt, role::broker, {.drop_every = 1000}};
        const report r = run(peer, o);
        EXPECT_EQ(r.faults.missing, 9U);
        EXPECT_EQ(r.never_arrived, 10U);
    }
    {
        const loopback_peer peer{protocol::mqtt, role::broker, {.repeat_every = 1000}};
        EXPECT_EQ(run(peer, o).faults.duplicates, 10U);
    }
}

TEST(Run, HttpCountsEveryAnswer) {
    for (const char* in_pipeline : {"1", "16"}) {
        const report r = run(role::sink, {"http", "-x", "5", "-C", "2000", "-c", in_pipeline});
        EXPECT_EQ(r.total.sent, 10'000U);
        EXPECT_EQ(r.total.confirmed, 10'000U);
        EXPECT_EQ(r.times.confirm.count(), 10'000U);
        EXPECT_EQ(r.answers, (answer_counts{{201, 10'000}}));
    }
}

TEST(Run, HttpTellsRefusalsFromSuccess) {
    // What is no message the peer answers with 204, and what it does not understand it does not answer at all.
    EXPECT_EQ(run(role::sink, {"http", "-C", "100", "--post-to", "/healthy"}).answers, (answer_counts{{204, 100}}));
    const options o = options_of({"http", "-C", "100", "--post-to", "/%zz"});
    const loopback_peer peer{protocol::http, role::sink};
    broker_uri uri = o.uri;
    uri.port = fmt::format("{}", peer.port());
    http_driver driver{uri, o};
    const auto result = run_load(o, driver, {});
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().find("closed the connection"), std::string::npos) << result.error();
}

TEST(Run, EveryReaderOfATopicGetsEveryEvent) {
    const report r = run(role::broker, {"sse", "-y", "50", "-C", "300", "-D", "300", "-u", "house/attic"});
    EXPECT_EQ(r.total.sent, 300U);
    EXPECT_EQ(r.total.received, 15'000U);
    EXPECT_EQ(r.times.latency.count(), 15'000U);
    EXPECT_EQ(r.never_arrived, 0U);
    EXPECT_FALSE(r.faults.any());
}

TEST(Run, ReadersOfAQueueShareItsEvents) {
    const report r = run(role::broker, {"sse", "--reads", "queue", "-y", "3", "-C", "3000"});
    EXPECT_EQ(r.total.received, 3'000U);
    EXPECT_EQ(r.never_arrived, 0U);
    EXPECT_FALSE(r.faults.any());
}

TEST(Run, EventsLargerThanAReadComeBackWhole) {
    for (const char* size : {"0", "23", "300000"}) {
        const report r = run(role::broker, {"sse", "-s", size, "-C", "50", "-D", "50"});
        EXPECT_EQ(r.total.received, 50U) << size;
        EXPECT_EQ(r.times.latency.empty(), *size != '3') << size;
    }
}

TEST(Run, FindsWhatABadServerOfEventsDoes) {
    const options o = options_of({"sse", "-y", "2", "-C", "2000", "-c", "8"});
    {
        const loopback_peer peer{protocol::http, role::broker, {.drop_every = 1000}};
        const report r = run(peer, o);
        // The last one dropped has no successor that would show the gap.
        EXPECT_EQ(r.faults.missing, 2U);
        EXPECT_EQ(r.never_arrived, 4U);
    }
    {
        const loopback_peer peer{protocol::http, role::broker, {.repeat_every = 1000}};
        EXPECT_EQ(run(peer, o).faults.duplicates, 4U);
    }
    {
        const loopback_peer peer{protocol::http, role::broker, {.swap_every = 300}};
        EXPECT_EQ(run(peer, o).faults.out_of_order, 12U);
    }
}

TEST(Run, SaysWhatWasAnsweredInsteadOfEvents) {
    const options o = options_of({"sse", "--events-at", "/elsewhere"});
    const loopback_peer peer{protocol::http, role::broker};
    broker_uri uri = o.uri;
    uri.port = fmt::format("{}", peer.port());
    http_driver driver{uri, o};
    const auto result = run_load(o, driver, {});
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().find("GET /elsewhere: answered 204"), std::string::npos) << result.error();
}

TEST(ConnectionScenarios, HoldAndChurnHttp) {
    const loopback_peer peer{protocol::http, role::broker};
    const std::string uri = fmt::format("http://127.0.0.1:{}", peer.port());
    const auto held = hold_connections(options_of({"conn", "--uri", uri, "--connections", "50", "-z", "0"}));
    ASSERT_TRUE(held) << held.error();
    EXPECT_EQ(held->opened, 50U);
    const auto churned = churn(options_of({"churn", "--uri", uri, "-z", "0.1"}));
    ASSERT_TRUE(churned) << churned.error();
    EXPECT_GT(churned->opened, 0U);
}

TEST(ConnectionScenarios, HoldAndChurn) {
    const loopback_peer peer{protocol::amqp, role::broker};
    const std::string uri = fmt::format("amqp://127.0.0.1:{}", peer.port());
    const auto held = hold_connections(options_of({"conn", "--uri", uri, "--connections", "50", "-z", "0"}));
    ASSERT_TRUE(held) << held.error();
    EXPECT_EQ(held->opened, 50U);
    EXPECT_EQ(held->open_times.count(), 50U);
    for (const char* what : {"connection", "channel", "queue"}) {
        const auto churned = churn(options_of({"churn", "--uri", uri, "--churn", what, "-z", "0.1"}));
        ASSERT_TRUE(churned) << churned.error();
        EXPECT_GT(churned->opened, 0U) << what;
    }
}

TEST(ConnectionScenarios, HoldAndChurnMqtt) {
    const loopback_peer peer{protocol::mqtt, role::broker};
    const std::string uri = fmt::format("mqtt://127.0.0.1:{}", peer.port());
    for (const char* version : {"3.1.1", "5"}) {
        const auto held = hold_connections(
            options_of({"conn", "--uri", uri, "--mqtt-version", version, "--connections", "50", "-z", "0"}));
        ASSERT_TRUE(held) << held.error();
        EXPECT_EQ(held->opened, 50U);
        const auto churned = churn(options_of({"churn", "--uri", uri, "--mqtt-version", version, "-z", "0.1"}));
        ASSERT_TRUE(churned) << churned.error();
        EXPECT_GT(churned->opened, 0U);
    }
}

}  // namespace
