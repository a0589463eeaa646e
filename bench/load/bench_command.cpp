#include "bench/load/bench_command.hpp"

#include "bench/load/amqp_driver.hpp"
#include "bench/load/condition.hpp"
#include "bench/load/option_table.hpp"
#include "bench/load/report_text.hpp"
#include "bench/load/run.hpp"

#include <algorithm>
#include <cstdio>
#include <sys/resource.h>

namespace linnet::load {
namespace {

int say(exit_code code, const std::string& why) {
    fmt::print(stderr, "linnet bench: {}\n", why);
    return static_cast<int>(code);
}

// Thousands of connections need more descriptors than the usual soft limit.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

outcome<report> run_at(const options& o, const amqp_uri& uri) {
    amqp_driver driver{uri, o};
    return run_load(o, driver, [&](const interval& each) {
        if (o.quiet) return;
        fmt::print("{}", interval_line(o, each));
        std::fflush(stdout);
    });
}

// The peak in closed loop, then the asked share of it as a rate for each producer.
outcome<report> run_at_share_of_peak(options o, const amqp_uri& uri) {
    const double share = o.rate.value / 100;
    options closed = o;
    closed.rate = {};
    closed.seconds = o.peak_seconds;
    fmt::print("measuring the peak for {:.0f} s\n", closed.seconds);
    auto peak = run_at(closed, uri);
    if (!peak) return peak;
    const double copies = std::max(1U, make_plan(o).copies);
    const double peak_per_s = o.consumers != 0 ? peak->received_per_s() / copies : peak->sent_per_s();
    o.rate = {rate_option::unit::per_second, std::max(1.0, peak_per_s * share / std::max(1U, o.producers))};
    fmt::print("peak {:.0f}/s; now {:.0f}/s for each producer\n", peak_per_s, o.rate.value);
    auto result = run_at(o, uri);
    if (result) result->peak_per_s = peak_per_s;
    return result;
}

int judge(const std::vector<condition>& bars, const report& r) {
    int code = static_cast<int>(exit_code::done);
    for (const condition& bar : bars) {
        if (!bar.holds(r)) continue;
        code = say(exit_code::failed, fmt::format("--fail-if: {} is {:.6g}", bar.metric, *metric_of(r, bar.metric)));
    }
    return code;
}

int bench_messages(const options& o, const amqp_uri& uri) {
    std::vector<condition> bars;
    for (const std::string& text : o.fail_if) {
        auto more = parse_conditions(text);
        if (!more) return say(exit_code::usage, more.error());
        bars.insert(bars.end(), more->begin(), more->end());
    }
    const bool share = o.rate.is == rate_option::unit::percent_of_peak;
    const auto result = share ? run_at_share_of_peak(o, uri) : run_at(o, uri);
    if (!result) return say(exit_code::unreachable, result.error());
    fmt::print("{}", summary(o, *result));
    return judge(bars, *result);
}

}  // namespace

int bench_main(std::span<const std::string> arguments) {
    const auto asks_help = [](const std::string& each) { return each == "--help" || each == "-?"; };
    if (arguments.empty() || std::any_of(arguments.begin(), arguments.end(), asks_help)) {
        fmt::print("{}", help_text());
        return static_cast<int>(arguments.empty() ? exit_code::usage : exit_code::done);
    }
    const auto o = parse_options(arguments);
    if (!o) return say(exit_code::usage, o.error());
    const auto uri = parse_amqp_uri(o->uri);
    if (!uri) return say(exit_code::usage, uri.error());
    raise_descriptor_limit();
    return bench_messages(*o, *uri);
}

}  // namespace linnet::load
