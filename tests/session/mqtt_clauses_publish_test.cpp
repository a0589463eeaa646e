// Chapters 3.3 to 3.7, 4.3, 4.4, 4.6 and 4.9: publishes, both ways.
#include "tests/session/mqtt_clauses.hpp"

namespace linnet::session::test {
namespace {

using mqtt::property;
using mqtt::reason_code;

mqtt::publish repeated(mqtt::publish p) {
    p.dup = true;
    return p;
}

TEST_P(MqttClauses, PublishIsAnsweredAsItsQosDemands) {
    clause(mqtt_5, {"MQTT-3.3.4-1", "MQTT-2.2.1-2", "MQTT-2.2.1-5", "MQTT-4.3.1-1", "MQTT-4.3.2-4", "MQTT-4.3.3-8",
                    "MQTT-4.3.3-11", "MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.7.2-1"});
    clause(mqtt_3_1_1, {"MQTT-3.3.4-1", "MQTT-2.3.1-5", "MQTT-2.3.1-6", "MQTT-4.3.1-1"});
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("t", 0);
    mqtt_peer p(w, "me", clean());
    p.publish("t", "0");
    EXPECT_EQ(p.said(), "");
    p.publish("t", "1", 1, 513);
    EXPECT_EQ(p.said(), "PUBACK 513");
    p.publish("t", "2", 2, 65535);
    EXPECT_EQ(p.said(), "PUBREC 65535");
    p.pubrel(65535);
    EXPECT_EQ(p.said(), "PUBCOMP 65535");
    EXPECT_EQ(listener.said(), "PUBLISH t 0\nPUBLISH t 1\nPUBLISH t 2");
}

TEST_P(MqttClauses, Qos1IdentifiersAreFreeOnceAnswered) {
    clause(mqtt_5, {"MQTT-4.3.2-5", "MQTT-3.3.1-3"});
    clause(mqtt_3_1_1, {"MQTT-4.3.2-2", "MQTT-3.3.1-3"});
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("t", 1);
    mqtt_peer p(w, "me", clean());
    p.publish("t", "a", 1, 7);
    p.send(repeated(mqtt_peer::a_publish("t", "b", 1, 7)));
    EXPECT_EQ(p.said(), "PUBACK 7\nPUBACK 7");
    EXPECT_EQ(listener.said(), "PUBLISH t a qos 1 id 1\nPUBLISH t b qos 1 id 2") << "DUP does not travel";
}

TEST_P(MqttClauses, Qos2IsTakenOnceUntilItIsReleased) {
    clause(mqtt_5, {"MQTT-4.3.3-10", "MQTT-4.3.3-12"});
    clause(mqtt_3_1_1, {"MQTT-4.3.3-2"});
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("t");
    {
        mqtt_peer p(w, "me", kept());
        p.publish("t", "a", 2, 7);
        p.send(repeated(mqtt_peer::a_publish("t", "a", 2, 7)));
        EXPECT_EQ(p.said(), "PUBREC 7\nPUBREC 7");
    }
    mqtt_peer p(w, "me", kept());
    p.send(repeated(mqtt_peer::a_publish("t", "a", 2, 7)));
    p.pubrel(7);
    p.publish("t", "b", 2, 7);
    const auto said = p.said();
    EXPECT_EQ(said, "PUBREC 7\nPUBCOMP 7\nPUBREC 7");
    EXPECT_EQ(listener.said(), "PUBLISH t a\nPUBLISH t b");
}

TEST_P(Mqtt5Clauses, Qos2GoesOnWhereTheMessageWasRefusedOrHasExpired) {
    clause(mqtt_5, {"MQTT-4.3.3-9", "MQTT-4.3.3-13"});
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("#");
    mqtt_peer p(w, "me", clean());
    p.publish("$exchange/nowhere/x", "a", 2, 7);
    EXPECT_EQ(p.said().substr(0, 11), "PUBREC 7 87");
    p.publish("t", "b", 2, 7);
    EXPECT_EQ(p.said(), "PUBREC 7");
    EXPECT_EQ(listener.said(), "PUBLISH t b");
    p.pubrel(7);
    some_properties second;
    second.with<property::message_expiry_interval>(1);
    p.publish("nobody", "c", 2, 8, second.block());
    w.pass(5 * ns_per_s);
    p.send(repeated(mqtt_peer::a_publish("nobody", "c", 2, 8, second.block())));
    p.pubrel(8);
    EXPECT_EQ(p.said(), "PUBCOMP 7\nPUBREC 8\nPUBREC 8\nPUBCOMP 8");
}

TEST_P(MqttClauses, TopicNamesHaveNoWildcards) {
    clause(mqtt_5, {"MQTT-3.3.2-2", "MQTT-4.7.0-1", "MQTT-4.13.1-1"});
    clause(mqtt_3_1_1, {"MQTT-3.3.2-2", "MQTT-4.7.1-1", "MQTT-4.8.0-1"});
    for (const auto* topic : {"a/+", "a/#", "#", "+"}) {
        world w;
        mqtt_peer p(w, "me", clean());
        p.publish(topic, "x");
        EXPECT_EQ(end_of(p), disconnect("90")) << topic;
    }
}

TEST_P(MqttClauses, PublishThatIsNotAllowedIsAnsweredInTheVersionsWords) {
    clause(mqtt_5, {"MQTT-3.4.2-1", "MQTT-3.5.2-1"});
    clause(mqtt_3_1_1, {"MQTT-3.3.5-2", "MQTT-4.8.0-2"});
    world w;
    auto l = clean();
    l.user = "limited";
    mqtt_peer p(w, "me", l);
    p.publish("t", "x", 1, 1);
    if (is_v5()) {
        p.publish("t", "x", 2, 2);
        EXPECT_EQ(p.said(), "PUBACK 1 87\nPUBREC 2 87");
        EXPECT_FALSE(p.closed);
    } else {
        EXPECT_EQ(end_of(p), "");
    }
}

// ---- To a subscriber -----------------------------------------------------------------------------

TEST_P(MqttClauses, NewMessagesHaveUnusedIdentifiers) {
    clause(mqtt_5, {"MQTT-2.2.1-4", "MQTT-4.3.2-1", "MQTT-4.3.2-2", "MQTT-4.3.3-1", "MQTT-4.3.3-2", "MQTT-3.3.1-2"});
    clause(mqtt_3_1_1, {"MQTT-2.3.1-1", "MQTT-2.3.1-4", "MQTT-3.3.1-2"});
    world w;
    w.mqtt.inflight_max = 1000;
    mqtt_peer p(w, "me", clean());
    mqtt_peer publisher(w, "publisher");
    p.subscribed("t", 2);
    std::vector<unsigned> ids;
    for (int i = 0; i < 300; ++i) {
        publisher.publish("t", "x", 1U + i % 2, 1);
        publisher.pubrel(1);
        const auto line = p.said();
        ASSERT_TRUE(line.starts_with("PUBLISH t x qos ")) << line;
        ASSERT_EQ(line.find("dup"), line.npos);
        const auto id = static_cast<unsigned>(std::stoul(line.substr(line.find("id ") + 3)));
        ASSERT_NE(id, 0U);
        ASSERT_EQ(std::count(ids.begin(), ids.end(), id), 0) << id;
        ids.push_back(id);
    }
}

TEST_P(MqttClauses, UnfinishedDeliveriesGoOnAndNothingIsSentTwiceMeanwhile) {
    clause(mqtt_5, {"MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-4.3.2-3", "MQTT-4.3.3-3", "MQTT-4.3.3-4", "MQTT-4.3.3-5",
                    "MQTT-4.3.3-6", "MQTT-3.6.2-1", "MQTT-2.2.1-5", "MQTT-4.6.0-5"});
    clause(mqtt_3_1_1, {"MQTT-4.4.0-1", "MQTT-3.3.1-1", "MQTT-4.3.2-1", "MQTT-4.3.3-1", "MQTT-2.3.1-6"});
    world w;
    mqtt_peer publisher(w, "publisher");
    {
        mqtt_peer p(w, "me", kept());
        p.subscribed("t", 2);
        publisher.publish("t", "1", 1, 1);
        publisher.publish("t", "2", 2, 2);
        publisher.publish("t", "3", 2, 3);
        EXPECT_EQ(p.said(), "PUBLISH t 1 qos 1 id 1\nPUBLISH t 2 qos 2 id 2\nPUBLISH t 3 qos 2 id 3");
        p.pubrec(2);
        EXPECT_EQ(p.said(), "PUBREL 2");
        w.pass(100 * ns_per_s);
        EXPECT_EQ(p.said(), "") << "at no other time";
    }
    for (int round = 0; round < 2; ++round) {
        mqtt_peer p(w, "me", kept());
        EXPECT_TRUE(p.welcome.ends_with("PUBLISH t 1 qos 1 id 1 dup\nPUBREL 2\nPUBLISH t 3 qos 2 id 3 dup"))
            << p.welcome;
    }
    mqtt_peer p(w, "me", kept());
    p.puback(1);
    p.pubcomp(2);
    p.pubrec(3);
    p.pubcomp(3);
    EXPECT_EQ(p.said(), "PUBREL 3");
    p.go();
    EXPECT_TRUE(mqtt_peer(w, "me", kept()).welcome.find("PUBLISH") == std::string::npos);
}

TEST_P(Mqtt5Clauses, WhatTheClientRefusesIsDoneWith) {
    clause(mqtt_5, {"MQTT-4.4.0-2"});
    world w;
    mqtt_peer publisher(w, "publisher");
    {
        mqtt_peer p(w, "me", kept());
        p.subscribed("t", 2);
        publisher.publish("t", "1", 1, 1);
        publisher.publish("t", "2", 2, 2);
        static_cast<void>(p.said());
        p.send(mqtt::puback{.packet_id = 1, .reason = reason_code::unspecified_error});
        p.send(mqtt::pubrec{.packet_id = 2, .reason = reason_code::unspecified_error});
        EXPECT_EQ(p.said(), "");
    }
    mqtt_peer p(w, "me", kept());
    EXPECT_EQ(p.welcome.find("PUBLISH"), p.welcome.npos) << p.welcome;
}

TEST_P(Mqtt5Clauses, WhatHasBeenSentDoesNotExpire) {
    clause(mqtt_5, {"MQTT-4.3.3-7", "MQTT-3.3.2-5", "MQTT-3.3.2-6"});
    world w;
    mqtt_peer publisher(w, "publisher", clean());
    some_properties ten;
    ten.with<property::message_expiry_interval>(10);
    {
        mqtt_peer p(w, "me", kept());
        p.subscribed("t", 2);
        publisher.publish("t", "sent", 2, 1, ten.block());
        EXPECT_EQ(p.said(), "PUBLISH t sent qos 2 id 1 [Message Expiry Interval=10]");
    }
    publisher.publish("t", "too late", 2, 2, ten.block());
    w.pass(4 * ns_per_s);
    publisher.publish("t", "in time", 2, 3, ten.block());
    w.pass(8 * ns_per_s);
    mqtt_peer p(w, "me", kept());
    const auto& heard = p.welcome;
    EXPECT_NE(heard.find("PUBLISH t sent qos 2 id 1 dup"), heard.npos) << heard;
    EXPECT_NE(heard.find("PUBLISH t in time qos 2 id 3 [Message Expiry Interval=2]"), heard.npos) << heard;
    EXPECT_EQ(heard.find("too late"), heard.npos) << heard;
}

TEST_P(MqttClauses, MessagesKeepTheOrderOfTheirPublisher) {
    clause(mqtt_5, {"MQTT-4.6.0-5", "MQTT-4.6.0-6"});
    clause(mqtt_3_1_1, {"MQTT-4.6.0-5", "MQTT-4.6.0-6"});
    world w;
    mqtt_peer publisher(w, "publisher");
    mqtt_peer p(w, "me", clean());
    p.subscribed("t", 2);
    for (unsigned qos = 0; qos < 3; ++qos) {
        std::string expected;
        for (unsigned i = 0; i < 30; ++i) {
            const auto text = fmt::format("{}.{}", qos, i);
            publisher.publish("t", text, qos, qos == 0 ? 0 : 1);
            publisher.pubrel(1);
            expected += text + " ";
        }
        std::string got;
        const auto lines = p.said();
        for (std::size_t at = 0; (at = lines.find("PUBLISH t ", at)) != lines.npos; at += 10) {
            got += lines.substr(at + 10, lines.find_first_of(" \n", at + 10) - at - 10) + " ";
        }
        EXPECT_EQ(got, expected);
    }
}

// ---- Promises of MQTT 5 --------------------------------------------------------------------------

TEST_P(Mqtt5Clauses, PropertiesAreForwardedUnaltered) {
    clause(mqtt_5, {"MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20",
                    "MQTT-3.3.2-7"});
    world w;
    mqtt_peer p(w, "me", clean());
    p.subscribed("t", 1);
    some_properties all;
    all.with<property::payload_format_indicator>(1).user("z", "1").user("a", "2").user("z", "3").user("", "");
    all.with<property::content_type>("text/plain").with<property::response_topic>("back/to/me");
    all.with<property::correlation_data>(wire::as_bytes(std::string_view("\x01\x02\xFF")));
    all.with<property::topic_alias>(3);
    for (unsigned qos = 0; qos < 2; ++qos) {
        p.publish("t", "x", qos, qos == 0 ? 0 : 1, all.block());
        const auto said = p.said();
        EXPECT_NE(said.find("[Payload Format Indicator=1, User Property z=1, User Property a=2, User Property z=3, "
                            "User Property =, Content Type=text/plain, Response Topic=back/to/me, "
                            "Correlation Data=\x01\x02\xFF]"),
                  said.npos)
            << said;
    }
    p.go();
    // The alias was the connection's.
    mqtt_peer again(w, "me", clean());
    some_properties alias;
    alias.with<property::topic_alias>(3);
    again.publish("", "x", 0, 0, alias.block());
    EXPECT_EQ(end_of(again), "DISCONNECT 82");
}

TEST_P(Mqtt5Clauses, TopicAliasesKeepToBothMaximums) {
    clause(mqtt_5, {"MQTT-3.1.2-26", "MQTT-3.1.2-27", "MQTT-3.3.2-8", "MQTT-3.3.2-11", "MQTT-3.3.2-12"});
    world w;
    w.mqtt.topic_alias_maximum = 4;
    some_properties two;
    two.with<property::topic_alias_maximum>(2);
    auto l = clean();
    mqtt_peer without(w, "without", l);
    without.subscribed("#");
    l.properties = two.block();
    mqtt_peer p(w, "me", l);
    EXPECT_NE(p.welcome.find("Topic Alias Maximum=4"), p.welcome.npos);
    p.subscribed("#");
    for (const auto* topic : {"a", "b", "c", "a", "c", "b"}) {
        without.publish(topic, "x");
    }
    EXPECT_EQ(p.said(), "PUBLISH a x [Topic Alias=1]\nPUBLISH b x [Topic Alias=2]\nPUBLISH c x\n"
                        "PUBLISH  x [Topic Alias=1]\nPUBLISH c x\nPUBLISH  x [Topic Alias=2]");
    EXPECT_EQ(without.said().find("Topic Alias"), std::string::npos);
    for (std::uint16_t alias = 1; alias <= 4; ++alias) {
        some_properties one;
        one.with<property::topic_alias>(alias);
        without.publish(fmt::format("alias/{}", alias), "first", 0, 0, one.block());
        without.publish("", "second", 0, 0, one.block());
    }
    const auto said = without.said();
    for (int alias = 1; alias <= 4; ++alias) {
        EXPECT_NE(said.find(fmt::format("PUBLISH alias/{} second", alias)), said.npos) << said;
    }
    for (const std::uint16_t wrong : {0, 5}) {
        mqtt_peer bad(w, "bad", clean());
        some_properties one;
        one.with<property::topic_alias>(wrong);
        bad.publish("t", "x", 0, 0, one.block());
        EXPECT_EQ(end_of(bad), wrong == 0 ? "DISCONNECT 82" : "DISCONNECT 94");
    }
}

TEST_P(Mqtt5Clauses, ReceiveMaximumHoldsBothWays) {
    clause(mqtt_5, {"MQTT-3.3.4-7", "MQTT-3.3.4-9", "MQTT-3.3.4-10", "MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-4.9.0-3"});
    world w;
    w.mqtt.receive_maximum = 3;
    some_properties two;
    two.with<property::receive_maximum>(2);
    auto l = clean();
    l.properties = two.block();
    mqtt_peer p(w, "me", l);
    EXPECT_NE(p.welcome.find("Receive Maximum=3"), p.welcome.npos);
    p.subscribed("t", 2);
    mqtt_peer publisher(w, "publisher");
    for (int i = 0; i < 4; ++i) {
        publisher.publish("t", std::to_string(i), 2, 1);
        publisher.pubrel(1);
    }
    publisher.publish("t", "zero");
    EXPECT_EQ(p.said(), "PUBLISH t 0 qos 2 id 1\nPUBLISH t 1 qos 2 id 2");
    // Nothing else is held back.
    p.send(mqtt::pingreq{});
    p.subscribe("other", 0, 9);
    p.publish("other", "x", 1, 1);
    const auto said = p.said();
    EXPECT_NE(said.find("PINGRESP"), said.npos) << said;
    EXPECT_NE(said.find("SUBACK 9 00"), said.npos) << said;
    EXPECT_NE(said.find("PUBACK 1"), said.npos) << said;
    p.pubrec(1);
    EXPECT_EQ(p.said(), "PUBREL 1") << "a slot is free at PUBCOMP";
    p.send(mqtt::pubrec{.packet_id = 2, .reason = reason_code::unspecified_error});
    EXPECT_TRUE(p.said().starts_with("PUBLISH t 2 qos 2 id 3")) << "or at a refusal";
    p.pubcomp(1);
    EXPECT_TRUE(p.said().starts_with("PUBLISH t 3 qos 2 id 4"));
    // And what the client may have under way.
    for (std::uint16_t id = 11; id <= 13; ++id) {
        p.publish("nobody", "x", 2, id);
    }
    EXPECT_FALSE(p.closed);
    static_cast<void>(p.said());
    p.publish("nobody", "x", 2, 14);
    EXPECT_EQ(end_of(p), "DISCONNECT 93");
}

TEST_P(Mqtt5Clauses, SubscriptionIdentifiersAreTheServersToSend) {
    clause(mqtt_5, {"MQTT-3.3.4-6"});
    world w;
    mqtt_peer p(w, "me", clean());
    some_properties id;
    id.with<property::subscription_identifier>(1);
    p.publish("t", "x", 0, 0, id.block());
    EXPECT_EQ(end_of(p), "DISCONNECT 82");
}

TEST_P(Mqtt5Clauses, AuthNeedsAMethodInConnect) {
    clause(mqtt_5, {"MQTT-4.12.0-7"});
    world w;
    mqtt_peer p(w, "me", clean());
    some_properties method;
    method.with<property::authentication_method>("SCRAM-SHA-256");
    p.send(mqtt::auth{.reason = reason_code::reauthenticate, .properties = method.block()});
    EXPECT_EQ(end_of(p), "DISCONNECT 82");
}

}  // namespace
}  // namespace linnet::session::test
