#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/queue.hpp"
#include "tests/core/queue_support.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

class Queue : public testing::Test {
protected:
    Queue() { message_pool::enter(&pool_); }
    ~Queue() override { message_pool::enter(nullptr); }

    queue& make(const queue_settings& settings = {}) {
        spec_.name = "q";
        spec_.settings = settings;
        queue_ = std::make_unique<queue>(shard_, queue_handle{1, 1, {}}, spec_);
        return *queue_;
    }
    message_ptr text(std::string_view body, std::uint8_t priority = 0, mono_ns ttl = -1) {
        message_traits t;
        t.priority = priority;
        t.time_to_live = ttl;
        return make_message(pool_, "x", "k", {}, {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, t);
    }
    enqueue_result put(std::string_view body, std::uint8_t priority = 0, mono_ns ttl = -1) {
        return queue_->enqueue(text(body, priority, ttl));
    }
    consumer_id consumer(fake_sink& sink, std::uint32_t prefetch = 0, bool no_ack = false, std::int64_t priority = 0) {
        queue::attachment a;
        a.sink = &sink;
        a.tag = ++tags_;
        a.prefetch = prefetch;
        a.no_ack = no_ack;
        a.priority = priority;
        return *queue_->attach(std::move(a));
    }
    std::string take(bool no_ack = true) {
        auto d = queue_->get(no_ack);
        return d ? body_of(*d->msg) : "(empty)";
    }

    message_pool pool_{shard_id{0}};
    fake_shard shard_;
    queue_spec spec_;
    std::unique_ptr<queue> queue_;
    std::uint64_t tags_ = 0;
};

using bodies = std::vector<std::string>;

TEST_F(Queue, HandsAMessageStraightToAConsumerThatCanTakeIt) {
    make();
    fake_sink sink;
    consumer(sink);
    EXPECT_EQ(put("a"), enqueue_result::accepted);
    EXPECT_EQ(sink.bodies(), bodies{"a"});
    EXPECT_EQ(queue_->ready_count(), 0U);
    EXPECT_EQ(queue_->unacked_count(), 1U);
    EXPECT_FALSE(sink.got[0].redelivered);
}

TEST_F(Queue, StoresWhatNobodyCanTakeAndKeepsTheOrder) {
    make();
    put("a");
    put("b");
    put("c");
    fake_sink sink;
    consumer(sink, 2);
    queue_->pump();
    EXPECT_EQ(sink.bodies(), (bodies{"a", "b"}));
    EXPECT_EQ(queue_->ready_count(), 1U);
    queue_->settle(sink.got[0].consumer, 1, 1);
    queue_->pump();
    EXPECT_EQ(sink.bodies(), (bodies{"a", "b", "c"}));
}

TEST_F(Queue, LendsNothingToASinkThatIsNotReady) {
    make();
    fake_sink sink;
    consumer(sink);
    sink.set_ready(false);
    put("a");
    EXPECT_TRUE(sink.got.empty());
    sink.set_ready(true);
    queue_->pump();
    EXPECT_EQ(sink.bodies(), bodies{"a"});
}

TEST_F(Queue, TakesTurnsBetweenConsumers) {
    make();
    fake_sink a;
    fake_sink b;
    fake_sink c;
    consumer(a, 0, true);
    consumer(b, 0, true);
    consumer(c, 0, true);
    for (int i = 0; i < 9; ++i) {
        put("m");
    }
    EXPECT_EQ(a.got.size(), 3U);
    EXPECT_EQ(b.got.size(), 3U);
    EXPECT_EQ(c.got.size(), 3U);
}

TEST_F(Queue, PrefersTheHigherConsumerPriorityWhileItCanTake) {
    make();
    fake_sink low;
    fake_sink high;
    consumer(low, 0, false, 0);
    consumer(high, 2, false, 5);
    for (const auto* m : {"1", "2", "3", "4"}) {
        put(m);
    }
    EXPECT_EQ(high.bodies(), (bodies{"1", "2"}));
    EXPECT_EQ(low.bodies(), (bodies{"3", "4"}));
}

TEST_F(Queue, ServesOnlyTheFirstOfSingleActiveConsumers) {
    queue_settings s;
    s.single_active_consumer = true;
    make(s);
    fake_sink first;
    fake_sink second;
    const auto id = consumer(first);
    consumer(second);
    put("a");
    put("b");
    EXPECT_EQ(first.bodies(), (bodies{"a", "b"}));
    queue_->detach(id);
    put("c");
    EXPECT_EQ(second.bodies(), bodies{"c"});
}

TEST_F(Queue, ExclusiveConsumersKeepOthersOut) {
    make();
    fake_sink sink;
    queue::attachment a;
    a.sink = &sink;
    a.exclusive = true;
    ASSERT_TRUE(queue_->attach(a));
    EXPECT_EQ(queue_->attach(a).error().kind, error_kind::access_refused);
    a.exclusive = false;
    EXPECT_EQ(queue_->attach(a).error().kind, error_kind::access_refused);
}

TEST_F(Queue, ARequeuedMessageReturnsToItsOldPlace) {
    make();
    for (const auto* m : {"a", "b", "c", "d"}) {
        put(m);
    }
    fake_sink sink;
    consumer(sink, 3);
    queue_->pump();
    sink.set_ready(false);
    // b, then a, then c come back: the order of return does not matter.
    queue_->requeue(std::move(sink.got[1]));
    queue_->requeue(std::move(sink.got[0]));
    queue_->requeue(std::move(sink.got[2]));
    auto d = queue_->get(true);
    ASSERT_TRUE(d);
    EXPECT_TRUE(d->redelivered);
    EXPECT_EQ(d->delivery_count, 1U);
    EXPECT_EQ(body_of(*d->msg), "a");
    EXPECT_EQ(take(), "b");
    EXPECT_EQ(take(), "c");
    d = queue_->get(true);
    EXPECT_EQ(body_of(*d->msg), "d");
    EXPECT_FALSE(d->redelivered);
}

TEST_F(Queue, ABouncedMessageWasNeverDelivered) {
    make();
    put("a");
    fake_sink sink;
    consumer(sink);
    queue_->pump();
    queue_->bounce(std::move(sink.got[0]));
    sink.set_ready(false);
    const auto d = queue_->get(true);
    EXPECT_FALSE(d->redelivered);
    EXPECT_EQ(d->delivery_count, 0U);
    EXPECT_EQ(queue_->unacked_count(), 0U);
}

TEST_F(Queue, PrioritiesComeFirstThenArrival) {
    queue_settings s;
    s.max_priority = 5;
    make(s);
    put("low1", 1);
    put("high1", 5);
    put("low2", 1);
    put("huge", 200);  // beyond the maximum counts as the maximum
    put("none");
    for (const auto* m : {"high1", "huge", "low1", "low2", "none"}) {
        EXPECT_EQ(take(), m);
    }
}

TEST_F(Queue, ExpiresAtTheQueuesOrTheMessagesTimeWhicheverIsLess) {
    queue_settings s;
    s.message_ttl = 100 * ns_per_ms;
    make(s);
    put("by queue", 0, 200 * ns_per_ms);
    put("by message", 0, 50 * ns_per_ms);
    shard_.advance(49 * ns_per_ms);
    EXPECT_TRUE(shard_.dead.empty());
    // Though it is not at the head.
    shard_.advance(2 * ns_per_ms);
    ASSERT_EQ(shard_.dead.size(), 1U);
    EXPECT_EQ(shard_.dead[0].body, "by message");
    EXPECT_EQ(queue_->ready_count(), 1U);
    shard_.advance(48 * ns_per_ms);
    EXPECT_EQ(shard_.dead.size(), 1U);
    shard_.advance(2 * ns_per_ms);
    ASSERT_EQ(shard_.dead.size(), 2U);
    EXPECT_EQ(shard_.dead[1].body, "by queue");
    EXPECT_EQ(shard_.dead[1].why, death_reason::expired);
    EXPECT_EQ(queue_->ready_count(), 0U);
}

TEST_F(Queue, ATimeToLiveOfZeroMeansNowOrNever) {
    make();
    put("never", 0, 0);
    ASSERT_EQ(shard_.dead.size(), 1U);
    fake_sink sink;
    consumer(sink);
    put("now", 0, 0);
    EXPECT_EQ(sink.bodies(), bodies{"now"});
    EXPECT_EQ(shard_.dead.size(), 1U);
}

TEST_F(Queue, DropsTheHeadAboveItsLength) {
    queue_settings s;
    s.max_length = 2;
    make(s);
    for (const auto* m : {"a", "b", "c"}) {
        EXPECT_EQ(put(m), enqueue_result::accepted);
    }
    ASSERT_EQ(shard_.dead.size(), 1U);
    EXPECT_EQ(shard_.dead[0].body, "a");
    EXPECT_EQ(shard_.dead[0].why, death_reason::maxlen);
    EXPECT_EQ(take(), "b");
}

TEST_F(Queue, DropsTheHeadAboveItsBytes) {
    queue_settings s;
    s.max_length_bytes = 5;
    make(s);
    put("aaa");
    put("bbb");
    EXPECT_EQ(queue_->ready_bytes(), 3U);
    EXPECT_EQ(take(), "bbb");
}

TEST_F(Queue, RefusesPublishesWhenAskedTo) {
    queue_settings s;
    s.max_length = 1;
    s.overflow = overflow_policy::reject_publish;
    make(s);
    EXPECT_EQ(put("a"), enqueue_result::accepted);
    EXPECT_EQ(put("b"), enqueue_result::refused);
    EXPECT_TRUE(shard_.dead.empty());
    EXPECT_EQ(queue_->ready_count(), 1U);
}

TEST_F(Queue, RefusedPublishesMayBeDeadLettered) {
    queue_settings s;
    s.max_length = 1;
    s.overflow = overflow_policy::reject_publish_dlx;
    make(s);
    put("a");
    EXPECT_EQ(put("b"), enqueue_result::refused);
    ASSERT_EQ(shard_.dead.size(), 1U);
    EXPECT_EQ(shard_.dead[0].body, "b");
}

TEST_F(Queue, GivesUpAfterTheDeliveryLimit) {
    queue_settings s;
    s.delivery_limit = 2;
    make(s);
    put("poison");
    for (int i = 0; i < 3; ++i) {
        auto d = queue_->get(false);
        ASSERT_TRUE(d) << "attempt " << i;
        queue_->requeue(std::move(*d));
    }
    ASSERT_EQ(shard_.dead.size(), 1U);
    EXPECT_EQ(shard_.dead[0].why, death_reason::delivery_limit);
    EXPECT_FALSE(queue_->get(true));
}

TEST_F(Queue, LookingAtAMessageIsNoAttempt) {
    queue_settings s;
    s.delivery_limit = 1;
    make(s);
    put("looked at");
    for (int i = 0; i < 5; ++i) {
        auto d = queue_->get(false);
        ASSERT_TRUE(d);
        EXPECT_EQ(d->redelivered, i > 2);
        EXPECT_EQ(d->delivery_count, 0U);
        i < 2 ? queue_->bounce(std::move(*d)) : queue_->return_seen(std::move(*d));
    }
    EXPECT_EQ(queue_->ready_count(), 1U);
    EXPECT_EQ(queue_->unacked_count(), 0U);
    EXPECT_TRUE(shard_.dead.empty());
}

TEST_F(Queue, AsksToBeDeletedWhenItsLastConsumerLeaves) {
    spec_.auto_delete = true;
    make();
    fake_sink a;
    fake_sink b;
    const auto first = consumer(a);
    const auto second = consumer(b);
    queue_->detach(first);
    EXPECT_EQ(shard_.unused, 0);
    queue_->detach(second);
    EXPECT_EQ(shard_.unused, 1);
}

TEST_F(Queue, ExpiresWhenItIsNotUsed) {
    queue_settings s;
    s.expires = 100 * ns_per_ms;
    make(s);
    shard_.advance(60 * ns_per_ms);
    queue_->touch();
    shard_.advance(60 * ns_per_ms);
    EXPECT_EQ(shard_.unused, 0);
    fake_sink sink;
    const auto id = consumer(sink);
    shard_.advance(500 * ns_per_ms);
    EXPECT_EQ(shard_.unused, 0);
    queue_->detach(id);
    shard_.advance(101 * ns_per_ms);
    EXPECT_EQ(shard_.unused, 1);
}

TEST_F(Queue, TellsItsConsumersWhenItEnds) {
    make();
    fake_sink sink;
    consumer(sink);
    sink.set_ready(false);
    put("a");
    EXPECT_EQ(queue_->shut_down(), 1U);
    EXPECT_EQ(sink.cancelled, std::vector<std::uint64_t>{1});
}

TEST_F(Queue, BoundsWhatIsUnderWayToAnotherShard) {
    make();
    queue::attachment a;
    a.remote = {shard_id{1}, 7, 1};
    a.no_ack = true;
    const auto id = *queue_->attach(std::move(a));
    for (std::uint32_t i = 0; i < 2 * queue::remote_window; ++i) {
        put("m");
    }
    EXPECT_EQ(shard_.remote.size(), queue::remote_window_first);
    queue_->add_credit(id, queue::remote_window - queue::remote_window_first);
    while (!queue_->pump()) {}
    EXPECT_EQ(shard_.remote.size(), queue::remote_window);
    queue_->add_credit(id, 10);
    queue_->pump();
    EXPECT_EQ(shard_.remote.size(), queue::remote_window + 10);
    EXPECT_EQ(queue_->unacked_count(), 0U);
}

TEST_F(Queue, BoundsTheBytesUnderWayToAnotherShard) {
    make();
    queue::attachment a;
    a.remote = {shard_id{1}, 7, 1};
    a.no_ack = true;
    const auto id = *queue_->attach(std::move(a));
    queue_->add_credit(id, queue::remote_window - queue::remote_window_first);
    const std::string body(256 * 1024, 'x');
    for (int i = 0; i < 100; ++i) {
        put(body);
    }
    EXPECT_EQ(shard_.remote.size(), 16U) << "4 MiB";
    queue_->add_credit(id, 2 * window_cost(*shard_.remote[0].msg));
    queue_->pump();
    EXPECT_EQ(shard_.remote.size(), 18U);
}

// Order under everything at once: publishes, credit, settles, requeues, against a plain model.
TEST_F(Queue, KeepsTheOrderOfAModel) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    make();
    fake_sink sink;
    consumer(sink, 50);
    std::map<int, bool> ready;  // number -> redelivered
    std::map<int, delivery> lent;
    int next = 0;
    const auto absorb = [&] {
        for (auto& d : sink.got) {
            const int n = std::stoi(body_of(*d.msg));
            ASSERT_FALSE(ready.empty());
            ASSERT_EQ(n, ready.begin()->first) << "out of order";
            ASSERT_EQ(d.redelivered, ready.begin()->second);
            ready.erase(ready.begin());
            lent.emplace(n, std::move(d));
        }
        sink.got.clear();
    };
    for (int step = 0; step < 20'000; ++step) {
        switch (random() % 4) {
            case 0:
            case 1:
                ready.emplace(next, false);
                put(std::to_string(next++));
                break;
            case 2:
                if (!lent.empty()) {
                    auto at = std::next(lent.begin(), static_cast<int>(random() % lent.size()));
                    queue_->settle(at->second.consumer, 1, 1);
                    lent.erase(at);
                }
                break;
            default:
                for (std::size_t k = random() % 4; k > 0 && !lent.empty(); --k) {
                    auto at = std::next(lent.begin(), static_cast<int>(random() % lent.size()));
                    ready.emplace(at->first, true);
                    queue_->requeue(std::move(at->second));
                    lent.erase(at);
                }
        }
        absorb();
        queue_->pump();
        absorb();
        ASSERT_EQ(queue_->ready_count(), ready.size());
        ASSERT_EQ(queue_->unacked_count(), lent.size());
    }
}

// ---- The ring ----------------------------------------------------------------------------------

class ItemRing : public ::testing::Test {
protected:
    ItemRing() { message_pool::enter(&pool_); }
    ~ItemRing() override { message_pool::enter(nullptr); }
    [[nodiscard]] queue_item item(position pos) {
        return {make_message(pool_, "", "q", {}, {}, {}), pos, 0, 0, false, false};
    }
    [[nodiscard]] static std::vector<position> content_of(item_ring& ring) {
        std::vector<position> all;
        for (std::size_t i = 0; i < ring.size(); ++i) {
            if (ring[i].msg) {
                all.push_back(ring[i].pos);
            }
        }
        return all;
    }

    message_pool pool_{shard_id{0}};
};

// Against a set, with runs that come back interleaved, as consumers give them back.
TEST_F(ItemRing, IsInOrderWhateverComesAndGoes) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const auto below = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    for (int life = 0; life < 60; ++life) {
        item_ring ring;
        std::set<position> in;
        std::set<position> out;
        position next = 1;
        const auto leaves = [&](position pos) {
            ASSERT_EQ(in.erase(pos), 1U);
            out.insert(pos);
        };
        for (int step = 0; step < 120; ++step) {
            switch (below(7)) {
                case 0:
                    for (std::size_t n = below(200); n > 0; --n) {
                        in.insert(next);
                        ring.push_back(item(next++));
                    }
                    break;
                case 1:
                    for (std::size_t n = below(150); n > 0 && !ring.empty(); --n) {
                        leaves(ring.pop_front().pos);
                    }
                    break;
                case 2:
                    if (!ring.empty()) {
                        leaves(ring.pop_back().pos);
                    }
                    break;
                case 3:
                    for (std::size_t n = below(40); n > 0 && next > 1; --n) {
                        const position pos = 1 + below(next - 1);
                        ASSERT_EQ(ring.has(pos), in.contains(pos));
                        if (const auto taken = ring.take(pos); taken.msg) {
                            ASSERT_EQ(taken.pos, pos);
                            leaves(pos);
                        }
                    }
                    break;
                case 4:
                case 5: {  // every second or third of them, from below or from above
                    std::vector<position> back;
                    for (std::size_t i = below(3); const position pos : out) {
                        if (i++ % 3 != 0) {
                            back.push_back(pos);
                        }
                    }
                    if (below(2) == 0) {
                        std::ranges::reverse(back);
                    }
                    back.resize(below(back.size() + 1));
                    for (const position pos : back) {
                        ring.insert(item(pos));
                        out.erase(pos);
                        in.insert(pos);
                    }
                    break;
                }
                case 6: ring.fit(); break;
            }
            ASSERT_EQ(ring.empty(), in.empty());
            ASSERT_TRUE(std::ranges::equal(content_of(ring), in)) << "step " << step;
            if (!in.empty()) {
                ASSERT_EQ(ring.front().pos, *in.begin());
                ASSERT_EQ(ring.back().pos, *in.rbegin());
                ASSERT_TRUE(ring.front().msg);
                ASSERT_TRUE(ring.back().msg);
            }
        }
    }
}

// With half of the ring moved for each of them these would be 10^10 moves.
TEST_F(ItemRing, TakesBackWhatTwoHeldInTurn) {
    constexpr position many = 400'000;
    for (const bool from_above : {false, true}) {
        item_ring ring;
        for (position pos = 1; pos <= many; pos += 2) {
            ring.push_back(item(pos));
        }
        for (position i = 2; i <= many; i += 2) {
            ring.insert(item(from_above ? many + 2 - i : i));
        }
        position expected = 1;
        while (!ring.empty()) {
            ASSERT_EQ(ring.pop_front().pos, expected++);
        }
        EXPECT_EQ(expected, many + 1);
    }
}

TEST(ItemRingMemory, GivesBackWhatItDoesNotNeedAndSaysWhatItHas) {
    message_pool pool(shard_id{0});
    message_pool::enter(&pool);
    {
        item_ring ring;
        for (position pos = 1; pos <= 10'000; ++pos) {
            ring.push_back({make_message(pool, "", "q", {}, {}, {}), pos, 0, 0, false, false});
        }
        EXPECT_GE(ring.bytes(), 10'000 * sizeof(queue_item));
        EXPECT_EQ(pool.beside_bytes(), ring.bytes());
        while (ring.size() > 3) {
            static_cast<void>(ring.pop_back());
        }
        ring.fit();
        EXPECT_LT(ring.bytes(), 100 * sizeof(queue_item));
        EXPECT_EQ(pool.beside_bytes(), ring.bytes());
        item_ring other;
        std::swap(ring, other);
        for (position pos = 1; pos <= 3; ++pos) {
            EXPECT_EQ(other.pop_front().pos, pos);
        }
    }
    EXPECT_EQ(pool.beside_bytes(), 0U);
    EXPECT_EQ(pool.held_bytes(), 0U);
    message_pool::enter(nullptr);
}

}  // namespace
}  // namespace linnet::core
