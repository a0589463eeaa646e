// What MQTT clients are told of the broker, and what the configuration makes of them.
#include "broker/session/mqtt_sys.hpp"
#include "tests/session/conversation.hpp"
#include "tests/session/mqtt_conversation.hpp"

namespace linnet::session::test {
namespace {

using mqtt::version;

// ---- $SYS ----------------------------------------------------------------------------------------

class MqttSys : public ::testing::Test {
protected:
    void publish() {
        w.shard->begin_turn();
        sys.publish(*w.shard);
        w.end_turn();
    }

    world w;
    mqtt_sys sys{{w.mqtt.exchange, w.mqtt.vhost, "1.2.3"}, *w.mqtt.figures};
};

TEST_F(MqttSys, TellsWhatMosquittosExportersReadAndKeepsIt) {
    mqtt_peer early(w, "early");
    early.subscribed("$SYS/broker/messages/+");
    mqtt_peer p(w, "publisher");
    p.subscribed("t");
    p.publish("t", "12345");
    p.publish("t", "678");
    static_cast<void>(p.said());
    publish();
    EXPECT_EQ(early.said(), "PUBLISH $SYS/broker/messages/received 6\nPUBLISH $SYS/broker/messages/sent 6");
    mqtt_peer late(w, "late");
    late.subscribe("$SYS/#");
    const auto lines = late.said();
    for (const auto* line :
         {"PUBLISH $SYS/broker/version linnet version 1.2.3 retain", "PUBLISH $SYS/broker/uptime 0 seconds retain",
          "PUBLISH $SYS/broker/clients/connected 2 retain", "PUBLISH $SYS/broker/clients/maximum 2 retain",
          "PUBLISH $SYS/broker/subscriptions/count 2 retain", "PUBLISH $SYS/broker/publish/messages/received 2 retain",
          "PUBLISH $SYS/broker/publish/messages/sent 2 retain", "PUBLISH $SYS/broker/publish/messages/dropped 0 retain",
          "PUBLISH $SYS/broker/publish/bytes/received 8 retain",
          "PUBLISH $SYS/broker/load/messages/received/1min 0.00 retain", "PUBLISH $SYS/broker/bytes/received "}) {
        EXPECT_NE(lines.find(line), std::string::npos) << line << " is not in\n" << lines;
    }
}

TEST_F(MqttSys, SaysAgainWhatHasChanged) {
    publish();
    mqtt_peer p(w, "me");
    p.subscribe("$SYS/broker/uptime");
    EXPECT_EQ(p.said(), "SUBACK 1 00\nPUBLISH $SYS/broker/uptime 0 seconds retain");
    p.subscribe("$SYS/broker/version");
    p.subscribe("$SYS/broker/load/connections/1min");
    static_cast<void>(p.said());
    w.pass(10 * ns_per_s);
    publish();
    // One connection in 10 s is six a minute; of that the last minute has seen a part: 6 * (1 - e^(-10/60)).
    EXPECT_EQ(p.said(), "PUBLISH $SYS/broker/uptime 10 seconds\nPUBLISH $SYS/broker/load/connections/1min 0.92");
}

// Nobody who does not ask for it hears of it, be it by AMQP.
TEST_F(MqttSys, IsForThoseWhoNameIt) {
    mqtt_peer all(w, "all");
    all.subscribed("#");
    all.subscribed("+/broker/uptime");
    scripted_peer amqp(w, 1);
    amqp.send(1, amqp::queue_declare{.queue = "q"});
    amqp.send(1, amqp::queue_bind{.queue = "q", .exchange = "amq.topic", .routing_key = "#"});
    publish();
    EXPECT_EQ(all.said(), "");
    const auto v = w.shard->topology().find_vhost("/");
    ASSERT_NE(core::topology_view::find_queue(*v, "q"), nullptr);
    static_cast<void>(amqp.said());
    amqp.send(1, amqp::basic_get{.queue = "q"});
    EXPECT_EQ(amqp.said(), "1 basic.get-empty \"\"");
}

// ---- Rights --------------------------------------------------------------------------------------

TEST(MqttRights, ANameOfOnesOwnIsAPlaceOfOnesOwn) {
    world w;
    w.shard->begin_turn();
    w.shard->change_topology([](core::topology_editor& e) {
        const auto v = e.view().find_vhost("/");
        const auto done = e.set_topic_permissions("guest", core::topology_view::id_of(*v), "amq.topic",
                                                  {"^own\\.%c\\.", "^own\\.%c\\.|^shared$"});
        EXPECT_TRUE(done.has_value());
        return std::vector<core::queue_entry>{};
    });
    w.end_turn();
    mqtt_peer one(w, "one", {.spoken = version::v5});
    mqtt_peer odd(w, "o.#", {.spoken = version::v5});
    one.subscribed("own/one/#");
    odd.subscribed("own/o.%23/x");
    one.publish("own/one/x", "mine", 1, 1);
    EXPECT_EQ(one.said(), "PUBLISH own/one/x mine\nPUBACK 1");
    one.publish("own/two/x", "theirs", 1, 2);
    EXPECT_EQ(one.said(), "PUBACK 2 87");
    odd.publish("own/o.%23/x", "odd", 1, 3);
    EXPECT_EQ(odd.said(), "PUBLISH own/o.%23/x odd\nPUBACK 3");
    odd.publish("own/one/x", "not", 1, 4);
    EXPECT_EQ(odd.said(), "PUBACK 4 87");
    for (const auto* filter : {"own/two/#", "own/#", "#", "own/+/x", "shared/x"}) {
        one.subscribe(filter, 0, 7);
        EXPECT_EQ(one.said(), "SUBACK 7 87") << filter;
    }
    one.subscribe("shared", 0, 8);
    EXPECT_EQ(one.said(), "SUBACK 8 00");
}

// Neither while it is there nor from what is kept of it.
TEST(MqttRights, WhatMayNotBeReadAnyMoreIsRead) {
    world w;
    const auto allow = [&w](std::string_view read) {
        w.shard->begin_turn();
        w.shard->change_topology([read](core::topology_editor& e) {
            const auto v = core::topology_view::id_of(*e.view().find_vhost("/"));
            EXPECT_TRUE(e.set_topic_permissions("guest", v, "amq.topic", {".*", std::string(read)}).has_value());
            return std::vector<core::queue_entry>{};
        });
        w.end_turn();
    };
    some_properties hour;
    hour.with<property::session_expiry_interval>(3600);
    const mqtt_login kept{.spoken = version::v5, .clean = false, .properties = hour.block()};
    allow("^(a|b)$");
    mqtt_peer writer(w, "writer", {.spoken = version::v5});
    {
        mqtt_peer reader(w, "reader", kept);
        reader.subscribed("a", 1);
        reader.subscribed("b", 1);
        const auto look_again = [&] {
            w.shard->begin_turn();
            reader.talk->on_rights_changed();
            w.end_turn();
        };
        look_again();
        EXPECT_EQ(reader.said(), "");
        allow("^b$");
        look_again();
        EXPECT_EQ(reader.said(), "DISCONNECT 87 [Reason String='a' may not be read any more]");
    }
    writer.publish("a", "forbidden", 1, 1);
    writer.publish("b", "allowed", 1, 2);
    EXPECT_EQ(writer.said(), "PUBACK 1\nPUBACK 2");
    mqtt_peer again(w, "reader", kept);
    EXPECT_TRUE(again.welcome.starts_with("CONNACK present 00")) << again.welcome;
    writer.publish("a", "forbidden", 1, 3);
    const auto lines = again.said();
    EXPECT_EQ(lines.find("forbidden"), std::string::npos) << again.welcome << lines;
    EXPECT_NE((again.welcome + lines).find("allowed"), std::string::npos) << again.welcome << lines;
    // The binding has gone as well: with the right back there is nothing left of the subscription.
    allow("^(a|b)$");
    EXPECT_EQ(writer.said(), "PUBACK 3 10");
}

TEST(MqttRights, ABrokerMayKeepItsReasonsToItself) {
    world w;
    w.mqtt.forbidden = mqtt::reason_code::unspecified_error;
    w.shard->begin_turn();
    w.shard->change_topology([](core::topology_editor& e) {
        const auto v = e.view().find_vhost("/");
        EXPECT_TRUE(e.set_topic_permissions("guest", core::topology_view::id_of(*v), "amq.topic", {"^own$", "^own$"})
                        .has_value());
        return std::vector<core::queue_entry>{};
    });
    w.end_turn();
    mqtt_peer p(w, "one", {.spoken = version::v5});
    p.subscribe("there", 0, 7);
    EXPECT_EQ(p.said(), "SUBACK 7 80");
    p.publish("there", "x", 1, 8);
    EXPECT_EQ(p.said(), "PUBACK 8 80");
    p.subscribe("own", 0, 9);
    EXPECT_EQ(p.said(), "SUBACK 9 00");
}

// By the rights of the moment, at CONNECT and when it is due.
TEST(MqttRights, AWillIsCheckedTwice) {
    world w;
    const auto allow = [&](std::string_view pattern) {
        w.shard->begin_turn();
        w.shard->change_topology([&](core::topology_editor& e) {
            const auto v = e.view().find_vhost("/");
            EXPECT_TRUE(e.set_topic_permissions("limited", core::topology_view::id_of(*v), "amq.topic",
                                                {std::string(pattern), ".*"})
                            .has_value());
            EXPECT_TRUE(e.set_permissions("limited", core::topology_view::id_of(*v), {".*", ".*", ".*"}).has_value());
            return std::vector<core::queue_entry>{};
        });
        w.end_turn();
    };
    mqtt_peer listener(w, "listener");
    listener.subscribed("#");
    const auto with_will = [&](std::string_view client) {
        return mqtt_login{.user = "limited",
                          .will = mqtt::will{.topic = client == "a" ? "own/a" : "own/other",
                                             .payload = wire::as_bytes(std::string_view("gone"))}};
    };
    allow("^own\\.%c$");
    {
        mqtt_peer refused(w);
        refused.connect("b", with_will("b"));
        EXPECT_EQ(refused.said(), "CONNACK 87");
    }
    { mqtt_peer said(w, "a", with_will("a")); }
    EXPECT_EQ(listener.said(), "PUBLISH own/a gone");
    {
        mqtt_peer revoked(w, "a", with_will("a"));
        allow("^nothing$");
    }
    EXPECT_EQ(listener.said(), "");
}

// ---- Quotas --------------------------------------------------------------------------------------

// reliability.md, A8: what is new is refused, what is there is kept.
TEST(MqttQuotas, RetainedMessagesAreLimited) {
    for (const std::uint16_t shards : {1, 3}) {
        auto o = world::options();
        o.shards = shards;
        o.retained_max = 2;
        world w(o);
        for (std::uint16_t i = 0; i < shards; ++i) {
            mqtt_peer p(w, *w.shards[i], "me", {.spoken = version::v5});
            p.subscribed("#", 0, {.retained = mqtt::retain_handling::do_not_send});
            p.retain("a", "1", 1, 1);
            p.retain("b", "2", 1, 2);
            p.retain("c", "3", 1, 3);
            p.retain("a", "4", 1, 4);
            EXPECT_EQ(p.said(), "PUBLISH a 1\nPUBACK 1\nPUBLISH b 2\nPUBACK 2\nPUBLISH c 3\nPUBACK 3 97\n"
                                "PUBLISH a 4\nPUBACK 4");
            p.retain("d", "5");
            mqtt_peer late(w, "late");
            late.subscribe("+");
            EXPECT_EQ(late.said(), "SUBACK 1 00\nPUBLISH a 4 retain\nPUBLISH b 2 retain");
            p.retain("a", "", 1, 5);
            p.retain("c", "6", 1, 6);
            p.retain("c", "", 1, 7);
            p.retain("b", "", 1, 8);
            EXPECT_EQ(p.said(), "PUBLISH d 5\nPUBLISH a \nPUBACK 5\nPUBLISH c 6\nPUBACK 6\nPUBLISH c \nPUBACK 7\n"
                                "PUBLISH b \nPUBACK 8");
        }
    }
}

TEST(MqttQuotas, SessionsAreLimited) {
    auto o = world::options();
    o.clients_max = 2;
    world w(o);
    mqtt_peer one(w, "one");
    { mqtt_peer kept(w, "kept", {.clean = false}); }
    mqtt_peer refused(w);
    refused.connect("third", {.spoken = version::v5});
    EXPECT_EQ(refused.said(), "CONNACK 97 [Reason String=there are as many sessions as there may be]");
    mqtt_peer old(w);
    old.connect("third", {.spoken = version::v3_1_1});
    EXPECT_EQ(old.said(), "CONNACK 87");
    mqtt_peer back(w, "kept", {.clean = false});
    EXPECT_EQ(back.welcome, "CONNACK present 00");
    back.go();
    { mqtt_peer clean(w, "kept"); }
    mqtt_peer third(w, "third");
    EXPECT_EQ(third.welcome, "CONNACK 00");
}

// ---- By vhost ------------------------------------------------------------------------------------

TEST(MqttVhost, WritesTopicsAsItWasToldTo) {
    world w;
    w.shard->begin_turn();
    w.shard->change_topology([](core::topology_editor& e) {
        const auto v = e.view().find_vhost("other");
        EXPECT_TRUE(e.set_permissions("guest", core::topology_view::id_of(*v), {".*", ".*", ".*"}).has_value());
        return std::vector<core::queue_entry>{};
    });
    w.end_turn();
    w.mqtt.topic_modes["other"] = mqtt::name_mode::rabbitmq;
    mqtt_peer exact(w, "exact");
    mqtt_peer lossy(w, "lossy", {.user = "other:guest"});
    exact.subscribed("#");
    lossy.subscribed("#");
    exact.publish("a.b/c", "1");
    lossy.publish("a.b/c", "2");
    EXPECT_EQ(exact.said(), "PUBLISH a.b/c 1");
    EXPECT_EQ(lossy.said(), "PUBLISH a/b/c 2");
}

}  // namespace
}  // namespace linnet::session::test
