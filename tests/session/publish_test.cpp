#include "tests/session/conversation.hpp"

namespace linnet::session::test {
namespace {

std::string with_text(amqp::property which, std::string_view text) {
    return amqp::basic_properties_builder{}.set_text(which, text).encode();
}

std::string with_headers(amqp::table_builder& headers) {
    return amqp::basic_properties_builder{}.set_headers(headers.view()).encode();
}

amqp::table_builder copies(std::string_view name, std::initializer_list<std::string_view> keys) {
    amqp::table_builder t;
    t.begin_array(name);
    for (const auto key : keys) {
        t.add(key);
    }
    t.end();
    return t;
}

TEST(AmqpPublish, ConfirmsABatchWithOneAck) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::confirm_select{});
    p.send(1, amqp::queue_declare{.queue = "q"});
    static_cast<void>(p.said());
    p.publish(1, "", "q", "one");
    EXPECT_EQ(p.said(), "1 basic.ack 1 0");
    p.send(publish_frames(1, "", "q", "2") + publish_frames(1, "", "q", "3") + publish_frames(1, "", "nowhere", "4"));
    EXPECT_EQ(p.said(), "1 basic.ack 4 1");
}

TEST(AmqpPublish, ReturnsBeforeItConfirms) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::confirm_select{});
    static_cast<void>(p.said());
    p.publish(1, "", "nowhere", "m", {.mandatory = true});
    EXPECT_EQ(p.said(), "1 basic.return 312 NO_ROUTE \"\" nowhere\n1 header 1 0000\n1 body m\n1 basic.ack 1 0");
}

TEST(AmqpPublish, RefusesWhatAFullQueueRejects) {
    world w;
    scripted_peer p(w, 1);
    amqp::table_builder arguments;
    arguments.put("x-max-length", std::int32_t{1}).put("x-overflow", std::string_view{"reject-publish"});
    p.send(1, amqp::queue_declare{.queue = "q", .arguments = arguments.view()});
    p.send(1, amqp::confirm_select{});
    static_cast<void>(p.said());
    p.send(publish_frames(1, "", "q", "1") + publish_frames(1, "", "q", "2") + publish_frames(1, "", "nowhere", "3"));
    EXPECT_EQ(p.said(), "1 basic.ack 1 0\n1 basic.nack 2 1 1\n1 basic.ack 3 0");
}

TEST(AmqpPublish, NamesWhatIsWrongWithAMessage) {
    const auto answer = [](std::string_view exchange, const publish_options& o) {
        world w;
        scripted_peer p(w, 1);
        p.publish(1, exchange, "k", "m", o);
        return p.said();
    };
    EXPECT_EQ(answer("nowhere", {}), "1 channel.close 404 NOT_FOUND - no exchange 'nowhere' in vhost '/' 60 40");
    EXPECT_EQ(answer("", {.immediate = true}), "0 connection.close 540 NOT_IMPLEMENTED - immediate=true 60 40");
    EXPECT_EQ(answer("", {.block = with_text(amqp::property::user_id, "other")}),
              "1 channel.close 406 PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was "
              "'guest' 60 40");
    EXPECT_EQ(answer("", {.block = amqp::basic_properties_builder{}.set_delivery_mode(9).encode()}),
              "1 channel.close 406 PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,9} 60 40");
    amqp::table_builder odd;
    odd.put("CC", std::string_view{"no array"});
    EXPECT_EQ(answer("", {.block = with_headers(odd)}), "1 channel.close 406 PRECONDITION_FAILED - invalid message: "
                                                        "{unacceptable_type_in_header,\"CC\",longstr} 60 40");
    EXPECT_EQ(answer("", {.block = "\x40"}),
              "0 connection.close 501 FRAME_ERROR - content header shorter than its fields 60 40");
}

TEST(AmqpPublish, ReadsExpirationsAsRabbitDoes) {
    const auto answer = [](std::string_view text) {
        world w;
        scripted_peer p(w, 1);
        p.publish(1, "", "k", "m", {.block = with_text(amqp::property::expiration, text)});
        return p.said();
    };
    const auto refusal = [](std::string_view text, std::string_view why) {
        return fmt::format("1 channel.close 406 PRECONDITION_FAILED - invalid expiration '{}': {} 60 40", text, why);
    };
    for (const auto* good : {"0", "60000", "+60000", "00060000", "315360000000"}) {
        EXPECT_EQ(answer(good), "") << good;
    }
    EXPECT_EQ(answer("abc"), refusal("abc", "no_integer"));
    EXPECT_EQ(answer(" 60000"), refusal(" 60000", "no_integer"));
    EXPECT_EQ(answer("1.5"), refusal("1.5", "{leftover_string,\".5\"}"));
    EXPECT_EQ(answer("-1"), refusal("-1", "{value_negative,-1}"));
    EXPECT_EQ(answer("315360000001"), refusal("315360000001", "{value_too_large,315360000001}"));
    // Erlang's formatter breaks the line of a long term.
    EXPECT_EQ(answer("99999999999999999999999999"),
              refusal("99999999999999999999999999",
                      "{value_too_large,\\x0a" + std::string(50, ' ') + "99999999999999999999999999}"));
}

TEST(AmqpPublish, SendsCopiesAndHidesTheBlindOnes) {
    world w;
    scripted_peer p(w, 1);
    for (const auto* name : {"a", "b", "c"}) {
        p.send(1, amqp::queue_declare{.queue = name});
    }
    auto headers = copies("CC", {"b"});
    headers.begin_array("BCC").add(std::string_view{"c"}).end();
    p.publish(1, "", "a", "m", {.block = with_headers(headers)});
    static_cast<void>(p.said());
    auto shown = copies("CC", {"b"});
    const auto block = fmt::format("{:02x}", fmt::join(wire::as_bytes(with_headers(shown)), ""));
    for (const auto* name : {"a", "b", "c"}) {
        p.send(1, amqp::basic_get{.queue = name, .no_ack = true});
        const auto got = p.said();
        EXPECT_NE(got.find("\n1 header 1 " + block + "\n1 body m"), std::string::npos) << name << ": " << got;
    }
}

TEST(AmqpPublish, DeliversALargeBodyInFramesOfTheAgreedSize) {
    world w;
    scripted_peer p(w);
    p.open("guest", {2047, 4096, 0});
    p.send(1, amqp::channel_open{});
    p.send(1, amqp::queue_declare{.queue = "q"});
    static_cast<void>(p.said());
    const std::string body(10'000, 'x');
    p.publish(1, "", "q", body, {.frame_max = 4096});
    p.send(1, amqp::basic_get{.queue = "q", .no_ack = true});
    EXPECT_EQ(p.said(), "1 basic.get-ok 1 0 \"\" q 0\n1 header 10000 0000\n1 body of 4088\n1 body of 4088\n"
                        "1 body of 1824");
}

TEST(AmqpPublish, TakesEverySizeOfBodyUnchanged) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::queue_declare{.queue = "q"});
    static_cast<void>(p.said());
    for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 65'535U, 131'064U, 131'065U, 700'000U}) {
        std::string body(size, '\0');
        for (std::size_t i = 0; i < size; ++i) {
            body[i] = static_cast<char>(i * 31 + i / 251);
        }
        p.publish(1, "", "q", body);
        p.send(1, amqp::basic_get{.queue = "q", .no_ack = true});
        const auto raw = p.said_raw();
        std::string got;
        std::size_t used = 0;
        while (const auto f = amqp::decode_frame(std::span(raw).subspan(used), 0)) {
            used += f->size();
            if (f->type == amqp::frame_type::body) {
                got += wire::as_text(f->payload);
            }
        }
        EXPECT_TRUE(got == body) << size;
    }
}

TEST(AmqpPublish, RefusesAMessageOverTheLimitAtItsHeader) {
    world w;
    w.settings.message_bytes_max = 100;
    scripted_peer p(w, 1);
    p.publish(1, "", "q", std::string(101, 'x'));
    EXPECT_EQ(p.said(), "1 channel.close 406 PRECONDITION_FAILED - message size 101 is larger than configured max size "
                        "100 60 40");
}

TEST(AmqpPublish, KeepsContentsOfTwoChannelsApart) {
    world w;
    scripted_peer p(w, 1);
    p.send(2, amqp::channel_open{});
    p.send(1, amqp::queue_declare{.queue = "q"});
    static_cast<void>(p.said());
    // 1 is in the middle of its content while 2 publishes whole ones.
    bytes header(amqp::header_frame_size(amqp::no_properties));
    amqp::put_header_frame(header.data(), 1, 4, amqp::no_properties);
    const auto body = [](std::string_view text) {
        bytes out(amqp::frame_overhead_bytes + text.size());
        amqp::put_body_frame(out.data(), 1, wire::as_bytes(text));
        return out;
    };
    p.send(method_frame(1, amqp::basic_publish{.routing_key = "q"}) + publish_frames(2, "", "q", "a") + header +
           publish_frames(2, "", "q", "b") + body("1") + publish_frames(2, "", "q", "c") + body("234"));
    for (int i = 0; i < 4; ++i) {
        p.send(1, amqp::basic_get{.queue = "q", .no_ack = true});
    }
    const auto lines = p.said();
    std::string bodies;
    for (std::size_t at = 0; (at = lines.find(" body ", at)) != std::string::npos; at += 6) {
        bodies += lines.substr(at + 6, lines.find('\n', at) - at - 6) + " ";
    }
    EXPECT_EQ(bodies, "a b c 1234 ");
}

// ---- Transactions ------------------------------------------------------------------------------

TEST(AmqpTransaction, HoldsPublishesAndAcksUntilTheCommit) {
    world w;
    scripted_peer p(w, 1);
    scripted_peer other(w, 1);
    p.send(1, amqp::queue_declare{.queue = "q"});
    p.publish(1, "", "q", "first");
    p.send(1, amqp::tx_select{});
    p.send(1, amqp::basic_get{.queue = "q"});
    p.publish(1, "", "q", "second");
    p.publish(1, "", "nowhere", "third", {.mandatory = true});
    p.send(1, amqp::basic_ack{.delivery_tag = 1});
    EXPECT_EQ(p.said(), "1 queue.declare-ok q 0 0\n1 tx.select-ok\n1 basic.get-ok 1 0 \"\" q 0\n1 header 5 0000\n"
                        "1 body first");
    other.send(1, amqp::queue_declare{.queue = "q", .passive = true});
    EXPECT_EQ(other.said(), "1 queue.declare-ok q 0 0");
    p.send(1, amqp::tx_commit{});
    EXPECT_EQ(p.said(), "1 basic.return 312 NO_ROUTE \"\" nowhere\n1 header 5 0000\n1 body third\n1 tx.commit-ok");
    other.send(1, amqp::basic_get{.queue = "q", .no_ack = true});
    EXPECT_EQ(other.said(), "1 basic.get-ok 1 0 \"\" q 0\n1 header 6 0000\n1 body second");
    // The ack counted: nothing comes back when the channel goes.
    p.send(1, amqp::channel_close{.code = 200});
    other.send(1, amqp::basic_get{.queue = "q"});
    EXPECT_EQ(other.said(), "1 basic.get-empty \"\"");
}

TEST(AmqpTransaction, ForgetsThemOnRollback) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::queue_declare{.queue = "q"});
    p.publish(1, "", "q", "first");
    p.send(1, amqp::tx_select{});
    p.send(1, amqp::basic_get{.queue = "q"});
    p.publish(1, "", "q", "second");
    p.send(1, amqp::basic_ack{.delivery_tag = 1});
    p.send(1, amqp::tx_rollback{});
    static_cast<void>(p.said());
    p.send(1, amqp::basic_get{.queue = "q"});
    EXPECT_EQ(p.said(), "1 basic.get-empty \"\"");
    // Still unacknowledged: it can be acknowledged again.
    p.send(1, amqp::basic_ack{.delivery_tag = 1});
    p.send(1, amqp::tx_commit{});
    EXPECT_EQ(p.said(), "1 tx.commit-ok");
    p.send(1, amqp::basic_ack{.delivery_tag = 1});
    EXPECT_EQ(p.said(), "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 1 60 80");
}

TEST(AmqpTransaction, RequeuesOnCommit) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::queue_declare{.queue = "q"});
    p.publish(1, "", "q", "m");
    p.send(1, amqp::tx_select{});
    p.send(1, amqp::basic_get{.queue = "q"});
    p.send(1, amqp::basic_nack{.delivery_tag = 1, .requeue = true});
    p.send(1, amqp::tx_commit{});
    static_cast<void>(p.said());
    p.send(1, amqp::basic_get{.queue = "q", .no_ack = true});
    EXPECT_EQ(p.said(), "1 basic.get-ok 2 1 \"\" q 0\n1 header 1 0000\n1 body m");
}

TEST(AmqpTransaction, RoutesWhenPublished) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::queue_declare{.queue = "q"});
    p.send(1, amqp::tx_select{});
    p.publish(1, "amq.direct", "k", "m");
    p.send(1, amqp::queue_bind{.queue = "q", .exchange = "amq.direct", .routing_key = "k"});
    p.send(1, amqp::tx_commit{});
    static_cast<void>(p.said());
    p.send(1, amqp::basic_get{.queue = "q"});
    EXPECT_EQ(p.said(), "1 basic.get-empty \"\"");
}

TEST(AmqpTransaction, DoesNotMixWithConfirms) {
    const auto answer = [](const bytes& in) {
        world w;
        scripted_peer p(w, 1);
        p.send(in);
        return p.said();
    };
    EXPECT_EQ(
        answer(method_frame(1, amqp::confirm_select{}) + method_frame(1, amqp::tx_select{})),
        "1 confirm.select-ok\n1 channel.close 406 PRECONDITION_FAILED - cannot switch from confirm to tx mode 90 10");
    EXPECT_EQ(answer(method_frame(1, amqp::tx_select{}) + method_frame(1, amqp::confirm_select{})),
              "1 tx.select-ok\n1 channel.close 406 PRECONDITION_FAILED - cannot switch from tx to confirm mode 85 10");
    EXPECT_EQ(answer(method_frame(1, amqp::tx_commit{})),
              "1 channel.close 406 PRECONDITION_FAILED - channel is not transactional 90 20");
    EXPECT_EQ(answer(method_frame(1, amqp::tx_rollback{})),
              "1 channel.close 406 PRECONDITION_FAILED - channel is not transactional 90 30");
}

}  // namespace
}  // namespace linnet::session::test
