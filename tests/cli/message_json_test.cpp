#include "clients/cli/message_json.hpp"

#include <gtest/gtest.h>

namespace linnet::cli {
namespace {

TEST(MessageJson, KeepsEveryPropertyThereAndBack) {
    const auto all = json_value::parse(R"({
        "content_type": "text/plain", "content_encoding": "gzip", "correlation_id": "c", "reply_to": "r",
        "expiration": "1000", "message_id": "m", "type": "t", "user_id": "u", "app_id": "a", "cluster_id": "k",
        "headers": {"n": -5, "d": 1.5, "b": true, "s": "text", "l": [1, "two", [3], {"x": 1}], "t": {"in": {"ner": 1}},
                    "null": null},
        "delivery_mode": 2, "priority": 9, "timestamp": 1700000000})");
    const auto block = properties_block(all);
    ASSERT_TRUE(block) << block.error().why;
    EXPECT_EQ(properties_json(wire::as_bytes(*block)), all);
}

TEST(MessageJson, RefusesWhatNoMessageHas) {
    for (const char* wrong : {R"({"colour": "red"})", R"({"priority": "high"})", R"({"priority": 256})",
                              R"({"headers": 5})", R"({"timestamp": -1})"}) {
        const auto block = properties_block(json_value::parse(wrong));
        ASSERT_FALSE(block) << wrong;
        EXPECT_EQ(block.error().code, exit_code::usage);
    }
    EXPECT_FALSE(properties_block({{"message_id", std::string(256, 'x')}}));
}

TEST(MessageJson, WritesPayloadsThatAreNoTextInBase64) {
    auto text = json_value::object();
    add_payload(text, "Grüße");
    EXPECT_EQ(text["payload_encoding"], "string");
    EXPECT_EQ(text["payload_bytes"], 7);
    auto bytes = json_value::object();
    add_payload(bytes, "\xff\xfe");
    EXPECT_EQ(bytes["payload"], "//4=");
    EXPECT_EQ(bytes["payload_encoding"], "base64");
}

TEST(MessageJson, TakesAMalformedBlockForNone) {
    EXPECT_EQ(properties_json({}), json_value::object());
    const std::uint8_t cut[] = {0x80, 0x00, 0x05, 'x'};
    EXPECT_EQ(properties_json(cut), json_value::object());
}

}  // namespace
}  // namespace linnet::cli
