#include "bench/load/plan.hpp"

#include "bench/load/option_table.hpp"

#include <gtest/gtest.h>

#include <set>

namespace {

using namespace linnet::load;

plan plan_of(std::vector<std::string> arguments) {
    const auto o = parse_options(arguments);
    EXPECT_TRUE(o) << o.error();
    return make_plan(*o);
}

TEST(Plan, OneQueueThroughTheDefaultExchange) {
    const plan p = plan_of({"amqp"});
    EXPECT_EQ(p.exchange, "");
    EXPECT_EQ(p.queues, std::vector<std::string>{"linnet-bench"});
    EXPECT_TRUE(p.bindings.empty());
    ASSERT_EQ(p.producers.size(), 1U);
    EXPECT_EQ(p.producers[0].targets[0].key, "linnet-bench");
    ASSERT_EQ(p.connections.size(), 2U);
    EXPECT_EQ(p.connections[0].producers, std::vector<unsigned>{0});
    EXPECT_EQ(p.connections[1].subscriptions.size(), 1U);
    EXPECT_FALSE(p.connections[1].subscriptions[0].competing);
    EXPECT_EQ(p.copies, 1U);
}

TEST(Plan, ConsumersOfOneQueueCompete) {
    const plan p = plan_of({"amqp", "-y", "3"});
    ASSERT_EQ(p.connections.size(), 4U);
    for (std::size_t i = 1; i < 4; ++i) {
        ASSERT_EQ(p.connections[i].subscriptions.size(), 1U);
        EXPECT_TRUE(p.connections[i].subscriptions[0].competing);
    }
}

TEST(Plan, DealsQueuesOutOverProducersAndConsumers) {
    const plan p = plan_of({"amqp", "-x", "2", "-y", "2", "-qp", "q-%d", "-qpf", "3", "-qpt", "7"});
    EXPECT_EQ(p.queues, (std::vector<std::string>{"q-3", "q-4", "q-5", "q-6", "q-7"}));
    std::multiset<std::string> keys;
    std::set<std::uint32_t> streams;
    for (const producer_plan& each : p.producers) {
        for (const target_plan& target : each.targets) {
            keys.insert(target.key);
            streams.insert(target.stream);
        }
    }
    EXPECT_EQ(keys, std::multiset<std::string>(p.queues.begin(), p.queues.end()));
    EXPECT_EQ(streams.size(), 5U);
    std::multiset<unsigned> consumed;
    for (const connection_plan& each : p.connections) {
        for (const subscription_plan& s : each.subscriptions)
            consumed.insert(s.queue);
    }
    EXPECT_EQ(consumed, (std::multiset<unsigned>{0, 1, 2, 3, 4}));
}

TEST(Plan, AFanOutHasAQueueForEachConsumerOnSharedConnections) {
    const plan p = plan_of({"fanout", "-y", "1000", "--consumers-per-connection", "100", "--channels", "20"});
    EXPECT_EQ(p.exchange_type, "fanout");
    EXPECT_EQ(p.queues.size(), 1000U);
    EXPECT_EQ(p.bindings.size(), 1000U);
    EXPECT_EQ(p.copies, 1000U);
    ASSERT_EQ(p.connections.size(), 11U);
    EXPECT_EQ(p.connections[1].subscriptions.size(), 100U);
    EXPECT_EQ(p.connections[1].channels, 20U);
}

TEST(Plan, AThousandQueuesAreAllUsed) {
    const plan p = plan_of({"queues"});
    EXPECT_EQ(p.queues.size(), 1000U);
    EXPECT_EQ(p.producers[0].targets.size(), 1000U);
    ASSERT_EQ(p.connections.size(), 2U);
    EXPECT_EQ(p.connections[1].subscriptions.size(), 1000U);
}

// The model of a topic match on words, * and #.
bool matches(std::string_view pattern, std::string_view key) {
    const auto word = [](std::string_view& rest) {
        const std::string_view first = rest.substr(0, rest.find('.'));
        rest.remove_prefix(std::min(first.size() + 1, rest.size()));
        return first;
    };
    while (!pattern.empty()) {
        const std::string_view wanted = word(pattern);
        if (wanted == "#")
            return true;  // always last here
        if (key.empty())
            return false;
        const std::string_view found = word(key);
        if (wanted != "*" && wanted != found)
            return false;
    }
    return key.empty();
}

TEST(Plan, EveryTopicKeyMatchesExactlyItsOwnBinding) {
    const plan p = plan_of({"topic", "--bindings", "1200", "--keys", "300", "--seed", "5"});
    ASSERT_EQ(p.bindings.size(), 1200U);
    ASSERT_EQ(p.producers[0].targets.size(), 300U);
    std::set<std::string> different;
    for (const target_plan& target : p.producers[0].targets) {
        different.insert(target.key);
        std::vector<unsigned> queues;
        for (const binding_plan& b : p.bindings) {
            if (matches(b.key, target.key))
                queues.push_back(b.queue);
        }
        ASSERT_EQ(queues, std::vector<unsigned>{target.stream}) << target.key;
    }
    EXPECT_EQ(different.size(), 300U);
    EXPECT_EQ(p.copies, 1U);
}

TEST(Plan, TheSameSeedGivesTheSameOrder) {
    const auto keys = [](const char* seed) {
        std::vector<std::string> out;
        const plan p = plan_of({"topic", "--seed", seed});
        for (const target_plan& t : p.producers[0].targets)
            out.push_back(t.key);
        return out;
    };
    EXPECT_EQ(keys("1"), keys("1"));
    EXPECT_NE(keys("1"), keys("2"));
}

TEST(Plan, MqttConsumersOfOneTopicGetAllOfIt) {
    const plan p = plan_of({"mqtt", "-y", "100"});
    EXPECT_EQ(p.copies, 100U);
    ASSERT_EQ(p.connections.size(), 101U);
    EXPECT_FALSE(p.connections[1].subscriptions[0].competing);
    EXPECT_EQ(plan_of({"mqtt", "-y", "6", "-qp", "t/%d", "-qpt", "3"}).copies, 2U);
}

TEST(Plan, AMqttSubscriptionThatIsSharedIsCompetedFor) {
    const plan p = plan_of({"mqtt", "-y", "4", "--shared", "--mqtt-version", "5"});
    EXPECT_EQ(p.copies, 1U);
    EXPECT_TRUE(p.connections[1].subscriptions[0].competing);
}

TEST(Plan, ReadersOfATopicOrAStreamGetAllOfIt) {
    for (const char* what : {"topic", "stream"}) {
        const plan p = plan_of({"sse", "-y", "100", "--reads", what});
        EXPECT_EQ(p.copies, 100U) << what;
        ASSERT_EQ(p.connections.size(), 101U);
        EXPECT_FALSE(p.connections[1].subscriptions[0].competing);
    }
    const plan p = plan_of({"sse", "-y", "100", "--reads", "queue"});
    EXPECT_EQ(p.copies, 1U);
    EXPECT_TRUE(p.connections[1].subscriptions[0].competing);
    EXPECT_EQ(plan_of({"amqp-sse", "-y", "20"}).copies, 20U);
    EXPECT_EQ(plan_of({"amqp-sse"}).exchange, "amq.topic");
    EXPECT_EQ(plan_of({"http", "-x", "64"}).connections.size(), 64U);
}

TEST(Plan, ACrossingGoesThroughTheTopicExchange) {
    for (const char* way : {"amqp-mqtt", "mqtt-amqp"}) {
        const plan p = plan_of({way});
        EXPECT_EQ(p.exchange, "amq.topic");
        ASSERT_EQ(p.bindings.size(), 1U);
        EXPECT_EQ(p.bindings[0].key, p.producers[0].targets[0].key);
        EXPECT_EQ(p.copies, 1U);
    }
}

}  // namespace
