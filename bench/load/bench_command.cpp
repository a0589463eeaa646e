#include "bench/load/bench_command.hpp"

#include "bench/load/amqp_driver.hpp"
#include "bench/load/condition.hpp"
#include "bench/load/connection_scenarios.hpp"
#include "bench/load/crossing_driver.hpp"
#include "bench/load/format.hpp"
#include "bench/load/http_driver.hpp"
#include "bench/load/loopback_peer.hpp"
#include "bench/load/mqtt_driver.hpp"
#include "bench/load/option_table.hpp"
#include "bench/load/report_files.hpp"
#include "bench/load/report_text.hpp"
#include "bench/load/run.hpp"

#include <algorithm>
#include <cstdio>
#include <sys/resource.h>

namespace linnet::load {
namespace {

constexpr std::uint64_t peak_in_flight = 20'000;

int say(exit_code code, const std::string& why) {
    fmt::print(stderr, "linnet bench: {}\n", why);
    return static_cast<int>(code);
}

// Thousands of connections need more descriptors than the usual soft limit.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

std::unique_ptr<driver> driver_for(protocol p, const options& o) {
    switch (p) {
        case protocol::amqp: return std::make_unique<amqp_driver>(o.uri_of(p), o);
        case protocol::mqtt: return std::make_unique<mqtt_driver>(o.uri_of(p), o);
        case protocol::http: return std::make_unique<http_driver>(o.uri_of(p), o);
    }
    return nullptr;
}

std::unique_ptr<driver> make_driver(const options& o) {
    auto consuming = driver_for(o.consumed_by(), o);
    if (!o.is_crossing())
        return consuming;
    return std::make_unique<crossing_driver>(driver_for(o.published_by(), o), std::move(consuming));
}

outcome<report> run_at(const options& o) {
    const auto driver = make_driver(o);
    return run_load(o, *driver, [&](const interval& each) {
        if (o.quiet)
            return;
        fmt::print("{}", interval_line(o, each));
        std::fflush(stdout);
    });
}

// The peak in closed loop, then the asked share of it as a rate for each producer.
outcome<report> run_at_share_of_peak(options o) {
    const double share = o.rate.value / 100;
    options closed = o;
    closed.rate = {};
    // A peak that only fills queues is none.
    if (closed.in_flight == 0 && closed.consumers != 0)
        closed.in_flight = peak_in_flight;
    closed.seconds = o.peak_seconds;
    fmt::print("measuring the peak for {:.0f} s\n", closed.seconds);
    auto peak = run_at(closed);
    if (!peak)
        return peak;
    const double copies = std::max(1U, make_plan(o).copies);
    const double peak_per_s = o.consumers != 0 ? peak->received_per_s() / copies : peak->sent_per_s();
    o.rate = {rate_option::unit::per_second, std::max(1.0, peak_per_s * share / std::max(1U, o.producers))};
    fmt::print("peak {:.0f}/s; now {:.0f}/s for each producer\n", peak_per_s, o.rate.value);
    auto result = run_at(o);
    if (result)
        result->peak_per_s = peak_per_s;
    return result;
}

int judge(const std::vector<condition>& bars, const report& r) {
    int code = static_cast<int>(exit_code::done);
    for (const condition& bar : bars) {
        if (!bar.holds(r))
            continue;
        code = say(exit_code::failed, fmt::format("--fail-if: {} is {:.6g}", bar.metric, *metric_of(r, bar.metric)));
    }
    return code;
}

outcome<void> write_files(const options& o, const report& r) {
    const auto write = [](const std::string& path, const auto& make) {
        return path.empty() ? outcome<void>{} : write_report(path, make());
    };
    return write(o.json, [&] { return json_report(o, r); })
        .and_then([&] { return write(o.csv, [&] { return csv_report(r); }); })
        .and_then([&] { return write(o.svg, [&] { return svg_report(o, r); }); })
        .and_then([&] { return write(o.hgrm, [&] { return hgrm_report(r.times.latency); }); });
}

outcome<std::vector<condition>> bars_of(const options& o) {
    std::vector<condition> bars;
    for (const std::string& text : o.fail_if) {
        auto more = parse_conditions(text);
        if (!more)
            return more;
        bars.insert(bars.end(), more->begin(), more->end());
    }
    return bars;
}

int bench_messages(const options& o) {
    const auto bars = bars_of(o);
    if (!bars)
        return say(exit_code::usage, bars.error());
    const bool share = o.rate.is == rate_option::unit::percent_of_peak;
    const auto result = share ? run_at_share_of_peak(o) : run_at(o);
    if (!result)
        return say(exit_code::unreachable, result.error());
    fmt::print("{}", summary(o, *result));
    if (auto done = write_files(o, *result); !done)
        return say(exit_code::failed, done.error());
    return judge(*bars, *result);
}

int bench_connections(const options& o) {
    const auto result = o.what == scenario::conn ? hold_connections(o) : churn(o);
    if (!result)
        return say(exit_code::unreachable, result.error());
    fmt::print("{}", summary(o, *result));
    if (o.json.empty())
        return static_cast<int>(exit_code::done);
    const auto done = write_report(o.json, json_report(o, *result));
    return done ? static_cast<int>(exit_code::done) : say(exit_code::failed, done.error());
}

// What the generator costs by itself: against peers in this process that do nothing with a message.
int bench_self(options o) {
    struct part {
        const char* name;
        loopback_peer::role peer;
        unsigned producers;
        unsigned consumers;
    };
    o.quiet = true;
    for (const part& each :
         {part{"publish", loopback_peer::role::sink, 1, 0}, part{"consume", loopback_peer::role::source, 0, 1},
          part{"both", loopback_peer::role::broker, 1, 1}}) {
        const loopback_peer peer{o.uri.speaks, each.peer};
        o.name = each.name;
        o.producers = each.producers;
        o.consumers = each.consumers;
        // Nothing more is coming in that could be waited for: a source never ends.
        o.drain_seconds = each.peer == loopback_peer::role::source ? 0 : 1;
        o.size = std::max(o.size, static_cast<std::uint32_t>(stamp_bytes_of(o.form())));
        o.uri.host = "127.0.0.1";
        o.uri.port = fmt::format("{}", peer.port());
        const auto result = run_at(o);
        if (!result)
            return say(exit_code::failed, result.error());
        fmt::print("{:<8} {:6.1f} ns of generator CPU a message, {} sent/s, {} received/s\n", each.name,
                   result->generator_ns_per_message(), grouped(result->sent_per_s()),
                   grouped(result->received_per_s()));
    }
    return static_cast<int>(exit_code::done);
}

int bench(const options& o) {
    switch (o.what) {
        case scenario::amqp:
        case scenario::fanout:
        case scenario::queues:
        case scenario::topic:
        case scenario::mqtt:
        case scenario::amqp_mqtt:
        case scenario::mqtt_amqp:
        case scenario::http:
        case scenario::sse:
        case scenario::amqp_sse:
        case scenario::mqtt_sse:
        case scenario::latency: return bench_messages(o);
        case scenario::conn:
        case scenario::churn: return bench_connections(o);
        case scenario::self: return bench_self(o);
    }
    return static_cast<int>(exit_code::usage);
}

}  // namespace

int bench_main(std::span<const std::string> arguments) {
    const auto asks_help = [](const std::string& each) { return each == "--help" || each == "-?"; };
    if (arguments.empty() || std::any_of(arguments.begin(), arguments.end(), asks_help)) {
        fmt::print("{}", help_text());
        return static_cast<int>(arguments.empty() ? exit_code::usage : exit_code::done);
    }
    const auto o = parse_options(arguments);
    if (!o)
        return say(exit_code::usage, o.error());
    raise_descriptor_limit();
    return bench(*o);
}

}  // namespace linnet::load
