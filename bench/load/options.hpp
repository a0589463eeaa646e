// What one benchmark run is asked to do.
//
// The names and letters are RabbitMQ perf-test's wherever it has one for the same thing; option_table.cpp
// holds the list. A workload file (TOML) sets the same values under the long names.
#pragma once

#include "bench/load/broker_uri.hpp"
#include "bench/load/stamp.hpp"
#include "protocol/mqtt/constants.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace linnet::load {

enum class scenario : std::uint8_t {
    amqp,
    fanout,
    queues,
    topic,
    mqtt,
    amqp_mqtt,
    mqtt_amqp,
    http,
    sse,
    amqp_sse,
    mqtt_sse,
    latency,
    conn,
    churn,
    self
};

// Messages a second for each producer: as fast as possible, a number, or a share of the peak that a first,
// closed-loop run measures.
struct rate_option {
    enum class unit : std::uint8_t { unlimited, per_second, percent_of_peak };
    unit is = unit::unlimited;
    double value = 0;

    bool operator==(const rate_option&) const = default;
};

enum class churn_kind : std::uint8_t { connection, channel, queue };

// What a reader of server-sent events reads.
enum class event_source : std::uint8_t { topic, queue, stream };

struct options {
    scenario what = scenario::amqp;
    std::string name;  // of the workload, for the report
    broker_uri uri;
    broker_uri mqtt_uri{.speaks = protocol::mqtt, .port = "1883"};  // of a crossing's other side
    broker_uri http_uri{.speaks = protocol::http, .port = "15672"};

    // Load.
    unsigned producers = 1;
    unsigned consumers = 1;
    unsigned producers_per_connection = 1;
    unsigned consumers_per_connection = 1;
    unsigned channels = 0;  // for the consumers of one connection; 0: one each
    std::uint32_t size = 16;
    rate_option rate;
    double consumer_rate = 0;     // a consumer; 0: unlimited
    unsigned confirm_window = 0;  // 0: no confirms
    std::uint16_t prefetch = 0;   // 0: unlimited
    bool auto_ack = false;
    unsigned multi_ack = 1;               // acknowledge every n messages
    std::uint64_t producer_messages = 0;  // each; 0: until the time is up
    std::uint64_t consumer_messages = 0;
    std::uint64_t in_flight = 0;  // messages between producers and consumers, 0: unbounded
    bool persistent = false;
    bool mandatory = false;
    mqtt::version version = mqtt::version::v3_1_1;
    mqtt::qos qos = mqtt::qos::at_most_once;  // of what is published, and of subscriptions
    bool shared = false;                      // MQTT 5: the consumers of a topic compete
    event_source reads = event_source::topic;
    // HTTP: whose way of publishing it is: `linnet`, `rabbitmq`, or a path of any server, in which %s is the name.
    std::string post_to = "linnet";
    std::string events_at;  // a path likewise; empty: Linnet's

    // Topology.
    std::string queue = "linnet-bench";
    std::string queue_pattern;  // printf's %d
    unsigned queue_pattern_from = 1;
    unsigned queue_pattern_to = 1;
    std::vector<std::pair<std::string, std::string>> queue_arguments;
    std::string exchange;
    std::string exchange_type;    // empty: publish through the default exchange
    std::string routing_key;      // empty: the queue's name
    unsigned bindings = 0;        // topic
    unsigned keys = 1000;         // topic
    unsigned connections = 1000;  // conn, churn at once
    churn_kind churn = churn_kind::connection;

    // Time.
    double seconds = 10;
    double warmup_seconds = 1;
    double interval_seconds = 1;
    double peak_seconds = 3;
    double drain_seconds = 10;
    unsigned quantum_us = 100;
    bool use_millis = false;

    // The generator itself.
    std::uint64_t seed = 1;
    unsigned threads = 1;
    std::vector<unsigned> pin;
    bool busy_poll = false;

    // Reports.
    std::string csv, json, svg, hgrm;  // paths; "-" is standard output
    std::vector<std::string> fail_if;
    int broker_pid = 0;
    bool quiet = false;

    // The two differ in a crossing alone.
    [[nodiscard]] protocol published_by() const noexcept {
        return what == scenario::mqtt_amqp || what == scenario::mqtt_sse ? protocol::mqtt : uri.speaks;
    }
    [[nodiscard]] protocol consumed_by() const noexcept {
        if (what == scenario::amqp_sse || what == scenario::mqtt_sse)
            return protocol::http;
        return what == scenario::amqp_mqtt ? protocol::mqtt : uri.speaks;
    }
    [[nodiscard]] bool is_crossing() const noexcept { return published_by() != consumed_by(); }
    // Where that protocol is spoken.
    [[nodiscard]] const broker_uri& uri_of(protocol p) const noexcept {
        if (!is_crossing() || p == protocol::amqp)
            return uri;
        return p == protocol::mqtt ? mqtt_uri : http_uri;
    }

    // Events are of names that nobody has declared.
    [[nodiscard]] bool reads_topics() const noexcept {
        return consumed_by() == protocol::http && consumers != 0 && reads == event_source::topic;
    }
    // Each consumer of a name gets all of it; else they compete.
    [[nodiscard]] bool everyone_gets_all() const noexcept {
        switch (consumed_by()) {
            case protocol::amqp: return false;
            case protocol::mqtt: return !shared;
            case protocol::http: return reads != event_source::queue;
        }
        return false;
    }
    // Events and JSON are text; so is what an HTTP publisher sends.
    [[nodiscard]] stamp_form form() const noexcept {
        const bool is_text = published_by() == protocol::http || consumed_by() == protocol::http;
        return is_text ? stamp_form::text : stamp_form::binary;
    }

    [[nodiscard]] unsigned queue_count() const noexcept {
        return queue_pattern.empty() ? 1 : queue_pattern_to - queue_pattern_from + 1;
    }
};

}  // namespace linnet::load
