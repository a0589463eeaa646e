#include "clients/cli/status.hpp"

#include "clients/cli/amqp_probe.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace linnet::cli {
namespace {

double milliseconds(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1'000; }

facts facts_of(const server_uri& uri, const probe_report& report) {
    return {{"url", uri.text()},
            {"product", report.product},
            {"version", report.version},
            {"platform", report.platform},
            {"cluster_name", report.cluster_name},
            {"mechanisms", report.mechanisms},
            {"tls", report.tls_version.empty() ? "no" : report.tls_version},
            {"channel_max", std::int64_t{report.channel_max}},
            {"frame_max", std::int64_t{report.frame_max}},
            {"heartbeat_s", std::int64_t{report.heartbeat_s}},
            {"connect_ms", milliseconds(report.connect_time)},
            {"login_ms", milliseconds(report.login_time)},
            {"round_trip_ms", milliseconds(report.round_trip)}};
}

}  // namespace

exit_code show_status(const broker_options& options) {
    const auto uri = broker_uri(options.url);
    if (!uri) {
        fmt::print(stderr, "linnet status: {}\n", uri.error());
        return exit_code::usage;
    }
    const auto report = probe(*uri, probe_depth::login, options.timeout);
    if (!report) {
        fmt::print(stderr, "linnet status: {}: {}\n", uri->text(), report.error().text);
        return report.error().why == amqp_failure::kind::refused ? exit_code::auth : exit_code::unreachable;
    }
    fmt::print("{}", render(facts_of(*uri, *report), options.form));
    return exit_code::ok;
}

}  // namespace linnet::cli
