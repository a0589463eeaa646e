// Reply handles on shards that are stepped by hand.
#include "tests/core/reply_fixture.hpp"

#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

using texts = std::vector<std::string>;

// ---- Tokens --------------------------------------------------------------------------------------

TEST(ReplyToken, HasOneSpelling) {
    const auto t = reply_token::make(shard_id{0}, 1);
    const auto text = t.text();
    EXPECT_EQ(text.size(), 32U);
    EXPECT_EQ(reply_token::parse(text), t);
    EXPECT_EQ(reply_token_of(reply_key(t)), t);
    EXPECT_EQ(reply_key(t), "amq.reply." + text);
    for (const std::string& bad : {std::string(), text.substr(1), text + "0", std::string(32, 'A'),
                                   std::string(32, 'g'), text.substr(1) + '\0', " " + text.substr(1)}) {
        EXPECT_FALSE(reply_token::parse(bad)) << bad;
        EXPECT_FALSE(reply_token_of("amq.reply." + bad)) << bad;
    }
    EXPECT_FALSE(reply_token_of(text));
    EXPECT_FALSE(reply_token_of("amq.rabbitmq.reply-to." + text));
}

TEST(ReplyToken, LeadsToWhereItWasMade) {
    std::set<reply_token> all;
    for (const std::uint16_t shards : {1, 2, 3, 7, 64}) {
        for (std::uint16_t here = 0; here < shards; ++here) {
            for (int i = 0; i < 100; ++i) {
                const auto t = reply_token::make(shard_id{here}, shards);
                EXPECT_EQ(t.home(shards), here);
                EXPECT_TRUE(all.insert(t).second);
            }
        }
    }
}

TEST(ReplyToken, OfAnyBytesIsNoneOrItself) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    constexpr std::string_view some = "0123456789abcdefABCg.\xff";
    for (int i = 0; i < 20'000; ++i) {
        std::string text(random() % 3 == 0 ? random() % 40 : 32, '0');
        for (auto& c : text) {
            c = some[random() % (random() % 40 == 0 ? some.size() : 16)];
        }
        if (const auto t = reply_token::parse(text)) {
            EXPECT_EQ(t->text(), text);
        }
    }
}

// ---- Kept answers --------------------------------------------------------------------------------

class Replies : public testing::TestWithParam<int> {
protected:
    [[nodiscard]] static broker_options options(const property_reader& reader) {
        broker_options o;
        o.shards = static_cast<std::uint16_t>(GetParam());
        o.readers.fill(&reader);
        o.replies.handles_max = 20;
        o.replies.handles_a_vhost_max = 10;
        o.replies.lent_for = 100 * ns_per_s;
        o.replies.gone_for = 50 * ns_per_s;
        return o;
    }
    [[nodiscard]] std::size_t last() const { return static_cast<std::size_t>(GetParam() - 1); }
    void pass(mono_ns t) {
        c.clock.advance(t);
        c.settle();
    }

    spoken_reader reader;
    cluster c{options(reader)};
    reply_session requester{c.at(0)};
    reply_session responder{c.at(last())};
};

TEST_P(Replies, AnAnswerIsKeptUnderItsToken) {
    const auto t = open(c, requester, terms_of());
    ASSERT_TRUE(t);
    EXPECT_EQ(look(c, responder, *t), "pending");
    EXPECT_EQ(answer(c, responder, *t, "42"), fate::taken);
    EXPECT_EQ(look(c, requester, *t), "answered: 42");
    EXPECT_EQ(look(c, responder, *t), "answered: 42");
    EXPECT_EQ(answer(c, responder, *t, "43"), fate::unrouted) << "one answer";
    EXPECT_EQ(answer(c, requester, *t, "43"), fate::unrouted);
    EXPECT_EQ(look(c, responder, *t), "answered: 42");
}

TEST_P(Replies, NobodyElseHasAPartInIt) {
    const auto t = open(c, requester, terms_of());
    ASSERT_TRUE(t);
    const auto forged = reply_token::make(shard_id{0}, static_cast<std::uint16_t>(GetParam()));
    EXPECT_EQ(answer(c, responder, forged, "x"), fate::unrouted);
    EXPECT_EQ(answer(c, responder, *t, "x", {}, vhost_id{77}), fate::unrouted) << "another vhost's";
    EXPECT_EQ(look(c, responder, forged), "no such reply");
    EXPECT_EQ(look(c, responder, *t, "mallory"), "the reply is another user's");
    EXPECT_EQ(text_of(c.ask(responder, close_reply{*t, "mallory"})), "the reply is another user's");
    EXPECT_EQ(text_of(c.ask(responder, watch_reply{*t, "mallory", 1})), "the reply is another user's");
    EXPECT_EQ(look(c, responder, *t), "pending");
}

TEST_P(Replies, WatchersHearOfProgressAndTheAnswer) {
    const auto t = open(c, requester, terms_of());
    reply_session other(c.at(last()));
    EXPECT_EQ(text_of(c.ask(requester, watch_reply{*t, "guest", 5})), "pending");
    EXPECT_EQ(answer(c, responder, *t, "10%", "x-progress=1\n"), fate::taken);
    EXPECT_EQ(text_of(c.ask(other, watch_reply{*t, "guest", 6})), "1=10% pending");
    EXPECT_EQ(answer(c, responder, *t, "50%", "x-progress=1\n"), fate::taken);
    EXPECT_EQ(requester.news, (texts{"1:10%", "2:50%"}));
    EXPECT_EQ(other.news, (texts{"2:50%"}));
    c.enter(other.home().id().value).unwatch_reply(*t, other.handle(), 6);
    c.settle();
    EXPECT_EQ(answer(c, responder, *t, "done"), fate::taken);
    EXPECT_EQ(requester.news, (texts{"1:10%", "2:50%", "0:done"}));
    EXPECT_EQ(other.news, (texts{"2:50%"}));
    EXPECT_EQ(answer(c, responder, *t, "more", "x-progress=1\n"), fate::unrouted);
    EXPECT_EQ(look(c, other, *t), "1=10% 2=50% answered: done");
}

TEST_P(Replies, OnlyTheNewestProgressIsKept) {
    const auto t = open(c, requester, terms_of());
    for (int i = 1; i <= 100; ++i) {
        EXPECT_EQ(answer(c, responder, *t, std::to_string(i), "x-progress=1\n"), fate::taken);
    }
    const auto r = c.ask(requester, read_reply{*t, "guest"});
    const auto& kept = std::get<kept_reply>(*r.result);
    ASSERT_EQ(kept.progress.size(), reply_registry::progress_max);
    EXPECT_EQ(kept.progress.front().number, 101 - reply_registry::progress_max);
    EXPECT_EQ(body_text(*kept.progress.back().what), "100");
}

TEST_P(Replies, AWatcherThatHasGoneIsForgotten) {
    const auto t = open(c, requester, terms_of());
    {
        reply_session passing(c.at(last()));
        EXPECT_EQ(text_of(c.ask(passing, watch_reply{*t, "guest", 1})), "pending");
    }
    for (std::uint64_t tag = 0; tag < reply_registry::watchers_max - 1; ++tag) {
        EXPECT_EQ(text_of(c.ask(responder, watch_reply{*t, "guest", tag})), "pending");
        EXPECT_EQ(text_of(c.ask(responder, watch_reply{*t, "guest", tag})), "pending") << "in place of the same";
    }
    EXPECT_EQ(text_of(c.ask(responder, watch_reply{*t, "guest", 99})), "too many wait for the same reply");
    EXPECT_EQ(answer(c, responder, *t, "1", "x-progress=1\n"), fate::taken);
    EXPECT_EQ(text_of(c.ask(responder, watch_reply{*t, "guest", 99})), "1=1 pending") << "there is room again";
}

TEST_P(Replies, EndInTheirTime) {
    const auto waits = open(c, requester, terms_of());
    const auto answered = open(c, requester, terms_of());
    const auto unwanted = open(c, requester, terms_of());
    EXPECT_EQ(text_of(c.ask(requester, watch_reply{*waits, "guest", 1})), "pending");
    pass(50 * ns_per_s);
    EXPECT_EQ(answer(c, responder, *answered, "late but in time"), fate::taken);
    EXPECT_EQ(text_of(c.ask(responder, close_reply{*unwanted, "guest"})), "gone");
    EXPECT_EQ(answer(c, responder, *unwanted, "x"), fate::unrouted);
    EXPECT_EQ(look(c, responder, *unwanted), "gone");
    pass(11 * ns_per_s);
    EXPECT_EQ(requester.news, (texts{"0:gone"}));
    EXPECT_EQ(look(c, responder, *waits), "gone");
    EXPECT_EQ(answer(c, responder, *waits, "too late"), fate::unrouted);
    EXPECT_EQ(look(c, responder, *answered), "answered: late but in time") << "kept for as long as was promised";
    pass(20 * ns_per_s);
    EXPECT_EQ(look(c, responder, *answered), "gone");
    pass(31 * ns_per_s);
    EXPECT_EQ(look(c, responder, *waits), "no such reply") << "not known for ever";
    pass(60 * ns_per_s);
    EXPECT_EQ(look(c, responder, *answered), "no such reply");
}

TEST_P(Replies, ThereIsNoRoomForAnyNumber) {
    const auto first = open(c, requester, terms_of());
    for (int i = 1; i < 10; ++i) {
        EXPECT_TRUE(open(c, requester, terms_of()));
    }
    EXPECT_FALSE(open(c, requester, terms_of()));
    EXPECT_EQ(answer(c, responder, *first, "x"), fate::taken) << "the old ones stay";
    EXPECT_EQ(text_of(c.ask(responder, close_reply{*first, "guest"})), "gone");
    EXPECT_TRUE(open(c, requester, terms_of()));
    // Those that are gone have a bound of their own.
    texts seen;
    for (int i = 0; i < 50; ++i) {
        pass(61 * ns_per_s);
        const auto t = open(c, requester, terms_of());
        ASSERT_TRUE(t);
        static_cast<void>(c.ask(requester, close_reply{*t, "guest"}));
    }
}

TEST_P(Replies, AsManyAsAreGoneAreKnown) {
    std::vector<reply_token> all;
    for (int i = 0; i < 30; ++i) {
        all.push_back(*open(c, requester, terms_of()));
        static_cast<void>(c.ask(requester, close_reply{all.back(), "guest"}));
    }
    EXPECT_EQ(look(c, responder, all[9]), "no such reply");
    EXPECT_EQ(look(c, responder, all[10]), "gone");
}

// ---- Lent ones -----------------------------------------------------------------------------------

class LentReplies : public Replies {
protected:
    // As a session of another protocol does it.
    [[nodiscard]] std::optional<reply_token> lend(std::string_view properties, position pos = 1,
                                                  bool answerable = true) {
        auto& home = c.enter(last());
        message_traits traits;
        traits.answerable = answerable;
        delivery d;
        d.msg = make_message(home.pool(), "", "requests", bytes_of(properties), {}, traits);
        d.queue = {1, 1, shard_id{0}};
        d.pos = pos;
        return home.lend_reply(c.vhost(), d, reader.read(d.msg->properties(), traits));
    }
    [[nodiscard]] texts got(const std::string& queue) {
        texts all;
        for (;;) {
            get g;
            g.queue = queue;
            g.no_ack = true;
            const auto r = c.ask(requester, std::move(g));
            const auto* m = r.result ? &std::get<got_message>(*r.result) : nullptr;
            if (m == nullptr || !m->message) {
                return all;
            }
            all.push_back(body_text(*m->message->msg) + " " + properties_text(*m->message->msg));
        }
    }
};

TEST_P(LentReplies, AnswerInTheRequestersWords) {
    const auto queue = c.name_on(requester, static_cast<std::size_t>(GetParam() / 2));
    const auto t = lend("id=\xff\x01\nqueue=" + queue + "\n");
    ASSERT_TRUE(t);
    EXPECT_EQ(answer(c, requester, *t, "1", "unit=bar\n"), fate::taken) << "by whatever connection";
    EXPECT_EQ(got(queue), (texts{"1 id=\xff\x01\nunit=bar\n"})) << "the correlation is restored";
    EXPECT_EQ(answer(c, responder, *t, "2"), fate::unrouted) << "one answer";
    const auto echoed = lend("id=5\nqueue=" + queue + "\n", 2);
    EXPECT_EQ(answer(c, responder, *echoed, "3", "unit=bar\nid=5\n"), fate::taken);
    EXPECT_EQ(got(queue), (texts{"3 unit=bar\nid=5\n"})) << "and left alone where it has been echoed";
    const auto wrong = lend("id=6\nqueue=" + queue + "\n", 3);
    EXPECT_EQ(answer(c, responder, *wrong, "4", "id=5\n"), fate::taken);
    EXPECT_EQ(got(queue), (texts{"4 id=6\n"})) << "the token says which request it answers";
    const auto none = lend("queue=" + queue + "\n", 4);
    EXPECT_EQ(answer(c, responder, *none, "5", "id=9\n"), fate::taken);
    EXPECT_EQ(got(queue), (texts{"5 id=9\n"}));
}

TEST_P(LentReplies, ReachAnInbox) {
    reader.inbox = requester.handle();
    const auto t = lend("inbox=direct\n");
    ASSERT_TRUE(t);
    EXPECT_EQ(answer(c, responder, *t, "1"), fate::taken);
    EXPECT_EQ(requester.direct, (texts{"1"}));
    const auto deserted = lend("inbox=direct\n", 2);
    requester.leave();
    static_cast<void>(answer(c, responder, *deserted, "2"));
    EXPECT_EQ(requester.direct, (texts{"1"}));
}

TEST_P(LentReplies, ARequestHasOneHoweverOftenItIsDelivered) {
    const auto t = lend("queue=q\n");
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(lend("queue=q\n"), t);
    }
    EXPECT_NE(lend("queue=q\n", 2), t);
    EXPECT_EQ(answer(c, responder, *t, "nobody declared that queue"), fate::unrouted);
    EXPECT_NE(lend("queue=q\n"), t) << "answered and delivered again: may be answered again";
}

TEST_P(LentReplies, MoreAnswersWhereTheRequesterWantsThem) {
    const auto queue = c.name_on(requester, last());
    const auto t = lend("x-reply-multiple=true\nqueue=" + queue + "\n");
    EXPECT_EQ(answer(c, responder, *t, "1"), fate::taken);
    EXPECT_EQ(answer(c, responder, *t, "2"), fate::taken);
    EXPECT_EQ(got(queue), (texts{"1 ", "2 "}));
    const auto single = lend("queue=" + queue + "\n", 2);
    EXPECT_EQ(answer(c, responder, *single, "3", "x-progress=\n"), fate::taken) << "progress is no answer";
    EXPECT_EQ(answer(c, responder, *single, "4"), fate::taken);
    EXPECT_EQ(answer(c, responder, *single, "5"), fate::unrouted);
    EXPECT_EQ(got(queue), (texts{"3 x-progress=\n", "4 "}));
}

TEST_P(LentReplies, OnlyForWhatAsksForAnswers) {
    EXPECT_FALSE(lend("unit=bar\n"));
    EXPECT_FALSE(lend("queue=q\n", 1, false)) << "its publisher may not publish there itself";
    const auto t = reply_token::make(shard_id{0}, 1);
    EXPECT_EQ(lend("token=" + t.text() + "\n"), t) << "passed on as it is";
    for (position pos = 1; pos <= 10; ++pos) {
        EXPECT_TRUE(lend("queue=q\n", pos));
    }
    EXPECT_FALSE(lend("queue=q\n", 11)) << "no room";
    pass(101 * ns_per_s);
    EXPECT_TRUE(lend("queue=q\n", 11));
}

TEST_P(LentReplies, AFullQueueRefusesAnAnswer) {
    const auto queue = std::string("full");
    c.declare(requester, queue, false,
              {{"x-max-length", make_int64(1)}, {"x-overflow", make_string("reject-publish")}});
    static_cast<void>(c.publish(requester, "", queue, "first"));
    c.settle();
    const auto t = lend("queue=" + queue + "\n");
    EXPECT_EQ(answer(c, responder, *t, "x"), fate::refused);
}

// ---- Does anybody consume? -----------------------------------------------------------------------

TEST_P(Replies, WhoeverAsksLearnsWhetherSomebodyConsumes) {
    std::vector<queue_handle> all;
    texts names;
    for (std::size_t i = 0; i <= last(); ++i) {
        names.push_back(c.name_on(requester, i));
        const auto* v = c.enter(0).topology().find_vhost(c.vhost());
        all.push_back(topology_view::find_queue(*v, names.back())->handle);
    }
    const auto consumed = [&](targets where) {
        for (const std::size_t asker : {std::size_t{0}, last()}) {
            auto& s = asker == 0 ? requester : responder;
            const auto before = s.replies.size();
            auto now = c.enter(asker).find_consumer(s.handle(), 7, where);
            c.settle();
            if (!now) {
                EXPECT_EQ(s.replies.size(), before + 1);
                now = std::move(s.replies.back());
            }
            EXPECT_EQ(now->cookie, 7U);
            if (!now->result) {
                EXPECT_EQ(now->result.error().kind, error_kind::not_found);
                return false;
            }
        }
        return true;
    };
    EXPECT_FALSE(consumed({}));
    EXPECT_FALSE(consumed(all));
    for (const auto& name : names) {
        reply_session worker(c.at(last()));
        const auto info = c.consume_from(worker, name);
        EXPECT_TRUE(consumed(all)) << name;
        static_cast<void>(c.ask(worker, cancel{info.queue, info.consumer, &worker}));
        EXPECT_FALSE(consumed(all));
    }
    all.push_back({999, 1, shard_id{0}});
    EXPECT_FALSE(consumed(all)) << "a queue that has gone has no consumer";
}

INSTANTIATE_TEST_SUITE_P(Shards, Replies, testing::Values(1, 3));
INSTANTIATE_TEST_SUITE_P(Shards, LentReplies, testing::Values(1, 3));

TEST(Reply, HandlesCountTowardsTheMemoryBudget) {
    cluster c{1};
    reply_session requester(c.at(0));
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(open(c, requester, terms_of()));
    }
    c.clock.advance(ns_per_s);
    c.settle();
    EXPECT_GT(c.parts().bytes_of(memory_use::replies), 100 * 300U);
}

}  // namespace
}  // namespace linnet::core
