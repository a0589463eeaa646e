// Sinks that are bound themselves, with no queue between.
#include "broker/core/topology_walk.hpp"
#include "tests/core/cluster.hpp"

namespace linnet::core {
namespace {

using texts = std::vector<std::string>;

class subscriber : public test_session {
public:
    explicit subscriber(cluster& c, std::size_t shard)
        : test_session(c.at(shard)), where_(c), sink(home().add_subscriber(*this)) {}

    [[nodiscard]] reply subscribe(texts patterns, pattern_syntax syntax = pattern_syntax::mqtt) {
        return where_.ask(*this, core::subscribe{"amq.topic", sink, std::move(patterns), syntax});
    }
    void unsubscribe(texts patterns) {
        EXPECT_TRUE(
            where_.ask(*this, core::unsubscribe{"amq.topic", sink, std::move(patterns), pattern_syntax::mqtt}).result);
    }
    void end() {
        home().begin_turn();
        home().remove_subscriber(where_.vhost(), sink);
    }

private:
    cluster& where_;

public:
    const queue_handle sink;
};

struct two_places {
    std::size_t publisher, subscriber;
};
class Subscribers : public testing::TestWithParam<two_places> {
protected:
    cluster c{2};
    test_session publisher{c.at(GetParam().publisher)};
};

TEST_P(Subscribers, HearWhatTheirPatternsMatchOnce) {
    subscriber s(c, GetParam().subscriber);
    ASSERT_TRUE(s.subscribe({"a.*", "a.#", "b"}).result);
    c.publish(publisher, "amq.topic", "a.x", "1");
    c.publish(publisher, "amq.topic", "b", "2");
    c.publish(publisher, "amq.topic", "c", "3");
    c.settle();
    EXPECT_EQ(s.heard, (texts{"1", "2"}));
    s.unsubscribe({"a.*", "never"});
    c.publish(publisher, "amq.topic", "a.x", "4");
    s.unsubscribe({"a.#"});
    c.publish(publisher, "amq.topic", "a.x", "5");
    c.settle();
    EXPECT_EQ(s.heard, (texts{"1", "2", "4"}));
    EXPECT_EQ(c.parts().held_bytes(), 0U);
}

TEST_P(Subscribers, HearNothingAnyMoreOnceTheyHaveEnded) {
    subscriber s(c, GetParam().subscriber);
    subscriber stays(c, GetParam().subscriber);
    ASSERT_TRUE(s.subscribe({"a", "b.#"}).result);
    ASSERT_TRUE(stays.subscribe({"a"}).result);
    c.publish(publisher, "amq.topic", "a", "on its way");
    s.end();
    c.publish(publisher, "amq.topic", "a", "late");
    c.settle();
    c.publish(publisher, "amq.topic", "a", "later");
    c.settle();
    EXPECT_EQ(stays.heard, (texts{"on its way", "late", "later"}));
    EXPECT_TRUE(s.heard.empty() || s.heard == texts{"on its way"});
    stays.end();
    c.settle();
    EXPECT_EQ(c.publish(publisher, "amq.topic", "a", "nobody").routed, 0U);
}

TEST_P(Subscribers, AreConfirmedToPublishersWithQueuesBesideThem) {
    subscriber s(c, GetParam().subscriber);
    ASSERT_TRUE(s.subscribe({"a"}).result);
    c.declare(publisher, "q");
    ASSERT_TRUE(c.ask(publisher, bind{"amq.topic", "q", bind_destination::queue, "a", {}}).result);
    const auto r = c.publish(publisher, "amq.topic", "a", "1", 7);
    EXPECT_EQ(r.routed, 2U);
    c.settle();
    EXPECT_TRUE(!r.pending || publisher.settled == (std::map<std::uint64_t, bool>{{7, true}}));
    EXPECT_EQ(s.heard, texts{"1"});
    const auto got = c.ask(publisher, get{"q", true});
    EXPECT_TRUE(std::get<got_message>(*got.result).message);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Subscribers,
                         testing::Values(two_places{0, 0}, two_places{0, 1}, two_places{1, 0}, two_places{1, 1}),
                         [](const auto& i) {
                             return "P" + std::to_string(i.param.publisher) + "S" + std::to_string(i.param.subscriber);
                         });

TEST(Subscriber, HidesDollarFromLeadingWildcardsAsItsSyntaxSays) {
    cluster c(1);
    test_session publisher(c.at(0));
    subscriber mqtt(c, 0);
    subscriber amqp(c, 0);
    ASSERT_TRUE(mqtt.subscribe({"#", "*.x"}).result);
    ASSERT_TRUE(amqp.subscribe({"#"}, pattern_syntax::amqp).result);
    c.publish(publisher, "amq.topic", "$mine.x", "hidden");
    c.publish(publisher, "amq.topic", "a.x", "plain");
    EXPECT_EQ(mqtt.heard, texts{"plain"});
    EXPECT_EQ(amqp.heard, (texts{"hidden", "plain"}));
}

TEST(Subscriber, IsBoundByAllOfItsPatternsOrByNone) {
    cluster c(1);
    test_session publisher(c.at(0));
    subscriber s(c, 0);
    std::string deep = "a";
    for (int i = 0; i < 300; ++i) {
        deep += ".a";
    }
    const auto r = s.subscribe({"fine", deep});
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().kind, error_kind::precondition_failed);
    c.publish(publisher, "amq.topic", "fine", "1");
    EXPECT_EQ(s.heard, texts{});
    const auto nowhere = c.ask(s, core::subscribe{"none", s.sink, {"a"}, pattern_syntax::mqtt});
    ASSERT_FALSE(nowhere.result);
    EXPECT_EQ(nowhere.result.error().kind, error_kind::not_found);
    const auto direct = c.ask(s, core::subscribe{"amq.direct", s.sink, {"a"}, pattern_syntax::mqtt});
    ASSERT_FALSE(direct.result);
    EXPECT_EQ(direct.result.error().kind, error_kind::precondition_failed);
}

TEST(Subscriber, GoesWithItsExchangeAndIsNotListed) {
    cluster c(1);
    test_session publisher(c.at(0));
    declare_exchange x;
    x.name = "t";
    x.type = "topic";
    x.auto_delete = true;
    ASSERT_TRUE(c.ask(publisher, x).result);
    subscriber s(c, 0);
    ASSERT_TRUE(c.ask(s, core::subscribe{"t", s.sink, {"a", "b.#"}, pattern_syntax::mqtt}).result);
    const auto* v = c.at(0).topology().find_vhost(c.vhost());
    const auto* node = topology_view::find_exchange(*v, "t");
    int listed = 0;
    for_each_binding_from(*node, [&](const binding_view&) { ++listed; });
    EXPECT_EQ(listed, 0);
    ASSERT_TRUE(c.ask(publisher, delete_exchange{"t"}).result);
    s.end();
    c.settle();
    // Another one, which the last unbinding takes with it.
    ASSERT_TRUE(c.ask(publisher, x).result);
    subscriber next(c, 0);
    ASSERT_TRUE(c.ask(next, core::subscribe{"t", next.sink, {"a"}, pattern_syntax::mqtt}).result);
    next.end();
    c.settle();
    EXPECT_EQ(topology_view::find_exchange(*c.at(0).topology().find_vhost(c.vhost()), "t"), nullptr);
}

}  // namespace
}  // namespace linnet::core
