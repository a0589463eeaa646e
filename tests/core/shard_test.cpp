#include "broker/core/queue.hpp"
#include "tests/core/cluster.hpp"

#include <random>
#include <set>

namespace linnet::core {
namespace {

using texts = std::vector<std::string>;

[[nodiscard]] texts bodies(const std::vector<delivery>& all) {
    texts t;
    for (const auto& d : all) {
        t.push_back(body_text(*d.msg));
    }
    return t;
}

// Everything below holds wherever the pieces live: publisher, queue and consumer each on any of two shards.
struct placement {
    std::size_t publisher;
    std::size_t queue;
    std::size_t consumer;
};

class Placed : public testing::TestWithParam<placement> {
protected:
    cluster c{2};
    test_session publisher{c.at(GetParam().publisher)};
    test_session consumer{c.at(GetParam().consumer)};
    std::string queue = c.name_on(publisher, GetParam().queue);
};

TEST_P(Placed, DeliversInOrderAndSettles) {
    c.consume_from(consumer, queue);
    for (int i = 0; i < 100; ++i) {
        c.publish(publisher, "", queue, std::to_string(i));
        if (i % 7 == 0) {
            c.settle();
        }
    }
    c.settle();
    ASSERT_EQ(consumer.got.size(), 100U);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(body_text(*consumer.got[static_cast<std::size_t>(i)].msg), std::to_string(i));
    }
    c.enter(GetParam().consumer).settle(consumer.got, settlement::accepted);
    consumer.got.clear();
    c.settle();
    EXPECT_EQ(c.declare(publisher, queue).message_count, 0U);
    EXPECT_EQ(c.parts().bytes_of(memory_use::messages), 0U) << "every message went home to its pool";
    EXPECT_EQ(c.parts().bytes_of(memory_use::places), 0U);
}

TEST_P(Placed, HoldsPrefetch) {
    c.consume_from(consumer, queue, 3);
    for (int i = 0; i < 10; ++i) {
        c.publish(publisher, "", queue, std::to_string(i));
    }
    c.settle();
    EXPECT_EQ(bodies(consumer.got), (texts{"0", "1", "2"}));
    auto& home = c.enter(GetParam().consumer);
    const auto& d = consumer.got[0];
    home.settle_accepted(d.queue, d.consumer, 1, 1);
    c.settle();
    EXPECT_EQ(consumer.got.size(), 4U);
}

TEST_P(Placed, RequeuedMessagesComeBackInOrderAndMarked) {
    const auto info = c.consume_from(consumer, queue, 5);
    for (int i = 0; i < 5; ++i) {
        c.publish(publisher, "", queue, std::to_string(i));
    }
    c.settle();
    ASSERT_EQ(consumer.got.size(), 5U);
    c.enter(GetParam().consumer);
    consumer.home().forget_consumer(info.queue, info.consumer, consumer);
    consumer.home().settle(consumer.got, settlement::requeued);
    consumer.got.clear();
    c.settle();
    c.consume_from(consumer, queue);
    c.settle();
    EXPECT_EQ(bodies(consumer.got), (texts{"0", "1", "2", "3", "4"}));
    for (const auto& d : consumer.got) {
        EXPECT_TRUE(d.redelivered);
        EXPECT_EQ(d.delivery_count, 1U);
    }
}

TEST_P(Placed, ConfirmsEveryPublishOnce) {
    std::uint64_t immediate = 0;
    for (std::uint64_t i = 1; i <= 50; ++i) {
        immediate += c.publish(publisher, "", queue, "m", i).pending ? 0 : 1;
    }
    c.settle();
    EXPECT_EQ(immediate + publisher.settled.size(), 50U);
    for (const auto& [sequence, accepted] : publisher.settled) {
        EXPECT_TRUE(accepted) << sequence;
    }
    EXPECT_EQ(immediate == 0, GetParam().publisher != GetParam().queue);
}

TEST_P(Placed, GetTakesTheHead) {
    c.publish(publisher, "", queue, "a");
    c.publish(publisher, "", queue, "b");
    c.settle();
    auto r = c.ask(consumer, get{queue, true});
    const auto& got = std::get<got_message>(*r.result);
    ASSERT_TRUE(got.message);
    EXPECT_EQ(body_text(*got.message->msg), "a");
    EXPECT_EQ(got.remaining, 1U);
}

TEST_P(Placed, PurgeAndDeleteTellTheCounts) {
    for (int i = 0; i < 3; ++i) {
        c.publish(publisher, "", queue, "m");
    }
    c.settle();
    auto r = c.ask(consumer, purge_queue{queue});
    EXPECT_EQ(std::get<queue_info>(*r.result).message_count, 3U);
    c.publish(publisher, "", queue, "m");
    c.settle();
    r = c.ask(consumer, delete_queue{queue, false, true});
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().kind, error_kind::precondition_failed);
    r = c.ask(consumer, delete_queue{queue, false, false});
    EXPECT_EQ(std::get<queue_info>(*r.result).message_count, 1U);
    r = c.ask(consumer, get{queue, true});
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().kind, error_kind::not_found);
}

TEST_P(Placed, DeletingTheQueueCancelsItsConsumers) {
    c.consume_from(consumer, queue);
    c.ask(publisher, delete_queue{queue, false, false});
    c.settle();
    EXPECT_EQ(consumer.cancelled, std::vector<std::uint64_t>{1});
}

TEST_P(Placed, ASinkThatIsNotReadyGetsNothingAndLosesNothing) {
    c.consume_from(consumer, queue, 0, true);
    consumer.set_ready(false);
    for (int i = 0; i < 20; ++i) {
        c.publish(publisher, "", queue, std::to_string(i));
    }
    c.settle();
    EXPECT_TRUE(consumer.got.empty());
    c.enter(GetParam().consumer);
    consumer.set_ready(true);
    c.settle();
    EXPECT_EQ(consumer.got.size(), 20U);
}

TEST_P(Placed, AConsumerThatLeavesGivesBackWhatWasUnderWay) {
    const auto info = c.consume_from(consumer, queue);
    for (int i = 0; i < 10; ++i) {
        c.publish(publisher, "", queue, std::to_string(i));
    }
    if (GetParam().publisher != GetParam().queue) {
        c.turn(GetParam().publisher);
    }
    c.turn(GetParam().queue);  // lent, perhaps still in the ring to the consumer's shard
    c.enter(GetParam().consumer);
    const auto received = bodies(consumer.got).size();
    consumer.home().forget_consumer(info.queue, info.consumer, consumer);
    for (auto& d : consumer.got) {
        consumer.home().settle({&d, 1}, settlement::requeued);
    }
    consumer.got.clear();
    consumer.leave();
    c.settle();
    test_session next(c.at(GetParam().publisher));
    c.consume_from(next, queue);
    c.settle();
    EXPECT_EQ(next.got.size(), 10U) << "after " << received << " had arrived";
    std::set<std::string> all;
    for (const auto& t : bodies(next.got)) {
        all.insert(t);
    }
    EXPECT_EQ(all.size(), 10U);
    for (std::size_t i = 0; i < next.got.size(); ++i) {
        EXPECT_EQ(body_text(*next.got[i].msg), std::to_string(i)) << "order";
    }
    next.got.clear();
}

TEST_P(Placed, AnAutoDeleteQueueIsGoneWhenItsLastConsumersCancelIsAnswered) {
    declare_queue q;
    q.auto_delete = true;
    for (int i = 0;; ++i) {
        q.name = "auto" + std::to_string(i);
        const auto r = c.ask(publisher, q);
        if (std::get<queue_info>(*r.result).handle.shard.value == GetParam().queue) {
            break;
        }
    }
    const auto info = c.consume_from(consumer, q.name);
    ASSERT_TRUE(c.ask(consumer, cancel{info.queue, info.consumer, &consumer}).result);
    const auto r = c.ask(publisher, get{q.name, true});
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().kind, error_kind::not_found);
}

INSTANTIATE_TEST_SUITE_P(Everywhere, Placed,
                         testing::Values(placement{0, 0, 0}, placement{0, 0, 1}, placement{0, 1, 0}, placement{0, 1, 1},
                                         placement{1, 0, 0}, placement{1, 0, 1}, placement{1, 1, 0},
                                         placement{1, 1, 1}),
                         [](const auto& i) {
                             return "P" + std::to_string(i.param.publisher) + "Q" + std::to_string(i.param.queue) +
                                    "C" + std::to_string(i.param.consumer);
                         });

TEST(Shard, AFanOutReachesQueuesOnEveryShardAndIsConfirmedOnce) {
    cluster c(3);
    test_session s(c.at(1));
    declare_exchange x;
    x.name = "fan";
    x.type = "fanout";
    ASSERT_TRUE(c.ask(s, x).result);
    constexpr int queues = 12;
    for (int i = 0; i < queues; ++i) {
        c.declare(s, "f" + std::to_string(i));
        ASSERT_TRUE(c.ask(s, bind{"fan", "f" + std::to_string(i), bind_destination::queue, "", {}}).result);
    }
    const auto r = c.publish(s, "fan", "", "hello", 7);
    EXPECT_EQ(r.routed, 12U);
    EXPECT_TRUE(r.pending);
    c.settle();
    EXPECT_EQ(s.settled, (std::map<std::uint64_t, bool>{{7, true}}));
    for (int i = 0; i < queues; ++i) {
        auto got = c.ask(s, get{"f" + std::to_string(i), true});
        EXPECT_TRUE(std::get<got_message>(*got.result).message) << i;
    }
    c.settle();
    s.replies.clear();
    c.settle();
    EXPECT_EQ(c.parts().bytes_of(memory_use::messages), 0U);
}

TEST(Shard, OneRefusalAmongManyTargetsRefusesThePublish) {
    cluster c(3);
    test_session s(c.at(0));
    declare_exchange x;
    x.name = "fan";
    x.type = "fanout";
    ASSERT_TRUE(c.ask(s, x).result);
    for (int i = 0; i < 9; ++i) {
        value_table arguments;
        if (i == 4) {
            arguments = {{"x-max-length", make_int64(0)}, {"x-overflow", make_string("reject-publish")}};
        }
        c.declare(s, "f" + std::to_string(i), false, arguments);
        ASSERT_TRUE(c.ask(s, bind{"fan", "f" + std::to_string(i), bind_destination::queue, "", {}}).result);
    }
    c.publish(s, "fan", "", "hello", 1);
    c.settle();
    EXPECT_EQ(s.settled, (std::map<std::uint64_t, bool>{{1, false}}));
}

TEST(Shard, ExclusiveQueuesGoWithTheirSession) {
    cluster c(2);
    test_session owner(c.at(1));
    test_session other(c.at(0));
    const auto info = c.declare(owner, "mine", true);
    EXPECT_EQ(info.handle.shard, shard_id{1}) << "an exclusive queue lives with its session";
    auto r = c.ask(other, get{"mine", true});
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().kind, error_kind::resource_locked);
    c.enter(1);
    owner.leave();
    c.settle();
    r = c.ask(other, get{"mine", true});
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().kind, error_kind::not_found);
}

// The answer to a consume is still on its way when the connection breaks: nobody else can know the consumer.
TEST(Shard, AConsumerWhoseSessionEndedBeforeTheAnswerIsGone) {
    cluster c(2);
    test_session other(c.at(1));
    const auto queue = c.name_on(other, 1);
    consume wish;
    wish.queue = queue;
    wish.tag = 1;
    wish.exclusive = true;
    {
        test_session gone(c.at(0));
        wish.sink = &gone;
        c.enter(0);
        EXPECT_FALSE(c.at(0).submit({c.vhost(), gone.handle(), 1, wish}));
        // Another takes the place that it had, before the answer comes.
        gone.leave();
        test_session next(c.at(0));
        wish.sink = &next;
        wish.exclusive = false;
        wish.queue = c.name_on(other, 1);
        c.enter(0);
        EXPECT_FALSE(c.at(0).submit({c.vhost(), next.handle(), 2, wish}));
        c.settle();
        ASSERT_EQ(next.replies.size(), 1U);
        EXPECT_TRUE(next.replies.front().result);
        c.enter(0);
        next.leave();
        c.settle();
    }
    wish.queue = queue;
    wish.sink = &other;
    wish.exclusive = true;
    const auto r = c.ask(other, wish);
    EXPECT_TRUE(r.result) << r.result.error().text;
}

TEST(Shard, NamesAreAsLongAsAmqpSaysThem) {
    cluster c(1);
    test_session s(c.at(0));
    const auto kind_of = [&](request_body what) {
        const auto r = c.ask(s, std::move(what));
        return r.result ? std::nullopt : std::optional(r.result.error().kind);
    };
    declare_exchange x;
    x.type = "fanout";
    for (const std::size_t size : {255U, 256U}) {
        const auto expected = size == 255 ? std::nullopt : std::optional(error_kind::precondition_failed);
        x.name = std::string(size, 'x');
        EXPECT_EQ(kind_of(x), expected);
        declare_queue q;
        q.name = std::string(size, 'q');
        EXPECT_EQ(kind_of(q), expected);
        q.name = "dead" + std::to_string(size);
        q.arguments = {{"x-dead-letter-exchange", make_string("")},
                       {"x-dead-letter-routing-key", make_string(std::string(size, 'k'))}};
        EXPECT_EQ(kind_of(q), expected);
    }
    bind b;
    b.source = std::string(255, 'x');
    b.destination = "dead255";
    b.routing_key = std::string(65'536, 'k');
    EXPECT_EQ(kind_of(b), error_kind::precondition_failed);
}

TEST(Shard, DeclarationsFromTwoShardsMeetInOneQueue) {
    cluster c(2);
    test_session a(c.at(0));
    test_session b(c.at(1));
    declare_queue q;
    q.name = "same";
    c.enter(0);
    auto first = c.at(0).submit({c.vhost(), a.handle(), 1, q});
    c.enter(1);
    auto second = c.at(1).submit({c.vhost(), b.handle(), 2, q});
    c.settle();
    if (!first) {
        first = std::move(a.replies.at(0));
    }
    if (!second) {
        second = std::move(b.replies.at(0));
    }
    EXPECT_EQ(std::get<queue_info>(*first->result).handle, std::get<queue_info>(*second->result).handle);
}

TEST(Shard, DirectMessagesFindTheirSinkOnAnyShard) {
    cluster c(2);
    test_session here(c.at(0));
    test_session there(c.at(1));
    auto& home = c.enter(0);
    const std::string text = "reply";
    const auto make = [&] {
        return make_message(home.pool(), "", "k", {}, {reinterpret_cast<const std::uint8_t*>(text.data()), 5}, {});
    };
    EXPECT_TRUE(home.deliver_direct(here.handle(), 1, make()));
    EXPECT_TRUE(home.deliver_direct(there.handle(), 1, make()));
    EXPECT_FALSE(home.deliver_direct(here.handle(), 2, make()));
    c.settle();
    EXPECT_EQ(here.direct, texts{"reply"});
    EXPECT_EQ(there.direct, texts{"reply"});
}

// A ring of 16 slots and hundreds of commands: what does not fit waits, in order, and nothing is lost.
TEST(Shard, FullRingsLoseNothingAndKeepTheOrder) {
    cluster c(2, 16);
    test_session publisher(c.at(0));
    test_session consumer(c.at(1));
    const auto queue = c.name_on(publisher, 1);
    c.consume_from(consumer, queue, 0, true);
    for (int i = 0; i < 500; ++i) {
        c.publish(publisher, "", queue, std::to_string(i));
    }
    for (int i = 0; i < 100; ++i) {
        c.settle();
    }
    ASSERT_EQ(consumer.got.size(), 500U);
    for (int i = 0; i < 500; ++i) {
        ASSERT_EQ(body_text(*consumer.got[static_cast<std::size_t>(i)].msg), std::to_string(i));
    }
    consumer.got.clear();
}

TEST(Shard, DeadLettersCrossShards) {
    cluster c(2);
    test_session s(c.at(0));
    const auto grave = c.name_on(s, 1);
    c.declare(s, "dying", false,
              {{"x-dead-letter-exchange", make_string("")},
               {"x-dead-letter-routing-key", make_string(grave)},
               {"x-max-length", make_int64(1)}});
    c.publish(s, "", "dying", "first");
    c.publish(s, "", "dying", "second");
    c.settle();
    auto r = c.ask(s, get{grave, true});
    const auto& got = std::get<got_message>(*r.result);
    ASSERT_TRUE(got.message);
    EXPECT_EQ(body_text(*got.message->msg), "first");
    const auto* deaths = got.message->msg->deaths();
    ASSERT_NE(deaths, nullptr);
    ASSERT_EQ(deaths->rows.size(), 1U);
    EXPECT_EQ(deaths->rows[0].queue, "dying");
    EXPECT_EQ(deaths->rows[0].reason, death_reason::maxlen);
    EXPECT_EQ(deaths->first_queue, "dying");
}

// Random lives on three shards against a plain model: every message is delivered exactly once or is still
// in its queue, and each queue's order holds.
TEST(Shard, RandomTrafficIsNeitherLostNorDoubled) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    cluster c(3, 32);
    std::vector<std::unique_ptr<test_session>> sessions;
    for (std::size_t i = 0; i < 6; ++i) {
        sessions.push_back(std::make_unique<test_session>(c.at(i % 3)));
    }
    std::vector<std::string> queues;
    for (int i = 0; i < 5; ++i) {
        queues.push_back("r" + std::to_string(i));
        c.declare(*sessions[0], queues.back());
        for (std::size_t k = 0; k < 2; ++k) {
            c.consume_from(*sessions[(static_cast<std::size_t>(i) + k) % sessions.size()], queues.back(), 4);
        }
    }
    std::map<std::string, int> seen;
    int published = 0;
    for (int step = 0; step < 3000; ++step) {
        const auto i = random() % sessions.size();
        auto& s = *sessions[i];
        switch (random() % 4) {
            case 0: c.publish(s, "", queues[random() % queues.size()], std::to_string(published++)); break;
            case 1: c.turn(random() % 3); break;
            default:
                if (!s.got.empty()) {
                    c.enter(s.home().id().value);
                    const auto at = static_cast<std::ptrdiff_t>(random() % s.got.size());
                    auto d = std::move(s.got[static_cast<std::size_t>(at)]);
                    s.got.erase(s.got.begin() + at);
                    const bool ack = random() % 3 != 0;
                    if (ack) {
                        ++seen[body_text(*d.msg)];
                    }
                    s.home().settle({&d, 1}, ack ? settlement::accepted : settlement::requeued);
                }
        }
    }
    for (int round = 0; round < 400; ++round) {
        c.settle();
        bool idle = true;
        for (auto& s : sessions) {
            c.enter(s->home().id().value);
            for (auto& d : s->got) {
                ++seen[body_text(*d.msg)];
                idle = false;
                s->home().settle({&d, 1}, settlement::accepted);
            }
            s->got.clear();
        }
        if (idle) {
            break;
        }
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(published));
    for (const auto& [body, times] : seen) {
        EXPECT_EQ(times, 1) << body;
    }
    for (const auto& q : queues) {
        EXPECT_EQ(c.declare(*sessions[0], q).message_count, 0U);
    }
    c.settle();
    EXPECT_EQ(c.parts().bytes_of(memory_use::messages), 0U);
}

TEST(Shard, TheMemoryAlarmReachesEverySessionAndEnds) {
    manual_clock_source clock;
    broker_options o;
    o.shards = 1;
    o.memory_high_bytes = 100'000;
    broker parts(o, clock);
    const auto vhost = parts.editor().add_vhost("/");
    parts.publish_topology();
    shard only(parts, shard_id{0});
    only.begin_turn();
    {
        test_session s(only);
        declare_queue q;
        q.name = "q";
        ASSERT_TRUE(only.submit({vhost, s.handle(), 1, q}));
        const std::vector<std::uint8_t> body(60'000);
        const auto publish = [&] {
            const auto* v = only.topology().find_vhost(vhost);
            route_memo memo;
            const auto r = only.find_route(*v, "", "q", nullptr, {}, memo);
            static_cast<void>(only.publish(make_message(only.pool(), "", "q", {}, body, {}), *v, r, s.handle(), 1, 0));
        };
        const auto turn = [&] {
            clock.advance(ns_per_s);
            only.begin_turn();
            static_cast<void>(only.end_turn());
            only.begin_turn();
        };
        publish();
        turn();
        EXPECT_FALSE(s.alarm);
        publish();
        turn();
        EXPECT_TRUE(s.alarm);
        ASSERT_TRUE(only.submit({vhost, s.handle(), 2, purge_queue{"q"}}));
        turn();
        EXPECT_FALSE(s.alarm);
    }
    only.end();
}

// Two shards under a budget of a mebibyte: a queue on one, its consumer on the other.
class Unread : public testing::Test {
protected:
    static constexpr std::size_t many = 200;

    Unread() : queue(c.name_on(publisher, 0)), info(c.consume_from(slow, queue)) {}
    ~Unread() override {
        c.enter(1);
        slow.home().settle(slow.got, settlement::accepted);
        slow.got.clear();
        c.settle();
    }
    static broker_options options() {
        broker_options o;
        o.shards = 2;
        o.memory_high_bytes = 1 << 20;
        return o;
    }
    void set_ready(bool now) {
        c.enter(1);
        slow.set_ready(now);
    }
    void publish(std::size_t count, std::size_t bytes = 4096) {
        for (std::size_t i = 0; i < count; ++i) {
            c.publish(publisher, "", queue, std::string(bytes, 'x'));
        }
    }
    // Nothing is read for so long.
    void wait(int seconds) {
        for (int i = 0; i < seconds; ++i) {
            c.clock.advance(ns_per_s);
            c.settle();
        }
    }
    [[nodiscard]] std::uint64_t ready() { return c.declare(publisher, queue).message_count; }
    void expect_in_order(std::size_t count) {
        ASSERT_EQ(slow.got.size(), count);
        for (std::size_t i = 0; i < count; ++i) {
            ASSERT_EQ(slow.got[i].pos, slow.got[0].pos + i) << "order";
            ASSERT_FALSE(slow.got[i].redelivered);
        }
    }

    cluster c{options()};
    test_session publisher{c.at(0)};
    test_session slow{c.at(1)};
    std::string queue;
    consumer_info info;
};

TEST_F(Unread, StaysWhereItIsWhileMemoryIsPlentyOrTheSinkMayBeBusy) {
    set_ready(false);
    publish(40);
    c.settle();
    wait(4);
    EXPECT_EQ(ready(), 0U) << "nothing is short";
    set_ready(true);
    c.settle();
    set_ready(false);
    publish(many);
    c.settle();
    // Nine units each: 512 at first, and as many more as it has taken.
    EXPECT_EQ(ready(), many - 97);
}

// They may be spilled there, and another consumer may want them.
TEST_F(Unread, GoesBackToItsQueueWhenMemoryIsShort) {
    set_ready(false);
    publish(many);
    c.settle();
    wait(4);
    EXPECT_EQ(ready(), many);
    EXPECT_TRUE(slow.got.empty());
    set_ready(true);
    c.settle();
    expect_in_order(many);
}

TEST_F(Unread, IsNotOvertakenByWhatWasOnItsWayMeanwhile) {
    const auto ballast = c.declare(publisher, "ballast").name;
    for (std::size_t i = 0; i < many; ++i) {
        c.publish(publisher, "", ballast, std::string(4096, 'x'));
    }
    set_ready(false);
    publish(20);
    c.settle();
    c.clock.advance(4 * ns_per_s);
    c.turn(1);  // 20 are on their way back
    EXPECT_EQ(c.parts().bytes_of(memory_use::connections), 0U) << "nothing is held here";
    publish(10);  // and these on theirs
    set_ready(true);
    c.settle();
    expect_in_order(30);
}

TEST_F(Unread, OpensItsWindowAsWideAsItWasAtFirst) {
    set_ready(false);
    publish(many);
    c.settle();
    wait(4);
    ASSERT_EQ(ready(), many);
    set_ready(true);
    c.settle();
    c.enter(1);
    slow.home().settle(slow.got, settlement::accepted);
    slow.got.clear();
    publish(2 * core::queue::remote_window, 1);
    wait(2);
    ASSERT_EQ(slow.got.size(), 2 * core::queue::remote_window);
    set_ready(false);
    publish(2 * core::queue::remote_window, 1);
    c.settle();
    EXPECT_EQ(ready(), core::queue::remote_window);
    set_ready(true);
    wait(2);
    EXPECT_EQ(slow.got.size(), 4 * core::queue::remote_window);
}

TEST_F(Unread, IsThereForOthersWhenItsConsumerHasGone) {
    set_ready(false);
    publish(many);
    c.settle();
    wait(4);
    c.enter(1);
    slow.home().forget_consumer(info.queue, info.consumer, slow);
    c.settle();
    test_session other(c.at(1));
    c.consume_from(other, queue);
    c.settle();
    EXPECT_EQ(other.got.size(), many);
    c.enter(1);
    other.home().settle(other.got, settlement::accepted);
    other.got.clear();
    c.settle();
}

TEST_F(Unread, GoesWithItsQueue) {
    set_ready(false);
    publish(many);
    c.settle();
    c.clock.advance(4 * ns_per_s);
    c.turn(1);  // on its way back
    EXPECT_TRUE(c.ask(publisher, delete_queue{.name = queue}).result);
    c.settle();
    EXPECT_EQ(slow.cancelled, std::vector<std::uint64_t>{1});
    EXPECT_EQ(c.parts().bytes_of(memory_use::messages), 0U);
}

// What a slow disk makes wait is memory, too.
TEST(Shard, TheBuffersOfLogsCountTowardsTheMemoryAlarm) {
    static std::uint64_t buffers;
    buffers = 0;
    manual_clock_source clock;
    broker_options o;
    o.shards = 2;
    o.memory_high_bytes = 100'000;
    o.log_buffer_bytes = +[]() noexcept { return buffers; };
    broker parts(o, clock);
    parts.publish_topology();
    shard first(parts, shard_id{0});
    shard second(parts, shard_id{1});
    const auto turn = [&] {
        clock.advance(ns_per_s);
        for (shard* s : {&first, &second}) {
            s->begin_turn();
            static_cast<void>(s->end_turn());
        }
    };
    turn();
    EXPECT_FALSE(parts.memory_alarm());
    buffers = 100'001;
    turn();
    EXPECT_EQ(parts.bytes_of(memory_use::logs), buffers) << "once, whatever the number of shards";
    EXPECT_TRUE(parts.memory_alarm());
    buffers = 0;
    turn();
    EXPECT_FALSE(parts.memory_alarm());
    first.end();
    second.end();
}

}  // namespace
}  // namespace linnet::core
