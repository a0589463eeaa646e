// Delays, retries, deduplication and groups over logs: what a crash leaves of them.
#include "tests/core/durable_cluster.hpp"
#include "tests/core/feature_fixture.hpp"

#include <string>
#include <vector>

namespace linnet::core {
namespace {

const text_reader reader;

[[nodiscard]] durable_cluster::options with_reader() {
    durable_cluster::options o;
    o.reader = &reader;
    return o;
}

// What has come to that queue by now, in order, taken out and acknowledged by nobody.
[[nodiscard]] texts content_of(durable_cluster& c, const std::string& queue) {
    test_session s(c.at(0));
    texts all;
    while (auto d = c.get_from(s, queue)) {
        all.push_back(body_text(*d->msg));
        s.got.push_back(std::move(*d));
    }
    c.leave(s);
    return all;
}

void make_exchange(durable_cluster& c, test_session& s, std::string name, std::string type,
                   value_table arguments = {}) {
    declare_exchange x;
    x.name = std::move(name);
    x.type = std::move(type);
    x.durable = true;
    x.arguments = std::move(arguments);
    const auto r = c.ask(s, std::move(x));
    ASSERT_TRUE(r.result) << r.result.error().text;
}
void make_delayed(durable_cluster& c, test_session& s, std::string name) {
    make_exchange(c, s, std::move(name), "x-delayed-message", {{"x-delayed-type", make_string("fanout")}});
}
void wait(durable_cluster& c, mono_ns by) {
    c.clock.advance(by);
    c.settle();
    c.clock.advance(5 * ns_per_ms);
    c.settle();
}

TEST(DurableDelay, ConfirmsOnceTheRecordIsDurable) {
    durable_cluster c(with_reader());
    test_session s(c.at(0));
    c.declare(s, "q");
    make_delayed(c, s, "later");
    c.bind_to(s, "later", "q");
    c.medium(0).set_prompt(false);
    const auto out = c.publish(s, "later", "", "a", 1, true, "x-delay=1000");
    EXPECT_TRUE(out.pending);
    EXPECT_EQ(out.routed, 1U);
    c.settle();
    EXPECT_TRUE(s.settled.empty());
    c.pass(0);
    EXPECT_EQ(s.settled, (std::map<std::uint64_t, bool>{{1, true}}));
    EXPECT_FALSE(c.publish(s, "later", "", "b", 2, false, "x-delay=1000").pending) << "transient: nothing to wait for";
}

TEST(DurableDelay, SurvivesACrashAndComesWhenItIsDue) {
    disk_images left;
    {
        durable_cluster c(with_reader());
        test_session s(c.at(0));
        c.declare(s, "q");
        make_delayed(c, s, "later");
        c.bind_to(s, "later", "q");
        c.publish(s, "later", "", "second", 1, true, "x-delay=60000");
        c.publish(s, "later", "", "first", 2, true, "x-delay=30000");
        c.publish(s, "later", "", "lost", 3, false, "x-delay=30000");
        c.publish(s, "later", "", "over", 4, true, "x-delay=50");
        wait(c, 60 * ns_per_ms);
        EXPECT_EQ(s.settled.size(), 3U);
        EXPECT_EQ(c.count_of(s, "q"), 1U);
        const auto taken = c.get_from(s, "q", true);
        ASSERT_TRUE(taken);
        c.settle();
        left = c.crash(1);
    }
    durable_cluster c(with_reader(), std::move(left));
    test_session s(c.at(0));
    EXPECT_EQ(c.count_of(s, "q"), 0U);
    wait(c, 29 * ns_per_s);
    EXPECT_EQ(c.count_of(s, "q"), 0U) << "not early";
    wait(c, ns_per_s + ns_per_ms);
    EXPECT_EQ(c.count_of(s, "q"), 1U);
    wait(c, 30 * ns_per_s);
    EXPECT_EQ(content_of(c, "q"), (texts{"first", "second"}));
}

// More are about to be due than are read ahead, and then comes one that is due before them all.
TEST(DurableDelay, AShortOneIsNotHeldUpByThousandsBehindIt) {
    durable_cluster c(with_reader());
    test_session s(c.at(0));
    c.declare(s, "q");
    make_delayed(c, s, "later");
    c.bind_to(s, "later", "q");
    for (int i = 0; i < 5000; ++i) {
        c.publish(s, "later", "", "long", 0, true, "x-delay=2000");
    }
    c.settle();
    wait(c, 1600 * ns_per_ms);
    c.publish(s, "later", "", "short", 0, true, "x-delay=100");
    c.settle();
    wait(c, 150 * ns_per_ms);
    EXPECT_EQ(c.count_of(s, "q"), 1U);
    wait(c, 250 * ns_per_ms);
    EXPECT_EQ(c.count_of(s, "q"), 5001U);
    EXPECT_EQ(body_text(*c.get_from(s, "q", true)->msg), "short");
    c.leave(s);
}

TEST(DurableDelay, IsNotPublishedTwiceAfterACleanEnd) {
    disk_images left;
    {
        durable_cluster c(with_reader());
        test_session s(c.at(0));
        c.declare(s, "q");
        make_delayed(c, s, "later");
        c.bind_to(s, "later", "q");
        for (int i = 0; i < 50; ++i) {
            c.publish(s, "later", "", std::to_string(i), 0, true, "x-delay=" + std::to_string(1 + i * 100));
        }
        wait(c, 2500 * ns_per_ms);
        c.leave(s);
        left = c.stop();
    }
    durable_cluster c(with_reader(), std::move(left));
    wait(c, 10 * ns_per_s);
    const auto all = content_of(c, "q");
    ASSERT_EQ(all.size(), 50U);
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(all[static_cast<std::size_t>(i)], std::to_string(i));
    }
}

TEST(DurableDelay, IsThereOnceWhereverACrashStopsItWithinOneLog) {
    durable_cluster c(with_reader());
    test_session s(c.at(0));
    c.declare(s, "q");
    make_delayed(c, s, "later");
    c.bind_to(s, "later", "q");
    for (int i = 0; i < 20; ++i) {
        c.publish(s, "later", "", std::to_string(i), 0, true, "x-delay=400");
    }
    c.settle();
    c.medium(0).set_prompt(false);
    wait(c, 400 * ns_per_ms);
    ASSERT_EQ(c.count_of(s, "q"), 20U);
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        if (seed == 20) {
            c.pass(0);
        }
        auto o = with_reader();
        o.began_after = 410 * ns_per_ms;
        durable_cluster found(o, c.crash(seed));
        wait(found, ns_per_ms);
        EXPECT_EQ(found.count_of(s, "q"), 20U) << "seed " << seed;
    }
}

// Across logs a crash may double it; whoever gets the second can tell.
TEST(DurableDelay, IsMarkedRedeliveredWhereACrashMayHaveDoubledIt) {
    auto o = with_reader();
    o.shards = 2;
    o.logs = 2;
    durable_cluster c(o);
    test_session s(c.at(0));
    const auto queue = c.name_on(s, 1);
    make_delayed(c, s, "later");
    c.bind_to(s, "later", queue);
    c.publish(s, "later", "", "soon", 0, true, "x-delay=400");
    c.publish(s, "later", "", "much later", 0, true, "x-delay=60000");
    c.settle();
    c.medium(0).set_prompt(false);
    wait(c, 400 * ns_per_ms);
    ASSERT_EQ(c.count_of(s, queue), 1U);
    std::size_t most = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        o.began_after = 410 * ns_per_ms;
        durable_cluster found(o, c.crash(seed));
        test_session after(found.at(0));
        wait(found, ns_per_ms);
        std::size_t copies = 0;
        for (; auto d = found.get_from(after, queue, true); ++copies) {
            EXPECT_TRUE(d->redelivered) << "copy " << copies;
        }
        EXPECT_GE(copies, 1U);
        most = std::max(most, copies);
        wait(found, 60 * ns_per_s);
        const auto d = found.get_from(after, queue, true);
        ASSERT_TRUE(d);
        EXPECT_FALSE(d->redelivered) << "it was not due yet";
    }
    EXPECT_EQ(most, 2U) << "the settlement was lost in some of them";
}

TEST(DurableDelay, IsMarkedRedeliveredAfterACrashAndACleanStopToo) {
    auto o = with_reader();
    disk_images left;
    {
        durable_cluster c(o);
        test_session s(c.at(0));
        c.declare(s, "q");
        make_delayed(c, s, "later");
        c.bind_to(s, "later", "q");
        c.publish(s, "later", "", "a", 0, true, "x-delay=1000");
        c.settle();
        left = c.crash(1);
    }
    o.began_after = 2 * ns_per_s;
    {
        durable_cluster c(o, std::move(left));
        left = c.stop();  // before time has moved: nothing has been published
    }
    durable_cluster c(o, std::move(left));
    test_session s(c.at(0));
    EXPECT_EQ(c.count_of(s, "q"), 0U);
    wait(c, ns_per_ms);
    const auto d = c.get_from(s, "q");
    ASSERT_TRUE(d);
    EXPECT_TRUE(d->redelivered);
    c.leave(s);
}

TEST(DurableDelay, HoldsBehindBindingsAlternatesAndDeadLetters) {
    durable_cluster c(with_reader());
    test_session s(c.at(0));
    c.declare(s, "slow");
    c.declare(s, "fast");
    make_delayed(c, s, "later");
    c.bind_to(s, "later", "slow");
    make_exchange(c, s, "front", "fanout");
    c.bind_to(s, "front", "fast");
    bind b;
    b.source = "front";
    b.destination = "later";
    b.kind = bind_destination::exchange;
    ASSERT_TRUE(c.ask(s, std::move(b)).result);
    c.publish(s, "front", "", "bound", 1, true, "x-delay=100");
    c.settle();
    EXPECT_EQ(s.settled.at(1), true);
    EXPECT_EQ(content_of(c, "fast"), texts{"bound"});
    EXPECT_EQ(c.count_of(s, "slow"), 0U);

    make_exchange(c, s, "loose", "direct", {{"alternate-exchange", make_string("later")}});
    c.publish(s, "loose", "nowhere", "alternate", 2, true, "x-delay=200");
    c.declare(s, "dying", {{"x-message-ttl", make_int64(10)}, {"x-dead-letter-exchange", make_string("later")}});
    c.publish(s, "", "dying", "dead", 3, true, "x-delay=300");
    wait(c, 20 * ns_per_ms);
    EXPECT_EQ(c.count_of(s, "slow"), 0U);
    EXPECT_EQ(c.count_of(s, "dying"), 0U);
    wait(c, 90 * ns_per_ms);
    EXPECT_EQ(c.count_of(s, "slow"), 1U);
    wait(c, 100 * ns_per_ms);
    EXPECT_EQ(c.count_of(s, "slow"), 2U);
    wait(c, 120 * ns_per_ms);
    EXPECT_EQ(content_of(c, "slow"), (texts{"bound", "alternate", "dead"}));
    c.publish(s, "later", "", "at once", 4, true, "x-delay=-5");
    c.publish(s, "later", "", "at once, too", 5, true, "x-delay=4294967296");
    c.settle();
    EXPECT_EQ(c.count_of(s, "slow"), 5U);
}

TEST(DurableDedup, CatchesADuplicateAfterACrashThoughTheFirstIsLongConsumed) {
    disk_images left;
    {
        durable_cluster c(with_reader());
        test_session s(c.at(0));
        c.declare(s, "q", {{"x-deduplication-window", make_int64(600'000)}});
        c.declare(s, "other");
        c.publish(s, "", "q", "a", 1, true, "id=1");
        c.publish(s, "", "q", "a again", 2, true, "id=1");
        c.settle();
        EXPECT_EQ(s.settled, (std::map<std::uint64_t, bool>{{1, true}, {2, true}}));
        ASSERT_TRUE(c.get_from(s, "q", true));
        EXPECT_EQ(c.count_of(s, "q"), 0U);
        // Several segments later what held the record is gone.
        const std::string filler(4000, 'x');
        for (int i = 0; i < 200; ++i) {
            c.publish(s, "", "other", filler, 0);
            static_cast<void>(c.get_from(s, "other", true));
            c.settle();
        }
        left = c.crash(3);
    }
    durable_cluster c(with_reader(), std::move(left));
    test_session s(c.at(0));
    c.publish(s, "", "q", "a after all", 1, true, "id=1");
    c.publish(s, "", "q", "b", 2, true, "id=2");
    c.settle();
    EXPECT_EQ(s.settled.size(), 2U);
    EXPECT_EQ(content_of(c, "q"), texts{"b"});
}

TEST(DurableRetry, CountsAttemptsAcrossACrashAndWaitsAnew) {
    const value_table arguments{{"x-retry-base", make_int64(1000)},
                                {"x-retry-limit", make_int64(2)},
                                {"x-dead-letter-exchange", make_string("")},
                                {"x-dead-letter-routing-key", make_string("grave")}};
    disk_images left;
    {
        durable_cluster c(with_reader());
        test_session s(c.at(0));
        c.declare(s, "grave");
        c.declare(s, "q", arguments);
        c.publish(s, "", "q", "a", 1);
        c.consume_from(s, "q");
        c.settle();
        ASSERT_EQ(s.got.size(), 1U);
        c.enter(0).settle(s.got, settlement::requeued);
        s.got.clear();
        c.settle();
        EXPECT_TRUE(s.got.empty());
        left = c.crash(5);
    }
    durable_cluster c(with_reader(), std::move(left));
    test_session s(c.at(0));
    c.consume_from(s, "q");
    c.settle();
    EXPECT_TRUE(s.got.empty()) << "it waits";
    wait(c, 1001 * ns_per_ms);
    ASSERT_EQ(s.got.size(), 1U);
    EXPECT_EQ(s.got[0].delivery_count, 1U);
    c.enter(0).settle(s.got, settlement::requeued);
    s.got.clear();
    c.settle();
    EXPECT_EQ(content_of(c, "grave"), texts{"a"});
}

TEST(DurableGroups, KeepTheOrderOfAKeyWhoseFirstWaitsForARetryAcrossARestart) {
    disk_images left;
    {
        durable_cluster c(with_reader());
        test_session s(c.at(0));
        c.declare(s, "g", {{"x-group-by", make_string("k")}, {"x-retry-base", make_int64(1000)}});
        for (int i = 0; i < 3; ++i) {
            c.publish(s, "", "g", std::to_string(i), 0, true, "k=a");
        }
        c.consume_from(s, "g", 1);
        c.settle();
        ASSERT_EQ(s.got.size(), 1U);
        c.enter(0).settle(s.got, settlement::requeued);
        s.got.clear();
        c.settle();
        c.leave(s);
        left = c.stop();
    }
    durable_cluster c(with_reader(), std::move(left));
    test_session s(c.at(0));
    c.consume_from(s, "g", 3);
    c.settle();
    EXPECT_TRUE(s.got.empty()) << "the first waits, and the others behind it";
    wait(c, 1001 * ns_per_ms);
    texts order;
    for (const auto& d : s.got) {
        order.push_back(body_text(*d.msg));
    }
    EXPECT_EQ(order, (texts{"0", "1", "2"}));
    c.leave(s);
}

TEST(DurableGroups, KeepTheOrderOfKeysAcrossACrashAndShards) {
    disk_images left;
    auto o = with_reader();
    o.shards = 2;
    o.logs = 2;
    std::string queue;
    {
        durable_cluster c(o);
        test_session s(c.at(0));
        queue = c.name_on(s, 1, "g", {{"x-group-by", make_string("k")}});
        for (int i = 0; i < 40; ++i) {
            c.publish(s, "", queue, std::to_string(i), 0, true, "k=" + std::to_string(i % 4));
        }
        c.settle();
        left = c.crash(7);
    }
    durable_cluster c(o, std::move(left));
    test_session near(c.at(1));
    test_session far(c.at(0));
    c.consume_from(near, queue, 3);
    c.consume_from(far, queue, 3);
    std::map<int, int> last;  // by key
    std::size_t seen = 0;
    for (int round = 0; round < 60 && seen < 40; ++round) {
        c.settle();
        for (auto* s : {&near, &far}) {
            for (auto& d : s->got) {
                const int number = std::stoi(body_text(*d.msg));
                const auto known = last.find(number % 4);
                EXPECT_TRUE(known == last.end() ? number < 4 : number == known->second + 4) << number;
                last[number % 4] = number;
                ++seen;
            }
        }
        for (auto* s : {&near, &far}) {
            for (auto& d : s->got) {
                const position pos = d.pos;
                ASSERT_TRUE(d.stored);
                c.enter(s->home().id().value).settle_stored(d.queue, d.consumer, {&pos, 1}, d.msg->body_bytes());
            }
            s->got.clear();
        }
    }
    EXPECT_EQ(seen, 40U);
    c.settle();
    EXPECT_EQ(c.count_of(near, queue), 0U);
    c.leave(near);
    c.leave(far);
}

}  // namespace
}  // namespace linnet::core
