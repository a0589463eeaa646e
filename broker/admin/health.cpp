#include "broker/admin/api_handler.hpp"
#include "broker/admin/changes.hpp"
#include "broker/base/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <map>
#include <utility>

// /api/health/checks: 200 when all is well, 503 with what is not.

namespace linnet::admin {
namespace {

void ok(call& c) { c.json(R"({"status":"ok"})"); }

void failed(call& c, std::string_view reason, const std::function<void(json_writer&)>& more = {}) {
    session::http_answer a{.code = http::status::service_unavailable,
                           .fields = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}};
    json_writer w(a.body);
    w.object().member("status", "failed").member("reason", reason);
    if (more) {
        more(w);
    }
    w.end();
    c.answer(std::move(a));
}

void alarms(call_ptr c) {
    const auto f = c->all.figures();
    if (!f.memory_alarm && !f.disk_alarm) {
        ok(*c);
        return;
    }
    failed(*c, "resource alarm(s) in effect", [&](json_writer& w) {
        w.key("alarms").array();
        for (const auto& [on, what] : {std::pair(f.memory_alarm, "memory"), std::pair(f.disk_alarm, "disk")}) {
            if (on) {
                w.object().member("node", c->all.node_name).member("resource", what).end();
            }
        }
        w.end();
    });
}

template <class List>
void write_ports(json_writer& w, const services& s, List&& take) {
    w.key("ports").array();
    for (const auto& l : s.listeners()) {
        take(w, l);
    }
    w.end();
}

void port_listener(call_ptr c) {
    std::uint16_t port = 0;
    const auto& text = c->names[0];
    if (std::from_chars(text.data(), text.data() + text.size(), port).ptr != text.data() + text.size()) {
        c->bad_request("invalid port");
        return;
    }
    const auto all = c->all.listeners();
    if (std::ranges::find(all, port, &listener_look::port) == all.end()) {
        failed(*c, "No active listener", [&](json_writer& w) {
            w.member("missing", port);
            write_ports(w, c->all, [](json_writer& to, const listener_look& l) { to.number(std::uint64_t{l.port}); });
        });
        return;
    }
    std::string out;
    json_writer(out).object().member("status", "ok").member("port", port).end();
    c->json(std::move(out));
}

// People say it in several ways.
std::string_view plain_name(std::string_view protocol) {
    static const std::map<std::string_view, std::string_view> names{
        {"amqp091", "amqp"},      {"amqp10", "amqp"},    {"amqp/ssl", "amqps"},     {"amqp_ssl", "amqps"},
        {"mqtt/ssl", "mqtts"},    {"mqtt_ssl", "mqtts"}, {"http/web-mqtt", "http"}, {"https/web-mqtt", "https"},
        {"web-mqtt", "http"},     {"http/api", "http"},  {"management", "http"},    {"http/prometheus", "metrics"},
        {"prometheus", "metrics"}};
    const auto at = names.find(protocol);
    return at == names.end() ? protocol : at->second;
}

void protocol_listener(call_ptr c) {
    const auto all = c->all.listeners();
    std::string missing;
    for (std::string_view left = c->names[0]; !left.empty();) {
        const auto one = left.substr(0, left.find(','));
        left.remove_prefix(std::min(one.size() + 1, left.size()));
        if (std::ranges::find(all, plain_name(one), &listener_look::protocol) == all.end()) {
            missing = one;
        }
    }
    if (!missing.empty()) {
        failed(*c, "No active listener", [&](json_writer& w) {
            w.member("missing", missing).key("protocols").array();
            for (const auto& l : all) {
                w.text(l.protocol);
            }
            w.end();
        });
        return;
    }
    std::string out;
    json_writer(out).object().member("status", "ok").member("protocol", c->names[0]).end();
    c->json(std::move(out));
}

void in_service(call_ptr c) { c->all.in_service() ? ok(*c) : failed(*c, "the broker is starting or going down"); }

// Vhosts are part of one whole here: none can be down while the others run.
void virtual_hosts(call_ptr c) { ok(*c); }
// Nor are there other nodes that could be missed.
void single_node(call_ptr c) { c->json(R"({"status":"ok","reason":"single node cluster"})"); }

void below_limit(call_ptr c) {
    const auto f = c->all.figures();
    if (f.connections_max != 0 && f.connections >= f.connections_max) {
        failed(*c, "node connection limit is reached",
               [&](json_writer& w) { w.member("current", f.connections).member("limit", f.connections_max); });
    } else {
        ok(*c);
    }
}

// names: how many, of what
void certificates(call_ptr c) {
    constexpr std::int64_t day = 86'400;
    static const std::map<std::string_view, std::int64_t> units{
        {"days", day}, {"weeks", 7 * day}, {"months", 30 * day}, {"years", 365 * day}};
    std::int64_t n = 0;
    const auto& text = c->names[0];
    const auto unit = units.find(c->names[1]);
    if (std::from_chars(text.data(), text.data() + text.size(), n).ptr != text.data() + text.size() || n < 0 ||
        n > 10'000 || unit == units.end()) {
        c->bad_request("Invalid expiration unit or number");
        return;
    }
    const auto until = c->here().wall_now() / ns_per_s + n * unit->second;
    std::vector<listener_look> ending;
    for (const auto& l : c->all.listeners()) {
        if (l.certificate_ends_s != 0 && l.certificate_ends_s < until) {
            ending.push_back(l);
        }
    }
    if (ending.empty()) {
        ok(*c);
        return;
    }
    failed(*c, "Certificates expiring", [&](json_writer& w) {
        w.key("expired").array();
        for (const auto& l : ending) {
            w.object()
                .member("node", c->all.node_name)
                .member("protocol", l.protocol)
                .member("interface", l.address)
                .member("port", l.port)
                .end();
        }
        w.end();
    });
}

// Goes to the control and through its log, as a declaration would, and changes nothing.
void aliveness(call_ptr c) {
    if (c->here().topology().find_vhost(c->names[0]) == nullptr) {
        c->not_found();
        return;
    }
    administer(
        c,
        [](core::topology_editor&, core::topology_journal&) -> core::outcome<core::administered> {
            return core::administered{};
        },
        [c] { ok(*c); });
}

constexpr std::array routes{
    route{.pattern = "health/checks/alarms", .get = alarms},
    route{.pattern = "health/checks/local-alarms", .get = alarms},
    route{.pattern = "health/checks/port-listener/?", .get = port_listener},
    route{.pattern = "health/checks/protocol-listener/?", .get = protocol_listener},
    route{.pattern = "health/checks/virtual-hosts", .get = virtual_hosts},
    route{.pattern = "health/checks/is-in-service", .get = in_service},
    route{.pattern = "health/checks/ready-to-serve-clients", .get = in_service},
    route{.pattern = "health/checks/below-node-connection-limit", .get = below_limit},
    route{.pattern = "health/checks/certificate-expiration/?/?", .get = certificates},
    route{.pattern = "health/checks/node-is-mirror-sync-critical", .get = single_node},
    route{.pattern = "health/checks/node-is-quorum-critical", .get = single_node},
    route{.pattern = "health/checks/metadata-store/initialized", .get = in_service},
    route{.pattern = "healthchecks/node", .get = alarms},
    route{.pattern = "healthchecks/node/?", .get = alarms},
    route{.pattern = "aliveness-test/?", .reads = need::vhost, .get = aliveness},
};

}  // namespace

std::span<const route> health_routes() noexcept { return routes; }

}  // namespace linnet::admin
