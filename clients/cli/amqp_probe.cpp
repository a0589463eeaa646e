#include "clients/cli/amqp_probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace linnet::cli {
namespace {

using clock = std::chrono::steady_clock;

constexpr int round_trips = 9;

std::chrono::microseconds since(clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - begin);
}

std::string property(amqp::table_view table, std::string_view name) {
    const auto value = table.find(name);
    const auto text = value ? value->as_string() : std::nullopt;
    return std::string{text.value_or("")};
}

// The conversation, and what it has found out so far.
class inquiry {
public:
    inquiry(const server_uri& uri, clock::time_point until) : talk{uri, until} {}

    bool greet() {
        const auto begin = clock::now();
        const bool greeted = talk.greet([&](const amqp::connection_start& start) {
            report.product = property(start.server_properties, "product");
            report.version = property(start.server_properties, "version");
            report.platform = property(start.server_properties, "platform");
            report.cluster_name = property(start.server_properties, "cluster_name");
            report.mechanisms = start.mechanisms.text;
        });
        report.tls_version = talk.tls_version();
        report.connect_time = since(begin);
        return greeted;
    }

    bool login() {
        const auto begin = clock::now();
        report.logged_in = talk.login([&](const amqp::connection_tune& t) {
            report.channel_max = t.channel_max;
            report.frame_max = t.frame_max;
            report.heartbeat_s = t.heartbeat;
        });
        report.login_time = since(begin);
        return report.logged_in;
    }

    bool measure() {
        auto times = std::vector<std::chrono::microseconds>{};
        for (int i = 0; i < round_trips; ++i) {
            const auto begin = clock::now();
            if (!talk.send(1, amqp::channel_open{}) || !talk.expect<amqp::channel_open_ok>()) {
                return false;
            }
            times.push_back(since(begin));
            auto close = amqp::channel_close{};
            close.code = static_cast<std::uint16_t>(amqp::reply_code::success);
            if (!talk.send(1, close) || !talk.expect<amqp::channel_close_ok>()) {
                return false;
            }
        }
        std::ranges::nth_element(times, times.begin() + round_trips / 2);
        report.round_trip = times[round_trips / 2];
        return true;
    }

    amqp_conversation talk;
    probe_report report;
};

}  // namespace

tl::expected<probe_report, amqp_failure> probe(const server_uri& uri, probe_depth depth,
                                               std::chrono::milliseconds timeout) {
    auto ask = inquiry{uri, clock::now() + timeout};
    const bool good = ask.greet() &&
                      (depth == probe_depth::greeting || (ask.login() && ask.measure() && ask.talk.leave()));
    if (!good) {
        return tl::unexpected{std::move(ask.talk.failure)};
    }
    return std::move(ask.report);
}

}  // namespace linnet::cli
