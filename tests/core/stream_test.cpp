#include "tests/core/stream_fixture.hpp"
#include "tests/store/log_support.hpp"

#include <string>
#include <vector>

namespace linnet::core {
namespace {

using Stream = stream_fixture;
using offsets = std::vector<position>;
using texts = std::vector<std::string>;

[[nodiscard]] value timestamp(std::int64_t seconds) {
    value v;
    v.type = value_type::timestamp;
    v.data = seconds;
    return v;
}

// ---- Writing -----------------------------------------------------------------------------------

TEST_F(Stream, ShowsNothingBeforeItIsDurable) {
    make();
    log->hold();
    stream_sink sink;
    attach_at(sink, "first");
    put("a");
    turn();
    EXPECT_TRUE(sink.got.empty());
    EXPECT_EQ(subject->message_count(), 1U);
    log->release();
    turn();
    EXPECT_EQ(sink.bodies(), texts{"a"});
}

TEST_F(Stream, AnswersWhoWaitsInOrderOnceWhatWasAppendedBeforeIsDurable) {
    make();
    log->hold();
    put("a");
    subject->wait({.sequence = 1});
    put("b");
    subject->wait({.sequence = 2});
    turn();
    EXPECT_TRUE(shard.durable.empty());
    EXPECT_TRUE(subject->busy());
    put("c");
    subject->wait({.sequence = 3});
    log->release();
    turn();
    EXPECT_EQ(shard.durable, (std::vector<std::uint64_t>{1, 2, 3}));
    EXPECT_FALSE(subject->busy());
}

TEST_F(Stream, RefusesWhatFitsNoRecord) {
    make();
    const auto most = log->capabilities().record_bytes_max;
    EXPECT_EQ(subject->append(message_of(std::string(most, 'x'))), enqueue_result::refused);
    EXPECT_EQ(subject->next_offset(), 0U);
}

// ---- Where to begin ----------------------------------------------------------------------------

TEST_F(Stream, BeginsWhereAReaderAsks) {
    make();
    put("0");
    put("1");
    turn();
    put("2");
    put("3");
    turn();
    const auto from = [&](value v) {
        stream_sink sink;
        const auto id = attach(sink, {{"x-stream-offset", std::move(v)}});
        turn();
        subject->detach(id);
        return sink.bodies();
    };
    EXPECT_EQ(from(make_string("first")), (texts{"0", "1", "2", "3"}));
    EXPECT_EQ(from(make_string("last")), (texts{"2", "3"})) << "the newest batch";
    EXPECT_EQ(from(make_string("next")), texts{});
    EXPECT_EQ(from(make_int64(1)), (texts{"1", "2", "3"}));
    EXPECT_EQ(from(make_int64(-1)), (texts{"0", "1", "2", "3"}));
    EXPECT_EQ(from(make_int64(99)), texts{});
    EXPECT_EQ(from(make_string("1h")), (texts{"0", "1", "2", "3"}));
    EXPECT_EQ(from(timestamp(1)), (texts{"0", "1", "2", "3"}));
    EXPECT_EQ(from(timestamp(4'000'000'000)), texts{});
}

TEST_F(Stream, BeginsExactlyAtATime) {
    make();
    for (int i = 0; i < 5000; ++i) {
        put(std::to_string(i));
        shard.advance(ns_per_s);
    }
    turn();
    stream_sink sink;
    attach(sink, {{"x-stream-offset", timestamp(1'700'000'000 + 4321)}});
    turn();
    ASSERT_EQ(sink.got.size(), 679U);
    EXPECT_EQ(sink.got[0].pos, 4321U);
}

TEST_F(Stream, AReaderThatBeginsBeyondTheEndWaitsForTheNextMessage) {
    make();
    put("a");
    turn();
    stream_sink sink;
    attach_at(sink, 1000);
    put("b");
    turn();
    EXPECT_EQ(sink.offsets(), offsets{1});
}

TEST_F(Stream, RefusesArgumentsThatMakeNoSense) {
    const auto refused = [&](value_table t) {
        stream::attachment a;
        const auto r = stream::read_arguments(t, "queue 's' in vhost '/'", shard.wall, a);
        return r ? std::string() : r.error().text;
    };
    EXPECT_EQ(refused({{"x-stream-offset", make_string("bogus")}}),
              "invalid arg 'x-stream-offset' for queue 's' in vhost '/': {invalid_offset_arg,<<\"bogus\">>}");
    EXPECT_EQ(refused({{"x-stream-offset", make_bool(true)}}),
              "invalid arg 'x-stream-offset' for queue 's' in vhost '/': {invalid_offset_arg,true}");
    EXPECT_NE(refused({{"x-stream-offset", make_string("0h")}}), "");
    EXPECT_NE(refused({{"x-stream-filter", make_int64(1)}}), "");
    EXPECT_NE(refused({{"x-stream-match-unfiltered", make_string("yes")}}), "");
    EXPECT_NE(refused({{"x-stream-filter-headers", make_string("a")}}), "");
    EXPECT_NE(refused({{"x-stream-epoch", make_string("a")}}), "");
    EXPECT_EQ(refused({{"x-stream-offset", make_string("99999999999999999999Y")}}), "");
}

// ---- Credit ------------------------------------------------------------------------------------

TEST_F(Stream, EachReaderHasItsOwnPlaceAndCredit) {
    make();
    stream_sink slow;
    stream_sink fast;
    const auto a = attach_at(slow, "first", 2);
    attach_at(fast, "first", 1000);
    put_many(10);
    EXPECT_EQ(slow.offsets(), up_to(0, 2));
    EXPECT_EQ(fast.offsets(), up_to(0, 10));
    subject->settle(a, 1);
    turn();
    EXPECT_EQ(slow.offsets(), up_to(0, 3));
    EXPECT_EQ(subject->message_count(), 10U) << "settling removes nothing";
}

TEST_F(Stream, DeliversNothingToASinkThatIsNotReady) {
    make();
    stream_sink sink;
    attach_at(sink, "first");
    sink.set_ready(false);
    put_many(3);
    EXPECT_TRUE(sink.got.empty());
    sink.set_ready(true);
    turn();
    EXPECT_EQ(sink.offsets(), up_to(0, 3));
}

TEST_F(Stream, HoldsBackARemoteReaderAtItsWindow) {
    make();
    stream::attachment a;
    a.remote = {shard_id{1}, 3, 4};
    a.no_ack = true;
    a.start.what = stream_start::point::first;
    const auto id = subject->attach(std::move(a));
    subject->add_credit(id, queue::remote_window - queue::remote_window_first);
    put_many(static_cast<int>(stream::remote_window) + 5, 1);
    EXPECT_EQ(shard.remote.size(), stream::remote_window);
    subject->add_credit(id, 3);
    turn();
    EXPECT_EQ(shard.remote.size(), stream::remote_window + 3);
    EXPECT_EQ(shard.remote.back().pos, stream::remote_window + 2);
}

// ---- Reading back ------------------------------------------------------------------------------

TEST_F(Stream, ReadsBackWhatIsNoLongerInMemoryAndGoesOnLive) {
    make();
    put_many(20'000);
    stream_sink sink;
    attach_at(sink, "first");
    turn();
    ASSERT_EQ(sink.offsets(), up_to(0, 20'000));
    sink.got.clear();
    put_many(10);
    EXPECT_EQ(sink.offsets(), up_to(20'000, 20'010));
}

TEST_F(Stream, ReadersAtManyPlacesShareBoundedMemory) {
    make();
    put_many(100'000, 200);
    const auto before = shard.messages.held_bytes();
    std::vector<std::unique_ptr<stream_sink>> sinks;
    std::vector<consumer_id> ids;
    for (int i = 0; i < 200; ++i) {
        sinks.push_back(std::make_unique<stream_sink>());
        ids.push_back(attach_at(*sinks.back(), i * 500, 1));
    }
    turn();
    std::size_t lent = 0;
    for (auto& s : sinks) {
        ASSERT_EQ(s->got.size(), 1U);
        lent += s->got[0].msg->footprint();
    }
    EXPECT_LT(shard.messages.held_bytes() - before, lent + (5U << 20));
    // Going on costs reading a chunk again, no more.
    for (std::size_t i = 0; i < ids.size(); ++i) {
        subject->settle(ids[i], 1);
    }
    turn();
    for (std::size_t i = 0; i < sinks.size(); ++i) {
        EXPECT_EQ(sinks[i]->offsets(), up_to(i * 500, i * 500 + 2));
    }
}

TEST_F(Stream, ForgetsWhatItHadInMemoryWithItsLastReader) {
    make();
    stream_sink sink;
    const auto id = attach_at(sink, "first");
    put_many(100);
    sink.got.clear();
    EXPECT_GT(shard.messages.held_bytes(), 0U);
    subject->detach(id);
    EXPECT_EQ(shard.messages.held_bytes(), 0U);
    stream_sink again;
    attach_at(again, 50);
    turn();
    EXPECT_EQ(again.offsets(), up_to(50, 100));
}

TEST_F(Stream, PassesOverDamagedRecords) {
    make();
    put("a");
    turn();
    const auto at = log->end();
    put("b");
    turn();
    put("c");
    turn();
    log->damage(at);
    stream_sink sink;
    attach_at(sink, "first");
    turn();
    EXPECT_EQ(sink.bodies(), (texts{"a", "c"}));
    EXPECT_EQ(sink.offsets(), (offsets{0, 2}));
}

TEST_F(Stream, KeepsEverythingThatAMessageSays) {
    make();
    message_traits traits;
    traits.persistent = true;
    traits.priority = 9;
    traits.properties_of = protocol_tag::amqp091;
    const std::string body(70'000, 'b');
    const std::vector<std::uint8_t> block{1, 2, 3};
    message_builder b;
    b.write_whole(shard.messages, "exchange", "a.key", block,
                  {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, traits);
    auto history = std::make_unique<death_log>();
    history->first_queue = "q";
    history->first_reason = death_reason::expired;
    history->routing_keys_override = {"k1", "k2"};
    history->copies_taken = true;
    history->rows.push_back({"q", death_reason::maxlen, "e", {"k", "cc"}, 3, 12345, "60000"});
    ASSERT_EQ(subject->append(b.finish(std::move(history))), enqueue_result::accepted);
    turn();
    stream_sink sink;
    attach_at(sink, "first");
    turn();
    ASSERT_EQ(sink.got.size(), 1U);
    const message& m = *sink.got[0].msg;
    EXPECT_EQ(m.exchange(), "exchange");
    EXPECT_EQ(m.routing_key(), "a.key");
    EXPECT_TRUE(std::ranges::equal(m.properties(), block));
    EXPECT_EQ(sink.bodies()[0], body);
    EXPECT_TRUE(m.persistent());
    EXPECT_EQ(m.priority(), 9);
    EXPECT_EQ(m.properties_of(), protocol_tag::amqp091);
    ASSERT_NE(m.deaths(), nullptr);
    EXPECT_EQ(m.deaths()->first_queue, "q");
    EXPECT_EQ(m.deaths()->first_reason, death_reason::expired);
    EXPECT_EQ(m.deaths()->routing_keys_override, (texts{"k1", "k2"}));
    EXPECT_TRUE(m.deaths()->copies_taken);
    EXPECT_FALSE(m.deaths()->expiration_taken);
    ASSERT_EQ(m.deaths()->rows.size(), 1U);
    const death& d = m.deaths()->rows[0];
    EXPECT_EQ(d.queue, "q");
    EXPECT_EQ(d.reason, death_reason::maxlen);
    EXPECT_EQ(d.exchange, "e");
    EXPECT_EQ(d.routing_keys, (texts{"k", "cc"}));
    EXPECT_EQ(d.count, 3U);
    EXPECT_EQ(d.first_time, 12345);
    EXPECT_EQ(d.original_expiration, "60000");
}

// ---- Filters -----------------------------------------------------------------------------------

TEST_F(Stream, GivesAFilteringReaderOnlyWhatItAskedFor) {
    make();
    put("a", "x-stream-filter-value=apple colour=red");
    put("b", "x-stream-filter-value=banana colour=yellow");
    put("c", "colour=red");
    turn();
    const auto with = [&](value_table t) {
        t.emplace_back("x-stream-offset", make_string("first"));
        stream_sink sink;
        const auto id = attach(sink, std::move(t));
        turn();
        subject->detach(id);
        return sink.bodies();
    };
    EXPECT_EQ(with({{"x-stream-filter", make_string("apple")}}), texts{"a"});
    EXPECT_EQ(with({{"x-stream-filter", make_string("apple")}, {"x-stream-match-unfiltered", make_bool(true)}}),
              (texts{"a", "c"}));
    value both;
    both.type = value_type::array;
    both.data = value_array{make_string("apple"), make_string("banana")};
    EXPECT_EQ(with({{"x-stream-filter", both}}), (texts{"a", "b"}));
    value red;
    red.type = value_type::table;
    red.data = value_table{{"colour", make_string("red")}};
    EXPECT_EQ(with({{"x-stream-filter-headers", red}}), (texts{"a", "c"}));
    EXPECT_EQ(with({{"x-stream-filter-headers", red}, {"x-stream-filter", make_string("apple")}}), texts{"a"});
    red.data = value_table{
        {"x-match", make_string("any")}, {"colour", make_string("yellow")}, {"shape", make_string("round")}};
    EXPECT_EQ(with({{"x-stream-filter-headers", red}}), texts{"b"});
}

TEST_F(Stream, DecodesAMessageOnceForAllFilters) {
    make();
    std::vector<std::unique_ptr<stream_sink>> sinks;
    for (int i = 0; i < 10; ++i) {
        sinks.push_back(std::make_unique<stream_sink>());
        attach(*sinks.back(), {{"x-stream-filter", make_string(i % 2 == 0 ? "even" : "odd")}});
    }
    put("a", "x-stream-filter-value=odd");
    turn();
    EXPECT_EQ(shard.reader.decoded, 1);
    EXPECT_TRUE(sinks[0]->got.empty());
    EXPECT_EQ(sinks[1]->bodies(), texts{"a"});
}

// ---- Retention ---------------------------------------------------------------------------------

TEST_F(Stream, ForgetsWholeSegmentsBeyondItsSize) {
    queue_settings s;
    s.max_length_bytes = 3 * segment_bytes;
    make(s);
    for (int i = 0; i < 100; ++i) {
        put_many(100, 1000);
    }
    EXPECT_EQ(subject->next_offset(), 10'000U);
    EXPECT_GT(subject->first_offset(), 0U);
    EXPECT_GE(log->end() - log->begin(), 3 * segment_bytes - (1 << 16));
    EXPECT_LE(log->end() - log->begin(), 4 * segment_bytes + (1 << 16));
    stream_sink sink;
    attach_at(sink, "first");
    turn();
    EXPECT_EQ(sink.offsets(), up_to(subject->first_offset(), 10'000));
    EXPECT_EQ(subject->message_count(), 10'000 - subject->first_offset());
}

TEST_F(Stream, ALogInMemoryIsBoundedWithoutBeingAsked) {
    make();
    for (int i = 0; i < 80; ++i) {
        put_many(1, 1024 * 1024);
    }
    EXPECT_LE(log->end() - log->begin(), stream::memory_bytes_max + 3 * segment_bytes);
    EXPECT_GT(subject->first_offset(), 10U);
}

TEST_F(Stream, ForgetsWhatIsTooOldButNeverTheLastSegment) {
    queue_settings s;
    s.max_age = 60 * ns_per_s;
    make(s);
    put_many(5000, 1000);
    EXPECT_EQ(subject->first_offset(), 0U);
    shard.advance(30 * ns_per_s);
    put_many(2000, 1000);
    shard.advance(40 * ns_per_s);
    const auto first = subject->first_offset();
    EXPECT_GT(first, 3000U) << "whole segments of the first batch";
    EXPECT_LE(first, 5000U);
    shard.advance(3600 * ns_per_s);
    EXPECT_GT(subject->first_offset(), 5000U);
    EXPECT_GT(subject->message_count(), 0U);
    put("next");
    turn();
    EXPECT_EQ(subject->next_offset(), 7001U);
}

// Nothing has become older by it.
TEST_F(Stream, KeepsItsHistoryWhenTheClockIsSetForward) {
    queue_settings s;
    s.max_age = 3600 * ns_per_s;
    make(s);
    put_many(5000, 1000);
    shard.wall += 30 * 86'400 * ns_per_s;
    shard.advance(120 * ns_per_s);
    EXPECT_EQ(subject->first_offset(), 0U);
    shard.advance(3600 * ns_per_s);
    EXPECT_GT(subject->first_offset(), 0U) << "by now it is";
}

// A large message is written in parts. The first of them is not the message.
TEST_F(Stream, ConfirmsALargeMessageWhenAllOfItIsDurable) {
    make();
    auto options = test::small_log();
    options.segment_bytes = 4 * 1024 * 1024;
    store::simulated_disk medium;
    medium.set_prompt(true);
    auto opened = test::open(medium, options);
    ASSERT_TRUE(opened.log) << opened.why;
    stream large(shard, queue_handle{2, 1, {}}, spec);
    large.open(std::move(opened.log));
    medium.set_prompt(false);
    ASSERT_EQ(large.append(message_of(std::string(600 * 1024, 'x'))), enqueue_result::accepted);
    durable_waiter who;
    who.sequence = 1;
    large.wait(who);
    std::size_t finished = 0;
    for (; finished < 1000; ++finished) {
        large.flush();
        static_cast<void>(large.poll());
        if (!shard.durable.empty()) {
            break;
        }
        medium.finish(1);
    }
    EXPECT_EQ(shard.durable, std::vector<std::uint64_t>{1});
    EXPECT_GE(finished, 2U) << "of one write there is nothing to tell";
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        store::simulated_disk left(medium.crash(seed), {.seed = seed, .prompt = true});
        const auto found = test::open(left, options);
        ASSERT_TRUE(found.log) << found.why;
        EXPECT_EQ(found.records.size(), 1U) << "what was confirmed, after crash " << seed;
    }
    medium.finish_all();
    static_cast<void>(large.poll());
}

// What says that an errand has been run outlives the segment with its message.
TEST_F(Stream, RemembersWhatErrandsHaveBrought) {
    queue_settings s;
    s.max_length_bytes = segment_bytes;
    make(s);
    ASSERT_EQ(subject->append(message_of("brought"), {.log = 2, .number = 77}), enqueue_result::accepted);
    for (int i = 0; i < 100; ++i) {
        put_many(100, 1000);
    }
    EXPECT_GT(subject->first_offset(), 0U);
    stream again(shard, queue_handle{1, 1, {}}, spec);
    log->scan(log->begin(), [&](const log_record& r) {
        again.replay(r);
        return true;
    });
    EXPECT_TRUE(again.has_run({.log = 2, .number = 77}));
    EXPECT_FALSE(again.has_run({.log = 2, .number = 78}));
    EXPECT_FALSE(again.has_run({.log = 1, .number = 1}));
    EXPECT_EQ(again.next_offset(), subject->next_offset());
}

TEST_F(Stream, AReaderBehindWhatIsKeptIsToldAndGoesOnAtTheFirst) {
    queue_settings s;
    s.max_length_bytes = segment_bytes;
    make(s);
    stream_sink sink;
    const auto id = attach_at(sink, "first", 1);
    for (int i = 0; i < 100; ++i) {
        put_many(100, 1000);
    }
    EXPECT_EQ(sink.offsets(), offsets{0});
    subject->settle(id, 1);
    turn();
    const position first = subject->first_offset();
    EXPECT_EQ(sink.offsets(), (offsets{0, first}));
    EXPECT_EQ(sink.gaps, offsets{first});
    stream_sink late;
    attach_at(late, 5);
    turn();
    EXPECT_EQ(late.gaps, offsets{first});
    EXPECT_EQ(late.got.front().pos, first);
}

TEST_F(Stream, AnOffsetOfAnotherHistoryIsAGap) {
    make();
    put_many(3);
    stream_sink sink;
    attach(sink, {{"x-stream-offset", make_int64(2)}, {"x-stream-epoch", make_int64(8)}});
    turn();
    EXPECT_EQ(sink.gaps, offsets{0});
    EXPECT_EQ(sink.offsets(), up_to(0, 3));
    stream_sink ours;
    attach(ours, {{"x-stream-offset", make_int64(2)},
                  {"x-stream-epoch", make_int64(static_cast<std::int64_t>(subject->epoch()))}});
    turn();
    EXPECT_TRUE(ours.gaps.empty());
    EXPECT_EQ(ours.offsets(), offsets{2});
}

TEST_F(Stream, APolicyChangesWhatIsKept) {
    make();
    for (int i = 0; i < 50; ++i) {
        put_many(100, 1000);
    }
    EXPECT_EQ(subject->first_offset(), 0U);
    spec.settings.max_length_bytes = segment_bytes;
    subject->apply(spec);
    EXPECT_GT(subject->first_offset(), 2000U);
}

// ---- Recovery and the end ----------------------------------------------------------------------

TEST_F(Stream, IsTheSameAfterARestart) {
    queue_settings s;
    s.max_length_bytes = 2 * segment_bytes;
    make(s);
    for (int i = 0; i < 50; ++i) {
        put_many(100, 1000);
    }
    const auto first = subject->first_offset();
    const auto epoch = subject->epoch();
    stream again(shard, queue_handle{1, 1, {}}, spec);
    auto copy = std::make_unique<store::memory_log>(segment_bytes);
    log->scan(0, [&](const log_record& r) {
        again.replay(r);
        return true;
    });
    again.open(std::move(copy));
    EXPECT_EQ(again.first_offset(), first);
    EXPECT_EQ(again.next_offset(), 5000U);
    EXPECT_EQ(again.readable_end(), 5000U);
    EXPECT_EQ(again.epoch(), epoch);
}

TEST_F(Stream, TellsItsReadersWhenItIsDeleted) {
    make();
    stream_sink sink;
    attach_at(sink, "first");
    put_many(3);
    EXPECT_EQ(subject->shut_down(), 3U);
    EXPECT_EQ(sink.cancelled, (std::vector<std::uint64_t>{5}));
}

}  // namespace
}  // namespace linnet::core
