#include "broker/admin/api_handler.hpp"
#include "broker/admin/stats.hpp"
#include "broker/admin/tour.hpp"
#include "broker/core/topology_walk.hpp"

#include <algorithm>
#include <array>
#include <utility>

// /api/overview and what is said of the whole: nodes, cluster, versions, who asks.

namespace linnet::admin {
namespace {

using core::topology_view;

constexpr std::uint32_t queues_a_turn = 1024;
// What RabbitMQ's clients parse; there is no Erlang here.
constexpr std::string_view no_erlang = "0.0";

struct exchange_kind {
    std::string_view name;
    std::string_view description;
};
constexpr std::array exchange_kinds{
    exchange_kind{"direct", "AMQP direct exchange, as per the AMQP specification"},
    exchange_kind{"fanout", "AMQP fanout exchange, as per the AMQP specification"},
    exchange_kind{"headers", "AMQP headers exchange, as per the AMQP specification"},
    exchange_kind{"topic", "AMQP topic exchange, as per the AMQP specification"},
    exchange_kind{"x-consistent-hash", "Consistent hashing exchange"},
    exchange_kind{"x-delayed-message", "Delayed message exchange"},
    exchange_kind{"x-modulus-hash", "Modulus hashing exchange"},
    exchange_kind{"x-random", "Random exchange"},
    exchange_kind{"x-recent-history", "Recent history exchange"},
};

void write_exchange_types(json_writer& w) {
    w.key("exchange_types").array();
    for (const auto& k : exchange_kinds) {
        w.object().member("name", k.name).member("description", k.description).member("enabled", true).end();
    }
    w.end();
}

// What a walk over all shards adds up.
struct totals {
    core::queue_look::sums queues{};
    core::message_counts messages{};
    core::churn_counts churn{};
    std::vector<core::shard::looked<core::message_counts>> message_looks;
    std::vector<core::shard::looked<core::churn_counts>> churn_looks;

    void add(core::shard& s) {
        message_looks.push_back(s.look_at_messages());
        churn_looks.push_back(s.look_at_churn());
        messages += message_looks.back().counts;
    }
    // Shards look at their own clocks: rates are added, not counts.
    [[nodiscard]] double rate(std::uint64_t core::message_counts::*m) const {
        double sum = 0;
        for (const auto& l : message_looks) {
            sum += core::rate_of(l.counts.*m, l.seen.before.*m, l.seen.seconds);
        }
        return sum;
    }
    void add_churn(json_writer& w, std::string_view name, std::uint64_t core::churn_counts::*m) const {
        std::uint64_t sum = 0;
        double rate = 0;
        for (const auto& l : churn_looks) {
            sum += l.counts.*m;
            rate += core::rate_of(l.counts.*m, l.seen.before.*m, l.seen.seconds);
        }
        add_counted(w, name, sum, rate);
    }
    [[nodiscard]] std::uint64_t open(std::uint64_t core::churn_counts::*opened,
                                     std::uint64_t core::churn_counts::*closed) const {
        std::uint64_t sum = 0;
        for (const auto& l : churn_looks) {
            sum += l.counts.*opened - l.counts.*closed;
        }
        return sum;
    }
};

void write_message_stats(json_writer& w, const totals& t) {
    w.key("message_stats").object();
    for (const auto& m : client_members()) {
        add_counted(w, m.name, t.messages.*m.member, t.rate(m.member));
    }
    using counts = core::message_counts;
    add_counted(w, "deliver_get", t.messages.deliver_get(),
                t.rate(&counts::deliver) + t.rate(&counts::deliver_no_ack) + t.rate(&counts::get) +
                    t.rate(&counts::get_no_ack));
    add_counted(w, "disk_reads", 0, 0);
    add_counted(w, "disk_writes", 0, 0);
    w.end();
}

void write_listeners(json_writer& w, const services& s) {
    w.key("listeners").array();
    for (const auto& l : s.listeners()) {
        w.object()
            .member("node", s.node_name)
            .member("protocol", l.protocol)
            .member("ip_address", l.address)
            .member("port", l.port)
            .member("socket_opts", core::value_table{})
            .end();
    }
    w.end().key("contexts").array();
    for (const auto& l : s.listeners()) {
        if (l.protocol.starts_with("http")) {
            w.object()
                .member("node", s.node_name)
                .member("description", "Linnet management")
                .member("path", "/")
                .member("ip", l.address)
                .member("port", std::to_string(l.port))
                .member("protocol", l.protocol)
                .end();
        }
    }
    w.end();
}

std::string overview_text(call& c, const totals& t) {
    const auto& s = c.all;
    std::uint64_t exchanges = 0;
    std::uint64_t queues = 0;
    const auto view = c.here().topology();
    core::for_each_vhost(*view.root(), [&](const core::vhost_node& v) {
        if (sees(c.user, view, v.id)) {
            exchanges += v.exchange_count;
            queues += v.queue_count;
        }
    });
    using churn = core::churn_counts;
    using counts = core::message_counts;
    std::string out;
    json_writer w(out);
    w.object()
        .member("management_version", s.rabbitmq_version)
        .member("rates_mode", "basic")
        .key("sample_retention_policies")
        .object()
        .end();
    write_exchange_types(w);
    w.member("product_version", s.version)
        .member("product_name", "Linnet")
        .member("rabbitmq_version", s.rabbitmq_version)
        .member("cluster_name", s.cluster_name)
        .member("erlang_version", no_erlang)
        .member("erlang_full_version", no_erlang)
        .member("release_series_support_status", "supported")
        .member("disable_stats", false)
        .member("is_op_policy_updating_enabled", true)
        .member("enable_queue_totals", false)
        .member("statistics_db_event_queue", std::uint64_t{0})
        .member("node", s.node_name);
    write_message_stats(w, t);
    w.key("churn_rates").object();
    t.add_churn(w, "channel_closed", &churn::channels_closed);
    t.add_churn(w, "channel_created", &churn::channels_opened);
    t.add_churn(w, "connection_closed", &churn::connections_closed);
    t.add_churn(w, "connection_created", &churn::connections_opened);
    t.add_churn(w, "queue_created", &churn::queues_created);
    t.add_churn(w, "queue_declared", &churn::queues_declared);
    t.add_churn(w, "queue_deleted", &churn::queues_deleted);
    w.end().key("queue_totals").object();
    const double gone = t.rate(&counts::deliver_no_ack) + t.rate(&counts::get_no_ack);
    const double lent = t.rate(&counts::deliver) + t.rate(&counts::get);
    add_counted(w, "messages", t.queues.ready + t.queues.unacked,
                t.rate(&counts::publish) - t.rate(&counts::ack) - gone);
    add_counted(w, "messages_ready", t.queues.ready, t.rate(&counts::publish) - lent - gone);
    add_counted(w, "messages_unacknowledged", t.queues.unacked, lent - t.rate(&counts::ack));
    w.end()
        .key("object_totals")
        .object()
        .member("channels", t.open(&churn::channels_opened, &churn::channels_closed))
        .member("connections", t.open(&churn::connections_opened, &churn::connections_closed))
        .member("consumers", t.queues.consumers)
        .member("exchanges", exchanges)
        .member("queues", queues)
        .end();
    write_listeners(w, s);
    w.end();
    return out;
}

void overview(call_ptr c) {
    auto sum = std::make_shared<totals>();
    tour::start(c->all, c->home(), tour::everywhere(c->all),
                {[c, sum](core::shard& here, cursor& at) {
                     if (at == 0) {
                         sum->add(here);
                     }
                     const auto view = here.topology();
                     at = here.for_some_queues(at, queues_a_turn, [&](const core::queue_look& q) {
                         if (sees(c->user, view, q.spec().vhost)) {
                             const auto one = q.totals();
                             sum->queues.ready += one.ready;
                             sum->queues.unacked += one.unacked;
                             sum->queues.consumers += one.consumers;
                         }
                     });
                     return at == 0;
                 },
                 [c, sum] { c->json(overview_text(*c, *sum)); }});
}

// ---- Nodes -------------------------------------------------------------------------------------

void write_node(json_writer& w, const services& s) {
    const auto f = s.figures();
    w.object();
    for (const auto name : {"partitions", "applications", "auth_mechanisms", "log_files", "contexts", "enabled_plugins",
                            "cluster_links", "config_files"}) {
        w.key(name).array().end();
    }
    w.member("os_pid", std::to_string(f.process_id))
        .member("fd_total", f.descriptors_max)
        .member("sockets_total", f.connections_max)
        .member("mem_limit", f.memory_limit_bytes)
        .member("mem_alarm", f.memory_alarm)
        .member("mem_calculation_strategy", "rss")
        .member("disk_free_limit", f.disk_limit_bytes)
        .member("disk_free_alarm", f.disk_alarm)
        .member("proc_total", f.connections_max)
        .member("rates_mode", "basic")
        .member("uptime", f.uptime_ms)
        .member("run_queue", std::uint64_t{0})
        .member("processors", f.processors)
        .member("db_dir", "")
        .member("net_ticktime", std::uint64_t{60})
        .member("name", s.node_name)
        .member("type", "disc")
        .member("running", true)
        .member("being_drained", !s.in_service())
        .member("rabbitmq_version", s.rabbitmq_version);
    const auto add = [&w](std::string_view name, std::uint64_t v) { add_counted(w, name, v, 0); };
    add("mem_used", f.resident_bytes);
    add("fd_used", f.descriptors);
    add("sockets_used", f.connections);
    add("proc_used", f.connections);
    add("disk_free", f.disk_free_bytes);
    for (const auto name : {"gc_num",
                            "gc_bytes_reclaimed",
                            "context_switches",
                            "io_read_count",
                            "io_read_bytes",
                            "io_read_avg_time",
                            "io_write_count",
                            "io_write_bytes",
                            "io_write_avg_time",
                            "io_sync_count",
                            "io_sync_avg_time",
                            "io_seek_count",
                            "io_seek_avg_time",
                            "io_reopen_count",
                            "mnesia_ram_tx_count",
                            "mnesia_disk_tx_count",
                            "msg_store_read_count",
                            "msg_store_write_count",
                            "queue_index_write_count",
                            "queue_index_read_count",
                            "connection_created",
                            "connection_closed",
                            "channel_created",
                            "channel_closed",
                            "queue_declared",
                            "queue_created",
                            "queue_deleted"}) {
        add(name, 0);
    }
    w.key("ra_open_file_metrics").object().end();
    write_exchange_types(w);
    w.key("metrics_gc_queue_length")
        .object()
        .member("connection_closed", std::uint64_t{0})
        .member("channel_closed", std::uint64_t{0})
        .member("consumer_deleted", std::uint64_t{0})
        .member("exchange_deleted", std::uint64_t{0})
        .member("queue_deleted", std::uint64_t{0})
        .member("vhost_deleted", std::uint64_t{0})
        .member("node_node_deleted", std::uint64_t{0})
        .member("channel_consumer_deleted", std::uint64_t{0})
        .end()
        .end();
}

void nodes(call_ptr c) {
    std::string out = "[";
    json_writer w(out);
    write_node(w, c->all);
    c->json(out + "]");
}

void node(call_ptr c) {
    if (c->names[0] != c->all.node_name) {
        c->not_found();
        return;
    }
    std::string out;
    json_writer w(out);
    write_node(w, c->all);
    c->json(std::move(out));
}

// What RabbitMQ's names for memory come closest to here.
std::uint64_t accounted(const node_figures& f, std::string_view name) {
    using core::memory_use;
    return name == "binary"               ? f.memory_of(memory_use::messages) + f.memory_of(memory_use::output)
           : name == "connection_readers" ? f.memory_of(memory_use::connections)
           : name == "connection_other"   ? f.memory_of(memory_use::clients) + f.memory_of(memory_use::replies)
           : name == "queue_procs"        ? f.memory_of(memory_use::queues)
           : name == "other_ets"          ? f.memory_of(memory_use::retained)
                                          : 0;
}

// One process without a virtual machine: what is not counted apart is other.
void memory(call_ptr c) {
    if (c->names[0] != c->all.node_name) {
        c->not_found();
        return;
    }
    const auto f = c->all.figures();
    std::string out;
    json_writer w(out);
    w.object().key("memory").object();
    for (const auto name : {"connection_readers",
                            "connection_writers",
                            "connection_channels",
                            "connection_other",
                            "queue_procs",
                            "queue_slave_procs",
                            "quorum_queue_procs",
                            "quorum_queue_dlx_procs",
                            "stream_queue_procs",
                            "stream_queue_replica_reader_procs",
                            "stream_queue_coordinator_procs",
                            "plugins",
                            "metrics",
                            "mgmt_db",
                            "mnesia",
                            "quorum_ets",
                            "other_ets",
                            "binary",
                            "code",
                            "atom",
                            "other_system",
                            "allocated_unused",
                            "reserved_unallocated"}) {
        w.member(name, accounted(f, name));
    }
    w.member("msg_index", f.memory_of(core::memory_use::indexes) + f.memory_of(core::memory_use::delays))
        .member("other_proc", f.resident_bytes - std::min(f.resident_bytes, f.memory_held_bytes))
        .member("strategy", "rss")
        .key("total")
        .object()
        .member("erlang", f.resident_bytes)
        .member("rss", f.resident_bytes)
        .member("allocated", f.resident_bytes)
        .end()
        .end()
        .end();
    c->json(std::move(out));
}

// ---- The rest ----------------------------------------------------------------------------------

void whoami(call_ptr c) {
    std::string out;
    json_writer w(out);
    w.object().member("name", c->user.name).key("tags").array();
    for (const auto& tag : c->user.tags) {
        w.text(tag);
    }
    w.end().end();
    c->json(std::move(out));
}

void cluster_name(call_ptr c) {
    std::string out;
    json_writer(out).object().member("name", c->all.cluster_name).end();
    c->json(std::move(out));
}

void version(call_ptr c) {
    std::string out;
    json_writer(out).text(c->all.rabbitmq_version);
    c->json(std::move(out));
}

void auth(call_ptr c) { c->json(R"({"oauth_enabled":false})"); }

void empty_list(call_ptr c) { c->json("[]"); }

void login_attempts(call_ptr c) { c->json("[]"); }
void forget_attempts(call_ptr c) { c->no_content(); }

constexpr std::array routes{
    route{.pattern = "overview", .get = overview},
    route{.pattern = "nodes", .reads = need::monitoring, .get = nodes},
    route{.pattern = "nodes/?", .reads = need::monitoring, .get = node},
    route{.pattern = "nodes/?/memory", .reads = need::monitoring, .get = memory},
    route{.pattern = "cluster-name", .reads = need::login, .get = cluster_name},
    route{.pattern = "version", .reads = need::login, .get = version},
    route{.pattern = "whoami", .reads = need::login, .get = whoami},
    route{.pattern = "auth", .reads = need::login, .get = auth},
    route{.pattern = "auth/attempts/?",
          .reads = need::monitoring,
          .get = login_attempts,
          .writes = need::monitoring,
          .remove = forget_attempts},
    route{.pattern = "extensions", .get = empty_list},
    // What switches things on and off there is always on here; plugins that are not there have nothing to show.
    route{.pattern = "feature-flags", .reads = need::administrator, .get = empty_list},
    route{.pattern = "deprecated-features", .get = empty_list},
    route{.pattern = "deprecated-features/used", .get = empty_list},
    route{.pattern = "shovels", .reads = need::monitoring, .get = empty_list},
    route{.pattern = "shovels/?", .reads = need::monitoring, .get = empty_list},
    route{.pattern = "federation-links", .reads = need::monitoring, .get = empty_list},
    route{.pattern = "federation-links/?", .reads = need::monitoring, .get = empty_list},
};

}  // namespace

std::span<const route> overview_routes() noexcept { return routes; }

}  // namespace linnet::admin
