#include "protocol/amqp/content.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/properties_builder.hpp"
#include "tests/protocol/amqp_golden.hpp"
#include "tests/protocol/amqp_random.hpp"
#include "tests/protocol/hex.hpp"

#include <gtest/gtest.h>

namespace linnet::amqp {
namespace {

using linnet::test::bytes;
using linnet::test::from_hex;
using linnet::test::to_hex;

// The summary and the full view must accept and refuse alike.
void expect_refused(const bytes& block, fault why) {
    const auto summary = summarise_properties(block);
    const auto view = basic_properties_view::parse(block);
    ASSERT_TRUE(summary.is_malformed()) << to_hex(block);
    ASSERT_TRUE(view.is_malformed()) << to_hex(block);
    EXPECT_EQ(summary.reason(), why) << to_hex(block) << ": " << describe(summary.reason());
    EXPECT_EQ(view.reason(), why) << to_hex(block) << ": " << describe(view.reason());
}

basic_properties_view properties_in(wire::bytes_view block) {
    const auto view = basic_properties_view::parse(block);
    EXPECT_TRUE(view) << to_hex(block);
    return view ? *view : basic_properties_view{};
}

TEST(ContentHeader, ReadsItsFixedPartAndLeavesTheProperties) {
    const bytes payload = from_hex("003c 0000 0000000000000005 1000 02");
    const auto header = decode_content_header(payload);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->class_number, 60);
    EXPECT_EQ(header->weight, 0);
    EXPECT_EQ(header->body_size, 5U);
    EXPECT_EQ(to_hex(header->properties), "100002");
    for (std::size_t size = 0; size < 14; ++size) {
        const bytes prefix(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_EQ(decode_content_header(prefix).reason(), fault::header_truncated) << size;
    }
    // Whether a class has contents and a body of 2^64 - 1 is welcome is for the session to say.
    EXPECT_EQ(decode_content_header(from_hex("0032 0001 ffffffffffffffff 0000"))->body_size, ~std::uint64_t{0});
}

TEST(Properties, LookAsPikaMakesThem) {
    const bytes stream = from_hex(test::golden_content);
    const auto publish = decode_frame(stream, 0);
    ASSERT_TRUE(publish);
    const auto frame = decode_frame(wire::bytes_view{stream}.subspan(publish->size()), 0);
    ASSERT_TRUE(frame);
    const auto header = decode_content_header(frame->payload);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->body_size, 300U);

    const auto view = properties_in(header->properties);
    EXPECT_EQ(view.flags(), 0xFFFC);
    EXPECT_EQ(view.content_type(), "text/plain");
    EXPECT_EQ(view.content_encoding(), "utf-8");
    EXPECT_EQ(to_hex(view.headers()->contents()), to_hex(test::golden_table().contents()));
    EXPECT_EQ(view.delivery_mode(), 2);
    EXPECT_EQ(view.priority(), 7);
    EXPECT_EQ(view.correlation_id(), "c");
    EXPECT_EQ(view.reply_to(), "r");
    EXPECT_EQ(view.expiration(), "60000");
    EXPECT_EQ(view.message_id(), "m");
    EXPECT_EQ(view.timestamp(), 1700000000U);
    EXPECT_EQ(view.type(), "t");
    EXPECT_EQ(view.user_id(), "guest");
    EXPECT_EQ(view.app_id(), "a");
    EXPECT_EQ(view.cluster_id(), "");

    const auto summary = summarise_properties(header->properties);
    ASSERT_TRUE(summary);
    EXPECT_TRUE(summary->is_persistent());
    EXPECT_EQ(summary->priority, 7);
    EXPECT_EQ(summary->expiration, "60000");
    EXPECT_EQ(summary->reply_to, "r");
    EXPECT_EQ(summary->user_id, "guest");
    EXPECT_EQ(summary->headers.find("x-dead-letter-exchange")->as_string(), "dlx");
    EXPECT_TRUE(summary->has(property::cluster_id));

    basic_properties_builder builder;
    builder.set_text(property::content_type, "text/plain").set_text(property::content_encoding, "utf-8");
    builder.set_headers(test::golden_table())
        .set_delivery_mode(2)
        .set_priority(7)
        .set_text(property::correlation_id, "c");
    builder.set_text(property::reply_to, "r")
        .set_text(property::expiration, "60000")
        .set_text(property::message_id, "m");
    builder.set_timestamp(1700000000).set_text(property::type, "t").set_text(property::user_id, "guest");
    builder.set_text(property::app_id, "a").set_text(property::cluster_id, "");
    EXPECT_EQ(to_hex(wire::as_bytes(builder.encode())), to_hex(header->properties));
}

TEST(Properties, AreAbsentUnlessTheirFlagIsSet) {
    const auto view = properties_in(no_properties);
    EXPECT_EQ(view.flags(), 0);
    EXPECT_FALSE(view.content_type() || view.headers() || view.delivery_mode() || view.timestamp() ||
                 view.cluster_id());
    const auto summary = summarise_properties(no_properties);
    ASSERT_TRUE(summary);
    EXPECT_FALSE(summary->is_persistent());
    EXPECT_EQ(summary->flags, 0);
    EXPECT_EQ(basic_properties_view{}.flags(), 0);
    EXPECT_EQ(to_hex(basic_properties_view{}.block()), "0000");
}

TEST(Properties, AgreeInBothReadingsOnEveryCombinationOfFlags) {
    for (unsigned flags = 0; flags < 1U << 14; ++flags) {
        basic_properties_builder builder;
        const auto set = static_cast<std::uint16_t>(flags << 2);
        for (std::size_t i = 0; i < property_count; ++i) {
            const auto which = static_cast<property>(i);
            if ((set & flag_of(which)) == 0)
                continue;
            if (which == property::headers) {
                builder.set_headers(test::golden_table());
            } else if (which == property::delivery_mode) {
                builder.set_delivery_mode(2);
            } else if (which == property::priority) {
                builder.set_priority(9);
            } else if (which == property::timestamp) {
                builder.set_timestamp(3);
            } else {
                builder.set_text(which, "text-" + std::to_string(i));
            }
        }
        const std::string block = builder.encode();
        ASSERT_EQ(block.size(), builder.encoded_size());
        const auto view = properties_in(wire::as_bytes(block));
        const auto summary = summarise_properties(wire::as_bytes(block));
        ASSERT_TRUE(summary);
        ASSERT_EQ(view.flags(), set);
        ASSERT_EQ(summary->flags, set);
        ASSERT_EQ(view.delivery_mode().value_or(0), summary->delivery_mode);
        ASSERT_EQ(view.priority().value_or(0), summary->priority);
        ASSERT_EQ(view.expiration().value_or(""), summary->expiration);
        ASSERT_EQ(view.reply_to().value_or(""), summary->reply_to);
        ASSERT_EQ(view.user_id().value_or(""), summary->user_id);
        ASSERT_EQ(view.headers().value_or(table_view{}).empty(), summary->headers.empty());
        ASSERT_EQ(basic_properties_builder{view}.encode(), block);
    }
}

TEST(Properties, AreTruncatedAtEveryPrefixAndOverlongWithAByteMore) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("LINNET_TEST_SEED=" + std::to_string(seed));
    test::random_source random{seed};
    for (int i = 0; i < 50; ++i) {
        const wire::bytes_view block = random.properties();
        for (std::size_t size = 0; size < block.size(); ++size) {
            expect_refused(bytes(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(size)),
                           fault::header_truncated);
        }
        bytes longer(block.begin(), block.end());
        longer.push_back(0);
        expect_refused(longer, fault::header_overlong);
    }
}

TEST(Properties, AreRefusedWithFlagsBeyondTheFourteen) {
    expect_refused(from_hex("0002"), fault::property_unknown);
    expect_refused(from_hex("1002 02"), fault::property_unknown);
    expect_refused(from_hex("fffe"), fault::property_unknown);
    // A second word may follow, but nothing in it has a meaning.
    expect_refused(from_hex("0001 8000"), fault::property_unknown);
    expect_refused(from_hex("1001 0002 02"), fault::property_unknown);
    expect_refused(from_hex("0001"), fault::header_truncated);
    expect_refused(from_hex("0001 00"), fault::header_truncated);
    expect_refused(from_hex("0001 0001"), fault::header_truncated);
    expect_refused(from_hex("ffff ffff ffff"), fault::property_unknown);
}

TEST(Properties, AreReadBehindFurtherWordsOfZeros) {
    const bytes block = from_hex("1001 0001 0000 02");
    const auto view = properties_in(block);
    EXPECT_EQ(view.delivery_mode(), 2);
    EXPECT_EQ(view.flags(), 0x1000);
    EXPECT_EQ(summarise_properties(block)->delivery_mode, 2);
    // Built anew, the block has one word.
    EXPECT_EQ(to_hex(wire::as_bytes(basic_properties_builder{view}.encode())), "100002");
}

TEST(Properties, AreRefusedWithABadHeadersTable) {
    expect_refused(from_hex("2000 00000003 016174"), fault::table_truncated);
    expect_refused(from_hex("2000 00000004 016171 01"), fault::field_type_unknown);
    expect_refused(from_hex("2000 00000005 016174 01"), fault::header_truncated);
    expect_refused(from_hex("2000 ffffffff 016174 01"), fault::header_truncated);
    expect_refused(from_hex("2000 000000"), fault::header_truncated);
}

TEST(PropertiesBuilder, ChangesAndRemovesAndKeepsTheRest) {
    basic_properties_builder made;
    made.set_text(property::content_type, "text/plain").set_delivery_mode(2).set_text(property::expiration, "100");
    const std::string block = made.encode();
    basic_properties_builder changed{properties_in(wire::as_bytes(block))};
    changed.remove(property::expiration).remove(property::app_id).set_priority(3).set_priority(4);
    changed.set_headers(table_view{});
    const std::string result = changed.encode();
    EXPECT_EQ(result.size(), changed.encoded_size());
    const auto view = properties_in(wire::as_bytes(result));
    EXPECT_EQ(view.content_type(), "text/plain");
    EXPECT_EQ(view.delivery_mode(), 2);
    EXPECT_EQ(view.priority(), 4);
    EXPECT_FALSE(view.expiration());
    ASSERT_TRUE(view.headers());
    EXPECT_TRUE(view.headers()->empty());
    // What was removed can be set again.
    EXPECT_EQ(to_hex(wire::as_bytes(changed.set_text(property::expiration, "5").remove(property::headers).encode())),
              "9900"
              "0a"
              "746578742f706c61696e"
              "02"
              "04"
              "0135");
}

}  // namespace
}  // namespace linnet::amqp
