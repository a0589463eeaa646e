#include "tests/core/client_fixture.hpp"
#include "tests/core/cluster.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

// The same core under real threads: what ThreadSanitizer is to look at.

namespace linnet::core {
namespace {

struct last_words {
    std::barrier<> together{2};
    std::atomic<int> restless_in{0};  // a round of reactor_like::settle()
};

class reactor_like final : public waker {
public:
    reactor_like(broker& parts, shard_id id) : parts_(parts), shard_(parts, id) { parts.set_waker(id, this); }
    void wake() noexcept override {
        roused_.store(true, std::memory_order_release);
        roused_.notify_one();
    }
    [[nodiscard]] shard& core() noexcept { return shard_; }

    // Turns until `done` says so; sleeps, as a reactor does, when there is nothing to do.
    template <class Step, class Done>
    void run(Step step, Done done) {
        while (!done()) {
            shard_.begin_turn();
            const bool stepped = step();
            if (!shard_.end_turn() && !stepped && shard_.prepare_to_sleep()) {
                // A bounded nap in place of epoll: the test's own conditions change without a doorbell.
                for (int i = 0; i < 50 && !roused_.exchange(false, std::memory_order_acquire); ++i) {
                    std::this_thread::yield();
                }
                shard_.awake();
            }
        }
    }
    // What the shards still have to say to each other arrives, however often a full ring has to be emptied for it: the
    // last round is one after which neither has work or a word on its way.
    void settle(last_words& both) {
        int round = 0;
        do {
            ++round;
            shard_.begin_turn();
            while (shard_.end_turn()) {}
            both.together.arrive_and_wait();
            if (shard_.prepare_to_sleep()) {
                shard_.awake();
            } else {
                both.restless_in = round;
            }
            both.together.arrive_and_wait();
        } while (both.restless_in == round);
    }
    void end() {
        shard_.begin_turn();
        shard_.end();
    }

private:
    broker& parts_;
    shard shard_;
    std::atomic<bool> roused_{false};
};

// Publishers on one shard, consumer on the other, the queues spread: order kept, nothing lost, nothing twice.
TEST(ShardThreads, OrderIsKeptAndNothingIsLostBetweenTwoShards) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    constexpr int queues = 4;
    constexpr std::uint64_t messages = 20'000;
    system_clock_source clock;
    broker_options o;
    o.shards = 2;
    o.ring_capacity = std::size_t{1} << (4 + random() % 8);
    broker parts(o, clock);
    const auto vhost = parts.editor().add_vhost("/");
    parts.publish_topology();
    reactor_like r0(parts, shard_id{0});
    reactor_like r1(parts, shard_id{1});
    parts.hand_over();

    std::atomic<bool> consuming{false};
    std::atomic<bool> received{false};
    std::atomic<int> ended{0};
    const auto both_ended = [&] { return ended.load() == 2; };
    last_words ending;
    std::atomic<std::uint64_t> confirmed{0};

    std::thread publisher_thread([&] {
        auto& core = r0.core();
        core.begin_turn();
        auto s = std::make_unique<test_session>(core);
        for (int i = 0; i < queues; ++i) {
            declare_queue q;
            q.name = "t" + std::to_string(i);
            if (!core.submit({vhost, s->handle(), static_cast<std::uint64_t>(i), q})) {
                r0.run([] { return false; }, [&] { return s->replies.size() == static_cast<std::size_t>(i) + 1; });
                core.begin_turn();
            } else {
                s->replies.emplace_back();
            }
        }
        static_cast<void>(core.end_turn());
        consuming.store(true);
        std::uint64_t next = 0;
        std::uint64_t at_once = 0;
        r0.run(
            [&] {
                for (int burst = 0; burst < 64 && next < messages && !core.congested(); ++burst, ++next) {
                    const auto* v = core.topology().find_vhost(vhost);
                    const auto key = "t" + std::to_string(next % queues);
                    route_memo memo;
                    const auto r = core.find_route(*v, "", key, nullptr, {}, memo);
                    const auto text = std::to_string(next);
                    auto m = make_message(core.pool(), "", key, {},
                                          {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}, {});
                    at_once += core.publish(std::move(m), *v, r, s->handle(), 1, next + 1).pending ? 0 : 1;
                }
                return next < messages;
            },
            [&] { return received.load() && next == messages && at_once + s->settled.size() == messages; });
        confirmed = at_once + s->settled.size();
        core.begin_turn();
        s.reset();
        static_cast<void>(core.end_turn());
        ++ended;
        r0.run([] { return false; }, both_ended);
        r0.settle(ending);
        r0.end();
    });
    std::vector<std::vector<std::uint64_t>> got(queues);
    std::thread consumer_thread([&] {
        auto& core = r1.core();
        r1.run([] { return false; }, [&] { return consuming.load(); });
        core.begin_turn();
        auto s = std::make_unique<test_session>(core);
        std::size_t attached = 0;
        for (int i = 0; i < queues; ++i) {
            consume co;
            co.queue = "t" + std::to_string(i);
            co.tag = 1;
            co.sink = s.get();
            co.prefetch = 100;
            if (core.submit({vhost, s->handle(), 100U + static_cast<unsigned>(i), co})) {
                ++attached;
            }
        }
        std::uint64_t total = 0;
        r1.run(
            [&] {
                const bool any = !s->got.empty();
                for (auto& d : s->got) {
                    const auto n = std::stoull(body_text(*d.msg));
                    got[n % queues].push_back(n);
                    ++total;
                }
                core.settle(s->got, settlement::accepted);
                s->got.clear();
                return any;
            },
            [&] { return total == messages; });
        received.store(true);
        core.begin_turn();
        s.reset();
        static_cast<void>(core.end_turn());
        ++ended;
        r1.run([] { return false; }, both_ended);
        r1.settle(ending);
        r1.end();
    });
    publisher_thread.join();
    consumer_thread.join();
    parts.hand_over();
    EXPECT_EQ(confirmed.load(), messages);
    for (int q = 0; q < queues; ++q) {
        const auto& line = got[static_cast<std::size_t>(q)];
        ASSERT_EQ(line.size(), messages / queues);
        for (std::size_t i = 0; i < line.size(); ++i) {
            ASSERT_EQ(line[i], i * queues + static_cast<std::uint64_t>(q)) << "order in queue " << q;
        }
    }
}

// Connections of one shard that want the same few names as those of the other, and say last values meanwhile.
class greedy_clients {
public:
    greedy_clients(shard& home, vhost_id v, std::array<std::atomic<int>, 2>& holders, std::uint64_t seed)
        : home_(home), vhost_(v), holders_(holders), random_(seed) {
        for (auto& s : sessions_) {
            s = std::make_unique<client_session>(home);
        }
    }
    [[nodiscard]] int attached() const noexcept { return attached_; }
    [[nodiscard]] bool rests() const {
        return std::ranges::none_of(sessions_, [](const auto& s) { return s->waits || s->ticket; });
    }

    bool step(bool wants_more) {
        for (auto& s : sessions_) {
            listen(*s);
            if (!s->waits && !s->ticket && wants_more) {
                ask(*s);
            } else if (s->ticket && (!wants_more || random_() % 64 == 0)) {
                let_go(*s);
            }
        }
        return true;
    }

private:
    [[nodiscard]] std::size_t index_of(const client_session& s) const { return s.name == "a" ? 0 : 1; }
    void ask(client_session& s) {
        s.name = random_() % 2 == 0 ? "a" : "b";
        s.waits = true;
        attach_client a = of_name(s.name);
        a.clean = random_() % 4 == 0;
        if (auto now = home_.submit({vhost_, s.handle(), 1, std::move(a)})) {
            s.replies.push_back(std::move(*now));
        }
    }
    void listen(client_session& s) {
        for (const auto& r : std::exchange(s.replies, {})) {
            s.waits = false;
            if (r.result) {
                s.ticket = std::get<attached_client>(*r.result).ticket;
                ++attached_;
                EXPECT_EQ(holders_[index_of(s)].fetch_add(1), 0) << "two have it";
            }
        }
        for (const auto t : std::exchange(s.taken_over, {})) {
            if (s.ticket && s.ticket->number == t.number) {
                let_go(s);
            }
        }
    }
    void let_go(client_session& s) {
        message_traits traits;
        traits.retain = true;
        const auto will = [&] { return make_message(home_.pool(), "", s.name, {}, {}, traits); };
        home_.mark_client(*s.ticket, s.handle(), 1, 1, static_cast<std::uint32_t>(random_() % 8), true);
        holders_[index_of(s)].fetch_sub(1);
        home_.detach_client(vhost_, s.handle(), {*s.ticket, std::vector<std::uint8_t>{1}, 60, {will(), 0}});
        s.ticket.reset();
    }

    shard& home_;
    vhost_id vhost_;
    std::array<std::atomic<int>, 2>& holders_;
    std::mt19937_64 random_;
    std::array<std::unique_ptr<client_session>, 3> sessions_;
    int attached_ = 0;
};

TEST(ShardThreads, OneAtATimeHasAClientsName) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    constexpr int enough = 200;
    system_clock_source clock;
    broker_options o;
    o.shards = 2;
    broker parts(o, clock);
    const auto vhost = parts.editor().add_vhost("/");
    EXPECT_TRUE(parts.editor().set_permissions("guest", vhost, {".*", ".*", ".*"}));
    parts.publish_topology();
    reactor_like r0(parts, shard_id{0});
    reactor_like r1(parts, shard_id{1});
    parts.hand_over();
    std::array<std::atomic<int>, 2> holders{};
    std::atomic<int> enough_had{0};
    std::atomic<int> at_rest{0};
    std::atomic<int> ended{0};
    last_words ending;
    const auto live = [&](reactor_like& r, std::uint64_t own_seed) {
        r.core().begin_turn();
        auto clients = std::make_unique<greedy_clients>(r.core(), vhost, holders, own_seed);
        bool had = false;
        bool rested = false;
        r.run(
            [&] {
                if (!had && clients->attached() >= enough) {
                    had = true;
                    ++enough_had;
                }
                clients->step(enough_had.load() < 2);
                if (had && !rested && enough_had.load() == 2 && clients->rests()) {
                    rested = true;
                    ++at_rest;
                }
                return false;
            },
            [&] { return at_rest.load() == 2; });
        r.core().begin_turn();
        clients.reset();
        ++ended;
        r.run([] { return false; }, [&] { return ended.load() == 2; });
        r.settle(ending);
        r.end();
    };
    std::thread first([&] { live(r0, seed); });
    std::thread second([&] { live(r1, seed + 1); });
    first.join();
    second.join();
    parts.hand_over();
    EXPECT_EQ(holders[0].load() + holders[1].load(), 0);
}

}  // namespace
}  // namespace linnet::core
