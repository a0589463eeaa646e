// What breaks MQTT's rules, and clients that mean ill: each is answered in its version's words, and costs no more than
// its bound.
#include "tests/protocol/mqtt_refusals.hpp"
#include "tests/session/mqtt_clauses.hpp"

#include <algorithm>

namespace linnet::session::test {
namespace {

using mqtt::packet_type;
using mqtt::property;
using mqtt::version;

mqtt_login of(version v) { return {.spoken = v}; }

// What the session says to a packet, fed in two pieces, and that the connection is over.
std::string end_after(const mqtt::test::refusal& r, const packet_bytes& bytes, std::size_t cut) {
    world w;
    const bool first = r.spoken.spoken == version::unknown;
    auto p = first ? std::make_unique<mqtt_peer>(w) : std::make_unique<mqtt_peer>(w, "me", of(r.spoken.spoken));
    const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(cut);
    p->send_bytes({bytes.begin(), at});
    p->send_bytes({at, bytes.end()});
    EXPECT_TRUE(p->closed) << mqtt::test::to_hex(bytes);
    if (!first) {
        const auto said = p->said();
        return said.substr(0, said.find(" ["));
    }
    // The version that it is answered in is the session's to choose: MQTT 3 has four bytes.
    const auto said = p->raw();
    return said.empty() ? "" : fmt::format("{} {:02x}", said.size() == 4 ? "return code" : "CONNACK", said.at(3));
}

TEST(MqttBadInput, IsAnsweredInTheWordsOfTheVersionHoweverItIsCut) {
    linnet::test::clause(mqtt_5, {"MQTT-3.1.4-1", "MQTT-4.13.1-1", "MQTT-4.13.2-1", "MQTT-3.14.0-1"});
    linnet::test::clause(mqtt_3_1_1, {"MQTT-3.1.4-1", "MQTT-4.8.0-1", "MQTT-1.5.3-1", "MQTT-1.5.3-2"});
    std::size_t looked_at = 0;
    for (const auto& r : mqtt::test::refusals) {
        if (r.spoken.sender != mqtt::role::client) {
            continue;
        }
        ++looked_at;
        const auto bytes = mqtt::test::from_hex(r.hex);
        const auto code = fmt::format("{:02x}", static_cast<unsigned>(mqtt::reason_code_of(r.why)));
        const auto whole = end_after(r, bytes, 0);
        if (r.spoken.spoken == version::v5) {
            EXPECT_EQ(whole, "DISCONNECT " + code) << r.hex;
        } else if (r.spoken.spoken != version::unknown) {
            EXPECT_EQ(whole, "") << r.hex;
        } else if (!whole.empty()) {
            const auto old = mqtt::return_code_of(mqtt::reason_code_of(r.why));
            EXPECT_TRUE(whole == "CONNACK " + code || (old && whole == fmt::format("return code {:02x}", *old)))
                << r.hex << ": " << whole;
        }
        for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
            ASSERT_EQ(end_after(r, bytes, cut), whole) << r.hex << " cut at " << cut;
        }
    }
    EXPECT_GT(looked_at, 60U);
}

// Every first byte, in every state: an answer or an end, and nothing in between.
TEST(MqttBadInput, EveryFirstByteIsJudgedAtOnce) {
    for (const auto v : {version::v3_1, version::v3_1_1, version::v5}) {
        for (unsigned byte = 0; byte < 256; ++byte) {
            world w;
            mqtt_peer p(w, "me", of(v));
            p.send_bytes({static_cast<std::uint8_t>(byte)});
            const bool good =
                mqtt::decode_frame(std::array{static_cast<std::uint8_t>(byte)}, {v, mqtt::role::client}).needs_more();
            EXPECT_EQ(p.closed, !good) << byte;
            static_cast<void>(p.said());
        }
    }
}

TEST(MqttBadInput, PacketsThatAreTooLongEndBeforeTheirBodyComes) {
    world w;
    w.mqtt.packet_bytes_max = 1000;
    for (const auto& bomb : std::vector<packet_bytes>{
             {0x30, 0xFF, 0xFF, 0xFF, 0x7F}, {0x30, 0xE8, 0x07}, {0x82, 0xFF, 0xFF, 0xFF, 0x7F}}) {
        mqtt_peer p(w, "me", of(version::v5));
        p.send_bytes(bomb);
        EXPECT_TRUE(p.said().starts_with("DISCONNECT 95"));
        EXPECT_TRUE(p.closed);
        p.go();
    }
    mqtt_peer five(w, "me", of(version::v5));
    five.send_bytes({0x30, 0xFF, 0xFF, 0xFF, 0xFF});
    EXPECT_TRUE(five.said().starts_with("DISCONNECT 81"));
    five.go();
    mqtt_peer old(w, "me", of(version::v3_1_1));
    old.send_bytes({0x30, 0xFF, 0xFF, 0xFF, 0x7F});
    EXPECT_TRUE(old.closed);
    old.go();
    mqtt_peer greeting(w);
    greeting.send_bytes({0x10, 0xFF, 0xFF, 0xFF, 0x7F});
    EXPECT_TRUE(greeting.closed);
}

TEST(MqttBadInput, IdentifiersInUseAreNoSecondMessage) {
    world w;
    mqtt_peer listener(w, "listener");
    listener.subscribed("#");
    mqtt_peer p(w, "me", of(version::v5));
    p.publish("a", "1", 2, 5);
    p.publish("b", "2", 2, 5);  // another message under an id that is taken: it counts as the first, once more
    p.publish("c", "3", 1, 5);
    EXPECT_EQ(p.said(), "PUBREC 5\nPUBREC 5\nPUBACK 5 91");
    EXPECT_EQ(listener.said(), "PUBLISH a 1");
    // Answers to what was never sent change nothing.
    p.puback(99);
    p.pubrec(99);
    p.pubcomp(99);
    p.pubrel(99);
    EXPECT_EQ(p.said(), "PUBREL 99 92\nPUBCOMP 99 92");
    EXPECT_FALSE(p.closed);
    // Answers of the wrong kind are an error.
    p.subscribed("t", 2);
    p.publish("t", "x", 2, 6);
    static_cast<void>(p.said());
    p.puback(1);
    EXPECT_TRUE(p.said().starts_with("DISCONNECT 82"));
}

TEST(MqttBadInput, AClientThatNeverAnswersHoldsItsWindowOnly) {
    world w;
    w.mqtt.inflight_max = 10;
    mqtt_peer p(w, "me", of(version::v3_1_1));
    mqtt_peer publisher(w, "publisher");
    p.subscribed("t", 1);
    for (int i = 0; i < 5000; ++i) {
        publisher.publish("t", "x", 1, 1);
        static_cast<void>(publisher.said());
    }
    const auto said = p.said();
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 9);
    for (int i = 0; i < 20; ++i) {
        w.turn();
    }
    EXPECT_EQ(p.said(), "");
    p.puback(1);
    EXPECT_EQ(p.said(), "PUBLISH t x qos 1 id 11");
}

TEST(MqttBadInput, AStormOfConnectionsUnderOneNameLeavesOne) {
    world w;
    constexpr int many = 200;
    std::vector<std::unique_ptr<mqtt_peer>> storm;
    auto l = of(version::v5);
    some_properties hour;
    hour.with<property::session_expiry_interval>(3600);
    l.clean = false;
    l.properties = hour.block();
    for (int i = 0; i < many; ++i) {
        storm.push_back(std::make_unique<mqtt_peer>(w));
        storm.back()->connect("me", l);
        storm.back()->subscribe("t", 1);
    }
    w.turn();
    int open = 0;
    for (auto& p : storm) {
        open += p->closed ? 0 : 1;
        static_cast<void>(p->said());
    }
    EXPECT_EQ(open, 1);
    mqtt_peer publisher(w, "publisher");
    publisher.publish("t", "x", 1, 1);
    int got = 0;
    for (auto& p : storm) {
        got += p->said().find("PUBLISH t x") == std::string::npos ? 0 : 1;
    }
    EXPECT_EQ(got, 1);
}

// ---- Trees -----------------------------------------------------------------------------------------

std::string levels(std::size_t n, std::string_view each) {
    std::string out(each);
    for (std::size_t i = 1; i < n; ++i) {
        (out += '/') += each;
    }
    return out;
}

TEST(MqttBadInput, FiltersOfManyLevelsAreTakenAndMatched) {
    world w;
    mqtt_peer p(w, "me");
    const auto name = levels(200, "a");
    for (const auto& filter : {name, levels(200, "+"), levels(199, "+") + "/#", levels(100, "a") + "/#"}) {
        p.subscribe(filter, 0);
        EXPECT_EQ(p.said(), "SUBACK 1 00");
    }
    p.publish(name, "x");
    EXPECT_EQ(p.said(), "PUBLISH " + name + " x");
    p.publish(levels(200, "b"), "y");
    EXPECT_EQ(p.said(), "PUBLISH " + levels(200, "b") + " y");
}

}  // namespace
}  // namespace linnet::session::test
