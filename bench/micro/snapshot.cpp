// What does a shard pay to read the routing snapshot and to say that it is done, and the writer to
// replace it?

#include "broker/lockfree/snapshot.hpp"

#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>
#include <thread>

namespace linnet::lockfree {
namespace {

struct table {
    int number = 0;
};

void read(benchmark::State& state) {
    snapshot_domain domain(1);
    snapshot<table> routes(domain, std::make_unique<const table>());
    auto& me = domain.reader(0);
    me.online();
    for (auto _ : state) {
        benchmark::DoNotOptimize(routes.read(me)->number);
    }
    me.offline();
}
BENCHMARK(read);

// A turn in which nothing was replaced, which is nearly every turn.
void turn(benchmark::State& state) {
    snapshot_domain domain(1);
    snapshot<table> routes(domain, std::make_unique<const table>());
    auto& me = domain.reader(0);
    me.online();
    for (auto _ : state) {
        benchmark::DoNotOptimize(routes.read(me)->number);
        me.quiescent();
    }
    me.offline();
}
BENCHMARK(turn);

void sleep_and_return(benchmark::State& state) {
    snapshot_domain domain(1);
    auto& me = domain.reader(0);
    for (auto _ : state) {
        me.online();
        me.offline();
    }
}
BENCHMARK(sleep_and_return);

// The whole life of a version: allocated, published, retired, freed; by the number of readers
// scanned.
void publish_and_reclaim(benchmark::State& state) {
    snapshot_domain domain(static_cast<std::size_t>(state.range(0)));
    snapshot<table> routes(domain, std::make_unique<const table>());
    for (auto _ : state) {
        routes.publish(std::make_unique<const table>());
        benchmark::DoNotOptimize(domain.reclaim());
    }
}
BENCHMARK(publish_and_reclaim)->Arg(1)->Arg(8)->Arg(64);

// Reading while another thread publishes as fast as it can: the worst weather for the reader.
void turn_under_publication(benchmark::State& state) {
    snapshot_domain domain(1);
    snapshot<table> routes(domain, std::make_unique<const table>());
    std::atomic<bool> done{false};
    std::thread writer([&] {
        while (!done.load(std::memory_order_relaxed)) {
            if (domain.garbage_count() < 10'000) {
                routes.publish(std::make_unique<const table>());
            }
            domain.reclaim();
        }
    });
    auto& me = domain.reader(0);
    me.online();
    for (auto _ : state) {
        benchmark::DoNotOptimize(routes.read(me)->number);
        me.quiescent();
    }
    me.offline();
    done = true;
    writer.join();
    domain.release_writer();
}
BENCHMARK(turn_under_publication)->UseRealTime();

}  // namespace
}  // namespace linnet::lockfree
