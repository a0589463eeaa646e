#include "bench/load/connection_scenarios.hpp"

#include "bench/load/amqp_dialogue.hpp"

#include <chrono>
#include <thread>
#include <vector>

namespace linnet::load {
namespace {

using steady = std::chrono::steady_clock;

std::uint64_t ns_since(steady::time_point from) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(steady::now() - from).count());
}

process_usage usage_of(const options& o) {
    return o.broker_pid != 0 ? read_usage(o.broker_pid).value_or(process_usage{}) : process_usage{};
}

outcome<amqp_dialogue> open_with_channel(const amqp_uri& uri) {
    auto talk = amqp_dialogue::connect(uri);
    if (!talk)
        return talk;
    if (auto done = talk->open_channel(1); !done)
        return tl::unexpected{done.error()};
    return talk;
}

outcome<void> churn_connection(const amqp_uri& uri) {
    auto talk = open_with_channel(uri);
    if (!talk)
        return tl::unexpected{talk.error()};
    talk->close();
    return {};
}

outcome<void> churn_channel(amqp_dialogue& talk) {
    auto opened = talk.open_channel(2);
    if (!opened)
        return opened;
    auto closed = talk.call<amqp::channel_close_ok>(2, amqp::channel_close{200, "", 0, 0});
    if (!closed)
        return tl::unexpected{closed.error()};
    return {};
}

outcome<void> churn_queue(amqp_dialogue& talk, const std::string& name) {
    auto declared = talk.call<amqp::queue_declare_ok>(1, amqp::queue_declare{.queue = name});
    if (!declared)
        return tl::unexpected{declared.error()};
    auto removed = talk.call<amqp::queue_delete_ok>(1, amqp::queue_delete{.queue = name});
    if (!removed)
        return tl::unexpected{removed.error()};
    return {};
}

outcome<void> churn_once(const options& o, const amqp_uri& uri, amqp_dialogue& talk) {
    switch (o.churn) {
        case churn_kind::connection: return churn_connection(uri);
        case churn_kind::channel: return churn_channel(talk);
        case churn_kind::queue: return churn_queue(talk, o.queue);
    }
    return {};
}

}  // namespace

outcome<connection_report> hold_connections(const options& o, const amqp_uri& uri) {
    connection_report r;
    const process_usage before = usage_of(o);
    r.rss_before_bytes = before.rss_bytes;
    std::vector<amqp_dialogue> held;
    held.reserve(o.connections);
    const auto begin = steady::now();
    for (unsigned i = 0; i < o.connections; ++i) {
        const auto start = steady::now();
        auto talk = open_with_channel(uri);
        if (!talk)
            return failure("{} connections open, then: {}", held.size(), talk.error());
        r.open_times.record(ns_since(start));
        held.push_back(std::move(*talk));
    }
    r.seconds = static_cast<double>(ns_since(begin)) / 1e9;
    r.opened = held.size();
    if (!held.empty())
        r.broker = held.front().product();
    const process_usage opened = usage_of(o);
    r.rss_after_bytes = opened.rss_bytes;
    r.broker_cpu_seconds = opened.cpu_seconds - before.cpu_seconds;
    std::this_thread::sleep_for(std::chrono::duration<double>(o.seconds));
    r.rss_held_bytes = usage_of(o).rss_bytes;
    for (amqp_dialogue& each : held)
        each.close();
    return r;
}

outcome<connection_report> churn(const options& o, const amqp_uri& uri) {
    auto talk = open_with_channel(uri);
    if (!talk)
        return tl::unexpected{talk.error()};
    connection_report r;
    r.broker = talk->product();
    const process_usage before = usage_of(o);
    r.rss_before_bytes = before.rss_bytes;
    const auto begin = steady::now();
    const auto end = begin + std::chrono::duration<double>(o.seconds);
    while (steady::now() < end) {
        const auto start = steady::now();
        if (auto done = churn_once(o, uri, *talk); !done)
            return tl::unexpected{done.error()};
        r.open_times.record(ns_since(start));
        ++r.opened;
    }
    r.seconds = static_cast<double>(ns_since(begin)) / 1e9;
    const process_usage after = usage_of(o);
    r.rss_after_bytes = r.rss_held_bytes = after.rss_bytes;
    r.broker_cpu_seconds = after.cpu_seconds - before.cpu_seconds;
    talk->close();
    return r;
}

}  // namespace linnet::load
