// What does a command cost on its way from one shard to another, by how many are published
// together?

#include "broker/lockfree/doorbell.hpp"
#include "broker/lockfree/spsc_ring.hpp"

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace linnet::lockfree {
namespace {

struct alignas(cacheline_bytes) command {
    std::uint64_t words[8];
};

constexpr std::size_t capacity = 1024;

// One thread plays both sides: the instructions alone, with every line in its own cache.
void push_and_drain(benchmark::State& state) {
    spsc_ring<command> ring(capacity);
    const auto batch = static_cast<std::uint64_t>(state.range(0));
    std::uint64_t sum = 0;
    for (auto _ : state) {
        for (std::uint64_t i = 0; i < batch; ++i) {
            static_cast<void>(ring.try_push({{i, i, i, i, i, i, i, i}}));
        }
        static_cast<void>(ring.publish());
        ring.drain(capacity, [&](const command& c) { sum += c.words[0]; });
    }
    benchmark::DoNotOptimize(sum);
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}
BENCHMARK(push_and_drain)->Arg(1)->Arg(4)->Arg(16)->Arg(64)->Arg(512);

// Spins, but lets go of the processor when the other thread seems to be without one.
class patience {
public:
    void wait() {
        if (++tries_ % 256 == 0) {
            std::this_thread::yield();
        }
    }

private:
    unsigned tries_ = 0;
};

// Two threads, each on its core as fast as it can; an iteration is a batch sent. Compare with the
// 500 ns of a cache line handed over: only batching pays for it.
void between_two_threads(benchmark::State& state) {
    spsc_ring<command> ring(capacity);
    const auto batch = static_cast<std::uint64_t>(state.range(0));
    std::atomic<bool> done{false};
    std::thread consumer([&] {
        std::uint64_t sum = 0;
        patience idle;
        while (!done.load(std::memory_order_relaxed)) {
            if (ring.drain(256, [&](const command& c) { sum += c.words[7]; }) == 0) {
                idle.wait();
            }
        }
        benchmark::DoNotOptimize(sum);
    });
    patience full;
    for (auto _ : state) {
        while (!ring.has_room(batch)) {
            full.wait();
        }
        for (std::uint64_t i = 0; i < batch; ++i) {
            static_cast<void>(ring.try_push({{i, i, i, i, i, i, i, i}}));
        }
        static_cast<void>(ring.publish());
    }
    done = true;
    consumer.join();
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(batch));
}
BENCHMARK(between_two_threads)->Arg(1)->Arg(4)->Arg(16)->Arg(64)->Arg(256)->UseRealTime();

// What a turn pays for each peer it sent nothing to, and for one that is awake.
void nothing_to_publish(benchmark::State& state) {
    spsc_ring<command> ring(capacity);
    for (auto _ : state) {
        benchmark::DoNotOptimize(ring.publish());
    }
}
BENCHMARK(nothing_to_publish);

void ask_an_awake_doorbell(benchmark::State& state) {
    doorbell bell;
    for (auto _ : state) {
        benchmark::DoNotOptimize(bell.must_wake());
    }
}
BENCHMARK(ask_an_awake_doorbell);

void look_into_an_empty_ring(benchmark::State& state) {
    spsc_ring<command> ring(capacity);
    for (auto _ : state) {
        benchmark::DoNotOptimize(ring.drain(capacity, [](const command&) {}));
    }
}
BENCHMARK(look_into_an_empty_ring);

void announce_a_sleep_and_wake(benchmark::State& state) {
    doorbell bell;
    for (auto _ : state) {
        bell.prepare_to_sleep();
        bell.awake();
    }
}
BENCHMARK(announce_a_sleep_and_wake);

}  // namespace
}  // namespace linnet::lockfree
