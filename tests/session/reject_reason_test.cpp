// Why a message was rejected, as a header of its protocol.

#include "broker/session/reject_reason.hpp"

#include "broker/core/death_log.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "protocol/mqtt/property_writing.hpp"
#include "protocol/wire/bytes.hpp"
#include "tests/session/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace linnet::session::test {
namespace {

using ::testing::ElementsAre;

class RejectReason : public ::testing::Test {
protected:
    core::message_ptr make(const std::string& block, core::protocol_tag tag,
                           std::unique_ptr<core::death_log> log = {}) {
        core::message_traits t{.persistent = true, .priority = 4, .properties_of = tag, .time_to_live = 7};
        core::message_builder b;
        b.write_whole(w.shard->pool(), "x", "key", wire::as_bytes(block), wire::as_bytes(std::string_view("body")), t);
        return b.finish(std::move(log));
    }
    core::message_ptr rejected(const core::message_ptr& m, std::string_view why) {
        return with_reject_reason(w.shard->pool(), *m, why);
    }
    static std::string header_of(const core::message& m, std::string_view name) {
        const bool mqtt = m.properties_of() == core::protocol_tag::mqtt;
        const auto v = mqtt ? mqtt_reader().header(m.properties(), name) : amqp_reader().header(m.properties(), name);
        const auto* text = v ? v->as_string() : nullptr;
        return text == nullptr ? std::string() : *text;
    }
    static void expect_the_rest(const core::message& m) {
        EXPECT_EQ(m.exchange(), "x");
        EXPECT_EQ(m.routing_key(), "key");
        EXPECT_EQ(wire::as_text(m.body()), "body");
        EXPECT_TRUE(m.persistent());
        EXPECT_EQ(m.priority(), 4);
        EXPECT_EQ(m.time_to_live(), 7);
    }

    world w;
};

TEST_F(RejectReason, IsAHeaderAmongAmqpsInPlaceOfAnEarlierOne) {
    core::neutral_properties given;
    given.content_type = "text/plain";
    given.headers = {{"n", core::make_int64(1)}};
    const auto once = rejected(make(to_block(given), core::protocol_tag::amqp091), "first");
    const auto twice = rejected(once, "second");
    const auto said = amqp_reader().read(twice->properties(), twice->traits());
    EXPECT_EQ(said.content_type, "text/plain");
    ASSERT_EQ(said.headers.size(), 2U);
    EXPECT_EQ(said.headers[0].first, "n");
    EXPECT_EQ(header_of(*once, reject_reason_header), "first");
    EXPECT_EQ(header_of(*twice, reject_reason_header), "second");
    expect_the_rest(*twice);
}

TEST_F(RejectReason, IsAUserPropertyOfMqttsWhichKeepsWhereAnswersGo) {
    std::string properties;
    mqtt::append_property<mqtt::property::response_topic>(properties, "back");
    mqtt::append_user_property(properties, "n", "1");
    std::string block;
    const mqtt_address back{"amq.topic", "back"};
    write_block(block, 1, 99, mqtt::property_block::trusted(wire::as_bytes(properties)), &back);
    const auto m = rejected(rejected(make(block, core::protocol_tag::mqtt), "first"), "second");
    const auto read = read_block(m->properties());
    EXPECT_EQ(read.qos, 1);
    EXPECT_EQ(read.publisher, 99U);
    EXPECT_EQ(read.answer_key, "back");
    std::vector<std::string> users;
    for (const auto& p : mqtt::property_block::trusted(read.properties)) {
        if (p.id == mqtt::property::user_property) {
            users.push_back(std::string(p.text) + "=" + std::string(p.value));
        }
    }
    EXPECT_THAT(users, ElementsAre("n=1", "x-reject-reason=second"));
    expect_the_rest(*m);
}

TEST_F(RejectReason, IsAllThatAMessageWithoutPropertiesSays) {
    const auto m = rejected(make("", core::protocol_tag::none), "why");
    EXPECT_EQ(m->properties_of(), core::protocol_tag::amqp091);
    EXPECT_EQ(header_of(*m, reject_reason_header), "why");
    expect_the_rest(*m);
}

TEST_F(RejectReason, KeepsWhatTheMessageDiedOfBefore) {
    auto log = std::make_unique<core::death_log>();
    log->first_queue = "q";
    log->rows.emplace_back().reason = core::death_reason::expired;
    const auto m = rejected(make(to_block({}), core::protocol_tag::amqp091, std::move(log)), "why");
    ASSERT_NE(m->deaths(), nullptr);
    EXPECT_EQ(m->deaths()->rows.at(0).reason, core::death_reason::expired);
}

TEST_F(RejectReason, IsOneLineOfText) {
    EXPECT_TRUE(is_reject_reason("caf\xC3\xA9"));
    EXPECT_TRUE(is_reject_reason(std::string(1024, 'x')));
    EXPECT_FALSE(is_reject_reason(std::string(1025, 'x')));
    for (const std::string_view bad : {"a\nb", "a\rb", "tab\t", "\x7f", "\x1b[2J", "\xff"}) {
        EXPECT_FALSE(is_reject_reason(bad)) << bad;
    }
    EXPECT_FALSE(is_reject_reason({"\0", 1}));
}

}  // namespace
}  // namespace linnet::session::test
