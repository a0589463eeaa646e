#include "tests/session/conversation.hpp"

namespace linnet::session::test {
namespace {

void declare(scripted_peer& p, std::string_view name) {
    p.send(1, amqp::queue_declare{.queue = name});
    EXPECT_EQ(p.said(), fmt::format("1 queue.declare-ok {} 0 0", name));
}

std::string delivery(std::string_view tag, unsigned number, bool redelivered, std::string_view body) {
    return fmt::format("1 basic.deliver {} {} {} \"\" q\n1 header {} 0000\n1 body {}", tag, number, redelivered ? 1 : 0,
                       body.size(), body);
}

TEST(AmqpConsume, DeliversInOrderAndSettlesWithOneAck) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    p.send(publish_frames(1, "", "q", "1") + publish_frames(1, "", "q", "2"));
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    EXPECT_EQ(p.said(), "1 basic.consume-ok t\n" + delivery("t", 1, false, "1") + "\n" + delivery("t", 2, false, "2"));
    p.send(1, amqp::basic_ack{.delivery_tag = 2, .multiple = true});
    p.send(1, amqp::queue_declare{.queue = "q", .passive = true});
    EXPECT_EQ(p.said(), "1 queue.declare-ok q 0 1");
    p.send(1, amqp::basic_ack{.delivery_tag = 2});
    EXPECT_EQ(p.said(), "1 channel.close 406 PRECONDITION_FAILED - unknown delivery tag 2 60 80");
}

TEST(AmqpConsume, KeepsToThePrefetch) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    p.send(1, amqp::basic_qos{.prefetch_count = 2});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    static_cast<void>(p.said());
    for (const auto* body : {"1", "2", "3", "4"}) {
        p.publish(1, "", "q", body);
    }
    EXPECT_EQ(p.said(), delivery("t", 1, false, "1") + "\n" + delivery("t", 2, false, "2"));
    p.send(1, amqp::basic_ack{.delivery_tag = 2});
    EXPECT_EQ(p.said(), delivery("t", 3, false, "3"));
    p.send(1, amqp::basic_ack{.delivery_tag = 0, .multiple = true});
    EXPECT_EQ(p.said(), delivery("t", 4, false, "4"));
}

TEST(AmqpConsume, SharesAGlobalPrefetchAmongItsConsumers) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    p.send(1, amqp::basic_qos{.prefetch_count = 3, .global = true});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "u"});
    static_cast<void>(p.said());
    bytes all;
    for (const auto* body : {"1", "2", "3", "4", "5"}) {
        all = all + publish_frames(1, "", "q", body);
    }
    p.send(all);
    const auto count = [](const std::string& lines) {
        std::size_t n = 0;
        for (std::size_t at = 0; (at = lines.find("basic.deliver", at)) != std::string::npos; ++at) {
            ++n;
        }
        return n;
    };
    EXPECT_EQ(count(p.said()), 3U);
    p.send(1, amqp::basic_ack{.delivery_tag = 2});
    EXPECT_EQ(count(p.said()), 1U);
    p.send(1, amqp::basic_qos{.prefetch_count = 0, .global = true});
    EXPECT_EQ(count(p.said()), 1U);
}

TEST(AmqpConsume, RequeuesToTheOldPlaceMarkedRedelivered) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    for (const auto* body : {"1", "2", "3"}) {
        p.publish(1, "", "q", body);
    }
    for (int i = 0; i < 3; ++i) {
        p.send(1, amqp::basic_get{.queue = "q"});
    }
    static_cast<void>(p.said());
    p.send(1, amqp::basic_nack{.delivery_tag = 2, .multiple = true, .requeue = true});
    p.send(1, amqp::basic_reject{.delivery_tag = 3, .requeue = false});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t", .no_ack = true});
    EXPECT_EQ(p.said(), "1 basic.consume-ok t\n" + delivery("t", 4, true, "1") + "\n" + delivery("t", 5, true, "2"));
}

TEST(AmqpConsume, RecoversEverything) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    p.send(publish_frames(1, "", "q", "1") + publish_frames(1, "", "q", "2"));
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    static_cast<void>(p.said());
    p.send(1, amqp::basic_recover{.requeue = true});
    EXPECT_EQ(p.said(), "1 basic.recover-ok\n" + delivery("t", 3, true, "1") + "\n" + delivery("t", 4, true, "2"));
}

TEST(AmqpConsume, GivesBackWhatAClosedChannelOrALostPeerHeld) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    p.send(publish_frames(1, "", "q", "1") + publish_frames(1, "", "q", "2"));
    {
        scripted_peer lost(w, 1);
        lost.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
        static_cast<void>(lost.said());
    }
    p.send(2, amqp::channel_open{});
    p.send(2, amqp::basic_get{.queue = "q"});
    EXPECT_EQ(p.said(), "2 channel.open-ok \"\"\n2 basic.get-ok 1 1 \"\" q 1\n2 header 1 0000\n2 body 1");
    p.send(2, amqp::channel_close{.code = 200});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t", .no_ack = true});
    EXPECT_EQ(p.said(), "2 channel.close-ok\n1 basic.consume-ok t\n" + delivery("t", 1, true, "1") + "\n" +
                            delivery("t", 2, true, "2"));
}

TEST(AmqpConsume, CancelsAndKeepsWhatIsUnacknowledged) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    p.publish(1, "", "q", "1");
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    static_cast<void>(p.said());
    p.send(1, amqp::basic_cancel{.consumer_tag = "t"});
    p.send(1, amqp::basic_cancel{.consumer_tag = "never-was"});
    EXPECT_EQ(p.said(), "1 basic.cancel-ok t\n1 basic.cancel-ok never-was");
    p.publish(1, "", "q", "2");
    EXPECT_EQ(p.said(), "");
    p.send(1, amqp::basic_nack{.delivery_tag = 1, .requeue = true});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t", .no_ack = true});
    EXPECT_EQ(p.said(), "1 basic.consume-ok t\n" + delivery("t", 2, true, "1") + "\n" + delivery("t", 3, false, "2"));
}

TEST(AmqpConsume, TellsAConsumerThatItsQueueIsGone) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    scripted_peer other(w, 1);
    other.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "o"});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    static_cast<void>(other.said());
    static_cast<void>(p.said());
    p.send(1, amqp::queue_delete{.queue = "q"});
    EXPECT_EQ(p.said(), "1 queue.delete-ok 0\n1 basic.cancel t 1");
    EXPECT_EQ(other.said(), "1 basic.cancel o 1");
    // The tag is free again.
    declare(p, "q");
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    EXPECT_EQ(p.said(), "1 basic.consume-ok t");
}

TEST(AmqpConsume, RefusesATagTwiceAndTooManyConsumers) {
    world w;
    w.settings.consumers_per_channel_max = 2;
    scripted_peer p(w, 1);
    declare(p, "q");
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "u"});
    static_cast<void>(p.said());
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "v"});
    EXPECT_EQ(p.said(), "0 connection.close 530 NOT_ALLOWED - reached maximum (2) of consumers per channel 60 20");
    scripted_peer q(w, 1);
    q.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    q.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    EXPECT_EQ(q.said(), "1 basic.consume-ok t\n0 connection.close 530 NOT_ALLOWED - attempt to reuse consumer tag 't' "
                        "60 20");
}

TEST(AmqpConsume, ShowsWhereAMessageDied) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "dead");
    amqp::table_builder arguments;
    arguments.put("x-dead-letter-exchange", std::string_view{""});
    arguments.put("x-dead-letter-routing-key", std::string_view{"dead"});
    p.send(1, amqp::queue_declare{.queue = "q", .arguments = arguments.view()});
    p.publish(1, "", "q", "m", {.block = amqp::basic_properties_builder{}.set_delivery_mode(2).encode()});
    p.send(1, amqp::basic_get{.queue = "q"});
    p.send(1, amqp::basic_reject{.delivery_tag = 1, .requeue = false});
    static_cast<void>(p.said());
    p.send(1, amqp::basic_get{.queue = "dead", .no_ack = true});
    const auto raw = p.said_raw();
    const auto method = amqp::decode_frame(raw, 0);
    ASSERT_TRUE(method);
    const auto head = amqp::decode_frame(std::span(raw).subspan(method->size()), 0);
    ASSERT_TRUE(head);
    const auto block = amqp::decode_content_header(head->payload)->properties;
    const auto log = amqp_reader().deaths(block);
    ASSERT_TRUE(log);
    ASSERT_EQ(log->rows.size(), 1U);
    EXPECT_EQ(log->rows[0].queue, "q");
    EXPECT_EQ(log->rows[0].reason, core::death_reason::rejected);
    EXPECT_EQ(log->rows[0].routing_keys, std::vector<std::string>{"q"});
    EXPECT_EQ(log->rows[0].first_time / ns_per_s, w.clock.wall_now() / ns_per_s);
    EXPECT_EQ(log->first_queue, "q");
    EXPECT_EQ(amqp::basic_properties_view::parse(block)->delivery_mode(), 2);
}

// ---- Direct reply-to ---------------------------------------------------------------------------

class DirectReplyTo : public testing::Test {
protected:
    void SetUp() override {
        declare(server, "q");
        asker.send(1, amqp::basic_consume{.queue = "amq.rabbitmq.reply-to", .consumer_tag = "r", .no_ack = true});
        EXPECT_EQ(asker.said(), "1 basic.consume-ok r");
    }
    // Asks, and returns the address that the server sees.
    std::string ask() {
        asker.publish(1, "", "q", "question",
                      {.block = amqp::basic_properties_builder{}
                                    .set_text(amqp::property::reply_to, "amq.rabbitmq.reply-to")
                                    .encode()});
        server.send(1, amqp::basic_get{.queue = "q", .no_ack = true});
        const auto raw = server.said_raw();
        const auto method = amqp::decode_frame(raw, 0);
        const auto head = amqp::decode_frame(std::span(raw).subspan(method->size()), 0);
        const auto block = amqp::decode_content_header(head->payload)->properties;
        return std::string(*amqp::basic_properties_view::parse(block)->reply_to());
    }

    world w;
    scripted_peer asker{w, 1};
    scripted_peer server{w, 1};
};

TEST_F(DirectReplyTo, ReachesTheAskerAlone) {
    const auto address = ask();
    EXPECT_TRUE(address.starts_with("amq.rabbitmq.reply-to.")) << address;
    server.publish(1, "", address, "answer");
    EXPECT_EQ(asker.said(), "1 basic.deliver r 1 0 \"\" " + address + "\n1 header 6 0000\n1 body answer");
    EXPECT_EQ(server.said(), "");
    EXPECT_EQ(ask(), address) << "one address a consumer";
}

TEST_F(DirectReplyTo, IsDeliveredAndReturnedWhenMandatory) {
    const auto address = ask();
    server.publish(1, "", address, "answer", {.mandatory = true});
    EXPECT_TRUE(asker.said().starts_with("1 basic.deliver r 1"));
    EXPECT_TRUE(server.said().starts_with("1 basic.return 312 NO_ROUTE"));
}

TEST_F(DirectReplyTo, CannotBeGuessed) {
    auto address = ask();
    address.back() = address.back() == 'A' ? 'Q' : 'A';
    server.publish(1, "", address, "forged");
    EXPECT_EQ(asker.said(), "");
    for (const auto* odd :
         {"amq.rabbitmq.reply-to.", "amq.rabbitmq.reply-to.x", "amq.rabbitmq.reply-to.AAAAAAAAAAAAAAAA."}) {
        server.publish(1, "", odd, "odd");
    }
    EXPECT_EQ(server.said(), "");
    EXPECT_EQ(asker.said(), "");
}

TEST_F(DirectReplyTo, TellsWhetherTheAskerIsStillThere) {
    const auto address = ask();
    server.send(1, amqp::queue_declare{.queue = address, .passive = true});
    EXPECT_EQ(server.said(), "1 queue.declare-ok " + address + " 0 1");
    asker.send(1, amqp::basic_cancel{.consumer_tag = "r"});
    EXPECT_EQ(asker.said(), "1 basic.cancel-ok r");
    server.publish(1, "", address, "too late");
    server.send(1, amqp::queue_declare{.queue = address, .passive = true});
    EXPECT_EQ(server.said(), "1 channel.close 404 NOT_FOUND - no queue '" + address + "' in vhost '/' 50 10");
    EXPECT_EQ(asker.said(), "");
}

TEST_F(DirectReplyTo, WantsOneConsumerWithoutAcks) {
    asker.send(1, amqp::basic_consume{.queue = "amq.rabbitmq.reply-to", .no_ack = true});
    EXPECT_EQ(asker.said(), "1 channel.close 406 PRECONDITION_FAILED - reply consumer already set 60 20");
    server.send(1, amqp::basic_consume{.queue = "amq.rabbitmq.reply-to"});
    EXPECT_EQ(server.said(), "1 channel.close 406 PRECONDITION_FAILED - reply consumer cannot acknowledge 60 20");
    scripted_peer third(w, 1);
    third.publish(
        1, "", "q", "m",
        {.block =
             amqp::basic_properties_builder{}.set_text(amqp::property::reply_to, "amq.rabbitmq.reply-to").encode()});
    EXPECT_EQ(third.said(), "1 channel.close 406 PRECONDITION_FAILED - fast reply consumer does not exist 60 40");
}

// ---- Bounds ------------------------------------------------------------------------------------

TEST(AmqpConsume, StopsDeliveriesAboveTheHighWatermark) {
    world w;
    scripted_peer publisher(w, 1);
    declare(publisher, "q");
    scripted_peer slow(w, 1);
    slow.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t", .no_ack = true});
    const std::string body(60'000, 'x');
    constexpr std::size_t sent = 100;
    for (std::size_t i = 0; i < sent; ++i) {
        publisher.publish(1, "", "q", body);
    }
    EXPECT_LT(slow.out().pending(), session::output_high_bytes + 2 * body.size());
    // It may be in a callback that has to send before it reads: what it publishes is taken.
    EXPECT_FALSE(slow.paused);
    slow.publish(1, "", "elsewhere", body);
    EXPECT_FALSE(slow.paused);
    publisher.send(1, amqp::queue_declare{.queue = "q", .passive = true});
    EXPECT_TRUE(publisher.said().starts_with("1 queue.declare-ok q 8"));
    std::size_t delivered = 0;
    for (int i = 0; i < 20; ++i) {
        const auto lines = slow.said();
        for (std::size_t at = 0; (at = lines.find("basic.deliver", at)) != std::string::npos; ++at) {
            ++delivered;
        }
    }
    EXPECT_EQ(delivered, sent);
    EXPECT_FALSE(slow.paused);
}

// However many there are: each holds what it has, and no more while the others hold so much.
TEST(AmqpConsume, PeersThatDoNotReadShareWhatIsAllowed) {
    constexpr std::size_t allowed = 512 * 1024;
    constexpr std::size_t peers = 40;
    constexpr std::size_t messages = 50;
    world w;
    w.blocks.allow(allowed);
    scripted_peer publisher(w, 1);
    publisher.send(1, amqp::exchange_declare{.exchange = "all", .type = "fanout"});
    static_cast<void>(publisher.said());
    std::vector<std::unique_ptr<scripted_peer>> slow;
    for (std::size_t i = 0; i < peers; ++i) {
        const auto queue = "q" + std::to_string(i);
        declare(publisher, queue);
        publisher.send(1, amqp::queue_bind{.queue = queue, .exchange = "all"});
        static_cast<void>(publisher.said());
        slow.push_back(std::make_unique<scripted_peer>(w, 1));
        slow.back()->send(1, amqp::basic_consume{.queue = queue, .consumer_tag = "t", .no_ack = true});
        static_cast<void>(slow.back()->said());
        slow.back()->out().set_stuck(true);
    }
    static_cast<void>(publisher.said());
    for (std::size_t i = 0; i < messages; ++i) {
        publisher.publish(1, "all", "", std::string(3'000, 'x'));
    }
    EXPECT_LE(w.blocks.lent_bytes(), allowed + peers * block_pool::small_bytes);
    for (auto& p : slow) {
        p->out().set_stuck(false);
        std::size_t delivered = 0;
        for (std::size_t turn = 0; turn < messages; ++turn) {
            const auto lines = p->said();
            for (std::size_t at = 0; (at = lines.find("basic.deliver", at)) != std::string::npos; ++at) {
                ++delivered;
            }
        }
        EXPECT_EQ(delivered, messages);
    }
}

TEST(AmqpConsume, ReadsNoMoreFromWhoAsksAndDoesNotListen) {
    world w;
    scripted_peer p(w, 1);
    declare(p, "q");
    const std::string body(60'000, 'x');
    for (std::size_t i = 0; i < 100; ++i) {
        p.publish(1, "", "q", body);
    }
    for (std::size_t i = 0; i < 100 && !p.paused; ++i) {
        p.send(1, amqp::basic_get{.queue = "q", .no_ack = true});
    }
    EXPECT_TRUE(p.paused);
    EXPECT_LT(p.out().pending(), 3 * session::output_high_bytes + 2 * body.size());
    static_cast<void>(p.said());
    EXPECT_FALSE(p.paused);
}

TEST(AmqpConsume, ClosesAChannelThatNeverAcknowledges) {
    world w;
    w.settings.consumer_timeout = 120 * ns_per_s;
    scripted_peer p(w, 1);
    declare(p, "q");
    p.publish(1, "", "q", "m");
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"});
    static_cast<void>(p.said());
    w.pass(100 * ns_per_s);
    EXPECT_EQ(p.said(), "");
    w.pass(100 * ns_per_s);
    EXPECT_EQ(p.said(),
              "1 channel.close 406 PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. "
              "Timeout value used: 120000 ms. This timeout value can be configured, see consumers doc guide to "
              "learn more 0 0");
}

}  // namespace
}  // namespace linnet::session::test
