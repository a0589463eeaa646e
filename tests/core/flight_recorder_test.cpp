#include "broker/core/flight_recorder.hpp"

#include "broker/core/record_codec.hpp"
#include "tests/core/cluster.hpp"
#include "tests/core/feature_fixture.hpp"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

namespace linnet::core {
namespace {

[[nodiscard]] flight_event event(std::uint64_t id, flight_step what, std::uint64_t at_us) {
    flight_event e{};
    e.id = id;
    e.at_us = at_us;
    e.step = static_cast<std::uint64_t>(what);
    return e;
}

[[nodiscard]] std::vector<std::uint64_t> times_of(const flight_recorder& r, std::uint64_t id) {
    std::vector<std::uint64_t> all;
    EXPECT_EQ(r.read(0, ~std::uint64_t{0}, id, [&](const flight_event& e, auto&&) { all.push_back(e.at_us); }),
              r.end());
    return all;
}

// ---- The ring ------------------------------------------------------------------------------------

TEST(FlightRecorder, TakesMemoryWithTheFirstEvent) {
    flight_recorder r(1000);
    EXPECT_EQ(r.bytes(), 0U);
    EXPECT_EQ(r.since_us(), 0U);
    r.write(event(1, flight_step::queued, 7));
    EXPECT_EQ(r.bytes(), 32'000U);
    EXPECT_EQ(r.since_us(), 7U);
    EXPECT_FALSE(flight_recorder(0).on());
    EXPECT_EQ(flight_recorder(0).bytes(), 0U);
}

TEST(FlightRecorder, ForgetsTheOldest) {
    flight_recorder r(64);
    for (std::uint64_t n = 0; n < 64; ++n) {
        r.write(event(n % 2, flight_step::queued, n));
    }
    EXPECT_FALSE(r.wrapped());
    EXPECT_EQ(times_of(r, 1).size(), 32U);
    r.write(event(1, flight_step::delivered, 64));
    r.write(event(1, flight_step::delivered, 65));
    EXPECT_TRUE(r.wrapped());
    EXPECT_EQ(r.since_us(), 2U);
    const auto left = times_of(r, 1);
    ASSERT_EQ(left.size(), 33U);
    EXPECT_EQ(left.front(), 3U) << "the one at 1 has been written over";
    EXPECT_EQ(left.back(), 65U);
}

TEST(FlightRecorder, IsReadInPiecesWhileItIsWritten) {
    flight_recorder r(64);
    for (std::uint64_t n = 0; n < 64; ++n) {
        r.write(event(1, flight_step::queued, n));
    }
    std::vector<std::uint64_t> seen;
    const auto note = [&](const flight_event& e, auto&&) { seen.push_back(e.at_us); };
    const auto next = r.read(r.first(), 10, 1, note);
    EXPECT_EQ(seen.size(), 10U);
    for (std::uint64_t n = 64; n < 84; ++n) {
        r.write(event(1, flight_step::queued, n));
    }
    EXPECT_EQ(r.read(next, 1000, 1, note), r.end());
    EXPECT_EQ(seen.size(), 74U);
    EXPECT_EQ(seen[10], 20U) << "what was written over meanwhile is passed over";
}

TEST(FlightRecorder, KeepsTheWordsOfAPublication) {
    flight_recorder r(64);
    const std::string key(200, 'k');
    for (int round = 0; round < 40; ++round) {
        r.write(event(1, flight_step::published, 1), "orders", "eu.new");
        r.write(event(1, flight_step::dropped, 2), "", "");
        r.write(event(1, flight_step::returned, 3), "a-name", key);
        std::vector<std::tuple<std::string, std::string, bool>> said;
        static_cast<void>(r.read(r.end() - 8, 8, 1, [&](const flight_event& e, flight_recorder::words w) {
            said.emplace_back(w.exchange, w.key, e.publication.cut != 0);
        }));
        using said_one = std::tuple<std::string, std::string, bool>;
        ASSERT_EQ(said, (std::vector<said_one>{{"orders", "eu.new", false},
                                               {"", "", false},
                                               {"a-name", key.substr(0, flight_recorder::text_bytes_max - 6), true}}))
            << round;
    }
}

TEST(FlightRecorder, TellsVhostsApart) { EXPECT_NE(flight_id({1}, "m"), flight_id({2}, "m")); }

// A record of a message without an id is what it was before there were ids.
TEST(FlightRecorder, ARecordKeepsThatThereIsAnId) {
    message_pool pool{shard_id{0}};
    message_pool::enter(&pool);
    for (const bool identified : {false, true}) {
        message_traits t;
        t.properties_of = protocol_tag::http;
        t.identified = identified;
        const auto m = make_message(pool, "x", "k", {}, {}, t);
        record_bytes bytes;
        encode_places(bytes, {});
        append_head(bytes, *m, 1, 0);
        const auto content = content_of(*m);
        bytes.insert(bytes.end(), content.begin(), content.end());
        message_record read;
        ASSERT_TRUE(decode(bytes, read));
        EXPECT_EQ(read.traits.identified, identified);
        EXPECT_EQ(read.traits.properties_of, protocol_tag::http);
        EXPECT_EQ(bytes[4], identified ? 64 + 5 : 5);
        bytes[4] = 63;
        EXPECT_FALSE(decode(bytes, read));
    }
    message_pool::enter(nullptr);
}

// ---- Shards --------------------------------------------------------------------------------------

const text_reader reader;

[[nodiscard]] broker_options recording(std::size_t events) {
    broker_options o;
    o.shards = 2;
    o.recorder_events = events;
    o.readers[static_cast<std::size_t>(protocol_tag::amqp091)] = &reader;
    return o;
}

[[nodiscard]] std::string_view name_of(flight_step s) {
    switch (s) {
        case flight_step::text: return "text";
        case flight_step::published: return "published";
        case flight_step::dead_lettered: return "dead-lettered";
        case flight_step::returned: return "returned";
        case flight_step::dropped: return "dropped";
        case flight_step::passed_on: return "passed on";
        case flight_step::queued: return "queued";
        case flight_step::appended: return "appended";
        case flight_step::refused: return "refused";
        case flight_step::duplicate: return "duplicate";
        case flight_step::delivered: return "delivered";
        case flight_step::redelivered: return "redelivered";
        case flight_step::sent: return "sent";
        case flight_step::acknowledged: return "acknowledged";
        case flight_step::requeued: return "requeued";
        case flight_step::rejected: return "rejected";
        case flight_step::expired: return "expired";
        case flight_step::overflowed: return "overflowed";
        case flight_step::exhausted: return "exhausted";
    }
    return "";
}

class Flight : public testing::Test {
protected:
    struct step {
        std::size_t on;  // that shard
        flight_event what;
        flight_recorder::words words;
    };

    void send(test_session& s, std::string_view exchange, std::string_view key, std::string_view id, mono_ns ttl) {
        auto& home = c.enter(s.home().id().value);
        const auto* v = home.topology().find_vhost(c.vhost());
        route_memo memo;
        const auto r = home.find_route(*v, exchange, key, nullptr, {}, memo);
        message_traits t;
        t.properties_of = protocol_tag::amqp091;
        t.identified = !id.empty();
        t.time_to_live = ttl;
        const auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(id.data()), id.size());
        static_cast<void>(
            home.publish(make_message(home.pool(), exchange, key, bytes, {}, t), *v, r, s.handle(), 1, 0));
    }
    void publish(test_session& s, std::string_view exchange, std::string_view key, std::string_view id = "id=m",
                 mono_ns ttl = -1) {
        send(s, exchange, key, id, ttl);
        c.settle();
    }
    void accept(test_session& s) {
        auto& home = c.enter(s.home().id().value);
        for (const auto& d : s.got) {
            home.note_accepted(c.vhost(), d);
        }
        home.settle(s.got, settlement::accepted);
        s.got.clear();
        c.settle();
    }
    void give_back(test_session& s, settlement how) {
        c.enter(s.home().id().value).settle(s.got, how);
        s.got.clear();
        c.settle();
    }
    [[nodiscard]] std::vector<step> steps(std::string_view id = "m") {
        std::vector<step> all;
        for (std::size_t i = 0; i < 2; ++i) {
            static_cast<void>(c.at(i).recorder().read(0, 100'000, flight_id(c.vhost(), id),
                                                      [&](const flight_event& e, flight_recorder::words w) {
                                                          all.push_back({i, e, std::move(w)});
                                                      }));
        }
        return all;
    }
    // Of shard i.
    [[nodiscard]] texts names(std::size_t i, std::string_view id = "m") {
        texts all;
        for (const auto& s : steps(id)) {
            if (s.on == i) {
                all.emplace_back(name_of(s.what.what()));
            }
        }
        return all;
    }
    [[nodiscard]] whereabouts find(const queue_handle& q, position pos) {
        return c.enter(q.shard.value).look_at(q)->find_message(pos);
    }

    cluster c{recording(256)};
    test_session publisher{c.at(0)};
    test_session consumer{c.at(1)};
    std::string far = c.name_on(publisher, 1);
    std::string near = c.name_on(publisher, 0);
};

TEST_F(Flight, FollowsAMessageOverShards) {
    const auto info = c.consume_from(consumer, near);
    publish(publisher, "", near);
    EXPECT_EQ(names(0), (texts{"published", "delivered"}));
    const auto all = steps();
    EXPECT_EQ(all[0].words.exchange, "");
    EXPECT_EQ(all[0].words.key, near);
    EXPECT_EQ(all[0].what.publication.routed, 1U);
    EXPECT_EQ(all[0].what.session_at(), publisher.handle());
    EXPECT_EQ(all[1].what.queue_at(), info.queue);
    EXPECT_EQ(all[1].what.queue.pos, 1U);
    EXPECT_EQ(all[1].what.queue.consumer, flight_consumer(info.consumer));
    EXPECT_EQ(c.at(0).look_at(info.queue)->consumers().at(0).id, info.consumer);
    accept(consumer);
    EXPECT_EQ(names(1), (texts{"acknowledged"})) << "where the session is";
    EXPECT_EQ(steps().back().what.queue_at(), info.queue);
    EXPECT_EQ(steps().back().what.queue.pos, 1U);
}

TEST_F(Flight, WaitsAndComesBack) {
    const auto q = c.declare(publisher, far).handle;
    publish(publisher, "", far);
    EXPECT_EQ(names(1), (texts{"queued"}));
    EXPECT_EQ(find(q, 1), whereabouts::ready);
    EXPECT_EQ(find(q, 2), whereabouts::nowhere);
    const auto info = c.consume_from(consumer, far);
    c.settle();
    EXPECT_EQ(find(q, 1), whereabouts::nowhere) << "it is lent, and nothing has it in writing";
    c.enter(1).forget_consumer(info.queue, info.consumer, consumer);
    give_back(consumer, settlement::requeued);
    EXPECT_EQ(names(1), (texts{"queued", "delivered", "requeued"}));
    EXPECT_EQ(find(q, 1), whereabouts::ready);
    c.consume_from(consumer, far, 0, true);
    c.settle();
    EXPECT_EQ(names(1), (texts{"queued", "delivered", "requeued", "sent"}));
    EXPECT_EQ(names(0), (texts{"published"}));
}

TEST_F(Flight, NothingArrivesBeforeItWasSent) {
    // The other shard's turn begins before the publish and ends behind it.
    c.enter(1);
    c.clock.advance(ns_per_ms);
    send(publisher, "", far, "id=m", -1);
    static_cast<void>(c.at(0).end_turn());
    message_pool::enter(&c.at(1).pool());
    static_cast<void>(c.at(1).end_turn());
    const auto all = steps();
    ASSERT_EQ(all.size(), 2U);
    const auto now_us = static_cast<std::uint64_t>(c.clock.wall_now() / ns_per_us);
    EXPECT_EQ(all[0].what.at_us, now_us);
    EXPECT_EQ(all[1].what.at_us, now_us);
    // A clock that is set back holds for the next turn.
    c.clock.jump_wall(-ns_per_s);
    publish(publisher, "", far);
    EXPECT_LT(steps().back().what.at_us, now_us);
}

TEST_F(Flight, DiesAndIsPublishedAgain) {
    const value_table to_near{{"x-dead-letter-exchange", make_string("")},
                              {"x-dead-letter-routing-key", make_string(near)}};
    c.declare(publisher, "dying", false, to_near);
    const auto dying = c.declare(publisher, "dying", false, to_near).handle;
    const std::size_t on = dying.shard.value;
    publish(publisher, "", "dying", "id=m", ns_per_ms);
    c.clock.advance(ns_per_s);
    c.settle();
    texts there = names(on);
    if (on == 0) {
        EXPECT_EQ(there, (texts{"published", "queued", "expired", "dead-lettered", "queued"}));
    } else {
        EXPECT_EQ(there, (texts{"queued", "expired", "dead-lettered"}));
        EXPECT_EQ(names(0), (texts{"published", "queued"}));
    }
    c.consume_from(consumer, "dying");
    publish(publisher, "", "dying", "id=n");
    give_back(consumer, settlement::rejected);
    there = names(on, "n");
    const auto rejected = std::ranges::find(there, "rejected");
    ASSERT_NE(rejected, there.end());
    ASSERT_NE(rejected + 1, there.end());
    EXPECT_EQ(rejected[1], "dead-lettered");
}

TEST_F(Flight, DiesForGood) {
    const auto q = c.declare(publisher, "short", false, {{"x-max-length", make_int64(1)}}).handle;
    publish(publisher, "", "short", "id=a");
    publish(publisher, "", "short", "id=b");
    const auto end_of = [&](std::string_view id) { return names(q.shard.value, id).back(); };
    EXPECT_EQ(end_of("a"), "overflowed");
    EXPECT_EQ(end_of("b"), "queued");
    const auto full = c.declare(publisher, "full", false,
                                {{"x-max-length", make_int64(0)}, {"x-overflow", make_string("reject-publish")}})
                          .handle;
    publish(publisher, "", "full", "id=c");
    EXPECT_EQ(names(full.shard.value, "c").back(), "refused");
    const auto lost = c.declare(publisher, "lost", false, {{"x-dead-letter-exchange", make_string("nowhere")}}).handle;
    publish(publisher, "", "lost", "id=d", 0);
    const auto there = names(lost.shard.value, "d");
    ASSERT_GE(there.size(), 2U);
    EXPECT_EQ(there[there.size() - 2], "expired");
    EXPECT_EQ(there.back(), "dropped");
    EXPECT_EQ(steps("d").back().words.exchange, "nowhere");
    publish(publisher, "amq.direct", "k", "id=e");
    EXPECT_EQ(names(0, "e"), texts{}) << "that is the publisher's to tell";
    c.ask(publisher, purge_queue{"short"});
    EXPECT_EQ(find(q, 2), whereabouts::nowhere) << "what is purged goes without a word";
}

TEST_F(Flight, OfMessagesWithoutAnIdNothingIsWritten) {
    c.consume_from(consumer, near);
    publish(publisher, "", near, "");
    publish(publisher, "", far, "");
    publish(publisher, "", "nowhere", "");
    EXPECT_EQ(c.at(0).recorder().bytes(), 0U);
    EXPECT_EQ(c.at(1).recorder().bytes(), 0U);
    publish(publisher, "", far);
    EXPECT_EQ(c.at(0).recorder().bytes(), 256U * 32);
}

TEST_F(Flight, CountsForTheBudget) {
    const auto before = c.parts().bytes_of(memory_use::indexes);
    publish(publisher, "", near);
    c.clock.advance(ns_per_s);
    c.settle();
    EXPECT_EQ(c.parts().bytes_of(memory_use::indexes), before + 256U * 32);
}

TEST(FlightSwitchedOff, WritesNothing) {
    cluster c{recording(0)};
    test_session s{c.at(0)};
    c.declare(s, "q");
    auto& home = c.enter(0);
    const auto* v = home.topology().find_vhost(c.vhost());
    route_memo memo;
    const auto r = home.find_route(*v, "", "q", nullptr, {}, memo);
    message_traits t;
    t.properties_of = protocol_tag::amqp091;
    t.identified = true;
    static_cast<void>(home.publish(make_message(home.pool(), "", "q", {}, {}, t), *v, r, s.handle(), 1, 0));
    c.settle();
    EXPECT_EQ(c.declare(s, "q").message_count, 1U);
    EXPECT_EQ(c.at(0).recorder().end() + c.at(1).recorder().end(), 0U);
}

}  // namespace
}  // namespace linnet::core
