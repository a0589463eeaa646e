// Last values of keys: the search against a naive one, and shards that are stepped by hand.
#include "broker/core/retained_tree.hpp"
#include "tests/core/client_fixture.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

using texts = std::vector<std::string>;

[[nodiscard]] texts levels_of(std::string_view text) {
    texts all;
    for (std::size_t begin = 0; !text.empty();) {
        const auto end = text.find('.', begin);
        all.emplace_back(text.substr(begin, end - begin));
        if (end == std::string_view::npos) {
            break;
        }
        begin = end + 1;
    }
    return all;
}

// By the words of the rules, and exponential.
[[nodiscard]] bool naive_match(const texts& pattern, std::size_t p, const texts& key, std::size_t k) {
    if (p == pattern.size()) {
        return k == key.size();
    }
    if (pattern[p] == "#") {
        return naive_match(pattern, p + 1, key, k) || (k < key.size() && naive_match(pattern, p, key, k + 1));
    }
    return k < key.size() && (pattern[p] == "*" || pattern[p] == key[k]) && naive_match(pattern, p + 1, key, k + 1);
}

[[nodiscard]] texts search(retained_map& in, std::string_view pattern, bool hides_dollar = false,
                           std::uint64_t looks = 1'000'000) {
    texts found;
    retained_search s(pattern, hides_dollar);
    std::optional<std::string> after;
    for (;;) {
        const auto done = s.run(in, after, looks, [&](retained_map::iterator at) {
            found.push_back(at->first);
            return true;
        });
        if (!done.more) {
            return found;
        }
        after = done.last;
    }
}

TEST(RetainedSearch, FindsWhatANaiveOneFinds) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const auto text = [&](std::size_t levels_max, const texts& words) {
        std::string made;
        for (auto n = 1 + random() % levels_max; n != 0; --n) {
            made.append(made.empty() && random() % 2 == 0 ? "" : ".").append(words[random() % words.size()]);
        }
        return made;
    };
    const texts words{"a", "b", "ab", "", "$x", "a!", std::string("a\0", 2), "\xff"};
    texts with_wildcards = words;
    with_wildcards.insert(with_wildcards.end(), {"*", "#", "*", "#", "#"});
    for (int round = 0; round < 60; ++round) {
        retained_map all;
        for (auto n = random() % 120; n != 0; --n) {
            all.emplace(text(5, words), retained_item{});
        }
        for (int i = 0; i < 60; ++i) {
            const auto pattern = text(5, with_wildcards);
            const auto levels = levels_of(pattern);
            const bool hides = random() % 2 == 0;
            const bool leads = !levels.empty() && (levels[0] == "*" || levels[0] == "#");
            texts wanted;
            for (const auto& [key, item] : all) {
                if (naive_match(levels, 0, levels_of(key), 0) && !(hides && leads && key.starts_with('$'))) {
                    wanted.push_back(key);
                }
            }
            ASSERT_EQ(search(all, pattern, hides), wanted) << pattern;
            ASSERT_EQ(search(all, pattern, hides, 1 + random() % 5), wanted) << pattern << ", in pieces";
        }
    }
}

// Counted, not timed: a key is looked at once at most, and what cannot match is skipped whole.
TEST(RetainedSearch, LooksAtLittleMoreThanItFinds) {
    retained_map all;
    for (int site = 0; site < 100; ++site) {
        for (int device = 0; device < 1000; ++device) {
            all.emplace(fmt::format("site{}.device{}.value", site, device), retained_item{});
        }
    }
    const auto looks = [&](std::string_view pattern, std::size_t& found) {
        retained_search s(pattern, false);
        found = 0;
        return s
            .run(all, {}, 10'000'000,
                 [&](auto) {
                     ++found;
                     return true;
                 })
            .looks;
    };
    std::size_t found = 0;
    EXPECT_LE(looks("site7.device12.value", found), 5U);
    EXPECT_EQ(found, 1U);
    EXPECT_LE(looks("site7.#", found), 1003U);
    EXPECT_EQ(found, 1000U);
    EXPECT_LE(looks("*.device12.#", found), 301U);
    EXPECT_EQ(found, 100U);
    EXPECT_LE(looks("nothing.#.#.here", found), 2U);
    EXPECT_EQ(found, 0U);
    EXPECT_EQ(looks("#", found), 100'000U);
    EXPECT_EQ(found, 100'000U);
    // Many ways to match are still one look a key.
    EXPECT_EQ(looks("#.site7.#.value.#.value.#.value.#", found), 100'000U);
    EXPECT_EQ(found, 0U);
    EXPECT_EQ(looks("#.*.#.*.#.*.#", found), 100'000U);
    EXPECT_EQ(found, 100'000U);
}

class Retained : public testing::TestWithParam<int> {
protected:
    void publish(test_session& s, std::string_view key, std::string_view body, mono_ns ttl = -1) {
        auto& home = c.enter(s.home().id().value);
        message_traits traits;
        traits.retain = true;
        traits.time_to_live = ttl;
        route_memo memo;
        const auto* v = home.topology().find_vhost(c.vhost());
        const auto r = home.find_route(*v, "amq.topic", key, nullptr, {}, memo);
        auto m = make_message(home.pool(), "amq.topic", key, {},
                              {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, traits);
        const auto done = home.publish(std::move(m), *v, r, s.handle(), 1, ++sequence);
        c.settle();
        EXPECT_TRUE(!done.pending || s.settled.contains(sequence));
    }
    [[nodiscard]] retained_messages read(test_session& s, std::string pattern, std::optional<std::string> after = {},
                                         std::uint32_t count_max = 1000) {
        read_retained asked;
        asked.pattern = std::move(pattern);
        asked.after = std::move(after);
        asked.count_max = count_max;
        reply r = c.ask(s, std::move(asked));
        EXPECT_TRUE(r.result);
        return std::move(std::get<retained_messages>(*r.result));
    }
    [[nodiscard]] texts all(test_session& s, const std::string& pattern, std::uint32_t count_max = 1000) {
        texts found;
        std::optional<std::string> after;
        do {
            auto piece = read(s, pattern, after, count_max);
            EXPECT_LE(piece.messages.size(), count_max);
            for (const auto& e : piece.messages) {
                found.push_back(std::string(e.message->routing_key()) + "=" + body_text(*e.message));
            }
            after = std::move(piece.after);
        } while (after);
        return found;
    }

    cluster c{static_cast<std::uint16_t>(GetParam())};
    std::uint64_t sequence = 0;
};

TEST_P(Retained, TheLastOneOfAKeyIsFound) {
    test_session a(c.at(0));
    test_session b(c.at(static_cast<std::size_t>(GetParam() - 1)));
    publish(a, "tank.1.level", "5");
    publish(b, "tank.2.level", "6");
    publish(b, "tank.1.level", "7");
    publish(a, "$SYS.load", "high");
    EXPECT_EQ(all(a, "tank.*.level"), (texts{"tank.1.level=7", "tank.2.level=6"}));
    EXPECT_EQ(all(b, "#"), (texts{"tank.1.level=7", "tank.2.level=6"})) << "what begins with $ is not matched";
    EXPECT_EQ(all(b, "$SYS.#"), (texts{"$SYS.load=high"}));
    publish(a, "tank.1.level", "");
    EXPECT_EQ(all(b, "tank.#"), (texts{"tank.2.level=6"}));
    publish(a, "never.there", "");
    EXPECT_EQ(all(b, "never.#"), texts{});
}

TEST_P(Retained, AreRoutedLikeAnyOther) {
    test_session a(c.at(0));
    test_session b(c.at(static_cast<std::size_t>(GetParam() - 1)));
    const auto queue = c.name_on(a, static_cast<std::size_t>(GetParam() / 2));
    bind to;
    to.source = "amq.topic";
    to.destination = queue;
    to.routing_key = "#";
    ASSERT_TRUE(c.ask(a, std::move(to)).result);
    publish(b, "x", "1");
    publish(b, "x", "");
    EXPECT_EQ(texts_in(c, a, queue), (texts{"1", ""}));
}

TEST_P(Retained, WhatHasExpiredIsNotShown) {
    test_session a(c.at(static_cast<std::size_t>(GetParam() - 1)));
    publish(a, "short", "1", 1500 * ns_per_ms);
    publish(a, "long", "1");
    const auto found = read(a, "short");
    ASSERT_EQ(found.messages.size(), 1U);
    EXPECT_EQ(found.messages[0].left_s, 2U);
    EXPECT_EQ(read(a, "long").messages[0].left_s, 0U);
    c.clock.advance(2 * ns_per_s);
    c.settle();
    EXPECT_EQ(all(a, "#"), (texts{"long=1"}));
    publish(a, "short", "2");
    c.clock.advance(2 * ns_per_s);
    c.settle();
    EXPECT_EQ(all(a, "#"), (texts{"long=1", "short=2"})) << "the timer was the old one's";
}

TEST_P(Retained, ComeInPieces) {
    test_session a(c.at(0));
    texts wanted;
    for (int i = 0; i < 50; ++i) {
        const auto key = fmt::format("k.{:02}", i);
        publish(a, key, "v");
        wanted.push_back(key + "=v");
    }
    EXPECT_EQ(all(a, "k.*", 7), wanted);
    EXPECT_EQ(all(a, "#", 1), wanted);
}

TEST_P(Retained, AWillIsRetainedToo) {
    set_rights(c, "guest", ".*");
    client_session a(c.at(0));
    const auto got = attach(c, a, "x");
    ASSERT_TRUE(got);
    detach_with_words(c, a, got->ticket, 60, "gone", 0, true);
    c.settle();
    EXPECT_EQ(all(a, "wills"), (texts{"wills=gone"}));
}

INSTANTIATE_TEST_SUITE_P(Shards, Retained, testing::Values(1, 3));

}  // namespace
}  // namespace linnet::core
