#include "broker/core/property_reader.hpp"
#include "tests/core/topology_fixture.hpp"

#include <cmath>
#include <map>
#include <set>

namespace linnet::core {
namespace {

class Routing : public topology_fixture {};

// Properties for exchanges that look at them; the block itself is not looked at.
struct fake_reader final : property_reader {
    value_table table;
    std::string id;

    [[nodiscard]] value_table headers(block) const override { return table; }
    [[nodiscard]] std::optional<value> header(block, std::string_view name) const override {
        const value* v = find(table, name);
        return v == nullptr ? std::nullopt : std::optional(*v);
    }
    [[nodiscard]] std::optional<death_log> deaths(block) const override { return std::nullopt; }
    [[nodiscard]] std::string expiration(block) const override { return {}; }
    [[nodiscard]] std::vector<std::string> carbon_copies(block) const override { return {}; }
    [[nodiscard]] std::string message_id(block) const override { return id; }
};

TEST_F(Routing, EveryVhostHasItsStandardExchanges) {
    for (const auto name :
         {"", "amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match", "amq.rabbitmq.trace"}) {
        const auto* x = topology_view::find_exchange(node(), name);
        ASSERT_NE(x, nullptr) << name;
        EXPECT_TRUE(topology_view::spec_of(*x).durable) << name;
        EXPECT_EQ(topology_view::spec_of(*x).internal, std::string_view(name) == "amq.rabbitmq.trace") << name;
    }
}

TEST_F(Routing, TheDefaultExchangeLeadsToTheQueueOfThatName) {
    queue("q");
    EXPECT_EQ(route("", "q"), names_of_queues{"q"});
    EXPECT_EQ(route("", "other"), names_of_queues{});
    EXPECT_TRUE(notes.cacheable);
}

TEST_F(Routing, DirectComparesWholeKeys) {
    queue("a");
    queue("b");
    bind("amq.direct", "a", "k");
    bind("amq.direct", "b", "k");
    bind("amq.direct", "b", "#");
    EXPECT_EQ(route("amq.direct", "k"), (names_of_queues{"a", "b"}));
    EXPECT_EQ(route("amq.direct", "#"), names_of_queues{"b"});
    unbind("amq.direct", "b", "k");
    EXPECT_EQ(route("amq.direct", "k"), names_of_queues{"a"});
}

TEST_F(Routing, FanoutIgnoresTheKeyAndDeliversOnce) {
    queue("a");
    bind("amq.fanout", "a", "x");
    bind("amq.fanout", "a", "y");
    EXPECT_EQ(route("amq.fanout", "whatever"), names_of_queues{"a"});
}

TEST_F(Routing, AQueueBoundByManyTopicsReceivesOnce) {
    queue("a");
    for (const auto key : {"a.#", "#.b", "*.*", "a.b", "#", "a.*.#"}) {
        bind("amq.topic", "a", key);
    }
    EXPECT_EQ(route("amq.topic", "a.b"), names_of_queues{"a"});
}

TEST_F(Routing, ManyTargetsComeOnceEach) {
    names_of_queues expected;
    for (int i = 0; i < 100; ++i) {
        const std::string name = "q" + std::to_string(i);
        queue(name);
        bind("amq.topic", name, "a.#");
        bind("amq.topic", name, "#.b");
        expected.push_back(name);
    }
    std::ranges::sort(expected);
    EXPECT_EQ(route("amq.topic", "a.b"), expected);
}

TEST_F(Routing, ALeadingMqttWildcardHidesDollarTopics) {
    queue("mqtt");
    queue("amqp");
    queue("mine");
    bind("amq.topic", "mqtt", "#", {}, pattern_syntax::mqtt);
    bind("amq.topic", "mqtt", "*.x", {}, pattern_syntax::mqtt);
    bind("amq.topic", "amqp", "#");
    bind("amq.topic", "mine", "$mine.#", {}, pattern_syntax::mqtt);
    EXPECT_EQ(route("amq.topic", "$mine.x"), (names_of_queues{"amqp", "mine"}));
    EXPECT_EQ(route("amq.topic", "a.x"), (names_of_queues{"amqp", "mqtt"}));
    EXPECT_EQ(route("amq.topic", "a.$mine"), (names_of_queues{"amqp", "mqtt"}));
}

// Nobody's "#" is to fill up with what the broker says of itself.
TEST_F(Routing, WhatTheBrokerSaysIsForThoseWhoNameIt) {
    queue("all");
    queue("sys");
    queue("one");
    bind("amq.topic", "all", "#");
    bind("amq.topic", "all", "*.broker.uptime");
    bind("amq.topic", "sys", "$SYS.#", {}, pattern_syntax::mqtt);
    bind("amq.topic", "one", "$SYS.*.uptime");
    EXPECT_EQ(route("amq.topic", "$SYS.broker.uptime"), (names_of_queues{"one", "sys"}));
    EXPECT_EQ(route("amq.topic", "$SYSTEM.x"), names_of_queues{"all"});
}

TEST_F(Routing, HeadersFollowXMatch) {
    struct row {
        const char* queue;
        value_table arguments;
    };
    const std::vector<row> rows{
        {"all", {{"x-match", make_string("all")}, {"a", integer(1)}, {"b", make_string("t")}}},
        {"any", {{"x-match", make_string("any")}, {"a", integer(1)}, {"b", make_string("t")}}},
        {"all-x", {{"x-match", make_string("all-with-x")}, {"a", integer(1)}, {"x-k", make_string("v")}}},
        {"any-x", {{"x-match", make_string("any-with-x")}, {"x-k", make_string("v")}}},
        {"present", {{"b", value{}}}},
        {"nothing-all", {}},
        {"nothing-any", {{"x-match", make_string("any")}}},
        {"x-not-counted", {{"x-k", make_string("no")}}},
    };
    for (const row& r : rows) {
        queue(r.queue);
        bind("amq.headers", r.queue, "", r.arguments);
    }
    fake_reader reader;
    route_input in;
    in.reader = &reader;
    reader.table = {{"a", make_int64(1)}, {"b", make_string("t")}};
    EXPECT_EQ(route("amq.headers", in), (names_of_queues{"all", "any", "nothing-all", "present", "x-not-counted"}));
    EXPECT_FALSE(notes.cacheable);
    reader.table = {{"x-k", make_string("v")}, {"a", value{value_type::float64, 1.0, 0}}};
    EXPECT_EQ(route("amq.headers", in), (names_of_queues{"all-x", "any", "any-x", "nothing-all", "x-not-counted"}));
    in.reader = nullptr;
    EXPECT_EQ(route("amq.headers", in), (names_of_queues{"nothing-all", "x-not-counted"}));
}

TEST_F(Routing, ExchangeBindingsAreFollowedAndCyclesEnd) {
    exchange("x", "fanout");
    exchange("y", "topic");
    exchange("z", "direct");
    queue("end");
    bind_exchange("x", "y", "");
    bind_exchange("y", "z", "a.#");
    bind_exchange("z", "x", "a.b");
    bind("z", "end", "a.b");
    EXPECT_EQ(route("x", "a.b"), names_of_queues{"end"});
    EXPECT_EQ(route("y", "a.c"), names_of_queues{});
    bind_exchange("x", "x", "");
    EXPECT_EQ(route("x", "a.b"), names_of_queues{"end"});
}

TEST_F(Routing, AnAlternateExchangeTakesWhatNothingMatched) {
    exchange("x", "direct", {{"alternate-exchange", make_string("y")}});
    exchange("y", "direct", {{"alternate-exchange", make_string("z")}});
    exchange("z", "fanout", {{"alternate-exchange", make_string("x")}});
    queue("a");
    queue("rest");
    bind("x", "a", "k");
    EXPECT_EQ(route("x", "none"), names_of_queues{}) << "a cycle of alternates";
    bind("z", "rest", "");
    EXPECT_EQ(route("x", "k"), names_of_queues{"a"});
    EXPECT_EQ(route("x", "none"), names_of_queues{"rest"});
    ASSERT_TRUE(editor.delete_exchange(vhost, {"y", false}).has_value());
    EXPECT_EQ(route("x", "none"), names_of_queues{}) << "an alternate that is gone";
}

TEST_F(Routing, AMatchOnAnotherExchangeCountsForTheAlternate) {
    // As RabbitMQ: a binding to an exchange matched, so the alternate is not asked, even if nothing came of it.
    exchange("x", "direct", {{"alternate-exchange", make_string("alt")}});
    exchange("alt", "fanout");
    exchange("void", "fanout");
    queue("rest");
    bind("alt", "rest", "");
    bind_exchange("x", "void", "k");
    EXPECT_EQ(route("x", "k"), names_of_queues{});
    EXPECT_EQ(route("x", "other"), names_of_queues{"rest"});
}

TEST_F(Routing, SeveralKeysAreOneRoute) {
    exchange("x", "direct", {{"alternate-exchange", make_string("alt")}});
    exchange("alt", "fanout");
    for (const auto name : {"a", "b", "rest"}) {
        queue(name);
    }
    bind("x", "a", "ka");
    bind("x", "b", "kb");
    bind("alt", "rest", "");
    const auto* x = topology_view::find_exchange(node(), "x");
    const std::array<std::string_view, 3> keys{"ka", "nobody", "kb"};
    topology_view::route_keys(node(), *x, keys, {}, *scratch);
    EXPECT_EQ(names(), (names_of_queues{"a", "b"}));
    const std::array<std::string_view, 2> lost{"nobody", "neither"};
    topology_view::route_keys(node(), *x, lost, {}, *scratch);
    EXPECT_EQ(names(), names_of_queues{"rest"});
    route_input more;
    more.routing_key = "kb";
    topology_view::route_more(node(), *x, more, *scratch);
    EXPECT_EQ(names(), (names_of_queues{"b", "rest"}));
}

// Counts where each of many keys goes through a consistent-hash exchange.
using shares = std::map<std::string, int>;

class Hashing : public topology_fixture {
protected:
    [[nodiscard]] std::map<std::string, std::string> placement(int keys) {
        std::map<std::string, std::string> out;
        for (int i = 0; i < keys; ++i) {
            const std::string key = "key-" + std::to_string(i);
            const auto to = route("h", key);
            EXPECT_EQ(to.size(), 1U);
            out[key] = to.empty() ? "" : to.front();
        }
        return out;
    }
    [[nodiscard]] static shares count(const std::map<std::string, std::string>& placed) {
        shares out;
        for (const auto& [key, queue_name] : placed) {
            ++out[queue_name];
        }
        return out;
    }
};

TEST_F(Hashing, SharesFollowTheWeights) {
    exchange("h", "x-consistent-hash");
    for (const auto& [name, weight] : {std::pair{"one", "1"}, {"two", "2"}, {"five", "5"}}) {
        queue(name);
        bind("h", name, weight);
    }
    const auto got = count(placement(8'000));
    EXPECT_NEAR(got.at("one"), 1'000, 150);
    EXPECT_NEAR(got.at("two"), 2'000, 200);
    EXPECT_NEAR(got.at("five"), 5'000, 220);
    EXPECT_TRUE(notes.cacheable);
}

TEST_F(Hashing, ANewQueueTakesItsShareAndMovesNothingElse) {
    exchange("h", "x-consistent-hash");
    for (const auto name : {"a", "b", "c"}) {
        queue(name);
        bind("h", name, "10");
    }
    const auto before = placement(2'000);
    queue("d");
    bind("h", "d", "10");
    const auto after = placement(2'000);
    int moved = 0;
    for (const auto& [key, was] : before) {
        if (after.at(key) != was) {
            EXPECT_EQ(after.at(key), "d") << key;
            ++moved;
        }
    }
    EXPECT_NEAR(moved, 500, 110);
    editor.remove_queue(vhost, "d");
    EXPECT_EQ(placement(2'000), before);
}

TEST_F(Hashing, PlacesAreTheSameInEveryProcess) {
    // The hash is a promise to publishers: these must never change.
    exchange("h", "x-consistent-hash");
    for (const auto name : {"a", "b", "c", "d"}) {
        queue(name);
        bind("h", name, "1");
    }
    std::string placed;
    for (const auto& [key, to] : placement(20)) {
        placed += to;
    }
    EXPECT_EQ(placed, "aabadddadbcddaacbadb");
}

TEST_F(Hashing, AHeaderOrPropertyCanDecide) {
    exchange("h", "x-consistent-hash", {{"hash-header", make_string("user")}});
    exchange("p", "x-consistent-hash", {{"hash-property", make_string("message_id")}});
    for (int i = 0; i < 10; ++i) {
        queue("q" + std::to_string(i));
        bind("h", "q" + std::to_string(i), "1");
        bind("p", "q" + std::to_string(i), "1");
    }
    fake_reader reader;
    route_input in;
    in.reader = &reader;
    std::set<names_of_queues> by_header;
    std::set<names_of_queues> by_id;
    for (int i = 0; i < 50; ++i) {
        reader.table = {{"user", make_int64(i)}};
        reader.id = std::to_string(i);
        const std::string key = "k" + std::to_string(i);
        in.routing_key = "same";
        by_header.insert(route("h", in));
        EXPECT_FALSE(notes.cacheable);
        by_id.insert(route("p", in));
        reader.table = {{"user", integer(7)}};
        in.routing_key = key;
        const auto seven = route("h", in);
        reader.table = {{"user", make_string("7")}};
        EXPECT_EQ(route("h", in), seven) << "a number and its text hash alike, the key does not count";
    }
    EXPECT_GT(by_header.size(), 5U);
    EXPECT_GT(by_id.size(), 5U);
}

TEST_F(Hashing, ModulusHashPicksOneAndKeepsToIt) {
    exchange("h", "x-modulus-hash");
    for (int i = 0; i < 5; ++i) {
        queue("q" + std::to_string(i));
        bind("h", "q" + std::to_string(i), "");
    }
    const auto placed = placement(1'000);
    EXPECT_EQ(placed, placement(1'000));
    EXPECT_EQ(count(placed).size(), 5U);
}

TEST_F(Routing, RandomPicksEveryQueueInTurn) {
    exchange("r", "x-random");
    for (const auto name : {"a", "b", "c"}) {
        queue(name);
        bind("r", name, "");
    }
    std::map<names_of_queues, int> got;
    route_input in;
    for (std::uint64_t i = 0; i < 3'000; ++i) {
        in.entropy = i;
        const auto to = route("r", in);
        ASSERT_EQ(to.size(), 1U);
        ++got[to];
    }
    EXPECT_FALSE(notes.cacheable);
    ASSERT_EQ(got.size(), 3U);
    for (const auto& [to, n] : got) {
        EXPECT_NEAR(n, 1'000, 150);
    }
}

TEST_F(Routing, LocalRandomPrefersItsShard) {
    exchange("r", "x-local-random");
    queue("here", {}, shard_id{1});
    queue("there", {}, shard_id{2});
    bind("r", "here", "");
    bind("r", "there", "");
    route_input in;
    in.here = shard_id{1};
    for (in.entropy = 0; in.entropy < 50; ++in.entropy) {
        EXPECT_EQ(route("r", in), names_of_queues{"here"});
    }
    in.here = shard_id{3};
    EXPECT_EQ(route("r", in).size(), 1U);
}

TEST_F(Routing, RecentHistoryAsksToBeRemembered) {
    exchange("rh", "x-recent-history");
    exchange("front", "fanout");
    queue("q");
    bind("rh", "q", "");
    bind_exchange("front", "rh", "");
    EXPECT_EQ(route("front", "k"), names_of_queues{"q"});
    EXPECT_EQ(notes.remember, topology_view::find_exchange(node(), "rh"));
}

TEST_F(Routing, ADelayedExchangeRoutesAsItsInnerTypeAndSaysSo) {
    exchange("d", "x-delayed-message", {{"x-delayed-type", make_string("topic")}});
    queue("q");
    bind("d", "q", "a.*");
    EXPECT_EQ(route("d", "a.b"), names_of_queues{"q"});
    EXPECT_TRUE(notes.delayed);
    EXPECT_EQ(route("d", "b"), names_of_queues{});
    EXPECT_EQ(route("amq.topic", "a.b"), names_of_queues{});
    EXPECT_FALSE(notes.delayed);
}

}  // namespace
}  // namespace linnet::core
