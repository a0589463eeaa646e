#include "clients/cli/health.hpp"

#include "clients/cli/amqp_probe.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace linnet::cli {

exit_code check_health(const broker_options& options) {
    const auto uri = broker_uri(options.url);
    if (!uri) {
        fmt::print(stderr, "linnet health: {}\n", uri.error());
        return exit_code::usage;
    }
    const auto report = probe(*uri, uri->user ? probe_depth::login : probe_depth::greeting, options.timeout);
    auto found = facts{{"status", std::string{report ? "ok" : "failed"}}, {"url", uri->text()}};
    if (!report) {
        found.emplace_back("reason", report.error().text);
    } else if (report->logged_in) {
        found.emplace_back("round_trip_ms", static_cast<double>(report->round_trip.count()) / 1'000);
    }
    fmt::print("{}", render(found, options.form));
    return report ? exit_code::ok : exit_code::unreachable;
}

}  // namespace linnet::cli
