#include "tests/session/conversation.hpp"
#include "tests/session/mqtt_conversation.hpp"
#include "tests/support/clause.hpp"

#include <regex>

namespace linnet::session::test {
namespace {

using linnet::test::clause;
using linnet::test::mqtt_5;
using mqtt::property;
using mqtt::reason_code;
using mqtt::retain_handling;
using mqtt::version;

constexpr mqtt_login v3{};
mqtt_login kept_v3() { return {.clean = false}; }

// Kept for a minute.
struct kept_v5 {
    explicit kept_v5(bool clean = false) {
        properties.with<property::session_expiry_interval>(60);
        login = {.spoken = version::v5, .clean = clean, .properties = properties.block()};
    }
    some_properties properties;
    mqtt_login login;
};

std::string answer_to(const mqtt_login& l, std::string_view id = "me") {
    world w;
    mqtt_peer p(w);
    p.connect(id, l);
    return p.said() + (p.closed ? " closed" : "");
}

// ---- CONNECT -------------------------------------------------------------------------------------

// [MQTT-3.2.0-1] [MQTT-3.2.2-1] [MQTT-3.2.2-2]
TEST(MqttConnect, Welcomes) {
    EXPECT_EQ(answer_to(v3), "CONNACK 00");
    EXPECT_EQ(answer_to({.spoken = version::v3_1}), "CONNACK 00");
    EXPECT_EQ(answer_to(v5),
              "CONNACK 00 [Receive Maximum=1024, Maximum Packet Size=134217728, Topic Alias Maximum=64]");
}

// [MQTT-3.1.3-6] [MQTT-3.1.3-7] [MQTT-3.2.2-16]
TEST(MqttConnect, GivesANameToWhoHasNone) {
    EXPECT_EQ(answer_to(v3, ""), "CONNACK 00");
    EXPECT_EQ(answer_to(kept_v3(), ""), "CONNACK 85 closed");
    EXPECT_NE(answer_to(v5, "").find("Assigned Client Identifier=auto-"), std::string::npos);
}

// [MQTT-3.1.4-2] [MQTT-3.2.2-7]
TEST(MqttConnect, RefusesInTheWordsOfTheVersion) {
    EXPECT_EQ(answer_to({.user = "limited:wrong"}), "CONNACK 86 closed");
    EXPECT_EQ(answer_to({.user = ""}), "CONNACK 86 closed");
    EXPECT_EQ(answer_to({.user = "nobody"}), "CONNACK 87 closed");
    EXPECT_EQ(answer_to({.spoken = version::v5, .user = "nobody"}),
              "CONNACK 87 [Reason String=access to vhost '/' refused for user 'nobody'] closed");
    EXPECT_EQ(answer_to({.user = "other:guest"}), "CONNACK 87 closed");  // no rights there
    EXPECT_EQ(answer_to({.user = "/:guest"}), "CONNACK 00");
    EXPECT_EQ(answer_to(v5, std::string(240, 'x')), "CONNACK 85 [Reason String=the client id is too long] closed");
    // [MQTT-4.12.0-1]
    some_properties method;
    method.with<property::authentication_method>("SCRAM-SHA-1");
    EXPECT_EQ(answer_to({.spoken = version::v5, .properties = method.block()}),
              "CONNACK 8c [Reason String=the only authentication method is SCRAM-SHA-256] closed");
}

TEST(MqttConnect, WhoHasNoNameIsWhoTheConfigurationSays) {
    const auto answer = [](std::string_view user, std::optional<std::string> password) {
        world w;
        w.mqtt.anonymous_user = user;
        w.mqtt.anonymous_password = std::move(password);
        mqtt_peer p(w);
        p.connect("me", {.user = ""});
        return p.said() + (p.closed ? " closed" : "");
    };
    EXPECT_EQ(answer("guest", std::nullopt), "CONNACK 00");
    EXPECT_EQ(answer("guest", "guest"), "CONNACK 00");
    EXPECT_EQ(answer("guest", "changed since"), "CONNACK 86 closed");
    EXPECT_EQ(answer("somebody", std::nullopt), "CONNACK 86 closed");
    EXPECT_EQ(answer("", std::nullopt), "CONNACK 86 closed");
}

TEST(MqttConnect, AClientCertificateNamesWhoBringsNoNameWhereThatIsWanted) {
    const auto answer = [](bool wanted, std::string_view certificate, std::string_view user) {
        world w;
        w.mqtt.anonymous_user.clear();
        w.mqtt.certificates = wanted;
        mqtt_peer p(w);
        p.info().certificate_name = certificate;
        p.connect("me", {.user = user});
        return p.said() + (p.closed ? " closed" : "");
    };
    EXPECT_EQ(answer(true, "guest", ""), "CONNACK 00");
    EXPECT_EQ(answer(false, "guest", ""), "CONNACK 86 closed");
    EXPECT_EQ(answer(true, "somebody", ""), "CONNACK 86 closed");
    EXPECT_EQ(answer(true, "somebody", "guest"), "CONNACK 00") << "a name and its password come first";
}

// [MQTT-3.1.0-1] [MQTT-3.1.0-2] [MQTT-3.1.2-1] [MQTT-4.13.2-1]
TEST(MqttConnect, ComesFirstAndOnce) {
    {
        world w;
        mqtt_peer p(w);
        p.send(mqtt::pingreq{});
        EXPECT_EQ(p.said(), "");
        EXPECT_TRUE(p.closed);
    }
    {
        world w;
        mqtt_peer p(w, "me", v5);
        p.connect("me", v5);
        EXPECT_EQ(p.said(), "DISCONNECT 82 [Reason String=a second CONNECT]");
        EXPECT_TRUE(p.closed);
    }
    world w;
    mqtt_peer p(w);
    p.send_bytes({'G', 'E', 'T', ' ', '/', '\r', '\n'});
    EXPECT_EQ(p.said(), "");
    EXPECT_TRUE(p.closed);
}

TEST(MqttConnect, TakesPacketsInAnyPieces) {
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("t", 1);
    mqtt_peer p(w);
    mqtt::connect c{.spoken = version::v3_1_1};
    c.client_id = "me";
    c.user_name = "guest";
    c.password = wire::as_bytes(std::string_view("guest"));
    auto all = p.encoded(c);
    const auto more = p.encoded(mqtt_peer::a_publish("t", "body", 1, 7));
    all.insert(all.end(), more.begin(), more.end());
    for (const auto byte : all) {
        p.send_bytes({byte});
    }
    EXPECT_EQ(p.said(), "CONNACK 00\nPUBACK 7");
    EXPECT_EQ(listener.said(), "PUBLISH t body qos 1 id 1");
}

TEST(MqttConnect, WaitsForSlowLogins) {
    world w;
    w.logins.slow = true;
    mqtt_peer p(w);
    p.connect("me", v3);
    EXPECT_TRUE(p.paused);
    p.send(mqtt::pingreq{});
    EXPECT_EQ(p.said(), "");
    w.shard->begin_turn();
    w.logins.waiting->on_login(fake_authenticator::verdict("guest", "guest"));
    w.end_turn();
    p.run();
    EXPECT_EQ(p.said(), "CONNACK 00\nPINGRESP");
}

// [MQTT-3.1.2-22] [MQTT-3.12.4-1]
TEST(MqttConnect, EndsWhoIsSilentForTooLong) {
    world w;
    mqtt_peer p(w, "me", {.spoken = version::v5, .keep_alive_s = 10});
    w.pass(14 * ns_per_s);
    p.send(mqtt::pingreq{});
    EXPECT_EQ(p.said(), "PINGRESP");
    w.pass(14 * ns_per_s);
    EXPECT_FALSE(p.closed);
    w.pass(2 * ns_per_s);
    EXPECT_EQ(p.said(), "DISCONNECT 8d [Reason String=nothing heard for 15 s]");
    EXPECT_TRUE(p.closed);
    mqtt_peer silent(w);
    w.pass(11 * ns_per_s);
    EXPECT_TRUE(silent.aborted);
}

// ---- Publish and subscribe -----------------------------------------------------------------------

// [MQTT-3.8.4-1] [MQTT-3.8.4-7] [MQTT-3.3.5-1] [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.3.2-4]
TEST(MqttPublish, ReachesSubscribersWithTheLowerQuality) {
    world w;
    mqtt_peer zero(w, "zero");
    mqtt_peer one(w, "one");
    mqtt_peer two(w, "two");
    mqtt_peer p(w, "publisher");
    zero.subscribed("a/+", 0);
    one.subscribed("a/#", 1);
    two.subscribed("#", 2);
    p.publish("a/b", "0");
    p.publish("a/b", "1", 1, 10);
    EXPECT_EQ(p.said(), "PUBACK 10");
    p.publish("a/b", "2", 2, 11);
    EXPECT_EQ(p.said(), "PUBREC 11");
    p.pubrel(11);
    EXPECT_EQ(p.said(), "PUBCOMP 11");
    p.publish("other", "no");
    EXPECT_EQ(zero.said(), "PUBLISH a/b 0\nPUBLISH a/b 1\nPUBLISH a/b 2");
    EXPECT_EQ(one.said(), "PUBLISH a/b 0\nPUBLISH a/b 1 qos 1 id 2\nPUBLISH a/b 2 qos 1 id 3");
    EXPECT_EQ(two.said(), "PUBLISH a/b 0\nPUBLISH a/b 1 qos 1 id 2\nPUBLISH a/b 2 qos 2 id 3\nPUBLISH other no");
    one.puback(2);
    one.puback(3);
    two.puback(2);
    two.pubrec(3);
    EXPECT_EQ(two.said(), "PUBREL 3");
    two.pubcomp(3);
    EXPECT_EQ(one.said() + two.said(), "");
}

// [MQTT-3.8.4-3] [MQTT-3.3.4-2] [MQTT-3.10.4-1] [MQTT-3.10.4-4] [MQTT-3.10.4-5]
TEST(MqttSubscribe, IsDeliveredOnceAndEnds) {
    world w;
    mqtt_peer p(w, "me", v5);
    some_properties first;
    first.with<property::subscription_identifier>(7);
    some_properties second;
    second.with<property::subscription_identifier>(8);
    p.subscribed("a/#", 0, {}, first.block());
    p.subscribed("a/b", 1, {}, second.block());
    p.publish("a/b", "x", 1, 1);
    const auto lines = p.said();
    EXPECT_NE(lines.find("PUBLISH a/b x qos 1 id 1"), std::string::npos) << lines;
    EXPECT_NE(lines.find("Subscription Identifier=7"), std::string::npos) << lines;
    EXPECT_NE(lines.find("Subscription Identifier=8"), std::string::npos) << lines;
    p.puback(1);
    p.unsubscribe("a/b");
    EXPECT_EQ(p.said(), "UNSUBACK 1 00");
    p.unsubscribe("a/b");
    EXPECT_EQ(p.said(), "UNSUBACK 1 11");
    p.publish("a/b", "y", 1, 1);
    EXPECT_EQ(p.said(), "PUBLISH a/b y [Subscription Identifier=7]\nPUBACK 1");
    p.unsubscribe("a/#");
    p.publish("a/b", "z", 1, 1);
    EXPECT_EQ(p.said(), "UNSUBACK 1 00\nPUBACK 1 10");
}

// [MQTT-3.8.3-3] [MQTT-3.3.1-12] [MQTT-3.3.1-13]
TEST(MqttSubscribe, HasItsOptions) {
    world w;
    mqtt_peer p(w, "me", v5);
    mqtt_peer other(w, "other", v5);
    p.subscribed("t", 0, {.no_local = true, .retain_as_published = true});
    other.subscribed("t");
    p.retain("t", "mine");
    EXPECT_EQ(p.said(), "");
    EXPECT_EQ(other.said(), "PUBLISH t mine");
    other.retain("t", "theirs");
    EXPECT_EQ(p.said(), "PUBLISH t theirs retain");
}

// [MQTT-3.8.4-6] [MQTT-3.8.4-8] [MQTT-3.9.3-1]
TEST(MqttSubscribe, SaysWhatIsNotGranted) {
    world w;
    auto& e = w.parts.editor();
    static_cast<void>(e);
    mqtt_peer p(w, "me", {.spoken = version::v5, .user = "limited"});
    p.subscribe("a/b", 1, 3);
    EXPECT_EQ(p.said(), "SUBACK 3 87");
    mqtt_peer old(w, "old", {.user = "limited"});
    old.subscribe("a/b", 1, 3);
    EXPECT_EQ(old.said(), "SUBACK 3 80");
    mqtt_peer guest(w, "guest", v5);
    packet_bytes list;
    for (const auto* f : {"$exchange/x/a", "fine/#", "$queue/nowhere", "$queue/+"}) {
        mqtt::append_subscription(list, {f, {}});
    }
    guest.send(mqtt::subscribe{.packet_id = 4, .subscriptions = mqtt::subscription_list::trusted(list)});
    EXPECT_EQ(guest.said(), "SUBACK 4 8f 00 8f 8f");
}

// [MQTT-4.7.2-1]
TEST(MqttSubscribe, HidesTopicsWithADollarFromWildcards) {
    world w;
    mqtt_peer all(w, "all");
    mqtt_peer some(w, "some");
    mqtt_peer p(w, "publisher");
    all.subscribed("#");
    all.subscribed("+/x");
    some.subscribed("$mine/#");
    p.publish("$mine/x", "m");
    EXPECT_EQ(all.said(), "");
    EXPECT_EQ(some.said(), "PUBLISH $mine/x m");
}

// [MQTT-3.3.2-2] [MQTT-3.3.4-6] [MQTT-4.7.1-1] [MQTT-4.7.3-1]
TEST(MqttPublish, EndsConnectionsThatBreakTheRules) {
    const auto answer = [](const mqtt_login& l, const std::function<void(mqtt_peer&)>& act) {
        world w;
        mqtt_peer p(w, "me", l);
        act(p);
        auto said = p.said();
        return said.substr(0, said.find(" [")) + (p.closed ? " closed" : " open");
    };
    const auto wild = [](mqtt_peer& p) { p.publish("a/+", "m"); };
    EXPECT_EQ(answer(v5, wild), "DISCONNECT 90 closed");
    EXPECT_EQ(answer(v3, wild), " closed");
    EXPECT_EQ(answer(v5, [](mqtt_peer& p) { p.publish("$SYS/x", "m"); }), "DISCONNECT 90 closed");
    EXPECT_EQ(answer(v5, [](mqtt_peer& p) { p.publish("$SYS/x", "m", 1, 1); }), "PUBACK 1 90 open");
    EXPECT_EQ(answer(v5, [](mqtt_peer& p) { p.publish("$exchange/nowhere/x", "m", 2, 1); }), "PUBREC 1 87 open");
    EXPECT_EQ(answer(v3, [](mqtt_peer& p) { p.publish("$SYS/x", "m", 1, 1); }), " closed");
    EXPECT_EQ(answer(v5, [](mqtt_peer& p) { p.subscribe("a/#/b"); }), "DISCONNECT 8f closed");
    EXPECT_EQ(answer(v5, [](mqtt_peer& p) { p.send(mqtt::auth{.reason = reason_code::reauthenticate}); }),
              "DISCONNECT 82 closed");
    EXPECT_EQ(answer({.spoken = version::v5, .user = "limited"}, [](mqtt_peer& p) { p.publish("t", "m", 1, 1); }),
              "PUBACK 1 87 open");
    EXPECT_EQ(answer({.user = "limited"}, [](mqtt_peer& p) { p.publish("t", "m"); }), " closed");
    // [MQTT-3.3.2-8] [MQTT-3.3.2-9]
    some_properties zero;
    zero.with<property::topic_alias>(0);
    some_properties high;
    high.with<property::topic_alias>(65);
    some_properties unknown;
    unknown.with<property::topic_alias>(5);
    EXPECT_EQ(answer(v5, [&](mqtt_peer& p) { p.publish("t", "m", 0, 0, zero.block()); }), "DISCONNECT 82 closed");
    EXPECT_EQ(answer(v5, [&](mqtt_peer& p) { p.publish("t", "m", 0, 0, high.block()); }), "DISCONNECT 94 closed");
    EXPECT_EQ(answer(v5, [&](mqtt_peer& p) { p.publish("", "m", 0, 0, unknown.block()); }), "DISCONNECT 82 closed");
}

// [MQTT-3.3.4-7] [MQTT-3.3.4-8] [MQTT-4.9.0-2]
TEST(MqttPublish, KeepsToBothReceiveMaximums) {
    world w;
    w.mqtt.receive_maximum = 2;
    some_properties two;
    two.with<property::receive_maximum>(2);
    mqtt_peer p(w, "me", {.spoken = version::v5, .properties = two.block()});
    p.subscribed("t", 2);
    for (std::uint16_t i = 1; i <= 4; ++i) {
        mqtt_peer other(w, "other", v5);
        other.publish("t", std::to_string(i), 1, i);
    }
    EXPECT_EQ(p.said(), "PUBLISH t 1 qos 1 id 1\nPUBLISH t 2 qos 1 id 2");
    p.puback(2);
    EXPECT_EQ(p.said(), "PUBLISH t 3 qos 1 id 3");
    p.puback(1);
    EXPECT_EQ(p.said(), "PUBLISH t 4 qos 1 id 4");
    p.publish("nowhere", "a", 2, 1);
    p.publish("nowhere", "b", 2, 2);
    EXPECT_EQ(p.said(), "PUBREC 1 10\nPUBREC 2 10");
    p.publish("nowhere", "c", 2, 3);
    EXPECT_EQ(p.said().substr(0, 13), "DISCONNECT 93");
}

// [MQTT-4.3.3-8] [MQTT-4.3.3-10] [MQTT-4.3.3-11] [MQTT-4.3.3-12]
TEST(MqttPublish, TakesQos2OnceHoweverOftenItComes) {
    world w;
    mqtt_peer p(w, "me", v5);
    p.subscribed("t", 0);
    auto again = mqtt_peer::a_publish("t", "x", 2, 5);
    p.send(again);
    again.dup = true;
    p.send(again);
    EXPECT_EQ(p.said(), "PUBLISH t x\nPUBREC 5\nPUBREC 5");
    p.publish("t", "y", 1, 5);
    EXPECT_EQ(p.said(), "PUBACK 5 91");
    p.pubrel(5);
    p.pubrel(5);
    EXPECT_EQ(p.said(), "PUBCOMP 5\nPUBCOMP 5 92");
    p.publish("t", "z", 2, 5);
    EXPECT_EQ(p.said(), "PUBLISH t z\nPUBREC 5");
}

// [MQTT-3.3.2-4] [MQTT-3.3.2-7] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
TEST(MqttPublish, CarriesPropertiesUnchanged) {
    world w;
    mqtt_peer p(w, "me", v5);
    mqtt_peer old(w, "old");
    p.subscribed("t");
    old.subscribed("t");
    some_properties all;
    all.with<property::topic_alias>(3).with<property::payload_format_indicator>(1);
    all.with<property::message_expiry_interval>(100).user("b", "2").user("a", "1").user("b", "3");
    all.with<property::content_type>("text/plain").with<property::response_topic>("reply/me");
    all.with<property::correlation_data>(wire::as_bytes(std::string_view("xyz")));
    p.publish("t", "x", 0, 0, all.block());
    const auto expected = "PUBLISH t x [Payload Format Indicator=1, User Property b=2, User Property a=1, "
                          "User Property b=3, Content Type=text/plain, Response Topic=reply/me, "
                          "Correlation Data=xyz, Message Expiry Interval=100]";
    EXPECT_EQ(p.said(), expected);
    EXPECT_EQ(old.said(), "PUBLISH t x");
    some_properties alias;
    alias.with<property::topic_alias>(3);
    p.publish("", "y", 0, 0, alias.block());
    EXPECT_EQ(p.said(), "PUBLISH t y");
}

// [MQTT-3.1.2-26] [MQTT-3.1.2-27] [MQTT-3.3.2-12]
TEST(MqttDeliver, UsesTopicAliasesAsTheClientAllows) {
    world w;
    some_properties one;
    one.with<property::topic_alias_maximum>(1);
    mqtt_peer p(w, "me", {.spoken = version::v5, .properties = one.block()});
    p.subscribed("#");
    p.publish("a", "1");
    p.publish("b", "2");
    p.publish("a", "3");
    EXPECT_EQ(p.said(), "PUBLISH a 1 [Topic Alias=1]\nPUBLISH b 2\nPUBLISH  3 [Topic Alias=1]");
}

// [MQTT-3.1.2-24] [MQTT-3.1.2-25]
TEST(MqttDeliver, LeavesOutWhatIsTooLargeForTheClient) {
    world w;
    some_properties small;
    small.with<property::maximum_packet_size>(60);
    mqtt_peer p(w, "me", {.spoken = version::v5, .properties = small.block()});
    p.subscribed("t", 1);
    p.publish("t", std::string(100, 'x'), 1, 1);
    p.publish("t", "small", 1, 2);
    EXPECT_EQ(p.said(), "PUBACK 1\nPUBLISH t small qos 1 id 2\nPUBACK 2");
}

// [MQTT-3.3.2-5] [MQTT-3.3.2-6]
TEST(MqttDeliver, SaysHowLongAMessageStillLives) {
    world w;
    mqtt_peer(w, "me", kept_v5().login).subscribed("t", 1);
    mqtt_peer p(w, "publisher", v5);
    some_properties ten;
    ten.with<property::message_expiry_interval>(10);
    some_properties thirty;
    thirty.with<property::message_expiry_interval>(30);
    p.publish("t", "late", 1, 1, ten.block());
    p.publish("t", "in time", 1, 2, thirty.block());
    w.pass(12 * ns_per_s + ns_per_ms);
    mqtt_peer me(w, "me", kept_v5().login);
    EXPECT_TRUE(me.welcome.starts_with("CONNACK present 00")) << me.welcome;
    EXPECT_NE(me.welcome.find("PUBLISH t in time qos 1 id 2 [Message Expiry Interval=18]"), std::string::npos)
        << me.welcome;
    EXPECT_EQ(me.welcome.find("late"), std::string::npos);
}

TEST(MqttDeliver, HoldsBackWhatTheOutputCannotTake) {
    world w;
    mqtt_peer p(w, "me");
    mqtt_peer publisher(w, "publisher");
    p.subscribed("t", 1);
    const std::string large(100'000, 'x');
    for (int i = 0; i < 40; ++i) {
        publisher.publish("t", large);
    }
    EXPECT_LT(p.out().pending(), 2 * session::output_high_bytes);
    EXPECT_GT(p.out().pending(), session::output_high_bytes);
    std::size_t got = 0;
    for (int i = 0; i < 10; ++i) {
        const auto lines = p.said();
        got += static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '('));
        w.turn();
    }
    EXPECT_EQ(got, 40);
}

// ---- Without a queue -----------------------------------------------------------------------------

bool has_queue(world& w, std::string_view client) {
    const auto v = w.shard->topology().find_vhost("/");
    return core::topology_view::find_queue(*v, *session_queue_name(client)) != nullptr;
}

TEST(MqttLive, Qos0NeedsNoQueue) {
    world w;
    mqtt_peer p(w, "me");
    mqtt_peer kept(w, "kept", kept_v3());
    mqtt_peer publisher(w, "publisher");
    p.subscribed("a/#");
    kept.subscribed("a/b");
    publisher.publish("a/b", "0");
    publisher.publish("a/b", "1", 1, 1);
    EXPECT_EQ(publisher.said(), "PUBACK 1");
    EXPECT_EQ(p.said(), "PUBLISH a/b 0\nPUBLISH a/b 1");
    EXPECT_EQ(kept.said(), "PUBLISH a/b 0\nPUBLISH a/b 1");
    EXPECT_FALSE(has_queue(w, "me"));
    EXPECT_FALSE(has_queue(w, "kept"));
    p.unsubscribe("a/#");
    EXPECT_EQ(p.said(), "UNSUBACK 1");
    publisher.publish("a/b", "late");
    EXPECT_EQ(p.said(), "");
}

// [MQTT-3.8.4-3] [MQTT-3.8.4-4] The quality may rise and fall; nothing comes twice, nothing is left out.
TEST(MqttLive, AFilterChangesItsQuality) {
    world w;
    mqtt_peer p(w, "me");
    mqtt_peer publisher(w, "publisher");
    p.subscribed("a/#");
    publisher.publish("a/b", "1", 1, 1);
    EXPECT_EQ(p.said(), "PUBLISH a/b 1");
    p.subscribed("a/#", 1);
    EXPECT_TRUE(has_queue(w, "me"));
    publisher.publish("a/b", "2", 1, 1);
    EXPECT_EQ(p.said(), "PUBLISH a/b 2 qos 1 id 1");
    p.puback(1);
    p.subscribed("a/#", 0);
    publisher.publish("a/b", "3", 1, 1);
    publisher.publish("a/b", "4", 0);
    EXPECT_EQ(p.said(), "PUBLISH a/b 3\nPUBLISH a/b 4");
    p.unsubscribe("a/#");
    EXPECT_EQ(p.said(), "UNSUBACK 1");
    publisher.publish("a/b", "5", 1, 1);
    EXPECT_EQ(p.said(), "");
    EXPECT_EQ(publisher.said(), "PUBACK 1\nPUBACK 1\nPUBACK 1\nPUBACK 1");
}

// [MQTT-3.3.4-2] [MQTT-3.3.4-3]
TEST(MqttLive, OverlapsWithTheQueueAndIsStillDeliveredOnce) {
    world w;
    mqtt_peer p(w, "me", v5);
    mqtt_peer publisher(w, "publisher");
    some_properties one;
    one.with<property::subscription_identifier>(1);
    some_properties two;
    two.with<property::subscription_identifier>(2);
    p.subscribed("a/+", 0, {}, one.block());
    p.subscribed("a/#", 1, {.no_local = true}, two.block());
    publisher.publish("a/b", "both");
    publisher.publish("a", "queue");
    const auto lines = p.said();
    EXPECT_TRUE(lines == "PUBLISH a/b both [Subscription Identifier=1, Subscription Identifier=2]\n"
                         "PUBLISH a queue [Subscription Identifier=2]" ||
                lines == "PUBLISH a/b both [Subscription Identifier=2, Subscription Identifier=1]\n"
                         "PUBLISH a queue [Subscription Identifier=2]")
        << lines;
    // Its own it hears by the other alone.
    p.publish("a/b", "mine", 1, 1);
    EXPECT_EQ(p.said(), "PUBLISH a/b mine [Subscription Identifier=1]\nPUBACK 1");
}

TEST(MqttLive, SeveralFiltersOfOnePacketHaveEachItsPlace) {
    world w;
    mqtt_peer p(w, "me");
    mqtt_peer publisher(w, "publisher");
    packet_bytes list;
    const std::pair<const char*, unsigned> wanted[] = {{"a", 0}, {"b", 0},          {"$queue/+", 0}, {"c", 1},
                                                       {"d", 0}, {"$share/g/e", 0}, {"d", 1},        {"f", 0}};
    for (const auto& [filter, qos] : wanted) {
        mqtt::append_subscription(list, {filter, {.maximum_qos = static_cast<mqtt::qos>(qos)}});
    }
    p.send(mqtt::subscribe{.packet_id = 4, .subscriptions = mqtt::subscription_list::trusted(list)});
    EXPECT_EQ(p.said(), "SUBACK 4 00 00 80 01 00 00 01 00");
    std::string expected;
    for (const auto* topic : {"a", "b", "c", "d", "e", "f"}) {
        publisher.publish(topic, "x");
        expected += fmt::format("{}PUBLISH {} x", expected.empty() ? "" : "\n", topic);
    }
    EXPECT_EQ(p.said(), expected);
}

// What nobody was there to hear is not kept; the filter is.
TEST(MqttLive, IsBoundAgainWhenItsClientComesBack) {
    world w;
    mqtt_peer publisher(w, "publisher");
    {
        mqtt_peer p(w, "me", kept_v3());
        p.subscribed("a");
        p.subscribed("b", 1);
    }
    publisher.publish("a", "missed", 1, 1);
    publisher.publish("b", "kept", 1, 2);
    mqtt_peer p(w, "me", kept_v3());
    EXPECT_EQ(p.welcome, "CONNACK present 00\nPUBLISH b kept qos 1 id 1");
    publisher.publish("a", "heard", 1, 3);
    EXPECT_EQ(p.said(), "PUBLISH a heard");
}

TEST(MqttLive, DropsWhatAClientThatDoesNotReadCannotTake) {
    world w;
    w.mqtt.live_bytes_max = 3'000'000;
    mqtt_peer p(w, "me");
    mqtt_peer other(w, "other");
    mqtt_peer publisher(w, "publisher");
    p.subscribed("t");
    other.subscribed("t");
    const std::string large(100'000, 'x');
    std::size_t heard = 0;
    const auto count = [](const std::string& lines) {
        return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), '('));
    };
    for (int i = 0; i < 100; ++i) {
        publisher.publish("t", large);
        heard += count(other.said());
    }
    EXPECT_EQ(heard, 100) << "one that reads loses nothing by another";
    EXPECT_LT(p.out().pending(), 3'200'000);
    const auto got = count(p.said());
    EXPECT_GE(got, 30);
    EXPECT_LT(got, 40);
    publisher.publish("t", "again");
    EXPECT_EQ(p.said(), "PUBLISH t again");
    w.turn();
    EXPECT_EQ(w.parts.bytes_of(core::memory_use::messages), 0U);
}

// [MQTT-3.3.2-5]
TEST(MqttLive, SaysHowLongAMessageLives) {
    world w;
    mqtt_peer p(w, "me", v5);
    p.subscribed("t");
    some_properties ten;
    ten.with<property::message_expiry_interval>(10);
    p.publish("t", "x", 0, 0, ten.block());
    EXPECT_EQ(p.said(), "PUBLISH t x [Message Expiry Interval=10]");
}

TEST(MqttLive, IsReachedFromOtherShards) {
    auto o = world::options();
    o.shards = 2;
    world w(o);
    mqtt_peer here(w, *w.shards[0], "here");
    mqtt_peer there(w, *w.shards[1], "there");
    here.subscribed("t");
    there.subscribed("t");
    here.publish("t", "1");
    there.publish("t", "2");
    EXPECT_EQ(here.said(), "PUBLISH t 1\nPUBLISH t 2");
    EXPECT_EQ(there.said(), "PUBLISH t 1\nPUBLISH t 2");
    there.go();
    here.publish("t", "3");
    EXPECT_EQ(here.said(), "PUBLISH t 3");
}

// ---- Sessions that are kept ----------------------------------------------------------------------

// [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.2.2-3] [MQTT-4.4.0-1] [MQTT-4.5.0-1]
TEST(MqttSession, GoesOnWhereItWas) {
    world w;
    {
        mqtt_peer p(w, "me", kept_v3());
        p.subscribed("t", 2);
    }
    mqtt_peer publisher(w, "publisher");
    publisher.publish("t", "one", 1, 1);
    publisher.publish("t", "two", 2, 2);
    publisher.pubrel(2);
    publisher.publish("t", "three", 2, 3);
    {
        mqtt_peer p(w, "me", kept_v3());
        EXPECT_EQ(p.welcome, "CONNACK present 00\nPUBLISH t one qos 1 id 1\nPUBLISH t two qos 2 id 2\n"
                             "PUBLISH t three qos 2 id 3");
        p.pubrec(2);
        EXPECT_EQ(p.said(), "PUBREL 2");
    }
    mqtt_peer p(w, "me", kept_v3());
    EXPECT_EQ(p.welcome, "CONNACK present 00\nPUBLISH t one qos 1 id 1 dup\nPUBREL 2\nPUBLISH t three qos 2 id 3 dup");
    p.puback(1);
    p.pubcomp(2);
    p.pubrec(3);
    p.pubcomp(3);
    EXPECT_EQ(p.said(), "PUBREL 3");
    p.disconnect();
    p.go();
    mqtt_peer clean(w, "me", v3);
    EXPECT_EQ(clean.welcome, "CONNACK 00");
    mqtt_peer gone(w, "me", kept_v3());
    EXPECT_EQ(gone.welcome, "CONNACK 00");
}

// [MQTT-3.1.2-23] [MQTT-3.14.2-2]
TEST(MqttSession, ExpiresAsAgreed) {
    world w;
    {
        mqtt_peer p(w, "me", kept_v5().login);
        p.subscribed("t", 1);
    }
    w.pass(50 * ns_per_s);
    {
        mqtt_peer p(w, "me", kept_v5().login);
        EXPECT_TRUE(p.welcome.starts_with("CONNACK present 00")) << p.welcome;
    }
    w.pass(70 * ns_per_s);
    mqtt_peer p(w, "me", kept_v5().login);
    EXPECT_TRUE(p.welcome.starts_with("CONNACK 00")) << p.welcome;
    // The client may change its mind, unless it said 0 in the beginning.
    some_properties none;
    none.with<property::session_expiry_interval>(0);
    p.disconnect(reason_code::success, none.block());
    EXPECT_TRUE(p.closed);
    p.go();
    mqtt_peer again(w, "me", kept_v5().login);
    EXPECT_TRUE(again.welcome.starts_with("CONNACK 00")) << again.welcome;
    mqtt_peer brief(w, "brief", v5);
    some_properties hour;
    hour.with<property::session_expiry_interval>(3600);
    brief.disconnect(reason_code::success, hour.block());
    EXPECT_EQ(brief.said().substr(0, 13), "DISCONNECT 82");
}

// [MQTT-3.1.4-3]
TEST(MqttSession, IsTakenOver) {
    world w;
    mqtt_peer old(w, "me", kept_v5().login);
    old.subscribed("t", 1);
    old.publish("t", "x", 1, 1);
    EXPECT_EQ(old.said(), "PUBLISH t x qos 1 id 1\nPUBACK 1");
    mqtt_peer me(w);
    me.connect("me", kept_v5().login);
    w.turn();
    EXPECT_EQ(old.said(), "DISCONNECT 8e [Reason String=another connection has this client id now]");
    EXPECT_TRUE(old.closed);
    const auto lines = me.said();
    EXPECT_TRUE(lines.starts_with("CONNACK present 00")) << lines;
    EXPECT_NE(lines.find("PUBLISH t x qos 1 id 1 dup"), std::string::npos) << lines;
    old.go();
    me.puback(1);
    me.publish("t", "y", 1, 1);
    EXPECT_EQ(me.said(), "PUBLISH t y qos 1 id 2\nPUBACK 1");
}

// [MQTT-4.3.3-10] Also across connections.
TEST(MqttSession, RemembersWhatItHasTaken) {
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("t", 0);
    {
        mqtt_peer p(w, "me", kept_v3());
        p.publish("t", "x", 2, 9);
        EXPECT_EQ(p.said(), "PUBREC 9");
    }
    mqtt_peer p(w, "me", kept_v3());
    EXPECT_EQ(p.welcome, "CONNACK present 00");
    auto again = mqtt_peer::a_publish("t", "x", 2, 9);
    again.dup = true;
    p.send(again);
    p.pubrel(9);
    EXPECT_EQ(p.said(), "PUBREC 9\nPUBCOMP 9");
    EXPECT_EQ(listener.said(), "PUBLISH t x");
}

// Nothing of what publishers and subscribers need is there, nor missed.
TEST(MqttSession, AnswersWhatItNeverAskedFor) {
    world w;
    mqtt_peer p(w, "me", v5);
    p.pubrel(7);
    EXPECT_EQ(p.said(), "PUBCOMP 7 92");
    p.pubrec(7);
    EXPECT_EQ(p.said(), "PUBREL 7 92");
    p.puback(7);
    p.pubcomp(7);
    EXPECT_EQ(p.said(), "");
    p.unsubscribe("t");
    EXPECT_EQ(p.said(), "UNSUBACK 1 11");
    p.subscribed("t", 1);
    p.publish("t", "x", 1, 7);
    EXPECT_EQ(p.said(), "PUBLISH t x qos 1 id 1\nPUBACK 7");
}

// The session has no queue of its own then, and no filters but the group's.
TEST(MqttSession, GoesOnWithNothingButASharedSubscription) {
    world w;
    mqtt_peer publisher(w, "publisher");
    {
        mqtt_peer p(w, "me", kept_v5().login);
        p.subscribed("$share/g/t", 1);
        p.go();
    }
    mqtt_peer p(w, "me", kept_v5().login);
    EXPECT_TRUE(p.welcome.starts_with("CONNACK present 00")) << p.welcome;
    publisher.publish("t", "x");
    EXPECT_EQ(p.said(), "PUBLISH t x");
    p.unsubscribe("$share/g/t");
    EXPECT_EQ(p.said(), "UNSUBACK 1 00");
}

TEST(MqttSession, IsEndedWhenItsQueueIs) {
    world w;
    mqtt_peer p(w, "me", v5);
    p.subscribed("t", 1);
    scripted_peer amqp(w, 1);
    amqp.send(1, amqp::queue_delete{.queue = "mqtt-subscription-me"});
    w.pass(ns_per_s);
    EXPECT_EQ(p.said(), "DISCONNECT 98 [Reason String=the session's queue was deleted]");
}

TEST(MqttSession, SaysThatTheBrokerGoes) {
    world w;
    mqtt_peer p(w, "me", v5);
    w.shard->begin_turn();
    p.talk->on_shutdown("shutdown");
    w.end_turn();
    EXPECT_EQ(p.said(), "DISCONNECT 8b [Reason String=shutdown]");
    EXPECT_TRUE(p.closed);
}

// ---- Wills ---------------------------------------------------------------------------------------

mqtt::will a_will(std::string_view topic, std::string_view text, const mqtt::property_block& p = {}) {
    mqtt::will w;
    w.topic = topic;
    w.payload = wire::as_bytes(text);
    w.properties = p;
    return w;
}

// [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.14.4-3]
TEST(MqttWill, IsPublishedUnlessTheClientTakesLeave) {
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("wills/#");
    mqtt_peer(w, "a", {.will = a_will("wills/a", "broken")}).go();
    w.turn();
    EXPECT_EQ(listener.said(), "PUBLISH wills/a broken");
    mqtt_peer b(w, "b", {.will = a_will("wills/b", "never")});
    b.disconnect();
    b.go();
    w.turn();
    EXPECT_EQ(listener.said(), "");
    mqtt_peer c(w, "c", {.spoken = version::v5, .will = a_will("wills/c", "on purpose")});
    c.disconnect(reason_code::disconnect_with_will);
    w.turn();
    EXPECT_EQ(listener.said(), "PUBLISH wills/c on purpose");
}

// [MQTT-3.1.3-9]
TEST(MqttWill, WaitsAsItWasTold) {
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("wills/#");
    some_properties delay;
    delay.with<property::will_delay_interval>(20);
    auto login = kept_v5().login;
    login.will = a_will("wills/a", "gone", delay.block());
    kept_v5 kept;
    login.properties = kept.login.properties;
    mqtt_peer(w, "a", login).go();
    w.pass(10 * ns_per_s);
    EXPECT_EQ(listener.said(), "");
    {
        mqtt_peer back(w, "a", login);
        w.pass(20 * ns_per_s);
        EXPECT_EQ(listener.said(), "");
    }
    w.pass(25 * ns_per_s);
    EXPECT_EQ(listener.said(), "PUBLISH wills/a gone");
}

TEST(MqttWill, NeedsTheRightToPublishIt) {
    EXPECT_EQ(answer_to({.user = "limited", .will = a_will("t", "m")}), "CONNACK 87 closed");
    EXPECT_EQ(answer_to({.spoken = version::v5, .will = a_will("$SYS/x", "m")}),
              "CONNACK 90 [Reason String=the will's topic cannot be published to] closed");
}

// ---- Retained messages ---------------------------------------------------------------------------

// [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
TEST(MqttRetained, ComeWithASubscription) {
    world w;
    mqtt_peer p(w, "publisher");
    p.retain("a/b", "old");
    p.retain("a/b", "new", 1, 1);
    p.retain("a/c", "c");
    p.retain("a/d", "d");
    p.retain("a/d", "");
    EXPECT_EQ(p.said(), "PUBACK 1");
    mqtt_peer me(w, "me", v5);
    me.subscribe("a/+", 1, 1);
    EXPECT_EQ(me.said(), "SUBACK 1 01\nPUBLISH a/b new qos 1 id 32768 retain\nPUBLISH a/c c retain");
    me.puback(32768);
    me.subscribe("a/+", 1, 2, {.retained = retain_handling::send_if_new});
    EXPECT_EQ(me.said(), "SUBACK 2 01");
    me.subscribe("a/+", 0, 3);
    EXPECT_EQ(me.said(), "SUBACK 3 00\nPUBLISH a/b new retain\nPUBLISH a/c c retain");
    me.subscribe("a/#", 1, 4, {.retained = retain_handling::do_not_send});
    EXPECT_EQ(me.said(), "SUBACK 4 01");
    // [MQTT-3.3.1-12] What arrives now is not retained for those who were there.
    p.retain("a/b", "live");
    EXPECT_EQ(me.said(), "PUBLISH a/b live");
}

TEST(MqttRetained, ComeAsFastAsTheClientTakesThem) {
    world w;
    mqtt_peer p(w, "publisher");
    for (int i = 0; i < 300; ++i) {
        p.retain(fmt::format("many/{}", i), "x", 1, 1);
    }
    some_properties three;
    three.with<property::receive_maximum>(3);
    mqtt_peer me(w, "me", {.spoken = version::v5, .properties = three.block()});
    me.subscribe("many/#", 1);
    std::size_t got = 0;
    for (int round = 0; round < 200; ++round) {
        const auto lines = me.said();
        std::size_t now = 0;
        for (std::size_t at = 0; (at = lines.find(" id ", at)) != lines.npos; ++at, ++now) {
            me.puback(static_cast<std::uint16_t>(std::stoi(lines.substr(at + 4))));
        }
        ASSERT_LE(now, 3);
        got += now;
    }
    EXPECT_EQ(got, 300);
}

// ---- AMQP beside it ------------------------------------------------------------------------------

TEST(MqttCrossing, AmqpAndMqttMeetInOneExchange) {
    world w;
    scripted_peer amqp(w, 1);
    amqp.send(1, amqp::queue_declare{.queue = "q"});
    amqp.send(1, amqp::queue_bind{.queue = "q", .exchange = "amq.topic", .routing_key = "sensors.#"});
    amqp.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "c", .no_ack = true});
    static_cast<void>(amqp.said());
    mqtt_peer p(w, "me", v5);
    p.subscribed("sensors/+", 1);
    p.publish("sensors/a.b", "hot", 1, 1);
    EXPECT_EQ(p.said(), "PUBLISH sensors/a.b hot qos 1 id 1\nPUBACK 1");
    EXPECT_EQ(amqp.said().substr(0, 54), "1 basic.deliver c 1 0 amq.topic sensors.a%2Eb\n1 header");
    p.puback(1);
    amqp::table_builder headers;
    headers.put("n", std::int32_t{7}).put("s", std::string_view{"text"});
    const auto block = amqp::basic_properties_builder{}
                           .set_text(amqp::property::content_type, "text/plain")
                           .set_headers(headers.view())
                           .set_delivery_mode(2)
                           .set_text(amqp::property::correlation_id, "c1")
                           .set_text(amqp::property::reply_to, "back")
                           .set_text(amqp::property::expiration, "1500")
                           .encode();
    amqp.publish(1, "amq.topic", "sensors.x/y", "cold", {.block = block});
    EXPECT_EQ(std::regex_replace(p.said(), std::regex("[0-9a-f]{32}"), "TOKEN"),
              "PUBLISH sensors/x%2Fy cold qos 1 id 2 [Content Type=text/plain, Response Topic=$reply/TOKEN, "
              "Correlation Data=c1, User Property n=7, User Property s=text, Message Expiry Interval=2]");
}

}  // namespace
}  // namespace linnet::session::test
