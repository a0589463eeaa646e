#include "broker/store/memory_log.hpp"
#include "tests/core/cluster.hpp"
#include "tests/core/stream_fixture.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

// Streams on shards stepped by hand: publishers, readers and the stream wherever they are.

namespace linnet::core {
namespace {

// Logs in memory that a test can get at.
class held_logs final : public stream_store {
public:
    [[nodiscard]] result<std::unique_ptr<durable_log>, std::string> open(
        owner_uid, std::uint64_t, const std::function<void(const log_record&)>&) override {
        if (!refusal.empty()) {
            return fail(refusal);
        }
        auto made = std::make_unique<store::memory_log>(std::uint64_t{1} << 20);
        logs.push_back(made.get());
        return made;
    }
    void remove(owner_uid) override { ++removed; }

    std::vector<store::memory_log*> logs;
    std::string refusal;
    int removed = 0;
};

class StreamShard : public testing::TestWithParam<std::pair<int, int>> {
protected:
    // The stream on one shard, publisher and reader on another, or the same.
    static constexpr std::size_t home = 1;

    StreamShard() : all(3, 1024, &logs) {}

    [[nodiscard]] std::string make(test_session& s, std::size_t shard = home) {
        for (;;) {
            auto name = "s" + std::to_string(++made) + "-on-" + std::to_string(shard);
            declare_queue q;
            q.name = name;
            q.durable = true;
            q.arguments = {{"x-queue-type", make_string("stream")}};
            const auto r = all.ask(s, q);
            EXPECT_TRUE(r.result) << r.result.error().text;
            const auto h = std::get<queue_info>(*r.result).handle;
            EXPECT_TRUE(is_stream(h));
            if (h.shard.value == shard) {
                return name;
            }
        }
    }
    void bind_to(test_session& s, const std::string& exchange, const std::string& queue) {
        bind b;
        b.source = exchange;
        b.destination = queue;
        EXPECT_TRUE(all.ask(s, std::move(b)).result);
    }
    reply read(test_session& s, const std::string& name, std::uint32_t prefetch, value_table arguments) {
        consume c;
        c.queue = name;
        c.tag = 1;
        c.sink = &s;
        c.prefetch = prefetch;
        c.no_ack = prefetch == 0;
        c.arguments = std::move(arguments);
        return all.ask(s, std::move(c));
    }
    reply read(test_session& s, const std::string& name, std::uint32_t prefetch) {
        return read(s, name, prefetch, {{"x-stream-offset", make_string("first")}});
    }
    [[nodiscard]] static std::vector<std::string> bodies(const test_session& s) {
        std::vector<std::string> out;
        std::ranges::transform(s.got, std::back_inserter(out), [](const delivery& d) { return body_text(*d.msg); });
        return out;
    }

    held_logs logs;
    cluster all;
    int made = 0;
};

using texts = std::vector<std::string>;

INSTANTIATE_TEST_SUITE_P(Places, StreamShard,
                         testing::Values(std::pair(1, 1), std::pair(0, 1), std::pair(1, 0), std::pair(0, 2)));

TEST_P(StreamShard, ConfirmsWhatIsDurableAndDeliversItToEveryReader) {
    test_session publisher(all.at(static_cast<std::size_t>(GetParam().first)));
    test_session reader(all.at(static_cast<std::size_t>(GetParam().second)));
    test_session other(all.at(2));
    const auto name = make(publisher);
    ASSERT_TRUE(read(reader, name, 10).result);
    ASSERT_TRUE(read(other, name, 0).result);
    for (auto* log : logs.logs) {
        log->hold();
    }
    all.publish(publisher, "", name, "a", 1);
    const auto sent = all.publish(publisher, "", name, "b", 2);
    EXPECT_TRUE(sent.pending);
    all.settle();
    EXPECT_TRUE(publisher.settled.empty());
    EXPECT_TRUE(reader.got.empty());
    for (auto* log : logs.logs) {
        log->release();
    }
    all.settle();
    EXPECT_EQ(publisher.settled, (std::map<std::uint64_t, bool>{{1, true}, {2, true}}));
    EXPECT_EQ(bodies(reader), (texts{"a", "b"}));
    EXPECT_EQ(bodies(other), (texts{"a", "b"}));
    EXPECT_EQ(reader.got[1].pos, 1U);
}

TEST_P(StreamShard, AcksAndWhatComesBackGiveCredit) {
    test_session publisher(all.at(static_cast<std::size_t>(GetParam().first)));
    test_session reader(all.at(static_cast<std::size_t>(GetParam().second)));
    const auto name = make(publisher);
    const auto r = read(reader, name, 2);
    ASSERT_TRUE(r.result);
    const auto info = std::get<consumer_info>(*r.result);
    for (int i = 0; i < 6; ++i) {
        all.publish(publisher, "", name, std::to_string(i));
    }
    all.settle();
    EXPECT_EQ(bodies(reader), (texts{"0", "1"}));
    all.enter(reader.home().id().value).settle_accepted(info.queue, info.consumer, 1, 1);
    all.settle();
    EXPECT_EQ(bodies(reader), (texts{"0", "1", "2"}));
    std::vector<delivery> back;
    back.push_back(std::move(reader.got[1]));
    all.enter(reader.home().id().value).settle(back, settlement::requeued);
    back.clear();
    back.push_back(std::move(reader.got[2]));
    reader.got.clear();
    all.enter(reader.home().id().value).settle(back, settlement::rejected);
    all.settle();
    EXPECT_EQ(bodies(reader), (texts{"3", "4"})) << "credit, and no message twice";
}

TEST_P(StreamShard, ASinkThatIsNotReadyHoldsBackOnlyItself) {
    test_session publisher(all.at(static_cast<std::size_t>(GetParam().first)));
    test_session reader(all.at(static_cast<std::size_t>(GetParam().second)));
    const auto name = make(publisher);
    ASSERT_TRUE(read(reader, name, 0).result);
    reader.set_ready(false);
    all.publish(publisher, "", name, "a");
    all.settle();
    EXPECT_TRUE(reader.got.empty());
    all.enter(reader.home().id().value);
    reader.set_ready(true);
    all.settle();
    EXPECT_EQ(bodies(reader), texts{"a"});
}

TEST_P(StreamShard, ACancelledReaderGetsNoMore) {
    test_session publisher(all.at(static_cast<std::size_t>(GetParam().first)));
    test_session reader(all.at(static_cast<std::size_t>(GetParam().second)));
    const auto name = make(publisher);
    const auto r = read(reader, name, 5);
    const auto info = std::get<consumer_info>(*r.result);
    all.publish(publisher, "", name, "a");
    all.settle();
    ASSERT_TRUE(all.ask(reader, cancel{info.queue, info.consumer, &reader}).result);
    all.publish(publisher, "", name, "b");
    all.settle();
    EXPECT_EQ(bodies(reader), texts{"a"});
    reader.got.clear();
}

TEST_P(StreamShard, AReaderThatLostHistoryIsTold) {
    test_session publisher(all.at(static_cast<std::size_t>(GetParam().first)));
    test_session reader(all.at(static_cast<std::size_t>(GetParam().second)));
    const auto name = make(publisher);
    all.publish(publisher, "", name, "a");
    all.settle();
    ASSERT_TRUE(
        read(reader, name, 5, {{"x-stream-offset", make_int64(0)}, {"x-stream-epoch", make_int64(12345)}}).result);
    all.settle();
    EXPECT_EQ(reader.gaps, std::vector<position>{0});
    EXPECT_EQ(bodies(reader), texts{"a"});
    // A place as it was told is taken back without one.
    test_session again(all.at(static_cast<std::size_t>(GetParam().second)));
    const auto told = read(again, name, 5);
    const auto info = std::get<consumer_info>(*told.result);
    EXPECT_EQ(info.next, 0U);
    all.publish(publisher, "", name, "b");
    all.settle();
    test_session resumed(all.at(0));
    const auto from = static_cast<std::int64_t>(again.got.back().pos);
    const auto r = read(
        resumed, name, 5,
        {{"x-stream-offset", make_int64(from)}, {"x-stream-epoch", make_int64(static_cast<std::int64_t>(info.epoch))}});
    all.settle();
    EXPECT_EQ(std::get<consumer_info>(*r.result).next, 1U);
    EXPECT_TRUE(resumed.gaps.empty());
    EXPECT_EQ(bodies(resumed), texts{"b"});
}

TEST_P(StreamShard, AFanOutIsConfirmedWhenTheLastOfItsStreamsIsDurable) {
    test_session publisher(all.at(static_cast<std::size_t>(GetParam().first)));
    const auto one = make(publisher, 1);
    auto* const first = logs.logs.back();
    const auto two = make(publisher, 1);
    auto* const second = logs.logs.back();
    const auto three = make(publisher, 2);
    auto* const third = logs.logs.back();
    const auto queue = all.name_on(publisher, 1);
    for (const auto& q : {one, two, three, queue}) {
        bind_to(publisher, "amq.fanout", q);
    }
    std::uint64_t sequence = 0;
    for (auto* last : {first, second, third}) {
        last->hold();
        all.publish(publisher, "amq.fanout", "", "m", ++sequence);
        all.settle();
        EXPECT_FALSE(publisher.settled.contains(sequence));
        last->release();
        all.settle();
        EXPECT_TRUE(publisher.settled.contains(sequence) && publisher.settled[sequence]);
    }
    for (const auto& q : {one, two, three}) {
        test_session reader(all.at(0));
        ASSERT_TRUE(read(reader, q, 5).result);
        all.settle();
        EXPECT_EQ(bodies(reader), (texts{"m", "m", "m"}));
        reader.got.clear();
    }
    const auto g = all.ask(publisher, get{queue, true});
    EXPECT_TRUE(std::get<got_message>(*g.result).message);
}

TEST_F(StreamShard, RefusesGetAndPurgeAndBadArguments) {
    test_session s(all.at(0));
    const auto name = make(s);
    const auto text = [&](request_body b) { return all.ask(s, std::move(b)).result.error().text; };
    EXPECT_EQ(text(get{name, true}), "basic.get not supported by stream queues queue '" + name + "' in vhost '/'");
    EXPECT_EQ(text(purge_queue{name}), "queue.purge not supported by stream queues queue '" + name + "' in vhost '/'");
    EXPECT_EQ(read(s, name, 5, {{"x-stream-offset", make_string("bogus")}}).result.error().text,
              "invalid arg 'x-stream-offset' for queue '" + name +
                  "' in vhost '/': {invalid_offset_arg,<<\"bogus\">>}");
}

TEST_F(StreamShard, CountsWhatItHasAndTellsReadersOfItsEnd) {
    test_session s(all.at(0));
    test_session reader(all.at(2));
    const auto name = make(s);
    ASSERT_TRUE(read(reader, name, 1).result);
    all.publish(s, "", name, "a");
    all.publish(s, "", name, "b");
    all.settle();
    declare_queue q;
    q.name = name;
    q.durable = true;
    q.absent = if_absent::fail;
    const auto counted = all.ask(s, q);
    EXPECT_EQ(std::get<queue_info>(*counted.result).message_count, 2U);
    EXPECT_EQ(std::get<queue_info>(*counted.result).consumer_count, 1U);
    EXPECT_FALSE(all.ask(s, delete_queue{name, true, false}).result) << "in use";
    EXPECT_FALSE(all.ask(s, delete_queue{name, false, true}).result) << "not empty";
    const int before = logs.removed;
    ASSERT_TRUE(all.ask(s, delete_queue{name, false, false}).result);
    all.settle();
    EXPECT_EQ(logs.removed, before + 1);
    EXPECT_EQ(reader.cancelled, std::vector<std::uint64_t>{1});
    EXPECT_FALSE(all.ask(s, q).result);
    reader.got.clear();
}

TEST_F(StreamShard, ADeletedStreamLeavesNoPublisherWaiting) {
    test_session s(all.at(0));
    const auto name = make(s);
    for (auto* log : logs.logs) {
        log->hold();
    }
    all.publish(s, "", name, "a", 1);
    all.settle();
    EXPECT_TRUE(s.settled.empty());
    ASSERT_TRUE(all.ask(s, delete_queue{name, false, false}).result);
    all.settle();
    EXPECT_EQ(s.settled.size(), 1U);
}

TEST_F(StreamShard, ALogThatCannotBeOpenedRefusesTheDeclaration) {
    test_session s(all.at(0));
    logs.refusal = "no room";
    declare_queue q;
    q.name = "s";
    q.durable = true;
    q.arguments = {{"x-queue-type", make_string("stream")}};
    const auto r = all.ask(s, q);
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().text, "the log of queue 's' cannot be made: no room");
    logs.refusal.clear();
    EXPECT_TRUE(all.ask(s, q).result);
}

TEST_F(StreamShard, HoldsInputBackWhileAStreamsLogIsCongested) {
    test_session s(all.at(home));
    const auto name = make(s);
    auto* log = logs.logs.back();
    log->hold();
    const auto before = all.at(home).stored_messages();
    all.publish(s, "", name, "a");
    EXPECT_EQ(all.at(home).stored_messages(), before + 1);
    log->set_congested(true);
    EXPECT_TRUE(all.at(home).logs_congested());
    EXPECT_FALSE(all.at(home).congested()) << "who stores nothing goes on";
    log->set_congested(false);
    EXPECT_FALSE(all.at(home).logs_congested());
    log->release();
}

}  // namespace
}  // namespace linnet::core
