#include "tests/core/random_seed.hpp"
#include "tests/core/stored_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

// A queue with a tiny window against one that keeps everything in maps and thinks of nothing.

namespace linnet::core {
namespace {

struct model_message {
    std::string body;
    std::size_t lane = 0;
    mono_ns deadline = 0;
    std::uint32_t count = 0;
    bool redelivered = false;
    bool persistent = false;
};

using seen = std::tuple<std::string, bool, std::uint32_t>;
using death = std::pair<std::string, death_reason>;

class model {
public:
    model(const queue_settings& s, fake_shard& shard) : s_(s), shard_(shard), lanes(s.max_priority + std::size_t{1}) {}

    bool publish(const message& m) {
        model_message n{body_of(m), std::min<std::size_t>(m.priority(), lanes.size() - 1), 0, 0, false, m.persistent()};
        mono_ns ttl = m.time_to_live();
        if (s_.message_ttl && (ttl < 0 || *s_.message_ttl < ttl)) {
            ttl = *s_.message_ttl;
        }
        n.deadline = ttl < 0 ? 0 : shard_.time + ttl;
        const position pos = ++last_;
        if (ready() == 0 && takes()) {
            deliver(pos, n);
            return true;
        }
        if (s_.overflow != overflow_policy::drop_head && s_.max_length && ready() >= *s_.max_length) {
            if (s_.overflow == overflow_policy::reject_publish_dlx) {
                deaths.emplace_back(n.body, death_reason::maxlen);
            }
            return false;
        }
        if (n.deadline != 0 && n.deadline <= shard_.time) {
            die(pos, n, death_reason::expired);
            return true;
        }
        lanes[n.lane].emplace(pos, n);
        drop_overflow();
        return true;
    }
    void expire() {
        for (auto& lane : lanes) {
            for (auto at = lane.begin(); at != lane.end();) {
                if (at->second.deadline != 0 && at->second.deadline <= shard_.time) {
                    die(at->first, at->second, death_reason::expired);
                    at = lane.erase(at);
                } else {
                    ++at;
                }
            }
        }
    }
    void pump() {
        while (ready() != 0 && takes()) {
            auto& lane = *head();
            deliver(lane.begin()->first, lane.begin()->second);
            lane.erase(lane.begin());
        }
    }
    std::optional<std::string> get(bool settled) {
        if (ready() == 0) {
            return std::nullopt;
        }
        auto& lane = *head();
        const auto [pos, m] = *lane.begin();
        lane.erase(lane.begin());
        if (!settled) {
            lent.emplace(pos, m);
        }
        return m.body;
    }
    void put_back(const std::string& body, bool counts) {
        auto at = lent_of(body);
        auto [pos, m] = *at;
        lent.erase(at);
        in_flight -= in_flight != 0 ? 1U : 0U;
        if (counts) {
            m.redelivered = true;
            if (++m.count; s_.delivery_limit && m.count > *s_.delivery_limit) {
                --m.count;  // what the log knows, should it come back
                die(pos, m, death_reason::delivery_limit);
                return;
            }
        }
        if (m.deadline != 0 && m.deadline <= shard_.time) {
            die(pos, m, death_reason::expired);
            return;
        }
        lanes[m.lane].emplace(pos, m);
        drop_overflow();
    }
    void reject(const std::string& body) {
        const auto at = lent_of(body);
        die(at->first, at->second, death_reason::rejected);
        lent.erase(at);
        in_flight -= in_flight != 0 ? 1U : 0U;
    }
    void ack(const std::string& body) {
        lent.erase(lent_of(body));
        in_flight -= in_flight != 0 ? 1U : 0U;
    }
    void crash() {
        for (auto& lane : lanes) {
            std::erase_if(lane, [](const auto& m) { return !m.second.persistent; });
        }
        for (auto* others : {&lent, &dying}) {
            for (auto& [pos, m] : *others) {
                if (m.persistent) {
                    lanes[m.lane].emplace(pos, m);
                }
            }
            others->clear();
        }
        for (auto& lane : lanes) {
            for (auto& [pos, m] : lane) {
                m.redelivered = true;
            }
        }
        consuming = false;
        in_flight = 0;
    }
    void drop_overflow() {
        while (s_.overflow == overflow_policy::drop_head && s_.max_length && ready() > *s_.max_length) {
            auto& lane = *head();
            die(lane.begin()->first, lane.begin()->second, death_reason::maxlen);
            lane.erase(lane.begin());
        }
    }
    [[nodiscard]] std::uint64_t ready() const {
        std::uint64_t n = 0;
        for (const auto& lane : lanes) {
            n += lane.size();
        }
        return n;
    }
    [[nodiscard]] std::uint64_t bytes() const {
        std::uint64_t n = 0;
        for (const auto& lane : lanes) {
            for (const auto& [pos, m] : lane) {
                n += m.body.size();
            }
        }
        return n;
    }
    // Everything that a crash would leave.
    [[nodiscard]] std::size_t durable() const {
        std::size_t n = 0;
        const auto count = [&](const auto& all) {
            n += static_cast<std::size_t>(
                std::ranges::count_if(all, [](const auto& m) { return m.second.persistent; }));
        };
        std::ranges::for_each(lanes, count);
        count(lent);
        count(dying);
        return n;
    }

private:
    using messages = std::map<position, model_message>;
    messages::iterator lent_of(const std::string& body) {
        return std::ranges::find_if(lent, [&](const auto& m) { return m.second.body == body; });
    }
    [[nodiscard]] bool takes() const { return consuming && (no_ack || prefetch == 0 || in_flight < prefetch); }
    messages* head() {
        for (std::size_t i = lanes.size(); i-- > 0;) {
            if (!lanes[i].empty()) {
                return &lanes[i];
            }
        }
        return nullptr;
    }
    void deliver(position pos, const model_message& m) {
        deliveries.emplace_back(m.body, m.redelivered, m.count);
        if (!no_ack) {
            lent.emplace(pos, m);
            ++in_flight;
        }
    }
    void die(position pos, const model_message& m, death_reason why) {
        deaths.emplace_back(m.body, why);
        if (s_.dead_letter_exchange && m.persistent) {
            dying.emplace(pos, m);
        }
    }

    const queue_settings s_;
    fake_shard& shard_;
    position last_ = 0;

public:
    std::vector<messages> lanes;
    messages lent;
    messages dying;
    bool consuming = false;
    bool no_ack = false;
    std::uint32_t prefetch = 0;
    std::uint32_t in_flight = 0;
    std::vector<seen> deliveries;
    std::vector<death> deaths;
};

struct variant {
    const char* name;
    queue_settings settings;
    bool durable = true;
};

std::vector<variant> variants() {
    std::vector<variant> all;
    const auto add = [&](const char* name, auto&& set, bool durable = true) {
        variant v{name, {}, durable};
        set(v.settings);
        all.push_back(v);
    };
    add("plain", [](auto&) {});
    add("dead letters", [](auto& s) { s.dead_letter_exchange = "dlx"; });
    add("time to live", [](auto& s) { s.message_ttl = 40 * ns_per_ms; });
    add("time to live, dead letters", [](auto& s) {
        s.message_ttl = 40 * ns_per_ms;
        s.dead_letter_exchange = "dlx";
    });
    add("priorities", [](auto& s) { s.max_priority = 3; });
    add("priorities, dead letters, limits", [](auto& s) {
        s.max_priority = 3;
        s.dead_letter_exchange = "dlx";
        s.delivery_limit = 2;
        s.max_length = 60;
    });
    add("length", [](auto& s) { s.max_length = 50; });
    add("length, refusing", [](auto& s) {
        s.max_length = 50;
        s.overflow = overflow_policy::reject_publish_dlx;
        s.dead_letter_exchange = "dlx";
    });
    add(
        "transient", [](auto& s) { s.dead_letter_exchange = "dlx"; }, false);
    add(
        "transient, time to live, limits",
        [](auto& s) {
            s.message_ttl = 60 * ns_per_ms;
            s.delivery_limit = 3;
        },
        false);
    return all;
}

class QueueModel : public testing::TestWithParam<int> {};

class run {
public:
    run(const variant& v, std::uint64_t seed)
        : v_(v), random_(seed), real_(v.settings, 4, v.durable), model_(v.settings, real_.shard) {}

    void go(int steps) {
        for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
            SCOPED_TRACE(testing::Message() << v_.name << ", step " << i);
            step();
            real_.turns();
            model_.pump();
            compare();
        }
    }

private:
    [[nodiscard]] std::uint64_t any(std::uint64_t n) { return random_() % n; }
    void step() {
        const auto what = any(100);
        if (what < 40) {
            publish();
        } else if (what < 60) {
            settle();
        } else if (what < 64) {
            get();
        } else if (what < 72) {
            consume();
        } else if (what < 82) {
            tick();
        } else if (what < 90) {
            static_cast<void>(real_.q->shrink(any(4000)));
        } else if (what < 96) {
            settle_dead();
        } else if (what < 97) {
            EXPECT_EQ(real_.q->purge(), model_.ready());
            for (auto& lane : model_.lanes) {
                lane.clear();
            }
        } else if (v_.durable && any(3) == 0) {
            crash();
        }
    }
    void publish() {
        for (auto n = any(12); n > 0; --n) {
            const std::string body = std::to_string(++bodies_) + std::string(any(60), '.');
            const mono_ns ttl = any(3) != 0 ? -1 : static_cast<mono_ns>(any(90)) * ns_per_ms;
            auto m = real_.text(body, v_.durable && any(4) != 0, ttl, static_cast<std::uint8_t>(any(5)));
            const bool accepted = model_.publish(*m);
            EXPECT_EQ(real_.publish(std::move(m)) == enqueue_result::accepted, accepted);
            EXPECT_EQ(real_.q->ready_count(), model_.ready() + too_long());
        }
    }
    // By so much is the queue longer than it may be: a head that is not in memory is read back before it is dropped,
    // but only for a dead-letter exchange, and only until the disk has answered.
    [[nodiscard]] std::uint64_t too_long() const {
        if (!v_.settings.dead_letter_exchange) {
            return 0;
        }
        const auto dropped = std::ranges::count(model_.deaths, death_reason::maxlen, &death::second);
        const auto done = std::ranges::count(real_.shard.dead, death_reason::maxlen, &dead_message::why);
        return static_cast<std::uint64_t>(dropped - done);
    }
    // One of those that it has been lent, its consumer's or got.
    void settle() {
        for (auto n = any(8); n > 0 && !held_.empty(); --n) {
            const auto i = any(held_.size());
            delivery d = std::move(held_[i]);
            held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
            const std::string body = body_of(*d.msg);
            const bool consumers = d.consumer != consumer_id{};
            // The model counts those of the consumer alone, and of the present one.
            const auto in_flight = model_.in_flight;
            const auto what = any(6);
            if (what != 2 && d.in_log && any(3) == 0) {
                d.msg.reset();  // as one does who is short of memory
            }
            switch (what) {
                case 0:
                    real_.q->requeue(std::move(d));
                    model_.put_back(body, true);
                    break;
                case 1:
                    real_.q->reject(std::move(d));
                    model_.reject(body);
                    break;
                case 2:
                    real_.q->bounce(std::move(d));
                    model_.put_back(body, false);
                    break;
                default:
                    real_.settle(d);
                    model_.ack(body);
                    break;
            }
            if (!consumers || d.consumer != consumer_) {
                model_.in_flight = in_flight;
            }
            // Credit is used before anything else happens, as a shard does.
            real_.turns();
            model_.pump();
            collect();
        }
    }
    void get() {
        const bool no_ack = any(2) == 0;
        auto d = real_.get(no_ack);
        const auto expected = model_.get(no_ack);
        ASSERT_EQ(d.has_value(), expected.has_value());
        if (d) {
            EXPECT_EQ(body_of(*d->msg), *expected);
            if (!no_ack) {
                held_.push_back(std::move(*d));
            }
        }
    }
    void consume() {
        if (model_.consuming) {
            real_.q->detach(consumer_);
            model_.consuming = false;
            consumer_ = consumer_id{~std::uint64_t{0}};
            model_.in_flight = 0;
            return;
        }
        model_.consuming = true;
        model_.no_ack = any(6) == 0;
        model_.prefetch = 1 + static_cast<std::uint32_t>(any(12));
        consumer_ = real_.consume(sink_, model_.prefetch, model_.no_ack);
    }
    void tick() {
        real_.shard.advance(static_cast<mono_ns>(any(30)) * ns_per_ms);
        model_.expire();
    }
    void settle_dead() {
        for (const position pos : unsettled_) {
            real_.q->settle_stored({}, {&pos, 1}, 0);
        }
        unsettled_.clear();
        model_.dying.clear();
    }
    void crash() {
        held_.clear();
        unsettled_.clear();
        real_.crash();
        model_.crash();
        model_.expire();
        // Until here it may be longer than it should.
        real_.q->apply(real_.spec);
        real_.turns();
        model_.drop_overflow();
    }
    void collect() {
        for (auto& d : sink_.got) {
            seen_.emplace_back(body_of(*d.msg), d.redelivered, d.delivery_count);
            if (!d.no_ack) {
                held_.push_back(std::move(d));
            }
        }
        sink_.got.clear();
    }
    void compare() {
        collect();
        EXPECT_EQ(seen_, model_.deliveries);
        seen_.clear();
        model_.deliveries.clear();
        std::vector<death> dead;
        for (const auto& d : real_.shard.dead) {
            dead.emplace_back(d.body, d.why);
            if (d.stored) {
                unsettled_.push_back(d.pos);
            }
        }
        real_.shard.dead.clear();
        std::ranges::sort(dead);
        std::ranges::sort(model_.deaths);
        if (v_.settings.dead_letter_exchange) {  // else nobody asks, and what is not in memory just goes
            EXPECT_EQ(dead, model_.deaths);
        }
        model_.deaths.clear();
        EXPECT_EQ(real_.q->ready_count(), model_.ready());
        EXPECT_EQ(real_.q->ready_bytes(), model_.bytes());
        EXPECT_EQ(real_.q->unacked_count(), model_.lent.size());
        EXPECT_EQ(real_.q->damaged_count(), 0U);
        if (model_.durable() == 0 && model_.ready() == 0 && held_.empty() && unsettled_.empty()) {
            real_.finish_cleaning();
            EXPECT_EQ(real_.live_bytes(), 0U);
        }
    }

    const variant v_;
    std::mt19937_64 random_;
    stored_queue real_;
    model model_;
    fake_sink sink_;
    consumer_id consumer_{~std::uint64_t{0}};
    std::vector<delivery> held_;
    std::vector<seen> seen_;
    std::vector<position> unsettled_;
    int bodies_ = 0;
};

TEST_P(QueueModel, DoesWhatANaiveQueueDoes) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    const auto all = variants();
    run one(all[static_cast<std::size_t>(GetParam())], seed);
    one.go(10'000);
}

INSTANTIATE_TEST_SUITE_P(Variants, QueueModel, testing::Range(0, static_cast<int>(variants().size())));

}  // namespace
}  // namespace linnet::core
