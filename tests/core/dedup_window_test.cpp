#include "broker/core/dedup_window.hpp"
#include "broker/core/keyed_hash.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

TEST(KeyedHash, GivesThePapersTestVectors) {
    // Key 00 01 .. 0f; texts of 0 and 15 bytes 00 01 ..: vectors_sip128 of the reference implementation.
    const hash_key key{0x0706'0504'0302'0100U, 0x0f0e'0d0c'0b0a'0908U};
    EXPECT_EQ(keyed_hash(key, ""), (fingerprint{0xe6a8'25ba'047f'81a3U, 0x9302'55c7'1472'f66dU}));
    std::string text;
    for (char c = 0; c < 15; ++c) {
        text.push_back(c);
    }
    EXPECT_EQ(keyed_hash(key, text), (fingerprint{0x11a8'b033'99e9'9354U, 0xd9c3'cf97'0fec'087eU}));
}

constexpr mono_ns start = 100 * ns_per_s;
constexpr wall_ns wall_start = 1'700'000'000 * ns_per_s;

// Takes it as a queue does. True: it is new.
bool take(dedup_window& w, std::string_view key, mono_ns now, log_position at = 0) {
    const auto f = w.hash(key);
    if (w.contains(f, now)) {
        return false;
    }
    w.add(f, now, at);
    return true;
}

TEST(DedupWindow, KnowsAKeyForExactlyItsWindow) {
    dedup_window w({10 * ns_per_s});
    EXPECT_TRUE(take(w, "a", start));
    EXPECT_FALSE(take(w, "a", start + ns_per_s));
    EXPECT_TRUE(take(w, "b", start + ns_per_s));
    EXPECT_FALSE(take(w, "a", start + 10 * ns_per_s - ns_per_ms)) << "a duplicate does not prolong it, nor end it";
    EXPECT_TRUE(take(w, "a", start + 10 * ns_per_s));
    EXPECT_FALSE(take(w, "b", start + 10 * ns_per_s));
    EXPECT_EQ(w.size(), 2U);
}

TEST(DedupWindow, ForgetsTheOldestBeyondItsLength) {
    dedup_window w({10 * ns_per_s, 3});
    for (const char* key : {"a", "b", "c", "d"}) {
        EXPECT_TRUE(take(w, key, start));
    }
    EXPECT_EQ(w.size(), 3U);
    EXPECT_FALSE(take(w, "b", start));
    EXPECT_TRUE(take(w, "a", start));
    w.set_limits({10 * ns_per_s, 1}, start);
    EXPECT_EQ(w.size(), 1U);
    EXPECT_FALSE(take(w, "a", start));
}

TEST(DedupWindow, AgreesWithAPlainModel) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 rng(seed);
    dedup_window w({500 * ns_per_ms, 700});
    std::map<std::string, mono_ns> model;
    std::deque<std::pair<std::string, mono_ns>> order;
    mono_ns now = start;
    for (int i = 0; i < 50'000; ++i) {
        now += static_cast<mono_ns>(rng() % 3) * ns_per_ms;
        if (rng() % 5000 == 0) {
            now += 40LL * 86'400 * ns_per_s;  // longer than the ring's clock can tell
        }
        while (!order.empty() && (now - order.front().second >= 500 * ns_per_ms)) {
            model.erase(order.front().first);
            order.pop_front();
        }
        const std::string key = std::to_string(rng() % 2000);
        const bool is_new = take(w, key, now);
        ASSERT_EQ(is_new, !model.contains(key)) << "step " << i;
        if (is_new) {
            if (order.size() == 700) {
                model.erase(order.front().first);
                order.pop_front();
            }
            model[key] = now;
            order.emplace_back(key, now);
        }
    }
}

TEST(DedupWindow, SurvivesByItsRecordsEvenWhenTheirSegmentsGo) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 rng(seed);
    for (int round = 0; round < 20; ++round) {
        const dedup_window::limits limits{60 * ns_per_s, 6000};
        dedup_window w(limits);
        std::map<log_position, std::vector<std::uint8_t>> log;
        log_position end = 64;
        const auto append = [&](std::span<const std::uint8_t> r) {
            log.emplace(end, std::vector<std::uint8_t>(r.begin(), r.end()));
            return std::exchange(end, end + r.size());
        };
        mono_ns now = start;
        std::vector<std::uint8_t> record;
        std::vector<std::pair<std::string, mono_ns>> taken;
        for (int i = 0; i < 10'000; ++i) {
            now += static_cast<mono_ns>(rng() % 20) * ns_per_ms;
            std::string key = "key-" + std::to_string(i);
            const auto f = w.hash(key);
            ASSERT_FALSE(w.contains(f, now));
            if (rng() % 50 == 0) {
                w.add(f, now);  // transient: not recorded
                continue;
            }
            w.write_record(f, wall_start + now, record);
            w.add(f, now, append(record));
            taken.emplace_back(std::move(key), now);
            if (rng() % 500 == 0) {
                const log_position keep = end - std::min<log_position>(end, rng() % 200'000);
                w.before_drop(keep, now, wall_start + now, append);
                log.erase(log.begin(), log.lower_bound(keep));
            }
        }
        dedup_window back(limits);
        for (const auto& [at, bytes] : log) {
            ASSERT_TRUE(back.on_record(bytes, at));
        }
        // The process was down for a while, and its clock started anew.
        const wall_ns wall = wall_start + now + 7 * ns_per_s;
        const mono_ns fresh = 3 * ns_per_s;
        back.recovered(fresh, wall);
        std::size_t known = 0;
        for (const auto& [key, at] : taken) {
            if (w.contains(w.hash(key), now)) {
                const bool still = wall - (wall_start + at) < limits.window;
                ASSERT_EQ(back.contains(back.hash(key), fresh), still) << key;
                known += still ? 1 : 0;
            }
        }
        ASSERT_GT(known, 0U);
        EXPECT_LE(back.size(), w.size());
    }
}

TEST(DedupWindow, WithoutKeysThereIsNothingToRecord) {
    dedup_window w({10 * ns_per_s});
    // Its last key goes within the millisecond before all of them would.
    const mono_ns now = start + ns_per_ms - 1;
    ASSERT_TRUE(take(w, "a", now, 100));
    const mono_ns then = start + 10 * ns_per_s;
    int recorded = 0;
    log_position end = 1000;
    const auto append = [&](std::span<const std::uint8_t>) {
        if (++recorded > 10) {
            throw std::runtime_error("records without end");
        }
        return end += 100;
    };
    for (const log_position keep : {500U, 1500U, 2500U}) {
        w.before_drop(keep, then, wall_start + then, append);
    }
    EXPECT_EQ(w.size(), 0U);
    EXPECT_EQ(recorded, 0);
}

TEST(DedupWindow, RefusesWhatIsNoRecordOfKeys) {
    dedup_window w({ns_per_s});
    EXPECT_FALSE(w.on_record(std::vector<std::uint8_t>(15), 64));
    EXPECT_FALSE(w.on_record(std::vector<std::uint8_t>(17), 64));
    EXPECT_TRUE(w.on_record(std::vector<std::uint8_t>(16), 64));
}

TEST(DedupWindow, CostsLittleAKey) {
    dedup_window w({3600 * ns_per_s});
    for (int i = 0; i < 400'000; ++i) {
        take(w, std::to_string(i), start + i * 1000);
    }
    EXPECT_LE(w.footprint() / w.size(), 30U);
}

}  // namespace
}  // namespace linnet::core
