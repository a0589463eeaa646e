// The parts of an MQTT session that need no session: topics, the matcher, the windows.

#include "broker/core/address.hpp"
#include "broker/session/mqtt_inbound.hpp"
#include "broker/session/mqtt_outbound.hpp"
#include "broker/session/mqtt_state.hpp"
#include "broker/session/mqtt_subscriptions.hpp"
#include "broker/session/mqtt_topic.hpp"
#include "broker/session/name_pool.hpp"
#include "protocol/mqtt/topic.hpp"
#include "tests/support/clause.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace linnet::session {
namespace {

using linnet::test::clause;
using linnet::test::mqtt_5;

using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr mqtt_naming names{.exchange = "amq.topic"};

// ---- Topics --------------------------------------------------------------------------------------

TEST(MqttTopic, LeadsToQueuesAndExchanges) {
    const auto address = [](std::string_view t) {
        const auto a = address_of_topic(t, names);
        return a ? a->exchange + "|" + a->key : "none";
    };
    EXPECT_EQ(address("a/b.c"), "amq.topic|a.b%2Ec");
    EXPECT_EQ(address("$other/x"), "amq.topic|$other.x");
    EXPECT_EQ(address("$queue/jobs/v1.2"), "|jobs/v1.2");
    EXPECT_EQ(address("$exchange/logs/a/b"), "logs|a.b");
    EXPECT_EQ(address("$exchange/logs"), "logs|");
    EXPECT_EQ(address("$reply/" + std::string(32, 'a')), "|amq.reply." + std::string(32, 'a'));
    for (const auto* t :
         {"$SYS/broker", "$share/g/t", "$queue/", "$exchange/", "$exchange//a", "$reply/", "$reply/a"}) {
        EXPECT_EQ(address(t), "none") << t;
    }
    EXPECT_EQ(address("$queue/" + std::string(256, 'q')), "none");
    EXPECT_EQ(address(std::string(30'000, '.')), "none");  // three bytes each in a key
}

TEST(MqttTopic, NamesWhereAMessageCameFrom) {
    const auto of = [](std::string_view exchange, std::string_view key) {
        std::string out = "what was there";
        return topic_of(exchange, key, names, out) ? out : "none";
    };
    EXPECT_EQ(of("amq.topic", "a.b"), "a/b");
    EXPECT_EQ(of("", "jobs.v1"), "$queue/jobs.v1");
    const std::string token(32, 'a');
    EXPECT_EQ(of("", "amq.reply." + token), "$reply/" + token);
    EXPECT_EQ(of("", "a+#"), "none");
    EXPECT_EQ(of("amq.topic", ""), "none");
    EXPECT_EQ(of("logs", "a.b"), "$exchange/logs/a/b");
    EXPECT_EQ(of("logs", ""), "$exchange/logs");
    EXPECT_EQ(of("logs", std::string(65'530, 'x')), "none");  // longer than MQTT can say
}

// What permissions put in for a name is the level that a client publishes to by that name.
TEST(MqttTopic, OneLevelIsWhatTheCoreTakesItFor) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    constexpr std::string_view pieces[] = {"a", ".", "*", "%", "%25", "25", "2E", "2A", "x"};
    for (int i = 0; i < 20'000; ++i) {
        std::string level;
        for (auto n = random() % 8; n-- > 0;) {
            level += pieces[random() % std::size(pieces)];
        }
        ASSERT_EQ(mqtt::topic_to_key("t/" + level), "t." + core::level_text(level)) << level;
    }
    EXPECT_EQ(mqtt::topic_to_key("t/a%23"), "t." + core::level_text("a#"));
}

TEST(MqttTopic, GroupsNeverShareAQueueByAccident) {
    EXPECT_NE(shared_queue_name("a", "b-c"), shared_queue_name("a-b", "c"));
    EXPECT_EQ(shared_queue_name("g", std::string(300, 'x')), std::nullopt);
    EXPECT_EQ(session_queue_name("me"), "mqtt-subscription-me");
    EXPECT_EQ(session_queue_name(std::string(240, 'x')), std::nullopt);
}

// ---- Subscriptions -------------------------------------------------------------------------------

using who = mqtt_subscriptions::publisher;

mqtt_subscription filter(std::string_view text, std::uint32_t id = 0, std::uint8_t qos = 0) {
    mqtt_subscription s;
    s.filter = text;
    s.identifier = id;
    s.qos = qos;
    return s;
}

// [MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1] [MQTT-4.7.3-4] Against the plain matcher of one filter.
TEST(MqttSubscriptions, MatchAsEachFilterAlone) {
    clause(mqtt_5, {"MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.2-1", "MQTT-4.7.3-4"});
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto words = [&](std::initializer_list<const char*> from, std::size_t most) {
        std::string text;
        for (auto n = random() % most + 1; n-- > 0;) {
            text += *(from.begin() + random() % from.size());
            text += n == 0 ? "" : "/";
        }
        return text;
    };
    const auto filter_bytes = [](const std::map<std::string, mqtt_subscription>& of) {
        std::size_t sum = 0;
        for (const auto& [text, s] : of) {
            sum += text.size();
        }
        return sum;
    };
    for (int round = 0; round < 300; ++round) {
        mqtt_subscriptions all;
        std::map<std::string, mqtt_subscription> model;
        for (int step = 0; step < 60; ++step) {
            auto text = words({"a", "b", "+", "", "$x"}, 4);
            text += random() % 3 == 0 ? "/#" : "";
            text = text.empty() || random() % 40 == 0 ? "#" : text;
            if (random() % 3 != 0) {
                auto s = filter(text, random() % 50, random() % 3);
                s.no_local = random() % 4 == 0;
                s.retain_as_published = random() % 4 == 0;
                s.live = random() % 2 == 0;
                s.binding = !s.live && random() % 2 == 0;
                ASSERT_EQ(all.put(s), model.count(text) == 0);
                model[text] = s;
            } else {
                ASSERT_EQ(all.remove(text), model.erase(text) == 1) << text;
            }
            ASSERT_EQ(all.size(), model.size());
            ASSERT_EQ(all.filter_bytes(), filter_bytes(model));
        }
        for (int look = 0; look < 60; ++look) {
            const auto name = words({"a", "b", "c", "", "$x"}, 5);
            const auto publisher = random() % 2 == 0 ? who::itself : who::another;
            mqtt_match got;
            all.match(name, publisher, got);
            mqtt_match expected;
            for (const auto& [text, s] : model) {
                if (mqtt::filter_matches(text, name) && !(s.no_local && publisher == who::itself)) {
                    expected.any = true;
                    expected.live |= s.live;
                    expected.queued |= !s.live && !s.binding;
                    expected.qos = std::max(expected.qos, s.qos);
                    expected.retain_as_published |= s.retain_as_published;
                    if (s.identifier != 0) {
                        expected.identifiers.push_back(s.identifier);
                    }
                }
            }
            std::sort(got.identifiers.begin(), got.identifiers.end());
            std::sort(expected.identifiers.begin(), expected.identifiers.end());
            ASSERT_EQ(got.any, expected.any) << name;
            ASSERT_EQ(got.live, expected.live) << name;
            ASSERT_EQ(got.queued, expected.queued) << name;
            ASSERT_EQ(got.qos, expected.qos) << name;
            ASSERT_EQ(got.retain_as_published, expected.retain_as_published) << name;
            ASSERT_EQ(got.identifiers, expected.identifiers) << name;
        }
    }
}

TEST(MqttSubscriptions, ReplaceAndTellAllIdentifiers) {
    clause(mqtt_5, {"MQTT-3.8.4-3", "MQTT-3.3.4-3", "MQTT-3.3.4-4"});
    mqtt_subscriptions all;
    EXPECT_TRUE(all.put(filter("a/+", 1, 1)));
    EXPECT_TRUE(all.put(filter("a/#", 2, 0)));
    EXPECT_FALSE(all.put(filter("a/+", 3, 2)));
    mqtt_match m;
    all.match("a/b", who::another, m);
    EXPECT_EQ(m.qos, 2);
    EXPECT_THAT(m.identifiers, UnorderedElementsAre(2, 3));
    EXPECT_EQ(all.find("a/+")->identifier, 3);
    EXPECT_EQ(all.find("a"), nullptr);
    EXPECT_TRUE(m.queued);
    auto live = filter("a/#", 4, 0);
    live.live = true;
    EXPECT_FALSE(all.put(live));
    all.match("a/b/c", who::another, m);
    EXPECT_FALSE(m.queued) << "only the one that is live matches";
    all.match("a/b", who::another, m);
    EXPECT_TRUE(m.queued);
    all.clear();
    all.match("a/b", who::another, m);
    EXPECT_FALSE(m.any);
    EXPECT_EQ(all.size(), 0);
}

// ---- Out -----------------------------------------------------------------------------------------

TEST(MqttOutbound, BehavesLikeAMap) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    mqtt_outbound window;
    std::map<std::uint16_t, core::position> model;
    core::position next = 0;
    for (int step = 0; step < 300'000; ++step) {
        const bool grow = random() % 3000 > model.size();
        if (grow && random() % 8 == 0) {
            mqtt_flight f;
            f.id = window.free_id();
            ASSERT_GT(f.id, mqtt_outbound::positional_ids);
            ASSERT_EQ(model.count(f.id), 0);
            model[f.id] = f.d.pos = random();
            window.add(std::move(f));
        } else if (grow) {
            mqtt_flight f;
            f.d.pos = next;
            next += random() % 64 == 0 ? random() % 40'000 : 1;
            f.id = mqtt_outbound::id_of(f.d.pos);
            ASSERT_EQ(window.find(f.id) != nullptr, model.count(f.id) == 1);
            if (model.count(f.id) == 0) {
                model[f.id] = f.d.pos;
                window.add(std::move(f));
            }
        } else if (!model.empty()) {
            auto at = model.lower_bound(static_cast<std::uint16_t>(random()));
            at = at == model.end() ? model.begin() : at;
            auto* f = window.find(at->first);
            ASSERT_NE(f, nullptr);
            ASSERT_EQ(window.take(*f).d.pos, at->second);
            model.erase(at);
        }
        ASSERT_EQ(window.size(), model.size());
    }
    std::vector<core::position> expected;
    for (const auto& [id, pos] : model) {
        expected.push_back(pos);
        ASSERT_EQ(window.find(id)->d.pos, pos);
    }
    std::sort(expected.begin(), expected.end());
    const auto all = window.take_all();
    ASSERT_EQ(all.size(), expected.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        ASSERT_EQ(all[i].d.pos, expected[i]);
    }
    EXPECT_EQ(window.size(), 0);
    EXPECT_EQ(window.find(1), nullptr);
}

// [MQTT-2.2.1-4] An id is never 0, whatever the position.
TEST(MqttOutbound, GivesEachPositionItsIdForGood) {
    clause(mqtt_5, {"MQTT-2.2.1-4"});
    EXPECT_EQ(mqtt_outbound::id_of(1), 1);
    EXPECT_EQ(mqtt_outbound::id_of(32'767), 32'767);
    EXPECT_EQ(mqtt_outbound::id_of(32'768), 1);
    EXPECT_EQ(mqtt_outbound::id_of(0), 32'767);
    mqtt_outbound window;
    for (int i = 0; i < 3 * 32'768; ++i) {
        ASSERT_GT(window.free_id(), mqtt_outbound::positional_ids);
    }
}

// So what taking costs does not grow with the window, whatever the client leaves unacknowledged.
TEST(MqttOutbound, MovesNothingToTakeOne) {
    mqtt_outbound window;
    const auto add = [&](core::position pos) {
        mqtt_flight f;
        f.d.pos = pos;
        f.id = mqtt_outbound::id_of(pos);
        window.add(std::move(f));
    };
    constexpr core::position count = 256;
    for (core::position pos = 1; pos <= count; ++pos) {
        add(pos);
    }
    // The first is never acknowledged, and others come to where it lies.
    for (core::position pos = 2; pos <= 20 * count; ++pos) {
        std::map<std::uint16_t, const mqtt_flight*> before;
        if (pos % 100 == 0) {
            window.for_each([&](const mqtt_flight& f) { before[f.id] = &f; });
            before.erase(mqtt_outbound::id_of(pos));
        }
        ASSERT_EQ(window.take(*window.find(mqtt_outbound::id_of(pos))).d.pos, pos);
        for (const auto& [id, at] : before) {
            ASSERT_EQ(window.find(id), at);
        }
        add(pos + count - 1);
    }
    EXPECT_EQ(window.size(), count);
}

TEST(MqttOutbound, HoldsAllIdsThatThereAre) {
    mqtt_outbound window;
    for (std::uint32_t id = 1; id <= 65'535; ++id) {
        mqtt_flight f;
        f.id = static_cast<std::uint16_t>(id);
        f.d.pos = id;
        window.add(std::move(f));
    }
    for (std::uint32_t id = 65'535; id != 0; --id) {
        ASSERT_EQ(window.take(*window.find(static_cast<std::uint16_t>(id))).d.pos, id);
    }
    EXPECT_EQ(window.size(), 0);
    EXPECT_EQ(window.find(1), nullptr);
}

// ---- In ------------------------------------------------------------------------------------------

std::vector<int> said(mqtt_inbound& window) {
    std::vector<int> ids;
    window.flush([&](const mqtt_inbound::entry& e) { ids.push_back(e.id); });
    return ids;
}

// [MQTT-4.6.0-2] [MQTT-4.6.0-3]
TEST(MqttInbound, AnswersInTheOrderOfThePackets) {
    mqtt_inbound window;
    const auto one = window.add({.id = 1});
    const auto two = window.add({.id = 2, .what = mqtt_inbound::answer::pubrec});
    const auto three = window.add({.id = 3});
    EXPECT_EQ(window.open_publishes(), 2);
    window.find(three)->open = false;
    EXPECT_THAT(said(window), ElementsAre());
    window.find(one)->open = false;
    EXPECT_THAT(said(window), ElementsAre(1));
    EXPECT_EQ(window.find(one), nullptr);
    window.find(two)->open = false;
    EXPECT_THAT(said(window), ElementsAre(2, 3));
    EXPECT_TRUE(window.empty());
    EXPECT_EQ(window.open_publishes(), 0);
    EXPECT_EQ(window.find(three), nullptr);
    EXPECT_EQ(window.find(three + 1), nullptr);
}

TEST(MqttInbound, KeepsItsNumbersWhileItMovesOn) {
    mqtt_inbound window;
    std::vector<std::uint64_t> open;
    int next = 0;
    std::vector<int> answered;
    for (int step = 0; step < 10'000; ++step) {
        open.push_back(window.add({.id = static_cast<std::uint16_t>(++next)}));
        if (open.size() > 2000) {
            window.find(open.front())->open = false;
            open.erase(open.begin());
            for (const int id : said(window)) {
                answered.push_back(id);
            }
        }
    }
    ASSERT_EQ(answered.size(), 8000);
    for (std::size_t i = 0; i < answered.size(); ++i) {
        ASSERT_EQ(answered[i], static_cast<int>(i) + 1);
    }
}

TEST(NamePool, HasANameOnceAndAsLongAsSomebodyUsesIt) {
    name_pool pool;
    auto guest = pool.get("guest");
    EXPECT_EQ(guest.text(), "guest");
    {
        const auto again = pool.get(std::string("gue") + "st");
        EXPECT_EQ(again.text().data(), guest.text().data());
        const auto other = pool.get("other");
        EXPECT_EQ(other.text(), "other");
        EXPECT_EQ(pool.size(), 2U);
    }
    EXPECT_EQ(pool.size(), 1U);
    shared_name moved = std::move(guest);
    EXPECT_EQ(moved.text(), "guest");
    moved = pool.get("third");
    EXPECT_EQ(pool.size(), 1U);
    moved = pool.get({});
    EXPECT_EQ(moved.text(), "");
    EXPECT_EQ(pool.size(), 0U);
}

TEST(MqttInbound, RemembersTakenIds) {
    mqtt_taken_ids taken;
    taken.assign({3, 7});
    taken.insert(5);
    taken.insert(1);
    EXPECT_TRUE(taken.contains(1) && taken.contains(3) && taken.contains(5) && taken.contains(7));
    EXPECT_FALSE(taken.contains(4));
    EXPECT_TRUE(taken.erase(3));
    EXPECT_FALSE(taken.erase(3));
    EXPECT_EQ(taken.size(), 3);
}

// ---- What is kept --------------------------------------------------------------------------------

TEST(MqttState, ComesBackAsItWas) {
    mqtt_state s;
    s.has_queue = true;
    s.subscriptions = {filter("a/#", 268'435'455, 2), filter("", 0, 0)};
    s.subscriptions[0].no_local = true;
    s.sources = {filter("$share/g/t", 1, 1)};
    s.sources[0].retain_as_published = true;
    s.flights = {{0, mqtt_state::stage::sent_qos_1},
                 {1ULL << 40, mqtt_state::stage::sent_qos_2},
                 {1ULL << 41, mqtt_state::stage::released}};
    s.exchanges = {{.id = 40'000, .at = mqtt_state::stage::released},
                   {.id = 65'535,
                    .at = mqtt_state::stage::sent_qos_2,
                    .retain = true,
                    .identifier = 7,
                    .to = "amq.topic",
                    .key = "a.b",
                    .properties_of = core::protocol_tag::mqtt,
                    .properties = std::string(9, '\0'),
                    .body = "text"}};
    const auto bytes = encode(s);
    EXPECT_EQ(decode_state(bytes), s);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
        EXPECT_EQ(decode_state(std::span(bytes).first(n)), std::nullopt) << n;
    }
    EXPECT_EQ(decode_state({}), std::nullopt);
    // What was written before there were changes, and before there were exchanges.
    auto old = bytes;
    old[0] = 2;
    EXPECT_EQ(decode_state(old), s);
    old.push_back(0);
    EXPECT_EQ(decode_state(old), std::nullopt);
    s.exchanges.clear();
    old = encode(s);
    old[0] = 1;
    old.resize(old.size() - 4);
    EXPECT_EQ(decode_state(old), s);
}

TEST(MqttState, IsWhatItsChangesMakeOfIt) {
    mqtt_state s;
    s.subscriptions = {filter("a", 1, 0), filter("b", 2, 1)};
    s.sources = {filter("$share/g/t", 3, 1)};
    const auto whole = encode(s);
    auto bytes = whole;
    const auto add = [&](const mqtt_state_changes& c) {
        const auto more = encode(c);
        bytes.insert(bytes.end(), more.begin(), more.end());
    };
    add({.has_queue = true,
         .subscriptions = {filter("c", 4, 2), filter("a", 5, 1)},
         .sources = {filter("$queue/q", 0, 0)},
         .gone_subscriptions = {"b", "never there"},
         .gone_sources = {"$share/g/t"}});
    const auto before_the_last = bytes.size();
    add({.has_queue = false,
         .subscriptions = {filter("b", 6, 0)},
         .sources = {},
         .gone_subscriptions = {"c"},
         .gone_sources = {}});
    s.subscriptions = {filter("a", 5, 1), filter("b", 6, 0)};
    s.sources = {filter("$queue/q", 0, 0)};
    EXPECT_EQ(decode_state(bytes), s);
    for (std::size_t n = whole.size() + 1; n < bytes.size(); ++n) {
        EXPECT_EQ(decode_state(std::span(bytes).first(n)).has_value(), n == before_the_last) << n;
    }
    bytes[0] = 2;
    EXPECT_EQ(decode_state(bytes), std::nullopt) << "no version before knows any";
}

}  // namespace
}  // namespace linnet::session
