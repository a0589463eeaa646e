// Shared subscriptions, and queues that are consumed by their names.

#include "tests/session/conversation.hpp"
#include "tests/session/mqtt_conversation.hpp"

#include <algorithm>

namespace linnet::session::test {
namespace {

using mqtt::version;

// [MQTT-4.8.2-4] [MQTT-4.8.2-5] [MQTT-4.8.2-6]
TEST(MqttShared, EachMessageGoesToOneMember) {
    world w;
    mqtt_peer a(w, "a", v5);
    mqtt_peer b(w, "b", v5);
    mqtt_peer p(w, "publisher");
    p.retain("jobs/old", "not for shares");
    a.subscribed("$share/g/jobs/#", 1);
    b.subscribed("$share/g/jobs/#", 1);
    for (std::uint16_t i = 1; i <= 4; ++i) {
        p.publish("jobs/x", std::to_string(i), 1, i);
    }
    const auto first = a.said();
    const auto second = b.said();
    EXPECT_EQ(std::count(first.begin(), first.end(), '\n'), 1) << first;
    EXPECT_EQ(std::count(second.begin(), second.end(), '\n'), 1) << second;
    // What one has not acknowledged goes to the other, as new.
    a.go();
    w.turn();
    const auto rest = b.said();
    EXPECT_EQ(std::count(rest.begin(), rest.end(), '\n'), 1) << rest;
    EXPECT_EQ(rest.find("dup"), std::string::npos) << rest;
    b.unsubscribe("$share/g/jobs/#");
    EXPECT_EQ(b.said(), "UNSUBACK 1 00");
}

// It waits for an id while its subscription ends: then it is another member's.
TEST(MqttShared, WhatWaitsForAnIdGoesToAnotherOnceTheSubscriptionHasEnded) {
    world w;
    some_properties one;
    one.with<mqtt::property::receive_maximum>(1);
    mqtt_peer a(w, "a", {.spoken = version::v5, .properties = one.block()});
    mqtt_peer b(w, "b", v5);
    mqtt_peer p(w, "publisher");
    a.subscribed("own", 1);
    a.subscribed("$share/g/t", 1);
    p.publish("own", "1", 1, 1);
    p.publish("t", "2", 1, 2);
    w.turn();
    EXPECT_EQ(a.said(), "PUBLISH own 1 qos 1 id 1");
    b.subscribed("$share/g/t", 1);
    a.unsubscribe("$share/g/t");
    EXPECT_EQ(a.said(), "UNSUBACK 1 00");
    a.puback(1);
    w.turn();
    EXPECT_EQ(a.said(), "");
    EXPECT_NE(b.said().find("PUBLISH t 2"), std::string::npos);
}

// The group's queue is the first member's: it ends with the members of one that is not kept. Who is kept makes it anew,
// and as its own.
TEST(MqttShared, AKeptMemberOutlivesTheQueueOfAPassingOne) {
    world w;
    mqtt_peer publisher(w, "publisher");
    {
        mqtt_peer passing(w, "passing", v5);
        passing.subscribed("$share/g/t", 1);
        mqtt_peer kept(w, "kept", {.clean = false});
        kept.subscribed("$share/g/t", 1);
        kept.subscribed("own", 1);
    }
    w.turn();
    publisher.publish("own", "1", 1, 1);
    publisher.publish("t", "nobody's", 1, 2);
    {
        mqtt_peer kept(w, "kept", {.clean = false});
        EXPECT_EQ(kept.welcome, "CONNACK present 00\nPUBLISH own 1 qos 1 id 1");
        kept.puback(1);
        publisher.publish("t", "2", 1, 3);
        EXPECT_EQ(kept.said(), "PUBLISH t 2 qos 1 id 32768");
        kept.puback(32768);
    }
    publisher.publish("t", "3", 1, 4);
    mqtt_peer kept(w, "kept", {.clean = false});
    EXPECT_EQ(kept.welcome, "CONNACK present 00\nPUBLISH t 3 qos 1 id 32768");
    kept.unsubscribe("$share/g/t");
    EXPECT_EQ(kept.said(), "UNSUBACK 1");
}

// [MQTT-3.3.4-9] Who takes any number gets as many as there are ids, and then waits.
TEST(MqttQueue, GivesOutNoMoreIdsThanThereAre) {
    world w;
    mqtt_peer p(w, "me", v5);
    mqtt_peer publisher(w, "publisher");
    scripted_peer amqp(w, 1);
    amqp.send(1, amqp::queue_declare{.queue = "jobs"});
    p.subscribed("$queue/jobs", 1);
    constexpr std::size_t ids = 32'767;
    std::size_t got = 0;
    const auto count = [&] {
        const auto said = p.said();
        for (auto at = said.find("PUBLISH"); at != said.npos; at = said.find("PUBLISH", at + 1)) {
            ++got;
        }
    };
    for (std::size_t i = 0; i < ids + 100; ++i) {
        publisher.publish("$queue/jobs", "x", 1, static_cast<std::uint16_t>(i % 1000 + 1));
        if (i % 1000 == 999) {
            w.turn();
            count();
            static_cast<void>(publisher.said());
        }
    }
    w.turn();
    count();
    EXPECT_EQ(got, ids);
    p.puback(32'768);
    w.turn();
    count();
    EXPECT_EQ(got, ids + 1);
}

TEST(MqttQueue, IsConsumedAndPublishedToByName) {
    world w;
    scripted_peer amqp(w, 1);
    amqp.send(1, amqp::queue_declare{.queue = "jobs"});
    amqp.publish(1, "", "jobs", "from AMQP");
    static_cast<void>(amqp.said());
    mqtt_peer p(w, "me", v5);
    p.subscribe("$queue/jobs", 1);
    EXPECT_EQ(p.said(), "SUBACK 1 01\nPUBLISH $queue/jobs from AMQP");
    p.publish("$queue/jobs", "to myself", 1, 1);
    EXPECT_EQ(p.said(), "PUBLISH $queue/jobs to myself qos 1 id 32768\nPUBACK 1");
}

}  // namespace
}  // namespace linnet::session::test
