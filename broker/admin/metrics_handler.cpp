#include "broker/admin/metrics_handler.hpp"

#include "broker/admin/metric_text.hpp"
#include "broker/admin/tour.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/topology_walk.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace linnet::admin {
namespace {

using core::topology_view;

constexpr std::uint32_t objects_a_turn = 512;
constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";

constexpr std::array<std::string_view, core::spoken_protocols> protocol_names{"amqp091", "mqtt310", "mqtt311", "mqtt50",
                                                                              "http"};
constexpr std::array<std::string_view, core::queue_types> type_names{"rabbit_classic_queue", "rabbit_quorum_queue",
                                                                     "rabbit_stream_queue"};
// The dashboards know these by heart.
constexpr std::array<std::string_view, 8> size_bounds{"100.0", "1000.0", "10000.0", "100000.0",
                                                      "1e+06", "1e+07",  "5e+07",   "1e+08"};
constexpr std::array<std::string_view, 6> turn_bounds{"0.0001", "0.001", "0.005", "0.02", "0.1", "1"};
constexpr std::array<std::string_view, 9> sync_bounds{"5e-05", "0.0001", "0.00025", "0.0005", "0.001",
                                                      "0.005", "0.02",   "0.1",     "1"};
static_assert(turn_bounds.size() == core::turn_histogram::bounds.size());
static_assert(sync_bounds.size() == core::sync_histogram::bounds.size());
constexpr std::array<std::string_view, 4> death_names{"rejected", "expired", "maxlen", "delivery_limit"};

double seconds(mono_ns t) { return static_cast<double>(t) / static_cast<double>(ns_per_s); }

struct gauges {
    std::uint64_t publishers = 0;
    std::uint64_t consumers = 0;
};

struct queue_sample {
    std::string vhost;
    std::string name;
    core::queue_figures figures;
};

// What one scrape has gathered.
struct scrape {
    services& all;
    core::all_protocol_counts protocols{};
    std::array<gauges, core::spoken_protocols> now{};
    core::broker_counts broker{};
    core::turn_histogram turns{};
    core::queue_look::sums queues{};
    std::uint64_t queue_count = 0;
    std::vector<queue_sample> each;  // where queues are wanted one by one

    // Wanted.
    bool one_by_one = false;
    std::optional<std::string> vhost{};

    explicit scrape(services& s) noexcept : all(s) {}
};

// Queues first, then sessions, from this cursor on, which tell of themselves; then the shard's own sums.
constexpr cursor at_sessions = cursor{1} << 30;

bool gather_queues(scrape& s, core::shard& here, cursor& at) {
    const auto view = here.topology();
    at = here.for_some_queues(at, objects_a_turn, [&](const core::queue_look& q) {
        const auto one = q.totals();
        s.queues.ready += one.ready;
        s.queues.unacked += one.unacked;
        s.queues.consumers += one.consumers;
        ++s.queue_count;
        if (!s.one_by_one) {
            return;
        }
        const auto* v = view.find_vhost(q.spec().vhost);
        if (v != nullptr && (!s.vhost || v->name == *s.vhost)) {
            s.each.push_back({v->name, q.spec().name, q.figures()});
        }
    });
    return at == 0;
}

bool gather_sessions(scrape& s, core::shard& here, cursor& at) {
    at = here.for_some_sessions(at, objects_a_turn, [&](core::session_handle, core::session_port& port) {
        core::connection_look l;
        if (port.describe(l)) {
            const auto p = static_cast<std::size_t>(l.of);
            s.now[p].publishers += l.publishers;
            s.now[p].consumers += l.consumers;
        }
    });
    return at == 0;
}

bool gather(scrape& s, core::shard& here, cursor& at) {
    const bool queues = at < at_sessions || at >= core::first_stream_slot;
    if (queues) {
        if (gather_queues(s, here, at)) {
            at = at_sessions;
        }
        return false;
    }
    cursor session = at - at_sessions;
    const bool done = gather_sessions(s, here, session);
    at = session + at_sessions;
    if (done) {
        for (std::size_t p = 0; p < core::spoken_protocols; ++p) {
            s.protocols[p] += here.counts()[p];
        }
        s.broker += here.broker_counts();
        s.turns += here.turns();
    }
    return done;
}

// ---- Families ----------------------------------------------------------------------------------

void write_identity(metric_text& m, const scrape& s, std::string_view endpoint) {
    const auto& all = s.all;
    m.family("rabbitmq_identity_info", metric_kind::untyped, "RabbitMQ node & cluster identity info")
        .sample({{"rabbitmq_node", all.node_name},
                 {"rabbitmq_cluster", all.cluster_name},
                 {"rabbitmq_cluster_permanent_id", all.cluster_name},
                 {"rabbitmq_endpoint", endpoint}},
                std::uint64_t{1});
    m.family("rabbitmq_build_info", metric_kind::untyped, "RabbitMQ & Erlang/OTP version info")
        .sample({{"rabbitmq_version", all.rabbitmq_version},
                 {"prometheus_plugin_version", all.rabbitmq_version},
                 {"prometheus_client_version", all.version},
                 {"erlang_version", "0.0"},
                 {"product_name", all.product},
                 {"product_version", all.version}},
                std::uint64_t{1});
}

void write_node(metric_text& m, const scrape& s) {
    const auto f = s.all.figures();
    const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t v) {
        m.family(name, metric_kind::gauge, help).sample({}, v);
    };
    gauge("rabbitmq_erlang_uptime_seconds", "Node uptime", f.uptime_ms / 1000);
    gauge("rabbitmq_process_resident_memory_bytes", "Memory used in bytes", f.resident_bytes);
    gauge("rabbitmq_resident_memory_limit_bytes", "Memory high watermark in bytes", f.memory_limit_bytes);
    gauge("rabbitmq_disk_space_available_bytes", "Disk space available in bytes", f.disk_free_bytes);
    gauge("rabbitmq_disk_space_available_limit_bytes", "Free disk space low watermark in bytes", f.disk_limit_bytes);
    gauge("rabbitmq_process_open_fds", "Open file descriptors", f.descriptors);
    gauge("rabbitmq_process_max_fds", "Open file descriptors limit", f.descriptors_max);
    gauge("rabbitmq_process_open_tcp_sockets", "Open TCP sockets", f.connections);
    gauge("rabbitmq_process_max_tcp_sockets", "Open TCP sockets limit", f.connections_max);
    gauge("rabbitmq_alarms_memory_used_watermark", "is 1 if VM memory watermark alarm is in effect",
          f.memory_alarm ? 1 : 0);
    gauge("rabbitmq_alarms_free_disk_space_watermark", "is 1 if free disk space watermark alarm is in effect",
          f.disk_alarm ? 1 : 0);
    gauge("linnet_memory_held_bytes", "Memory that the limit is about", f.memory_held_bytes);
    m.family("linnet_memory_use_bytes", metric_kind::gauge, "The same by who holds it");
    for (std::size_t i = 0; i < f.memory_by_use.size(); ++i) {
        m.sample({{"use", std::string(core::memory_use_names[i])}}, f.memory_by_use[i]);
    }
    m.family("linnet_shard_turns_total", metric_kind::counter, "Turns of each shard's loop");
    for (std::size_t i = 0; i < f.turns.size(); ++i) {
        m.sample({{"shard", std::to_string(i)}}, f.turns[i]);
    }
}

void write_objects(metric_text& m, const scrape& s) {
    std::uint64_t connections_opened = 0;
    std::uint64_t connections_closed = 0;
    std::uint64_t channels_opened = 0;
    std::uint64_t channels_closed = 0;
    for (const auto& p : s.protocols) {
        connections_opened += p.connections_opened;
        connections_closed += p.connections_closed;
        channels_opened += p.channels_opened;
        channels_closed += p.channels_closed;
    }
    const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t v) {
        m.family(name, metric_kind::gauge, help).sample({}, v);
    };
    const auto counter = [&](std::string_view name, std::string_view help, std::uint64_t v) {
        m.family(name, metric_kind::counter, help).sample({}, v);
    };
    gauge("rabbitmq_connections", "Connections currently open", connections_opened - connections_closed);
    gauge("rabbitmq_channels", "Channels currently open", channels_opened - channels_closed);
    gauge("rabbitmq_consumers", "Consumers currently connected", s.queues.consumers);
    gauge("rabbitmq_queues", "Queues available", s.queue_count);
    counter("rabbitmq_connections_opened_total", "Total number of connections opened", connections_opened);
    counter("rabbitmq_connections_closed_total", "Total number of connections closed or terminated",
            connections_closed);
    counter("rabbitmq_channels_opened_total", "Total number of channels opened", channels_opened);
    counter("rabbitmq_channels_closed_total", "Total number of channels closed", channels_closed);
    counter("rabbitmq_queues_declared_total", "Total number of queues declared", s.broker.queues_declared);
    counter("rabbitmq_queues_created_total", "Total number of queues created", s.broker.queues_created);
    counter("rabbitmq_queues_deleted_total", "Total number of queues deleted", s.broker.queues_deleted);
}

void write_queue_sums(metric_text& m, const scrape& s) {
    m.family("rabbitmq_queue_messages_ready", metric_kind::gauge, "Messages ready to be delivered to consumers")
        .sample({}, s.queues.ready);
    m.family("rabbitmq_queue_messages_unacked", metric_kind::gauge,
             "Messages delivered to consumers but not yet acknowledged")
        .sample({}, s.queues.unacked);
    m.family("rabbitmq_queue_messages", metric_kind::gauge, "Sum of ready and unacknowledged messages")
        .sample({}, s.queues.ready + s.queues.unacked);
    m.family("rabbitmq_queue_consumers", metric_kind::gauge, "Consumers on a queue").sample({}, s.queues.consumers);
}

// One family, a sample a protocol.
template <class Value>
void by_protocol(metric_text& m, std::string_view name, metric_kind kind, std::string_view help, Value&& value) {
    m.family(name, kind, help);
    for (std::size_t p = 0; p < core::spoken_protocols; ++p) {
        m.sample({{"protocol", protocol_names[p]}}, value(p));
    }
}

// One family, a sample a protocol and type of queue.
void by_type(metric_text& m, const scrape& s, std::string_view name, std::string_view help,
             std::uint64_t (*value)(const core::delivery_counts&)) {
    m.family(name, metric_kind::counter, help);
    for (std::size_t p = 0; p < core::spoken_protocols; ++p) {
        for (std::size_t t = 0; t < core::queue_types; ++t) {
            m.sample({{"protocol", protocol_names[p]}, {"queue_type", type_names[t]}},
                     value(s.protocols[p].delivered[t]));
        }
    }
}

void write_global(metric_text& m, const scrape& s) {
    constexpr auto counter = metric_kind::counter;
    by_protocol(m, "rabbitmq_global_publishers", metric_kind::gauge, "Publishers currently connected",
                [&](std::size_t p) { return s.now[p].publishers; });
    by_protocol(m, "rabbitmq_global_consumers", metric_kind::gauge, "Current number of consumers",
                [&](std::size_t p) { return s.now[p].consumers; });
    by_protocol(m, "rabbitmq_global_messages_received_total", counter,
                "Total number of messages received from publishers",
                [&](std::size_t p) { return s.protocols[p].received(); });
    by_protocol(m, "rabbitmq_global_messages_received_confirm_total", counter,
                "Total number of messages received from publishers expecting confirmations",
                [&](std::size_t p) { return s.protocols[p].received_confirm; });
    by_protocol(m, "rabbitmq_global_messages_routed_total", counter,
                "Total number of messages routed to queues or streams", [&](std::size_t p) {
                    const auto& c = s.protocols[p];
                    return c.received() - c.unroutable_dropped - c.unroutable_returned;
                });
    by_protocol(m, "rabbitmq_global_messages_confirmed_total", counter,
                "Total number of messages confirmed to publishers",
                [&](std::size_t p) { return s.protocols[p].confirmed; });
    by_protocol(m, "rabbitmq_global_messages_unroutable_dropped_total", counter,
                "Total number of messages published as non-mandatory into an exchange and dropped as unroutable",
                [&](std::size_t p) { return s.protocols[p].unroutable_dropped; });
    by_protocol(
        m, "rabbitmq_global_messages_unroutable_returned_total", counter,
        "Total number of messages published as mandatory into an exchange and returned to the publisher as unroutable",
        [&](std::size_t p) { return s.protocols[p].unroutable_returned; });
    using counts = core::delivery_counts;
    by_type(m, s, "rabbitmq_global_messages_delivered_total", "Total number of messages delivered to consumers",
            [](const counts& c) { return c.consumed + c.consumed_no_ack + c.got + c.got_no_ack; });
    by_type(m, s, "rabbitmq_global_messages_delivered_consume_auto_ack_total",
            "Total number of messages delivered to consumers using basic.consume with automatic acknowledgment",
            [](const counts& c) { return c.consumed_no_ack; });
    by_type(m, s, "rabbitmq_global_messages_delivered_consume_manual_ack_total",
            "Total number of messages delivered to consumers using basic.consume with manual acknowledgment",
            [](const counts& c) { return c.consumed; });
    by_type(m, s, "rabbitmq_global_messages_delivered_get_auto_ack_total",
            "Total number of messages delivered to consumers using basic.get with automatic acknowledgment",
            [](const counts& c) { return c.got_no_ack; });
    by_type(m, s, "rabbitmq_global_messages_delivered_get_manual_ack_total",
            "Total number of messages delivered to consumers using basic.get with manual acknowledgment",
            [](const counts& c) { return c.got; });
    by_type(m, s, "rabbitmq_global_messages_get_empty_total",
            "Total number of times basic.get operations fetched no message",
            [](const counts& c) { return c.get_empty; });
    by_type(m, s, "rabbitmq_global_messages_redelivered_total", "Total number of messages redelivered to consumers",
            [](const counts& c) { return c.redelivered; });
    by_type(m, s, "rabbitmq_global_messages_acknowledged_total",
            "Total number of message acknowledgements received from consumers",
            [](const counts& c) { return c.acknowledged; });
    for (std::size_t why = 0; why < death_names.size(); ++why) {
        m.family("rabbitmq_global_messages_dead_lettered_" + std::string(death_names[why]) + "_total", counter,
                 "Total number of messages that left their queue so, dead-lettered or dropped")
            .sample({}, s.broker.dead_lettered[why]);
    }
    m.family("rabbitmq_message_size_bytes", metric_kind::histogram, "Size of messages received from publishers");
    for (std::size_t p = 0; p < core::spoken_protocols; ++p) {
        const auto& sizes = s.protocols[p].sizes;
        m.histogram({{"protocol", protocol_names[p]}}, size_bounds, sizes.counts, static_cast<double>(sizes.sum));
    }
}

void write_own(metric_text& m, const scrape& s) {
    m.family("linnet_received_bytes_total", metric_kind::counter, "Bytes read from clients' sockets");
    for (std::size_t p = 0; p < core::spoken_protocols; ++p) {
        m.sample({{"protocol", protocol_names[p]}}, s.protocols[p].octets.received);
    }
    m.family("linnet_sent_bytes_total", metric_kind::counter, "Bytes written to clients' sockets");
    for (std::size_t p = 0; p < core::spoken_protocols; ++p) {
        m.sample({{"protocol", protocol_names[p]}}, s.protocols[p].octets.sent);
    }
    m.family("linnet_turn_seconds", metric_kind::histogram,
             "How long turns of busy shards take: what an event may have to wait for");
    m.histogram({}, turn_bounds, s.turns.counts, seconds(s.turns.sum));
    const auto syncs = s.all.figures().syncs;
    m.family("linnet_sync_seconds", metric_kind::histogram,
             "How long writes of logs take until they are durable: what a confirm waits for at least");
    m.histogram({}, sync_bounds, syncs.counts, seconds(syncs.sum));
}

// One family, a sample a queue.
void by_queue(metric_text& m, const scrape& s, std::string_view prefix, std::string_view name, metric_kind kind,
              std::string_view help, std::uint64_t (*value)(const core::queue_figures&)) {
    m.family(std::string(prefix) + std::string(name), kind, help);
    for (const auto& q : s.each) {
        m.sample({{"vhost", q.vhost}, {"queue", q.name}}, value(q.figures));
    }
}

void write_queues(metric_text& m, const scrape& s, std::string_view prefix) {
    using figures = core::queue_figures;
    constexpr auto gauge = metric_kind::gauge;
    constexpr auto counter = metric_kind::counter;
    by_queue(m, s, prefix, "queue_messages_ready", gauge, "Messages ready to be delivered to consumers",
             [](const figures& f) { return f.ready; });
    by_queue(m, s, prefix, "queue_messages_unacked", gauge, "Messages delivered to consumers but not yet acknowledged",
             [](const figures& f) { return f.unacked; });
    by_queue(m, s, prefix, "queue_messages", gauge, "Sum of ready and unacknowledged messages",
             [](const figures& f) { return f.messages(); });
    by_queue(m, s, prefix, "queue_consumers", gauge, "Consumers on a queue",
             [](const figures& f) { return f.consumers; });
    by_queue(m, s, prefix, "queue_process_memory_bytes", gauge, "Memory in bytes used by the queue",
             [](const figures& f) { return f.memory_bytes; });
    by_queue(m, s, prefix, "queue_messages_bytes", gauge, "Size in bytes of ready and unacknowledged messages",
             [](const figures& f) { return f.ready_bytes + f.unacked_bytes; });
    by_queue(m, s, prefix, "queue_messages_published_total", counter, "Total number of messages published to queues",
             [](const figures& f) { return f.counts.publish; });
    by_queue(m, s, prefix, "queue_messages_delivered_total", counter, "Total number of messages delivered to consumers",
             [](const figures& f) { return f.counts.deliver_get(); });
    by_queue(m, s, prefix, "queue_messages_acked_total", counter, "Total number of messages acknowledged",
             [](const figures& f) { return f.counts.ack; });
    by_queue(m, s, prefix, "queue_messages_redelivered_total", counter, "Total number of messages redelivered",
             [](const figures& f) { return f.counts.redeliver; });
}

void write_memory(metric_text& m, const scrape& s) {
    const auto f = s.all.figures();
    m.family("rabbitmq_memory_allocated_total_bytes", metric_kind::gauge, "Memory of the process")
        .sample({}, f.resident_bytes);
    m.family("rabbitmq_memory_binary_bytes", metric_kind::gauge, "Memory of messages and output")
        .sample({}, f.memory_of(core::memory_use::messages) + f.memory_of(core::memory_use::output));
    m.family("rabbitmq_memory_other_process_bytes", metric_kind::gauge, "Memory of the rest")
        .sample({}, f.resident_bytes - std::min(f.resident_bytes, f.memory_held_bytes));
}

enum class endpoint : std::uint8_t { aggregated, per_object, detailed, memory };

std::string text_of(const scrape& s, endpoint e) {
    std::string out;
    metric_text m(out);
    switch (e) {
        case endpoint::aggregated:
        case endpoint::per_object:
            write_identity(m, s, e == endpoint::aggregated ? "aggregated" : "per-object");
            write_node(m, s);
            write_objects(m, s);
            e == endpoint::aggregated ? write_queue_sums(m, s) : write_queues(m, s, "rabbitmq_");
            write_global(m, s);
            write_own(m, s);
            break;
        case endpoint::detailed:
            write_identity(m, s, "detailed");
            if (s.one_by_one) {
                write_queues(m, s, "rabbitmq_detailed_");
            }
            break;
        case endpoint::memory:
            write_identity(m, s, "memory-breakdown");
            write_memory(m, s);
            break;
    }
    return out;
}

std::optional<endpoint> endpoint_of(std::span<const std::string_view> path) {
    if (path.size() == 1 || (path.size() == 2 && path[1].empty())) {
        return endpoint::aggregated;
    }
    if (path.size() == 2 && path[1] == "per-object") {
        return endpoint::per_object;
    }
    if (path.size() == 2 && path[1] == "detailed") {
        return endpoint::detailed;
    }
    if (path.size() == 2 && path[1] == "memory-breakdown") {
        return endpoint::memory;
    }
    return std::nullopt;
}

// Families are groups of RabbitMQ's; those of queues are what there is.
bool wants_queues(const session::http_request& r) {
    const auto pairs = r.head.target.query().pairs();
    return std::ranges::any_of(pairs, [](const http::query_view::pair& p) {
        return p.name == "family" &&
               (p.value == "queue_coarse_metrics" || p.value == "queue_metrics" || p.value == "queue_consumer_count");
    });
}

}  // namespace

void metrics_handler::on_request(const session::http_request& r, session::http_responder to) {
    const auto where = endpoint_of(r.segments());
    if (!where) {
        std::move(to).answer(
            session::problem_answer({.code = http::status::not_found, .detail = "there are no metrics at this path"}));
        return;
    }
    if (r.method() != http::method::get && r.method() != http::method::head) {
        std::move(to).answer(session::method_not_allowed("GET, HEAD"));
        return;
    }
    auto s = std::make_shared<scrape>(all_);
    s->one_by_one = *where == endpoint::per_object || (*where == endpoint::detailed && wants_queues(r));
    s->vhost = r.query("vhost");
    auto answer = std::make_shared<session::http_responder>(std::move(to));
    tour::start(all_, home_.id(), tour::everywhere(all_),
                {[s](core::shard& here, cursor& at) { return gather(*s, here, at); },
                 [s, answer, e = *where] {
                     std::move(*answer).answer(
                         {.fields = {{"Content-Type", std::string(content_type)}}, .body = text_of(*s, e)});
                 }});
}

}  // namespace linnet::admin
