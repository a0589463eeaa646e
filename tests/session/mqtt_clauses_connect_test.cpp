// Chapters 3.1, 3.2, 3.12 and 3.14: beginning and ending.
#include "tests/session/mqtt_clauses.hpp"

namespace linnet::session::test {
namespace {

using mqtt::property;
using mqtt::reason_code;
using mqtt::version;

INSTANTIATE_TEST_SUITE_P(Version, MqttClauses, ::testing::Values(version::v3_1_1, version::v5));
INSTANTIATE_TEST_SUITE_P(Version, Mqtt5Clauses, ::testing::Values(version::v5));

packet_bytes connect_bytes(mqtt_peer& p, version spoken) {
    mqtt::connect c{.spoken = spoken};
    c.client_id = "me";
    c.user_name = "guest";
    c.password = wire::as_bytes(std::string_view("guest"));
    packet_bytes made;
    mqtt::append_packet(made, c, spoken);
    static_cast<void>(p);
    return made;
}

TEST_P(MqttClauses, ConnectIsAnsweredWithOneConnackBeforeAllElse) {
    clause(mqtt_5, {"MQTT-3.1.4-5", "MQTT-3.2.0-1", "MQTT-3.2.0-2", "MQTT-3.2.2-1", "MQTT-3.2.2-2", "MQTT-2.2.2-1"});
    clause(mqtt_3_1_1, {"MQTT-3.1.4-4", "MQTT-3.2.0-1", "MQTT-3.2.2-1"});
    world w;
    {
        mqtt_peer p(w, "me", kept());
        p.subscribed("t", 1);
    }
    mqtt_peer(w, "publisher").publish("t", "waits", 1, 1);
    // Everything in one piece: the answers come in order, CONNACK first, once.
    mqtt_peer p(w);
    auto all = connect_bytes(p, GetParam());
    all.insert(all.end(), {0xC0, 0x00, 0xC0, 0x00});
    mqtt_peer again(w);
    again.connect("other", clean());
    EXPECT_TRUE(again.said().starts_with("CONNACK 00"));
    p.connect("me", kept());
    p.send(mqtt::pingreq{});
    const auto said = p.said();
    EXPECT_TRUE(said.starts_with("CONNACK present 00")) << said;
    EXPECT_EQ(said.find("CONNACK", 1), said.npos) << said;
    EXPECT_NE(said.find("PUBLISH t waits qos 1 id 1"), said.npos) << said;
    EXPECT_NE(said.find("PINGRESP"), said.npos) << said;
    // [Session Present] is 0 after a clean start, whatever there was.
    EXPECT_TRUE(mqtt_peer(w, "me", clean()).welcome.starts_with("CONNACK 00"));
}

TEST_P(MqttClauses, FirstPacketIsConnectAndOnlyOnce) {
    clause(mqtt_5, {"MQTT-3.1.0-1", "MQTT-3.1.0-2", "MQTT-3.14.0-1", "MQTT-4.13.1-1", "MQTT-4.13.2-1"});
    clause(mqtt_3_1_1, {"MQTT-3.1.0-1", "MQTT-3.1.0-2", "MQTT-4.8.0-1"});
    {
        world w;
        mqtt_peer p(w);
        p.send(mqtt::pingreq{});
        EXPECT_EQ(end_of(p), "");
    }
    world w;
    mqtt_peer p(w, "me", clean());
    p.connect("me", clean());
    EXPECT_EQ(end_of(p), disconnect("82"));
}

TEST_P(MqttClauses, ConnectThatBreaksTheRulesEndsTheConnection) {
    clause(mqtt_5, {"MQTT-3.1.4-1", "MQTT-3.1.2-1", "MQTT-3.1.2-2", "MQTT-3.1.2-3", "MQTT-3.1.4-6", "MQTT-3.2.2-7"});
    clause(mqtt_3_1_1, {"MQTT-3.1.4-1", "MQTT-3.1.2-1", "MQTT-3.1.2-2", "MQTT-3.1.2-3", "MQTT-3.1.4-5", "MQTT-3.2.2-5",
                        "MQTT-3.2.2-6"});
    const auto answer = [&](std::size_t at, std::uint8_t byte) {
        world w;
        mqtt_peer listener(w, "listener");
        listener.subscribed("#");
        mqtt_peer p(w);
        auto bytes = connect_bytes(p, GetParam());
        bytes[at] = byte;
        // What follows is not looked at.
        packet_bytes after;
        mqtt::append_packet(after, mqtt_peer::a_publish("t", "no"), GetParam());
        bytes.insert(bytes.end(), after.begin(), after.end());
        p.speak(GetParam());
        p.send_bytes(bytes);
        EXPECT_EQ(listener.said(), "");
        return end_of(p);
    };
    EXPECT_EQ(answer(4, 'm'), "");                            // the name
    EXPECT_EQ(answer(8, is_v5() ? 9 : 2), "CONNACK 84");      // the version: 0x01 in MQTT 3
    EXPECT_EQ(answer(9, 0xC3), is_v5() ? "CONNACK 81" : "");  // the reserved flag
    EXPECT_EQ(answer(9, 0xD2), is_v5() ? "CONNACK 81" : "");  // a will's QoS without a will
}

TEST_P(MqttClauses, SecondConnectionTakesOver) {
    clause(mqtt_5, {"MQTT-3.1.4-3", "MQTT-3.1.3-2", "MQTT-3.14.4-1", "MQTT-3.14.4-2"});
    clause(mqtt_3_1_1, {"MQTT-3.1.4-2", "MQTT-3.1.3-2"});
    world w;
    mqtt_peer old(w, "me", clean());
    mqtt_peer me(w);
    me.connect("me", clean());
    w.turn();
    EXPECT_EQ(end_of(old), disconnect("8e"));
    EXPECT_TRUE(me.said().starts_with("CONNACK 00"));
    // Nothing follows DISCONNECT.
    old.publish("t", "no", 1, 1);
    EXPECT_EQ(old.said(), "");
}

TEST_P(MqttClauses, SessionsAreResumedDiscardedAndForgotten) {
    clause(mqtt_5, {"MQTT-3.1.2-4", "MQTT-3.1.2-5", "MQTT-3.1.2-6", "MQTT-3.1.2-23", "MQTT-3.1.4-4", "MQTT-3.2.2-3",
                    "MQTT-4.1.0-1", "MQTT-4.1.0-2"});
    clause(mqtt_3_1_1, {"MQTT-3.1.2-4", "MQTT-3.1.2-5", "MQTT-3.1.2-6", "MQTT-3.1.4-3", "MQTT-3.2.2-2", "MQTT-3.2.2-3",
                        "MQTT-4.1.0-1", "MQTT-4.1.0-2"});
    world w;
    mqtt_peer publisher(w, "publisher");
    const auto comes_back = [&](const mqtt_login& l) {
        mqtt_peer p(w, "me", l);
        const bool present = p.welcome.starts_with("CONNACK present");
        p.go();
        return present;
    };
    {
        mqtt_peer p(w, "me", kept());
        EXPECT_TRUE(p.welcome.starts_with("CONNACK 00")) << p.welcome;
        p.subscribed("t", 2);
        // As long as the connection lasts, however long that is.
        w.pass(120 * ns_per_s);
        publisher.publish("t", "0", 1, 1);
        EXPECT_EQ(p.said(), "PUBLISH t 0 qos 1 id 1");
        p.puback(1);
    }
    publisher.publish("t", "1", 1, 1);
    publisher.publish("t", "2", 2, 2);
    {
        mqtt_peer p(w, "me", kept());
        EXPECT_TRUE(p.welcome.starts_with("CONNACK present 00")) << p.welcome;
        EXPECT_TRUE(p.welcome.ends_with("PUBLISH t 1 qos 1 id 2\nPUBLISH t 2 qos 2 id 3")) << p.welcome;
    }
    EXPECT_TRUE(comes_back(kept()));
    EXPECT_FALSE(comes_back(clean()));
    EXPECT_FALSE(comes_back(kept()));
    w.pass(70 * ns_per_s);
    EXPECT_EQ(comes_back(kept()), !is_v5()) << "MQTT 5 said a minute";
}

TEST_P(MqttClauses, ClientIdentifiersAreTakenOrAssigned) {
    clause(mqtt_5, {"MQTT-3.1.3-5", "MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.1.3-8", "MQTT-3.2.2-16"});
    clause(mqtt_3_1_1, {"MQTT-3.1.3-5", "MQTT-3.1.3-6", "MQTT-3.1.3-8", "MQTT-3.1.3-9"});
    EXPECT_EQ(answer_to(kept(), "0123456789abcdefghijklm"), "CONNACK 00");
    EXPECT_EQ(answer_to(kept(), "nopqrstuvwxyzABCDEFGHIJ"), "CONNACK 00");
    EXPECT_EQ(answer_to(kept(), "KLMNOPQRSTUVWXYZ"), "CONNACK 00");
    EXPECT_EQ(answer_to(kept(), std::string(300, 'x')), "CONNACK 85 closed");
    EXPECT_EQ(answer_to(clean(), ""), "CONNACK 00");
    world w;
    if (!is_v5()) {
        EXPECT_EQ(answer_to(kept(), ""), "CONNACK 85 closed");
        // Two of them do not get into each other's way.
        mqtt_peer one(w, "", clean());
        mqtt_peer two(w, "", clean());
        one.subscribed("t");
        two.publish("t", "x");
        EXPECT_EQ(one.said(), "PUBLISH t x");
        return;
    }
    const auto assigned = [](const mqtt_peer& p) {
        const auto at = p.welcome.find("Assigned Client Identifier=") + 27;
        return p.welcome.substr(at, p.welcome.find_first_of(",]", at) - at);
    };
    std::string id;
    {
        mqtt_peer one(w, "", kept());
        mqtt_peer two(w, "", kept());
        id = assigned(one);
        EXPECT_FALSE(id.empty());
        EXPECT_NE(id, assigned(two));
        one.subscribed("t", 1);
    }
    EXPECT_TRUE(mqtt_peer(w, id, kept()).welcome.starts_with("CONNACK present"));
}

TEST_P(MqttClauses, RefusalsFailTheServersOwnChecks) {
    clause(mqtt_5, {"MQTT-3.1.4-2", "MQTT-3.1.4-6", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.2.2-8"});
    clause(mqtt_3_1_1, {"MQTT-3.1.4-5", "MQTT-3.2.2-4", "MQTT-3.2.2-5"});
    auto wrong = kept();
    wrong.user = "limited:wrong";
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("#");
    {
        mqtt_peer p(w, "me", kept());
        p.subscribed("t", 1);
    }
    mqtt_peer p(w);
    p.connect("me", wrong);
    p.publish("t", "no", 1, 1);
    EXPECT_EQ(end_of(p), "CONNACK 86");
    EXPECT_EQ(listener.said(), "");
    // The session is untouched.
    EXPECT_TRUE(mqtt_peer(w, "me", kept()).welcome.starts_with("CONNACK present 00"));
}

TEST_P(MqttClauses, SilenceIsCutAtOneAndAHalfKeepAlives) {
    clause(mqtt_5, {"MQTT-3.1.2-22", "MQTT-3.2.2-22", "MQTT-3.12.4-1"});
    clause(mqtt_3_1_1, {"MQTT-3.1.2-24", "MQTT-3.12.4-1"});
    world w;
    auto l = clean();
    l.keep_alive_s = 10;
    mqtt_peer p(w, "me", l);
    EXPECT_EQ(p.welcome.find("Server Keep Alive"), p.welcome.npos);
    w.pass(14 * ns_per_s);
    p.send(mqtt::pingreq{});
    EXPECT_EQ(p.said(), "PINGRESP");
    w.pass(14 * ns_per_s);
    EXPECT_FALSE(p.closed);
    w.pass(2 * ns_per_s);
    EXPECT_EQ(end_of(p), disconnect("8d"));
    mqtt_peer forever(w, "forever", clean());
    w.pass(1000 * ns_per_s);
    EXPECT_FALSE(forever.closed) << "no keep alive, no limit";
}

// ---- Wills -----------------------------------------------------------------------------------------

TEST_P(MqttClauses, WillIsPublishedUnlessItIsWithdrawn) {
    clause(mqtt_5, {"MQTT-3.1.2-7", "MQTT-3.1.2-8", "MQTT-3.1.2-10", "MQTT-3.14.4-3"});
    clause(mqtt_3_1_1, {"MQTT-3.1.2-8", "MQTT-3.1.2-10", "MQTT-3.1.2-12", "MQTT-3.14.4-3"});
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("wills/#", 2);
    mqtt_peer(w, "a", with_will("wills/a", "gone", 1)).go();
    w.turn();
    EXPECT_EQ(listener.said(), "PUBLISH wills/a gone qos 1 id 1");
    // Once: the next connection without a will leaves none.
    mqtt_peer(w, "a", clean()).go();
    w.turn();
    EXPECT_EQ(listener.said(), "");
    mqtt_peer b(w, "b", with_will("wills/b", "never"));
    b.disconnect();
    EXPECT_TRUE(b.closed);
    b.go();
    mqtt_peer(w, "b", clean()).go();
    w.pass(ns_per_s);
    EXPECT_EQ(listener.said(), "");
    // A protocol error, silence and being taken over are no way to take leave.
    mqtt_peer c(w, "c", with_will("wills/c", "error"));
    c.connect("c", clean());
    w.turn();
    EXPECT_EQ(listener.said(), "PUBLISH wills/c error");
    auto silent = with_will("wills/d", "silence");
    silent.keep_alive_s = 2;
    mqtt_peer d(w, "d", silent);
    w.pass(4 * ns_per_s);
    EXPECT_EQ(listener.said(), "PUBLISH wills/d silence");
    mqtt_peer e(w, "e", with_will("wills/e", "taken over"));
    mqtt_peer after(w);
    after.connect("e", clean());
    w.turn();
    EXPECT_EQ(listener.said(), "PUBLISH wills/e taken over");
}

TEST_P(MqttClauses, WillIsRetainedIfItSaysSo) {
    clause(mqtt_5, {"MQTT-3.1.2-14", "MQTT-3.1.2-15", "MQTT-3.2.2-12", "MQTT-3.2.2-13"});
    clause(mqtt_3_1_1, {"MQTT-3.1.2-16", "MQTT-3.1.2-17", "MQTT-3.1.2-7"});
    world w;
    mqtt_peer(w, "a", with_will("wills/a", "not kept", 2)).go();
    auto l = with_will("wills/b", "kept", 2);
    l.will->retain = true;
    mqtt_peer(w, "b", l).go();
    w.turn();
    mqtt_peer late(w, "late");
    late.subscribe("wills/#", 2);
    EXPECT_EQ(late.said(), "SUBACK 1 02\nPUBLISH wills/b kept qos 2 id 32768 retain");
}

TEST_P(Mqtt5Clauses, WillWaitsForItsDelayOrTheEndOfTheSession) {
    clause(mqtt_5, {"MQTT-3.1.2-8", "MQTT-3.1.3-9", "MQTT-3.1.3-10"});
    world w;
    mqtt_peer listener(w, "listener", clean());
    listener.subscribed("wills/#");
    const auto leaving = [&](std::uint32_t delay_s, std::uint32_t expiry_s) {
        some_properties of_will;
        of_will.with<property::will_delay_interval>(delay_s).user("z", "1").user("a", "2").user("z", "3");
        some_properties of_session;
        of_session.with<property::session_expiry_interval>(expiry_s);
        auto l = with_will("wills/me", "x");
        l.clean = false;
        l.will->properties = of_will.block();
        l.properties = of_session.block();
        mqtt_peer(w, "me", l).go();
    };
    leaving(20, 60);
    w.pass(15 * ns_per_s);
    EXPECT_EQ(listener.said(), "");
    w.pass(6 * ns_per_s);
    EXPECT_EQ(listener.said(), "PUBLISH wills/me x [User Property z=1, User Property a=2, User Property z=3]");
    leaving(60, 10);
    w.pass(11 * ns_per_s);
    EXPECT_TRUE(listener.said().starts_with("PUBLISH wills/me x")) << "the session has ended";
    leaving(20, 60);
    w.pass(10 * ns_per_s);
    {
        mqtt_peer back(w, "me", kept());
        w.pass(30 * ns_per_s);
        EXPECT_EQ(listener.said(), "");
        back.disconnect();
    }
    w.pass(30 * ns_per_s);
    EXPECT_EQ(listener.said(), "") << "it went with the connection that had it";
}

// ---- Promises of MQTT 5 ------------------------------------------------------------------------------

TEST_P(Mqtt5Clauses, ServerSupportsWhatItDoesNotDeny) {
    clause(mqtt_5, {"MQTT-3.2.2-9", "MQTT-3.2.2-10"});
    world w;
    mqtt_peer p(w, "me", clean());
    for (const auto* limit : {"Maximum QoS", "Retain Available", "Wildcard", "Shared", "Subscription Identifier"}) {
        EXPECT_EQ(p.welcome.find(limit), p.welcome.npos) << limit;
    }
    p.subscribed("a", 2);
    p.publish("a", "x", 2, 1);
    EXPECT_EQ(p.said(), "PUBLISH a x qos 2 id 1\nPUBREC 1");
}

TEST_P(Mqtt5Clauses, InformationComesToWhoAskedForIt) {
    clause(mqtt_5, {"MQTT-3.1.2-28", "MQTT-3.1.2-29", "MQTT-4.12.0-6"});
    world w;
    some_properties asked;
    asked.with<property::request_response_information>(1);
    auto l = clean();
    EXPECT_EQ(mqtt_peer(w, "a", l).welcome.find("Response Information"), std::string::npos);
    l.properties = asked.block();
    mqtt_peer p(w, "b", l);
    EXPECT_NE(p.welcome.find("Response Information=response/b"), std::string::npos) << p.welcome;
    EXPECT_EQ(p.welcome.find("Authentication Method"), std::string::npos);
    some_properties none;
    none.with<property::request_problem_information>(0);
    l.properties = none.block();
    l.user = "limited";
    mqtt_peer q(w, "c", l);
    q.publish("t", "x", 1, 1);
    q.publish("t", "x", 2, 2);
    q.subscribe("t");
    q.unsubscribe("t");
    q.pubrel(9);
    const auto said = q.said();
    EXPECT_EQ(said.find('['), said.npos) << said;
}

TEST_P(Mqtt5Clauses, UnknownMethodsAreRefused) {
    clause(mqtt_5, {"MQTT-4.12.0-1", "MQTT-4.12.0-4", "MQTT-3.2.2-8"});
    some_properties method;
    method.with<property::authentication_method>("CARRIER-PIGEON");
    auto l = clean();
    l.properties = method.block();
    EXPECT_EQ(answer_to(l), "CONNACK 8c closed");
}

TEST_P(Mqtt5Clauses, PacketsKeepToTheClientsMaximum) {
    clause(mqtt_5,
           {"MQTT-3.1.2-24", "MQTT-3.1.2-25", "MQTT-3.2.2-19", "MQTT-3.2.2-20", "MQTT-3.14.2-3", "MQTT-3.14.2-4",
            "MQTT-3.4.2-2", "MQTT-3.4.2-3", "MQTT-3.5.2-2", "MQTT-3.5.2-3", "MQTT-3.6.2-2", "MQTT-3.6.2-3",
            "MQTT-3.7.2-2", "MQTT-3.7.2-3", "MQTT-3.9.2-1", "MQTT-3.9.2-2", "MQTT-3.11.2-1", "MQTT-3.11.2-2"});
    const auto sizes_of = [](mqtt_peer& p) {
        std::vector<std::size_t> sizes;
        for (const auto& packet : p.said_packets()) {
            sizes.push_back(packet.size());
        }
        return sizes;
    };
    for (std::uint32_t limit = 5; limit < 60; ++limit) {
        SCOPED_TRACE(limit);
        some_properties small;
        small.with<property::maximum_packet_size>(limit);
        auto l = clean();
        l.properties = small.block();
        world w;
        mqtt_peer p(w);
        p.connect("me", l);
        p.subscribe("t", 1);
        for (std::size_t size = 0; size < 60; ++size) {
            p.publish("t", std::string(size, 'x'), 1, 1);
        }
        p.publish("$SYS/no", "x", 1, 2);
        p.publish("$SYS/no", "x", 2, 3);
        p.pubrel(77);
        p.subscribe("$exchange/x/no");
        p.unsubscribe("never");
        p.connect("me", l);
        for (const auto size : sizes_of(p)) {
            ASSERT_LE(size, limit);
        }
        EXPECT_TRUE(p.closed);
        // A refusal, too.
        mqtt_peer refused(w);
        l.user = "nobody";
        refused.connect("me", l);
        for (const auto size : sizes_of(refused)) {
            ASSERT_LE(size, limit);
        }
        EXPECT_TRUE(refused.closed);
    }
}

TEST_P(Mqtt5Clauses, WhatIsExactlyAsLargeAsTheClientTakesIsSent) {
    clause(mqtt_5, {"MQTT-3.1.2-25"});
    some_properties small;
    small.with<property::maximum_packet_size>(60);
    auto l = clean();
    l.properties = small.block();
    world w;
    mqtt_peer p(w, "me", l);
    p.subscribed("t", 1);
    constexpr std::size_t head = 2 + 3 + 2 + 1;
    p.publish("t", std::string(60 - head, 'x'), 1, 1);
    p.publish("t", std::string(61 - head, 'y'), 1, 2);
    p.publish("t", "z", 1, 3);
    EXPECT_EQ(p.said(), "PUBLISH t " + std::string(60 - head, 'x') +
                            " qos 1 id 1\nPUBACK 1\nPUBACK 2\nPUBLISH t z qos 1 id 3\nPUBACK 3");
}

TEST_P(Mqtt5Clauses, DisconnectSaysWhatItMay) {
    clause(mqtt_5, {"MQTT-3.14.2-1", "MQTT-3.14.2-2", "MQTT-3.14.1-1"});
    world w;
    mqtt_peer p(w, "me", kept());
    p.send_bytes({0xE1, 0x00});
    const auto said = p.said();
    EXPECT_TRUE(said.starts_with("DISCONNECT 81")) << said;
    EXPECT_EQ(said.find("Session Expiry"), said.npos) << said;
    EXPECT_TRUE(p.closed);
}

}  // namespace
}  // namespace linnet::session::test
