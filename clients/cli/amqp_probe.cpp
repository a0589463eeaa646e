#include "clients/cli/amqp_probe.hpp"

#include "clients/cli/stream.hpp"
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"
#include "protocol/amqp/table_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace linnet::cli {
namespace {

using clock = std::chrono::steady_clock;
using failure_kind = probe_failure::kind;

constexpr int round_trips = 9;
constexpr std::uint32_t greeting_bytes_max = 64 * 1024;  // before a frame size is agreed upon

std::chrono::microseconds since(clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - begin);
}

std::string property(amqp::table_view table, std::string_view name) {
    const auto value = table.find(name);
    const auto text = value ? value->as_string() : std::nullopt;
    return std::string{text.value_or("")};
}

// One conversation; every step returns false once something went wrong, and `failure` says what.
class conversation {
public:
    conversation(const amqp_uri& uri, clock::time_point until) : uri_{uri}, stream_{until} {}

    bool greet() {
        const auto begin = clock::now();
        if (!check(stream_.connect(uri_)) || !check(stream_.write(amqp::protocol_header))) {
            return false;
        }
        const bool greeted = expect<amqp::connection_start>([&](const amqp::connection_start& start) {
            report.product = property(start.server_properties, "product");
            report.version = property(start.server_properties, "version");
            report.platform = property(start.server_properties, "platform");
            report.cluster_name = property(start.server_properties, "cluster_name");
            report.mechanisms = start.mechanisms.text;
        });
        report.tls_version = stream_.tls_version();
        report.connect_time = since(begin);
        return greeted;
    }

    bool login() {
        const auto begin = clock::now();
        auto properties = amqp::table_builder{};
        properties.put("product", "linnet").put("version", LINNET_VERSION);
        // With it a refusal is a connection.close that says why, and not a silent end.
        properties.begin_table("capabilities").put("authentication_failure_close", true).end();
        const auto response = fmt::format("{0}{1}{0}{2}", '\0', uri_.user.value_or("guest"),
                                          uri_.password.value_or("guest"));
        auto ok = amqp::connection_start_ok{};
        ok.client_properties = properties.view();
        ok.mechanism = "PLAIN";
        ok.response = {response};
        ok.locale = "en_US";
        auto tune = amqp::connection_tune_ok{};
        const auto tuned = [&](const amqp::connection_tune& t) {
            report.channel_max = tune.channel_max = t.channel_max;
            report.frame_max = tune.frame_max = t.frame_max;
            report.heartbeat_s = t.heartbeat;  // our own: none, we do not stay that long
        };
        auto open = amqp::connection_open{};
        open.virtual_host = uri_.vhost;
        report.logged_in = send(0, ok) && expect<amqp::connection_tune>(tuned) && send(0, tune) && send(0, open) &&
                           expect<amqp::connection_open_ok>();
        report.login_time = since(begin);
        return report.logged_in;
    }

    bool measure() {
        auto times = std::vector<std::chrono::microseconds>{};
        for (int i = 0; i < round_trips; ++i) {
            const auto begin = clock::now();
            if (!send(1, amqp::channel_open{}) || !expect<amqp::channel_open_ok>()) {
                return false;
            }
            times.push_back(since(begin));
            auto close = amqp::channel_close{};
            close.code = static_cast<std::uint16_t>(amqp::reply_code::success);
            if (!send(1, close) || !expect<amqp::channel_close_ok>()) {
                return false;
            }
        }
        std::ranges::nth_element(times, times.begin() + round_trips / 2);
        report.round_trip = times[round_trips / 2];
        return true;
    }

    bool leave() {
        auto close = amqp::connection_close{};
        close.code = static_cast<std::uint16_t>(amqp::reply_code::success);
        close.text = "Goodbye";
        return send(0, close) && expect<amqp::connection_close_ok>();
    }

    probe_report report;
    probe_failure failure;

private:
    bool check(std::string error) {
        if (!error.empty()) {
            failure.text = std::move(error);
        }
        return failure.text.empty();
    }

    bool refuse(failure_kind why, std::string text) {
        failure = {why, std::move(text)};
        return false;
    }

    template <class Method>
    bool send(std::uint16_t channel, const Method& method) {
        auto bytes = std::vector<std::uint8_t>{};
        amqp::append_method(bytes, channel, method);
        return check(stream_.write(bytes));
    }

    // Reads up to the next method frame, over heartbeats. `payload` views input_ until the next read.
    bool next_method(wire::bytes_view& payload) {
        for (;;) {
            input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken_));
            taken_ = 0;
            const auto frame = amqp::decode_frame(input_, std::max(report.frame_max, greeting_bytes_max));
            if (frame.needs_more()) {
                if (!read_more()) {
                    return false;
                }
                continue;
            }
            if (frame.is_malformed()) {
                return refuse(failure_kind::unreachable,
                              input_[0] == 'A'
                                  ? "the server speaks another version of AMQP"
                                  : fmt::format("this is not AMQP 0-9-1: {}", amqp::describe(frame.reason())));
            }
            taken_ = frame->size();
            if (frame->type == amqp::frame_type::method) {
                payload = frame->payload;
                return true;
            }
        }
    }

    bool read_more() {
        auto part = std::array<std::uint8_t, 4096>{};
        auto size = std::size_t{0};
        if (!check(stream_.read(part, size))) {
            return false;
        }
        if (size == 0) {
            return refuse(failure_kind::unreachable, "the server closed the connection");
        }
        input_.insert(input_.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(size));
        return true;
    }

    // The next method must be this one. connection.close tells why not; blocked and unblocked may come at any time.
    template <class Expected, class Visit>
    bool expect(Visit&& visit) {
        for (;;) {
            auto payload = wire::bytes_view{};
            if (!next_method(payload)) {
                return false;
            }
            const auto id = amqp::decode_method_id(payload);
            if (id && (*id == amqp::connection_blocked::id || *id == amqp::connection_unblocked::id)) {
                continue;
            }
            bool came = false;
            const auto fault = amqp::visit_method(payload, [&]<class Method>(const Method& method) {
                if constexpr (std::is_same_v<Method, Expected>) {
                    visit(method);
                    came = true;
                } else if constexpr (std::is_same_v<Method, amqp::connection_close>) {
                    failure = {failure_kind::refused, fmt::format("{} {}", method.code, method.text)};
                } else {
                    failure.text = fmt::format("expected {}, got {}", Expected::name, Method::name);
                }
            });
            return fault ? refuse(failure_kind::unreachable, std::string{amqp::describe(*fault)}) : came;
        }
    }

    template <class Expected>
    bool expect() {
        return expect<Expected>([](const Expected&) {});
    }

    const amqp_uri& uri_;
    stream stream_;
    std::vector<std::uint8_t> input_;
    std::size_t taken_ = 0;
};

}  // namespace

tl::expected<probe_report, probe_failure> probe(const amqp_uri& uri, probe_depth depth,
                                                std::chrono::milliseconds timeout) {
    auto talk = conversation{uri, clock::now() + timeout};
    const bool good = talk.greet() &&
                      (depth == probe_depth::greeting || (talk.login() && talk.measure() && talk.leave()));
    if (!good) {
        return tl::unexpected{std::move(talk.failure)};
    }
    return std::move(talk.report);
}

}  // namespace linnet::cli
