#include "bench/load/connection_scenarios.hpp"

#include "bench/load/amqp_dialogue.hpp"
#include "bench/load/http_dialogue.hpp"
#include "bench/load/mqtt_dialogue.hpp"

#include <chrono>
#include <thread>
#include <type_traits>
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

outcome<amqp_dialogue> open_amqp(const broker_uri& uri) {
    auto talk = amqp_dialogue::connect(uri);
    if (!talk)
        return talk;
    if (auto done = talk->open_channel(1); !done)
        return tl::unexpected{done.error()};
    return talk;
}

outcome<mqtt_dialogue> open_mqtt(const options& o) { return mqtt_dialogue::connect(o.uri, {.version = o.version}); }

// Open and served: one request has been answered, whatever the answer.
outcome<http_dialogue> open_http(const options& o) {
    auto talk = http_dialogue::connect(o.uri);
    if (!talk)
        return talk;
    if (const auto answer = talk->ask(http::method::head, "/"); !answer)
        return tl::unexpected{answer.error()};
    return talk;
}

template <class Open>
outcome<void> churn_connection(const Open& open) {
    auto talk = open();
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

// Opens and keeps; `open` makes one connection that can close().
template <class Open>
outcome<connection_report> hold(const options& o, const Open& open) {
    connection_report r;
    const process_usage before = usage_of(o);
    r.rss_before_bytes = before.rss_bytes;
    std::vector<typename std::invoke_result_t<Open>::value_type> held;
    held.reserve(o.connections);
    const auto begin = steady::now();
    for (unsigned i = 0; i < o.connections; ++i) {
        const auto start = steady::now();
        auto talk = open();
        if (!talk)
            return failure("{} connections open, then: {}", held.size(), talk.error());
        r.open_times.record(ns_since(start));
        held.push_back(std::move(*talk));
    }
    r.seconds = static_cast<double>(ns_since(begin)) / 1e9;
    r.opened = held.size();
    const process_usage opened = usage_of(o);
    r.rss_after_bytes = opened.rss_bytes;
    r.broker_cpu_seconds = opened.cpu_seconds - before.cpu_seconds;
    std::this_thread::sleep_for(std::chrono::duration<double>(o.seconds));
    r.rss_held_bytes = usage_of(o).rss_bytes;
    for (auto& each : held)
        each.close();
    return r;
}

// Does the same thing again and again.
template <class Once>
outcome<connection_report> repeat(const options& o, const Once& once) {
    connection_report r;
    const process_usage before = usage_of(o);
    r.rss_before_bytes = before.rss_bytes;
    const auto begin = steady::now();
    const auto end = begin + std::chrono::duration<double>(o.seconds);
    while (steady::now() < end) {
        const auto start = steady::now();
        if (auto done = once(); !done)
            return tl::unexpected{done.error()};
        r.open_times.record(ns_since(start));
        ++r.opened;
    }
    r.seconds = static_cast<double>(ns_since(begin)) / 1e9;
    const process_usage after = usage_of(o);
    r.rss_after_bytes = r.rss_held_bytes = after.rss_bytes;
    r.broker_cpu_seconds = after.cpu_seconds - before.cpu_seconds;
    return r;
}

outcome<connection_report> churn_amqp(const options& o, amqp_dialogue& talk) {
    switch (o.churn) {
        case churn_kind::connection:
            return repeat(o, [&] { return churn_connection([&] { return open_amqp(o.uri); }); });
        case churn_kind::channel: return repeat(o, [&] { return churn_channel(talk); });
        case churn_kind::queue: return repeat(o, [&] { return churn_queue(talk, o.queue); });
    }
    return {};
}

// Runs measure(talk) beside one connection of its own, which tells who the broker is.
outcome<connection_report> beside_amqp(const options& o, const auto& measure) {
    auto talk = open_amqp(o.uri);
    if (!talk)
        return tl::unexpected{talk.error()};
    auto r = measure(*talk);
    if (r)
        r->broker = talk->product();
    talk->close();
    return r;
}

outcome<connection_report> beside_mqtt(const options& o, const auto& measure) {
    auto talk = open_mqtt(o);
    if (!talk)
        return tl::unexpected{talk.error()};
    auto r = measure();
    if (r)
        r->broker = talk->broker();
    talk->close();
    return r;
}

outcome<connection_report> beside_http(const options& o, const auto& measure) {
    auto talk = http_dialogue::connect(o.uri);
    if (!talk)
        return tl::unexpected{talk.error()};
    const auto answer = talk->ask(http::method::head, "/");
    if (!answer)
        return tl::unexpected{answer.error()};
    auto r = measure();
    if (r)
        r->broker = answer->server.empty() ? "HTTP server" : answer->server;
    talk->close();
    return r;
}

}  // namespace

outcome<connection_report> hold_connections(const options& o) {
    switch (o.uri.speaks) {
        case protocol::amqp:
            return beside_amqp(o, [&](amqp_dialogue&) { return hold(o, [&] { return open_amqp(o.uri); }); });
        case protocol::mqtt: return beside_mqtt(o, [&] { return hold(o, [&] { return open_mqtt(o); }); });
        case protocol::http: return beside_http(o, [&] { return hold(o, [&] { return open_http(o); }); });
    }
    return {};
}

outcome<connection_report> churn(const options& o) {
    const auto connections = [&](auto open) {
        return repeat(o, [&] { return churn_connection([&] { return open(o); }); });
    };
    switch (o.uri.speaks) {
        case protocol::amqp: return beside_amqp(o, [&](amqp_dialogue& talk) { return churn_amqp(o, talk); });
        case protocol::mqtt: return beside_mqtt(o, [&] { return connections(open_mqtt); });
        case protocol::http: return beside_http(o, [&] { return connections(open_http); });
    }
    return {};
}

}  // namespace linnet::load
