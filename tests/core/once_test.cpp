// Messages that are to be there once (MQTT's QoS 2): published together with a mark at their client, seen when they are
// durable, and not sent again once their consumer has said that it has them.
#include "tests/core/client_fixture.hpp"
#include "tests/core/durable_cluster.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {
namespace {

using marks = std::vector<std::uint32_t>;
using texts = std::vector<std::string>;

constexpr std::uint64_t tag = 1;

[[nodiscard]] attach_client kept_client(std::string name, bool clean = false) {
    attach_client a = of_name(std::move(name));
    a.durable = true;
    a.clean = clean;
    return a;
}

// A new client that lives with that log, one of the first of a shard.
template <class Cluster>
[[nodiscard]] std::string client_of(Cluster& c, std::uint16_t log) {
    for (int i = 0;; ++i) {
        auto name = fmt::format("client-{}", i);
        if (c.parts().homes().of_client(c.vhost(), name) == log) {
            return name;
        }
    }
}

template <class Cluster>
publish_result publish_once(Cluster& c, client_session& s, const client_ticket& t, std::uint32_t number,
                            std::string_view exchange, std::string_view key, std::uint64_t sequence,
                            bool retain = false) {
    auto& home = c.enter(s.home().id().value);
    const auto* v = home.topology().find_vhost(c.vhost());
    route_memo memo;
    const auto r = home.find_route(*v, exchange, key, nullptr, {}, memo);
    message_traits traits;
    traits.persistent = true;
    traits.once = true;
    traits.retain = retain;
    static constexpr std::string_view body = "new";
    auto m = make_message(home.pool(), exchange, key, {},
                          {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, traits);
    return home.publish_once(std::move(m), *v, r, t, number, s.handle(), tag, sequence);
}

// A publish without a mark, as of another quality.
publish_result retain_at_once(durable_cluster& c, client_session& s, std::string_view key, std::string_view body,
                              std::uint64_t sequence) {
    auto& home = c.enter(s.home().id().value);
    const auto* v = home.topology().find_vhost(c.vhost());
    route_memo memo;
    const auto r = home.find_route(*v, "amq.topic", key, nullptr, {}, memo);
    message_traits traits;
    traits.persistent = sequence != 0;
    traits.retain = true;
    auto m = make_message(home.pool(), "amq.topic", key, {},
                          {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, traits);
    return home.publish(std::move(m), *v, r, s.handle(), tag, sequence);
}

// The last value of a key; empty: it has none.
[[nodiscard]] std::string retained_text(durable_cluster& c, client_session& s, std::string_view key) {
    read_retained asked;
    asked.pattern = key;
    const auto r = c.ask(s, std::move(asked));
    const auto& found = std::get<retained_messages>(*r.result).messages;
    return found.empty() ? std::string() : body_text(*found.front().message);
}

[[nodiscard]] bool is_retained(durable_cluster& c, client_session& s, std::string_view key) {
    return !retained_text(c, s, key).empty();
}

void bind_topic(durable_cluster& c, test_session& s, const std::string& queue) {
    bind b;
    b.source = "amq.topic";
    b.destination = queue;
    b.routing_key = "k";
    EXPECT_TRUE(c.ask(s, std::move(b)).result);
}

// Two queues in different logs, the last value of its key, and the client's mark in each of the logs in turn.
TEST(Once, APublishIsThereWithItsMarkOrNotAtAll) {
    int whole = 0;
    int none = 0;
    for (std::uint16_t home = 0; home < 3; ++home) {
        const durable_cluster::options how{.shards = static_cast<std::uint16_t>(home < 2 ? 2 : 3), .logs = 3};
        durable_cluster c(how);
        client_session s(c.at(0));
        const auto near = c.name_on(s, 0);
        const auto far = c.name_on(s, 1);
        bind_topic(c, s, near);
        bind_topic(c, s, far);
        const auto name = client_of(c, home);
        const auto client = attach(c, s, kept_client(name));
        ASSERT_TRUE(client);
        for (std::size_t log = 0; log < 3; ++log) {
            c.medium(log).set_prompt(false);
        }
        const auto done = publish_once(c, s, client->ticket, 7, "amq.topic", "k", 4, true);
        EXPECT_TRUE(done.pending);
        for (int step = 0; step < 60; ++step) {
            for (std::uint64_t seed = 1; seed < 5; ++seed) {
                auto after = how;
                after.shards = static_cast<std::uint16_t>(1 + (static_cast<std::uint64_t>(step) + seed) % 3);
                durable_cluster found(after, c.crash(seed * 100));
                found.finish_transactions();
                // Once more: what had been done is not done again.
                durable_cluster again(how, found.crash(seed));
                again.finish_transactions();
                client_session reader(again.at(0));
                const auto there = attach(again, reader, kept_client(name));
                ASSERT_TRUE(there);
                const bool marked = there->marks == marks{7};
                EXPECT_TRUE(marked || there->marks.empty());
                EXPECT_EQ(again.count_of(reader, near), marked ? 1U : 0U) << "step " << step << ", seed " << seed;
                EXPECT_EQ(again.count_of(reader, far), marked ? 1U : 0U) << "step " << step << ", seed " << seed;
                EXPECT_EQ(is_retained(again, reader, "k"), marked) << "step " << step << ", seed " << seed;
                EXPECT_TRUE(!s.settled.contains(4) || marked) << "accepted, and gone";
                ++(marked ? whole : none);
            }
            c.medium(static_cast<std::size_t>(step) % 3).finish(1);
            c.settle();
        }
        EXPECT_TRUE(s.settled[4]);
    }
    EXPECT_GT(whole, 0);
    EXPECT_GT(none, 0);
}

// What is published later, in whatever quality, is what is kept: at the end, and after a crash once it was confirmed.
TEST(Once, AnOlderPublishDoesNotReplaceANewerLastValue) {
    int kept_old = 0;
    int kept_new = 0;
    for (const std::uint16_t shards : {2, 3}) {
        for (const bool takes_away : {false, true}) {
            const durable_cluster::options how{.shards = shards, .logs = shards};
            durable_cluster c(how);
            const auto home = c.parts().homes().of_retained(c.vhost());
            const auto own = static_cast<std::uint16_t>((home + 1) % shards);  // a transaction's log
            client_session s(c.at(own));
            const auto client = attach(c, s, kept_client("x"));
            ASSERT_TRUE(client);
            c.medium(own).set_prompt(false);
            c.medium(home).set_prompt(false);
            const std::string newest = takes_away ? "" : "newer";
            EXPECT_TRUE(publish_once(c, s, client->ticket, 7, "amq.topic", "k", 1, true).pending);
            EXPECT_TRUE(retain_at_once(c, s, "k", newest, 2).pending);
            static_cast<void>(retain_at_once(c, s, "another", "not confirmed", 0));
            for (std::size_t step = 0; step < 40; ++step) {
                for (std::uint64_t seed = 1; seed < 5; ++seed) {
                    durable_cluster found(how, c.crash(seed * 100));
                    found.finish_transactions();
                    client_session reader(found.at(0));
                    const auto there = retained_text(found, reader, "k");
                    if (s.settled.contains(2)) {
                        EXPECT_EQ(there, newest) << "confirmed, and not kept; step " << step;
                    }
                    kept_old += there == "new" ? 1 : 0;
                    kept_new += there == "newer" ? 1 : 0;
                }
                c.medium(step % how.logs).finish(1);
                c.settle();
            }
            EXPECT_TRUE(s.settled[1]);
            EXPECT_TRUE(s.settled[2]);
            client_session reader(c.at(0));
            EXPECT_EQ(retained_text(c, reader, "k"), newest);
            EXPECT_EQ(retained_text(c, reader, "another"), "not confirmed");
        }
    }
    EXPECT_GT(kept_old, 0);
    EXPECT_GT(kept_new, 0);
}

// Nor does who asks for last values get the older one, while the newer waits behind it: those who were there have had
// the newer already, and it does not come again.
TEST(Once, WhoAsksForLastValuesGetsWhatWasPublishedBefore) {
    for (const std::uint16_t shards : {2, 3}) {
        durable_cluster c({.shards = shards, .logs = shards});
        const auto home = c.parts().homes().of_retained(c.vhost());
        const auto own = static_cast<std::uint16_t>((home + 1) % shards);
        client_session s(c.at(own));
        const auto client = attach(c, s, kept_client("x"));
        ASSERT_TRUE(client);
        c.medium(own).set_prompt(false);
        EXPECT_TRUE(publish_once(c, s, client->ticket, 7, "amq.topic", "k", 1, true).pending);
        EXPECT_FALSE(retain_at_once(c, s, "k", "newer", 0).pending);
        client_session reader(c.at(own));
        read_retained asked;
        asked.pattern = "k";
        EXPECT_FALSE(ask_later(c, reader, std::move(asked)));
        c.settle();
        c.medium(own).set_prompt(true);
        c.medium(own).finish_all();
        c.settle();
        ASSERT_EQ(reader.replies.size(), 1U);
        const auto& found = std::get<retained_messages>(*reader.replies.front().result).messages;
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(body_text(*found.front().message), "newer");
    }
}

// What it would be told of marks would not be the whole truth.
TEST(Once, NobodyGetsTheNameWhileAPublishIsUnderWay) {
    for (std::uint16_t home = 0; home < 2; ++home) {
        durable_cluster c({.shards = 2, .logs = 2});
        client_session s(c.at(0));
        client_session next(c.at(1));
        const auto queue = c.name_on(s, 1);
        const auto name = client_of(c, home);
        const auto client = attach(c, s, kept_client(name));
        ASSERT_TRUE(client);
        c.medium(0).set_prompt(false);
        publish_once(c, s, client->ticket, 7, "", queue, 4);
        detach(c, s, client->ticket, 60);
        s.leave();
        if (home == 1) {
            EXPECT_FALSE(ask_later(c, next, kept_client(name)));
            c.settle();
            EXPECT_TRUE(next.replies.empty());
            c.pass(0);
        } else {
            EXPECT_FALSE(ask_later(c, next, kept_client(name)));
            c.pass(0);
            c.pass(0);
        }
        ASSERT_TRUE(next.attached());
        EXPECT_EQ(next.attached()->marks, marks{7});
        EXPECT_EQ(c.count_of(next, queue), 1U);
    }
}

TEST(Once, ARefusedPublishLeavesNoMark) {
    for (std::uint16_t home = 0; home < 2; ++home) {
        for (std::size_t place = 0; place < 2; ++place) {
            durable_cluster c({.shards = 2, .logs = 2});
            client_session s(c.at(0));
            value_table full;
            full.emplace_back("x-max-length", make_int64(1));
            full.emplace_back("x-overflow", make_string("reject-publish"));
            const auto queue = c.name_on(s, place, "full", full);
            const auto name = client_of(c, home);
            const auto client = attach(c, s, kept_client(name));
            ASSERT_TRUE(client);
            publish_once(c, s, client->ticket, 1, "", queue, 1);
            c.settle();
            EXPECT_TRUE(s.settled.at(1));
            const auto done = publish_once(c, s, client->ticket, 2, "", queue, 2);
            c.settle();
            EXPECT_TRUE(done.pending ? !s.settled.at(2) : done.rejected);
            durable_cluster found({.shards = 2, .logs = 2}, c.crash(1));
            found.finish_transactions();
            client_session again(found.at(0));
            EXPECT_EQ(attach(found, again, kept_client(name))->marks, marks{1}) << home << place;
            EXPECT_EQ(found.count_of(again, queue), 1U);
            // Nor does it keep others out.
            detach(c, s, client->ticket, 60);
            client_session next(c.at(1));
            EXPECT_EQ(attach(c, next, kept_client(name))->marks, marks{1});
        }
    }
}

// A session that has ended keeps nothing, whoever has its name now.
TEST(Once, AMarkDoesNotReachTheNextOfItsName) {
    for (std::uint16_t home = 0; home < 2; ++home) {
        const durable_cluster::options how{.shards = 2, .logs = 2};
        durable_cluster c(how);
        client_session s(c.at(0));
        const auto queue = c.name_on(s, 1);
        const auto name = client_of(c, home);
        const auto client = attach(c, s, kept_client(name));
        ASSERT_TRUE(client);
        c.medium(0).set_prompt(false);
        publish_once(c, s, client->ticket, 7, "", queue, 4);
        detach(c, s, client->ticket, 0);
        client_session next(c.at(1));
        EXPECT_FALSE(ask_later(c, next, kept_client(name)));
        c.settle();
        for (int i = 0; i < 3; ++i) {
            c.pass(0);
        }
        ASSERT_TRUE(next.attached());
        EXPECT_TRUE(next.attached()->marks.empty());
        durable_cluster found(how, c.crash(1));
        found.finish_transactions();
        client_session again(found.at(0));
        EXPECT_TRUE(attach(found, again, kept_client(name))->marks.empty());
    }
}

TEST(Once, WithoutAStoreTheMarkIsThereAsWell) {
    cluster c(2);
    client_session s(c.at(0));
    const auto client = attach(c, s, "x");
    ASSERT_TRUE(client);
    for (const auto* queue : {"one", "two", "three", "four"}) {
        c.declare(s, queue);
    }
    std::uint64_t sequence = 0;
    for (const auto* queue : {"one", "two", "three", "four"}) {
        ++sequence;
        if (publish_once(c, s, client->ticket, static_cast<std::uint32_t>(sequence), "", queue, sequence).pending) {
            c.settle();
            EXPECT_TRUE(s.settled.at(sequence));
        }
    }
    detach(c, s, client->ticket, 60);
    client_session next(c.at(1));
    EXPECT_EQ(attach(c, next, "x")->marks, (marks{1, 2, 3, 4}));
}

// ---- Consumers -----------------------------------------------------------------------------------

TEST(Once, IsSeenWhenItIsDurable) {
    durable_cluster c({.shards = 2, .logs = 2});
    client_session s(c.at(0));
    const auto client = attach(c, s, kept_client("x"));
    ASSERT_TRUE(client);
    test_session far(c.at(1));
    const auto queue = c.name_on(s, 0);
    c.consume_from(far, queue);
    c.medium(0).set_prompt(false);
    publish_once(c, s, client->ticket, 1, "", queue, 1);
    c.publish(s, "", queue, "at once", 2);
    c.settle();
    ASSERT_EQ(far.got.size(), 1U);
    EXPECT_EQ(body_text(*far.got[0].msg), "at once");
    c.pass(0);
    ASSERT_EQ(far.got.size(), 2U);
    EXPECT_EQ(body_text(*far.got[1].msg), "new");
    EXPECT_EQ(far.got[1].pos, 1U);
    c.leave(far);
}

TEST(Once, WhatAConsumerHasItIsNotSentAgain) {
    for (const std::size_t place : {0U, 1U}) {
        const durable_cluster::options how{.shards = 2, .logs = 2};
        durable_cluster c(how);
        test_session s(c.at(0));
        const auto queue = c.name_on(s, place);
        for (const auto* body : {"a", "b", "c"}) {
            c.publish(s, "", queue, body);
        }
        c.consume_from(s, queue);
        c.settle();
        ASSERT_EQ(s.got.size(), 3U);
        EXPECT_FALSE(s.got[1].received);
        c.medium(place).set_prompt(false);
        auto& home = c.enter(0);
        home.note_received(s.got[1].queue, s.got[1].pos, s.handle(), tag, 1);
        home.note_received(s.got[1].queue, 99, s.handle(), tag, 2);
        c.settle();
        EXPECT_FALSE(s.settled.contains(1)) << "before it is durable";
        EXPECT_TRUE(s.settled.contains(2)) << "there is no such message";
        c.pass(place);
        EXPECT_TRUE(s.settled.contains(1));
        durable_cluster found(how, c.crash(1));
        test_session again(found.at(0));
        found.consume_from(again, queue);
        for (int i = 0; i < 3; ++i) {
            found.settle();
        }
        ASSERT_EQ(again.got.size(), 3U);
        EXPECT_FALSE(again.got[0].received);
        EXPECT_TRUE(again.got[1].received);
        EXPECT_FALSE(again.got[2].received);
        EXPECT_EQ(again.got[1].delivery_count, 0U);
        // And over the next requeue.
        found.leave(again);
        test_session third(found.at(1));
        found.consume_from(third, queue);
        found.settle();
        ASSERT_EQ(third.got.size(), 3U);
        EXPECT_TRUE(third.got[1].received);
        EXPECT_EQ(third.got[1].delivery_count, 1U);
        found.leave(third);
        c.leave(s);
    }
}

}  // namespace
}  // namespace linnet::core
