#include "protocol/mqtt/frame.hpp"
#include "tests/protocol/mqtt_support.hpp"
#include "tests/support/clause.hpp"

#include <gtest/gtest.h>

#include <array>

namespace linnet::mqtt::test {
namespace {

using linnet::test::clause;
using linnet::test::mqtt_3_1_1;
using linnet::test::mqtt_5;

std::string shown(std::uint32_t value) {
    std::array<std::uint8_t, 4> out{};
    return to_hex({out.data(), put_varint(out.data(), value)});
}

// [MQTT-1.5.5-1] Table 1-1, and the example of 3.1.1's section 2.2.3.
TEST(MqttVarint, HasTheBytesOfTheSpecification) {
    clause(mqtt_5, {"MQTT-1.5.5-1"});
    const std::pair<std::uint32_t, std::string_view> table[] = {
        {0, "00"},       {64, "40"},        {127, "7f"},         {128, "8001"},         {321, "c102"},
        {16383, "ff7f"}, {16384, "808001"}, {2097151, "ffff7f"}, {2097152, "80808001"}, {268435455, "ffffff7f"}};
    for (const auto& [value, hex] : table) {
        EXPECT_EQ(shown(value), hex);
        EXPECT_EQ(varint_size(value), hex.size() / 2);
        const bytes input = from_hex(hex);
        for (std::size_t size = 0; size < input.size(); ++size) {
            const auto part = decode_varint(wire::bytes_view{input}.first(size));
            ASSERT_TRUE(part.needs_more());
            EXPECT_EQ(part.bytes_needed(), size + 1);
        }
        const auto whole = decode_varint(input);
        ASSERT_TRUE(whole);
        EXPECT_EQ(whole->value, value);
        EXPECT_EQ(whole->bytes, input.size());
        EXPECT_TRUE(whole->is_minimal());
    }
}

TEST(MqttVarint, IsRefusedBeyondFourBytes) {
    EXPECT_EQ(decode_varint(from_hex("80 80 80 80")).reason(), fault::varint_too_long);
    EXPECT_EQ(decode_varint(from_hex("ff ff ff ff 01")).reason(), fault::varint_too_long);
    EXPECT_FALSE(decode_varint(from_hex("80 00"))->is_minimal());
    EXPECT_FALSE(decode_varint(from_hex("ff 80 80 00"))->is_minimal());
}

// What table 2-1 and table 2-2 allow as first byte, written as the tables are.
struct first_byte_rule {
    packet_type type;
    bool client;
    bool server;
    int flags;  // -1: PUBLISH
};
constexpr first_byte_rule first_bytes[] = {
    {packet_type::connect, true, false, 0},  {packet_type::connack, false, true, 0},
    {packet_type::publish, true, true, -1},  {packet_type::puback, true, true, 0},
    {packet_type::pubrec, true, true, 0},    {packet_type::pubrel, true, true, 2},
    {packet_type::pubcomp, true, true, 0},   {packet_type::subscribe, true, false, 2},
    {packet_type::suback, false, true, 0},   {packet_type::unsubscribe, true, false, 2},
    {packet_type::unsuback, false, true, 0}, {packet_type::pingreq, true, false, 0},
    {packet_type::pingresp, false, true, 0}, {packet_type::disconnect, true, true, 0},
    {packet_type::auth, true, true, 0},
};

bool is_expected(unsigned byte, dialect spoken) {
    for (const first_byte_rule& rule : first_bytes) {
        if (static_cast<unsigned>(rule.type) != byte >> 4)
            continue;
        const bool is_v5 = spoken.spoken == version::v5;
        if (!(spoken.sender == role::client ? rule.client : rule.server))
            return false;
        if (!is_v5 &&
            (rule.type == packet_type::auth || (rule.type == packet_type::disconnect && spoken.sender == role::server)))
            return false;
        if (spoken.spoken == version::unknown && rule.type != packet_type::connect)
            return false;
        if (rule.flags >= 0)
            return spoken.spoken == version::v3_1 || spoken.spoken == version::unknown ||
                   static_cast<unsigned>(rule.flags) == (byte & 15U);
        const unsigned level = byte >> 1 & 3;
        return level != 3 && (level != 0 || (byte & 8) == 0 || spoken.spoken == version::v3_1);
    }
    return false;
}

TEST(MqttFrame, JudgesEveryFirstByteInEveryDialect) {
    clause(mqtt_5, {"MQTT-2.1.3-1", "MQTT-3.1.0-1", "MQTT-3.3.1-2", "MQTT-3.3.1-4", "MQTT-3.6.1-1", "MQTT-3.8.1-1",
                    "MQTT-3.10.1-1", "MQTT-3.14.1-1", "MQTT-3.15.1-1"});
    clause(mqtt_3_1_1, {"MQTT-2.2.2-1", "MQTT-2.2.2-2", "MQTT-3.1.0-1", "MQTT-3.3.1-2", "MQTT-3.3.1-4", "MQTT-3.6.1-1",
                        "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1"});
    for (const dialect spoken : {nobody, client_3_1, server_3_1, client_3_1_1, server_3_1_1, client_5, server_5}) {
        for (unsigned byte = 0; byte < 256; ++byte) {
            const std::array<std::uint8_t, 1> input{static_cast<std::uint8_t>(byte)};
            const auto found = decode_frame(input, spoken);
            EXPECT_EQ(found.needs_more(), is_expected(byte, spoken)) << byte;
            EXPECT_FALSE(found.has_value());
            if (found.is_malformed()) {
                EXPECT_EQ(detail::judge_first_byte(input[0], spoken).why, found.reason());
            }
        }
    }
}

TEST(MqttFrame, SaysWhyAFirstByteIsRefused) {
    const auto why = [](std::uint8_t byte, dialect spoken) {
        return decode_frame(std::array<std::uint8_t, 1>{byte}, spoken).reason();
    };
    EXPECT_EQ(why(0x00, client_5), fault::packet_type_reserved);
    EXPECT_EQ(why(0x0F, client_3_1), fault::packet_type_reserved);
    EXPECT_EQ(why(0xF0, client_3_1_1), fault::packet_type_reserved);
    EXPECT_EQ(why(0xC0, nobody), fault::connect_expected);  // [MQTT-3.1.0-1]
    EXPECT_EQ(why(0x16, client_5), fault::flags_reserved);
    EXPECT_EQ(why(0x20, client_5), fault::packet_type_unexpected);
    EXPECT_EQ(why(0xE0, server_3_1_1), fault::packet_type_unexpected);
    EXPECT_EQ(why(0x36, client_5), fault::qos_invalid);         // [MQTT-3.3.1-4]
    EXPECT_EQ(why(0x38, client_5), fault::dup_without_qos);     // [MQTT-3.3.1-2]
    EXPECT_EQ(why(0x60, client_5), fault::flags_reserved);      // [MQTT-3.6.1-1]
    EXPECT_EQ(why(0x80, client_5), fault::flags_reserved);      // [MQTT-3.8.1-1]
    EXPECT_EQ(why(0xA0, client_3_1_1), fault::flags_reserved);  // [MQTT-3.10.1-1]
    EXPECT_EQ(why(0xE1, client_5), fault::flags_reserved);      // [MQTT-3.14.1-1]
    EXPECT_EQ(why(0xF8, server_5), fault::flags_reserved);      // [MQTT-3.15.1-1]
}

TEST(MqttFrame, AnyPrefixNeedsMoreAndSaysHowMuch) {
    for (const std::size_t body_bytes :
         {std::size_t{0}, std::size_t{5}, std::size_t{127}, std::size_t{128}, std::size_t{20000}}) {
        bytes input(fixed_header_bytes_max);
        input.resize(static_cast<std::size_t>(put_fixed_header(input.data(), packet_type::publish, 0, body_bytes) -
                                              input.data()));
        const std::size_t header = input.size();
        input.resize(header + body_bytes);
        for (std::size_t size = 0; size < input.size(); size += size < 10 ? 1 : 97) {
            const auto part = decode_frame(wire::bytes_view{input}.first(size), client_5);
            ASSERT_TRUE(part.needs_more());
            EXPECT_EQ(part.bytes_needed(), size < 2 ? 2 : size < header ? size + 1 : input.size());
        }
        input.push_back(0x30);  // the next one
        const auto whole = decode_frame(input, client_5);
        ASSERT_TRUE(whole);
        EXPECT_EQ(whole->size(), header + body_bytes);
        EXPECT_EQ(whole->body.size(), body_bytes);
        EXPECT_EQ(whole->body.data(), input.data() + header);
    }
}

// [MQTT-3.2.2-15] With the last byte of the length, before any of the body has come.
TEST(MqttFrame, RefusesATooLargePacketBeforeItsBody) {
    const bytes header = from_hex("30 c1 02");  // 3 + 321
    EXPECT_TRUE(decode_frame(header, client_5, 324).needs_more());
    EXPECT_EQ(decode_frame(header, client_5, 323).reason(), fault::packet_too_large);
    EXPECT_EQ(reason_code_of(fault::packet_too_large), reason_code::packet_too_large);
    EXPECT_EQ(decode_fixed_header(header, client_5, 324)->packet_bytes(), 324U);
    EXPECT_EQ(decode_frame(from_hex("30 ff ff ff 7f"), client_5).bytes_needed(), packet_bytes_max);
    EXPECT_EQ(decode_frame(from_hex("30 ff ff ff ff"), client_5).reason(), fault::remaining_length_too_long);
}

// [MQTT-1.5.5-1] MQTT 3 does not say so.
TEST(MqttFrame, RefusesALengthInMoreBytesThanItNeedsInMqtt5) {
    clause(mqtt_5, {"MQTT-1.5.5-1"});
    const bytes input = from_hex("c0 80 00");
    EXPECT_EQ(decode_frame(input, client_5).reason(), fault::varint_not_minimal);
    EXPECT_EQ(decode_frame(input, client_3_1_1)->size(), 3U);
    // Of CONNECT it is known only when its body is.
    const bytes first = from_hex("10 8d 00 00 04 4d 51 54 54 05 02 00 00 00 00 00");
    const auto found = decode_frame(first, nobody);
    ASSERT_TRUE(found);
    EXPECT_EQ(decode<connect>(*found, nobody).reason(), fault::varint_not_minimal);
}

TEST(MqttFault, EachNamesACodeAndAClause) {
    for (unsigned number = 0; number <= static_cast<unsigned>(last_fault); ++number) {
        const auto why = static_cast<fault>(number);
        EXPECT_TRUE(is_failure(reason_code_of(why)));
        EXPECT_NE(reason_code_of(why), reason_code::unspecified_error) << describe(why);
        EXPECT_NE(describe(why), "unknown fault");
        // Long enough to help, short enough for a reason string.
        EXPECT_LT(describe(why).size(), 120U);
        // [MQTT-3.4.2-1] to [MQTT-3.15.2-1]: they can all be said in DISCONNECT, or in CONNACK.
        EXPECT_TRUE(is_legal(reason_code_of(why), packet_type::disconnect, role::server) ||
                    is_legal(reason_code_of(why), packet_type::connack, role::server));
    }
}

}  // namespace
}  // namespace linnet::mqtt::test
