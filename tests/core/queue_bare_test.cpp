#include "tests/core/stored_queue.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

// Deliveries that come back without their messages, which whoever held them has let go (delivery::in_log).

namespace linnet::core {
namespace {

// Lent to `sink`, and let go by it.
std::vector<delivery> bare(fake_sink& sink) {
    std::vector<delivery> all = std::move(sink.got);
    sink.got.clear();
    for (auto& d : all) {
        EXPECT_TRUE(d.in_log);
        d.msg.reset();
    }
    return all;
}

queue_settings with_dead_letters() {
    queue_settings settings;
    settings.dead_letter_exchange = "dlx";
    return settings;
}

// Numbers from 0 on, lent to `sink` as far as its prefetch goes, and let go by it.
std::vector<delivery> lend_bare(stored_queue& s, fake_sink& sink, int count, std::uint32_t prefetch = 0) {
    s.consume(sink, prefetch);
    for (int i = 0; i < count; ++i) {
        s.put(std::to_string(i));
    }
    s.turns();
    return bare(sink);
}

void reject(stored_queue& s, std::vector<delivery>& all) {
    for (auto& d : all) {
        s.q->reject(std::move(d));
    }
}

// As many steps of what turns() does.
void some_turns(stored_queue& s, int count) {
    for (int i = 0; i < count; ++i) {
        s.words->flush();
        static_cast<void>(s.words->poll([](const durable_waiter&) {}));
        s.q->pump();
    }
}

void expect_dead_in_order(const stored_queue& s, std::size_t count) {
    ASSERT_EQ(s.shard.dead.size(), count);
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(s.shard.dead[i].body, std::to_string(i));
    }
    EXPECT_EQ(s.q->unacked_count(), 0U);
    EXPECT_EQ(s.q->unacked_bytes(), 0U);
}

// Highest first, as a shard has it.
template <class F>
void back_to_front(std::vector<delivery>& all, F&& f) {
    while (!all.empty()) {
        f(std::move(all.back()));
        all.pop_back();
    }
}

TEST(BareDelivery, WhatComesBackBareIsReadWhenItsTurnComes) {
    stored_queue s({}, 10);
    fake_sink sink;
    auto c = s.consume(sink, 30);
    for (int i = 0; i < 60; ++i) {
        s.put(std::to_string(i), i % 3 != 0 || i < 30);  // some of those behind are not in the log
    }
    s.turns();
    auto lent = bare(sink);
    ASSERT_EQ(lent.size(), 30U);
    s.q->detach(c);
    back_to_front(lent, [&](delivery&& d) { s.q->requeue(std::move(d)); });
    EXPECT_EQ(s.q->unacked_count(), 0U);
    EXPECT_EQ(s.q->unacked_bytes(), 0U);
    EXPECT_EQ(s.q->ready_count(), 60U);
    s.consume(sink);
    s.turns();
    ASSERT_EQ(sink.got.size(), 60U);
    for (int i = 0; i < 60; ++i) {
        const auto& d = sink.got[static_cast<std::size_t>(i)];
        EXPECT_EQ(body_of(*d.msg), std::to_string(i));
        EXPECT_EQ(d.redelivered, i < 30);
        EXPECT_EQ(d.delivery_count, i < 30 ? 1U : 0U);
    }
}

TEST(BareDelivery, AnAckOfABareOneSettlesIt) {
    stored_queue s;
    fake_sink sink;
    s.consume(sink);
    s.put("a");
    auto lent = bare(sink);
    s.settle(lent.front());
    s.turns();
    EXPECT_EQ(s.q->unacked_count(), 0U);
    EXPECT_EQ(s.q->unacked_bytes(), 0U);
    EXPECT_EQ(s.live_bytes(), 0U);
}

TEST(BareDelivery, ADeadLetterExchangeSeesWhatWasRejectedBare) {
    stored_queue s(with_dead_letters(), 4);
    fake_sink sink;
    auto lent = lend_bare(s, sink, 50);
    reject(s, lent);
    s.turns();
    expect_dead_in_order(s, 50);
    EXPECT_EQ(s.shard.dead.front().why, death_reason::rejected);
}

TEST(BareDelivery, DeadLettersKeepTheirOrderWhoeverHasLetGo) {
    stored_queue s(with_dead_letters(), 4);
    fake_sink sink;
    s.consume(sink);
    for (int i = 0; i < 50; ++i) {
        s.put(std::to_string(i), i % 5 != 0);
    }
    s.turns();
    for (auto& d : sink.got) {
        if (d.in_log && d.pos % 3 == 0) {
            d.msg.reset();
        }
    }
    reject(s, sink.got);
    s.turns();
    expect_dead_in_order(s, 50);
}

TEST(BareDelivery, ARetryOfABareOneWaitsAndComes) {
    queue_settings settings;
    settings.retry = retry_policy{.base = ns_per_s};
    stored_queue s(settings, 4);
    fake_sink sink;
    s.consume(sink);
    s.put("a");
    auto lent = bare(sink);
    s.q->requeue(std::move(lent.front()));
    s.turns();
    EXPECT_EQ(s.q->delayed_count(), 1U);
    s.shard.advance(2 * ns_per_s);
    s.turns();
    ASSERT_EQ(sink.got.size(), 1U);
    EXPECT_EQ(body_of(*sink.got[0].msg), "a");
    EXPECT_EQ(sink.got[0].delivery_count, 1U);
}

TEST(BareDelivery, RetriesOfSeveralComeInTheirOrder) {
    for (const mono_ns base : {mono_ns{0}, ns_per_s}) {
        queue_settings settings;
        settings.retry = retry_policy{.base = base, .limit = 5};
        stored_queue s(settings, 4);
        fake_sink sink;
        auto lent = lend_bare(s, sink, 20);
        back_to_front(lent, [&](delivery&& d) { s.q->requeue(std::move(d)); });
        EXPECT_EQ(s.q->unacked_count(), 0U);
        s.shard.advance(2 * ns_per_s);
        s.turns();
        ASSERT_EQ(sink.got.size(), 20U) << base;
        for (int i = 0; i < 20; ++i) {
            EXPECT_EQ(body_of(*sink.got[static_cast<std::size_t>(i)].msg), std::to_string(i)) << base;
        }
    }
}

TEST(BareDelivery, WhatExpiresWhileItWaitsForARetryIsDeadLetteredWhole) {
    queue_settings settings = with_dead_letters();
    settings.retry = retry_policy{.base = 10 * ns_per_s};
    settings.message_ttl = ns_per_s;
    stored_queue s(settings, 4);
    fake_sink sink;
    auto lent = lend_bare(s, sink, 1);
    s.q->requeue(std::move(lent.front()));
    EXPECT_EQ(s.q->delayed_count(), 1U);
    s.shard.advance(2 * ns_per_s);
    s.turns();
    expect_dead_in_order(s, 1);
    EXPECT_EQ(s.shard.dead[0].why, death_reason::expired);
}

TEST(BareDelivery, ADeliveryLimitCountsThem) {
    for (const bool dead_letters : {false, true}) {
        queue_settings settings;
        settings.delivery_limit = 2;
        if (dead_letters) {
            settings.dead_letter_exchange = "dlx";
        }
        stored_queue s(settings, 4);
        fake_sink sink;
        s.consume(sink);
        s.put("a");
        s.put("b");
        for (std::uint32_t n = 0; n < 3; ++n) {
            s.turns();
            auto lent = std::move(sink.got);
            sink.got.clear();
            ASSERT_EQ(lent.size(), 2U) << n;
            EXPECT_EQ(lent[0].delivery_count, n);
            lent[0].msg.reset();  // the other one keeps its message, and its place behind
            s.q->requeue(std::move(lent[0]));
            s.q->requeue(std::move(lent[1]));
        }
        s.turns();
        EXPECT_TRUE(sink.got.empty());
        ASSERT_EQ(s.shard.dead.size(), 2U);
        if (dead_letters) {
            EXPECT_EQ(s.shard.dead[0].body, "a");
            EXPECT_EQ(s.shard.dead[1].body, "b");
        }
        EXPECT_EQ(s.q->unacked_count(), 0U);
    }
}

TEST(BareDelivery, ConsumersDoNotWaitForAllThatIsReadBack) {
    stored_queue s(with_dead_letters(), 4);
    fake_sink sink;
    auto lent = lend_bare(s, sink, 400, 200);
    ASSERT_EQ(lent.size(), 200U);
    s.q->detach(lent.front().consumer);
    fake_sink other;
    s.consume(other, 0, true);
    reject(s, lent);
    some_turns(s, 20);
    EXPECT_GT(other.got.size(), 20U);
    EXPECT_GT(s.shard.dead.size(), 20U);
    EXPECT_LT(s.shard.dead.size(), 200U) << "this is no test";
    s.turns();
    expect_dead_in_order(s, 200);
}

TEST(BareDelivery, NothingIsReadBackWhileTheLogIsCongested) {
    stored_queue s(with_dead_letters(), 4);
    fake_sink sink;
    auto lent = lend_bare(s, sink, 1);
    s.log->set_congested(true);
    reject(s, lent);
    s.shard.advance(ns_per_s);
    s.turns();
    EXPECT_TRUE(s.shard.dead.empty());
    s.log->set_congested(false);
    for (int i = 0; i < 20; ++i) {  // others who use the queue do not put it off
        s.shard.advance(ns_per_ms);
        s.q->touch();
    }
    s.turns();
    expect_dead_in_order(s, 1);
}

TEST(BareDelivery, AnAutoDeleteQueueStaysUntilTheyAreDeadLettered) {
    queue_settings settings = with_dead_letters();
    settings.expires = ns_per_s;
    stored_queue s(settings, 4);
    s.spec.auto_delete = true;
    s.q->apply(s.spec);
    fake_sink sink;
    auto lent = lend_bare(s, sink, 2);
    const auto c = lent.front().consumer;
    s.log->set_congested(true);
    reject(s, lent);
    s.q->detach(c);
    s.shard.advance(2 * ns_per_s);
    EXPECT_EQ(s.shard.unused, 0);
    s.log->set_congested(false);
    s.shard.advance(ns_per_s);
    s.turns();
    expect_dead_in_order(s, 2);
    EXPECT_GE(s.shard.unused, 1);
}

TEST(BareDelivery, WhatExpiresInItsPauseKeepsItsOrder) {
    queue_settings settings = with_dead_letters();
    settings.retry = retry_policy{.base = 10 * ns_per_s};
    settings.message_ttl = ns_per_s;
    stored_queue s(settings, 4);
    fake_sink sink;
    s.consume(sink);
    s.put("0");
    s.put("1");
    s.turns();
    auto lent = std::move(sink.got);
    sink.got.clear();
    ASSERT_EQ(lent.size(), 2U);
    lent[0].msg.reset();
    for (auto& d : lent) {
        s.q->requeue(std::move(d));
    }
    s.shard.advance(2 * ns_per_s);
    s.turns();
    expect_dead_in_order(s, 2);
}

TEST(BareDelivery, GoneWithItsQueue) {
    stored_queue s(with_dead_letters(), 4);
    fake_sink sink;
    auto lent = lend_bare(s, sink, 20);
    reject(s, lent);
    static_cast<void>(s.q->shut_down());
    some_turns(s, 10);  // what has been asked for comes
    EXPECT_TRUE(s.shard.dead.empty());
}

// Their order would be lost to a group whose consumer goes on while some are read back.
TEST(BareDelivery, AGroupsMessagesAreKept) {
    queue_settings settings;
    settings.group_by = "routing-key";
    stored_queue s(settings, 4);
    fake_sink sink;
    s.consume(sink);
    s.put("a");
    s.turns();
    ASSERT_EQ(sink.got.size(), 1U);
    EXPECT_TRUE(sink.got[0].stored);
    EXPECT_FALSE(sink.got[0].in_log);
}

// An end may come before the message.
TEST(BareDelivery, WhatWaitsToBeReadBackIsKnownToHaveBeenDelivered) {
    stored_queue s(with_dead_letters());
    fake_sink sink;
    auto lent = lend_bare(s, sink, 1);
    const position pos = lent.front().pos;
    EXPECT_EQ(s.q->attempts(pos) & had_bit, 0U);
    const auto before = s.log->end();
    reject(s, lent);
    EXPECT_NE(s.q->attempts(pos) & had_bit, 0U);
    EXPECT_EQ(s.records_since(before), 1U);
}

}  // namespace
}  // namespace linnet::core
