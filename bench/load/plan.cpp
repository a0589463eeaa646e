#include "bench/load/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace linnet::load {
namespace {

void name_queues(plan& p, const options& o) {
    // In a fan-out every consumer has a queue of its own.
    const unsigned count = o.what == scenario::fanout ? std::max(o.consumers, 1U) : o.queue_count();
    for (unsigned i = 0; i < count; ++i) {
        if (o.queue_pattern.empty()) {
            p.queues.push_back(o.queue);
            continue;
        }
        std::string name = o.queue_pattern;
        name.replace(name.find("%d"), 2, fmt::format("{}", o.queue_pattern_from + i));
        p.queues.push_back(std::move(name));
    }
}

// Binding i and key i match each other and nothing else. A quarter of the patterns each is exact, ends in *,
// begins with * and ends in #, so that every kind of edge of a topic index is walked.
std::string topic_key(unsigned i) { return fmt::format("site{}.device{}.temperature", i / 1000, i); }

std::string topic_pattern(unsigned i) {
    switch (i % 4) {
        case 0: return topic_key(i);
        case 1: return fmt::format("site{}.device{}.*", i / 1000, i);
        case 2: return fmt::format("*.device{}.temperature", i);
        default: return fmt::format("site{}.device{}.#", i / 1000, i);
    }
}

void add_topic_keys(plan& p, const options& o) {
    const auto queues = static_cast<unsigned>(p.queues.size());
    for (unsigned i = 0; i < o.bindings; ++i)
        p.bindings.push_back({i % queues, topic_pattern(i)});
    std::mt19937_64 random{o.seed};
    for (unsigned producer = 0; producer < o.producers; ++producer) {
        std::vector<unsigned> order(o.bindings);
        std::iota(order.begin(), order.end(), 0U);
        std::shuffle(order.begin(), order.end(), random);
        order.resize(std::min(o.keys, o.bindings));
        producer_plan each;
        for (unsigned i : order)
            each.targets.push_back({topic_key(i), producer * queues + i % queues});
        p.producers.push_back(std::move(each));
    }
    p.streams = o.producers * queues;
}

// One key that reaches every bound queue alike.
void add_shared_key(plan& p, const options& o, const std::string& key) {
    for (unsigned q = 0; q < p.queues.size(); ++q)
        p.bindings.push_back({q, key});
    for (unsigned i = 0; i < o.producers; ++i)
        p.producers.push_back({{{key, i}}});
    p.streams = o.producers;
    p.copies = static_cast<unsigned>(p.queues.size());
}

// Every queue under its own name; the queues are dealt out among the producers. With MQTT, and of events, they are
// topics, of which every consumer gets all messages unless the subscription is shared.
void add_queue_keys(plan& p, const options& o) {
    const auto queues = static_cast<unsigned>(p.queues.size());
    if (o.everyone_gets_all())
        p.copies = std::max(o.consumers / queues, 1U);
    if (!p.exchange.empty()) {
        for (unsigned q = 0; q < queues; ++q)
            p.bindings.push_back({q, p.queues[q]});
    }
    for (unsigned i = 0; i < o.producers; ++i) {
        producer_plan each;
        for (unsigned q = i % queues; q < queues; q += std::max(o.producers, 1U)) {
            each.targets.push_back({p.queues[q], i * queues + q});
        }
        p.producers.push_back(std::move(each));
    }
    p.streams = o.producers * queues;
}

void add_connections(plan& p, const options& o) {
    for (unsigned i = 0; i < o.producers; ++i) {
        if (i % o.producers_per_connection == 0)
            p.connections.emplace_back();
        p.connections.back().producers.push_back(i);
    }
    const auto queues = static_cast<unsigned>(p.queues.size());
    const bool competing = o.consumers > queues && !o.everyone_gets_all();
    for (unsigned i = 0; i < o.consumers; ++i) {
        if (i % o.consumers_per_connection == 0)
            p.connections.emplace_back();
        connection_plan& at = p.connections.back();
        // More queues than consumers: each consumer takes several.
        for (unsigned q = i % queues; q < queues; q += o.consumers) {
            at.subscriptions.push_back({q, i, competing});
        }
    }
    for (connection_plan& each : p.connections) {
        const auto subscriptions = static_cast<unsigned>(each.subscriptions.size());
        each.channels = o.channels == 0 ? subscriptions : std::min(o.channels, subscriptions);
    }
}

}  // namespace

plan make_plan(const options& o) {
    plan p;
    p.exchange = o.exchange.empty() && o.is_crossing() ? "amq.topic" : o.exchange;
    p.exchange_type = o.exchange_type.empty() && !o.exchange.empty() ? "direct" : o.exchange_type;
    if (p.exchange.empty() && !p.exchange_type.empty())
        p.exchange = "linnet-bench." + p.exchange_type;
    name_queues(p, o);
    if (o.what == scenario::topic) {
        add_topic_keys(p, o);
    } else if (!p.exchange.empty() && (p.exchange_type == "fanout" || !o.routing_key.empty())) {
        add_shared_key(p, o, o.routing_key);
    } else {
        add_queue_keys(p, o);
    }
    add_connections(p, o);
    return p;
}

}  // namespace linnet::load
