#include "bench/load/option_table.hpp"

#include "bench/load/option_check.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <toml++/toml.h>
#include <type_traits>

namespace linnet::load {
namespace {

using setter = outcome<void> (*)(options&, std::string_view);

struct option {
    std::string_view letters;    // "-x", may be empty
    std::string_view long_name;  // without dashes
    std::string_view value;      // placeholder; empty: a flag
    std::string_view help;
    setter set;
};

struct scenario_entry {
    std::string_view name;
    scenario what;
    std::string_view help;
};

constexpr std::array scenarios{
    scenario_entry{"amqp", scenario::amqp, "producers and consumers on one queue or a pattern of queues"},
    scenario_entry{"fanout", scenario::fanout, "each consumer with a queue of its own on a fanout exchange"},
    scenario_entry{"queues", scenario::queues, "1000 queues, producers rotate over them"},
    scenario_entry{"topic", scenario::topic, "route over --bindings topic bindings with --keys different keys"},
    scenario_entry{"mqtt", scenario::mqtt, "MQTT: every consumer of a topic gets every message, --qos 0, 1 or 2"},
    scenario_entry{"amqp-mqtt", scenario::amqp_mqtt, "publish with AMQP, consume with MQTT"},
    scenario_entry{"mqtt-amqp", scenario::mqtt_amqp, "publish with MQTT, consume with AMQP"},
    scenario_entry{"http", scenario::http, "HTTP: each producer POSTs on a connection of its own; nobody consumes"},
    scenario_entry{"sse", scenario::sse, "publish by POST, each consumer reads server-sent events"},
    scenario_entry{"amqp-sse", scenario::amqp_sse, "publish with AMQP, read server-sent events"},
    scenario_entry{"mqtt-sse", scenario::mqtt_sse, "publish with MQTT, read server-sent events"},
    scenario_entry{"latency", scenario::latency, "open loop at a share of the peak (--rate 50%)"},
    scenario_entry{"conn", scenario::conn, "hold --connections idle connections, with a channel each in AMQP"},
    scenario_entry{"churn", scenario::churn, "open and close connections, channels or queues"},
    scenario_entry{"self", scenario::self, "the generator's own cost, against a sink and a source in this process"},
};

template <class Number>
outcome<void> number(Number& to, std::string_view text) {
    // from_chars reads 1e6 as a double only; counts are friendlier to type that way, too.
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
        return failure("'{}' is not a number", text);
    }
    if constexpr (std::is_integral_v<Number>) {
        // Exactly representable up to 2^53, which no count here needs to exceed.
        constexpr double most = std::min(static_cast<double>(std::numeric_limits<Number>::max()), 0x1p53);
        if (value < 0 || value > most || value != std::floor(value)) {
            return failure("'{}' is not a whole number between 0 and {:.0f}", text, most);
        }
    } else if (value < 0) {
        return failure("'{}' is negative", text);
    }
    to = static_cast<Number>(value);
    return {};
}

outcome<void> flag(bool& to, std::string_view text) {
    if (text.empty() || text == "true")
        return to = true, outcome<void>{};
    if (text == "false")
        return to = false, outcome<void>{};
    return failure("'{}' is neither true nor false", text);
}

outcome<void> text(std::string& to, std::string_view value) {
    to = value;
    return {};
}

template <class Each>
outcome<void> each_of(std::string_view list, Each each) {
    while (!list.empty()) {
        const std::size_t comma = std::min(list.find(','), list.size());
        if (auto done = each(list.substr(0, comma)); !done)
            return done;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return {};
}

outcome<void> rate(options& o, std::string_view value) {
    const bool percent = value.ends_with('%');
    double amount = 0;
    if (auto done = number(amount, percent ? value.substr(0, value.size() - 1) : value); !done)
        return done;
    if (amount == 0) {
        o.rate = {};
    } else {
        o.rate = {percent ? rate_option::unit::percent_of_peak : rate_option::unit::per_second, amount};
    }
    return {};
}

outcome<void> message_flag(options& o, std::string_view value) {
    if (value == "persistent")
        return o.persistent = true, outcome<void>{};
    if (value == "mandatory")
        return o.mandatory = true, outcome<void>{};
    return failure("'{}' is not a message flag (persistent, mandatory)", value);
}

outcome<void> queue_argument(options& o, std::string_view value) {
    const std::size_t equals = value.find('=');
    if (equals == std::string_view::npos || equals == 0)
        return failure("'{}' is not NAME=VALUE", value);
    o.queue_arguments.emplace_back(value.substr(0, equals), value.substr(equals + 1));
    return {};
}

outcome<void> pinned_cpu(options& o, std::string_view value) {
    unsigned cpu = 0;
    if (auto done = number(cpu, value); !done)
        return done;
    o.pin.push_back(cpu);
    return {};
}

outcome<void> churn_of(options& o, std::string_view value) {
    if (value == "connection")
        return o.churn = churn_kind::connection, outcome<void>{};
    if (value == "channel")
        return o.churn = churn_kind::channel, outcome<void>{};
    if (value == "queue")
        return o.churn = churn_kind::queue, outcome<void>{};
    return failure("'{}' is not one of connection, channel, queue", value);
}

outcome<void> uri(broker_uri& to, std::string_view value) {
    auto parsed = parse_broker_uri(value);
    if (!parsed)
        return tl::unexpected{parsed.error()};
    to = std::move(*parsed);
    return {};
}

outcome<void> quality(options& o, std::string_view value) {
    if (value != "0" && value != "1" && value != "2")
        return failure("'{}' is not one of 0, 1, 2", value);
    o.qos = static_cast<mqtt::qos>(value.front() - '0');
    return {};
}

outcome<void> source_of_events(options& o, std::string_view value) {
    if (value == "topic")
        return o.reads = event_source::topic, outcome<void>{};
    if (value == "queue")
        return o.reads = event_source::queue, outcome<void>{};
    if (value == "stream")
        return o.reads = event_source::stream, outcome<void>{};
    return failure("'{}' is not one of topic, queue, stream", value);
}

outcome<void> path(std::string& to, std::string_view value) {
    if (!value.starts_with('/'))
        return failure("'{}' is not a path: it does not begin with /", value);
    return text(to, value);
}

outcome<void> post_to(options& o, std::string_view value) {
    return value == "linnet" || value == "rabbitmq" ? text(o.post_to, value) : path(o.post_to, value);
}

outcome<void> mqtt_version(options& o, std::string_view value) {
    if (value == "3.1.1")
        return o.version = mqtt::version::v3_1_1, outcome<void>{};
    if (value == "5")
        return o.version = mqtt::version::v5, outcome<void>{};
    return failure("'{}' is not one of 3.1.1, 5", value);
}

#define LINNET_SET(expression) [](options& o, std::string_view v) -> outcome<void> { return expression; }

constexpr std::array table{
    option{"-h", "uri", "URI", "broker to drive: amqp://user:password@host:port/vhost, or mqtt://, or http://",
           LINNET_SET(uri(o.uri, v))},
    option{"", "mqtt-uri", "URI", "scenarios of two protocols: the same broker's MQTT side",
           LINNET_SET(uri(o.mqtt_uri, v))},
    option{"", "http-uri", "URI", "scenarios of two protocols: the same broker's HTTP side",
           LINNET_SET(uri(o.http_uri, v))},
    option{"", "qos", "0|1|2", "MQTT: of publishes and subscriptions", LINNET_SET(quality(o, v))},
    option{"", "mqtt-version", "3.1.1|5", "MQTT: the version to speak", LINNET_SET(mqtt_version(o, v))},
    option{"", "shared", "", "MQTT: consumers of a topic share one subscription", LINNET_SET(flag(o.shared, v))},
    option{"", "reads", "WHAT", "SSE: topic, queue (its readers compete) or stream",
           LINNET_SET(source_of_events(o, v))},
    option{"", "post-to", "WHERE",
           "HTTP: linnet, rabbitmq (its management API) or a path of any server, with %s for the name",
           LINNET_SET(post_to(o, v))},
    option{"", "events-at", "PATH", "SSE: a path of any server, with %s for the name (default: Linnet's)",
           LINNET_SET(path(o.events_at, v))},
    option{"-x", "producers", "N", "producers", LINNET_SET(number(o.producers, v))},
    option{"-y", "consumers", "N", "consumers", LINNET_SET(number(o.consumers, v))},
    option{"", "producers-per-connection", "N", "producers that share a connection",
           LINNET_SET(number(o.producers_per_connection, v))},
    option{"", "consumers-per-connection", "N", "consumers that share a connection",
           LINNET_SET(number(o.consumers_per_connection, v))},
    option{"", "channels", "N", "channels for the consumers of a connection (0: one each)",
           LINNET_SET(number(o.channels, v))},
    option{"-s", "size", "BYTES", "payload; the first 16 bytes (HTTP, SSE: 32) hold sequence, time and stream",
           LINNET_SET(number(o.size, v))},
    option{"-r", "rate", "N|P%", "messages a second for each producer, or a share of the measured peak for all",
           LINNET_SET(rate(o, v))},
    option{"-R", "consumer-rate", "N", "messages a second for each consumer", LINNET_SET(number(o.consumer_rate, v))},
    option{"-c", "confirm", "N",
           "publisher confirms, at most N outstanding (0: off); MQTT: of QoS 1 and 2 (100); HTTP: requests in a "
           "pipeline (1)",
           LINNET_SET(number(o.confirm_window, v))},
    option{"-q", "prefetch", "N",
           "unacknowledged messages a consumer may hold (0: unlimited; MQTT: the Receive Maximum of 5)",
           LINNET_SET(number(o.prefetch, v))},
    option{"-a", "autoack", "", "consume without acknowledgements", LINNET_SET(flag(o.auto_ack, v))},
    option{"-A", "multi-ack", "N", "acknowledge every N messages, with multiple", LINNET_SET(number(o.multi_ack, v))},
    option{"-C", "producer-messages", "N", "messages for each producer", LINNET_SET(number(o.producer_messages, v))},
    option{"-D", "consumer-messages", "N", "messages for each consumer", LINNET_SET(number(o.consumer_messages, v))},
    option{"", "in-flight", "N", "hold producers back while N messages are not yet consumed (0: off)",
           LINNET_SET(number(o.in_flight, v))},
    option{"-f", "flag", "F", "persistent (HTTP: Durability: stored, else memory), mandatory; may be repeated",
           LINNET_SET(each_of(v, [&](std::string_view f) { return message_flag(o, f); }))},
    option{"-u", "queue", "NAME", "queue", LINNET_SET(text(o.queue, v))},
    option{"-qp", "queue-pattern", "FORMAT", "queue names from a pattern, as perf-%d",
           LINNET_SET(text(o.queue_pattern, v))},
    option{"-qpf", "queue-pattern-from", "N", "first number in the pattern",
           LINNET_SET(number(o.queue_pattern_from, v))},
    option{"-qpt", "queue-pattern-to", "N", "last number in the pattern", LINNET_SET(number(o.queue_pattern_to, v))},
    option{"-qa", "queue-args", "K=V,...", "arguments of the queues: x-queue-type=quorum",
           LINNET_SET(each_of(v, [&](std::string_view a) { return queue_argument(o, a); }))},
    option{"-e", "exchange", "NAME", "exchange (default: the default exchange)", LINNET_SET(text(o.exchange, v))},
    option{"-t", "type", "TYPE", "exchange type: direct, fanout, topic, headers", LINNET_SET(text(o.exchange_type, v))},
    option{"-k", "routing-key", "KEY", "routing key (default: the queue's name)", LINNET_SET(text(o.routing_key, v))},
    option{"", "bindings", "N", "topic: bindings to create", LINNET_SET(number(o.bindings, v))},
    option{"", "keys", "N", "topic: different routing keys to publish with", LINNET_SET(number(o.keys, v))},
    option{"", "connections", "N", "conn: connections to hold", LINNET_SET(number(o.connections, v))},
    option{"", "churn", "WHAT", "churn: connection, channel or queue", LINNET_SET(churn_of(o, v))},
    option{"-z", "time", "SECONDS", "how long to measure", LINNET_SET(number(o.seconds, v))},
    option{"", "warmup", "SECONDS", "run before measuring", LINNET_SET(number(o.warmup_seconds, v))},
    option{"-i", "interval", "SECONDS", "between report lines", LINNET_SET(number(o.interval_seconds, v))},
    option{"", "peak-time", "SECONDS", "how long to measure the peak for --rate P%",
           LINNET_SET(number(o.peak_seconds, v))},
    option{"", "drain", "SECONDS", "wait at most this long for what is still under way at the end",
           LINNET_SET(number(o.drain_seconds, v))},
    option{"", "quantum-us", "N", "above one message per N us, send times are gathered on ticks",
           LINNET_SET(number(o.quantum_us, v))},
    option{"-ms", "use-millis", "", "wall-clock milliseconds in the payload, for two machines",
           LINNET_SET(flag(o.use_millis, v))},
    option{"", "seed", "N", "for the order of routing keys", LINNET_SET(number(o.seed, v))},
    option{"", "threads", "N", "generator threads", LINNET_SET(number(o.threads, v))},
    option{"", "pin", "CPU,...", "CPUs for the generator's threads",
           LINNET_SET(each_of(v, [&](std::string_view cpu) { return pinned_cpu(o, cpu); }))},
    option{"", "busy-poll", "", "never sleep: no wake-up of ours in the latencies", LINNET_SET(flag(o.busy_poll, v))},
    option{"", "broker-pid", "PID", "report CPU time and memory of this local process",
           LINNET_SET(number(o.broker_pid, v))},
    option{"", "csv", "FILE", "a line for each interval", LINNET_SET(text(o.csv, v))},
    option{"", "json", "FILE", "everything, with the machine and the raw histograms", LINNET_SET(text(o.json, v))},
    option{"", "svg", "FILE", "latency by percentile and throughput by time", LINNET_SET(text(o.svg, v))},
    option{"", "hgrm", "FILE", "percentile distribution as HdrHistogram prints it", LINNET_SET(text(o.hgrm, v))},
    option{"", "fail-if", "CONDITION", "exit with 1 if true at the end: 'p99>5ms', 'recv<100000', 'missing>0'",
           LINNET_SET((o.fail_if.emplace_back(v), outcome<void>{}))},
    option{"", "name", "TEXT", "name of the workload in the reports", LINNET_SET(text(o.name, v))},
    option{"", "quiet", "", "no line for each interval", LINNET_SET(flag(o.quiet, v))},
};

#undef LINNET_SET

const option* by_argument(std::string_view argument) noexcept {
    const auto found = std::find_if(table.begin(), table.end(), [&](const option& each) {
        return argument.starts_with("--") ? argument.substr(2) == each.long_name
                                          : !each.letters.empty() && argument == each.letters;
    });
    return found == table.end() ? nullptr : &*found;
}

outcome<void> apply(options& o, const option& which, std::string_view value) {
    if (auto done = which.set(o, value); !done)
        return failure("--{}: {}", which.long_name, done.error());
    return {};
}

// --name=value, --name value, -x 1, and flags that take none.
outcome<void> parse_one(options& o, std::span<const std::string>& rest) {
    std::string_view argument = rest.front();
    rest = rest.subspan(1);
    std::string_view value;
    bool has_value = false;
    if (const std::size_t equals = argument.find('='); argument.starts_with("--") && equals != argument.npos) {
        value = argument.substr(equals + 1);
        argument = argument.substr(0, equals);
        has_value = true;
    }
    const bool is_workload = argument == "--workload" || argument == "-w";
    const option* which = by_argument(argument);
    if (which == nullptr && !is_workload)
        return failure("unknown option '{}'; see --help", argument);
    if (!has_value && (is_workload || !which->value.empty())) {
        if (rest.empty())
            return failure("{} needs a value", argument);
        value = rest.front();
        rest = rest.subspan(1);
    }
    return is_workload ? load_workload(o, std::string{value}) : apply(o, *which, value);
}

std::string text_of(const toml::node& node) {
    if (const auto* list = node.as_array()) {
        std::string joined;
        for (const toml::node& each : *list) {
            if (!joined.empty())
                joined += ',';
            joined += text_of(each);
        }
        return joined;
    }
    if (const auto string = node.value_exact<std::string>())
        return *string;
    if (const auto boolean = node.value_exact<bool>())
        return *boolean ? "true" : "false";
    if (const auto integer = node.value_exact<std::int64_t>())
        return fmt::format("{}", *integer);
    if (const auto real = node.value_exact<double>())
        return fmt::format("{}", *real);
    return {};
}

// The least that has a whole stamp in it.
constexpr std::uint32_t text_size = stamp_bytes_of(stamp_form::text);

void set_defaults(options& o) {
    switch (o.what) {
        case scenario::mqtt: o.uri = o.mqtt_uri; break;
        case scenario::http:
            o.uri = o.http_uri;
            o.consumers = 0;
            o.size = text_size;
            break;
        case scenario::sse:
            o.uri = o.http_uri;
            o.size = text_size;
            break;
        case scenario::amqp_sse:
        case scenario::mqtt_sse: o.size = text_size; break;
        case scenario::amqp:
        case scenario::amqp_mqtt:
        case scenario::mqtt_amqp:
        case scenario::conn:
        case scenario::churn: break;
        case scenario::self: o.auto_ack = true; break;
        case scenario::fanout:
            o.exchange = "linnet-bench.fanout";
            o.exchange_type = "fanout";
            o.consumers = 10;
            o.queue_pattern = "linnet-bench-fanout-%d";
            o.auto_ack = true;
            break;
        case scenario::queues:
            o.queue_pattern = "linnet-bench-%d";
            o.queue_pattern_to = 1000;
            o.auto_ack = true;
            break;
        case scenario::topic:
            o.exchange = "linnet-bench.topic";
            o.exchange_type = "topic";
            o.queue_pattern = "linnet-bench-topic-%d";
            o.queue_pattern_to = 10;
            o.bindings = 1000;
            o.auto_ack = true;
            break;
        case scenario::latency:
            o.rate = {rate_option::unit::percent_of_peak, 50};
            o.auto_ack = true;
            break;
    }
}

}  // namespace

std::string_view name_of(scenario s) noexcept {
    const auto found = std::find_if(scenarios.begin(), scenarios.end(), [&](const auto& e) { return e.what == s; });
    return found == scenarios.end() ? "" : found->name;
}

outcome<void> choose_scenario(options& o, std::string_view name) {
    const auto found = std::find_if(scenarios.begin(), scenarios.end(), [&](const auto& e) { return e.name == name; });
    if (found == scenarios.end())
        return failure("unknown scenario '{}'; see --help", name);
    o.what = found->what;
    if (o.name.empty())
        o.name = name;
    set_defaults(o);
    return {};
}

outcome<void> set_option(options& o, std::string_view long_name, std::string_view value) {
    const option* which = by_argument(fmt::format("--{}", long_name));
    if (which == nullptr)
        return failure("unknown option '{}'", long_name);
    return apply(o, *which, value);
}

outcome<void> load_workload(options& o, const std::string& path) {
    toml::table file;
    try {
        file = toml::parse_file(path);
    } catch (const toml::parse_error& e) {
        return failure("{}:{}: {}", path, e.source().begin.line, e.description());
    }
    if (const auto name = file["scenario"].value<std::string>()) {
        if (auto done = choose_scenario(o, *name); !done)
            return failure("{}: {}", path, done.error());
    }
    for (const auto& [key, value] : file) {
        std::string name{key.str()};
        if (name == "scenario" || name == "description")
            continue;
        std::replace(name.begin(), name.end(), '_', '-');
        if (auto done = set_option(o, name, text_of(value)); !done) {
            return failure("{}:{}: {}", path, value.source().begin.line, done.error());
        }
    }
    return {};
}

outcome<options> parse_options(std::span<const std::string> arguments) {
    options o;
    if (!arguments.empty() && !arguments.front().starts_with('-')) {
        if (auto done = choose_scenario(o, arguments.front()); !done)
            return tl::unexpected{done.error()};
        arguments = arguments.subspan(1);
    }
    while (!arguments.empty()) {
        if (auto done = parse_one(o, arguments); !done)
            return tl::unexpected{done.error()};
    }
    if (auto done = check(o); !done)
        return tl::unexpected{done.error()};
    settle(o);
    return o;
}

std::string help_text() {
    std::string out =
        "usage: linnet bench SCENARIO [options]\n       linnet bench --workload FILE [options]\n\nScenarios:\n";
    for (const scenario_entry& each : scenarios)
        out += fmt::format("  {:<10}{}\n", each.name, each.help);
    out += "\nOptions (RabbitMQ perf-test's letters where it has them):\n";
    out += fmt::format("  {:<38}{}\n", "-w, --workload FILE", "settings from a TOML file, under the long names below");
    for (const option& each : table) {
        std::string names = each.letters.empty() ? "" : fmt::format("{}, ", each.letters);
        names += fmt::format("--{}{}{}", each.long_name, each.value.empty() ? "" : " ", each.value);
        out += fmt::format("  {:<38}{}\n", names, each.help);
    }
    return out + "\nExit: 0 done, 1 a --fail-if was true or the run failed, 64 usage, 69 broker not reachable.\n";
}

}  // namespace linnet::load
