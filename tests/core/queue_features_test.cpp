#include "broker/store/memory_log.hpp"
#include "tests/core/feature_fixture.hpp"
#include "tests/core/random_seed.hpp"

#include <map>
#include <random>
#include <set>

namespace linnet::core {
namespace {

// ---- Retries -----------------------------------------------------------------------------------

class QueueRetry : public feature_fixture {
protected:
    void retrying(std::uint32_t limit = 3) {
        queue_settings s;
        s.retry = retry_policy{100 * ns_per_ms, 2, ns_per_s, limit};
        s.dead_letter_exchange = "dlx";
        make(s);
    }
};

TEST_F(QueueRetry, DeliversAgainAfterPausesThatGrow) {
    retrying(10);
    feature_sink sink;
    consumer(sink, 1);
    put("a");
    put("b");
    nack(std::move(sink.got[0]));
    EXPECT_EQ(sink.got.size(), 2U);
    EXPECT_EQ(sink.bodies().back(), "b") << "others are not held up";
    ack(sink.got[1]);
    EXPECT_EQ(q->ready_count(), 0U);
    EXPECT_EQ(q->delayed_count(), 1U);
    EXPECT_EQ(q->unacked_count(), 0U);
    pass(99 * ns_per_ms);
    EXPECT_EQ(sink.got.size(), 2U);
    pass(2 * ns_per_ms);
    ASSERT_EQ(sink.got.size(), 3U);
    EXPECT_TRUE(sink.got[2].redelivered);
    EXPECT_EQ(sink.got[2].delivery_count, 1U);
    nack(std::move(sink.got[2]));
    pass(198 * ns_per_ms);
    EXPECT_EQ(sink.got.size(), 3U);
    pass(3 * ns_per_ms);
    EXPECT_EQ(sink.got.size(), 4U);
}

TEST_F(QueueRetry, DeadLettersAfterItsLastAttempt) {
    retrying();
    feature_sink sink;
    consumer(sink);
    put("a");
    for (std::size_t attempt = 0; attempt < 3; ++attempt) {
        ASSERT_EQ(sink.got.size(), attempt + 1);
        nack(std::move(sink.got[attempt]));
        pass(ns_per_s);
    }
    EXPECT_EQ(sink.got.size(), 3U);
    EXPECT_EQ(shard.dead, (std::vector<feature_shard::dead_message>{{"a", death_reason::delivery_limit}}));
    EXPECT_EQ(q->delayed_count(), 0U);
}

TEST_F(QueueRetry, DeadLettersAtOnceWhatIsRejected) {
    retrying();
    feature_sink sink;
    consumer(sink);
    put("a");
    q->reject(std::move(sink.got[0]));
    EXPECT_EQ(shard.dead, (std::vector<feature_shard::dead_message>{{"a", death_reason::rejected}}));
}

TEST_F(QueueRetry, LetsAMessageExpireWhileItWaits) {
    retrying();
    feature_sink sink;
    consumer(sink);
    put("a", "", 50 * ns_per_ms);
    nack(std::move(sink.got[0]));
    pass(52 * ns_per_ms);
    EXPECT_EQ(shard.dead, (std::vector<feature_shard::dead_message>{{"a", death_reason::expired}}));
    EXPECT_EQ(q->delayed_count(), 0U);
}

TEST_F(QueueRetry, CountsAndPurgesWhatWaits) {
    retrying();
    feature_sink sink;
    consumer(sink, 1);
    put("a");
    nack(std::move(sink.got[0]));
    EXPECT_EQ(q->purge(), 1U);
    pass(ns_per_s);
    EXPECT_EQ(sink.got.size(), 1U);
    EXPECT_EQ(pool.held_bytes(), 0U);
}

// ---- Deduplication -----------------------------------------------------------------------------

class QueueDedup : public feature_fixture {
protected:
    void deduplicating(std::string header = {}) {
        queue_settings s;
        s.dedup = dedup_settings{10 * ns_per_s, 1000, std::move(header)};
        make(s);
    }
};

TEST_F(QueueDedup, TakesAKeyOnceInItsWindow) {
    deduplicating();
    EXPECT_EQ(put("a", "id=1"), put_result::taken);
    EXPECT_EQ(put("b", "id=1"), put_result::taken) << "to its publisher all is well";
    EXPECT_EQ(put("c", "id=2"), put_result::taken);
    EXPECT_EQ(put("d"), put_result::taken);
    EXPECT_EQ(put("e"), put_result::taken);
    EXPECT_EQ(q->ready_count(), 4U) << "without a key nothing is a duplicate";
    feature_sink sink;
    consumer(sink);
    put("f", "id=1");
    EXPECT_EQ(sink.bodies(), (texts{"a", "c", "d", "e"})) << "also after it has been consumed";
    pass(10 * ns_per_s);
    put("g", "id=1");
    EXPECT_EQ(sink.bodies().back(), "g");
}

TEST_F(QueueDedup, ReadsTheHeaderItIsTold) {
    deduplicating("order");
    put("a", "order=17,id=1");
    put("b", "order=17,id=2");
    put("c", "order=18,id=1");
    EXPECT_EQ(q->ready_count(), 2U);
}

TEST_F(QueueDedup, RemembersNothingThatItRefused) {
    queue_settings s;
    s.dedup = dedup_settings{10 * ns_per_s, 1000, ""};
    s.max_length = 1;
    s.overflow = overflow_policy::reject_publish;
    make(s);
    EXPECT_EQ(put("a", "id=1"), put_result::taken);
    EXPECT_EQ(put("b", "id=2"), put_result::refused);
    feature_sink sink;
    consumer(sink);
    EXPECT_EQ(put("b", "id=2"), put_result::taken);
    EXPECT_EQ(sink.bodies(), (texts{"a", "b"}));
}

TEST_F(QueueDedup, FollowsItsPolicy) {
    deduplicating();
    put("a", "id=1");
    spec.settings.dedup.reset();
    q->apply(spec);
    put("b", "id=1");
    EXPECT_EQ(q->ready_count(), 2U);
    spec.settings.dedup = dedup_settings{10 * ns_per_s, 1000, ""};
    q->apply(spec);
    put("c", "id=1");
    put("d", "id=1");
    EXPECT_EQ(q->ready_count(), 3U);
}

// ---- Groups ------------------------------------------------------------------------------------

class QueueGroups : public feature_fixture {
protected:
    void grouped(std::string by = "k") {
        queue_settings s;
        s.group_by = std::move(by);
        make(s);
    }
};

TEST_F(QueueGroups, ServesOneConsumerAKey) {
    grouped();
    feature_sink one;
    feature_sink two;
    consumer(one);
    consumer(two);
    for (int i = 0; i < 5; ++i) {
        put("a" + std::to_string(i), "k=a");
        put("b" + std::to_string(i), "k=b");
    }
    EXPECT_EQ(one.bodies(), (texts{"a0", "a1", "a2", "a3", "a4"}));
    EXPECT_EQ(two.bodies(), (texts{"b0", "b1", "b2", "b3", "b4"}));
    EXPECT_EQ(q->unacked_count(), 10U);
}

TEST_F(QueueGroups, LetsOtherKeysPassABlockedOne) {
    grouped();
    feature_sink one;
    feature_sink two;
    consumer(one, 1);
    consumer(two, 1);
    put("a0", "k=a");
    put("a1", "k=a");
    put("b0", "k=b");
    EXPECT_EQ(one.bodies(), texts{"a0"});
    EXPECT_EQ(two.bodies(), texts{"b0"});
    EXPECT_EQ(q->ready_count(), 1U);
    ack(two.got[0]);
    EXPECT_EQ(two.bodies(), texts{"b0"}) << "a belongs to the other one";
    ack(one.got[0]);
    EXPECT_EQ(one.bodies(), (texts{"a0", "a1"}));
}

TEST_F(QueueGroups, KeepsTheOrderOfAKeyWhenItsConsumerGoes) {
    grouped("routing-key");
    feature_sink one;
    feature_sink two;
    const auto first = consumer(one, 2);
    for (const char* body : {"a", "b", "c"}) {
        put(body);
    }
    consumer(two);
    EXPECT_TRUE(two.got.empty());
    q->detach(first);
    static_cast<void>(q->pump());
    EXPECT_TRUE(two.got.empty());
    nack(std::move(one.got[1]));
    EXPECT_TRUE(two.got.empty());
    nack(std::move(one.got[0]));
    EXPECT_EQ(two.bodies(), (texts{"a", "b", "c"}));
    EXPECT_TRUE(two.got[0].redelivered);
}

TEST_F(QueueGroups, FetchesOnlyFromKeysThatNobodyHas) {
    grouped();
    feature_sink one;
    consumer(one, 1);
    put("a0", "k=a");
    put("a1", "k=a");
    put("b0", "k=b");
    auto got = q->get(false);
    ASSERT_TRUE(got);
    EXPECT_EQ(std::string(got->msg->body().begin(), got->msg->body().end()), "b0");
    EXPECT_FALSE(q->get(false));
    ack(*got);
    EXPECT_EQ(q->unacked_count(), 1U);
    ack(one.got[0]);
    EXPECT_EQ(one.bodies(), (texts{"a0", "a1"}));
}

TEST_F(QueueGroups, TakesMessagesWithoutAKeyOneByOne) {
    grouped();
    feature_sink one;
    feature_sink two;
    consumer(one, 1);
    consumer(two, 1);
    put("a");
    put("b");
    EXPECT_EQ(one.got.size() + two.got.size(), 2U);
}

TEST_F(QueueGroups, ServesAutoAckConsumersInOrder) {
    grouped();
    feature_sink one;
    put("a0", "k=a");
    put("b0", "k=b");
    put("a1", "k=a");
    consumer(one, 0, true);
    EXPECT_EQ(one.bodies(), (texts{"a0", "b0", "a1"}));
    EXPECT_EQ(q->ready_count() + q->unacked_count(), 0U);
}

TEST_F(QueueGroups, ExpiresOverflowsAndPurgesWhatItHasFiled) {
    queue_settings s;
    s.group_by = "k";
    s.max_length = 3;
    s.dead_letter_exchange = "dlx";
    make(s);
    feature_sink one;
    consumer(one, 1);
    put("a0", "k=a");
    put("a1", "k=a", 20 * ns_per_ms);
    put("a2", "k=a");
    put("b0", "k=b");
    put("b1", "k=b");
    EXPECT_EQ(shard.dead, (std::vector<feature_shard::dead_message>{{"a1", death_reason::maxlen}}));
    put("a3", "k=a", 20 * ns_per_ms);
    ASSERT_EQ(shard.dead.size(), 2U) << "the oldest again";
    pass(30 * ns_per_ms);
    EXPECT_EQ(shard.dead.back(), (feature_shard::dead_message{"a3", death_reason::expired}));
    EXPECT_EQ(q->ready_count(), 2U);
    EXPECT_EQ(q->purge(), 2U);
    ack(one.got[0]);
    EXPECT_EQ(one.got.size(), 1U);
    one.got.clear();
    EXPECT_EQ(pool.held_bytes(), 0U);
}

TEST_F(QueueGroups, HoldsAKeyBackWhileItsMessageWaitsForARetry) {
    queue_settings s;
    s.group_by = "k";
    s.retry = retry_policy{100 * ns_per_ms, 2, ns_per_s, 9};
    make(s);
    feature_sink one;
    consumer(one, 1);
    put("a0", "k=a");
    put("a1", "k=a");
    put("b0", "k=b");
    nack(std::move(one.got[0]));
    EXPECT_EQ(one.bodies().back(), "b0");
    ack(one.got[1]);
    EXPECT_EQ(one.got.size(), 2U);
    pass(102 * ns_per_ms);
    ASSERT_EQ(one.got.size(), 3U);
    ack(one.got[2]);
    EXPECT_EQ(one.bodies().back(), "a1");
}

// Random publishes, deliveries, acks, requeues, deaths of consumers: never two consumers with one key, never a younger
// message of a key before an older one that is not out.
TEST_F(QueueGroups, KeepsItsPromisesUnderRandomLoad) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 rng(seed);
    grouped();
    struct worker {
        std::unique_ptr<feature_sink> sink = std::make_unique<feature_sink>();
        consumer_id id;
        std::size_t seen = 0;
    };
    std::vector<worker> workers;
    std::map<std::string, std::set<int>> waiting;             // by key: not out
    std::map<std::string, std::map<int, std::uint64_t>> out;  // by key: number -> consumer
    int next = 0;
    std::size_t done = 0;
    const auto check = [&] {
        for (auto& w : workers) {
            for (; w.seen < w.sink->bodies().size(); ++w.seen) {
                const std::string body = w.sink->bodies()[w.seen];
                const auto key = body.substr(0, 1);
                const int number = std::stoi(body.substr(1));
                ASSERT_FALSE(waiting[key].empty());
                EXPECT_EQ(*waiting[key].begin(), number) << "key " << key;
                waiting[key].erase(number);
                for (const auto& [n, c] : out[key]) {
                    EXPECT_EQ(c, w.id.value) << "two consumers with key " << key;
                }
                out[key][number] = w.id.value;
            }
        }
    };
    const auto settle_one = [&](worker& w, bool back) {
        delivery d = std::move(w.sink->got.front());
        w.sink->got.erase(w.sink->got.begin());
        const auto b = d.msg->body();
        const std::string body(b.begin(), b.end());
        out[body.substr(0, 1)].erase(std::stoi(body.substr(1)));
        if (back) {
            waiting[body.substr(0, 1)].insert(std::stoi(body.substr(1)));
            nack(std::move(d));
        } else {
            ++done;
            ack(d);
        }
    };
    for (int step = 0; step < 4000 && !HasFailure(); ++step) {
        const auto dice = rng() % 100;
        if (dice < 40) {
            const std::string key(1, static_cast<char>('a' + rng() % 5));
            const int number = next++;
            waiting[key].insert(number);
            put(key + std::to_string(number), "k=" + key);
        } else if (dice < 44 && workers.size() < 4) {
            worker w;
            w.id = consumer(*w.sink, static_cast<std::uint32_t>(rng() % 4));
            workers.push_back(std::move(w));
        } else if (dice < 47 && !workers.empty()) {
            const auto at = workers.begin() + static_cast<std::ptrdiff_t>(rng() % workers.size());
            q->detach(at->id);
            static_cast<void>(q->pump());
            check();
            while (!at->sink->got.empty() && !HasFailure()) {
                settle_one(*at, true);
            }
            workers.erase(at);
        } else if (!workers.empty()) {
            auto& w = workers[rng() % workers.size()];
            if (!w.sink->got.empty()) {
                settle_one(w, rng() % 5 == 0);
            }
        }
        check();
        std::size_t ready = 0;
        for (const auto& [key, numbers] : waiting) {
            ready += numbers.size();
        }
        ASSERT_EQ(q->ready_count(), ready);
    }
    EXPECT_GT(done, 500U);
}

// ---- Single active consumer --------------------------------------------------------------------

class QueueSingleActive : public feature_fixture {};

TEST_F(QueueSingleActive, FailsOverInTheOrderOfArrival) {
    queue_settings s;
    s.single_active_consumer = true;
    make(s);
    feature_sink one;
    feature_sink two;
    feature_sink three;
    const auto first = consumer(one);
    consumer(two);
    consumer(three);
    put("a");
    q->detach(first);
    put("b");
    EXPECT_EQ(one.bodies(), texts{"a"});
    EXPECT_EQ(two.bodies(), texts{"b"});
    EXPECT_TRUE(three.got.empty());
    nack(std::move(one.got[0]));
    EXPECT_EQ(two.bodies(), (texts{"b", "a"})) << "what the first still had goes to the next";
}

}  // namespace
}  // namespace linnet::core
