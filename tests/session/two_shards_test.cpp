// Publisher and consumer on different shards: the same conversations, with every answer a ring away.

#include "tests/session/conversation.hpp"

namespace linnet::session::test {
namespace {

class TwoShards : public testing::Test {
protected:
    [[nodiscard]] static core::broker_options two() {
        auto o = world::options();
        o.shards = 2;
        return o;
    }
    void SetUp() override {
        far.send(1, amqp::queue_declare{.queue = "far"});
        EXPECT_EQ(far.said(), "1 queue.declare-ok far 0 0");
        near.send(1, amqp::queue_declare{.queue = "near"});
        EXPECT_EQ(near.said(), "1 queue.declare-ok near 0 0");
    }
    static std::string delivery(std::string_view queue, unsigned tag, bool redelivered, std::string_view body) {
        return fmt::format("1 basic.deliver t {} {} \"\" {}\n1 header {} 0000\n1 body {}", tag, redelivered ? 1 : 0,
                           queue, body.size(), body);
    }

    world w{two()};
    // Each beside the queue that has its name: where that lives is a matter of the name.
    core::shard& near_shard = *w.shards[1];
    scripted_peer near{w, near_shard, 1};
    scripted_peer far{w, *w.shards[0], 1};
};

TEST_F(TwoShards, ConfirmAndDeliverAcross) {
    near.send(1, amqp::confirm_select{});
    near.send(1, amqp::basic_consume{.queue = "far", .consumer_tag = "t"});
    EXPECT_EQ(near.said(), "1 confirm.select-ok\n1 basic.consume-ok t");
    near.publish(1, "", "far", "1");
    near.send(publish_frames(1, "", "far", "2") + publish_frames(1, "", "near", "3") +
              publish_frames(1, "", "far", "4"));
    w.pass(ns_per_s);
    const auto lines = near.said();
    EXPECT_NE(lines.find("1 basic.ack 1 0"), std::string::npos) << lines;
    EXPECT_NE(lines.find("1 basic.ack 4 1"), std::string::npos) << lines;
    const auto first = lines.find(delivery("far", 1, false, "1"));
    const auto second = lines.find(delivery("far", 2, false, "2"));
    const auto third = lines.find(delivery("far", 3, false, "4"));
    EXPECT_TRUE(first < second && second < third && third != std::string::npos) << lines;
    near.send(1, amqp::basic_ack{.delivery_tag = 2, .multiple = true});
    near.send(1, amqp::basic_nack{.delivery_tag = 3, .requeue = true});
    EXPECT_EQ(near.said(), delivery("far", 4, true, "4"));
    far.send(1, amqp::queue_declare{.queue = "far", .passive = true});
    EXPECT_EQ(far.said(), "1 queue.declare-ok far 0 1");
}

// Channels count their publishes from one on, and their numbers are used again.
TEST_F(TwoShards, ConfirmsAreForTheChannelThatPublished) {
    amqp::table_builder arguments;
    arguments.put("x-overflow", std::string_view{"reject-publish"});
    arguments.put("x-max-length", std::int32_t{1});
    far.send(method_frame(1, amqp::queue_delete{.queue = "far"}) +
             method_frame(1, amqp::queue_declare{.queue = "far", .arguments = arguments.view()}));
    EXPECT_EQ(far.said(), "1 queue.delete-ok 0\n1 queue.declare-ok far 0 0");
    near.send(method_frame(1, amqp::confirm_select{}) + publish_frames(1, "", "far", "taken") +
              method_frame(1, amqp::channel_close{}) + method_frame(1, amqp::channel_open{}) +
              method_frame(1, amqp::confirm_select{}) + publish_frames(1, "", "far", "refused"));
    w.pass(ns_per_s);
    const auto lines = near.said();
    EXPECT_TRUE(lines.ends_with("1 basic.nack 1 1 1")) << lines;
    EXPECT_EQ(lines.find("basic.ack"), std::string::npos) << lines;
}

TEST_F(TwoShards, AChannelsPrefetchHoldsForQueuesOfOtherShards) {
    near.send(method_frame(1, amqp::basic_qos{.prefetch_count = 1, .global = true}) +
              method_frame(1, amqp::basic_consume{.queue = "far", .consumer_tag = "t"}));
    EXPECT_EQ(near.said(), "1 basic.qos-ok\n1 basic.consume-ok t");
    for (const auto* body : {"1", "2", "3"}) {
        far.publish(1, "", "far", body);
    }
    EXPECT_EQ(near.said(), delivery("far", 1, false, "1"));
    far.send(1, amqp::queue_declare{.queue = "far", .passive = true});
    EXPECT_EQ(far.said(), "1 queue.declare-ok far 2 1");
    near.send(1, amqp::basic_qos{.prefetch_count = 2, .global = true});
    EXPECT_EQ(near.said(), "1 basic.qos-ok\n" + delivery("far", 2, false, "2"));
    far.send(1, amqp::queue_declare{.queue = "far", .passive = true});
    EXPECT_EQ(far.said(), "1 queue.declare-ok far 1 1");
    near.send(1, amqp::basic_ack{.delivery_tag = 2, .multiple = true});
    EXPECT_EQ(near.said(), delivery("far", 3, false, "3"));
}

TEST_F(TwoShards, KeepCommandsInOrderWhileAnAnswerIsOnItsWay) {
    near.send(publish_frames(1, "", "far", "m") + method_frame(1, amqp::basic_get{.queue = "far"}) +
              method_frame(1, amqp::basic_ack{.delivery_tag = 1}) + method_frame(1, amqp::basic_get{.queue = "far"}) +
              method_frame(1, amqp::queue_purge{.queue = "near"}) +
              method_frame(1, amqp::queue_delete{.queue = "far"}) +
              method_frame(1, amqp::queue_declare{.queue = "far", .passive = true}));
    EXPECT_EQ(near.said(), "1 basic.get-ok 1 0 \"\" far 0\n1 header 1 0000\n1 body m\n1 basic.get-empty \"\"\n"
                           "1 queue.purge-ok 0\n1 queue.delete-ok 0\n"
                           "1 channel.close 404 NOT_FOUND - no queue 'far' in vhost '/' 50 10");
}

TEST_F(TwoShards, CommitAcross) {
    near.send(1, amqp::tx_select{});
    near.publish(1, "", "far", "1");
    near.publish(1, "", "near", "2");
    EXPECT_EQ(near.said(), "1 tx.select-ok");
    far.send(1, amqp::basic_get{.queue = "far"});
    EXPECT_EQ(far.said(), "1 basic.get-empty \"\"");
    near.send(method_frame(1, amqp::tx_commit{}) + method_frame(1, amqp::basic_get{.queue = "far", .no_ack = true}));
    EXPECT_EQ(near.said(), "1 tx.commit-ok\n1 basic.get-ok 1 0 \"\" far 0\n1 header 1 0000\n1 body 1");
}

TEST_F(TwoShards, GiveBackWhatALostPeerHeldAndDropItsExclusiveQueues) {
    near.publish(1, "", "far", "m");
    {
        scripted_peer lost(w, near_shard, 1);
        lost.send(1, amqp::queue_declare{.queue = "mine", .exclusive = true});
        lost.send(1, amqp::basic_consume{.queue = "far", .consumer_tag = "t"});
        const auto lines = lost.said();
        EXPECT_TRUE(lines.ends_with(delivery("far", 1, false, "m"))) << lines;
        far.send(1, amqp::queue_declare{.queue = "mine", .passive = true});
        EXPECT_TRUE(far.said().starts_with("1 channel.close 405"));
        far.send(method_frame(1, amqp::channel_close_ok{}) + method_frame(1, amqp::channel_open{}));
        static_cast<void>(far.said());
    }
    w.turn();
    far.send(1, amqp::basic_get{.queue = "far", .no_ack = true});
    EXPECT_EQ(far.said(), "1 basic.get-ok 1 1 \"\" far 0\n1 header 1 0000\n1 body m");
    far.send(1, amqp::queue_declare{.queue = "mine", .passive = true});
    EXPECT_TRUE(far.said().starts_with("1 channel.close 404"));
}

TEST_F(TwoShards, SendDirectRepliesAcross) {
    near.send(1, amqp::basic_consume{.queue = "amq.rabbitmq.reply-to", .consumer_tag = "r", .no_ack = true});
    near.publish(
        1, "", "far", "question",
        {.block =
             amqp::basic_properties_builder{}.set_text(amqp::property::reply_to, "amq.rabbitmq.reply-to").encode()});
    EXPECT_EQ(near.said(), "1 basic.consume-ok r");
    far.send(1, amqp::basic_get{.queue = "far", .no_ack = true});
    const auto raw = far.said_raw();
    const auto method = amqp::decode_frame(raw, 0);
    const auto head = amqp::decode_frame(std::span(raw).subspan(method->size()), 0);
    const auto block = amqp::decode_content_header(head->payload)->properties;
    const std::string address(*amqp::basic_properties_view::parse(block)->reply_to());
    far.send(1, amqp::queue_declare{.queue = address, .passive = true});
    EXPECT_EQ(far.said(), "1 queue.declare-ok " + address + " 0 1");
    far.publish(1, "", address, "answer");
    EXPECT_EQ(near.said(), "1 basic.deliver r 1 0 \"\" " + address + "\n1 header 6 0000\n1 body answer");
    near.send(1, amqp::basic_cancel{.consumer_tag = "r"});
    far.send(1, amqp::queue_declare{.queue = address, .passive = true});
    EXPECT_EQ(far.said(), "1 channel.close 404 NOT_FOUND - no queue '" + address + "' in vhost '/' 50 10");
}

TEST_F(TwoShards, EndAConsumerWhoseQueueIsDeletedElsewhere) {
    near.send(1, amqp::basic_consume{.queue = "far", .consumer_tag = "t"});
    EXPECT_EQ(near.said(), "1 basic.consume-ok t");
    far.send(1, amqp::queue_delete{.queue = "far"});
    EXPECT_EQ(far.said(), "1 queue.delete-ok 0");
    EXPECT_EQ(near.said(), "1 basic.cancel t 1");
}

TEST_F(TwoShards, CloseWhileAnAnswerIsUnderWay) {
    // The broker goes down between a consume and its answer: nothing may be left behind at the far queue.
    near.publish(1, "", "far", "m");
    near_shard.begin_turn();
    const auto consume = method_frame(1, amqp::basic_consume{.queue = "far", .consumer_tag = "t"});
    EXPECT_EQ(near.talk->on_bytes(consume), consume.size());
    EXPECT_TRUE(near.paused);
    near.talk->on_shutdown("going down");
    w.end_turn(&near_shard);
    w.turn();
    EXPECT_TRUE(near.said().starts_with("0 connection.close 320"));
    far.send(1, amqp::queue_declare{.queue = "far", .passive = true});
    EXPECT_EQ(far.said(), "1 queue.declare-ok far 1 0");
}

}  // namespace
}  // namespace linnet::session::test
