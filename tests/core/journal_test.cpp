#include "broker/core/journal.hpp"

#include "broker/core/death_log.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/record_codec.hpp"
#include "broker/core/segment_account.hpp"
#include "broker/store/memory_log.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {
namespace {

constexpr std::uint64_t segment_bytes = 64 * 1024;

[[nodiscard]] std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] std::string text_of(std::span<const std::uint8_t> b) { return {b.begin(), b.end()}; }

// Keeps what it is told; as much of a queue as a journal sees.
class fake_owner final : public record_owner {
public:
    explicit fake_owner(owner_uid uid) : uid_(uid) {}

    [[nodiscard]] record_range place_of(position pos) const override {
        const auto found = held.find(pos);
        return found == held.end() ? record_range{} : record_range{found->second.at, found->second.bytes};
    }
    [[nodiscard]] std::uint32_t attempts(position pos) const override {
        const auto found = counts.find(pos);
        return found == counts.end() ? 0 : found->second;
    }
    void on_moved(position pos, const stored_ref& to) override {
        held[pos] = to;
        ++moves;
    }
    void on_fetched(position pos, message_ptr m) override { fetched.emplace_back(pos, std::move(m)); }
    void on_recovered(const recovered_message& m) override {
        release(m.pos);
        held[m.pos] = m.where;
        counts[m.pos] = m.attempts;
        last = m;
    }
    void on_recovered_settled(position first, std::uint64_t count) override {
        const auto end = held.lower_bound(first + count);
        for (auto at = held.lower_bound(first); at != end;) {
            home->release(at->second);
            at = held.erase(at);
        }
    }
    void on_recovered_attempts(position pos, std::uint32_t attempts) override { counts[pos] = attempts; }
    [[nodiscard]] bool on_dropping(log_position keep) override {
        dropping.push_back(keep);
        return dropping.size() >= turns_to_save;
    }

    void settle(position pos) {
        const journal::run one{pos, 1};
        home->record_settled(uid_, {&one, 1});
        release(pos);
    }
    void release(position pos) {
        if (const auto found = held.find(pos); found != held.end()) {
            home->release(found->second);
            held.erase(found);
        }
    }

    journal* home = nullptr;
    std::map<position, stored_ref> held;
    std::map<position, std::uint32_t> counts;
    std::vector<std::pair<position, message_ptr>> fetched;
    recovered_message last;
    int moves = 0;
    std::vector<log_position> dropping;
    std::size_t turns_to_save = 1;

private:
    owner_uid uid_;
};

// A journal with two owners over a log in memory, and a second life over what that log has.
class JournalTest : public ::testing::Test {
protected:
    JournalTest() { message_pool::enter(&pool); }
    ~JournalTest() override {
        one.fetched.clear();
        two.fetched.clear();
        j.reset();
        message_pool::enter(nullptr);
    }

    [[nodiscard]] journal::owner_finder finder() {
        return [this](owner_uid uid) -> record_owner* {
            return uid == 1 ? &one : uid == 2 || uid == (fleeting_owner | 2) ? &two : nullptr;
        };
    }
    void start() {
        j = std::make_unique<journal>(log, pool, finder());
        one.home = two.home = j.get();
    }
    // Everything that has become durable, read as at a start.
    void start_again() {
        one.held.clear();
        two.held.clear();
        one.counts.clear();
        two.counts.clear();
        j = std::make_unique<journal>(pool, finder());
        one.home = two.home = j.get();
        log.scan(0, [this](const log_record& r) {
            j->replay(r);
            return true;
        });
        j->open(log);
    }
    [[nodiscard]] message_ptr message(std::string_view body, std::string_view key = "key") {
        return make_message(pool, "exchange", key, bytes_of("properties"), bytes_of(body), {.persistent = true});
    }
    void store(fake_owner& o, owner_uid uid, position pos, std::string_view body) {
        const message_place place{uid, pos, 0};
        o.held[pos] = j->record_message(*message(body), 5, {&place, 1});
    }
    std::vector<std::uint64_t> turn() {
        std::vector<std::uint64_t> told;
        j->flush();
        static_cast<void>(j->poll([&](const durable_waiter& w) { told.push_back(w.sequence); }));
        return told;
    }
    void wait_for(std::uint64_t sequence) {
        durable_waiter w;
        w.sequence = sequence;
        j->wait(w);
    }

    message_pool pool{shard_id{0}};
    store::memory_log log{segment_bytes};
    fake_owner one{1};
    fake_owner two{2};
    std::unique_ptr<journal> j;
};

TEST_F(JournalTest, CallsWaitersInOrderOnceWhatPrecedesThemIsDurable) {
    start();
    log.hold();
    store(one, 1, 1, "a");
    wait_for(1);
    store(one, 1, 2, "b");
    wait_for(2);
    EXPECT_TRUE(turn().empty());
    EXPECT_TRUE(j->waiting());
    log.release();
    EXPECT_EQ(turn(), (std::vector<std::uint64_t>{1, 2}));
    EXPECT_FALSE(j->waiting());
    wait_for(3);
    EXPECT_EQ(turn(), std::vector<std::uint64_t>{3})
        << "nothing recorded since: durable already, told by the next poll";
}

TEST_F(JournalTest, KeepsSilentWhenTheLogHasFailed) {
    start();
    store(one, 1, 1, "a");
    wait_for(1);
    log.set_health(log_health::failed, "the disk has gone");
    EXPECT_TRUE(turn().empty());
    EXPECT_TRUE(turn().empty());
}

TEST_F(JournalTest, BringsAMessageBackAsItWas) {
    start();
    message_builder b;
    const message_traits traits{true, 7, protocol_tag::amqp091, true, true, true, true, true, 60 * ns_per_s};
    b.write_whole(pool, "x", "a.b", bytes_of("block"), bytes_of("body"), traits);
    auto deaths = std::make_unique<death_log>();
    deaths->rows.push_back({"q", death_reason::expired, "x", {"a", "b"}, 3, 17, "1000"});
    deaths->first_queue = "first";
    deaths->routing_keys_override = {"k2"};
    deaths->copies_taken = true;
    const auto m = b.finish(std::move(deaths));
    const std::array<message_place, 2> places{{{1, 4, 2}, {2, 9, 0}}};
    const auto ref = j->record_message(*m, 123, places);
    turn();

    const journal::wanted w{9, ref};
    j->fetch(2, {&w, 1});
    EXPECT_TRUE(two.fetched.empty()) << "never within fetch()";
    turn();
    ASSERT_EQ(two.fetched.size(), 1U);
    const auto& back = two.fetched[0].second;
    ASSERT_TRUE(back);
    EXPECT_EQ(two.fetched[0].first, 9U);
    EXPECT_EQ(back->exchange(), "x");
    EXPECT_EQ(back->routing_key(), "a.b");
    EXPECT_EQ(text_of(back->properties()), "block");
    EXPECT_EQ(text_of(back->body()), "body");
    EXPECT_EQ(back->priority(), 7);
    EXPECT_EQ(back->properties_of(), protocol_tag::amqp091);
    EXPECT_EQ(back->time_to_live(), 60 * ns_per_s);
    EXPECT_TRUE(back->persistent());
    EXPECT_TRUE(back->traits().repeated);
    EXPECT_TRUE(back->traits().once);
    EXPECT_TRUE(back->traits().identified);
    ASSERT_NE(back->deaths(), nullptr);
    EXPECT_EQ(back->deaths()->first_queue, "first");
    EXPECT_EQ(back->deaths()->routing_keys_override, std::vector<std::string>{"k2"});
    EXPECT_TRUE(back->deaths()->copies_taken);
    EXPECT_FALSE(back->deaths()->expiration_taken);
    ASSERT_EQ(back->deaths()->rows.size(), 1U);
    const auto& row = back->deaths()->rows[0];
    EXPECT_EQ(row.queue, "q");
    EXPECT_EQ(row.reason, death_reason::expired);
    EXPECT_EQ(row.routing_keys, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(row.count, 3U);
    EXPECT_EQ(row.first_time, 17);
    EXPECT_EQ(row.original_expiration, "1000");
}

TEST_F(JournalTest, AnswersForEachMessageInOrderEvenWhenBytesAreDamaged) {
    start();
    store(one, 1, 1, "a");
    store(one, 1, 2, "b");
    store(one, 1, 3, "c");
    turn();
    log.damage(one.held[2].at);
    const std::array<journal::wanted, 3> which{{{1, one.held[1]}, {2, one.held[2]}, {3, one.held[3]}}};
    j->fetch(1, which);
    turn();
    ASSERT_EQ(one.fetched.size(), 3U);
    EXPECT_EQ(text_of(one.fetched[0].second->body()), "a");
    EXPECT_FALSE(one.fetched[1].second);
    EXPECT_EQ(text_of(one.fetched[2].second->body()), "c");
    EXPECT_EQ(j->look().damaged, 1U);
}

TEST_F(JournalTest, GivesNobodyAMessageOfAnother) {
    start();
    store(one, 1, 1, "mine");
    turn();
    const journal::wanted w{1, one.held[1]};
    j->fetch(2, {&w, 1});
    turn();
    ASSERT_EQ(two.fetched.size(), 1U);
    EXPECT_FALSE(two.fetched[0].second);
}

TEST_F(JournalTest, RecoversWhatIsNotSettledWithItsAttempts) {
    start();
    const std::array<message_place, 2> both{{{1, 1, 0}, {2, 1, 0}}};
    one.held[1] = two.held[1] = j->record_message(*message("a"), 77, both, 99);
    store(one, 1, 2, "b");
    store(one, 1, 3, "c");
    j->record_attempts(1, 3, 4);
    one.settle(1);
    const std::array<journal::run, 2> runs{{{2, 1}, {100, 50}}};
    j->record_settled(1, runs);
    one.release(2);
    turn();
    const auto live = j->look().live_bytes;
    start_again();
    EXPECT_EQ(one.held.size(), 1U);
    EXPECT_EQ(one.counts.at(3), 4U);
    ASSERT_TRUE(two.held.contains(1));
    EXPECT_EQ(two.last.stored_at, 77);
    EXPECT_EQ(two.last.due, 99);
    EXPECT_EQ(two.last.body_bytes, 1U);
    EXPECT_EQ(j->look().live_bytes, live) << "recovery accounts as the first life did";
}

TEST_F(JournalTest, ForgetsOwnersThatAreGoneAndThoseThatNeverLast) {
    start();
    store(one, 3, 1, "of nobody");
    store(two, fleeting_owner | 2, 1, "of a transient queue");
    turn();
    start_again();
    EXPECT_TRUE(one.held.empty());
    EXPECT_TRUE(two.held.empty());
    EXPECT_EQ(j->look().live_bytes, 0U);
}

TEST_F(JournalTest, MarksGroupsSoThatTheyAreRecoveredWhole) {
    start();
    j->begin_group();
    store(one, 1, 1, "a");
    one.settle(1);
    j->end_group();
    j->begin_group();
    j->end_group();
    store(one, 1, 2, "b");
    turn();
    std::vector<int> flags;
    log.scan(0, [&](const log_record& r) {
        flags.push_back(r.flags);
        return true;
    });
    EXPECT_EQ(flags, (std::vector<int>{1, 1, 0, 0})) << "an empty group leaves nothing";
}

TEST_F(JournalTest, DropsSegmentsInWhichNothingLives) {
    start();
    const std::string body(1000, 'x');
    for (position p = 1; p <= 1000; ++p) {
        store(one, 1, p, body);
        if (p > 10) {
            one.settle(p - 10);
        }
        turn();
    }
    for (int i = 0; i < 5; ++i) {
        turn();
    }
    EXPECT_LT(log.end() - log.begin(), 4 * segment_bytes);
    EXPECT_EQ(one.moves, 0) << "nothing to copy: the oldest are dead by themselves";
}

// Each is asked until it has recorded its keys again, and no longer.
TEST_F(JournalTest, DropsNoSegmentBeforeItsKeysAreSaved) {
    start();
    one.turns_to_save = 4;
    const auto began = log.begin();
    static_cast<void>(j->record_keys(1, bytes_of("keys")));
    static_cast<void>(j->record_keys(2, bytes_of("keys")));
    const std::string body(1000, 'x');
    for (position p = 1; one.dropping.empty(); ++p) {
        store(one, 1, p, body);
        one.settle(p);
        turn();
        ASSERT_LT(p, 1000U);
    }
    for (std::size_t asked = 1; asked < one.turns_to_save; ++asked) {
        EXPECT_EQ(one.dropping, std::vector<log_position>(asked, one.dropping.front()));
        EXPECT_EQ(log.begin(), began);
        turn();
    }
    turn();
    EXPECT_EQ(one.dropping.size(), one.turns_to_save);
    EXPECT_EQ(two.dropping.size(), 1U);
    EXPECT_GE(log.begin(), one.dropping.front());
    EXPECT_GT(log.begin(), began);
}

// A queue that keeps one message in ten for long would keep every segment.
TEST_F(JournalTest, CopiesWhatLivesLongSoThatTheLogStaysShort) {
    start();
    const std::string body(1000, 'x');
    std::map<position, std::string> expected;
    for (position p = 1; p <= 3000; ++p) {
        store(one, 1, p, body + std::to_string(p));
        if (p > 4 && (p - 4) % 10 != 0) {
            one.settle(p - 4);
        }
        if (p % 10 == 0 && p <= 2000) {
            j->record_attempts(1, p, static_cast<std::uint32_t>(p));
            one.counts[p] = static_cast<std::uint32_t>(p);
        }
        turn();
    }
    for (int i = 0; i < 200; ++i) {
        turn();
    }
    const auto f = j->look();
    EXPECT_GT(one.moves, 0);
    EXPECT_LE(f.log_bytes, 2 * f.live_bytes + 4 * segment_bytes);
    EXPECT_LE(f.copied_bytes, std::uint64_t{3000} * 1100) << "at most as much as had been written";
    const auto counts = one.counts;
    start_again();
    ASSERT_GE(one.held.size(), 300U);
    EXPECT_EQ(j->look().live_bytes, f.live_bytes);
    for (position p = 10; p <= 2000; p += 10) {
        EXPECT_EQ(one.counts[p], p) << "the count moves along";
    }
    std::vector<journal::wanted> which;
    for (const auto& [pos, ref] : one.held) {
        which.push_back({pos, ref});
    }
    j->fetch(1, which);
    turn();
    ASSERT_EQ(one.fetched.size(), which.size());
    for (const auto& [pos, m] : one.fetched) {
        ASSERT_TRUE(m);
        EXPECT_EQ(text_of(m->body()), body + std::to_string(pos));
    }
}

TEST_F(JournalTest, MovesNothingThatIsSettledWhileItsCopyIsUnderWay) {
    start();
    const std::string body(1000, 'x');
    for (position p = 1; p <= 400; ++p) {
        store(one, 1, p, body);
        if (p > 2) {
            one.settle(p);
        }
        static_cast<void>(j->poll([](const durable_waiter&) {}));
        log.flush();  // not the journal's: nothing is cleaned yet
    }
    turn();
    for (int i = 0; i < 20 && j->look().copied_bytes == 0; ++i) {
        turn();
    }
    ASSERT_NE(j->look().copied_bytes, 0U);
    ASSERT_EQ(one.moves, 0) << "copied, and not yet durable";
    one.settle(2);
    for (int i = 0; i < 50; ++i) {
        turn();
    }
    EXPECT_EQ(one.moves, 1);
    ASSERT_EQ(one.held.size(), 1U);
    EXPECT_EQ(j->look().live_bytes, one.held.at(1).share);
    start_again();
    ASSERT_EQ(one.held.size(), 1U);
    EXPECT_TRUE(one.held.contains(1));
}

// What a lost transaction settled has to be there again, so its segment may not go before the transaction is durable.
TEST_F(JournalTest, DropsNoSegmentBeforeWhatMadeItDeadIsDurable) {
    start();
    const std::string body(1000, 'x');
    for (position p = 1; p <= 200; ++p) {
        store(one, 1, p, body);
    }
    turn();
    log.hold();
    j->begin_group();
    for (position p = 1; p <= 200; ++p) {
        one.settle(p);
    }
    j->end_group();
    const auto begin = log.begin();
    turn();
    turn();
    EXPECT_EQ(log.begin(), begin);
    log.release();
    turn();
    turn();
    EXPECT_GT(log.begin(), begin);
}

// ---- The bytes ---------------------------------------------------------------------------------

TEST_F(JournalTest, RefusesEveryPrefixOfARecord) {
    start();
    message_builder b;
    b.write_whole(pool, "x", "key", bytes_of("block"), bytes_of("body"),
                  {true, 1, protocol_tag::amqp091, true, true, true, true, true, 5});
    auto deaths = std::make_unique<death_log>();
    deaths->rows.push_back({"q", death_reason::rejected, "x", {"a"}, 1, 17, ""});
    const auto m = b.finish(std::move(deaths));
    const std::array<message_place, 2> places{{{1, 300, 2}, {2, 9, 0}}};
    static_cast<void>(j->record_message(*m, 123, places, 44));
    const std::array<journal::run, 3> runs{{{2, 1}, {100, 50}, {7, 3}}};
    j->record_settled(1, runs);
    j->record_attempts(1, 3, 4);
    turn();
    std::vector<std::pair<std::uint8_t, record_bytes>> records;
    log.scan(0, [&](const log_record& r) {
        records.emplace_back(r.kind, record_bytes(r.payload.begin(), r.payload.end()));
        return true;
    });
    ASSERT_EQ(records.size(), 3U);
    for (const auto& [kind, whole] : records) {
        for (std::size_t n = 0; n < whole.size(); ++n) {
            message_record mr;
            settled_record sr;
            attempts_record ar;
            const std::span<const std::uint8_t> prefix(whole.data(), n);
            EXPECT_FALSE(kind == 1 ? decode(prefix, mr) : kind == 2 ? decode(prefix, sr) : decode(prefix, ar));
        }
    }
    settled_record sr;
    ASSERT_TRUE(decode(records[1].second, sr));
    ASSERT_EQ(sr.runs.size(), 3U);
    EXPECT_EQ(sr.runs[2].first, 7U) << "runs may come in any order";
    EXPECT_EQ(sr.runs[2].count, 3U);
}

TEST_F(JournalTest, SurvivesAnyBytes) {
    start();
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    std::vector<record_bytes> samples;
    const std::array<message_place, 2> places{{{1, 300, 2}, {2, 9, 0}}};
    static_cast<void>(j->record_message(*message("body"), 123, places, 44));
    const std::array<journal::run, 2> runs{{{2, 1}, {100, 50}}};
    j->record_settled(1, runs);
    turn();
    log.scan(0, [&](const log_record& r) {
        samples.emplace_back(r.payload.begin(), r.payload.end());
        return true;
    });
    journal victim(pool, [this](owner_uid uid) -> record_owner* { return uid == 1 ? &one : nullptr; });
    one.home = &victim;
    log_position at = segment_bytes;
    for (int i = 0; i < 20'000; ++i) {
        auto bytes = samples[random() % samples.size()];
        for (auto n = random() % 4; n != 0; --n) {
            bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
        }
        bytes.resize(random() % (bytes.size() + 1));
        victim.replay({at += 64, static_cast<std::uint8_t>(random() % 6), 0, bytes, 64});
    }
    one.held.clear();
}

TEST(SegmentAccount, CountsTheSameBeforeAndAfterItKnowsTheSegments) {
    segment_account a;
    a.add(5 * segment_bytes + 100, 10);
    a.add(7 * segment_bytes, 20);
    a.remove(5 * segment_bytes + 100, 4);
    a.open(4 * segment_bytes, 2 * segment_bytes);
    EXPECT_EQ(a.total(), 26U);
    EXPECT_EQ(a.first_position(), 4 * segment_bytes);
    a.remove(5 * segment_bytes + 200, 6);
    EXPECT_FALSE(a.drop_dead(6 * segment_bytes - 1)) << "not all of it is durable";
    EXPECT_TRUE(a.drop_dead(6 * segment_bytes));
    EXPECT_EQ(a.first_position(), 6 * segment_bytes);
    a.remove(5 * segment_bytes, 1);
    EXPECT_EQ(a.total(), 20U) << "of a segment that went";
}

}  // namespace
}  // namespace linnet::core
