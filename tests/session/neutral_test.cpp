// Property blocks of one protocol for consumers of another, and what x-retain does.
#include "tests/session/conversation.hpp"

#include "broker/core/message_builder.hpp"

namespace linnet::session::test {
namespace {

using core::make_bool;
using core::make_int64;
using core::make_string;
using core::neutral_properties;

// Of a protocol whose blocks are always the same.
class foreign_reader final : public core::property_reader {
public:
    [[nodiscard]] core::value_table headers(block) const override { return {{"unit", make_string("bar")}}; }
    [[nodiscard]] std::optional<core::value> header(block b, std::string_view name) const override {
        const auto all = headers(b);
        const auto* v = core::find(all, name);
        return v == nullptr ? std::nullopt : std::optional(*v);
    }
    [[nodiscard]] std::optional<core::death_log> deaths(block) const override { return std::nullopt; }
    [[nodiscard]] std::string expiration(block) const override { return {}; }
    [[nodiscard]] std::vector<std::string> carbon_copies(block) const override { return {}; }
    [[nodiscard]] std::string message_id(block) const override { return {}; }
    [[nodiscard]] neutral_properties read(block b, const core::message_traits& t) const override {
        neutral_properties p;
        p.headers = headers(b);
        p.content_type = "text/plain";
        p.persistent = t.persistent;
        p.time_to_live = t.time_to_live;
        return p;
    }
};
const foreign_reader the_foreign_reader;

[[nodiscard]] amqp::basic_properties_view view(const std::string& block) {
    return *amqp::basic_properties_view::parse(wire::as_bytes(block));
}
[[nodiscard]] neutral_properties there_and_back(const neutral_properties& p) {
    core::message_traits t;
    t.persistent = p.persistent;
    t.time_to_live = p.time_to_live;
    return amqp_reader().read(wire::as_bytes(to_block(p)), t);
}

TEST(NeutralProperties, SurviveABlockOfOurs) {
    neutral_properties p;
    p.content_type = "a";
    p.content_encoding = "b";
    p.headers = {{"n", make_int64(5)}, {"t", make_bool(true)}, {"s", make_string("x")}};
    p.priority = 7;
    p.persistent = true;
    p.correlation_id = std::string("\0\xff", 2);
    p.reply_to = "c";
    p.message_id = "d";
    p.timestamp_s = 1'700'000'000;
    p.type = "e";
    p.user_id = "f";
    p.app_id = "g";
    p.time_to_live = 1500 * ns_per_ms;
    const auto q = there_and_back(p);
    EXPECT_EQ(q.content_type, p.content_type);
    EXPECT_EQ(q.content_encoding, p.content_encoding);
    EXPECT_EQ(q.headers, p.headers);
    EXPECT_EQ(q.priority, p.priority);
    EXPECT_EQ(q.correlation_id, p.correlation_id);
    EXPECT_EQ(q.reply_to, p.reply_to);
    EXPECT_EQ(q.message_id, p.message_id);
    EXPECT_EQ(q.timestamp_s, p.timestamp_s);
    EXPECT_EQ(q.type, p.type);
    EXPECT_EQ(q.user_id, p.user_id);
    EXPECT_EQ(q.app_id, p.app_id);
    EXPECT_EQ(view(to_block(p)).delivery_mode(), 2);
    EXPECT_EQ(view(to_block(p)).expiration(), "1500");
}

TEST(NeutralProperties, LoseNothingThatCanBeSaid) {
    neutral_properties p;
    p.correlation_id = std::string(256, 'x');
    p.headers = {{"twice", make_string("1")},
                 {"between", make_string("2")},
                 {"twice", make_string("3")},
                 {std::string(256, 'n'), make_string("cannot be named")}};
    p.time_to_live = 1;
    const auto block = to_block(p);
    EXPECT_EQ(view(block).expiration(), "1") << "rounded up";
    EXPECT_FALSE(view(block).correlation_id());
    const auto headers = amqp_reader().headers(wire::as_bytes(block));
    ASSERT_EQ(headers.size(), 3U);
    EXPECT_EQ(headers[0].first, "twice");
    EXPECT_EQ(std::get<core::value_array>(headers[0].second.data),
              (core::value_array{make_string("1"), make_string("3")}));
    EXPECT_EQ(headers[2], core::table_entry("x-correlation-id", {core::value_type::bytes, std::string(256, 'x')}));
}

class Crossing : public testing::Test {
protected:
    [[nodiscard]] static core::broker_options options() {
        auto o = world::options();
        o.readers[static_cast<std::size_t>(core::protocol_tag::mqtt)] = &the_foreign_reader;
        return o;
    }
    void publish_foreign(std::string_view key) {
        w.shard->begin_turn();
        const auto* v = w.shard->topology().find_vhost("/");
        core::route_memo memo;
        const auto r = w.shard->find_route(*v, "", key, &the_foreign_reader, {}, memo);
        core::message_traits t;
        t.properties_of = core::protocol_tag::mqtt;
        auto m = core::make_message(w.shard->pool(), "", key, wire::as_bytes(std::string_view("\x01\x02")),
                                    wire::as_bytes(std::string_view("body")), t);
        w.shard->publish(std::move(m), *v, r, {}, 0, 0);
        w.end_turn();
    }
    world w{options()};
    scripted_peer p{w, 1};
};

TEST_F(Crossing, AForeignMessageSpeaksAmqpToItsConsumers) {
    p.send(1, amqp::queue_declare{.queue = "q"});
    static_cast<void>(p.said());
    const auto has_all = [](const std::string& said) {
        return said.find("text/plain") != std::string::npos || said.find("746578742f706c61696e") != std::string::npos;
    };
    publish_foreign("q");
    p.send(1, amqp::basic_get{.queue = "q", .no_ack = true});
    const auto got = p.said();
    EXPECT_TRUE(has_all(got)) << got;
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "c", .no_ack = true});
    static_cast<void>(p.said());
    publish_foreign("q");
    const auto delivered = p.said();
    EXPECT_TRUE(has_all(delivered)) << delivered;
}

TEST_F(Crossing, WhatDiedKeepsWhatItsPublisherSaid) {
    core::message_traits t;
    t.properties_of = core::protocol_tag::mqtt;
    core::message_builder b;
    b.write_whole(w.shard->pool(), "x", "k", {}, wire::as_bytes(std::string_view("body")), t);
    auto deaths = std::make_unique<core::death_log>();
    deaths->rows.push_back({"q", core::death_reason::rejected, "x", {"k"}, 1, 17, ""});
    const auto m = b.finish(std::move(deaths));
    const auto foreign = the_foreign_reader.read({}, t);
    const auto block = properties_with_history(*m, 0, &foreign);
    EXPECT_EQ(view(block).content_type(), "text/plain");
    EXPECT_TRUE(view(block).headers()->contains("unit"));
    EXPECT_TRUE(view(block).headers()->contains("x-death"));
    std::string with_offset;
    properties_with_offset(*m, 5, with_offset, &foreign);
    EXPECT_TRUE(view(with_offset).headers()->contains("x-stream-offset"));
    EXPECT_EQ(view(with_offset).content_type(), "text/plain");
}

TEST_F(Crossing, XRetainKeepsTheLastValue) {
    const auto publish = [&](std::string_view body, bool retain) {
        amqp::table_builder headers;
        headers.put("x-retain", retain);
        p.publish(1, "amq.topic", "tank.1", body,
                  {.block = amqp::basic_properties_builder{}.set_headers(headers.view()).encode()});
    };
    const auto kept = [&] {
        w.shard->begin_turn();
        core::read_retained asked;
        asked.pattern = "tank.#";
        const auto v = core::topology_view::id_of(*w.shard->topology().find_vhost("/"));
        auto r = w.shard->submit({v, {}, 1, std::move(asked)});
        std::string all;
        if (r) {
            for (const auto& e : std::get<core::retained_messages>(*r->result).messages) {
                all.append(reinterpret_cast<const char*>(e.message->body().data()), e.message->body_bytes());
            }
        }
        w.end_turn();
        return all;
    };
    p.send(1, amqp::confirm_select{});
    static_cast<void>(p.said());
    publish("5", true);
    EXPECT_EQ(p.said(), "1 basic.ack 1 0");
    EXPECT_EQ(kept(), "5") << "with no queue bound";
    publish("6", false);
    EXPECT_EQ(kept(), "5");
    publish("", true);
    EXPECT_EQ(kept(), "");
}

}  // namespace
}  // namespace linnet::session::test
