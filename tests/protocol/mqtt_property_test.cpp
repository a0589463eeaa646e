#include "protocol/mqtt/property_writing.hpp"
#include "tests/protocol/mqtt_support.hpp"
#include "tests/support/clause.hpp"

#include <gtest/gtest.h>

namespace linnet::mqtt::test {
namespace {

using linnet::test::clause;
using linnet::test::mqtt_5;

// Table 2-4, as the specification prints it: the letters say where a property may stand.
//   C CONNECT  K CONNACK  P PUBLISH  W will  A PUBACK, PUBREC, PUBREL, PUBCOMP  S SUBSCRIBE  R SUBACK, UNSUBACK
//   U UNSUBSCRIBE  D DISCONNECT  H AUTH
struct table_row {
    std::string_view name;
    unsigned id;
    property_type type;
    std::string_view places;
};
constexpr table_row table_2_4[] = {
    {"Payload Format Indicator", 0x01, property_type::byte, "PW"},
    {"Message Expiry Interval", 0x02, property_type::u32, "PW"},
    {"Content Type", 0x03, property_type::text, "PW"},
    {"Response Topic", 0x08, property_type::text, "PW"},
    {"Correlation Data", 0x09, property_type::binary, "PW"},
    {"Subscription Identifier", 0x0B, property_type::varint, "PS"},
    {"Session Expiry Interval", 0x11, property_type::u32, "CKD"},
    {"Assigned Client Identifier", 0x12, property_type::text, "K"},
    {"Server Keep Alive", 0x13, property_type::u16, "K"},
    {"Authentication Method", 0x15, property_type::text, "CKH"},
    {"Authentication Data", 0x16, property_type::binary, "CKH"},
    {"Request Problem Information", 0x17, property_type::byte, "C"},
    {"Will Delay Interval", 0x18, property_type::u32, "W"},
    {"Request Response Information", 0x19, property_type::byte, "C"},
    {"Response Information", 0x1A, property_type::text, "K"},
    {"Server Reference", 0x1C, property_type::text, "KD"},
    {"Reason String", 0x1F, property_type::text, "KARDH"},
    {"Receive Maximum", 0x21, property_type::u16, "CK"},
    {"Topic Alias Maximum", 0x22, property_type::u16, "CK"},
    {"Topic Alias", 0x23, property_type::u16, "P"},
    {"Maximum QoS", 0x24, property_type::byte, "K"},
    {"Retain Available", 0x25, property_type::byte, "K"},
    {"User Property", 0x26, property_type::text_pair, "CKPWASRUDH"},
    {"Maximum Packet Size", 0x27, property_type::u32, "CK"},
    {"Wildcard Subscription Available", 0x28, property_type::byte, "K"},
    {"Subscription Identifier Available", 0x29, property_type::byte, "K"},
    {"Shared Subscription Available", 0x2A, property_type::byte, "K"},
};
static_assert(std::size(table_2_4) == property_count);

const table_row* row_of(unsigned id) {
    const auto* found = std::find_if(std::begin(table_2_4), std::end(table_2_4),
                                     [id](const table_row& each) { return each.id == id; });
    return found == std::end(table_2_4) ? nullptr : found;
}

struct place {
    char letter;
    const property_rules* rules;
};
std::vector<place> all_places() {
    return {{'C', &rules_of(packet_type::connect)},    {'K', &rules_of(packet_type::connack)},
            {'P', &rules_of(packet_type::publish)},    {'W', &will_rules()},
            {'A', &rules_of(packet_type::puback)},     {'A', &rules_of(packet_type::pubrec)},
            {'A', &rules_of(packet_type::pubrel)},     {'A', &rules_of(packet_type::pubcomp)},
            {'S', &rules_of(packet_type::subscribe)},  {'R', &rules_of(packet_type::suback)},
            {'R', &rules_of(packet_type::unsuback)},   {'U', &rules_of(packet_type::unsubscribe)},
            {'D', &rules_of(packet_type::disconnect)}, {'H', &rules_of(packet_type::auth)}};
}

// A good value of that property.
property_value sample(property id) {
    switch (type_of(id)) {
        case property_type::byte:
        case property_type::u16:
        case property_type::u32:
        case property_type::varint: return {.id = id, .number = 1};
        case property_type::text:
        case property_type::binary: return {.id = id, .text = "t"};
        case property_type::text_pair: return {.id = id, .text = "n", .value = "v"};
        case property_type::none: break;
    }
    return {.id = id};
}

std::string written(std::initializer_list<property_value> values) {
    std::string out;
    for (const property_value& each : values)
        append_property(out, each);
    return out;
}

decoded<property_block> parse(std::string_view block, const property_rules& rules) {
    return property_block::parse(wire::as_bytes(block), rules);
}

TEST(MqttProperty, IsWhatTheTableSays) {
    for (unsigned id = 0; id < 256; ++id) {
        const table_row* row = row_of(id);
        EXPECT_EQ(type_of(static_cast<property>(id)), row == nullptr ? property_type::none : row->type);
        EXPECT_EQ(property_name(static_cast<property>(id)), row == nullptr ? "" : row->name);
    }
}

// 2.2.2.2: unknown or misplaced is malformed, repeated a protocol error; every id in every packet.
// [MQTT-3.8.3-2] is not ours here: SUBSCRIBE may have one subscription identifier, PUBLISH many [MQTT-3.3.4-4].
TEST(MqttProperty, StandsOnlyWhereTheTableAllows) {
    for (const place& where : all_places()) {
        for (unsigned number = 0; number < 256; ++number) {
            SCOPED_TRACE(std::string(1, where.letter) + " " + std::to_string(number));
            const auto id = static_cast<property>(number);
            const table_row* row = row_of(number);
            if (row == nullptr) {
                const char unknown[] = {static_cast<char>(number), 0, 0, 0, 0};
                EXPECT_EQ(parse({unknown, 5}, *where.rules).reason(), fault::property_unknown);
                continue;
            }
            const auto once = parse(written({sample(id)}), *where.rules);
            if (row->places.find(where.letter) == std::string_view::npos) {
                ASSERT_TRUE(once.is_malformed());
                EXPECT_EQ(once.reason(), fault::property_not_allowed);
                EXPECT_EQ(reason_code_of(once.reason()), reason_code::malformed_packet);
                continue;
            }
            ASSERT_TRUE(once);
            EXPECT_TRUE(once->contains(id));
            const bool repeats = id == property::user_property ||
                                 (id == property::subscription_identifier && where.letter == 'P');
            const auto twice = parse(written({sample(id), sample(id)}), *where.rules);
            ASSERT_EQ(twice.has_value(), repeats);
            if (!repeats) {
                EXPECT_EQ(twice.reason(), fault::property_repeated);
                EXPECT_EQ(reason_code_of(twice.reason()), reason_code::protocol_error);
            }
        }
    }
}

// [MQTT-3.3.2-8] and the sections of each: what values may not be.
TEST(MqttProperty, HasOnlyTheValuesThatItMay) {
    clause(mqtt_5, {"MQTT-3.3.2-8"});
    using enum property;
    for (const place& where : all_places()) {
        for (const table_row& row : table_2_4) {
            const auto id = static_cast<property>(row.id);
            if (!where.rules->allowed.contains(id) || row.type == property_type::text_pair ||
                row.type == property_type::text || row.type == property_type::binary)
                continue;
            SCOPED_TRACE(row.name);
            const bool never_zero = id == receive_maximum || id == maximum_packet_size || id == topic_alias ||
                                    id == subscription_identifier;
            const auto with = [&](std::uint32_t number) {
                return parse(written({{.id = id, .number = number}}), *where.rules);
            };
            ASSERT_EQ(with(0).has_value(), !never_zero);
            if (never_zero) {
                EXPECT_EQ(reason_code_of(with(0).reason()), reason_code::protocol_error);
            }
            EXPECT_TRUE(with(1));
            EXPECT_EQ(with(2).has_value(), row.type != property_type::byte);
            EXPECT_EQ(with(255).has_value(), row.type != property_type::byte);
            EXPECT_EQ(with(varint_max).has_value(), row.type != property_type::byte);
        }
    }
}

TEST(MqttProperty, HoldsOnlyGoodStrings) {
    clause(mqtt_5, {"MQTT-1.5.4-1", "MQTT-1.5.4-2", "MQTT-1.5.7-1", "MQTT-3.3.2-13", "MQTT-3.3.2-14", "MQTT-3.3.2-19"});
    const property_rules& rules = rules_of(packet_type::publish);
    EXPECT_EQ(parse(written({{.id = property::response_topic, .text = "a/+"}}), rules).reason(),
              fault::response_topic_invalid);
    EXPECT_EQ(parse(written({{.id = property::response_topic, .text = "#"}}), rules).reason(),
              fault::response_topic_invalid);
    EXPECT_EQ(parse(written({{.id = property::response_topic}}), rules).reason(), fault::response_topic_invalid);
    for (const table_row& row : table_2_4) {
        SCOPED_TRACE(row.name);
        const auto id = static_cast<property>(row.id);
        const property_rules everywhere{{id}};
        const std::string_view nul{"a\0b", 3};
        if (row.type == property_type::text) {
            EXPECT_EQ(parse(written({{.id = id, .text = "\xED\xA0\x80"}}), everywhere).reason(),
                      fault::string_not_utf8);
            EXPECT_EQ(parse(written({{.id = id, .text = nul}}), everywhere).reason(), fault::string_has_nul);
        } else if (row.type == property_type::text_pair) {
            EXPECT_EQ(parse(written({{.id = id, .text = nul, .value = "v"}}), everywhere).reason(),
                      fault::string_has_nul);
            EXPECT_EQ(parse(written({{.id = id, .text = "n", .value = "\xFF"}}), everywhere).reason(),
                      fault::string_not_utf8);
        } else if (row.type == property_type::binary) {
            EXPECT_TRUE(parse(written({{.id = id, .text = std::string_view{"\0\xFF", 2}}}), everywhere));
        }
    }
}

// [MQTT-1.5.5-1] The subscription identifier, too.
TEST(MqttProperty, RefusesBadSubscriptionIdentifiers) {
    clause(mqtt_5, {"MQTT-1.5.5-1"});
    const property_rules& rules = rules_of(packet_type::publish);
    EXPECT_EQ(property_block::parse(from_hex("0b 81 00"), rules).reason(), fault::varint_not_minimal);
    EXPECT_EQ(property_block::parse(from_hex("0b ff ff ff ff 01"), rules).reason(), fault::varint_too_long);
    EXPECT_EQ(property_block::parse(from_hex("0b 80"), rules).reason(), fault::property_length_wrong);
    EXPECT_EQ(property_block::parse(from_hex("8b 00 01"), rules).reason(), fault::property_unknown);
}

// 2.2.2.1: a length that ends within a property.
TEST(MqttProperty, EveryPrefixOfAPropertyIsRefused) {
    for (const table_row& row : table_2_4) {
        const auto id = static_cast<property>(row.id);
        const std::string whole = written({sample(id)});
        EXPECT_EQ(whole.size(), property_size(sample(id)));
        for (std::size_t size = 1; size < whole.size(); ++size) {
            const bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
            EXPECT_EQ(property_block::parse(part, property_rules{{id}}).reason(), fault::property_length_wrong)
                << row.name;
        }
    }
    EXPECT_TRUE(property_block::parse({}, property_rules{}));
    // The length itself, within a packet.
    EXPECT_EQ(decode_all<publish>(from_hex("30 04 00 01 61 80"), client_5).reason(), fault::packet_truncated);
    EXPECT_EQ(decode_all<publish>(from_hex("30 05 00 01 61 80 00"), client_5).reason(), fault::varint_not_minimal);
    EXPECT_EQ(decode_all<publish>(from_hex("30 07 00 01 61 ff ff ff ff"), client_5).reason(), fault::varint_too_long);
    EXPECT_EQ(decode_all<publish>(from_hex("30 05 00 01 61 02 01"), client_5).reason(), fault::property_length_wrong);
}

TEST(MqttProperty, IsFoundByName) {
    std::string out;
    append_property<property::content_type>(out, "text/plain");
    append_user_property(out, "a", "1");
    append_property<property::message_expiry_interval>(out, 4'000'000'000U);
    append_user_property(out, "a", "2");
    append_property<property::payload_format_indicator>(out, std::uint8_t{1});
    append_property<property::topic_alias>(out, std::uint16_t{65535});
    append_property<property::correlation_data>(out, wire::as_bytes("c"));
    const auto block = parse(out, rules_of(packet_type::publish));
    ASSERT_TRUE(block);
    EXPECT_EQ(block->get<property::content_type>(), "text/plain");
    EXPECT_EQ(block->get<property::message_expiry_interval>(), 4'000'000'000U);
    EXPECT_EQ(block->get<property::payload_format_indicator>(), 1);
    EXPECT_EQ(block->get<property::topic_alias>(), 65535);
    EXPECT_EQ(wire::as_text(*block->get<property::correlation_data>()), "c");
    EXPECT_FALSE(block->get<property::response_topic>());
    std::string users;  // [MQTT-3.3.2-18] in their order
    for (const property_value& each : *block) {
        if (each.id == property::user_property)
            users += std::string(each.text) + "=" + std::string(each.value) + ";";
    }
    EXPECT_EQ(users, "a=1;a=2;");
    EXPECT_EQ(property_block::trusted(wire::as_bytes(out)).present(), block->present());
    EXPECT_TRUE(property_block{}.empty());
    EXPECT_EQ(property_block{}.begin(), property_block{}.end());
}

// 3.1.2.11.10, 3.15.2.2.2
TEST(MqttProperty, AuthenticationDataNeedsAMethod) {
    EXPECT_EQ(
        decode_all<connect>(from_hex("10 11 00 04 4d 51 54 54 05 02 00 00 04 16 00 01 78 00 00"), nobody).reason(),
        fault::authentication_data_without_method);
    EXPECT_EQ(decode_all<auth>(from_hex("f0 06 18 04 16 00 01 78"), client_5).reason(),
              fault::authentication_method_missing);
}

}  // namespace
}  // namespace linnet::mqtt::test
