#include "tests/core/random_seed.hpp"
#include "tests/core/stored_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <random>

namespace linnet::core {
namespace {

using bodies = std::vector<std::string>;

TEST(StoredQueue, KeepsAWindowInMemoryAndTheRestInItsIndex) {
    stored_queue s({}, 100);
    for (int i = 0; i < 10'000; ++i) {
        s.put(std::to_string(i));
    }
    EXPECT_EQ(s.q->ready_count(), 10'000U);
    EXPECT_EQ(s.q->paged_count(), 9'900U);
    EXPECT_LE(s.q->own_bytes(), 10'000U * 18 + 20'000);
    fake_sink sink;
    s.consume(sink, 0, true);
    s.turns();
    const auto got = sink.bodies();
    ASSERT_EQ(got.size(), 10'000U);
    for (int i = 0; i < 10'000; ++i) {
        ASSERT_EQ(got[static_cast<std::size_t>(i)], std::to_string(i));
    }
    EXPECT_EQ(s.live_bytes(), 0U);
}

TEST(StoredQueue, ReadsAheadBeforeTheWindowIsEmpty) {
    stored_queue s({}, 100);
    for (int i = 0; i < 1000; ++i) {
        s.put(std::to_string(i));
    }
    fake_sink sink;
    const auto c = s.consume(sink, 60);
    s.q->pump();  // forty are left: fewer than half
    EXPECT_EQ(sink.got.size(), 60U);
    EXPECT_EQ(s.q->paged_count(), 900U);
    s.words->flush();
    static_cast<void>(s.words->poll([](const durable_waiter&) {}));
    EXPECT_EQ(s.q->paged_count(), 800U);
    EXPECT_EQ(s.shard.loads, 1);
    EXPECT_NE(c, consumer_id{});
}

TEST(StoredQueue, LargeMessagesFillTheWindowByTheirBytes) {
    stored_queue s({}, 1000);
    for (int i = 0; i < 10; ++i) {
        s.put(std::string(400 * 1024, 'x'));
    }
    EXPECT_GE(s.q->paged_count(), 7U);
    int got = 0;
    while (s.get(true)) {
        ++got;
    }
    EXPECT_EQ(got, 10);
}

TEST(StoredQueue, AnAutoAckConsumerThatTakesItAtOnceNeedsNoRecord) {
    stored_queue s;
    fake_sink sink;
    s.consume(sink, 0, true);
    const auto before = s.log->end();
    s.put("a");
    EXPECT_EQ(sink.bodies(), bodies{"a"});
    EXPECT_EQ(s.log->end(), before);
}

TEST(StoredQueue, APurgeOfManyIsOneRecord) {
    stored_queue s({}, 10);
    for (int i = 0; i < 5000; ++i) {
        s.put("m", i % 3 != 0);
    }
    s.turns();
    const auto before = s.log->end();
    EXPECT_EQ(s.q->purge(), 5000U);
    s.q->record_settled();
    EXPECT_EQ(s.records_since(before), 1U);
    EXPECT_LE(s.log->end() - before, 200U);
    EXPECT_EQ(s.live_bytes(), 0U);
    s.turns();
    s.crash();
    EXPECT_EQ(s.q->ready_count(), 0U);
}

TEST(StoredQueue, APurgeLeavesWhatIsLent) {
    stored_queue s({}, 10);
    fake_sink sink;
    s.consume(sink, 5);
    for (int i = 0; i < 100; ++i) {
        s.put(std::to_string(i));
    }
    EXPECT_EQ(s.q->purge(), 95U);
    s.turns();
    s.crash();
    EXPECT_EQ(s.q->ready_count(), 5U);
    EXPECT_EQ(body_of(*s.get(true)->msg), "0");
}

// A publish of QoS 2, or one in a transaction, is recorded and becomes a message of the queue when that is durable.
TEST(StoredQueue, APurgeLeavesWhatIsStillToCome) {
    stored_queue s({}, 10);
    s.put("1");
    auto late = s.text("late");
    const message_place place{stored_queue::uid, s.q->take_position(), 0};
    const auto where = s.words->record_message(*late, s.shard.wall_now(), {&place, 1});
    s.q->expect(*late);
    s.put("3");
    EXPECT_EQ(s.q->purge(), 2U);
    s.q->record_settled();
    s.q->enqueue_expected(std::move(late), place.pos, where);
    s.turns();
    s.crash();
    ASSERT_EQ(s.q->ready_count(), 1U);
    EXPECT_EQ(body_of(*s.get(true)->msg), "late");
}

// A consumer without acks takes the message of a group only if the group is not another's.
TEST(StoredQueue, WhatIsInAGroupIsRecordedWhoeverIsReady) {
    queue_settings settings;
    settings.group_by = "routing-key";
    stored_queue s(settings);
    fake_sink holds;
    s.consume(holds, 1);
    s.put("1");
    ASSERT_EQ(holds.bodies(), bodies{"1"});
    fake_sink ready;
    s.consume(ready, 0, true);
    s.put("2");
    s.turns();
    EXPECT_TRUE(ready.got.empty());
    s.crash();
    EXPECT_EQ(s.q->ready_count(), 2U);
}

// One by one, by several consumers, in no order: what is settled in a turn is one record, and no longer than a few
// runs.
TEST(StoredQueue, WhatIsSettledInATurnIsOneRecord) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    stored_queue s;
    std::array<fake_sink, 3> sinks;
    for (auto& sink : sinks) {
        s.consume(sink, 0);
    }
    for (int i = 0; i < 1000; ++i) {
        s.put("m");
    }
    s.turns();
    std::vector<delivery> all;
    for (auto& sink : sinks) {
        std::ranges::move(sink.got, std::back_inserter(all));
    }
    std::mt19937_64 random(seed);
    std::ranges::shuffle(all, random);
    const delivery kept = std::move(all.back());
    all.pop_back();
    const auto before = s.log->end();
    for (const auto& d : all) {
        s.settle(d);
    }
    EXPECT_EQ(s.shard.settlings, 1);
    EXPECT_EQ(s.log->end(), before) << "not before the turn is over";
    s.q->record_settled();
    EXPECT_EQ(s.records_since(before), 1U);
    EXPECT_LE(s.log->end() - before, 64U);
    EXPECT_EQ(s.q->unacked_count(), 1U);
    s.turns();
    s.crash();
    EXPECT_EQ(s.q->ready_count(), 1U);
    const auto left = s.get(false);
    ASSERT_TRUE(left);
    EXPECT_EQ(left->pos, kept.pos);
    s.settle(*left);
    s.finish_cleaning();
    EXPECT_EQ(s.live_bytes(), 0U);
}

TEST(StoredQueue, SettlingsThatFillOneRecordGoOnInTheNext) {
    constexpr int count = 40'000;
    stored_queue s;
    fake_sink sink;
    const auto c = s.consume(sink, 0);
    for (int i = 0; i < count; ++i) {
        s.put("m");
    }
    std::vector<position> every_second;
    for (const auto& d : sink.got) {
        if (d.pos % 2 == 0) {
            every_second.push_back(d.pos);
        }
    }
    s.turns();
    const auto before = s.log->end();
    s.q->settle_stored(c, every_second, 0);
    s.turns();
    EXPECT_EQ(s.records_since(before), 2U);
    s.crash();
    EXPECT_EQ(s.q->ready_count(), std::uint64_t{count / 2});
}

// It is settled as it is sent, and comes back in the same turn: the settling must not be recorded behind its return.
TEST(StoredQueue, WhatBouncesIsThereAgainAfterACrash) {
    stored_queue s;
    s.put("a");
    fake_sink sink;
    s.consume(sink, 0, true);
    static_cast<void>(s.q->pump());
    ASSERT_EQ(sink.got.size(), 1U);
    sink.set_ready(false);
    s.q->bounce(std::move(sink.got.front()));
    s.turns();
    s.crash();
    EXPECT_EQ(s.q->ready_count(), 1U);
}

TEST(StoredQueue, ADamagedMessageIsCountedAndTheOthersGoOn) {
    queue_settings settings;
    settings.dead_letter_exchange = "dlx";
    stored_queue s(settings, 2);
    std::vector<log_position> ends;
    for (const auto* body : {"a", "b", "c", "d", "e"}) {
        ends.push_back(s.log->end());
        s.put(body);
    }
    s.turns();
    for (log_position at = ends[3]; at < ends[4]; ++at) {
        s.log->damage(at);
    }
    fake_sink sink;
    s.consume(sink, 0, true);
    s.turns();
    EXPECT_EQ(sink.bodies(), (bodies{"a", "b", "c", "e"}));
    EXPECT_EQ(s.q->damaged_count(), 1U);
    EXPECT_EQ(s.q->ready_count(), 0U);
    EXPECT_TRUE(s.shard.dead.empty());
    EXPECT_EQ(s.live_bytes(), 0U);
}

TEST(StoredQueue, ATransientQueueIsWrittenToTheLogWhenMemoryIsShort) {
    stored_queue s({}, 100, false);
    for (int i = 0; i < 1000; ++i) {
        s.put(std::to_string(i), false);
    }
    const auto held = s.pool.held_bytes();
    const auto freed = s.q->shrink(~std::uint64_t{0});
    EXPECT_EQ(s.q->paged_count(), 998U);
    EXPECT_GE(freed, held / 2);
    EXPECT_EQ(s.pool.held_bytes(), held - freed);
    fake_sink sink;
    s.consume(sink, 0, true);
    s.turns();
    const auto got = sink.bodies();
    ASSERT_EQ(got.size(), 1000U);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_EQ(got[static_cast<std::size_t>(i)], std::to_string(i));
    }
    EXPECT_EQ(s.live_bytes(), 0U);
}

// Or a thousand such consumers would read it for as long as memory is short, which takes it away again.
TEST(StoredQueue, NothingIsReadAheadForWhoTakesNothing) {
    stored_queue s({}, 100);
    fake_sink sink;
    sink.set_ready(false);
    s.consume(sink);
    for (int i = 0; i < 1000; ++i) {
        s.put(std::to_string(i));
    }
    s.turns();
    static_cast<void>(s.q->shrink(~std::uint64_t{0}));
    ASSERT_EQ(s.q->paged_count(), 998U);
    s.turns();
    EXPECT_EQ(s.q->paged_count(), 998U);
    sink.set_ready(true);
    s.turns();
    EXPECT_EQ(sink.got.size(), 1000U);
}

// What comes next would be read back at once.
TEST(StoredQueue, AQueueThatMovesKeepsItsWindowUnlessMemoryIsVeryShort) {
    stored_queue s({}, 100, false);
    s.shard.time = ns_per_s;
    for (int i = 0; i < 1000; ++i) {
        s.put(std::to_string(i), false);
    }
    fake_sink sink;
    const auto who = s.consume(sink, 1);
    s.turns();
    ASSERT_EQ(sink.got.size(), 1U);
    EXPECT_EQ(s.q->ready_count(), 999U);
    EXPECT_GT(s.q->shrink(~std::uint64_t{0}, queue::gives::all, true), 0U);
    EXPECT_EQ(s.q->paged_count(), 849U) << "a window and a half";
    EXPECT_EQ(s.q->shrink(~std::uint64_t{0}, queue::gives::all, true), 0U);
    EXPECT_GT(s.q->shrink(~std::uint64_t{0}), 0U);
    EXPECT_EQ(s.q->paged_count(), 997U);
    s.q->set_prefetch(who, 0);
    s.turns();
    EXPECT_EQ(sink.got.size(), 1000U);
}

// While the disk is behind, nothing is added to what it has to do.
TEST(StoredQueue, WhatTheLogHasCanGoWithoutAWord) {
    stored_queue s({}, 100, true);
    for (int i = 0; i < 50; ++i) {
        s.put("transient", false);
    }
    for (int i = 0; i < 100; ++i) {
        s.put("persistent");
    }
    s.turns();
    const auto end = s.log->end();
    EXPECT_GT(s.q->shrink(~std::uint64_t{0}, queue::gives::stored), 0U);
    EXPECT_EQ(s.q->shrink(~std::uint64_t{0}, queue::gives::stored), 0U);
    EXPECT_EQ(s.log->end(), end);
    EXPECT_EQ(s.q->paged_count(), 100U);
    EXPECT_GT(s.q->shrink(~std::uint64_t{0}), 0U);
    EXPECT_GT(s.log->end(), end);
    EXPECT_EQ(s.q->paged_count(), 148U);
}

TEST(StoredQueue, WhatWasWrittenForWantOfMemoryIsNotRecovered) {
    stored_queue s({}, 10);
    s.put("transient", false);
    s.put("persistent");
    for (int i = 0; i < 5; ++i) {
        s.put("more", false);
    }
    static_cast<void>(s.q->shrink(~std::uint64_t{0}));
    s.turns();
    s.crash();
    EXPECT_EQ(s.q->ready_count(), 1U);
    EXPECT_EQ(body_of(*s.get(true)->msg), "persistent");
}

TEST(StoredQueue, RecoveryHasNothingInMemoryButTheIndex) {
    stored_queue s;
    for (int i = 0; i < 1000; ++i) {
        s.put(std::string(1000, 'x'));
    }
    s.turns();
    s.crash(true);
    EXPECT_EQ(s.q->ready_count(), 1000U);
    EXPECT_EQ(s.q->paged_count(), 1000U);
    EXPECT_EQ(s.pool.held_bytes(), 0U);
    EXPECT_FALSE(s.q->head_at_hand());
    EXPECT_FALSE(s.get(true)->redelivered);
}

TEST(StoredQueue, AfterACrashEverythingMayHaveBeenDelivered) {
    stored_queue s;
    s.put("before");
    s.turns();
    s.crash();
    s.put("after");
    EXPECT_TRUE(s.get(true)->redelivered);
    EXPECT_FALSE(s.get(true)->redelivered);
}

TEST(StoredQueue, AttemptsSurvive) {
    stored_queue s;
    s.put("a");
    s.q->requeue(std::move(*s.get(false)));
    s.q->requeue(std::move(*s.get(false)));
    s.turns();
    s.crash(true);
    const auto d = s.get(true);
    EXPECT_EQ(d->delivery_count, 2U);
    EXPECT_TRUE(d->redelivered);
}

// Its consumer has it: after a crash it says so, wherever its record lies by then, and it does not expire.
TEST(StoredQueue, AReceiptSurvives) {
    stored_queue s({}, 2);
    for (int i = 0; i < 8; ++i) {
        s.put(std::to_string(i), true, 10 * ns_per_ms);
    }
    auto lent = std::move(*s.get(false));
    EXPECT_FALSE(lent.received);
    EXPECT_TRUE(s.q->note_received(lent.pos));
    EXPECT_FALSE(s.q->note_received(99));
    s.turns();
    s.crash();
    s.shard.advance(20 * ns_per_ms);
    s.turns();
    EXPECT_EQ(s.q->ready_count(), 1U) << "all others have expired";
    auto again = std::move(*s.get(false));
    EXPECT_TRUE(again.received);
    EXPECT_TRUE(again.redelivered);
    EXPECT_EQ(again.delivery_count, 0U);
    s.q->requeue(std::move(again));
    s.turns();
    s.crash(true);
    auto third = std::move(*s.get(false));
    EXPECT_TRUE(third.received);
    EXPECT_EQ(third.delivery_count, 1U);
    // The record that said so goes with its segment.
    for (int i = 0; i < 3000; ++i) {
        s.put(std::string(200, 'x'), true);
        s.settle(*s.get(false));
        s.turns();
    }
    s.finish_cleaning();
    EXPECT_GT(s.words->look().copied_bytes, 0U);
    s.crash();
    EXPECT_TRUE(s.get(false)->received);
}

// ---- Time --------------------------------------------------------------------------------------

TEST(StoredQueue, ExpiresInTheMiddleOfWhatIsPaged) {
    for (const bool dead_lettered : {false, true}) {
        queue_settings settings;
        if (dead_lettered) {
            settings.dead_letter_exchange = "dlx";
        }
        stored_queue s(settings, 2);
        for (int i = 0; i < 3000; ++i) {
            s.put(std::to_string(i), true, i % 2 == 0 ? -1 : 10 * ns_per_ms);
        }
        s.turns();
        s.shard.advance(11 * ns_per_ms);
        s.turns();
        EXPECT_EQ(s.q->ready_count(), 1500U);
        if (dead_lettered) {
            ASSERT_EQ(s.shard.dead.size(), 1500U);
            EXPECT_EQ(s.shard.dead[7].why, death_reason::expired);
            EXPECT_TRUE(s.shard.dead[7].stored);
            for (const auto& d : s.shard.dead) {
                s.q->settle_stored({}, {&d.pos, 1}, 0);
            }
        }
        EXPECT_EQ(body_of(*s.get(true)->msg), "0");
        EXPECT_EQ(body_of(*s.get(true)->msg), "2");
        s.q->purge();
        EXPECT_EQ(s.live_bytes(), 0U);
    }
}

TEST(StoredQueue, DeadlinesThatRiseNeedNoHeap) {
    queue_settings settings;
    settings.message_ttl = 100 * ns_per_ms;
    stored_queue s(settings, 10);
    for (int i = 0; i < 20'000; ++i) {
        s.put("m");
    }
    EXPECT_LE(s.q->own_bytes(), 20'000U * 24 + 4000);
    s.shard.advance(101 * ns_per_ms);
    EXPECT_EQ(s.q->ready_count(), 0U);
    EXPECT_EQ(s.live_bytes(), 0U);
}

TEST(StoredQueue, TimeGoesOnWhileTheBrokerIsDown) {
    stored_queue s;
    s.put("short", true, 50 * ns_per_ms);
    s.put("long", true, 500 * ns_per_ms);
    s.turns();
    s.shard.wall_offset += 100 * ns_per_ms;  // the monotonic clock knows nothing of it
    s.crash();
    s.shard.advance(ns_per_ms);
    EXPECT_EQ(s.q->ready_count(), 1U);
    s.shard.advance(398 * ns_per_ms);
    EXPECT_EQ(s.q->ready_count(), 1U);
    s.shard.advance(2 * ns_per_ms);
    EXPECT_EQ(s.q->ready_count(), 0U);
}

TEST(StoredQueue, AWallClockSetBackMakesNoMessageOlderThanYoung) {
    stored_queue s;
    s.put("m", true, 50 * ns_per_ms);
    s.turns();
    s.shard.wall_offset -= 1000 * ns_per_s;
    s.crash();
    s.shard.advance(49 * ns_per_ms);
    EXPECT_EQ(s.q->ready_count(), 1U);
    s.shard.advance(2 * ns_per_ms);
    EXPECT_EQ(s.q->ready_count(), 0U);
}

TEST(StoredQueue, AWallClockThatJumpsWhileRunningChangesNothing) {
    stored_queue s;
    s.put("m", true, 50 * ns_per_ms);
    s.shard.wall_offset += 1000 * ns_per_s;
    s.shard.advance(49 * ns_per_ms);
    EXPECT_EQ(s.q->ready_count(), 1U);
    s.shard.advance(2 * ns_per_ms);
    EXPECT_EQ(s.q->ready_count(), 0U);
}

TEST(StoredQueue, ATimeToLiveOfZeroExpiresBehindOthersToo) {
    stored_queue s;
    s.put("first");
    s.put("never", true, 0);
    EXPECT_EQ(s.q->ready_count(), 1U);
    s.turns();
    s.crash();
    EXPECT_EQ(s.q->ready_count(), 1U);
}

}  // namespace
}  // namespace linnet::core
