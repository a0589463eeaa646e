// What does a queue cost: handing a message straight on, storing it and lending it later, and being longer than
// memory: ten million messages in and out through a log in memory, with the bytes that its index takes.

#include "broker/core/queue.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/store/memory_log.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>

namespace linnet::core {
namespace {

class idle_shard final : public queue_context {
public:
    [[nodiscard]] mono_ns now() const noexcept override { return ns_per_s; }
    [[nodiscard]] wall_ns wall_now() const noexcept override { return ns_per_s; }
    [[nodiscard]] timer_wheel& timers() noexcept override { return wheel_; }
    void on_dead(const queue&, queue_item&& item, death_reason) override { item.msg.reset(); }
    void deliver_remote(const remote_consumer&, delivery&&) override {}
    void cancel_remote(const remote_consumer&, cancel_reason) override {}
    void on_unused(const queue&) override {}
    void on_loaded(queue&) override {}
    void on_settled(queue&) override {}

private:
    timer_wheel wheel_{ns_per_s};
};

class counting_sink final : public delivery_sink {
public:
    void on_delivery(std::uint64_t, delivery&& d) override {
        ++count;
        d.msg.reset();
    }
    void on_cancelled(std::uint64_t, cancel_reason) override {}
    void on_direct(message_ptr) override {}
    void set_ready(bool yes) noexcept { ready_ = yes; }
    std::int64_t count = 0;
};

struct fixture {
    fixture() { message_pool::enter(&pool); }
    ~fixture() {
        q.reset();
        message_pool::enter(nullptr);
    }
    fixture(const fixture&) = delete;
    fixture& operator=(const fixture&) = delete;

    void consume(bool no_ack) {
        queue::attachment a;
        a.sink = &sink;
        a.no_ack = no_ack;
        consumer = *q->attach(std::move(a));
    }
    [[nodiscard]] message_ptr text(bool persistent) {
        message_traits t;
        t.persistent = persistent;
        return make_message(pool, "x", "k", {}, body, t);
    }

    message_pool pool{shard_id{0}};
    idle_shard shard;
    counting_sink sink;
    std::array<std::uint8_t, 100> body{};
    std::unique_ptr<queue> q;
    consumer_id consumer;
};

void hand_straight_on(benchmark::State& state) {
    fixture f;
    f.q = std::make_unique<queue>(f.shard, queue_handle{1, 1, {}}, queue_spec{});
    f.consume(false);
    for (auto _ : state) {
        benchmark::DoNotOptimize(f.q->enqueue(f.text(false)));
        f.q->settle(f.consumer, 1, f.body.size());
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(hand_straight_on);

void store_and_lend_later(benchmark::State& state) {
    fixture f;
    f.q = std::make_unique<queue>(f.shard, queue_handle{1, 1, {}}, queue_spec{});
    f.consume(false);
    constexpr std::uint32_t batch = 1000;
    for (auto _ : state) {
        f.sink.set_ready(false);
        for (std::uint32_t i = 0; i < batch; ++i) {
            benchmark::DoNotOptimize(f.q->enqueue(f.text(false)));
        }
        f.sink.set_ready(true);
        benchmark::DoNotOptimize(f.q->pump());
        f.q->settle(f.consumer, batch, batch * f.body.size());
    }
    state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(store_and_lend_later);

[[nodiscard]] double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void longer_than_memory(benchmark::State& state) {
    const std::int64_t count = state.range(0);
    constexpr owner_uid uid = 1;
    constexpr std::int64_t turn = 4096;
    const auto nobody = [](const durable_waiter&) {};
    for (auto _ : state) {
        fixture f;
        store::memory_log log;
        journal words(log, f.pool, [&f](owner_uid) -> record_owner* { return f.q.get(); });
        queue_spec spec;
        spec.durable = true;
        f.q = std::make_unique<queue>(f.shard, queue_handle{1, 1, {}}, spec, queue_keeping{&words, uid});

        const auto began = std::chrono::steady_clock::now();
        for (std::int64_t i = 0; i < count; ++i) {
            auto m = f.text(true);
            const message_place place{uid, f.q->take_position(), 0};
            const auto where = words.record_message(*m, 0, {&place, 1});
            f.q->enqueue_stored(std::move(m), place.pos, where);
            if (i % turn == 0) {
                words.flush();
                static_cast<void>(words.poll(nobody));
            }
        }
        state.counters["in/s"] = static_cast<double>(count) / seconds_since(began);
        state.counters["index B/msg"] = static_cast<double>(f.q->own_bytes()) / static_cast<double>(count);
        state.counters["bodies held"] = static_cast<double>(f.pool.held_bytes());

        const auto turned = std::chrono::steady_clock::now();
        f.consume(true);
        while (f.sink.count < count) {
            static_cast<void>(f.q->pump());
            f.q->record_settled();
            words.flush();
            static_cast<void>(words.poll(nobody));
        }
        state.counters["out/s"] = static_cast<double>(count) / seconds_since(turned);
        state.SetItemsProcessed(count);
        f.q.reset();
    }
}
BENCHMARK(longer_than_memory)->Arg(1'000'000)->Arg(10'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace linnet::core
