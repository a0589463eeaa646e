#include "broker/core/group_lines.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace linnet::core {
namespace {

constexpr consumer_id first{1};
constexpr consumer_id second{2};
constexpr auto anyone = [](consumer_id) { return true; };
constexpr auto only(consumer_id c) {
    return [c](consumer_id asked) { return asked == c; };
}

queue_item item(position pos, mono_ns deadline = 0) {
    queue_item i;
    i.pos = pos;
    i.deadline = deadline;
    return i;
}

TEST(GroupLines, GivesAKeyToOneConsumerUntilAllIsSettled) {
    group_lines g;
    g.attach(first);
    g.attach(second);
    g.add(7, item(1));
    g.add(7, item(2));
    ASSERT_EQ(g.take(only(first))->item.pos, 1U);
    EXPECT_FALSE(g.take(only(second)));
    EXPECT_TRUE(g.lent_is_done(1));
    EXPECT_FALSE(g.take(only(second))) << "something is still ready: it stays";
    ASSERT_EQ(g.take(only(first))->item.pos, 2U);
    g.add(7, item(3));
    EXPECT_FALSE(g.take(only(second))) << "something is still lent";
    EXPECT_EQ(g.take(only(first))->item.pos, 3U);
    EXPECT_TRUE(g.lent_is_done(2));
    EXPECT_TRUE(g.lent_is_done(3));
    EXPECT_FALSE(g.lent_is_done(3));
    EXPECT_EQ(g.keys(), 0U) << "a key without messages costs nothing";
    g.add(7, item(4));
    EXPECT_EQ(g.take(only(second))->item.pos, 4U);
}

TEST(GroupLines, LetsOtherKeysPassABlockedOne) {
    group_lines g;
    g.attach(first);
    g.attach(second);
    g.add(7, item(1));
    g.add(7, item(2));
    g.add(8, item(3));
    ASSERT_EQ(g.take(only(first))->item.pos, 1U);
    EXPECT_EQ(g.take(only(second))->item.pos, 3U);
}

TEST(GroupLines, SharesNewKeysOut) {
    group_lines g;
    g.attach(first);
    g.attach(second);
    for (position p = 1; p <= 10; ++p) {
        g.add(p, item(p));
        ASSERT_TRUE(g.take(anyone));
    }
    EXPECT_EQ(g.keys_of(first), 5U);
    EXPECT_EQ(g.keys_of(second), 5U);
}

TEST(GroupLines, KeepsAKeyBackUntilAGoneConsumersMessagesAreBack) {
    group_lines g;
    g.attach(first);
    for (position p = 1; p <= 4; ++p) {
        g.add(7, item(p));
    }
    ASSERT_TRUE(g.take(anyone));
    ASSERT_TRUE(g.take(anyone));
    g.detach(first);
    g.attach(second);
    EXPECT_FALSE(g.take(anyone));
    g.give_back(item(2));
    EXPECT_FALSE(g.take(anyone));
    EXPECT_EQ(g.ready(), 3U);
    g.give_back(item(1));
    for (position p = 1; p <= 4; ++p) {
        EXPECT_EQ(g.take(anyone)->item.pos, p);
    }
}

TEST(GroupLines, GivesANewConsumerItsShare) {
    group_lines g;
    g.attach(first);
    for (position p = 1; p <= 4; ++p) {
        g.add(p, item(p));
        ASSERT_TRUE(g.take(anyone));
        g.add(p, item(10 + p));
    }
    g.attach(second);
    EXPECT_FALSE(g.take(only(second))) << "all of them are out";
    for (position p = 1; p <= 4; ++p) {
        g.lent_is_done(p);
    }
    int mine = 0;
    while (g.take(only(second))) {
        ++mine;
    }
    EXPECT_EQ(mine, 2);
    EXPECT_EQ(g.keys_of(first), 2U);
}

TEST(GroupLines, HoldsAKeyBackWhileOneWaitsForARetry) {
    group_lines g;
    g.attach(first);
    g.add(7, item(1));
    g.add(7, item(2));
    g.add(8, item(3));
    ASSERT_TRUE(g.take(anyone));
    g.hold_back(1);
    EXPECT_EQ(g.take(anyone)->item.pos, 3U);
    EXPECT_FALSE(g.take(anyone));
    g.give_back(item(1));
    EXPECT_EQ(g.take(anyone)->item.pos, 1U);
    EXPECT_EQ(g.take(anyone)->item.pos, 2U);
}

TEST(GroupLines, HoldsAKeyBackWhoseMessageWaitedBeforeTheStart) {
    group_lines g;
    g.attach(first);
    g.hold(7, 1);
    g.add(7, item(2));
    g.add(8, item(3));
    EXPECT_EQ(g.take(anyone)->item.pos, 3U);
    EXPECT_FALSE(g.take(anyone));
    g.give_back(item(1));
    EXPECT_EQ(g.take(anyone)->item.pos, 1U);
    EXPECT_EQ(g.take(anyone)->item.pos, 2U);
}

TEST(GroupLines, AreFullBeforeAWholeQueueIsInThem) {
    group_lines g;
    position pos = 1;
    while (!g.is_full()) {
        g.add(7, item(pos++));
        ASSERT_LT(pos, 1'000'000U);
    }
    static_cast<void>(g.take_oldest());
    EXPECT_FALSE(g.is_full());
}

TEST(GroupLines, FindsTheOldestAndTheExpiredAnywhere) {
    group_lines g;
    g.attach(first);
    g.add(7, item(1));
    g.add(7, item(2, 50));
    g.add(8, item(3, 40));
    ASSERT_TRUE(g.take(anyone));
    g.hold_back(1);
    EXPECT_EQ(g.oldest()->pos, 2U);
    EXPECT_EQ(g.next_deadline(), 40);
    EXPECT_FALSE(g.take_expired(39));
    EXPECT_EQ(g.take_expired(60)->pos, 3U);
    EXPECT_EQ(g.take_oldest()->pos, 2U);
    EXPECT_FALSE(g.take_oldest());
    EXPECT_EQ(g.next_deadline(), 0);
    EXPECT_TRUE(g.lent_is_done(1));
    EXPECT_EQ(g.keys(), 0U);
}

TEST(GroupLines, BlocksTheKeyOfAMessageThatWasFetched) {
    group_lines g;
    g.attach(first);
    g.add(7, item(1));
    g.add(7, item(2));
    EXPECT_EQ(g.take_free()->pos, 1U);
    EXPECT_FALSE(g.take_free());
    EXPECT_FALSE(g.take(anyone));
    EXPECT_TRUE(g.lent_is_done(1));
    EXPECT_EQ(g.take(anyone)->item.pos, 2U);
}

// What may never happen, whatever the order of events: two consumers with messages of one key, a message that overtakes
// an older one of its key, one lent twice or lost, one that nobody may have though somebody could.
class group_model {
public:
    explicit group_model(std::uint64_t seed) : rng_(seed) {}

    void step() {
        switch (rng_() % 12) {
            case 0: come(); break;
            case 1: go(); break;
            case 2:
            case 3:
            case 4: add(); break;
            case 5: requeue(); break;
            case 6: drop(); break;
            case 7:
            case 8:
            case 9: settle(); break;
            default: lend(); break;
        }
        check();
    }
    void finish() {
        come();
        for (int rounds = 0; rounds < 100'000 && !(ready_.empty() && lent_.empty()); ++rounds) {
            lend();
            settle();
            return_of_the_gone();
        }
        EXPECT_TRUE(ready_.empty());
        EXPECT_TRUE(lent_.empty());
        EXPECT_EQ(g_.keys(), 0U);
    }

private:
    struct out {
        consumer_id to;
        bool held = false;
    };

    void come() {
        if (consumers_.size() < 5) {
            const consumer_id c{next_consumer_++};
            consumers_.push_back(c);
            g_.attach(c);
        }
    }
    void go() {
        if (consumers_.empty()) {
            return;
        }
        const auto at = consumers_.begin() + static_cast<std::ptrdiff_t>(rng_() % consumers_.size());
        g_.detach(*at);
        consumers_.erase(at);
        if (rng_() % 2 == 0) {
            return_of_the_gone();
        }
    }
    // What consumers that are gone still had comes back, in any order.
    void return_of_the_gone() {
        std::vector<position> back;
        for (const auto& [pos, o] : lent_) {
            if (std::ranges::find(consumers_, o.to) == consumers_.end()) {
                back.push_back(pos);
            }
        }
        std::ranges::shuffle(back, rng_);
        for (const position pos : back) {
            give_back(pos);
        }
    }
    void add() {
        const position pos = next_position_++;
        const group_lines::key k = rng_() % 6;
        key_[pos] = k;
        ready_[k].insert(pos);
        g_.add(k, item(pos));
    }
    void lend() {
        std::set<std::uint64_t> able;
        for (const auto c : consumers_) {
            if (rng_() % 3 != 0) {
                able.insert(c.value);
            }
        }
        const auto got = g_.take([&](consumer_id c) { return able.contains(c.value); });
        if (!got) {
            // Nobody's message was left lying though everybody could take: each key with something ready is taken.
            if (able.size() == consumers_.size() && !consumers_.empty()) {
                for (const auto& [k, positions] : ready_) {
                    EXPECT_TRUE(positions.empty() || blocked(k)) << "key " << k << " lies idle";
                }
            }
            return;
        }
        EXPECT_TRUE(able.contains(got->to.value));
        const position pos = got->item.pos;
        const auto k = key_.at(pos);
        ASSERT_FALSE(ready_[k].empty());
        EXPECT_EQ(*ready_[k].begin(), pos) << "the oldest of its key goes first";
        for (const auto& [other, o] : lent_) {
            EXPECT_TRUE(key_.at(other) != k || o.to == got->to) << "two consumers with key " << k;
            EXPECT_TRUE(key_.at(other) != k || !o.held) << "passed one that waits";
        }
        erase_ready(k, pos);
        lent_[pos] = {got->to};
    }
    [[nodiscard]] bool blocked(group_lines::key k) const {
        return std::ranges::any_of(lent_, [&](const auto& l) { return key_.at(l.first) == k; });
    }
    [[nodiscard]] position any_lent() {
        auto at = lent_.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(rng_() % lent_.size()));
        return at->first;
    }
    void settle() {
        if (!lent_.empty()) {
            const position pos = any_lent();
            EXPECT_TRUE(g_.lent_is_done(pos));
            lent_.erase(pos);
        }
    }
    void requeue() {
        if (lent_.empty()) {
            return;
        }
        const position pos = any_lent();
        if (rng_() % 3 == 0) {
            g_.hold_back(pos);
            lent_[pos].held = true;
            lent_[pos].to = consumer_id{};
        } else {
            give_back(pos);
        }
    }
    void give_back(position pos) {
        g_.give_back(item(pos));
        ready_[key_.at(pos)].insert(pos);
        lent_.erase(pos);
    }
    void drop() {
        if (const auto i = g_.take_oldest()) {
            position least = i->pos;
            for (const auto& [k, positions] : ready_) {
                least = positions.empty() ? least : std::min(least, *positions.begin());
            }
            EXPECT_EQ(i->pos, least);
            erase_ready(key_.at(i->pos), i->pos);
        }
    }
    void erase_ready(group_lines::key k, position pos) {
        ready_[k].erase(pos);
        if (ready_[k].empty()) {
            ready_.erase(k);
        }
    }
    void check() {
        std::size_t ready = 0;
        std::set<group_lines::key> keys;
        for (const auto& [k, positions] : ready_) {
            ready += positions.size();
            keys.insert(k);
        }
        for (const auto& [pos, o] : lent_) {
            keys.insert(key_.at(pos));
        }
        EXPECT_EQ(g_.ready(), ready);
        EXPECT_EQ(g_.keys(), keys.size());
    }

    std::mt19937_64 rng_;
    group_lines g_;
    std::vector<consumer_id> consumers_;
    std::map<position, group_lines::key> key_;
    std::map<group_lines::key, std::set<position>> ready_;
    std::map<position, out> lent_;
    position next_position_ = 1;
    std::uint64_t next_consumer_ = 1;
};

TEST(GroupLines, KeepsItsPromisesInAnyOrderOfEvents) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    for (std::uint64_t round = 0; round < 200 && !HasFailure(); ++round) {
        group_model m(seed + round);
        for (int i = 0; i < 500 && !HasFailure(); ++i) {
            m.step();
        }
        m.finish();
    }
}

}  // namespace
}  // namespace linnet::core
