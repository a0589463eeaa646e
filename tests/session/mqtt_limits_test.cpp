// What one MQTT client can make of its session is bounded, and what does not fit is refused or forgotten in order.

#include "tests/session/mqtt_conversation.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace linnet::session::test {
namespace {

using mqtt::version;

using wanted = std::vector<std::pair<std::string, unsigned>>;

void subscribe(mqtt_peer& p, const wanted& filters) {
    packet_bytes list;
    for (const auto& [filter, qos] : filters) {
        mqtt::append_subscription(list, {filter, {.maximum_qos = static_cast<mqtt::qos>(qos)}});
    }
    p.send(mqtt::subscribe{.packet_id = 1, .subscriptions = mqtt::subscription_list::trusted(list)});
}

void unsubscribe(mqtt_peer& p, const std::vector<std::string>& filters) {
    packet_bytes list;
    for (const auto& filter : filters) {
        mqtt::append_filter(list, filter);
    }
    p.send(mqtt::unsubscribe{.packet_id = 1, .filters = mqtt::filter_list::trusted(list)});
}

std::size_t count_of(std::string_view what, const std::string& lines) {
    std::size_t n = 0;
    for (auto at = lines.find(what); at != lines.npos; at = lines.find(what, at + 1)) {
        ++n;
    }
    return n;
}

// All that it has to say, however large.
std::string all_said(mqtt_peer& p) {
    std::string all;
    for (auto lines = p.said(); !lines.empty(); lines = p.said()) {
        all += (all.empty() ? "" : "\n") + lines;
    }
    return all;
}

// ---- Subscriptions -------------------------------------------------------------------------------

TEST(MqttLimits, EachFilterOfAPacketCounts) {
    for (const auto spoken : {version::v3_1_1, version::v5}) {
        world w;
        w.mqtt.subscriptions_max = 3;
        mqtt_peer p(w, "me", {.spoken = spoken});
        const std::string refused = spoken == version::v5 ? "97" : "80";
        subscribe(p, {{"a", 0}, {"b", 1}, {"$share/g/c", 1}, {"d", 0}, {"e", 1}, {"$share/g/f", 0}});
        EXPECT_EQ(p.said(), fmt::format("SUBACK 1 00 01 01 {0} {0} {0}", refused));
        // What is there already may be renewed.
        subscribe(p, {{"$share/g/c", 0}, {"b", 0}, {"g", 0}, {"a", 1}});
        EXPECT_EQ(p.said(), fmt::format("SUBACK 1 00 00 {} 01", refused));
        unsubscribe(p, {"$share/g/c", "a"});
        EXPECT_EQ(p.said(), spoken == version::v5 ? "UNSUBACK 1 00 00" : "UNSUBACK 1");
        subscribe(p, {{"$share/g/h", 0}, {"$share/g/c", 0}, {"a", 1}});
        EXPECT_EQ(p.said(), fmt::format("SUBACK 1 00 00 {}", refused));
    }
}

TEST(MqttLimits, FiltersHaveABoundTogether) {
    world w;
    mqtt_peer p(w, "me", {.spoken = version::v5, .clean = false});
    wanted filters;
    for (int i = 0; i < 20; ++i) {
        filters.emplace_back(fmt::format("{:02}/{}", i, std::string(60'000, 'x')), 0);
    }
    subscribe(p, filters);
    const auto first = p.said();
    EXPECT_EQ(count_of(" 00", first), 17) << first;  // a MiB
    EXPECT_EQ(count_of(" 97", first), 3) << first;
    subscribe(p, {filters[19]});
    EXPECT_EQ(p.said(), "SUBACK 1 97");
    unsubscribe(p, {filters[0].first});
    EXPECT_EQ(p.said(), "UNSUBACK 1 00");
    subscribe(p, {filters[19], filters[18]});
    EXPECT_EQ(p.said(), "SUBACK 1 00 97");
}

TEST(MqttLimits, APacketHasNoMoreFiltersThanASession) {
    constexpr std::size_t most = 10'000;
    for (const auto spoken : {version::v3_1_1, version::v5}) {
        world w;
        mqtt_peer p(w, "me", {.spoken = spoken});
        wanted none(most, {"$queue/+", 0});
        none.emplace_back("t", 0);
        subscribe(p, none);
        const auto said = p.said();
        EXPECT_EQ(said.substr(said.size() - 6), spoken == version::v5 ? " 8f 97" : " 80 80");
        EXPECT_EQ(count_of(" ", said), most + 2);
        unsubscribe(p, std::vector<std::string>(most, "t"));
        EXPECT_EQ(p.said().substr(0, 10), "UNSUBACK 1");
        unsubscribe(p, std::vector<std::string>(most + 1, "t"));
        EXPECT_EQ(p.said().substr(0, 13), spoken == version::v5 ? "DISCONNECT 97" : "");
        EXPECT_TRUE(p.closed);
    }
}

// ---- What is kept --------------------------------------------------------------------------------

void publish_large(mqtt_peer& publisher, std::string_view topic, bool retained) {
    auto p = mqtt_peer::a_publish(topic, {}, 2, 1);
    const std::string body(300'000, 'x');
    p.payload = wire::as_bytes(body);
    p.retain = retained;
    publisher.send(p);
    publisher.pubrel(1);
    EXPECT_NE(publisher.said().find("PUBCOMP 1"), std::string::npos);
}

// What a client reads of retained messages and does not acknowledge would all become part of its session. Beyond the
// bound the ids alone do, so that the client does not take others' messages for those that it has.
TEST(MqttLimits, ASessionTakesAMebibyteOfMessagesAlong) {
    world w;
    mqtt_peer publisher(w, "publisher");
    for (int i = 0; i < 5; ++i) {
        publish_large(publisher, fmt::format("r/{}", i), true);
    }
    {
        mqtt_peer p(w, "me", {.clean = false});
        p.subscribe("r/+", 2);
        EXPECT_EQ(count_of("PUBLISH r/", all_said(p)), 5);
        // Nor does a further SUBSCRIBE keep them.
        p.subscribed("other");
        w.pass(2 * ns_per_s);
        EXPECT_LT(w.parts.bytes_of(core::memory_use::clients), 10'000U);
    }
    w.pass(2 * ns_per_s);
    EXPECT_LT(w.parts.bytes_of(core::memory_use::clients), 1'100'000U);
    for (int round = 0; round < 2; ++round) {
        mqtt_peer p(w, "me", {.clean = false});
        EXPECT_EQ(count_of("PUBLISH r/", p.welcome), 3) << p.welcome;
        EXPECT_EQ(count_of("PUBREL 327", p.welcome), 2) << p.welcome;
    }
}

// [MQTT-4.8.2-5] Nobody else has it.
TEST(MqttLimits, AGroupsMessageComesBeforeWhatWasRetained) {
    world w;
    mqtt_peer publisher(w, "publisher");
    for (int i = 0; i < 4; ++i) {
        publish_large(publisher, fmt::format("r/{}", i), true);
    }
    {
        mqtt_peer p(w, "me", {.clean = false});
        p.subscribe("r/+", 2);
        static_cast<void>(all_said(p));
        p.subscribed("$share/g/t", 2);
        publish_large(publisher, "t", false);
        EXPECT_EQ(count_of("PUBLISH t", all_said(p)), 1);
    }
    mqtt_peer p(w, "me", {.clean = false});
    EXPECT_EQ(count_of("PUBLISH t", p.welcome), 1) << p.welcome;
    EXPECT_EQ(count_of("PUBLISH r/", p.welcome), 2) << p.welcome;
}

// ---- The end -------------------------------------------------------------------------------------

// [MQTT-3.14.4-1] What the last connection left under way waits for the window, and then for the next connection.
TEST(MqttLimits, NothingFollowsDisconnectWhenTheOutputDrains) {
    world w;
    mqtt_peer publisher(w, "publisher");
    for (int i = 0; i < 3; ++i) {
        publisher.retain(fmt::format("r/{}", i), "x", 1, 1);
    }
    some_properties kept;
    kept.with<mqtt::property::session_expiry_interval>(60);
    {
        mqtt_peer p(w, "me", {.spoken = version::v5, .clean = false, .properties = kept.block()});
        p.subscribe("r/+", 1);
        EXPECT_EQ(count_of("PUBLISH r/", p.said()), 3);
        p.subscribed("large");
    }
    kept.with<mqtt::property::receive_maximum>(1);
    mqtt_peer p(w, "me", {.spoken = version::v5, .clean = false, .properties = kept.block()});
    EXPECT_EQ(count_of("PUBLISH r/", p.welcome), 1) << p.welcome;
    const std::string large(600'000, 'x');
    publisher.publish("large", large);
    publisher.publish("large", large);
    EXPECT_TRUE(p.paused);
    w.shard->begin_turn();
    p.talk->on_shutdown("shutdown");
    w.end_turn();
    const auto last = all_said(p);
    EXPECT_EQ(last.substr(last.rfind('\n') + 1), "DISCONNECT 8b [Reason String=shutdown]");
}

}  // namespace
}  // namespace linnet::session::test
