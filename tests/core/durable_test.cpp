// What is stored: confirmed only when durable, there again after a crash, gone when it was settled.
#include "broker/core/control.hpp"
#include "tests/core/durable_cluster.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

// The bodies of a queue, taken out and not acknowledged.
[[nodiscard]] std::vector<std::string> content_of(durable_cluster& c, const std::string& queue) {
    test_session s(c.at(0));
    std::vector<std::string> all;
    while (auto d = c.get_from(s, queue)) {
        all.push_back(body_text(*d->msg));
        s.got.push_back(std::move(*d));
    }
    return all;
}

using texts = std::vector<std::string>;

TEST(Durable, ConfirmsOnlyWhatIsOnTheDisk) {
    durable_cluster c({});
    test_session s(c.at(0));
    c.declare(s, "q");
    c.medium(0).set_prompt(false);
    EXPECT_TRUE(c.publish(s, "", "q", "a", 1).pending);
    c.settle();
    EXPECT_TRUE(s.settled.empty());
    c.pass(0);
    EXPECT_EQ(s.settled, (std::map<std::uint64_t, bool>{{1, true}}));
    EXPECT_GE(s.settled_batches, 1);
}

TEST(Durable, TransientMessagesAndQueuesWaitForNothing) {
    durable_cluster c({});
    test_session s(c.at(0));
    c.declare(s, "q");
    c.declare(s, "t", {}, false);
    c.medium(0).set_prompt(false);
    EXPECT_FALSE(c.publish(s, "", "q", "a", 1, false).pending);
    EXPECT_FALSE(c.publish(s, "", "t", "b", 2).pending);
}

// The queue is known to others before its declaration is durable.
TEST(Durable, ConfirmsNothingThatACrashWouldTakeWithItsQueue) {
    for (const std::uint16_t owner : {0, 1}) {
        durable_cluster c({.shards = 2, .logs = 2});
        test_session declarer(c.at(0));
        test_session publisher(c.at(1));
        queue_spec wanted;
        wanted.vhost = c.vhost();
        do {
            wanted.name += "q";
        } while (home_of(wanted, 2).value != owner);
        declare_queue q;
        q.name = wanted.name;
        q.durable = true;
        c.media().front()->set_prompt(false);
        EXPECT_FALSE(c.enter(0).submit({c.vhost(), declarer.handle(), 7, q}));
        c.settle();
        EXPECT_TRUE(declarer.replies.empty());
        EXPECT_TRUE(c.publish(publisher, "", q.name, "a", 1).pending);
        c.settle();
        EXPECT_TRUE(publisher.settled.empty());
        for (int round = 0; round < 4; ++round) {
            c.media().front()->finish_all();
            c.settle();
        }
        EXPECT_EQ(declarer.replies.size(), 1U);
        EXPECT_EQ(publisher.settled, (std::map<std::uint64_t, bool>{{1, true}}));
    }
}

TEST(Durable, IsThereAgainAfterACrash) {
    disk_images left;
    {
        durable_cluster c({});
        test_session s(c.at(0));
        c.declare(s, "q");
        c.publish(s, "", "q", "transient", 0, false);
        for (const char* body : {"a", "b", "c"}) {
            c.publish(s, "", "q", body, 1);
        }
        c.settle();
        ASSERT_TRUE(s.settled[1]);
        left = c.crash(1);
    }
    durable_cluster c({}, std::move(left));
    test_session s(c.at(0));
    EXPECT_EQ(c.declare(s, "q").message_count, 3U);
    const auto first = c.get_from(s, "q");
    ASSERT_TRUE(first);
    EXPECT_TRUE(first->redelivered) << "it may have been delivered before the crash";
    EXPECT_EQ(content_of(c, "q"), (texts{"b", "c"}));
}

TEST(Durable, SettledMessagesDoNotComeBack) {
    disk_images left;
    {
        durable_cluster c({});
        test_session s(c.at(0));
        c.declare(s, "q");
        c.consume_from(s, "q", 3);
        for (const char* body : {"a", "b", "c", "d", "e"}) {
            c.publish(s, "", "q", body);
        }
        c.settle();
        ASSERT_EQ(s.got.size(), 3U);
        EXPECT_TRUE(s.got[0].stored);
        c.enter(0).settle({&s.got[1], 1}, settlement::accepted);
        c.settle();
        ASSERT_EQ(s.got.size(), 4U);
        const std::vector<position> both{s.got[0].pos, s.got[3].pos};
        c.enter(0).settle_stored(s.got[0].queue, s.got[0].consumer, both, 2);
        c.settle();
        left = c.crash(1);
    }
    durable_cluster c({}, std::move(left));
    EXPECT_EQ(content_of(c, "q"), (texts{"c", "e"}));
}

TEST(Durable, AutomaticAcksAndGetsWithoutAckSettleAtOnce) {
    disk_images left;
    {
        durable_cluster c({});
        test_session s(c.at(0));
        c.declare(s, "q");
        for (const char* body : {"a", "b", "c"}) {
            c.publish(s, "", "q", body);
        }
        c.settle();
        ASSERT_TRUE(c.get_from(s, "q", true));
        c.settle();
        left = c.crash(1);
        c.consume_from(s, "q", 0, true);
        c.settle();
        ASSERT_EQ(s.got.size(), 2U);
        c.publish(s, "", "q", "d", 5);
        c.settle();
        EXPECT_EQ(s.got.size(), 3U);
        durable_cluster late({}, c.crash(2));
        EXPECT_TRUE(content_of(late, "q").empty());
    }
    durable_cluster c({}, std::move(left));
    EXPECT_EQ(content_of(c, "q"), (texts{"b", "c"}));
}

TEST(Durable, CountsAttemptsAcrossACrash) {
    disk_images left;
    {
        durable_cluster c({});
        test_session s(c.at(0));
        c.declare(s, "q");
        c.publish(s, "", "q", "a");
        for (int i = 0; i < 2; ++i) {
            auto d = c.get_from(s, "q");
            ASSERT_TRUE(d);
            c.enter(0).settle({&*d, 1}, settlement::requeued);
        }
        c.settle();
        left = c.crash(1);
    }
    durable_cluster c({}, std::move(left));
    test_session s(c.at(0));
    const auto d = c.get_from(s, "q");
    ASSERT_TRUE(d);
    EXPECT_EQ(d->delivery_count, 2U);
    EXPECT_TRUE(d->redelivered);
}

TEST(Durable, ACleanStopLeavesNothingToDoubt) {
    disk_images left;
    {
        durable_cluster c({});
        test_session s(c.at(0));
        c.declare(s, "q");
        c.publish(s, "", "q", "a");
        s.leave();
        left = c.stop();
    }
    durable_cluster c({}, std::move(left));
    test_session s(c.at(0));
    const auto d = c.get_from(s, "q");
    ASSERT_TRUE(d);
    EXPECT_FALSE(d->redelivered);
}

TEST(Durable, ADoubtOutlivesACleanStop) {
    disk_images left;
    {
        durable_cluster c({});
        test_session s(c.at(0));
        c.declare(s, "q");
        c.publish(s, "", "q", "a");
        c.settle();
        ASSERT_TRUE(c.get_from(s, "q"));
        left = c.crash(1);
    }
    for (int stop = 0; stop < 2; ++stop) {
        durable_cluster c({}, std::move(left));
        test_session s(c.at(0));
        if (stop == 0) {
            c.publish(s, "", "q", "b");
            c.settle();
        }
        s.leave();
        left = c.stop();
    }
    durable_cluster c({}, std::move(left));
    test_session s(c.at(0));
    const auto a = c.get_from(s, "q");
    const auto b = c.get_from(s, "q");
    ASSERT_TRUE(a && b);
    EXPECT_TRUE(a->redelivered);
    EXPECT_FALSE(b->redelivered);
}

// One confirm for queues on every shard: it waits for the slowest disk.
TEST(Durable, AFanOutIsConfirmedWhenEveryShardHasIt) {
    disk_images left;
    std::vector<std::string> names;
    {
        durable_cluster c({.shards = 3, .logs = 3});
        test_session s(c.at(1));
        for (std::size_t i = 0; i < 3; ++i) {
            names.push_back(c.name_on(s, i));
            c.bind_to(s, "amq.fanout", names.back());
        }
        for (std::size_t i = 0; i < 3; ++i) {
            c.medium(i).set_prompt(false);
        }
        EXPECT_TRUE(c.publish(s, "amq.fanout", "", "a", 1).pending);
        for (const std::size_t i : {1, 0, 2}) {
            c.settle();
            EXPECT_TRUE(s.settled.empty()) << "log " << i << " has not got it yet";
            c.pass(i);
        }
        c.settle();
        EXPECT_EQ(s.settled, (std::map<std::uint64_t, bool>{{1, true}}));
        left = c.crash(1);
    }
    durable_cluster c({.shards = 3, .logs = 3}, std::move(left));
    for (const auto& name : names) {
        EXPECT_EQ(content_of(c, name), texts{"a"});
    }
}

TEST(Durable, AnotherNumberOfShardsServesTheSameLogs) {
    disk_images left;
    std::vector<std::string> names;
    {
        durable_cluster c({.shards = 3, .logs = 3});
        test_session s(c.at(0));
        for (std::size_t i = 0; i < 3; ++i) {
            names.push_back(c.name_on(s, i));
            c.publish(s, "", names.back(), std::to_string(i));
        }
        c.settle();
        left = c.crash(1);
    }
    {
        durable_cluster c({.shards = 1, .logs = 3}, std::move(left));
        test_session s(c.at(0));
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(c.declare(s, names[i]).message_count, 1U);
            c.bind_to(s, "amq.fanout", names[i]);
        }
        // Queues of three logs on one shard.
        EXPECT_TRUE(c.publish(s, "amq.fanout", "", "more", 1).pending);
        c.settle();
        EXPECT_TRUE(s.settled[1]);
        left = c.crash(2);
    }
    durable_cluster c({.shards = 2, .logs = 3}, std::move(left));
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(content_of(c, names[i]), (texts{std::to_string(i), "more"}));
    }
}

TEST(Durable, AConsumerOnAnotherShardSettlesByPosition) {
    disk_images left;
    std::string name;
    {
        durable_cluster c({.shards = 2, .logs = 2});
        test_session s(c.at(0));
        name = c.name_on(s, 1);
        c.consume_from(s, name);
        for (int i = 0; i < 12; ++i) {
            c.publish(s, "", name, std::to_string(i));
        }
        c.settle();
        ASSERT_EQ(s.got.size(), 12U);
        const auto q = s.got[0].queue;
        const auto consumer = s.got[0].consumer;
        std::vector<position> few{s.got[0].pos, s.got[2].pos};
        std::vector<position> many;
        for (std::size_t i = 3; i < 11; ++i) {
            many.push_back(s.got[i].pos);
        }
        c.enter(0).settle_stored(q, consumer, few, 2);
        c.enter(0).settle_stored(q, consumer, many, 8);
        c.settle();
        left = c.crash(1);
    }
    durable_cluster c({.shards = 2, .logs = 2}, std::move(left));
    EXPECT_EQ(content_of(c, name), (texts{"1", "11"}));
}

TEST(Durable, ADeletedQueueKeepsItsMessagesUntilNothingBringsItBack) {
    for (const std::uint16_t home : {std::uint16_t{0}, std::uint16_t{1}}) {
        const durable_cluster::options o{.shards = 2, .logs = 2};
        durable_cluster c(o);
        test_session s(c.at(0));
        const auto name = c.name_on(s, home);
        for (int i = 0; i < 3; ++i) {
            c.publish(s, "", name, std::to_string(i));
        }
        c.settle();
        const auto stored = c.at(home).store_figures().live_bytes;
        EXPECT_NE(stored, 0U);
        c.media()[0]->set_prompt(false);
        delete_queue gone;
        gone.name = name;
        EXPECT_FALSE(c.enter(0).submit({c.vhost(), s.handle(), 99, gone}));
        c.settle();
        EXPECT_TRUE(s.replies.empty()) << "it is not durable yet";
        EXPECT_EQ(c.at(home).store_figures().live_bytes, stored);
        std::size_t back = 0;
        for (std::uint64_t seed = 0; seed < 20; ++seed) {
            durable_cluster found(o, c.crash(seed));
            const auto* v = found.enter(0).topology().find_vhost(found.vhost());
            if (topology_view::find_queue(*v, name) != nullptr) {
                ++back;
                EXPECT_EQ(content_of(found, name), (texts{"0", "1", "2"}));
            }
        }
        EXPECT_NE(back, 0U) << "some crashes undo the deletion";
        c.media()[0]->finish_all();
        c.settle();
        c.media()[0]->finish_all();
        c.settle();
        ASSERT_EQ(s.replies.size(), 1U);
        EXPECT_EQ(std::get<queue_info>(*s.replies[0].result).message_count, 3U);
        EXPECT_EQ(c.at(home).store_figures().live_bytes, 0U);
        durable_cluster found(o, c.crash(1));
        const auto* v = found.enter(0).topology().find_vhost(found.vhost());
        EXPECT_EQ(topology_view::find_queue(*v, name), nullptr);
        EXPECT_EQ(found.at(home).store_figures().live_bytes, 0U);
    }
}

// ---- Dead letters ------------------------------------------------------------------------------

TEST(Durable, ADeadLetterStaysInItsQueueUntilItsSuccessorIsDurable) {
    const value_table arguments = {{"x-dead-letter-exchange", make_string("amq.fanout")}};
    durable_cluster c({.shards = 2, .logs = 2});
    test_session s(c.at(0));
    const auto from = c.name_on(s, 0, "from", arguments);
    const auto to = c.name_on(s, 1, "to");
    c.bind_to(s, "amq.fanout", to);
    c.publish(s, "", from, "a");
    c.settle();
    auto d = c.get_from(s, from);
    ASSERT_TRUE(d);
    c.medium(1).set_prompt(false);
    c.enter(0).settle({&*d, 1}, settlement::rejected);
    c.settle();
    {
        // Both disks stop now: the old one is the only one, unless the new one happened to get through.
        durable_cluster found({.shards = 2, .logs = 2}, c.crash(1));
        EXPECT_EQ(content_of(found, from), texts{"a"});
    }
    c.pass(1);
    durable_cluster found({.shards = 2, .logs = 2}, c.crash(2));
    EXPECT_TRUE(content_of(found, from).empty());
    test_session after(found.at(0));
    const auto dead = found.get_from(after, to);
    ASSERT_TRUE(dead);
    ASSERT_NE(dead->msg->deaths(), nullptr);
    EXPECT_EQ(dead->msg->deaths()->first_queue, from);
}

// It may be doubled, and says so; what lay before it and went to nobody does not.
TEST(Durable, ADeadLetterInDoubtAtACleanStopSaysSoAndNoOtherDoes) {
    const value_table arguments = {{"x-dead-letter-exchange", make_string("amq.fanout")},
                                   {"x-max-priority", make_int64(2)}};
    disk_images left;
    std::string from;
    std::string to;
    {
        durable_cluster c({.shards = 2, .logs = 2});
        test_session s(c.at(0));
        from = c.name_on(s, 0, "from", arguments);
        to = c.name_on(s, 1, "to");
        c.bind_to(s, "amq.fanout", to);
        for (const std::uint8_t priority : {0, 1}) {
            auto& home = c.enter(0);
            const auto* v = home.topology().find_vhost(c.vhost());
            route_memo memo;
            const auto r = home.find_route(*v, "", from, nullptr, {}, memo);
            message_traits traits;
            traits.persistent = true;
            traits.priority = priority;
            const std::uint8_t body = priority == 0 ? 'l' : 'h';
            static_cast<void>(
                home.publish(make_message(home.pool(), "", from, {}, {&body, 1}, traits), *v, r, s.handle(), 1, 0));
        }
        c.settle();
        auto d = c.get_from(s, from);
        ASSERT_TRUE(d);
        c.medium(1).set_prompt(false);
        c.enter(0).settle({&*d, 1}, settlement::rejected);
        c.settle();
        s.leave();
        left = c.stop();
    }
    durable_cluster c({.shards = 2, .logs = 2}, std::move(left));
    test_session s(c.at(0));
    std::map<std::string, bool> redelivered;
    while (auto d = c.get_from(s, from)) {
        redelivered[body_text(*d->msg)] = d->redelivered;
        s.got.push_back(std::move(*d));
    }
    EXPECT_EQ(redelivered, (std::map<std::string, bool>{{"h", true}, {"l", false}}));
    // Dead-lettered again: the second one tells that there may be a first.
    c.enter(0).settle({&s.got.front(), 1}, settlement::rejected);
    s.got.erase(s.got.begin());
    c.settle();
    std::vector<bool> dead;
    while (auto d = c.get_from(s, to)) {
        dead.push_back(d->redelivered);
        s.got.push_back(std::move(*d));
    }
    EXPECT_EQ(dead, (std::vector<bool>{false, true}));
}

TEST(Durable, ADeadLetterIsThereOnceWithinOneLog) {
    const value_table arguments = {{"x-dead-letter-exchange", make_string("amq.fanout")}};
    durable_cluster c({});
    test_session s(c.at(0));
    c.declare(s, "from", arguments);
    c.declare(s, "to");
    c.bind_to(s, "amq.fanout", "to");
    c.publish(s, "", "from", "a");
    c.settle();
    auto d = c.get_from(s, "from");
    ASSERT_TRUE(d);
    c.medium(0).set_prompt(false);
    c.enter(0).settle({&*d, 1}, settlement::rejected);
    c.settle();
    bool dead = false;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        durable_cluster found({}, c.crash(seed));
        const auto there = content_of(found, "to").size();
        EXPECT_EQ(content_of(found, "from").size() + there, 1U) << "seed " << seed;
        dead |= there == 1;
    }
    c.pass(0);
    durable_cluster found({}, c.crash(1));
    EXPECT_EQ(content_of(found, "to"), texts{"a"});
    EXPECT_TRUE(dead) << "the disk had it in some of them already";
}

// What a full queue refuses (reject-publish-dlx) was never stored there. Its dead letter is stored as any publish is,
// on whatever shard: the persistent one survives, the transient one does not.
TEST(Durable, WhatAFullQueueRefusesIsDeadLetteredAndStoredThere) {
    const value_table arguments = {{"x-dead-letter-exchange", make_string("amq.fanout")},
                                   {"x-max-length", make_int64(1)},
                                   {"x-overflow", make_string("reject-publish-dlx")}};
    const durable_cluster::options o{.shards = 2, .logs = 2};
    for (const std::size_t grave_on : {0U, 1U}) {
        durable_cluster c(o);
        test_session s(c.at(0));
        const auto from = c.name_on(s, 0, "from", arguments);
        const auto to = c.name_on(s, grave_on, "to");
        c.bind_to(s, "amq.fanout", to);
        c.publish(s, "", from, "first", 1);
        c.publish(s, "", from, "lasting", 2);
        c.publish(s, "", from, "passing", 3, false);
        c.settle();
        EXPECT_TRUE(s.settled.at(1));
        EXPECT_FALSE(s.settled.contains(2) && s.settled.at(2));
        EXPECT_FALSE(s.settled.contains(3) && s.settled.at(3));
        EXPECT_EQ(c.count_of(s, from), 1U);
        EXPECT_EQ(c.count_of(s, to), 2U);
        durable_cluster found(o, c.crash(1));
        EXPECT_EQ(content_of(found, from), texts{"first"});
        test_session after(found.at(0));
        const auto dead = found.get_from(after, to);
        ASSERT_TRUE(dead);
        EXPECT_EQ(body_text(*dead->msg), "lasting");
        ASSERT_NE(dead->msg->deaths(), nullptr);
        EXPECT_EQ(dead->msg->deaths()->first_queue, from);
        EXPECT_EQ(dead->msg->deaths()->first_reason, death_reason::maxlen);
        EXPECT_EQ(found.count_of(after, to), 0U);
    }
}

TEST(Durable, ADeadLetterThatACrashMayHaveDoubledSaysSo) {
    const value_table arguments = {{"x-dead-letter-exchange", make_string("amq.fanout")}};
    durable_cluster c({.shards = 2, .logs = 2});
    test_session s(c.at(0));
    const auto from = c.name_on(s, 0, "from", arguments);
    const auto to = c.name_on(s, 1, "to");
    c.bind_to(s, "amq.fanout", to);
    c.publish(s, "", from, "a");
    c.settle();
    auto d = c.get_from(s, from);
    ASSERT_TRUE(d);
    c.enter(0).settle({&*d, 1}, settlement::rejected);
    c.turn(0);
    c.medium(0).set_prompt(false);
    c.settle();
    for (std::uint64_t seed = 0;; ++seed) {
        ASSERT_LT(seed, 100U) << "its settlement was never lost";
        durable_cluster found({.shards = 2, .logs = 2}, c.crash(seed));
        test_session after(found.at(0));
        auto again = found.get_from(after, from);
        if (!again) {
            continue;
        }
        found.enter(0).settle({&*again, 1}, settlement::rejected);
        found.settle();
        for (int copies = 0; copies < 2; ++copies) {
            const auto dead = found.get_from(after, to, true);
            ASSERT_TRUE(dead);
            EXPECT_TRUE(dead->redelivered);
        }
        break;
    }
}

TEST(Durable, ADeadLetterWithoutAWayIsGone) {
    const value_table arguments = {{"x-dead-letter-exchange", make_string("amq.direct")}};
    durable_cluster c({});
    test_session s(c.at(0));
    c.declare(s, "q", arguments);
    c.publish(s, "", "q", "a");
    auto d = c.get_from(s, "q");
    ASSERT_TRUE(d);
    c.enter(0).settle({&*d, 1}, settlement::rejected);
    c.settle();
    durable_cluster found({}, c.crash(1));
    EXPECT_TRUE(content_of(found, "q").empty());
}

TEST(Durable, ADeletedStreamKeepsItsMessagesUntilNothingBringsItBack) {
    const durable_cluster::options o{.stream = true};
    durable_cluster c(o);
    test_session s(c.at(0));
    value_table stream;
    stream.emplace_back("x-queue-type", make_string("stream"));
    c.declare(s, "stream", stream);
    c.publish(s, "", "stream", "a");
    c.settle();
    c.media()[0]->set_prompt(false);
    delete_queue gone;
    gone.name = "stream";
    EXPECT_FALSE(c.enter(0).submit({c.vhost(), s.handle(), 99, gone}));
    c.settle();
    EXPECT_TRUE(s.replies.empty()) << "it is not durable yet";
    std::size_t back = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        durable_cluster found(o, c.crash(seed));
        const auto* v = found.enter(0).topology().find_vhost(found.vhost());
        if (topology_view::find_queue(*v, "stream") != nullptr) {
            ++back;
            test_session reader(found.at(0));
            EXPECT_EQ(found.count_of(reader, "stream"), 1U);
        }
    }
    EXPECT_NE(back, 0U) << "some crashes undo the deletion";
    for (int round = 0; round < 4; ++round) {
        c.media()[0]->finish_all();
        c.settle();
    }
    EXPECT_EQ(s.replies.size(), 1U);
    EXPECT_TRUE(c.stream_medium().snapshot().empty()) << "its log is gone";
}

// ---- Transactions ------------------------------------------------------------------------------

TEST(Durable, ATransactionIsThereWholeOrNotAtAll) {
    durable_cluster c({});
    test_session s(c.at(0));
    c.declare(s, "q");
    c.publish(s, "", "q", "old");
    c.settle();
    auto d = c.get_from(s, "q");
    ASSERT_TRUE(d);
    c.medium(0).set_prompt(false);
    auto& home = c.enter(0);
    home.begin_transaction();
    EXPECT_TRUE(c.publish_together(s, "q", "new 1", 1).pending);
    home.settle({&*d, 1}, settlement::accepted);
    EXPECT_TRUE(c.publish_together(s, "q", "new 2", 2).pending);
    EXPECT_TRUE(home.end_transaction(s.handle(), 1, 3));
    c.settle();
    EXPECT_TRUE(s.settled.empty());
    for (std::uint64_t seed = 1; seed < 30; ++seed) {
        durable_cluster found({}, c.crash(seed));
        const auto content = content_of(found, "q");
        EXPECT_TRUE(content == texts{"old"} || content == (texts{"new 1", "new 2"})) << "seed " << seed;
    }
    c.pass(0);
    EXPECT_EQ(s.settled, (std::map<std::uint64_t, bool>{{1, true}, {2, true}, {3, true}}));
    durable_cluster found({}, c.crash(1));
    EXPECT_EQ(content_of(found, "q"), (texts{"new 1", "new 2"}));
}

TEST(Durable, ATransactionThatOnlySettlesWaitsForTheDiskToo) {
    durable_cluster c({.shards = 2, .logs = 2});
    test_session s(c.at(0));
    const auto near = c.name_on(s, 0);
    const auto far = c.name_on(s, 1);
    std::vector<delivery> lent;
    for (const auto& name : {near, far}) {
        c.publish(s, "", name, "a");
        auto d = c.get_from(s, name);
        ASSERT_TRUE(d);
        lent.push_back(std::move(*d));
    }
    c.medium(0).set_prompt(false);
    c.medium(1).set_prompt(false);
    auto& home = c.enter(0);
    home.begin_transaction();
    home.settle(lent, settlement::accepted);
    EXPECT_TRUE(home.end_transaction(s.handle(), 1, 3));
    c.settle();
    c.pass(0);
    EXPECT_TRUE(s.settled.empty()) << "the far log has not got it yet";
    c.pass(1);
    EXPECT_TRUE(s.settled[3]);
    c.publish(s, "", near, "b");
    auto d = c.get_from(s, near);
    ASSERT_TRUE(d);
    home.settle({&*d, 1}, settlement::accepted);
    home.begin_transaction();
    EXPECT_FALSE(home.end_transaction(s.handle(), 1, 4)) << "an empty one has nothing to wait for, not even what "
                                                            "was settled just before it";
}

// Queues and a stream, some of which lie in other logs than the transaction's own: at any point of its way to the disks
// it may stop, and its disks may have done any of what they were asked for.
TEST(Durable, ATransactionOverSeveralLogsIsThereWholeOrNotAtAll) {
    const durable_cluster::options how{.shards = 2, .logs = 3, .stream = true};
    durable_cluster c(how);
    test_session s(c.at(0));
    const auto near = c.name_on(s, 0);
    const auto far = c.name_on(s, 1);
    value_table stream;
    stream.emplace_back("x-queue-type", make_string("stream"));
    c.declare(s, "stream", stream);
    std::vector<delivery> lent;
    for (const auto& name : {near, far}) {
        c.publish(s, "", name, "old");
        c.settle();
        auto d = c.get_from(s, name);
        ASSERT_TRUE(d);
        lent.push_back(std::move(*d));
    }
    for (std::size_t disk = 0; disk < 4; ++disk) {
        c.medium(disk).set_prompt(false);
    }
    auto& home = c.enter(0);
    home.begin_transaction();
    c.publish_together(s, near, "new", 1);
    c.publish_together(s, far, "new", 2);
    c.publish_together(s, "stream", "new", 3);
    home.settle(lent, settlement::accepted);
    EXPECT_TRUE(home.end_transaction(s.handle(), 1, 4));
    c.publish(s, "", far, "later");

    int whole = 0;
    int none = 0;
    for (int step = 0; step < 60; ++step) {
        for (std::uint64_t seed = 1; seed < 6; ++seed) {
            auto after = how;
            after.shards = 1 + (step + seed) % 3;
            durable_cluster found(after, c.crash(seed * 100));
            found.finish_transactions();
            // Once more: what had been done is not done again.
            durable_cluster again(how, found.crash(seed));
            again.finish_transactions();
            const auto there = content_of(again, near);
            auto elsewhere = content_of(again, far);
            std::erase(elsewhere, "later");
            test_session reader(again.at(0));
            EXPECT_EQ(there, elsewhere) << "step " << step << ", seed " << seed;
            EXPECT_TRUE(there == texts{"old"} || there == texts{"new"}) << "step " << step << ", seed " << seed;
            EXPECT_EQ(again.count_of(reader, "stream"), there == texts{"new"} ? 1U : 0U);
            whole += there == texts{"new"} ? 1 : 0;
            none += there == texts{"old"} ? 1 : 0;
            EXPECT_TRUE(!s.settled.contains(4) || there == texts{"new"}) << "committed, and gone";
        }
        c.medium(static_cast<std::size_t>(step) % 4).finish(1);
        c.settle();
    }
    EXPECT_TRUE(s.settled[4]);
    EXPECT_GT(whole, 0);
    EXPECT_GT(none, 0);
}

// What it does in another log is seen there only once it is durable as a whole.
TEST(Durable, ATransactionIsSeenElsewhereOnlyWhenItIsDurable) {
    durable_cluster c({.shards = 2, .logs = 2});
    test_session s(c.at(0));
    const auto far = c.name_on(s, 1);
    c.medium(0).set_prompt(false);
    auto& home = c.enter(0);
    home.begin_transaction();
    c.publish_together(s, far, "new", 1);
    EXPECT_TRUE(home.end_transaction(s.handle(), 1, 2));
    c.settle();
    EXPECT_EQ(c.count_of(s, far), 0U);
    EXPECT_TRUE(s.settled.empty());
    c.pass(0);
    EXPECT_EQ(c.count_of(s, far), 1U);
    EXPECT_TRUE(s.settled[2]);
}

// What a queue that is full makes of its part, the commit tells.
TEST(Durable, ATransactionTellsThatAFarQueueRefused) {
    durable_cluster c({.shards = 2, .logs = 2});
    test_session s(c.at(0));
    value_table full;
    full.emplace_back("x-max-length", make_int64(1));
    full.emplace_back("x-overflow", make_string("reject-publish"));
    const auto far = c.name_on(s, 1, "full", full);
    auto& home = c.enter(0);
    home.begin_transaction();
    for (std::uint64_t n = 1; n < 4; ++n) {
        c.publish_together(s, far, "new", n);
    }
    EXPECT_TRUE(home.end_transaction(s.handle(), 1, 4));
    c.settle();
    EXPECT_FALSE(s.settled.at(4));
    EXPECT_EQ(c.count_of(s, far), 1U);
}

// ---- Trouble -----------------------------------------------------------------------------------

// Two queues, one of which does not outlive the process, hold eight times what memory may.
TEST(Durable, QueuesSpillBeforePublishersAreHeldBack) {
    constexpr std::uint64_t budget = 256 * 1024;
    constexpr int each = 1000;
    durable_cluster c({.shards = 2, .logs = 2, .memory_bytes = budget});
    test_session s(c.at(0));
    c.declare(s, "lasting");
    c.declare(s, "passing", {}, false);
    const std::string filling(1000, 'x');
    std::uint64_t most = 0;
    for (int i = 0; i < each; ++i) {
        const auto text = std::to_string(i) + ' ' + filling;
        c.publish(s, "", "lasting", text, 0, i % 2 == 0);
        c.publish(s, "", "passing", text);
        for (std::size_t shard = 0; shard < 2; ++shard) {
            c.turn(shard);
        }
        most = std::max(most, c.parts().held_bytes());
        EXPECT_FALSE(c.parts().memory_alarm()) << i;
    }
    EXPECT_LE(most, budget);
    EXPECT_GT(most, budget / 4) << "there was no need to spill";
    for (const char* name : {"lasting", "passing"}) {
        test_session reader(c.at(0));
        c.consume_from(reader, name, 10);
        for (int i = 0; i < each; ++i) {
            for (int round = 0; round < 100 && reader.got.empty(); ++round) {
                c.settle();
            }
            ASSERT_FALSE(reader.got.empty()) << name << ' ' << i;
            ASSERT_EQ(std::stoi(body_text(*reader.got.front().msg)), i) << name;
            c.enter(0).settle({reader.got.data(), 1}, settlement::accepted);
            reader.got.erase(reader.got.begin());
        }
        c.leave(reader);
        EXPECT_EQ(c.count_of(s, name), 0U);
    }
}

TEST(Durable, AFailedDiskConfirmsNothingAndIsReportedOnce) {
    durable_cluster c({});
    test_session s(c.at(0));
    c.declare(s, "q");
    c.medium(0).fail_from(1, EIO);
    c.publish(s, "", "q", "a", 1);
    c.settle();
    c.publish(s, "", "q", "b", 2);
    c.settle();
    EXPECT_TRUE(s.settled.empty());
    ASSERT_EQ(c.failures().size(), 1U);
    EXPECT_FALSE(c.failures()[0].empty());
}

TEST(Durable, AFullDiskHoldsPublishersBackUntilThereIsRoom) {
    durable_cluster c({});
    test_session s(c.at(0));
    c.declare(s, "q");
    c.medium(0).set_capacity(0);
    const std::string body(4000, 'x');
    int published = 0;
    while (!s.alarm.disk && published < 200) {
        c.publish(s, "", "q", body);
        ++published;
        c.turn(0);
    }
    EXPECT_TRUE(s.alarm.disk);
    EXPECT_FALSE(s.alarm.memory);
    c.medium(0).set_capacity(std::uint64_t{1} << 30);
    for (int i = 0; i < 5 && s.alarm.disk; ++i) {
        c.clock.advance(2 * ns_per_s);
        c.settle();
    }
    EXPECT_FALSE(s.alarm.disk);
    c.settle();
    durable_cluster found({}, c.crash(1));
    EXPECT_EQ(content_of(found, "q").size(), static_cast<std::size_t>(published));
}

}  // namespace
}  // namespace linnet::core
