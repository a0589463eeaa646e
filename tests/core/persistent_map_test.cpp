#include "broker/core/persistent_map.hpp"

#include "broker/core/text_hash.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

struct entry : counted {
    std::uint64_t hash;
    std::string key;
    int number;

    entry(std::uint64_t h, std::string k, int n) : hash(h), key(std::move(k)), number(n) {}
    [[nodiscard]] bool is(std::string_view k) const noexcept { return key == k; }
    [[nodiscard]] bool same(const entry& other) const noexcept { return key == other.key; }
};

using map = persistent_map<entry>;
using model = std::map<std::string, int>;
using hash_function = std::uint64_t (*)(std::string_view);

[[nodiscard]] model contents(const map& m) {
    model found;
    m.for_each([&](const entry& e) { EXPECT_TRUE(found.emplace(e.key, e.number).second) << e.key; });
    return found;
}

void expect_same(const map& m, const model& expected, hash_function hash) {
    EXPECT_EQ(contents(m), expected);
    for (const auto& [key, number] : expected) {
        const entry* e = m.find(hash(key), std::string_view(key));
        ASSERT_NE(e, nullptr) << key;
        EXPECT_EQ(e->number, number) << key;
    }
}

// Random edits; every twentieth version is kept and must still say what it said, when all edits are done.
void run_against_model(hash_function hash, int keys, int steps) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const auto before = census_of_this_thread().live();
    {
        map m;
        model expected;
        std::vector<std::pair<map, model>> kept;
        for (int step = 0; step < steps; ++step) {
            const std::string key = "k" + std::to_string(random() % static_cast<unsigned>(keys));
            const auto h = hash(key);
            switch (random() % 4) {
                case 0: EXPECT_EQ(m.erase(h, std::string_view(key)), expected.erase(key) == 1) << key; break;
                case 1: {
                    entry* e = m.own(h, std::string_view(key));
                    ASSERT_EQ(e != nullptr, expected.contains(key)) << key;
                    if (e != nullptr) {
                        e->number = step;
                        expected[key] = step;
                    }
                    break;
                }
                default: m.put(make_node<entry>(h, key, step)); expected[key] = step;
            }
            EXPECT_EQ(m.find(h, std::string_view(key)) != nullptr, expected.contains(key)) << key;
            if (step % 20 == 0) {
                kept.emplace_back(m, expected);
            }
        }
        expect_same(m, expected, hash);
        for (const auto& [version, said] : kept) {
            expect_same(version, said, hash);
        }
    }
    EXPECT_EQ(census_of_this_thread().live(), before) << "nodes leaked";
}

TEST(PersistentMap, AgreesWithAModelAndKeepsOldVersions) { run_against_model(text_hash, 300, 4'000); }

TEST(PersistentMap, AgreesWithAModelWhenAllHashesCollide) {
    run_against_model([](std::string_view) -> std::uint64_t { return 7; }, 40, 2'000);
}

TEST(PersistentMap, AgreesWithAModelWhenHashesDifferInTheirHighestBitsOnly) {
    run_against_model([](std::string_view key) { return text_hash(key) << 62; }, 60, 2'000);
}

TEST(PersistentMap, AgreesWithAModelWhenHashesShareLongPrefixes) {
    run_against_model([](std::string_view key) { return (text_hash(key) % 5) << 35; }, 60, 2'000);
}

TEST(PersistentMap, AnEmptyOrSingleMapHasNoInnerNode) {
    const auto before = census_of_this_thread().live();
    map m;
    EXPECT_TRUE(m.empty());
    m.put(make_node<entry>(1, "one", 1));
    EXPECT_EQ(census_of_this_thread().live(), before + 1);
    m.erase(1, std::string_view("one"));
    EXPECT_TRUE(m.empty());
    EXPECT_EQ(census_of_this_thread().live(), before);
}

TEST(PersistentMap, APutBesideAnotherVersionCopiesOnlyThePath) {
    map m;
    for (int i = 0; i < 100'000; ++i) {
        const std::string key = std::to_string(i);
        m.put(make_node<entry>(text_hash(key), key, i));
    }
    const map other = m;
    const auto before = census_of_this_thread().made;
    m.put(make_node<entry>(text_hash("new"), "new", 1));
    // log32(100,000) is 3.3: the leaf, and the few nodes above it.
    EXPECT_LE(census_of_this_thread().made - before, 7U);
    EXPECT_EQ(other.count(), 100'000U);
    EXPECT_EQ(m.count(), 100'001U);
}

TEST(PersistentMap, WhatOnlyOneVersionReachesIsChangedInPlace) {
    map m;
    for (int i = 0; i < 1'000; ++i) {
        const std::string key = std::to_string(i);
        m.put(make_node<entry>(text_hash(key), key, i));
    }
    const auto before = census_of_this_thread().made;
    m.own(text_hash("77"), std::string_view("77"))->number = -1;
    EXPECT_EQ(census_of_this_thread().made, before);
}

TEST(TextHash, SpreadsSimilarNamesEvenly) {
    // 32 buckets of the first level: 32,000 names; each bucket within a tenth of its thousand... 5 sigma.
    for (const unsigned shift : {0U, 5U, 30U, 59U}) {
        std::vector<int> buckets(32);
        for (int i = 0; i < 32'000; ++i) {
            ++buckets[(text_hash("queue-" + std::to_string(i)) >> shift) & 31];
        }
        for (const int n : buckets) {
            EXPECT_NEAR(n, 1'000, 160) << "shift " << shift;
        }
    }
}

TEST(TextHash, DiffersForEveryByteAndLength) {
    std::map<std::uint64_t, std::string> seen;
    std::string text;
    for (int length = 0; length < 70; ++length) {
        EXPECT_TRUE(seen.emplace(stable_hash(text), text).second);
        for (std::size_t i = 0; i < text.size(); ++i) {
            std::string other = text;
            other[i] = 'b';
            EXPECT_TRUE(seen.emplace(stable_hash(other), other).second) << other;
        }
        text += 'a';
    }
}

// Broken off after every few leaves, in another version each time.
void walk_in_pieces(hash_function hash, int keys) {
    map m;
    for (int i = 0; i < keys; ++i) {
        const auto key = "k" + std::to_string(i);
        m.put(make_node<entry>(hash(key), key, i));
    }
    std::optional<std::uint64_t> last;
    model seen;
    int others = 0;
    for (bool over = false; !over;) {
        over = true;
        int left = 3;
        m.for_each_behind(last, [&](const entry& e) {
            if (left-- <= 0) {
                over = false;
            }
            if (left >= 0 || last == e.hash) {
                EXPECT_TRUE(!e.key.starts_with("k") || seen.emplace(e.key, e.number).second) << e.key << " twice";
                last = e.hash;
            }
            return over;
        });
        // Others come and go meanwhile.
        const auto fresh = "other" + std::to_string(others++);
        m.put(make_node<entry>(hash(fresh), fresh, 0));
        if (others % 2 == 0) {
            const auto gone = "other" + std::to_string(others / 2);
            m.erase(hash(gone), std::string_view(gone));
        }
        ASSERT_LT(others, 10 * keys + 10);
    }
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(keys));
}

TEST(PersistentMap, IsWalkedInPiecesAcrossVersions) {
    for (const int keys : {0, 1, 2, 40, 2000}) {
        walk_in_pieces(text_hash, keys);
    }
    // Few hashes: long ways down, and whole buckets of one.
    walk_in_pieces([](std::string_view k) { return std::uint64_t{text_hash(k) & 0x8000'0000'0000'001fULL}; }, 40);
}

}  // namespace
}  // namespace linnet::core
