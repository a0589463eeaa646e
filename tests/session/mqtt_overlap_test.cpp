// Filters that overlap, bound in different ways, while one of them is on its way: turn by turn.

#include "tests/core/random_seed.hpp"
#include "tests/session/mqtt_conversation.hpp"

#include <array>
#include <random>
#include <string>

namespace linnet::session::test {
namespace {

// Its shards take no turns that they are not given.
class stepped_world final : public world {
public:
    using world::world;
    void end_turn(core::shard* at_work = nullptr) override {
        if (stepped) {
            static_cast<void>((at_work == nullptr ? shard : at_work)->end_turn());
        } else {
            world::end_turn(at_work);
        }
    }
    void step(std::size_t which) {
        shards[which]->begin_turn();
        static_cast<void>(shards[which]->end_turn());
    }

    bool stepped = false;
};

core::broker_options three_shards() {
    auto o = world::options();
    o.shards = 3;
    return o;
}

void expect_each_once_or_twice(const std::string& heard, int published) {
    for (int n = 0; n < published; ++n) {
        const auto text = fmt::format("<{}>", n);
        const auto at = heard.find(text);
        ASSERT_NE(at, std::string::npos) << n << " is lost\n" << heard;
        const auto again = heard.find(text, at + 1);
        if (again != std::string::npos) {
            ASSERT_EQ(heard.find(text, again + 1), std::string::npos) << n << " came more than twice\n" << heard;
        }
    }
}

// Publishes again and again between turns of whichever shard, and does `meanwhile` at each step: nothing is lost, and
// in the end all comes once.
template <class F>
void expect_none_lost(stepped_world& w, mqtt_peer& me, mqtt_peer& publisher, std::mt19937_64& random,
                      const std::string& answer, F meanwhile) {
    w.stepped = true;
    std::string heard;
    int published = 0;
    for (int step = 0; step < 60; ++step) {
        publisher.publish("a/b", fmt::format("<{}>", published++));
        meanwhile(step);
        for (auto n = random() % 3; n > 0; --n) {
            w.step(random() % 3);
        }
        me.run();
        heard += me.said();
    }
    w.stepped = false;
    w.turn();
    heard += me.said();
    EXPECT_NE(heard.find(answer), std::string::npos);
    expect_each_once_or_twice(heard, published);
    const auto settled = fmt::format("<{}>", published);
    publisher.publish("a/b", settled);
    EXPECT_EQ(me.said(), "PUBLISH a/b " + settled);
}

// What is published while a filter is being bound to the session's queue still comes by the one that is bound to the
// connection; by both at most, for the queue's copy may come when it counts already.
TEST(MqttOverlap, LosesNothingWhileTheQueuesFilterIsBound) {
    const auto first = linnet::test::fresh_seed();
    for (std::uint64_t i = 0; i < 50; ++i) {
        LINNET_TRACE_SEED(first + i);
        std::mt19937_64 random(first + i);
        stepped_world w(three_shards());
        mqtt_peer me(w, *w.shards[1], "me");
        // On the session's shard, or the control's: on a third one a publish may still be on its way, for the
        // connection alone, when the session has its answers.
        mqtt_peer publisher(w, *w.shards[random() % 2], "publisher");
        me.subscribed("a/+");
        if (random() % 2 == 0) {
            me.subscribed("other", 1);  // it has its queue already
        }
        w.stepped = true;
        me.subscribe("a/#", 1);
        expect_none_lost(w, me, publisher, random, "SUBACK 1 01", [](int) {});
    }
}

// What lay in the queue for a filter when that was unsubscribed is still wanted by one that is bound to the connection,
// which has passed it over: the queue's copy was to count.
TEST(MqttOverlap, LosesNothingWhenTheQueuesFilterIsUnsubscribed) {
    const auto first = linnet::test::fresh_seed();
    for (std::uint64_t i = 0; i < 50; ++i) {
        LINNET_TRACE_SEED(first + i);
        std::mt19937_64 random(first + i);
        stepped_world w(three_shards());
        mqtt_peer me(w, *w.shards[1], "me");
        mqtt_peer publisher(w, *w.shards[random() % 2], "publisher");
        me.subscribed("a/+");
        me.subscribed("a/#", 1);
        const int unsubscribed_at = 10 + static_cast<int>(random() % 20);
        expect_none_lost(w, me, publisher, random, "UNSUBACK 1", [&](int step) {
            if (step == unsubscribed_at) {
                me.unsubscribe("a/#");
            }
        });
    }
}

// A connection that ends before the binding of an unsubscribed filter has gone leaves it behind: the next one gets by
// it what nobody wants.
TEST(MqttOverlap, DeliversOnceWhereAConnectionLeftABindingBehind) {
    for (const bool taken_over : {false, true}) {
        for (int client = 0; client < 8; ++client) {  // some of them kept by another shard
            SCOPED_TRACE(fmt::format("client {}, taken over {}", client, taken_over));
            stepped_world w(three_shards());
            const auto name = fmt::format("client-{}", client);
            const mqtt_login kept{.clean = false};
            mqtt_peer me(w, *w.shards[1], name, kept);
            mqtt_peer publisher(w, *w.shards[0], "publisher");
            me.subscribed("a/+");
            me.subscribed("a/#", 1);
            w.stepped = true;
            me.unsubscribe("a/#");
            if (!taken_over) {
                me.go();
            }
            w.stepped = false;
            mqtt_peer again(w, *w.shards[1], name, kept);
            EXPECT_EQ(again.welcome, "CONNACK present 00");
            for (int n = 0; n < 3; ++n) {
                publisher.publish("a/b", fmt::format("<{}>", n));
                EXPECT_EQ(again.said(), fmt::format("PUBLISH a/b <{}>", n));
            }
        }
    }
}

}  // namespace
}  // namespace linnet::session::test
