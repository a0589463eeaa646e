// Requests and answers between AMQP and MQTT 5 clients, neither of which knows of the other's protocol.

#include "tests/core/random_seed.hpp"
#include "tests/session/conversation.hpp"
#include "tests/session/mqtt_conversation.hpp"

#include <random>
#include <regex>
#include <string>
#include <vector>

namespace linnet::session::test {
namespace {

using amqp::property;

// Tokens differ from run to run.
[[nodiscard]] std::string masked(const std::string& text) {
    return std::regex_replace(text, std::regex("[0-9a-f]{32}"), "TOKEN");
}
[[nodiscard]] std::string token_in(const std::string& text) {
    std::smatch found;
    EXPECT_TRUE(std::regex_search(text, found, std::regex("[0-9a-f]{32}"))) << text;
    return found.str();
}

class RepliesAcross : public testing::TestWithParam<int> {
protected:
    [[nodiscard]] static core::broker_options options() {
        auto o = world::options();
        o.shards = static_cast<std::uint16_t>(GetParam());
        return o;
    }
    void SetUp() override {
        amqp.send(1, amqp::queue_declare{.queue = "requests"});
        amqp.send(1, amqp::queue_bind{.queue = "requests", .exchange = "amq.topic", .routing_key = "do.#"});
        amqp.send(1, amqp::queue_declare{.queue = "back"});
        static_cast<void>(amqp.said());
    }
    // The properties of what has been delivered to the AMQP peer, which says nothing else.
    [[nodiscard]] std::string delivered_block() {
        const auto raw = amqp.said_raw();
        const auto method = amqp::decode_frame(raw, 0);
        const auto head = method ? amqp::decode_frame(std::span(raw).subspan(method->size()), 0) : method;
        if (!head || head->type != amqp::frame_type::header) {
            ADD_FAILURE() << "no delivery";
            return {};
        }
        const auto block = amqp::decode_content_header(head->payload)->properties;
        return std::string(wire::as_text(block));
    }
    [[nodiscard]] static amqp::basic_properties_view view(const std::string& block) {
        return *amqp::basic_properties_view::parse(wire::as_bytes(block));
    }
    [[nodiscard]] static std::string block_of(std::string_view correlation, std::string_view reply_to = {}) {
        amqp::basic_properties_builder b;
        if (!correlation.empty()) {
            b.set_text(property::correlation_id, correlation);
        }
        if (!reply_to.empty()) {
            b.set_text(property::reply_to, reply_to);
        }
        return b.encode();
    }
    [[nodiscard]] core::shard& far() { return *w.shards.back(); }

    world w{options()};
    scripted_peer amqp{w, *w.shards[0], 1};
};

TEST_P(RepliesAcross, AnAmqpRequesterWithAQueueIsAnsweredOverMqtt) {
    mqtt_peer responder(w, far(), "responder", v5);
    responder.subscribed("do/#", 1);
    amqp.publish(1, "amq.topic", "do.this", "7", {.block = block_of("c1", "back")});
    const auto request = responder.said();
    EXPECT_EQ(masked(request), "PUBLISH do/this 7 [Response Topic=$reply/TOKEN, Correlation Data=c1]");
    const auto topic = "$reply/" + token_in(request);
    responder.publish(
        topic, "49", 1, 1,
        some_properties{}.with<mqtt::property::correlation_data>(wire::as_bytes(std::string_view("c1"))).block());
    EXPECT_EQ(responder.said(), "PUBACK 1");
    amqp.send(1, amqp::basic_get{.queue = "back", .no_ack = true});
    const auto block = delivered_block();
    EXPECT_EQ(view(block).correlation_id(), "c1");
    responder.publish(topic, "50", 1, 2);
    EXPECT_EQ(responder.said(), "PUBACK 2 10") << "a request has one answer";
    responder.publish(topic, "50", 2, 3);
    EXPECT_EQ(responder.said(), "PUBREC 3 10");
    responder.publish("$reply/" + std::string(32, '0'), "guessed", 1, 4);
    EXPECT_EQ(responder.said(), "PUBACK 4 10");
    responder.publish("$reply/nonsense", "guessed", 1, 5);
    EXPECT_EQ(responder.said().substr(0, 11), "PUBACK 5 90");
}

TEST_P(RepliesAcross, ADirectReplyIsAnsweredOverMqttAndItsCorrelationRestored) {
    mqtt_peer responder(w, far(), "responder", v5);
    responder.subscribed("do/#", 1);
    amqp.send(1, amqp::basic_consume{.queue = "amq.rabbitmq.reply-to", .consumer_tag = "r", .no_ack = true});
    static_cast<void>(amqp.said());
    amqp.publish(1, "amq.topic", "do.this", "7", {.block = block_of("c2", "amq.rabbitmq.reply-to")});
    const auto request = responder.said();
    responder.publish("$reply/" + token_in(request), "49", 0);
    EXPECT_EQ(responder.said(), "");
    EXPECT_EQ(view(delivered_block()).correlation_id(), "c2") << "though the responder did not say it";
}

TEST_P(RepliesAcross, AnMqttRequesterIsAnsweredOverAmqp) {
    mqtt_peer requester(w, far(), "requester", v5);
    requester.subscribed("answers/me", 1);
    const std::string binary("\xff\x00\x01", 3);
    const auto ask = [&](std::string_view correlation) {
        requester.publish("do/this", "7", 1, 1,
                          some_properties{}
                              .with<mqtt::property::response_topic>("answers/me")
                              .with<mqtt::property::correlation_data>(wire::as_bytes(correlation))
                              .block());
        EXPECT_EQ(requester.said(), "PUBACK 1");
        amqp.send(1, amqp::basic_get{.queue = "requests", .no_ack = true});
        return delivered_block();
    };
    auto block = ask("c3");
    EXPECT_EQ(view(block).correlation_id(), "c3");
    const std::string address(view(block).reply_to().value_or(""));
    EXPECT_EQ(masked(address), "amq.reply.TOKEN");
    EXPECT_EQ(view(block).headers()->find("x-reply-to-topic")->as_string(), "answers.me") << "as RabbitMQ says it";
    amqp.send(1, amqp::confirm_select{});
    static_cast<void>(amqp.said());
    amqp.publish(1, "", address, "49", {.mandatory = true, .block = block_of("c3")});
    EXPECT_EQ(amqp.said(), "1 basic.ack 1 0");
    EXPECT_EQ(requester.said(), "PUBLISH answers/me 49 [Correlation Data=c3]");
    // Once more, and to one that never was.
    for (const auto& gone : {address, "amq.reply." + std::string(32, 'a')}) {
        amqp.publish(1, "", gone, "x", {.mandatory = true});
        const auto said = amqp.said();
        EXPECT_EQ(said.substr(0, said.find('\n')), "1 basic.return 312 NO_ROUTE \"\" " + gone);
        EXPECT_NE(said.find("1 basic.ack"), std::string::npos) << said;
        amqp.publish(1, "", gone, "x");
        EXPECT_EQ(amqp.said().substr(0, 11), "1 basic.ack") << "as to any queue that is not there";
    }
    // What is no text cannot be a correlation_id.
    block = ask(binary);
    EXPECT_FALSE(view(block).correlation_id());
    EXPECT_EQ(view(block).headers()->find("x-correlation-id")->as_string(), binary);
    amqp.publish(1, "", *view(block).reply_to(), "50");
    EXPECT_EQ(amqp.said().substr(0, 11), "1 basic.ack");
    EXPECT_EQ(requester.said(), "PUBLISH answers/me 50 [Correlation Data=" + binary + "]") << "restored";
    block = ask(std::string(300, 'l'));
    amqp.publish(1, "", *view(block).reply_to(), "51", {.block = block_of("not this")});
    EXPECT_EQ(requester.said(), "PUBLISH answers/me 51 [Correlation Data=" + std::string(300, 'l') + "]");
}

TEST_P(RepliesAcross, WithoutConfirmsAnAnswerToNobodyIsReturnedAsWell) {
    const auto gone = "amq.reply." + std::string(31, 'b');
    for (const char last : {'1', '2', '3', '4'}) {  // on whatever shard it would be
        amqp.publish(1, "", gone + last, "x", {.mandatory = true});
        const auto said = amqp.said();
        EXPECT_EQ(said.substr(0, said.find('\n')), "1 basic.return 312 NO_ROUTE \"\" " + gone + last);
    }
    amqp.publish(1, "", gone + 'x', "x", {.mandatory = true});
    EXPECT_NE(amqp.said().find("NO_ROUTE"), std::string::npos) << "no token, and no queue";
    amqp.send(1, amqp::tx_select{});
    amqp.publish(1, "", gone + '1', "x", {.mandatory = true});
    EXPECT_EQ(amqp.said(), "1 tx.select-ok");
    amqp.send(1, amqp::tx_commit{});
    const auto said = amqp.said();
    EXPECT_NE(said.find("NO_ROUTE"), std::string::npos) << said;
    EXPECT_TRUE(said.ends_with("1 tx.commit-ok")) << said;
}

TEST_P(RepliesAcross, ARequestThatIsDeliveredAgainHasTheSameToken) {
    mqtt_peer requester(w, far(), "requester", v5);
    requester.publish("do/this", "7", 1, 1,
                      some_properties{}.with<mqtt::property::response_topic>("answers/me").block());
    static_cast<void>(requester.said());
    std::string first;
    for (std::uint64_t i = 1; i <= 5; ++i) {
        amqp.send(1, amqp::basic_get{.queue = "requests"});
        const auto block = delivered_block();
        const std::string address(view(block).reply_to().value_or(""));
        first = first.empty() ? address : first;
        EXPECT_EQ(address, first);
        amqp.send(1, amqp::basic_nack{.delivery_tag = i, .requeue = true});
    }
}

TEST_P(RepliesAcross, NobodyIsMadeToPublishWhereTheRequesterMayNot) {
    // "limited" may do anything with names that begin with "open" only.
    mqtt_login limited = v5;
    limited.user = "limited";
    w.mqtt.exchange = "open-topic";
    amqp.send(1, amqp::exchange_declare{.exchange = "open-topic", .type = "topic"});
    amqp.send(1, amqp::queue_bind{.queue = "requests", .exchange = "open-topic", .routing_key = "#"});
    static_cast<void>(amqp.said());
    mqtt_peer requester(w, far(), "requester", limited);
    requester.publish("do/this", "7", 1, 1,
                      some_properties{}.with<mqtt::property::response_topic>("$queue/back").block());
    EXPECT_EQ(requester.said(), "PUBACK 1");
    amqp.send(1, amqp::basic_get{.queue = "requests", .no_ack = true});
    EXPECT_EQ(view(delivered_block()).reply_to(), "back") << "its own words, for those who may";
    // The other way the responder needs no right but to know the token.
    mqtt_peer responder(w, far(), "responder", limited);
    responder.subscribed("ask", 1);
    amqp.publish(1, "open-topic", "ask", "7", {.block = block_of("c", "back")});
    const auto request = responder.said();
    responder.publish("$reply/" + token_in(request), "49", 1, 1);
    EXPECT_EQ(responder.said(), "PUBACK 1");
    responder.publish("$queue/back", "50", 1, 2);
    EXPECT_EQ(responder.said().substr(0, 11), "PUBACK 2 87");
    scripted_peer worker(w, far());
    worker.open("limited");
    worker.send(1, amqp::channel_open{});
    static_cast<void>(worker.said());
    worker.publish(1, "", "amq.reply." + token_in(request), "late", {.mandatory = true});
    EXPECT_NE(worker.said().find("NO_ROUTE"), std::string::npos);
    worker.publish(1, "", "back", "x");
    EXPECT_EQ(worker.said().substr(0, 19), "1 channel.close 403");
}

TEST_P(RepliesAcross, RabbitMqsHeadersAreHonoured) {
    mqtt_peer responder(w, far(), "responder", v5);
    responder.subscribed("do/#", 1);
    const std::string binary("\xff\x00", 2);
    amqp::table_builder headers;
    headers.put("x-reply-to-topic", std::string_view{"answers.here"});
    headers.put("x-correlation-id", amqp::byte_array_value{wire::as_bytes(binary)});
    amqp.publish(1, "amq.topic", "do.this", "7",
                 {.block = amqp::basic_properties_builder{}.set_headers(headers.view()).encode()});
    EXPECT_EQ(responder.said(), "PUBLISH do/this 7 [Response Topic=answers/here, Correlation Data=" + binary + "]");
}

TEST_P(RepliesAcross, WithinAProtocolNothingIsTranslated) {
    amqp.publish(1, "", "requests", "7", {.block = block_of("c", "back")});
    amqp.send(1, amqp::basic_get{.queue = "requests", .no_ack = true});
    EXPECT_EQ(delivered_block(), block_of("c", "back"));
    mqtt_peer a(w, "a", v5);
    mqtt_peer b(w, far(), "b", v5);
    b.subscribed("ask");
    a.publish("ask", "7", 0, 0, some_properties{}.with<mqtt::property::response_topic>("answers/me").block());
    EXPECT_EQ(b.said(), "PUBLISH ask 7 [Response Topic=answers/me]");
}

// ---- Blocks --------------------------------------------------------------------------------------

// Whatever a correlation is, it is what the block says afterwards, and nothing else of it has changed.
TEST(ReplyBlocks, HaveTheCorrelationThatTheyAreGiven) {
    const auto seed = linnet::test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const auto bytes = [&](std::size_t most) {
        std::string made(random() % most, '\0');
        for (auto& c : made) {
            c = static_cast<char>(random() % 4 == 0 ? random() : 'a' + random() % 26);
        }
        return made;
    };
    for (int i = 0; i < 2000; ++i) {
        core::neutral_properties p;
        p.content_type = "text/plain";
        p.headers = {{"n", core::make_int64(i)}};
        if (random() % 2 == 0) {
            p.correlation_id = bytes(random() % 2 == 0 ? 20 : 600);
        }
        const auto correlation = bytes(random() % 2 == 0 ? 20 : 600);
        const auto check = [&](const core::property_reader& reader, const std::string& block) {
            const auto before = reader.read(wire::as_bytes(block), {});
            const auto changed = reader.with_correlation(wire::as_bytes(block), correlation);
            const auto after = reader.read(wire::as_bytes(changed), {});
            EXPECT_EQ(after.correlation_id, correlation);
            EXPECT_EQ(after.content_type, before.content_type);
            EXPECT_EQ(after.headers, before.headers);
            EXPECT_EQ(reader.answers_to(wire::as_bytes(changed)), reader.answers_to(wire::as_bytes(block)));
        };
        check(amqp_reader(), to_block(p));
        std::string properties;
        append_properties(properties, p);
        const mqtt_address answers{"x", bytes(300)};
        std::string block;
        write_block(block, 1, 7, mqtt::property_block::trusted(wire::as_bytes(properties)),
                    random() % 2 == 0 ? &answers : nullptr);
        check(mqtt_reader(), block);
    }
}

// A log whose bytes were changed may show any block.
TEST(ReplyBlocks, OfAnyBytesAreReadWithinTheirBounds) {
    const auto seed = linnet::test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    for (int i = 0; i < 20'000; ++i) {
        std::string made(random() % 40, '\0');
        for (auto& c : made) {
            c = static_cast<char>(random() % 3 == 0 ? random() : random() % 6);
        }
        // Of its exact size: what lies behind is not ours.
        const std::vector<std::uint8_t> block(made.begin(), made.end());
        const auto read = read_block(block);
        EXPECT_LE(read.properties.size() + read.answer_exchange.size() + read.answer_key.size(), block.size());
    }
}

INSTANTIATE_TEST_SUITE_P(Shards, RepliesAcross, testing::Values(1, 2));

}  // namespace
}  // namespace linnet::session::test
