#include "broker/core/topic_tree.hpp"

#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

using words = std::vector<std::string>;

[[nodiscard]] words split(std::string_view text) {
    words out;
    if (text.empty()) {
        return out;
    }
    for (std::size_t at = 0;;) {
        const auto end = text.find('.', at);
        out.emplace_back(text.substr(at, end == std::string_view::npos ? end : end - at));
        if (end == std::string_view::npos) {
            return out;
        }
        at = end + 1;
    }
}

// The definition, word for word: what the tree must agree with.
[[nodiscard]] bool model_matches(const words& p, std::size_t i, const words& k, std::size_t j) {
    if (i == p.size()) {
        return j == k.size();
    }
    if (p[i] == "#") {
        return model_matches(p, i + 1, k, j) || (j < k.size() && model_matches(p, i, k, j + 1));
    }
    return j < k.size() && (p[i] == "*" || p[i] == k[j]) && model_matches(p, i + 1, k, j + 1);
}
[[nodiscard]] bool model_matches(std::string_view p, std::string_view k) {
    return model_matches(split(p), 0, split(k), 0);
}

[[nodiscard]] node_ref<binding_node> binding_for(std::string_view key, std::uint32_t queue, bool hide = false) {
    static const value_table none;
    const std::string name = "q" + std::to_string(queue);
    return make_node<binding_node>(binding_identity{"x", name, bind_destination::queue, key, hide, &none},
                                   queue_handle{queue, 1, {}}, header_match::all, 1);
}

// A tree and, beside it, the list of what it should hold.
struct forest {
    node_ref<topic_node> tree;
    std::vector<node_ref<binding_node>> bindings;
    std::ptrdiff_t roaming = 0;

    void add(const node_ref<binding_node>& b) {
        const auto p = *parse_pattern(b->key());
        const auto foretold = static_cast<std::ptrdiff_t>(roaming_nodes_for(tree.get(), p));
        const auto more = add_pattern(tree, p, b);
        EXPECT_EQ(more, foretold) << b->key();
        roaming += more;
        bindings.push_back(b);
    }
    void remove(std::size_t i) {
        roaming += remove_pattern(tree, *parse_pattern(bindings[i]->key()), *bindings[i]);
        bindings.erase(bindings.begin() + static_cast<std::ptrdiff_t>(i));
    }
    [[nodiscard]] std::multiset<const binding_node*> found(std::string_view key, topic_match& m) const {
        std::multiset<const binding_node*> out;
        if (tree) {
            m.run(*tree, key,
                  [&](const binding_set& s) { s.for_each([&](const binding_node& b) { out.insert(&b); }); });
        }
        return out;
    }
    // By the words of topic_tree.hpp.
    [[nodiscard]] static std::ptrdiff_t count_roaming(const topic_node& n, int wildcards = 0, bool any_number = false) {
        std::ptrdiff_t all = n.leads_on() && any_number && wildcards > 1 ? 1 : 0;
        n.literals.for_each([&](const topic_node& child) { all += count_roaming(child, wildcards, any_number); });
        all += n.one ? count_roaming(*n.one, wildcards + 1, any_number) : 0;
        all += n.many0 ? count_roaming(*n.many0, wildcards + 1, true) : 0;
        return all;
    }
    [[nodiscard]] std::multiset<const binding_node*> expected(std::string_view key) const {
        std::multiset<const binding_node*> out;
        for (const auto& b : bindings) {
            if (model_matches(b->key(), key)) {
                out.insert(b.get());
            }
        }
        return out;
    }
};

[[nodiscard]] std::string random_words(std::mt19937_64& random, std::span<const std::string_view> alphabet,
                                       std::size_t longest) {
    std::string out;
    const std::size_t count = random() % (longest + 1);
    for (std::size_t i = 0; i < count; ++i) {
        out += (i == 0 ? "" : ".") + std::string(alphabet[random() % alphabet.size()]);
    }
    return out;
}

TEST(TopicTree, AgreesWithTheDefinitionWhilePatternsComeAndGo) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    constexpr std::array<std::string_view, 7> pattern_words{"*", "#", "a", "b", "", "#", "c"};
    constexpr std::array<std::string_view, 5> key_words{"a", "b", "", "c", "z"};
    const auto before = census_of_this_thread().live();
    for (int round = 0; round < 40; ++round) {
        forest now;
        std::vector<forest> kept;
        topic_match match;
        for (int step = 0; step < 120; ++step) {
            if (!now.bindings.empty() && random() % 3 == 0) {
                now.remove(random() % now.bindings.size());
            } else {
                now.add(binding_for(random_words(random, pattern_words, 6), static_cast<std::uint32_t>(step)));
            }
            if (step % 15 == 0) {
                kept.push_back(now);
            }
            const std::string key = random_words(random, key_words, 7);
            ASSERT_EQ(now.found(key, match), now.expected(key)) << "key '" << key << "'";
            ASSERT_EQ(now.roaming, now.tree ? forest::count_roaming(*now.tree) : 0);
        }
        for (const forest& old : kept) {
            for (int i = 0; i < 30; ++i) {
                const std::string key = random_words(random, key_words, 7);
                ASSERT_EQ(old.found(key, match), old.expected(key)) << "an old version, key '" << key << "'";
            }
        }
        while (!now.bindings.empty()) {
            now.remove(random() % now.bindings.size());
        }
        EXPECT_FALSE(now.tree) << "nodes without patterns stay behind";
        EXPECT_EQ(now.roaming, 0);
    }
    EXPECT_EQ(census_of_this_thread().live(), before);
}

TEST(TopicTree, FollowsTheTablesOfTheProtocols) {
    struct row {
        std::string_view pattern;
        std::string_view key;
        bool matches;
    };
    constexpr std::array rows{
        row{"#", "", true},
        row{"*", "", false},
        row{"", "", true},
        row{"", "a", false},
        row{"a.#", "a", true},
        row{"a.#", "a.b.c", true},
        row{"#.a", "a", true},
        row{"#.a", "x.y.a", true},
        row{"#.a", "x.a.y", false},
        row{"a.*.c", "a..c", true},
        row{"a.*.c", "a.c", false},
        row{"a.#.c", "a.c", true},
        row{"*.#", "a", true},
        row{"*.#", "", false},
        row{"#.a.#.b.#", "a.b", true},
        row{"#.a.#.b.#", "b.a", false},
        row{"a.*.#", "a", false},
        row{"a.*.#", "a.", true},
        row{"#.*.#", "", false},
        row{"*.*", ".", true},
    };
    for (const row& r : rows) {
        forest f;
        f.add(binding_for(r.pattern, 1));
        topic_match m;
        EXPECT_EQ(f.found(r.key, m).size(), r.matches ? 1U : 0U) << r.pattern << " | " << r.key;
        EXPECT_EQ(model_matches(r.pattern, r.key), r.matches) << "the model itself: " << r.pattern << " | " << r.key;
    }
}

// A clever set of patterns must not make a match cost more than levels times live states.
TEST(TopicTree, WithstandsPatternsMeantToExplode) {
    forest f;
    std::string many = "#";
    std::string alternating = "#";
    for (int i = 0; i < 60; ++i) {
        many += ".a.#";
        alternating += i % 2 == 0 ? ".*.#" : ".a.#";
        f.add(binding_for(many, static_cast<std::uint32_t>(2 * i)));
        f.add(binding_for(alternating, static_cast<std::uint32_t>(2 * i + 1)));
    }
    std::string key = "a";
    for (int i = 1; i < 20'000; ++i) {
        key += ".a";
    }
    topic_match m;
    // 20,000 levels times some 180 states: milliseconds. Exponential growth would not end before the test's time limit.
    EXPECT_EQ(f.found(key, m).size(), 120U);
}

// What a publish may cost is known from the number of roaming nodes, whatever the patterns and the key.
TEST(TopicTree, AKeyLooksAtRoamingNodesOnceALevelAndAtFewOthers) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    constexpr std::uint64_t levels = 127;
    constexpr std::ptrdiff_t roaming_max = 300;
    // Deep ones, wide ones, and many that have no other wildcard.
    constexpr std::array<std::string_view, 4> deep{"#.a", "#.b", "#.a", "#.b.a"};
    constexpr std::array<std::string_view, 3> wide{"*", "a", "b"};
    constexpr std::array<std::string_view, 2> literal{"a", "b"};
    const auto chain = [&](std::string first, auto words, std::size_t count) {
        for (; count != 0; --count) {
            first.append(first.empty() ? "" : ".").append(words[random() % words.size()]);
        }
        return first;
    };
    for (int kind = 0; kind < 3; ++kind) {
        forest f;
        for (std::uint32_t i = 0; i < 3000; ++i) {
            const auto pattern = kind == 0   ? chain("", deep, 1 + random() % 60)
                                 : kind == 1 ? chain("#", wide, 1 + random() % 15)
                                             : chain("#", literal, 1 + random() % 100);
            const auto more = roaming_nodes_for(f.tree.get(), *parse_pattern(pattern));
            if (f.roaming + static_cast<std::ptrdiff_t>(more) <= roaming_max) {
                f.add(binding_for(pattern, i));
            }
        }
        EXPECT_GT(f.bindings.size(), 10U);
        topic_match m;
        for (const auto letters : {"a", "ab", "aab"}) {
            std::string key;
            for (std::uint64_t i = 0; i < levels; ++i) {
                key.append(i == 0 ? "" : ".").push_back(letters[i % std::string_view(letters).size()]);
            }
            static_cast<void>(f.found(key, m));
            // At a roaming node, its literal and its one-level child; of what has no other wildcard, one for each level
            // it may have begun at.
            const auto at_a_level = static_cast<std::uint64_t>(3 * f.roaming) + 3 * levels;
            EXPECT_LE(m.looks(), levels * at_a_level) << kind << ", key of " << letters;
            EXPECT_GT(m.looks(), levels) << kind << ", key of " << letters;
        }
    }
}

}  // namespace
}  // namespace linnet::core
