// What does it cost to hand a shard an item from any thread, and the shard to find nothing there?

#include "broker/lockfree/counter.hpp"
#include "broker/lockfree/mpsc_inbox.hpp"

#include <benchmark/benchmark.h>

#include <memory>

namespace linnet::lockfree {
namespace {

struct item : inbox_hook<item> {
    int number = 0;
};

// Including the item's allocation and deletion.
void push_and_take(benchmark::State& state) {
    mpsc_inbox<item> box;
    for (auto _ : state) {
        for (std::int64_t i = 0; i < state.range(0); ++i) {
            box.push(std::make_unique<item>());
        }
        auto batch = box.take_all();
        while (auto taken = batch.pop_front()) {
            benchmark::DoNotOptimize(taken->number);
        }
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(push_and_take)->Arg(1)->Arg(16)->Arg(256);

void find_nothing(benchmark::State& state) {
    mpsc_inbox<item> box;
    for (auto _ : state) {
        benchmark::DoNotOptimize(box.take_all().empty());
    }
}
BENCHMARK(find_nothing);

// Every thread pushes, the first one also takes.
void contended_push(benchmark::State& state) {
    static mpsc_inbox<item> box;
    for (auto _ : state) {
        box.push(std::make_unique<item>());
        if (state.thread_index() == 0) {
            static_cast<void>(box.take_all());
        }
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(contended_push)->Threads(1)->Threads(2)->UseRealTime();

void count(benchmark::State& state) {
    counter c;
    for (auto _ : state) {
        c.add();
        benchmark::ClobberMemory();
    }
    benchmark::DoNotOptimize(c.value());
}
BENCHMARK(count);

}  // namespace
}  // namespace linnet::lockfree
