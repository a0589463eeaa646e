// Kept answers over simulated disks: what was promised is there after a restart, and after a crash at any moment.
//
//     LINNET_SEED=<seed>    the same run again
#include "tests/core/durable_cluster.hpp"
#include "tests/core/random_seed.hpp"
#include "tests/core/reply_fixture.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace linnet::core {
namespace {

const spoken_reader the_reader;

[[nodiscard]] durable_cluster::options over(std::uint16_t shards) {
    durable_cluster::options o;
    o.shards = shards;
    o.logs = std::max<std::uint16_t>(shards, 2);
    o.reader = &the_reader;
    return o;
}

TEST(DurableReplies, AreThereAfterARestart) {
    disk_images left;
    std::optional<reply_token> waits;
    std::optional<reply_token> answered;
    std::optional<reply_token> closed;
    std::optional<reply_token> fleeting;
    {
        durable_cluster c(over(2));
        reply_session s(c.at(1));
        waits = open(c, s, terms_of("guest", true));
        answered = open(c, s, terms_of("guest", true));
        closed = open(c, s, terms_of("guest", true));
        fleeting = open(c, s, terms_of("guest", false));
        EXPECT_EQ(answer(c, s, *answered, "50%", "x-progress=1\n"), fate::taken);
        EXPECT_EQ(answer(c, s, *answered, "42"), fate::taken);
        EXPECT_EQ(answer(c, s, *waits, "10%", "x-progress=1\n"), fate::taken);
        EXPECT_EQ(look(c, s, *answered), "1=50% answered: 42") << "read back from the log";
        EXPECT_EQ(text_of(c.ask(s, close_reply{*closed, "guest"})), "gone");
        s.leave();
        left = c.stop();
    }
    // With other numbers of shards and logs it is found where it lies.
    for (const std::uint16_t shards : {1, 2, 4}) {
        durable_cluster c(over(shards), left);
        reply_session s(c.at(static_cast<std::size_t>(shards - 1)));
        EXPECT_EQ(look(c, s, *answered), "1=50% answered: 42") << shards;
        EXPECT_EQ(look(c, s, *answered, "mallory"), "the reply is another user's");
        EXPECT_EQ(answer(c, s, *answered, "43"), fate::unrouted);
        EXPECT_EQ(look(c, s, *closed), "gone");
        EXPECT_EQ(look(c, s, *fleeting), "no such reply");
        EXPECT_EQ(look(c, s, *waits), "1=10% pending");
        EXPECT_EQ(answer(c, s, *waits, "20%", "x-progress=1\n"), fate::taken);
        EXPECT_EQ(answer(c, s, *waits, "an answer after the restart"), fate::taken);
        EXPECT_EQ(look(c, s, *waits), "1=10% 2=20% answered: an answer after the restart");
    }
}

TEST(DurableReplies, TellOfNothingThatIsNotStored) {
    auto o = over(1);
    o.prompt = false;
    durable_cluster c(o);
    reply_session s(c.at(0));
    const auto opened = c.enter(0).open_reply(c.vhost(), terms_of("guest", true), s.handle(), 1, 500);
    ASSERT_TRUE(opened);
    EXPECT_TRUE(opened->pending);
    c.settle();
    EXPECT_FALSE(s.settled.contains(500));
    c.pass(0);
    EXPECT_TRUE(s.settled.contains(500));
    EXPECT_EQ(text_of(c.ask(s, watch_reply{opened->token, "guest", 1})), "pending");
    EXPECT_EQ(answer(c, s, opened->token, "42"), fate::open);
    EXPECT_EQ(look(c, s, opened->token), "pending");
    EXPECT_TRUE(s.news.empty());
    EXPECT_EQ(answer(c, s, opened->token, "43"), fate::unrouted) << "the first is the one";
    c.pass(0);
    EXPECT_EQ(s.news, (std::vector<std::string>{"0:42"}));
    // The reading waits for the disk as well.
    auto now = c.enter(0).submit({c.vhost(), s.handle(), 9, read_reply{opened->token, "guest"}});
    ASSERT_FALSE(now);
    c.pass(0);
    ASSERT_EQ(s.replies.size(), 1U);
    EXPECT_EQ(text_of(s.replies[0]), "answered: 42");
}

// Between an answer's coming and its being stored, too.
TEST(DurableReplies, WhoWaitsHearsThatAnAnswerIsNotWanted) {
    auto o = over(1);
    o.prompt = false;
    durable_cluster c(o);
    reply_session s(c.at(0));
    const auto opened = c.enter(0).open_reply(c.vhost(), terms_of("guest", true), s.handle(), 1, 500);
    ASSERT_TRUE(opened);
    c.pass(0);
    EXPECT_EQ(text_of(c.ask(s, watch_reply{opened->token, "guest", 1})), "pending");
    EXPECT_EQ(answer(c, s, opened->token, "42"), fate::open);
    ASSERT_FALSE(c.enter(0).submit({c.vhost(), s.handle(), 9, close_reply{opened->token, "guest"}}));
    c.settle();
    EXPECT_EQ(s.news, (std::vector<std::string>{"0:gone"}));
    c.pass(0);
    EXPECT_EQ(s.news, (std::vector<std::string>{"0:gone"})) << "once";
    EXPECT_EQ(look(c, s, opened->token), "gone");
}

TEST(DurableReplies, TimeGoesOnWhileTheBrokerIsAway) {
    disk_images left;
    std::optional<reply_token> waits;
    std::optional<reply_token> answered;
    auto o = over(1);
    {
        durable_cluster c(o);
        reply_session s(c.at(0));
        waits = open(c, s, terms_of("guest", true));
        answered = open(c, s, terms_of("guest", true));
        c.clock.advance(50 * ns_per_s);
        c.settle();
        EXPECT_EQ(answer(c, s, *answered, "42"), fate::taken);
        s.leave();
        left = c.crash(1);
    }
    const auto states = [&](mono_ns after) {
        o.began_after = after;
        durable_cluster c(o, left);
        reply_session s(c.at(0));
        c.settle();
        return look(c, s, *waits) + ", " + look(c, s, *answered);
    };
    EXPECT_EQ(states(55 * ns_per_s), "pending, answered: 42");
    EXPECT_EQ(states(65 * ns_per_s), "gone, answered: 42");
    EXPECT_EQ(states(85 * ns_per_s), "gone, gone");
    EXPECT_EQ(states(24 * 3600 * ns_per_s), "gone, gone") << "known as gone from when that was noticed";
    {
        o.began_after = 85 * ns_per_s;
        durable_cluster c(o, left);
        reply_session s(c.at(0));
        c.settle();
        EXPECT_EQ(look(c, s, *waits) + look(c, s, *answered), "gonegone");
        c.clock.advance(2 * 3600 * ns_per_s);
        c.settle();
        EXPECT_EQ(look(c, s, *waits), "no such reply");
        EXPECT_EQ(c.at(0).store_figures().live_bytes, 0U) << "nothing is left of them";
        s.leave();
        left = c.stop();
    }
    EXPECT_EQ(states(3 * 3600 * ns_per_s), "no such reply, no such reply");
}

// Answers outlive the segment that they lie in.
TEST(DurableReplies, AreMovedWhenTheirSegmentIsCleaned) {
    auto o = over(1);
    disk_images left;
    std::optional<reply_token> t;
    {
        durable_cluster c(o);
        reply_session s(c.at(0));
        auto long_terms = terms_of("guest", true);
        t = open(c, s, std::move(long_terms));
        EXPECT_EQ(answer(c, s, *t, "half", "x-progress=1\n"), fate::taken);
        EXPECT_EQ(answer(c, s, *t, "42"), fate::taken);
        c.declare(s, "busy");
        for (int i = 0; i < 600; ++i) {
            static_cast<void>(c.publish(s, "", "busy", std::string(3000, 'b')));
            c.settle();
            const auto d = c.get_from(s, "busy", true);
            EXPECT_TRUE(d);
        }
        EXPECT_GT(c.at(0).store_figures().copied_bytes, 0U);
        EXPECT_EQ(look(c, s, *t), "1=half answered: 42");
        s.leave();
        left = c.crash(3);
    }
    durable_cluster c(o, left);
    reply_session s(c.at(0));
    EXPECT_EQ(look(c, s, *t), "1=half answered: 42");
    EXPECT_EQ(c.at(0).store_figures().damaged, 0U);
}

// Handles with their answers at random: whatever a crash leaves must be what it was at its last promise, or after
// something that was asked for since.
TEST(DurableReplies, ACrashLosesNothingThatWasPromised) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    struct known {
        reply_token token;
        bool opened = false;  // promised
        std::optional<std::string> asked;
        bool answered = false;  // promised
        bool closing = false;
    };
    for (int life = 0; life < 60 && !testing::Test::HasFailure(); ++life) {
        auto o = over(static_cast<std::uint16_t>(1 + random() % 3));
        o.logs = 3;
        o.seed = random() % 1'000'000;
        o.prompt = false;
        disk_images left;
        std::vector<known> all;
        {
            durable_cluster c(o);
            std::vector<std::unique_ptr<reply_session>> sessions;
            for (std::size_t i = 0; i < o.shards; ++i) {
                sessions.push_back(std::make_unique<reply_session>(c.at(i)));
            }
            std::map<std::pair<std::size_t, std::uint64_t>, std::pair<std::size_t, bool>> waiting;
            std::uint64_t sequence = 0;
            const auto steps = 1 + random() % 120;
            for (std::uint64_t n = 0; n < steps; ++n) {
                const std::size_t who = random() % o.shards;
                auto& s = *sessions[who];
                auto& home = c.enter(who);
                const auto choice = random() % 8;
                if (choice < 2 || all.empty()) {
                    const auto opened = home.open_reply(c.vhost(), terms_of("guest", true), s.handle(), 1, ++sequence);
                    all.push_back({opened->token, false, {}, false, false});
                    waiting[{who, sequence}] = {all.size() - 1, false};
                } else if (choice < 5) {
                    const std::size_t which = random() % all.size();
                    auto& k = all[which];
                    const auto body = fmt::format("{}:{}", n, std::string(random() % 5000, 'a'));
                    auto m = make_message(home.pool(), "", reply_key(k.token), {}, bytes_of(body), {});
                    const auto done = home.answer(std::move(m), c.vhost(), k.token, s.handle(), 1, ++sequence);
                    if (done.pending && !k.asked && !k.closing) {
                        // Which of several that are on their way is the first is not known here.
                        k.asked = body;
                        waiting[{who, sequence}] = {which, true};
                        c.settle();
                    }
                } else if (choice == 5) {
                    auto& k = all[random() % all.size()];
                    k.closing = true;
                    static_cast<void>(home.submit({c.vhost(), s.handle(), 1, close_reply{k.token, "guest"}}));
                } else {
                    c.medium(random() % 3).finish_all();
                }
                c.turn(random() % o.shards);
                for (std::size_t i = 0; i < sessions.size(); ++i) {
                    for (const auto& [done, accepted] : sessions[i]->settled) {
                        if (const auto at = waiting.extract(std::pair(i, done))) {
                            auto& [which, was_answer] = at.mapped();
                            (was_answer ? all[which].answered : all[which].opened) = true;
                        }
                    }
                    sessions[i]->settled.clear();
                    sessions[i]->replies.clear();
                }
            }
            left = c.crash(random());
            for (auto& m : c.media()) {
                m->set_prompt(true);
            }
            sessions.clear();
        }
        auto again = over(static_cast<std::uint16_t>(1 + random() % 3));
        again.logs = 3;
        durable_cluster c(again, left);
        reply_session s(c.at(random() % again.shards));
        for (const auto& k : all) {
            const auto found = look(c, s, k.token);
            if (k.closing) {
                continue;  // any of it, as long as it is told
            }
            if (k.answered) {
                EXPECT_EQ(found, "answered: " + *k.asked);
            } else if (k.opened) {
                EXPECT_TRUE(found == "pending" || (k.asked && found == "answered: " + *k.asked)) << found;
            }
        }
        for (std::size_t i = 0; i < again.shards; ++i) {
            EXPECT_EQ(c.at(i).store_figures().damaged, 0U);
        }
    }
}

}  // namespace
}  // namespace linnet::core
