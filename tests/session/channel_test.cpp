#include "tests/session/conversation.hpp"

namespace linnet::session::test {
namespace {

TEST(AmqpChannel, DeclaresBindsPurgesAndDeletes) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::exchange_declare{.exchange = "x", .type = "topic"});
    p.send(1, amqp::queue_declare{.queue = "q"});
    p.send(1, amqp::queue_bind{.queue = "q", .exchange = "x", .routing_key = "a.*"});
    p.publish(1, "x", "a.b", "one");
    p.publish(1, "x", "b.b", "lost");
    p.send(1, amqp::queue_declare{.queue = "q", .passive = true});
    p.send(1, amqp::queue_purge{.queue = "q"});
    p.send(1, amqp::queue_unbind{.queue = "q", .exchange = "x", .routing_key = "a.*"});
    p.publish(1, "x", "a.b", "lost");
    p.send(1, amqp::queue_delete{.queue = "q"});
    p.send(1, amqp::exchange_delete{.exchange = "x"});
    EXPECT_EQ(p.said(), "1 exchange.declare-ok\n1 queue.declare-ok q 0 0\n1 queue.bind-ok\n1 queue.declare-ok q 1 0\n"
                        "1 queue.purge-ok 1\n1 queue.unbind-ok\n1 queue.delete-ok 0\n1 exchange.delete-ok");
}

TEST(AmqpChannel, SaysNothingToNowait) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::exchange_declare{.exchange = "x", .type = "fanout", .no_wait = true});
    p.send(1, amqp::queue_declare{.queue = "q", .no_wait = true});
    p.send(1, amqp::queue_bind{.queue = "q", .exchange = "x", .no_wait = true});
    p.send(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t", .no_ack = true, .no_wait = true});
    EXPECT_EQ(p.said(), "");
    p.publish(1, "x", "", "m");
    EXPECT_EQ(p.said(), "1 basic.deliver t 1 0 x \"\"\n1 header 1 0000\n1 body m");
}

TEST(AmqpChannel, MakesUpNamesAndRemembersTheLastQueue) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::queue_bind{.queue = "", .exchange = "amq.direct"});
    EXPECT_EQ(p.said(), "1 channel.close 404 NOT_FOUND - no previously declared queue 50 20");
    p.send(method_frame(1, amqp::channel_close_ok{}) + method_frame(1, amqp::channel_open{}));
    p.send(1, amqp::queue_declare{.queue = "", .exclusive = true});
    auto lines = p.said();
    ASSERT_TRUE(lines.starts_with("1 channel.open-ok \"\"\n1 queue.declare-ok amq.gen-")) << lines;
    EXPECT_EQ(lines.find(' ', 50), std::string("1 channel.open-ok \"\"\n1 queue.declare-ok amq.gen-").size() + 22);
    // Both names empty: the queue's name is the key, too.
    const auto name = lines.substr(lines.find("amq.gen-"), 30);
    p.send(1, amqp::queue_bind{.queue = "", .exchange = "amq.direct", .routing_key = ""});
    p.publish(1, "amq.direct", name, "m");
    p.send(1, amqp::basic_get{.queue = "", .no_ack = true});
    EXPECT_EQ(p.said(), "1 queue.bind-ok\n1 basic.get-ok 1 0 amq.direct " + name + " 0\n1 header 1 0000\n1 body m");
}

TEST(AmqpChannel, IgnoresEverythingAfterAnErrorUntilCloseOk) {
    world w;
    scripted_peer p(w, 1);
    p.send(1, amqp::queue_declare{.queue = "missing", .passive = true});
    EXPECT_EQ(p.said(), "1 channel.close 404 NOT_FOUND - no queue 'missing' in vhost '/' 50 10");
    p.send(1, amqp::queue_declare{.queue = "q"});
    p.publish(1, "", "q", "ignored");
    EXPECT_EQ(p.said(), "");
    p.send(1, amqp::channel_close{.code = 200});
    EXPECT_EQ(p.said(), "1 channel.close-ok");
    p.send(1, amqp::channel_close_ok{});
    p.send(1, amqp::channel_open{});
    p.send(1, amqp::queue_declare{.queue = "q", .passive = true});
    EXPECT_EQ(p.said(), "1 channel.open-ok \"\"\n1 channel.close 404 NOT_FOUND - no queue 'q' in vhost '/' 50 10");
}

TEST(AmqpChannel, EndsTheConnectionForMisuseOfChannels) {
    const auto provoke = [](const bytes& in) {
        world w;
        scripted_peer p(w, 1);
        p.send(in);
        return p.said();
    };
    EXPECT_EQ(provoke(method_frame(1, amqp::channel_open{})),
              "0 connection.close 504 CHANNEL_ERROR - second 'channel.open' seen 20 10");
    EXPECT_EQ(provoke(method_frame(2, amqp::queue_declare{.queue = "q"})),
              "0 connection.close 504 CHANNEL_ERROR - expected 'channel.open' 50 10");
    EXPECT_EQ(provoke(method_frame(1, amqp::queue_declare_ok{})),
              "0 connection.close 503 COMMAND_INVALID - unimplemented method 50 11");
    EXPECT_EQ(provoke(method_frame(1, amqp::connection_open{})),
              "0 connection.close 503 COMMAND_INVALID - unimplemented method 10 40");
    EXPECT_EQ(provoke(method_frame(0, amqp::channel_open{})),
              "0 connection.close 504 CHANNEL_ERROR - unexpected method in connection state running 20 10");
    EXPECT_EQ(provoke(method_frame(1, amqp::channel_flow{.active = false})),
              "0 connection.close 540 NOT_IMPLEMENTED - active=false 20 20");
    EXPECT_EQ(provoke(method_frame(1, amqp::basic_qos{.prefetch_size = 1})),
              "0 connection.close 540 NOT_IMPLEMENTED - prefetch_size!=0 (1) 60 10");
    EXPECT_EQ(provoke(method_frame(1, amqp::basic_recover{.requeue = false})),
              "0 connection.close 540 NOT_IMPLEMENTED - requeue=false 60 110");
}

TEST(AmqpChannel, CountsChannelsNotTheirNumbers) {
    world w;
    scripted_peer p(w);
    p.open("guest", {2, 131072, 0});
    p.send(method_frame(65535, amqp::channel_open{}) + method_frame(7, amqp::channel_open{}));
    EXPECT_EQ(p.said(), "65535 channel.open-ok \"\"\n7 channel.open-ok \"\"");
    p.send(7, amqp::channel_flow{.active = true});
    p.send(65535, amqp::access_request{});
    EXPECT_EQ(p.said(), "7 channel.flow-ok 1\n65535 access.request-ok 1");
    p.send(1, amqp::channel_open{});
    EXPECT_EQ(p.said(), "0 connection.close 530 NOT_ALLOWED - number of channels opened (2) has reached the negotiated "
                        "channel_max (2) 0 0");
}

TEST(AmqpChannel, LetsAClosedNumberBeUsedAgain) {
    world w;
    scripted_peer p(w, 1);
    for (int i = 0; i < 3; ++i) {
        p.send(method_frame(1, amqp::channel_close{.code = 200}) + method_frame(1, amqp::channel_open{}));
        EXPECT_EQ(p.said(), "1 channel.close-ok\n1 channel.open-ok \"\"");
    }
}

TEST(AmqpChannel, ProtectsReservedNames) {
    const auto refusal = [](const bytes& in) {
        world w;
        scripted_peer p(w, 1);
        p.send(in);
        return p.said();
    };
    EXPECT_EQ(refusal(method_frame(1, amqp::queue_declare{.queue = "amq.mine"})),
              "1 channel.close 403 ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*' 50 10");
    EXPECT_EQ(refusal(method_frame(1, amqp::exchange_declare{.exchange = "amq.mine", .type = "direct"})),
              "1 channel.close 403 ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*' 40 10");
    EXPECT_EQ(refusal(method_frame(1, amqp::exchange_delete{.exchange = "amq.direct"})),
              "1 channel.close 403 ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not allowed "
              "40 20");
    EXPECT_EQ(refusal(method_frame(1, amqp::exchange_declare{.exchange = "", .type = "direct"})),
              "1 channel.close 403 ACCESS_REFUSED - operation not permitted on the default exchange 40 10");
    EXPECT_EQ(refusal(method_frame(1, amqp::queue_declare{.queue = "\xff"})),
              "0 connection.close 501 FRAME_ERROR - Malformed UTF-8 in shortstr 0 0");
}

// ---- Rights ------------------------------------------------------------------------------------

TEST(AmqpChannel, HoldsEveryMethodAgainstTheUsersRights) {
    amqp::table_builder dead_letters;
    dead_letters.put("x-dead-letter-exchange", std::string_view{"secret"});
    amqp::table_builder alternate;
    alternate.put("alternate-exchange", std::string_view{"secret"});
    const auto q = [](const char* name) { return fmt::format("access to queue '{}' in vhost '/'", name); };
    const auto x = [](const char* name) { return fmt::format("access to exchange '{}' in vhost '/'", name); };
    const std::vector<std::pair<bytes, std::string>> cases{
        {method_frame(1, amqp::queue_declare{.queue = "secret"}), q("secret")},
        {method_frame(1, amqp::queue_delete{.queue = "secret"}), q("secret")},
        {method_frame(1, amqp::queue_purge{.queue = "secret"}), q("secret")},
        {method_frame(1, amqp::queue_bind{.queue = "secret", .exchange = "open.x"}), q("secret")},
        {method_frame(1, amqp::queue_bind{.queue = "open.q", .exchange = "secret"}), x("secret")},
        {method_frame(1, amqp::queue_unbind{.queue = "open.q", .exchange = "secret"}), x("secret")},
        {method_frame(1, amqp::exchange_declare{.exchange = "secret", .type = "direct"}), x("secret")},
        {method_frame(1, amqp::exchange_delete{.exchange = "secret"}), x("secret")},
        {method_frame(1, amqp::exchange_bind{.destination = "secret", .source = "open.x"}), x("secret")},
        {method_frame(1, amqp::exchange_bind{.destination = "open.x", .source = "secret"}), x("secret")},
        {method_frame(1, amqp::basic_consume{.queue = "secret"}), q("secret")},
        {method_frame(1, amqp::basic_get{.queue = "secret"}), q("secret")},
        {publish_frames(1, "secret", "k", "m"), x("secret")},
        {publish_frames(1, "", "open.q", "m"), x("amq.default")},
        {method_frame(1, amqp::queue_declare{.queue = "open.new", .arguments = dead_letters.view()}), x("secret")},
        {method_frame(1,
                      amqp::exchange_declare{.exchange = "open.new", .type = "direct", .arguments = alternate.view()}),
         x("secret")},
    };
    for (const auto& [in, resource] : cases) {
        world w;
        scripted_peer owner(w, 1);
        owner.send(1, amqp::queue_declare{.queue = "secret"});
        owner.send(1, amqp::queue_declare{.queue = "open.q"});
        owner.send(1, amqp::exchange_declare{.exchange = "secret", .type = "direct"});
        owner.send(1, amqp::exchange_declare{.exchange = "open.x", .type = "direct"});
        scripted_peer p(w);
        p.open("limited");
        p.send(1, amqp::channel_open{});
        static_cast<void>(p.said());
        p.send(in);
        const auto answer = p.said();
        EXPECT_TRUE(
            answer.starts_with("1 channel.close 403 ACCESS_REFUSED - " + resource + " refused for user 'limited' "))
            << answer << "\nwanted " << resource;
    }
}

TEST(AmqpChannel, LetsAUserDoWhatItsRightsAllow) {
    world w;
    scripted_peer p(w);
    p.open("limited");
    p.send(1, amqp::channel_open{});
    p.send(1, amqp::exchange_declare{.exchange = "open.x", .type = "direct"});
    p.send(1, amqp::queue_declare{.queue = "open.q"});
    p.send(1, amqp::queue_bind{.queue = "open.q", .exchange = "open.x", .routing_key = "k"});
    p.publish(1, "open.x", "k", "m");
    p.send(1, amqp::basic_get{.queue = "open.q", .no_ack = true});
    EXPECT_EQ(p.said(),
              "1 channel.open-ok \"\"\n1 exchange.declare-ok\n1 queue.declare-ok open.q 0 0\n1 queue.bind-ok\n"
              "1 basic.get-ok 1 0 open.x k 0\n1 header 1 0000\n1 body m");
    // A passive declare needs no right.
    p.send(1, amqp::queue_declare{.queue = "secret", .passive = true});
    EXPECT_EQ(p.said(), "1 channel.close 404 NOT_FOUND - no queue 'secret' in vhost '/' 50 10");
}

// A right that is taken away counts for the very next publish, although the channel remembers its last check.
TEST(AmqpChannel, ForgetsARememberedCheckWhenRightsChange) {
    world w;
    scripted_peer p(w);
    p.open("limited");
    p.send(1, amqp::channel_open{});
    p.send(1, amqp::exchange_declare{.exchange = "open.x", .type = "fanout"});
    p.send(1, amqp::confirm_select{});
    p.publish(1, "open.x", "", "m");
    EXPECT_TRUE(p.said().ends_with("1 basic.ack 1 0"));
    w.shard->begin_turn();
    w.shard->change_topology([](core::topology_editor& e) {
        const auto v = core::topology_view::id_of(*e.view().find_vhost("/"));
        EXPECT_TRUE(e.set_permissions("limited", v, {"^open", "^closed", "^open"}));
        return std::vector<core::queue_entry>{};
    });
    w.end_turn();
    p.publish(1, "open.x", "", "m");
    EXPECT_EQ(p.said(),
              "1 channel.close 403 ACCESS_REFUSED - access to exchange 'open.x' in vhost '/' refused for user "
              "'limited' 60 40");
}

TEST(AmqpChannel, EndsWhenItMayNotReadItsQueueAnyMore) {
    world w;
    scripted_peer p(w);
    p.open("limited");
    p.send(1, amqp::channel_open{});
    p.send(1, amqp::queue_declare{.queue = "open.q"});
    p.send(1, amqp::basic_consume{.queue = "open.q", .consumer_tag = "t"});
    static_cast<void>(p.said());
    const auto change_rights = [&](std::string_view read) {
        w.shard->begin_turn();
        w.shard->change_topology([&](core::topology_editor& e) {
            const auto v = core::topology_view::id_of(*e.view().find_vhost("/"));
            EXPECT_TRUE(e.set_permissions("limited", v, {"^open", "^open", std::string(read)}));
            return std::vector<core::queue_entry>{};
        });
        w.end_turn();
        w.shard->begin_turn();
        p.talk->on_rights_changed();
        w.end_turn();
    };
    change_rights("^open\\.q$");
    EXPECT_EQ(p.said(), "");
    change_rights("^closed");
    EXPECT_EQ(p.said(),
              "1 channel.close 403 ACCESS_REFUSED - access to queue 'open.q' in vhost '/' refused for user 'limited' "
              "0 0");
}

TEST(AmqpChannel, ConfirmsWhatWasPublishedBeforeItWasClosed) {
    world w;
    scripted_peer p(w, *w.shard, 1);
    p.send(1, amqp::confirm_select{});
    static_cast<void>(p.said());
    p.send(publish_frames(1, "", "nowhere", "m") + method_frame(1, amqp::channel_close{}));
    EXPECT_EQ(p.said(), "1 basic.ack 1 0\n1 channel.close-ok");
}

TEST(AmqpChannel, HoldsTopicKeysAgainstTopicRights) {
    world w;
    w.shard->begin_turn();
    w.shard->change_topology([](core::topology_editor& e) {
        const auto v = core::topology_view::id_of(*e.view().find_vhost("/"));
        EXPECT_TRUE(e.set_permissions("limited", v, {"", ".*", ".*"}));
        EXPECT_TRUE(e.set_topic_permissions("limited", v, "amq.topic", {"^open\\.", "^open\\."}));
        return std::vector<core::queue_entry>{};
    });
    w.end_turn();
    scripted_peer p(w);
    p.open("limited");
    p.send(method_frame(1, amqp::channel_open{}) + method_frame(1, amqp::confirm_select{}));
    static_cast<void>(p.said());
    p.publish(1, "amq.topic", "open.door", "m");
    EXPECT_EQ(p.said(), "1 basic.ack 1 0");
    p.publish(1, "amq.topic", "closed.door", "m");
    EXPECT_EQ(p.said(), "1 channel.close 403 ACCESS_REFUSED - access to topic 'closed.door' in exchange 'amq.topic' in "
                        "vhost '/' refused for user 'limited' 60 40");
}

}  // namespace
}  // namespace linnet::session::test
