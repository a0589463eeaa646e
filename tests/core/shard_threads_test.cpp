#include "tests/core/cluster.hpp"

#include <atomic>
#include <random>
#include <thread>

// The same core under real threads: what ThreadSanitizer is to look at.

namespace linnet::core {
namespace {

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
        for (int i = 0; i < 20; ++i) {
            r0.run([] { return false; }, [n = 0]() mutable { return n++ == 3; });
            std::this_thread::yield();
        }
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
        for (int i = 0; i < 20; ++i) {
            r1.run([] { return false; }, [n = 0]() mutable { return n++ == 3; });
            std::this_thread::yield();
        }
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

}  // namespace
}  // namespace linnet::core
