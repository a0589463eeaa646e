#include "broker/core/queue_index.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <unordered_map>
#include <vector>

namespace linnet::core {
namespace {

class memory_swap final : public chunk_swap {
public:
    explicit memory_swap(std::uint64_t budget) : chunk_swap(budget) {}
    ticket save(std::span<const std::uint8_t> bytes) override {
        if (full) {
            return none;
        }
        kept_[++last_].assign(bytes.begin(), bytes.end());
        return last_;
    }
    void load(ticket t, std::span<std::uint8_t> into) override {
        ASSERT_EQ(kept_.at(t).size(), into.size());
        std::ranges::copy(kept_.at(t), into.begin());
        kept_.erase(t);
    }
    void forget(ticket t) noexcept override { kept_.erase(t); }
    [[nodiscard]] std::size_t size() const { return kept_.size(); }
    bool full = false;

private:
    std::unordered_map<ticket, std::vector<std::uint8_t>> kept_;
    ticket last_ = 0;
};

index_entry entry(position pos, entry_state s = entry_state::paged) {
    index_entry e;
    e.pos = pos;
    e.where = {1000 + pos * 200, 200, 200};
    e.body_bytes = 100;
    e.state = s;
    return e;
}

double bytes_each(const queue_index& x) { return static_cast<double>(x.bytes()) / static_cast<double>(x.size()); }

TEST(QueueIndex, TakesSeventeenBytesAMessage) {
    queue_index x;
    for (position p = 1; p <= 100'000; ++p) {
        x.add(entry(p));
    }
    EXPECT_LE(bytes_each(x), 17.5);
}

TEST(QueueIndex, TakesLessThanTwentyFourWithDeadlines) {
    queue_index x;
    for (position p = 1; p <= 100'000; ++p) {
        auto e = entry(p);
        e.deadline = static_cast<mono_ns>(p) * ns_per_ms;
        x.add(e);
    }
    EXPECT_LE(bytes_each(x), 23.5);
    EXPECT_EQ(x.get(*x.find(77)).deadline, 77 * ns_per_ms);
}

TEST(QueueIndex, AShortQueueTakesLittle) {
    queue_index x;
    for (position p = 1; p <= 100; ++p) {
        x.add(entry(p));
    }
    EXPECT_LE(bytes_each(x), 26);
}

TEST(QueueIndex, GivesItsMemoryBack) {
    queue_index x;
    for (position p = 1; p <= 10'000; ++p) {
        x.add(entry(p));
    }
    for (position p = 1; p <= 10'000; ++p) {
        x.erase(*x.find(p));
    }
    EXPECT_TRUE(x.empty());
    EXPECT_LE(x.bytes(), 2000U);  // a small chunk, for the next one
}

// One of a hundred stays for ever: what surrounded it goes.
TEST(QueueIndex, WhatStaysHoldsNoChunks) {
    queue_index x;
    for (position p = 1; p <= 100'000; ++p) {
        x.add(entry(p));
    }
    for (position p = 1; p <= 100'000; ++p) {
        if (p % 100 != 0) {
            x.erase(*x.find(p));
        }
    }
    EXPECT_EQ(x.size(), 1000U);
    EXPECT_LE(x.bytes(), 1000U * 50);
}

TEST(QueueIndex, AQueueThatStaysShortReusesItsChunk) {
    queue_index x;
    std::uint64_t most = 0;
    for (position p = 1; p <= 100'000; ++p) {
        x.add(entry(p));
        if (p > 3) {
            x.erase(*x.find(p - 3));
        }
        most = std::max(most, x.bytes());
    }
    EXPECT_LE(most, 2000U);
}

TEST(QueueIndex, DeepChunksGoToTheSwapAndComeBack) {
    memory_swap swap(100'000);
    {
        queue_index x(&swap);
        for (position p = 1; p <= 100'000; ++p) {
            x.add(entry(p));
        }
        EXPECT_LE(x.bytes(), 130'000U);
        EXPECT_GT(swap.size(), 80U);
        EXPECT_EQ(swap.size(), x.swapped_chunks());
        for (position p = 1; p <= 100'000; ++p) {
            const auto at = x.next_paged(p);
            ASSERT_TRUE(at);
            ASSERT_EQ(x.get(*at).pos, p);
            ASSERT_EQ(x.get(*at).where.at, 1000 + p * 200);
            ASSERT_LE(x.bytes(), 150'000U);
            if (p % 2 == 0) {
                x.erase(*at);
            }
        }
        EXPECT_EQ(x.size(), 50'000U);
    }
    EXPECT_EQ(swap.size(), 0U);
    EXPECT_EQ(swap.held_bytes(), 0U);
}

TEST(QueueIndex, WithoutRoomInTheSwapChunksStay) {
    memory_swap swap(10'000);
    swap.full = true;
    queue_index x(&swap);
    for (position p = 1; p <= 20'000; ++p) {
        x.add(entry(p));
    }
    EXPECT_EQ(x.swapped_chunks(), 0U);
    EXPECT_EQ(x.get(*x.find(9999)).where.at, 1000 + 9999U * 200);
}

TEST(QueueIndex, ASweepSeesEachEntryOnceWhileChunksGo) {
    queue_index x;
    for (position p = 1; p <= 20'000; ++p) {
        x.add(entry(p));
    }
    position next = 3000;
    x.sweep(3000, 15'000, [&](const index_entry& e) {
        EXPECT_EQ(e.pos, next++);
        return true;
    });
    EXPECT_EQ(next, 15'000U);
    EXPECT_EQ(x.size(), 8000U);
    next = 1;
    x.sweep(0, 20'001, [&](const index_entry& e) {
        EXPECT_EQ(e.pos, next);
        next = next == 2999 ? 15'000 : next + 1;
        return true;
    });
    EXPECT_TRUE(x.empty());
    EXPECT_FALSE(x.next_paged(0));
    x.add(entry(20'001));
    EXPECT_EQ(x.get(*x.next_paged(0)).pos, 20'001U);
}

// Against a map: additions at the end and, as recovery makes them, in the middle; every change; every question.
TEST(QueueIndex, DoesWhatAMapDoes) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    memory_swap swap(30'000);
    queue_index x(&swap);
    std::map<position, index_entry> model;
    position last = 0;
    log_position at = 1000;
    const auto fresh = [&](position pos) {
        index_entry e = entry(pos, random() % 4 != 0 ? entry_state::paged : entry_state::resident);
        const auto bytes = static_cast<std::uint32_t>(100 + random() % 1000);
        e.where = {at += 2000, bytes, random() % 50 == 0 ? bytes / 2 : bytes};
        e.deadline = random() % 40 == 0 ? static_cast<mono_ns>(1 + random() % 100'000) * ns_per_ms : 0;
        e.fleeting = random() % 3 == 0;
        return e;
    };
    for (int i = 0; i < 200'000 && !testing::Test::HasFailure(); ++i) {
        const auto what = random() % 100;
        if (what < 55) {
            last += random() % 200 == 0 ? 70'000 : 1 + random() % 3;
            model[last] = fresh(last);
            x.add(model[last]);
        } else if (what < 60) {
            const position pos = 1 + random() % (last + 1);
            if (!model.contains(pos)) {
                last = std::max(last, pos);
                model[pos] = fresh(pos);
                x.add(model[pos]);
            }
        } else if (!model.empty()) {
            // Most go at the front; now and then all of them from somewhere in the middle to the end.
            auto one = model.lower_bound(what < 80 ? 0 : random() % (last + 1));
            if (random() % 20'000 == 0) {
                while (one != model.end()) {
                    x.erase(*x.find(one->first));
                    one = model.erase(one);
                }
                continue;
            }
            one = one == model.end() ? model.begin() : one;
            const auto p = x.find(one->first);
            ASSERT_TRUE(p);
            if (what < 85) {
                x.erase(*p);
                model.erase(one);
            } else if (what < 92) {
                one->second.state = one->second.state == entry_state::paged ? entry_state::lent : entry_state::paged;
                x.set_state(*p, one->second.state);
            } else if (what < 96) {
                one->second.where = {at += 2000, 300, 100};
                x.set_where(*p, one->second.where);
            } else {
                one->second.delivery_count = 1 + static_cast<std::uint32_t>(random() % 100'000);
                one->second.redelivered = true;
                x.set_attempts(*p, one->second.delivery_count, true);
            }
        }
        const position from = random() % (last + 2);
        auto next = model.lower_bound(from);
        while (next != model.end() && next->second.state != entry_state::paged) {
            ++next;
        }
        const auto found = x.next_paged(from);
        ASSERT_EQ(found.has_value(), next != model.end());
        if (found) {
            const auto e = x.get(*found);
            EXPECT_EQ(e.pos, next->first);
            EXPECT_EQ(e.where.at, next->second.where.at);
            EXPECT_EQ(e.where.bytes, next->second.where.bytes);
            EXPECT_EQ(e.where.share, next->second.where.share);
            EXPECT_EQ(e.deadline, next->second.deadline);
            EXPECT_EQ(e.delivery_count, next->second.delivery_count);
            EXPECT_EQ(e.redelivered, next->second.redelivered);
            EXPECT_EQ(e.fleeting, next->second.fleeting);
        }
        EXPECT_EQ(x.size(), model.size());
    }
    auto expected = model.begin();
    x.sweep(0, last + 1, [&](const index_entry& e) {
        EXPECT_EQ(e.pos, (expected++)->first);
        return e.pos % 2 == 0;
    });
    EXPECT_EQ(expected, model.end());
    std::erase_if(model, [](const auto& e) { return e.first % 2 == 0; });
    EXPECT_EQ(x.size(), model.size());
}

}  // namespace
}  // namespace linnet::core
