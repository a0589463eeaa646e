// Named clients on shards that are stepped by hand.
#include "broker/core/client_names.hpp"
#include "tests/core/client_fixture.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace linnet::core {
namespace {

using bytes = std::vector<std::uint8_t>;

class Clients : public testing::TestWithParam<int> {
protected:
    cluster c{static_cast<std::uint16_t>(GetParam())};
    [[nodiscard]] std::size_t last() const { return static_cast<std::size_t>(GetParam() - 1); }
};

TEST_P(Clients, FindsWhatItsNameHasKept) {
    client_session a(c.at(0));
    const auto first = attach(c, a, "tank-7");
    ASSERT_TRUE(first);
    EXPECT_FALSE(first->present);
    EXPECT_TRUE(keep(c, a, first->ticket, {1, 2, 3}));
    detach(c, a, first->ticket, 60);
    client_session b(c.at(last()));
    const auto second = attach(c, b, "tank-7");
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->present);
    EXPECT_EQ(second->state, (bytes{1, 2, 3}));
    EXPECT_NE(second->ticket.number, first->ticket.number);
    // What the first one still has to say comes to nothing.
    EXPECT_FALSE(keep(c, a, first->ticket, {9}));
    detach(c, a, first->ticket, 0);
    detach(c, b, second->ticket, 60);
    client_session d(c.at(0));
    EXPECT_EQ(attach(c, d, "tank-7")->state, (bytes{1, 2, 3}));
}

TEST_P(Clients, AnotherUserGetsNoFoothold) {
    client_session a(c.at(0));
    client_session b(c.at(last()));
    ASSERT_TRUE(attach(c, a, "x").has_value());
    attach_client other = of_name("x");
    other.user = "mallory";
    const auto r = c.ask(b, std::move(other));
    ASSERT_FALSE(r.result);
    EXPECT_EQ(r.result.error().kind, error_kind::access_refused);
    EXPECT_TRUE(a.taken_over.empty());
}

TEST_P(Clients, ANewcomerWaitsForTheOneWhoHasTheName) {
    client_session a(c.at(0));
    client_session b(c.at(last()));
    const auto first = attach(c, a, "x");
    EXPECT_FALSE(ask_later(c, b, of_name("x")));
    c.settle();
    ASSERT_EQ(a.taken_over.size(), 1U);
    EXPECT_EQ(a.taken_over[0].number, first->ticket.number);
    EXPECT_TRUE(b.replies.empty());
    detach(c, a, first->ticket, 60, bytes{5});
    c.settle();
    const auto second = b.attached();
    ASSERT_TRUE(second);
    EXPECT_TRUE(second->present);
    EXPECT_EQ(second->state, (bytes{5}));
}

TEST_P(Clients, OfSeveralThatWaitTheLastOneGetsIt) {
    client_session a(c.at(0));
    client_session b(c.at(last()));
    client_session d(c.at(0));
    const auto first = attach(c, a, "x");
    EXPECT_FALSE(ask_later(c, b, of_name("x")));
    c.settle();
    EXPECT_FALSE(ask_later(c, d, of_name("x")));
    c.settle();
    ASSERT_EQ(b.replies.size(), 1U);
    ASSERT_FALSE(b.replies[0].result);
    EXPECT_EQ(b.replies[0].result.error().kind, error_kind::resource_locked);
    EXPECT_EQ(a.taken_over.size(), 1U) << "told once";
    detach(c, a, first->ticket, 60);
    c.settle();
    EXPECT_TRUE(d.attached());
}

TEST_P(Clients, ASessionThatIsGoneGivesTheNameBack) {
    client_session a(c.at(0));
    client_session d(c.at(0));
    const auto first = attach(c, a, "x");
    {
        client_session b(c.at(last()));
        EXPECT_FALSE(ask_later(c, b, of_name("x")));
        c.settle();
        b.leave();
        detach(c, a, first->ticket, 60, bytes{5});
        c.settle();
    }
    const auto third = attach(c, d, "x");
    ASSERT_TRUE(third);
    EXPECT_EQ(third->state, (bytes{5}));
    // And one that left without a word is not waited for.
    d.leave();
    client_session e(c.at(last()));
    EXPECT_TRUE(attach(c, e, "x"));
}

TEST_P(Clients, ACleanStartLetsGoOfEverything) {
    client_session a(c.at(0));
    c.declare(a, "mqtt-x");
    const auto first = attach(c, a, "x", "mqtt-x");
    EXPECT_TRUE(keep(c, a, first->ticket, {1}));
    mark(c, a, first->ticket, 7, true);
    detach(c, a, first->ticket, 60);
    client_session b(c.at(last()));
    const auto second = attach(c, b, "x", "mqtt-x", true);
    ASSERT_TRUE(second);
    EXPECT_FALSE(second->present);
    EXPECT_TRUE(second->state.empty());
    EXPECT_TRUE(second->marks.empty());
    EXPECT_FALSE(has_queue(c, "mqtt-x"));
}

TEST_P(Clients, EndsAtOnceOrWhenItsTimeHasCome) {
    client_session a(c.at(0));
    c.declare(a, "mqtt-x");
    auto got = attach(c, a, "x", "mqtt-x");
    detach(c, a, got->ticket, 10, bytes{1});
    c.settle();
    c.clock.advance(9 * ns_per_s);
    c.settle();
    EXPECT_TRUE(has_queue(c, "mqtt-x"));
    c.clock.advance(2 * ns_per_s);
    c.settle();
    EXPECT_FALSE(has_queue(c, "mqtt-x"));
    c.declare(a, "mqtt-x");
    got = attach(c, a, "x", "mqtt-x");
    EXPECT_FALSE(got->present);
    detach(c, a, got->ticket, 0);
    c.settle();
    EXPECT_FALSE(has_queue(c, "mqtt-x"));
    got = attach(c, a, "x");
    EXPECT_FALSE(got->present);
    // While it is attached no time runs, and never is never.
    c.clock.advance(100 * ns_per_s);
    c.settle();
    EXPECT_TRUE(keep(c, a, got->ticket, {3}));
    detach(c, a, got->ticket, never_expires_s);
    c.settle();
    c.clock.advance(ns_per_s * 86400 * 100);
    c.settle();
    EXPECT_TRUE(attach(c, a, "x")->present);
}

TEST_P(Clients, RemembersNumbers) {
    client_session a(c.at(last()));
    const auto first = attach(c, a, "x");
    for (const std::uint32_t n : {9U, 3U, 7U, 3U}) {
        EXPECT_TRUE(mark(c, a, first->ticket, n, true));
    }
    EXPECT_TRUE(mark(c, a, first->ticket, 7, false));
    EXPECT_TRUE(mark(c, a, first->ticket, 8, false));
    detach(c, a, first->ticket, 60);
    EXPECT_FALSE(mark(c, a, first->ticket, 1, true)) << "stale";
    EXPECT_EQ(attach(c, a, "x")->marks, (std::vector<std::uint32_t>{3, 9}));
}

TEST_P(Clients, LastWordsAreSaidAtOnceLaterOrNotAtAll) {
    set_rights(c, "guest", ".*");
    client_session a(c.at(0));
    client_session b(c.at(last()));
    c.declare(a, "wills");
    const auto said = [&] {
        c.settle();
        return texts_in(c, a, "wills");
    };
    auto got = attach(c, b, "x");
    detach_with_words(c, b, got->ticket, 60, "at once", 0);
    EXPECT_EQ(said(), (std::vector<std::string>{"at once"}));
    // Back before the delay is over: unsaid.
    got = attach(c, b, "x");
    detach_with_words(c, b, got->ticket, 60, "never", 5);
    c.settle();
    c.clock.advance(4 * ns_per_s);
    c.settle();
    got = attach(c, b, "x");
    c.clock.advance(4 * ns_per_s);
    EXPECT_TRUE(said().empty());
    detach_with_words(c, b, got->ticket, 60, "late", 5);
    c.settle();
    c.clock.advance(6 * ns_per_s);
    EXPECT_EQ(said(), (std::vector<std::string>{"late"}));
    // The end of the entry comes first.
    got = attach(c, b, "x");
    detach_with_words(c, b, got->ticket, 3, "at the end", 50);
    c.settle();
    c.clock.advance(4 * ns_per_s);
    EXPECT_EQ(said(), (std::vector<std::string>{"at the end"}));
    // A clean start ends it, too.
    got = attach(c, b, "x");
    detach_with_words(c, b, got->ticket, 60, "cleaned away", 50);
    got = attach(c, b, "x", {}, true);
    EXPECT_EQ(said(), (std::vector<std::string>{"cleaned away"}));
    // Nobody may say what he has no right to any more.
    set_rights(c, "guest", "^$");
    detach_with_words(c, b, got->ticket, 60, "refused", 0);
    c.settle();
    set_rights(c, "guest", ".*");
    EXPECT_TRUE(said().empty());
}

// Everybody wants the same few names, in any order of turns: at any time at most one has each of them, and all get an
// answer.
TEST_P(Clients, StormOfTakeOvers) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const auto among = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    std::vector<std::unique_ptr<client_session>> all;
    for (int i = 0; i < 12; ++i) {
        all.push_back(std::make_unique<client_session>(c.at(among(static_cast<std::size_t>(GetParam())))));
    }
    const auto name = [&] { return "name-" + std::to_string(among(3)); };
    std::map<std::string, client_session*> has;
    std::size_t answers = 0;
    std::size_t asked = 0;
    const auto look = [&] {
        for (auto& s : all) {
            for (auto& r : s->replies) {
                ++answers;
                s->waits = false;
                if (r.result) {
                    s->ticket = std::get<attached_client>(*r.result).ticket;
                    EXPECT_FALSE(has.contains(s->name)) << "two have it";
                    has[s->name] = s.get();
                }
            }
            s->replies.clear();
            for (const auto t : s->taken_over) {
                if (s->ticket && s->ticket->number == t.number) {
                    EXPECT_EQ(has[s->name], s.get());
                    has.erase(s->name);
                    detach(c, *s, t, static_cast<std::uint32_t>(among(2) * 60));
                    s->ticket.reset();
                }
            }
            s->taken_over.clear();
        }
    };
    for (int step = 0; step < 4000; ++step) {
        auto& s = *all[among(all.size())];
        if (!s.waits && !s.ticket) {
            s.name = name();
            s.waits = true;
            ++asked;
            if (auto now = ask_later(c, s, of_name(s.name))) {
                s.replies.push_back(std::move(*now));
            }
        } else if (s.ticket && among(4) == 0) {
            has.erase(s.name);
            detach(c, s, *std::exchange(s.ticket, std::nullopt), 60);
        }
        c.turn(among(static_cast<std::size_t>(GetParam())));
        look();
    }
    for (int round = 0; round < 40; ++round) {
        c.settle();
        look();
    }
    EXPECT_EQ(answers, asked);
    EXPECT_GT(asked, 500U);
}

TEST(ClientNames, LieInOneBlock) {
    client_names n;
    EXPECT_EQ(n.name(), "");
    n.set("me", "guest", "queue-of-me");
    EXPECT_EQ(n.name(), "me");
    EXPECT_EQ(n.user(), "guest");
    EXPECT_EQ(n.queue(), "queue-of-me");
    EXPECT_EQ(n.bytes(), 16U);
    // Of itself, and with another's queue.
    n.set(n.name(), "admin", "elsewhere");
    EXPECT_EQ(n.name(), "me");
    EXPECT_EQ(n.user(), "admin");
    EXPECT_EQ(n.queue(), "elsewhere");
    EXPECT_EQ(n.bytes(), 16U);
    n.forget_queue();
    EXPECT_EQ(n.name(), "me");
    EXPECT_EQ(n.user(), "admin");
    EXPECT_EQ(n.queue(), "");
    EXPECT_EQ(n.bytes(), 7U);
}

INSTANTIATE_TEST_SUITE_P(Shards, Clients, testing::Values(1, 3));

}  // namespace
}  // namespace linnet::core
