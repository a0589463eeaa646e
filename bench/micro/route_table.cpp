// What do look-ups through the other exchanges cost, and what does one change of a large table cost,
// published version included?

#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_nodes.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace linnet::core;

struct table {
    topology_editor editor;
    vhost_id vhost = editor.add_vhost("/");
    const topology_root* root = nullptr;
    std::vector<std::string> names;

    explicit table(std::size_t queues) {
        for (std::size_t i = 0; i < queues; ++i) {
            names.push_back("queue-" + std::to_string(i));
            queue_spec q;
            q.name = names.back();
            q.vhost = vhost;
            editor.add_queue(std::move(q), {static_cast<std::uint32_t>(i), 1, {}});
            static_cast<void>(editor.bind(vhost, {"amq.direct", names.back(), {}, names.back(), {}, {}}, {}));
        }
        root = editor.commit();
        std::shuffle(names.begin(), names.end(), std::mt19937_64(1));
    }
    ~table() { release_topology(root); }
    table(const table&) = delete;
    table& operator=(const table&) = delete;

    // What a reader does after a change.
    void publish() { release_topology(std::exchange(root, editor.commit())); }
};

void route_through(benchmark::State& state, std::string_view exchange) {
    const table t(static_cast<std::size_t>(state.range(0)));
    const topology_view view(t.root);
    const auto scratch = make_route_scratch();
    std::size_t i = 0;
    for (auto unused : state) {
        const vhost_node& v = *view.find_vhost(t.vhost);
        const exchange_node& x = *topology_view::find_exchange(v, exchange);
        route_input in;
        in.routing_key = t.names[i];
        i = i + 1 == t.names.size() ? 0 : i + 1;
        topology_view::route(v, x, in, *scratch);
        benchmark::DoNotOptimize(topology_view::targets_of(*scratch).data());
    }
    state.SetItemsProcessed(state.iterations());
}
void default_exchange(benchmark::State& s) { route_through(s, ""); }
void direct_exchange(benchmark::State& s) { route_through(s, "amq.direct"); }
BENCHMARK(default_exchange)->Arg(1'000)->Arg(100'000);
BENCHMARK(direct_exchange)->Arg(1'000)->Arg(100'000);

void fanout(benchmark::State& state) {
    table t(static_cast<std::size_t>(state.range(0)));
    for (const auto& name : t.names) {
        static_cast<void>(t.editor.bind(t.vhost, {"amq.fanout", name, {}, "", {}, {}}, {}));
    }
    t.publish();
    const topology_view view(t.root);
    const vhost_node& v = *view.find_vhost(t.vhost);
    const exchange_node& x = *topology_view::find_exchange(v, "amq.fanout");
    const auto scratch = make_route_scratch();
    for (auto unused : state) {
        topology_view::route(v, x, {}, *scratch);
        benchmark::DoNotOptimize(topology_view::targets_of(*scratch).data());
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(fanout)->Arg(10)->Arg(1'000)->Arg(10'000);

// Bind, publish, unbind, publish: each version is given back as the next one stands.
void bind_and_publish(benchmark::State& state) {
    table t(static_cast<std::size_t>(state.range(0)));
    std::size_t i = 0;
    for (auto unused : state) {
        const std::string& name = t.names[i];
        i = i + 1 == t.names.size() ? 0 : i + 1;
        static_cast<void>(t.editor.bind(t.vhost, {"amq.topic", name, {}, "a." + name + ".#", {}, {}}, {}));
        t.publish();
        static_cast<void>(t.editor.unbind(t.vhost, {"amq.topic", name, {}, "a." + name + ".#", {}, {}}, {}));
        t.publish();
    }
    state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(bind_and_publish)->Arg(1'000)->Arg(100'000);

// Many edits, one version: what setting up and subscribing in bulk costs.
void bind_in_bulk(benchmark::State& state) {
    for (auto unused : state) {
        state.PauseTiming();
        auto t = std::make_unique<table>(1'000);
        state.ResumeTiming();
        for (std::int64_t i = 0; i < state.range(0); ++i) {
            const std::string& name = t->names[static_cast<std::size_t>(i) % t->names.size()];
            static_cast<void>(
                t->editor.bind(t->vhost, {"amq.topic", name, {}, "a." + std::to_string(i) + ".#", {}, {}}, {}));
        }
        t->publish();
        state.PauseTiming();
        t.reset();
        state.ResumeTiming();
    }
    state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(bind_in_bulk)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
