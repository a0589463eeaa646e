#include "protocol/mqtt/publish_image.hpp"
#include "tests/protocol/mqtt_refusals.hpp"
#include "tests/protocol/mqtt_support.hpp"
#include "tests/support/clause.hpp"

#include <gtest/gtest.h>

namespace linnet::mqtt::test {
namespace {

using linnet::test::clause;
using linnet::test::mqtt_3_1_1;
using linnet::test::mqtt_5;

// Decodes to what it is told, and the encoder writes the same bytes again.
template <packet Packet>
void expect_golden(std::string_view hex, dialect spoken, const Packet& expected) {
    SCOPED_TRACE(hex);
    const bytes input = from_hex(hex);
    const auto found = decode_all<Packet>(input, spoken);
    ASSERT_TRUE(found) << (found.is_malformed() ? describe(found.reason()) : "needs more");
    EXPECT_EQ(fields(*found), fields(expected));
    EXPECT_EQ(to_hex(encoded(expected, spoken.spoken)), to_hex(input));
}

template <std::size_t Size>
wire::bytes_view view_of(const char (&text)[Size]) {
    return wire::as_bytes({text, Size - 1});
}

// Figure 3-6 of MQTT 5 and figure 3.6 of 3.1.1 with payloads: user name, password, will QoS 1, clean start.
TEST(MqttGolden, Connect) {
    clause(mqtt_5, {"MQTT-3.1.3-1", "MQTT-3.1.3-3", "MQTT-3.1.2-9"});
    std::string properties;
    append_property<property::session_expiry_interval>(properties, 10);
    const will last{.topic = "w", .payload = view_of("bye"), .qos = qos::at_least_once};
    connect c{.spoken = version::v5,
              .clean_start = true,
              .keep_alive_s = 10,
              .properties = property_block::trusted(wire::as_bytes(properties)),
              .client_id = "id",
              .will = last,
              .user_name = "u",
              .password = view_of("p\0")};
    expect_golden("10 24 00 04 4d 51 54 54 05 ce 00 0a 05 11 00 00 00 0a 00 02 69 64 00 00 01 77 00 03 62 79 65"
                  "00 01 75 00 02 70 00",
                  client_5, c);
}

TEST(MqttGolden, ConnectOfMqtt3) {
    clause(mqtt_3_1_1, {"MQTT-3.1.3-1", "MQTT-3.1.3-3", "MQTT-3.1.2-9"});
    connect c{.spoken = version::v3_1_1, .clean_start = true, .keep_alive_s = 10, .client_id = "id"};
    c.will = will{.topic = "w", .payload = view_of("bye"), .qos = qos::at_least_once};
    c.user_name = "u";
    c.password = view_of("p");
    expect_golden("10 1c 00 04 4d 51 54 54 04 ce 00 0a 00 02 69 64 00 01 77 00 03 62 79 65 00 01 75 00 01 70",
                  client_3_1_1, c);
    c.spoken = version::v3_1;
    c.will->retain = true;
    c.will->qos = qos::exactly_once;
    expect_golden("10 1e 00 06 4d 51 49 73 64 70 03 f6 00 0a 00 02 69 64 00 01 77 00 03 62 79 65 00 01 75 00 01 70",
                  client_3_1, c);
    expect_golden("10 0c 00 04 4d 51 54 54 04 00 00 00 00 00", client_3_1_1,
                  connect{.spoken = version::v3_1_1, .clean_start = false});
    expect_golden("10 0d 00 04 4d 51 54 54 05 02 ff ff 00 00 00", client_5, connect{.keep_alive_s = 65535});
}

TEST(MqttGolden, Connack) {
    expect_golden("20 03 01 00 00", server_5, connack{.session_present = true});
    expect_golden("20 03 00 87 00", server_5, connack{.reason = reason_code::not_authorized});
    expect_golden("20 02 01 00", server_3_1_1, connack{.session_present = true});
    expect_golden("20 02 00 05", server_3_1_1, connack{.reason = reason_code::not_authorized});
    // MQTT 3.1 has no such flag.
    EXPECT_EQ(to_hex(encoded(connack{.session_present = true}, version::v3_1)), "20020000");
    expect_golden("20 02 00 04", server_3_1, connack{.reason = reason_code::bad_user_name_or_password});
    std::string out;
    append_property<property::receive_maximum>(out, 100);
    append_property<property::maximum_qos>(out, 1);
    append_property<property::assigned_client_identifier>(out, "auto");
    append_property<property::server_keep_alive>(out, 30);
    append_user_property(out, "a", "b");
    expect_golden("20 19 00 00 16 21 00 64 24 01 12 00 04 61 75 74 6f 13 00 1e 26 00 01 61 00 01 62", server_5,
                  connack{.properties = property_block::trusted(wire::as_bytes(out))});
}

// Figures 3-8 and 3-9: topic "a/b", packet identifier 10.
TEST(MqttGolden, Publish) {
    clause(mqtt_5, {"MQTT-3.3.2-1", "MQTT-2.2.1-2", "MQTT-2.2.2-1"});
    clause(mqtt_3_1_1, {"MQTT-3.3.2-1", "MQTT-2.3.1-5"});
    publish p{.topic = "a/b", .payload = view_of("hi"), .packet_id = 10, .qos = qos::at_least_once};
    expect_golden("32 0a 00 03 61 2f 62 00 0a 00 68 69", client_5, p);
    expect_golden("32 09 00 03 61 2f 62 00 0a 68 69", client_3_1_1, p);
    p.qos = qos::exactly_once;
    p.dup = p.retain = true;
    expect_golden("3d 09 00 03 61 2f 62 00 0a 68 69", server_3_1, p);
    expect_golden("30 05 00 03 61 2f 62", client_3_1_1, publish{.topic = "a/b"});
    std::string out;
    append_property<property::topic_alias>(out, 7);
    append_property<property::correlation_data>(out, view_of("\x00\xff"));
    publish aliased{.properties = property_block::trusted(wire::as_bytes(out)), .retain = true};
    expect_golden("31 0b 00 00 08 23 00 07 09 00 02 00 ff", client_5, aliased);
}

// [MQTT-2.2.1-5]
TEST(MqttGolden, AcknowledgementsOfPublish) {
    expect_golden("40 02 00 0a", client_5, puback{.packet_id = 10});
    expect_golden("50 02 ff ff", server_3_1_1, pubrec{.packet_id = 65535});
    expect_golden("62 02 00 01", server_3_1, pubrel{.packet_id = 1});
    expect_golden("70 03 00 01 92", client_5,
                  pubcomp{.packet_id = 1, .reason = reason_code::packet_identifier_not_found});
    std::string out;
    append_property<property::reason_string>(out, "full");
    expect_golden("50 0b 00 01 97 07 1f 00 04 66 75 6c 6c", server_5,
                  pubrec{.packet_id = 1,
                         .reason = reason_code::quota_exceeded,
                         .properties = property_block::trusted(wire::as_bytes(out))});
}

// 3.8.2.1.3 and figure 3-22: "a/b" with QoS 1, "c/d" with QoS 2.
TEST(MqttGolden, SubscribeAndSuback) {
    std::string list;
    append_subscription(list, {"a/b", {qos::at_least_once}});
    append_subscription(list, {"c/d", {qos::exactly_once}});
    const subscribe s{.packet_id = 10, .subscriptions = subscription_list::trusted(wire::as_bytes(list))};
    expect_golden("82 0f 00 0a 00 00 03 61 2f 62 01 00 03 63 2f 64 02", client_5, s);
    expect_golden("82 0e 00 0a 00 03 61 2f 62 01 00 03 63 2f 64 02", client_3_1_1, s);
    ASSERT_EQ(s.subscriptions.count(), 2U);
    EXPECT_EQ(*s.subscriptions.begin(), (subscription{"a/b", {qos::at_least_once}}));
    EXPECT_EQ(*++s.subscriptions.begin(), (subscription{"c/d", {qos::exactly_once}}));
    // Figure 3.27 of 3.1.1.
    expect_golden("90 05 00 0a 00 02 80", server_3_1_1, suback{.packet_id = 10, .reasons = view_of("\x00\x02\x80")});
    expect_golden("90 05 00 0a 00 02 a2", server_5, suback{.packet_id = 10, .reasons = view_of("\x02\xa2")});
    // [MQTT-3.9.3-2] 3.1.1 has one code for all failures.
    EXPECT_EQ(to_hex(encoded(suback{.packet_id = 10, .reasons = view_of("\x01\x87\x9e")}, version::v3_1_1)),
              "9005000a018080");
}

// [MQTT-3.8.3-5] Figure 3-20, bit by bit.
TEST(MqttGolden, SubscriptionOptions) {
    const subscription_options all{qos::exactly_once, true, true, retain_handling::do_not_send};
    EXPECT_EQ(all.to_byte(), 0x2E);
    EXPECT_EQ((subscription_options{.no_local = true}.to_byte()), 0x04);
    EXPECT_EQ((subscription_options{.retain_as_published = true}.to_byte()), 0x08);
    EXPECT_EQ((subscription_options{.retained = retain_handling::send_if_new}.to_byte()), 0x10);
    for (unsigned byte = 0; byte < 64; ++byte) {
        if ((byte & 3) != 3 && byte >> 4 != 3) {
            EXPECT_EQ(subscription_options::from_byte(static_cast<std::uint8_t>(byte)).to_byte(), byte);
        }
    }
}

// Figure 3-26.
TEST(MqttGolden, UnsubscribeAndUnsuback) {
    std::string list;
    append_filter(list, "a/b");
    append_filter(list, "c/d");
    const unsubscribe u{.packet_id = 10, .filters = filter_list::trusted(wire::as_bytes(list))};
    expect_golden("a2 0d 00 0a 00 00 03 61 2f 62 00 03 63 2f 64", client_5, u);
    expect_golden("a2 0c 00 0a 00 03 61 2f 62 00 03 63 2f 64", client_3_1, u);
    EXPECT_EQ(u.filters.count(), 2U);
    EXPECT_EQ(*u.filters.begin(), "a/b");
    expect_golden("b0 05 00 0a 00 00 11", server_5, unsuback{.packet_id = 10, .reasons = view_of("\x00\x11")});
    expect_golden("b0 02 00 0a", server_3_1_1, unsuback{.packet_id = 10});
}

TEST(MqttGolden, PingDisconnectAndAuth) {
    expect_golden("c0 00", client_3_1_1, pingreq{});
    expect_golden("d0 00", server_5, pingresp{});
    expect_golden("e0 00", client_3_1, disconnect{});
    expect_golden("e0 00", client_5, disconnect{});
    expect_golden("e0 01 04", client_5, disconnect{.reason = reason_code::disconnect_with_will});
    std::string expiry;
    append_property<property::session_expiry_interval>(expiry, 1);
    expect_golden("e0 07 00 05 11 00 00 00 01", client_5,
                  disconnect{.properties = property_block::trusted(wire::as_bytes(expiry))});
    std::string method;
    append_property<property::authentication_method>(method, "SCRAM");
    append_property<property::authentication_data>(method, view_of("x"));
    expect_golden("f0 0e 18 0c 15 00 05 53 43 52 41 4d 16 00 01 78", server_5,
                  auth{.reason = reason_code::continue_authentication,
                       .properties = property_block::trusted(wire::as_bytes(method))});
    expect_golden("f0 00", server_5, auth{});
}

// What may be said longer than need be decodes to the same.
TEST(MqttPacket, TakesLongFormsForShortOnes) {
    EXPECT_EQ(fields(*decode_all<puback>(from_hex("40 04 00 0a 00 00"), client_5)), fields(puback{.packet_id = 10}));
    EXPECT_EQ(fields(*decode_all<puback>(from_hex("40 03 00 0a 00"), client_5)), fields(puback{.packet_id = 10}));
    EXPECT_EQ(fields(*decode_all<disconnect>(from_hex("e0 02 00 00"), client_5)), fields(disconnect{}));
    EXPECT_EQ(fields(*decode_all<disconnect>(from_hex("e0 01 00"), server_5)), fields(disconnect{}));
}

// What MQTT 3.1 left open, and its Java clients made use of.
TEST(MqttPacket, TakesWhatMqtt31LeavesOpen) {
    // "The Remaining Length takes precedence over the User Name flag."
    const auto c = decode_all<connect>(from_hex("10 10 00 06 4d 51 49 73 64 70 03 c2 00 0a 00 02 69 64"), nobody);
    ASSERT_TRUE(c);
    EXPECT_FALSE(c->user_name || c->password);
    EXPECT_TRUE(decode_all<connect>(from_hex("10 10 00 06 4d 51 49 73 64 70 03 03 00 0a 00 02 69 64"), nobody));
    EXPECT_TRUE(decode_all<connect>(from_hex("14 0e 00 06 4d 51 49 73 64 70 03 02 00 0a 00 00"), nobody));
    EXPECT_TRUE(decode_all<subscribe>(from_hex("8a 08 00 0a 00 03 61 2f 62 f9"), client_3_1));
    EXPECT_TRUE(decode_all<connack>(from_hex("20 02 ff 00"), server_3_1));
    EXPECT_FALSE(decode_all<connack>(from_hex("20 02 ff 00"), server_3_1)->session_present);
}

// [MQTT-3.1.3-6]; 3.1.1: [MQTT-3.1.3-7] [MQTT-3.1.3-8]
TEST(MqttPacket, MissesAClientIdWhereTheVersionDoes) {
    const auto missing = [](version spoken, bool clean, std::string_view id) {
        return client_id_is_missing({.spoken = spoken, .clean_start = clean, .client_id = id});
    };
    EXPECT_TRUE(missing(version::v3_1, true, ""));
    EXPECT_TRUE(missing(version::v3_1_1, false, ""));
    EXPECT_FALSE(missing(version::v3_1_1, true, ""));
    EXPECT_FALSE(missing(version::v5, false, ""));
    EXPECT_FALSE(missing(version::v3_1, false, "x"));
}

// [MQTT-3.1.2-1] [MQTT-3.1.2-2]
TEST(MqttPacket, TellsInWhichVersionToRefuseAConnect) {
    const auto answer = [](std::string_view hex) { return version_to_refuse_in(from_hex(hex)); };
    EXPECT_EQ(answer("00 04 4d 51 54 54 05"), version::v5);
    EXPECT_EQ(answer("00 04 4d 51 54 54 06 ff"), version::v5);
    EXPECT_EQ(answer("00 04 4d 51 54 54 04"), version::v3_1_1);
    EXPECT_EQ(answer("00 04 4d 51 54 54 84"), version::v3_1_1);  // a bridge of mosquitto's
    EXPECT_EQ(answer("00 04 4d 51 54 54 00"), version::v3_1_1);
    EXPECT_EQ(answer("00 06 4d 51 49 73 64 70 03"), version::v3_1);
    EXPECT_EQ(answer("00 04 4d 51 54 54"), std::nullopt);
    EXPECT_EQ(answer("00 04 48 54 54 50 05"), std::nullopt);
    EXPECT_EQ(answer(""), std::nullopt);
}

struct round_trip {
    random_mqtt& random;

    template <packet Packet>
    void operator()(dialect spoken) const {
        SCOPED_TRACE(packet_name(Packet::type));
        SCOPED_TRACE(static_cast<int>(spoken.spoken));
        const auto made = random.make<Packet>(spoken);
        const bytes out = encoded(made, spoken.spoken);
        ASSERT_EQ(encoded_size(made, spoken.spoken), out.size());
        const auto found = decode_all<Packet>(out, spoken);
        ASSERT_TRUE(found) << to_hex(out) << " " << (found.is_malformed() ? describe(found.reason()) : "needs more");
        ASSERT_EQ(fields(*found), fields(made)) << to_hex(out);
        ASSERT_EQ(encoded(*found, spoken.spoken), out);
    }
};

TEST(MqttPacket, RandomOnesSurviveTheRoundTrip) {
    const auto seed = test_seed();
    SCOPED_TRACE(seed);
    random_mqtt random{seed};
    for (int i = 0; i < 300 && !HasFailure(); ++i)
        for_each_packet(round_trip{random});
}

// What a packet looks like to a decoder of which part of its body is missing: refused, or, where the tail may be
// left out, another packet. Never beyond the end: every input is of its exact size, for AddressSanitizer.
struct every_body_prefix {
    random_mqtt& random;

    template <packet Packet>
    void operator()(dialect spoken) const {
        const bytes out = encoded(random.make<Packet>(spoken), spoken.spoken);
        const frame whole = *decode_frame(out, spoken);
        for (std::size_t size = 0; size < whole.body.size(); ++size) {
            const bytes body(whole.body.begin(), whole.body.begin() + static_cast<std::ptrdiff_t>(size));
            frame part{whole.header, body};
            part.header.body_bytes = static_cast<std::uint32_t>(size);
            const auto found = decode<Packet>(part, spoken);
            ASSERT_FALSE(found.needs_more());
            if (found) {
                const bytes again = encoded(*found, spoken.spoken);
                ASSERT_EQ(fields(*decode_all<Packet>(again, spoken)), fields(*found));
            } else {
                ASSERT_NE(found.reason(), fault::packet_overlong);
            }
        }
    }
};

TEST(MqttPacket, EveryPrefixOfABodyIsJudged) {
    const auto seed = test_seed();
    SCOPED_TRACE(seed);
    random_mqtt random{seed};
    for (int i = 0; i < 10 && !HasFailure(); ++i)
        for_each_packet(every_body_prefix{random});
}

struct one_byte_more {
    random_mqtt& random;

    template <packet Packet>
    void operator()(dialect spoken) const {
        bytes out = encoded(random.make<Packet>(spoken), spoken.spoken);
        const frame whole = *decode_frame(out, spoken);
        frame longer{whole.header, {}};
        bytes body(whole.body.begin(), whole.body.end());
        body.push_back(0);
        longer.header.body_bytes += 1;
        longer.header.bytes = static_cast<std::uint8_t>(1 + varint_size(longer.header.body_bytes));
        longer.body = body;
        // A payload takes all there is, and what is left out may be there; nothing else has room.
        if (!decode<Packet>(longer, spoken)) {
            constexpr bool lists = Packet::type == packet_type::subscribe || Packet::type == packet_type::unsubscribe;
            const fault why = decode<Packet>(longer, spoken).reason();
            EXPECT_TRUE(why == fault::packet_overlong || (lists && why == fault::packet_truncated) ||
                        why == fault::authentication_method_missing || why == fault::packet_truncated)
                << packet_name(Packet::type) << " " << describe(why);
        } else {
            EXPECT_TRUE(Packet::type == packet_type::publish || spoken.spoken == version::v5 ||
                        Packet::type == packet_type::suback || spoken.spoken == version::v3_1)
                << packet_name(Packet::type);
        }
    }
};

TEST(MqttPacket, BytesBehindTheLastFieldAreRefused) {
    const auto seed = test_seed();
    SCOPED_TRACE(seed);
    random_mqtt random{seed};
    for (int i = 0; i < 20 && !HasFailure(); ++i)
        for_each_packet(one_byte_more{random});
    EXPECT_EQ(decode_all<pingreq>(from_hex("c0 01 00"), client_5).reason(), fault::packet_overlong);
    EXPECT_EQ(decode_all<disconnect>(from_hex("e0 01 00"), client_3_1_1).reason(), fault::packet_overlong);
    EXPECT_EQ(decode_all<puback>(from_hex("40 03 00 01 00"), client_3_1_1).reason(), fault::packet_overlong);
    EXPECT_EQ(decode_all<puback>(from_hex("40 05 00 01 00 00 00"), client_5).reason(), fault::packet_overlong);
    EXPECT_EQ(decode_all<connack>(from_hex("20 04 00 00 00 00"), server_5).reason(), fault::packet_overlong);
    EXPECT_EQ(decode_all<connect>(from_hex("10 0d 00 04 4d 51 54 54 04 02 00 00 00 00 00"), nobody).reason(),
              fault::packet_overlong);
}

// A stream of packets is the same packets however it is cut.
TEST(MqttPacket, EverySplitOfAStreamGivesTheSamePackets) {
    const auto seed = test_seed();
    SCOPED_TRACE(seed);
    random_mqtt random{seed};
    bytes stream;
    for (int i = 0; i < 6; ++i)
        append_packet(stream, random.make<publish>(client_5), version::v5);
    append_packet(stream, random.make<puback>(client_5), version::v5);
    append_packet(stream, random.make<subscribe>(client_5), version::v5);
    const auto read_all = [&](std::size_t split) {
        std::vector<std::string> sizes;
        bytes pending;
        for (const auto& [from, to] : {std::pair{std::size_t{0}, split}, std::pair{split, stream.size()}}) {
            pending.insert(pending.end(), stream.begin() + static_cast<std::ptrdiff_t>(from),
                           stream.begin() + static_cast<std::ptrdiff_t>(to));
            while (const auto found = decode_frame(pending, client_5)) {
                EXPECT_FALSE(visit_packet(*found, client_5, [](const auto&) {}));
                sizes.push_back(to_hex(wire::bytes_view{pending}.first(found->size())));
                pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(found->size()));
            }
        }
        EXPECT_TRUE(pending.empty());
        return sizes;
    };
    const auto whole = read_all(0);
    EXPECT_EQ(whole.size(), 8U);
    for (std::size_t split = 1; split < stream.size(); ++split)
        ASSERT_EQ(read_all(split), whole) << split;
}

TEST(MqttPacket, EveryFaultOfABodyIsNamed) {
    clause(mqtt_5,
           {"MQTT-3.1.2-1",  "MQTT-3.1.2-2",  "MQTT-3.1.2-3",  "MQTT-3.1.2-9",  "MQTT-3.1.2-11", "MQTT-3.1.2-12",
            "MQTT-3.1.2-13", "MQTT-3.1.2-16", "MQTT-3.1.2-17", "MQTT-3.1.2-18", "MQTT-3.1.2-19", "MQTT-3.1.3-4",
            "MQTT-3.1.3-11", "MQTT-3.1.3-12", "MQTT-3.3.2-1",  "MQTT-3.3.2-2",  "MQTT-3.8.3-1",  "MQTT-3.8.3-2",
            "MQTT-3.8.3-4",  "MQTT-3.8.3-5",  "MQTT-3.10.3-1", "MQTT-3.10.3-2"});
    clause(mqtt_3_1_1,
           {"MQTT-3.1.2-2",  "MQTT-3.1.2-3",  "MQTT-3.1.2-9",  "MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.2-14",
            "MQTT-3.1.2-15", "MQTT-3.1.2-18", "MQTT-3.1.2-19", "MQTT-3.1.2-20", "MQTT-3.1.2-21", "MQTT-3.1.2-22",
            "MQTT-3.1.3-4",  "MQTT-3.1.3-10", "MQTT-3.1.3-11", "MQTT-3.3.2-1",  "MQTT-3.3.2-2",  "MQTT-3.8.3-1",
            "MQTT-3.8.3-3",  "MQTT-3-8.3-4",  "MQTT-3.10.3-1", "MQTT-3.10.3-2"});
    for (const refusal& each : refusals) {
        const bytes input = from_hex(each.hex);
        const auto found = decode_frame(input, each.spoken);
        ASSERT_TRUE(found) << each.hex;
        ASSERT_EQ(found->size(), input.size()) << each.hex;
        const verdict bad = visit_packet(*found, each.spoken, [&](const auto& p) {
            ADD_FAILURE() << each.hex << " is taken for a good " << packet_name(p.type);
        });
        ASSERT_TRUE(bad);
        EXPECT_EQ(*bad, each.why) << each.hex << ": " << describe(*bad) << ", expected " << describe(each.why);
    }
}

// [MQTT-3.2.2-8] [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1] [MQTT-3.9.3-2] [MQTT-3.11.3-2]
// [MQTT-3.14.2-1] [MQTT-3.15.2-1] Each packet's own table of reason codes, as its section has it.
struct code_table {
    packet_type type;
    role sender;
    std::string_view codes;
};
const code_table code_tables[] = {
    {packet_type::connack, role::server, "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f"},
    {packet_type::puback, role::client, "00 10 80 83 87 90 91 97 99"},
    {packet_type::pubrec, role::server, "00 10 80 83 87 90 91 97 99"},
    {packet_type::pubrel, role::server, "00 92"},
    {packet_type::pubcomp, role::client, "00 92"},
    {packet_type::suback, role::server, "00 01 02 80 83 87 8f 91 97 9e a1 a2"},
    {packet_type::unsuback, role::server, "00 11 80 83 87 8f 91"},
    {packet_type::disconnect, role::client, "00 04 80 81 82 83 90 93 94 95 96 97 98 99"},
    {packet_type::disconnect, role::server,
     "00 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e"
     "9f a0 a1 a2"},
    {packet_type::auth, role::client, "18 19"},
    {packet_type::auth, role::server, "00 18"},
    {packet_type::publish, role::client, ""},
    {packet_type::connect, role::client, ""},
};

TEST(MqttReasonCode, IsLegalWhereItsTableSaysSo) {
    clause(mqtt_5, {"MQTT-3.2.2-8", "MQTT-3.4.2-1", "MQTT-3.5.2-1", "MQTT-3.6.2-1", "MQTT-3.7.2-1", "MQTT-3.9.3-2",
                    "MQTT-3.11.3-2", "MQTT-3.14.2-1", "MQTT-3.15.2-1"});
    for (const code_table& table : code_tables) {
        const bytes legal = from_hex(table.codes);
        for (unsigned code = 0; code < 256; ++code) {
            const bool expected = std::find(legal.begin(), legal.end(), code) != legal.end();
            EXPECT_EQ(is_legal(static_cast<reason_code>(code), table.type, table.sender), expected)
                << packet_name(table.type) << " " << code;
            EXPECT_TRUE(!expected || !reason_name(static_cast<reason_code>(code)).empty());
        }
    }
    EXPECT_EQ(reason_name(reason_code::session_taken_over), "Session taken over");
    EXPECT_EQ(reason_name(static_cast<reason_code>(0x03)), "");
}

// 3.1.1: [MQTT-3.2.2-4] [MQTT-3.2.2-6] Table 3.1.
TEST(MqttReasonCode, HasReturnCodesInMqtt3) {
    clause(mqtt_3_1_1, {"MQTT-3.2.2-6", "MQTT-3.9.3-2"});
    for (std::uint8_t code = 0; code <= 5; ++code)
        EXPECT_EQ(return_code_of(*reason_of_return_code(code)), code);
    EXPECT_FALSE(reason_of_return_code(6));
    EXPECT_EQ(return_code_of(reason_code::server_busy), 3);
    EXPECT_EQ(return_code_of(reason_code::banned), 5);
    EXPECT_FALSE(return_code_of(reason_code::malformed_packet));
}

TEST(MqttPublishImage, ForwardsAllButTheAliasUnaltered) {
    clause(mqtt_5, {"MQTT-3.3.2-4", "MQTT-3.3.2-7", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18",
                    "MQTT-3.3.2-20"});
    std::string in;
    append_user_property(in, "z", "1");
    append_property<property::topic_alias>(in, 3);
    append_property<property::response_topic>(in, "r");
    append_property<property::message_expiry_interval>(in, 60);
    append_user_property(in, "a", "2");
    const auto received = property_block::trusted(wire::as_bytes(in));
    EXPECT_FALSE(is_forwardable(received));
    std::string out;
    append_forwardable(out, received);
    EXPECT_EQ(to_hex(wire::as_bytes(out)), "020000003c"
                                           "2600017a000131"
                                           "08000172"
                                           "26000161000132");
    EXPECT_TRUE(has_message_expiry(wire::as_bytes(out)));
    EXPECT_TRUE(is_forwardable(property_block::trusted(wire::as_bytes(out))));
    std::string same;
    append_forwardable(same, property_block::trusted(wire::as_bytes(out)));
    EXPECT_EQ(same, out);
    EXPECT_FALSE(has_message_expiry({}));
}

TEST(MqttPublishImage, IsThePacketForEachReceiver) {
    clause(mqtt_5, {"MQTT-2.2.1-4", "MQTT-3.3.2-6", "MQTT-3.3.1-1"});
    const auto seed = test_seed();
    SCOPED_TRACE(seed);
    random_mqtt random{seed};
    for (int i = 0; i < 300; ++i) {
        const dialect spoken = random.coin() ? server_5 : server_3_1_1;
        auto p = random.make<publish>(spoken);
        std::string forwarded;
        append_forwardable(forwarded, p.properties);
        p.properties = property_block::trusted(wire::as_bytes(forwarded));
        if (p.topic.empty())
            p.topic = "t";
        bytes buffer(encoded_size(p, spoken.spoken));
        const publish_image image = make_image(buffer.data(), p, spoken.spoken);
        ASSERT_EQ(image.size(), buffer.size());
        bytes out(image.size());
        ASSERT_EQ(put_image(out.data(), image, 4711), out.data() + out.size());
        if (p.qos != qos::at_most_once) {
            set_dup(out.data());
            p.dup = true;
            p.packet_id = 4711;
        }
        EXPECT_EQ(image.message_expiry_at != 0, p.properties.contains(property::message_expiry_interval));
        if (image.message_expiry_at != 0)
            set_message_expiry(out.data(), image, 77);
        const auto found = decode_all<publish>(out, spoken);
        ASSERT_TRUE(found);
        if (image.message_expiry_at != 0) {
            EXPECT_EQ(found->properties.get<property::message_expiry_interval>(), 77U);
            p.properties = found->properties;
        }
        EXPECT_EQ(fields(*found), fields(p));
    }
}

TEST(MqttPublishHead, AddsWhatIsTheReceiversOwn) {
    clause(mqtt_5, {"MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-6"});
    std::string shared;
    append_user_property(shared, "k", "v");
    std::string own;
    append_property<property::subscription_identifier>(own, 5);
    append_property<property::subscription_identifier>(own, 300);
    const publish_head head{.topic = "a/b",
                            .properties = wire::as_bytes(shared),
                            .own_properties = wire::as_bytes(own),
                            .payload_bytes = 3,
                            .packet_id = 9,
                            .qos = qos::at_least_once};
    bytes out(encoded_size(head, version::v5));
    ASSERT_EQ(encode(out.data(), head, version::v5), out.data() + out.size());
    out.insert(out.end(), {'x', 'y', 'z'});
    const auto p = decode_all<publish>(out, server_5);
    ASSERT_TRUE(p);
    EXPECT_EQ(wire::as_text(p->payload), "xyz");
    EXPECT_EQ(text_of(p->properties), shared + own);
    std::vector<std::uint32_t> ids;
    for (const property_value& each : p->properties) {
        if (each.id == property::subscription_identifier)
            ids.push_back(each.number);
    }
    EXPECT_EQ(ids, (std::vector<std::uint32_t>{5, 300}));
    EXPECT_EQ(decode_all<publish>(out, client_5).reason(), fault::subscription_id_from_client);  // [MQTT-3.3.4-6]
}

}  // namespace
}  // namespace linnet::mqtt::test
