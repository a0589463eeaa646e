#include "broker/session/amqp_arguments.hpp"
#include "broker/session/amqp_names.hpp"
#include "broker/session/confirm_window.hpp"
#include "broker/session/unacked_window.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>

namespace linnet::session {
namespace {

core::delivery numbered(std::uint64_t n) {
    core::delivery d;
    d.pos = n;
    return d;
}

// Against a map from tag to position, over random pushes, holes, single and cumulative settlements.
TEST(UnackedWindow, BehavesLikeAMap) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    unacked_window window;
    std::map<std::uint64_t, core::position> model;
    std::uint64_t next = 1;
    for (int step = 0; step < 200'000; ++step) {
        ASSERT_EQ(window.next_tag(), next);
        const auto dice = random() % 100;
        if (dice < 45) {
            window.push(numbered(next * 7), 0);
            model[next] = next * 7;
            ++next;
        } else if (dice < 55) {
            window.push_hole();
            ++next;
        } else if (dice < 90 || random() % 1024 != 0) {
            // Mostly late ones, so that few old ones are left behind in a long window.
            const auto tag = random() % 8 == 0 ? random() % (next + 2)
                                               : next - std::min<std::uint64_t>(next, random() % 32);
            auto* s = window.find(tag);
            const auto at = model.find(tag);
            ASSERT_EQ(s != nullptr, at != model.end()) << tag;
            if (s != nullptr) {
                ASSERT_EQ(window.take(*s).pos, at->second);
                window.trim();
                model.erase(at);
            }
        } else {
            const auto last = random() % next;
            window.any_of(0, last, [&](std::uint64_t t, unacked_window::slot& s) {
                EXPECT_EQ(window.take(s).pos, model.at(t));
                model.erase(t);
                return false;
            });
            window.trim();
            ASSERT_TRUE(model.empty() || model.begin()->first > last);
        }
        ASSERT_EQ(window.live(), model.size());
    }
}

TEST(UnackedWindow, KeepsReservedSlotsInPlace) {
    unacked_window window;
    for (std::uint64_t n = 1; n <= 3; ++n) {
        window.push(numbered(n), 0);
    }
    window.reserve(*window.find(1));
    EXPECT_EQ(window.find(1), nullptr);
    static_cast<void>(window.take(*window.find(2)));
    window.trim();
    window.unreserve(window.at(1));
    ASSERT_NE(window.find(1), nullptr);
    EXPECT_EQ(window.take(*window.find(1)).pos, 1U);
    window.trim();
    EXPECT_EQ(window.live(), 1U);
}

// Whoever forgets to acknowledge a few does not keep a slot for all that came behind them.
TEST(UnackedWindow, KeepsFewSlotsForAFewThatAreNeverSettled) {
    unacked_window window;
    constexpr std::uint64_t many = 300'000;
    std::map<std::uint64_t, core::position> left;
    for (std::uint64_t n = 1; n <= many; ++n) {
        window.push(numbered(n * 7), 0);
        if (n % 10'000 == 3) {
            left[n] = n * 7;
        } else {
            ASSERT_EQ(window.take(*window.find(n)).pos, n * 7);
            window.trim();
        }
        ASSERT_LE(window.slots(), 1100U);
    }
    std::map<std::uint64_t, core::position> found;
    window.any_of(0, window.next_tag(), [&](std::uint64_t tag, const unacked_window::slot& s) {
        found[tag] = s.d.pos;
        return false;
    });
    EXPECT_EQ(found, left);
    window.reserve(*window.find(3));
    EXPECT_EQ(window.find(3), nullptr);
    window.unreserve(window.at(3));
    for (const auto& [tag, pos] : left) {
        ASSERT_NE(window.find(tag), nullptr);
        EXPECT_EQ(window.take(*window.find(tag)).pos, pos);
        window.trim();
    }
    EXPECT_EQ(window.live(), 0U);
    EXPECT_LE(window.slots(), 1100U);
}

// Also where many are settled at once, and what needs no ack comes between.
TEST(UnackedWindow, KeepsFewSlotsHoweverTheyAreSettled) {
    unacked_window window;
    for (int round = 0; round < 300; ++round) {
        for (std::uint64_t n = 0; n < 24; ++n) {
            window.push(numbered(n), 0);
        }
        for (int hole = 0; hole < 1100; ++hole) {
            window.push_hole();
        }
        window.any_of(0, window.next_tag() - 1, [&](std::uint64_t, unacked_window::slot& s) {
            static_cast<void>(window.take(s));
            return false;
        });
        window.trim();
        ASSERT_EQ(window.live(), 0U);
        ASSERT_LE(window.slots(), 1200U) << "round " << round;
    }
}

// Every publish is confirmed once, refusals as such, never before it has been settled.
TEST(ConfirmWindow, SaysEveryOutcomeOnceAndInOrder) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    confirm_window window;
    std::map<std::uint64_t, char> outcome;  // '?' open, '+', '-'
    std::set<std::uint64_t> open;
    std::uint64_t said = 0;
    const auto flush = [&] {
        const bool expected = window.anything_to_say();
        bool spoke = false;
        window.flush(
            [&](std::uint64_t sequence, bool multiple) {
                spoke = true;
                ASSERT_GT(sequence, said);
                ASSERT_EQ(multiple, sequence > said + 1);
                for (auto s = said + 1; s <= sequence; ++s) {
                    ASSERT_EQ(outcome[s], '+') << s;
                }
                said = sequence;
            },
            [&](std::uint64_t sequence) {
                spoke = true;
                ASSERT_EQ(sequence, said + 1);
                ASSERT_EQ(outcome[sequence], '-');
                said = sequence;
            });
        ASSERT_EQ(spoke, expected);
    };
    for (int step = 0; step < 100'000; ++step) {
        const auto dice = random() % 100;
        if (dice < 60) {
            const auto s = window.begin();
            const auto kind = random() % 20;
            if (kind < 12) {
                window.accepted_now(s);
                outcome[s] = '+';
            } else if (kind == 12) {
                window.refused_now(s);
                outcome[s] = '-';
            } else {
                window.pending(s);
                outcome[s] = '?';
                open.insert(s);
            }
        } else if (dice < 85 && !open.empty()) {
            auto at = open.begin();
            std::advance(at, random() % std::min<std::size_t>(open.size(), 8));
            const bool accepted = random() % 8 != 0;
            window.settled(*at, accepted);
            outcome[*at] = accepted ? '+' : '-';
            open.erase(at);
        } else {
            flush();
        }
        ASSERT_EQ(window.all_settled(), open.empty());
    }
    for (const auto s : open) {
        window.settled(s, true);
        outcome[s] = '+';
    }
    flush();
    EXPECT_EQ(said, outcome.size());
}

TEST(ReplyAddress, ComesBackFromItsText) {
    reply_address a;
    a.session = {.slot = 0x01020304, .generation = 0xfffefdfc, .shard = core::shard_id{7}};
    a.channel = 65535;
    fill_random(a.secret);
    const auto text = a.text();
    EXPECT_LE(text.size(), 255U);
    const auto b = reply_address::parse(text);
    ASSERT_TRUE(b);
    EXPECT_EQ(b->session, a.session);
    EXPECT_EQ(b->channel, a.channel);
    EXPECT_EQ(b->secret, a.secret);
    for (std::size_t n = 0; n < text.size(); ++n) {
        EXPECT_FALSE(reply_address::parse(text.substr(0, n))) << n;
    }
    EXPECT_FALSE(reply_address::parse(text + "A"));
}

TEST(Names, AreLongAndDoNotRepeat) {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) {
        const auto name = make_queue_name();
        EXPECT_EQ(name.size(), 30U);
        EXPECT_TRUE(seen.insert(name).second);
    }
    EXPECT_TRUE(make_consumer_tag().starts_with("amq.ctag-"));
}

TEST(AmqpArguments, SurviveTheWayThroughTheCore) {
    amqp::table_builder t;
    t.put("t", true).put("b", std::int8_t{-1}).put("B", std::uint8_t{255}).put("s", std::int16_t{-2});
    t.put("u", std::uint16_t{65535}).put("I", std::int32_t{-3}).put("i", std::uint32_t{4294967295});
    t.put("l", std::int64_t{1} << 40).put("f", 0.5F).put("d", 1.5).put("D", amqp::decimal_value{2, 314});
    t.put("S", std::string_view{"text"}).put("T", amqp::timestamp_value{1700000000}).put("V", amqp::nothing_value{});
    const std::uint8_t raw[]{0, 255};
    t.put("x", amqp::byte_array_value{raw});
    t.begin_array("A").add(std::int32_t{1}).begin_table().put("k", true).end().end();
    t.begin_table("F").put("k", std::int32_t{1}).begin_array("a").add(std::string_view{"x"}).end().end();
    amqp::table_builder again;
    for (const auto& [name, v] : to_values(t.view())) {
        put_value(again, name, v);
    }
    EXPECT_EQ(again.take(), t.take());
}

}  // namespace
}  // namespace linnet::session
