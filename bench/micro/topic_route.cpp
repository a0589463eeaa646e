// What does one route through a topic exchange cost, nothing cached, when there are 100,000 or a million
// bindings? Keys come in random order, so that the table does not stay in the processor's caches.

#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_nodes.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace linnet::core;

enum class shape { literal, rest, mixed };

// Bindings of a fleet of devices: "site<i>.device<j>.<what>", one queue for each hundred.
struct table {
    topology_editor editor;
    vhost_id vhost = editor.add_vhost("/");
    const topology_root* root = nullptr;
    // The keys to ask for, in random order but behind one another: reading them is not what is measured.
    std::string text;
    std::vector<std::string_view> keys;

    table(std::size_t bindings, shape s) {
        const std::size_t queues = bindings / 100;
        for (std::size_t i = 0; i < queues; ++i) {
            queue_spec q;
            q.name = "queue-" + std::to_string(i);
            q.vhost = vhost;
            editor.add_queue(std::move(q), {static_cast<std::uint32_t>(i), 1, {}});
        }
        std::vector<std::string> devices;
        for (std::size_t i = 0; i < bindings; ++i) {
            const std::string device = "site" + std::to_string(i / 1'000) + ".device" + std::to_string(i % 1'000);
            static_cast<void>(editor.bind(
                vhost, {"amq.topic", "queue-" + std::to_string(i % queues), {}, pattern_for(device, i, s), {}, {}},
                {}));
            devices.push_back(device + ".temperature");
        }
        root = editor.commit();
        std::shuffle(devices.begin(), devices.end(), std::mt19937_64(1));
        for (const auto& d : devices) {
            text += d;
        }
        for (std::size_t at = 0; const auto& d : devices) {
            keys.push_back(std::string_view(text).substr(at, d.size()));
            at += d.size();
        }
    }
    ~table() { release_topology(root); }
    table(const table&) = delete;
    table& operator=(const table&) = delete;

    [[nodiscard]] static std::string pattern_for(const std::string& device, std::size_t i, shape s) {
        if (s == shape::rest || (s == shape::mixed && i % 3 == 1)) {
            return device + ".#";
        }
        if (s == shape::mixed && i % 3 == 2) {
            return "*." + device.substr(device.find('.') + 1) + ".x" + std::to_string(i) + ".#";
        }
        return device + ".temperature";
    }
};

// Built once: a million bindings take seconds.
[[nodiscard]] const table& table_of(std::size_t bindings, shape s) {
    static std::map<std::pair<std::size_t, shape>, std::unique_ptr<table>> tables;
    auto& t = tables[{bindings, s}];
    if (!t) {
        t = std::make_unique<table>(bindings, s);
    }
    return *t;
}

void route(benchmark::State& state, shape s) {
    const table& t = table_of(static_cast<std::size_t>(state.range(0)), s);
    const topology_view view(t.root);
    const vhost_node& v = *view.find_vhost(t.vhost);
    const exchange_node& x = *topology_view::find_exchange(v, "amq.topic");
    const auto scratch = make_route_scratch();
    std::size_t i = 0;
    std::size_t reached = 0;
    for (auto unused : state) {
        route_input in;
        in.routing_key = t.keys[i];
        i = i + 1 == t.keys.size() ? 0 : i + 1;
        topology_view::route(v, x, in, *scratch);
        reached += topology_view::targets_of(*scratch).size();
    }
    state.SetItemsProcessed(state.iterations());
    state.counters["targets"] = benchmark::Counter(static_cast<double>(reached), benchmark::Counter::kAvgIterations);
}

void topic_literal(benchmark::State& s) { route(s, shape::literal); }
void topic_rest(benchmark::State& s) { route(s, shape::rest); }
void topic_mixed(benchmark::State& s) { route(s, shape::mixed); }
BENCHMARK(topic_literal)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(topic_rest)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);
BENCHMARK(topic_mixed)->Arg(1'000)->Arg(100'000)->Arg(1'000'000);

}  // namespace
