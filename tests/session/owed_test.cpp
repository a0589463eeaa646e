// Declarations that are sent one behind the other: carried out at once, answered in order once they are durable.

#include "broker/core/topology_journal.hpp"
#include "broker/store/memory_log.hpp"
#include "tests/session/conversation.hpp"

namespace linnet::session::test {
namespace {

using amqp::exchange_declare;
using amqp::queue_bind;
using amqp::queue_declare;
using amqp::queue_delete;

// Beside the control, and on another shard.
class Owed : public testing::TestWithParam<std::size_t> {
protected:
    Owed() {
        keeper.release_owner();
        auto& editor = w.parts.editor();
        EXPECT_TRUE(keeper.restore(editor, [](const core::queue_spec&) { return core::queue_handle{}; }).empty());
        w.parts.set_keeper(&keeper);
        log.hold();
    }
    ~Owed() override {
        release();
        w.parts.editor().listen(nullptr);
    }

    void release() {
        log.release();
        w.turn();
        w.turn();
        peer.run();
    }
    [[nodiscard]] bool there(std::string_view queue) {
        w.shards[0]->begin_turn();
        const auto view = w.shards[0]->topology();
        return core::topology_view::find_queue(*view.find_vhost("/"), queue) != nullptr;
    }
    static bytes declare(std::string_view name, bool durable = true, std::uint16_t channel = 1) {
        return method_frame(channel, queue_declare{.queue = name, .durable = durable});
    }
    [[nodiscard]] static core::broker_options two() {
        auto o = world::options();
        o.shards = 2;
        return o;
    }

    store::memory_log log;
    core::topology_journal keeper{&log, {}};
    world w{two()};
    scripted_peer peer{w, *w.shards[GetParam()], 1};
};

TEST_P(Owed, AllAreCarriedOutBeforeTheDiskHasTheFirst) {
    peer.send(method_frame(1, exchange_declare{.exchange = "x", .type = "topic", .durable = true}) + declare("a") +
              method_frame(1, queue_bind{.queue = "", .exchange = "x", .routing_key = "k"}) + declare("b") +
              method_frame(1, queue_delete{.queue = "a"}) + declare("a") +
              method_frame(1, queue_declare{.queue = "quiet", .durable = true, .no_wait = true}) + declare("b"));
    EXPECT_EQ(peer.said(), "");
    EXPECT_TRUE(there("a") && there("b") && there("quiet"));
    EXPECT_EQ(peer.unread(), 0U);
    release();
    EXPECT_EQ(peer.said(), "1 exchange.declare-ok\n1 queue.declare-ok a 0 0\n1 queue.bind-ok\n"
                           "1 queue.declare-ok b 0 0\n1 queue.delete-ok 0\n1 queue.declare-ok a 0 0\n"
                           "1 queue.declare-ok b 0 0");
}

TEST_P(Owed, WhatNeedsNoDiskStandsInLineBehindWhatDoes) {
    peer.send(declare("a") + declare("fleeting", false) + method_frame(1, queue_delete{.queue = "fleeting"}) +
              method_frame(1, queue_declare{.queue = "a", .passive = true}) + declare("b"));
    EXPECT_EQ(peer.said(), "");
    EXPECT_TRUE(there("b"));
    release();
    EXPECT_EQ(peer.said(), "1 queue.declare-ok a 0 0\n1 queue.declare-ok fleeting 0 0\n1 queue.delete-ok 0\n"
                           "1 queue.declare-ok a 0 0\n1 queue.declare-ok b 0 0");
}

TEST_P(Owed, AfterTheFirstThatFailsNothingIsCarriedOut) {
    peer.send(declare("a") + declare("a", false) + declare("b"));
    EXPECT_EQ(peer.said(), "");
    release();
    EXPECT_EQ(peer.said(),
              "1 queue.declare-ok a 0 0\n"
              "1 channel.close 406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'a' in vhost "
              "'/': received 'false' but current is 'true' 50 10");
    EXPECT_FALSE(there("b"));
    peer.send(method_frame(1, amqp::channel_close_ok{}) + method_frame(1, amqp::channel_open{}) + declare("b"));
    EXPECT_EQ(peer.said(), "1 channel.open-ok \"\"\n1 queue.declare-ok b 0 0");
}

TEST_P(Owed, ARefusalOfTheChannelItselfComesAfterWhatItOwes) {
    peer.send(2, amqp::channel_open{});
    EXPECT_EQ(peer.said(), "2 channel.open-ok \"\"");
    peer.send(declare("a") + method_frame(2, queue_declare{.queue = "amq.b", .durable = true}) + declare("c"));
    EXPECT_EQ(peer.said(), "");
    EXPECT_FALSE(there("c"));
    release();
    EXPECT_EQ(peer.said(),
              "1 queue.declare-ok a 0 0\n"
              "2 channel.close 403 ACCESS_REFUSED - queue name 'amq.b' contains reserved prefix 'amq.*' 50 10\n"
              "1 queue.declare-ok c 0 0");
}

TEST_P(Owed, AnythingElseWaitsUntilNothingIsOwed) {
    peer.send(declare("a"));
    peer.send(publish_frames(1, "", "a", "m") + method_frame(1, amqp::basic_get{.queue = "a", .no_ack = true}));
    EXPECT_EQ(peer.said(), "");
    release();
    EXPECT_EQ(peer.said(), "1 queue.declare-ok a 0 0\n1 basic.get-ok 1 0 \"\" a 0\n1 header 1 0000\n1 body m");
}

TEST_P(Owed, ALargeContentWaitsAsWell) {
    peer.send(2, amqp::channel_open{});
    EXPECT_EQ(peer.said(), "2 channel.open-ok \"\"");
    peer.send(declare("a", true, 2));
    const auto content = publish_frames(1, "", "a", std::string(5000, 'x'));
    for (std::size_t at = 0; at < content.size(); at += 1000) {
        peer.send(bytes(content.begin() + static_cast<std::ptrdiff_t>(at),
                        content.begin() + static_cast<std::ptrdiff_t>(std::min(content.size(), at + 1000))));
    }
    EXPECT_EQ(peer.said(), "");
    release();
    peer.send(1, amqp::basic_get{.queue = "a", .no_ack = true});
    EXPECT_EQ(peer.said(), "2 queue.declare-ok a 0 0\n1 basic.get-ok 1 0 \"\" a 0\n1 header 5000 0000\n1 body of 5000");
}

TEST_P(Owed, ManyTakeTurnsWithTheDisk) {
    bytes all;
    constexpr std::size_t count = 1000;
    std::string answers;
    for (std::size_t i = 0; i < count; ++i) {
        const auto name = fmt::format("q{}", i);
        all = all + declare(name);
        answers += fmt::format("{}1 queue.declare-ok {} 0 0", i == 0 ? "" : "\n", name);
    }
    peer.send(all);
    EXPECT_TRUE(there(fmt::format("q{}", amqp_owed::entries_max - 1)));
    EXPECT_FALSE(there(fmt::format("q{}", amqp_owed::entries_max)));
    EXPECT_TRUE(peer.paused);
    for (std::size_t i = 0; i < count / amqp_owed::entries_max * 2 + 1; ++i) {
        release();
    }
    EXPECT_EQ(peer.said(), answers);
    EXPECT_FALSE(peer.paused);
}

TEST_P(Owed, AConsumerHearsOfItsEndAfterTheAnswerThatBringsIt) {
    log.release();
    peer.send(declare("a") + method_frame(1, amqp::basic_consume{.queue = "a", .consumer_tag = "t"}));
    release();
    EXPECT_EQ(peer.said(), "1 queue.declare-ok a 0 0\n1 basic.consume-ok t");
    log.hold();
    peer.send(declare("b") + method_frame(1, queue_delete{.queue = "a"}));
    EXPECT_EQ(peer.said(), "");
    release();
    EXPECT_EQ(peer.said(), "1 queue.declare-ok b 0 0\n1 queue.delete-ok 0\n1 basic.cancel t 1");
}

TEST_P(Owed, ThePeerMayGoAndTheConnectionMayEndMeanwhile) {
    {
        scripted_peer lost(w, *w.shards[GetParam()], 1);
        lost.send(declare("a") + declare("b"));
    }
    peer.send(declare("c") + declare("d"));
    w.shards[GetParam()]->begin_turn();
    peer.talk->on_shutdown("over");
    EXPECT_EQ(peer.said(), "0 connection.close 320 CONNECTION_FORCED - over 0 0");
    release();
    EXPECT_EQ(peer.said(), "");
    EXPECT_TRUE(there("a") && there("b") && there("c") && there("d"));
    peer.send(0, amqp::connection_close_ok{});
    EXPECT_TRUE(peer.closed);
}

TEST_P(Owed, ACloseByTheClientWaits) {
    peer.send(declare("a") + method_frame(1, amqp::channel_close{}) + method_frame(0, amqp::connection_close{}));
    EXPECT_EQ(peer.said(), "");
    release();
    EXPECT_EQ(peer.said(), "1 queue.declare-ok a 0 0\n1 channel.close-ok\n0 connection.close-ok");
}

INSTANTIATE_TEST_SUITE_P(Shard, Owed, testing::Values(0U, 1U));

}  // namespace
}  // namespace linnet::session::test
