#include "broker/admin/api_handler.hpp"
#include "broker/admin/binding_rows.hpp"
#include "broker/admin/messages.hpp"
#include "broker/admin/tour.hpp"
#include "broker/core/publish_access.hpp"
#include "broker/core/reply_handle.hpp"
#include "broker/core/route_account.hpp"
#include "broker/core/topology_walk.hpp"
#include "broker/session/amqp_names.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/mqtt_session.hpp"
#include "broker/session/mqtt_settings.hpp"
#include "broker/session/mqtt_topic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

// POST /api/x/explain/{vhost}: where a message would go, by which bindings, and whether its publisher would be let in.
// The routing and the rights are those of publishing itself; nothing is published, counted or changed.

namespace linnet::admin {
namespace {

using core::topology_view;

constexpr std::uint32_t sessions_a_turn = 256;
constexpr std::size_t exchange_bytes_max = 255;
constexpr std::size_t key_bytes_max = 65535;

using live_key = std::tuple<std::uint16_t, std::uint32_t, std::uint32_t>;
live_key key_of(core::queue_handle h) { return {h.shard.value, h.slot, h.generation}; }
// Which MQTT clients those connections are that messages reach without a queue.
using live_clients = std::map<live_key, std::string>;

struct question {
    std::string exchange;
    std::vector<std::string> keys;  // the routing key, then those of CC and BCC
    std::string topic;              // instead of them, as MQTT says it; empty: none
    std::string user;
    std::string client;
    std::string properties;  // as AMQP's block
    core::grant_ptr grant{};
    std::uint64_t entropy = 0;  // what a random exchange draws: the same whenever it is asked

    [[nodiscard]] std::vector<std::string_view> key_views() const { return {keys.begin(), keys.end()}; }
};

// ---- Asked ---------------------------------------------------------------------------------------

// What AMQP's publishers name beside the key.
void add_copies(const core::value_table& headers, std::vector<std::string>& to) {
    for (const auto* name : {"CC", "BCC"}) {
        const auto* found = core::find(headers, name);
        const auto* list = found == nullptr ? nullptr : std::get_if<core::value_array>(&found->data);
        for (const auto& v : list == nullptr ? core::value_array{} : *list) {
            if (const auto* text = v.as_string()) {
                to.push_back(*text);
            }
        }
    }
}

// Empty: fine. Else what is wrong with it.
std::string read_topic(const call& c, std::string_view vhost, question& q) {
    auto where = c.all.mqtt == nullptr
                     ? std::nullopt
                     : session::address_of_text(q.topic, {c.all.mqtt->exchange, c.all.mqtt->mode_in(vhost)});
    if (!where) {
        return "nothing can be published to that topic";
    }
    q.exchange = std::move(where->exchange);
    q.keys = {std::move(where->key)};
    return {};
}

std::string read_address(const call& c, const body_reader& body, const core::neutral_properties& said, question& q) {
    const auto exchange = body.text("exchange");
    const auto key = body.text("routing_key");
    q.topic = body.text("topic").value_or("");
    if (!q.topic.empty()) {
        return exchange || key ? "either topic, or exchange and routing_key" : read_topic(c, c.names[0], q);
    }
    q.exchange = exchange.value_or("") == "amq.default" ? std::string() : exchange.value_or("");
    q.keys = {key.value_or("")};
    add_copies(said.headers, q.keys);
    const bool too_long = q.exchange.size() > exchange_bytes_max ||
                          std::ranges::any_of(q.keys, [](const auto& k) { return k.size() > key_bytes_max; });
    return too_long ? "that name is too long" : "";
}

// Answers, where it cannot be asked.
std::optional<question> read_question(call& c, const core::vhost_node& v) {
    const auto body = body_reader::of(c);
    if (!body) {
        return std::nullopt;
    }
    question q;
    q.user = body->text("user").value_or(c.user.name);
    q.client = body->text("client_id").value_or("");
    if (q.user == c.user.name) {
        q.grant = c.user.grant;
    } else if (const auto why = refusal(need::administrator, c.user, c.here().topology(), &v); !why.empty()) {
        c.refuse(why);  // what others may do is for administrators, as in /api/permissions
        return std::nullopt;
    }
    const auto said = read_properties(body->table("properties"));
    q.properties = session::to_block(said);
    q.entropy = static_cast<std::uint64_t>(c.here().now());
    if (const auto wrong = read_address(c, *body, said, q); !wrong.empty()) {
        c.bad_request(wrong);
        return std::nullopt;
    }
    if (q.exchange.empty() &&
        (core::reply_token_of(q.keys.front()) || q.keys.front().starts_with(session::reply_prefix))) {
        c.bad_request("an answer goes to whoever asked; nothing is routed");
        return std::nullopt;
    }
    return q;
}

// ---- Told ----------------------------------------------------------------------------------------

core::route_account account_of(const core::vhost_node& v, const core::exchange_node& x, const question& q,
                               core::shard_id here, bool delays_over) {
    const auto keys = q.key_views();
    const core::route_input in{
        .routing_key = keys.front(),
        .reader = &session::amqp_reader(),
        .properties = {reinterpret_cast<const std::uint8_t*>(q.properties.data()), q.properties.size()},
        .entropy = q.entropy,
        .here = here,
        .delays_over = delays_over};
    return core::explain_route(v, x, keys, in);
}

// The right that is missing, and the pattern that does not allow it. A token has no patterns.
void write_refusal(json_writer& w, core::publish_bar why, const question& q, const core::vhost_node& v) {
    const auto error = refusal_to_publish(why, q.user, v, q.exchange, q.keys.front());
    const auto* rules = q.grant ? nullptr : v.users.find(core::text_hash(q.user), q.user);
    w.key("refusal").object().member("reason", error.text);
    const bool by_topic = why == core::publish_bar::topic;
    if (by_topic || why == core::publish_bar::exchange || why == core::publish_bar::no_rights) {
        w.member("right", "write").member("resource", core::exchange_in_rules(q.exchange));
        w.member("granted_by", q.grant ? "token" : by_topic ? "topic_permissions" : "permissions").key("pattern");
        const auto* topic = rules == nullptr ? nullptr : rules->rules->asked_topic(q.exchange);
        if (rules == nullptr || (by_topic ? topic == nullptr : !rules->grants_access)) {
            w.null();
        } else {
            w.text(by_topic ? topic->write : rules->rules->asked_permissions().write);
        }
    }
    w.end();
}

void write_client(json_writer& w, const live_clients& clients, core::queue_handle h) {
    const auto at = clients.find(key_of(h));
    at == clients.end() ? w.null() : w.text(at->second);
}

std::string_view text_of(core::step_reason why) noexcept {
    switch (why) {
        case core::step_reason::published: return "published";
        case core::step_reason::binding: return "binding";
        case core::step_reason::alternate: return "alternate";
    }
    return {};
}

void write_matched(json_writer& w, const core::vhost_node& v, const core::binding_node& b,
                   const live_clients& clients) {
    if (b.kind != core::bind_destination::subscriber) {
        write_binding(w, v.name, view_of(b));
        return;
    }
    w.object().member("source", b.source()).member("vhost", v.name).key("destination");
    write_client(w, clients, b.queue);
    w.member("destination_type", "mqtt_connection").member("routing_key", b.key()).end();
}

void write_steps(json_writer& w, const core::vhost_node& v, const core::route_account& now,
                 const core::route_account& in_the_end, const live_clients& clients) {
    w.key("steps").array();
    for (const auto& s : in_the_end.steps) {
        const auto& spec = topology_view::spec_of(*s.exchange);
        const auto held = std::ranges::any_of(
            now.steps, [&](const core::route_step& n) { return n.exchange == s.exchange && n.held; });
        w.object()
            .member("exchange", spec.name)
            .member("type", spec.type_name)
            .member("because", text_of(s.why))
            .member("held", held)
            .key("turned_to");
        s.alternate.empty() ? w.null() : w.text(s.alternate);
        w.key("bindings").array();
        static const core::value_table none;
        for (const auto* q : s.queues) {
            const auto& name = q->info->entry.spec.name;
            write_binding(w, v.name, {spec.name, name, core::bind_destination::queue, name, none});
        }
        for (const auto* b : s.bindings) {
            write_matched(w, v, *b, clients);
        }
        w.end().end();
    }
    w.end();
}

std::string_view kind_of(const core::queue_entry& e) {
    return core::is_stream(e.handle)                                ? "stream"
           : e.spec.name.starts_with(session::session_queue_prefix) ? "mqtt_session"
                                                                    : "queue";
}

// The queue of that place, by the bindings that lead there.
const core::queue_entry* entry_of(const core::vhost_node& v, const core::route_account& a, core::queue_handle h) {
    for (const auto& s : a.steps) {
        if (const auto q = std::ranges::find(s.queues, h, &core::queue_node::handle); q != s.queues.end()) {
            return &(*q)->info->entry;
        }
        const auto b = std::ranges::find(s.bindings, h, &core::binding_node::queue);
        if (b != s.bindings.end() && (*b)->kind == core::bind_destination::queue) {
            return topology_view::find_queue(v, (*b)->destination());
        }
    }
    return nullptr;
}

void write_destinations(json_writer& w, const core::vhost_node& v, const core::route_account& now,
                        const core::route_account& in_the_end, const live_clients& clients) {
    w.key("destinations").array();
    for (const auto h : in_the_end.targets) {
        const auto* e = entry_of(v, in_the_end, h);
        w.object().key("name");
        if (e == nullptr) {
            write_client(w, clients, h);
        } else {
            w.text(e->spec.name);
        }
        w.member("kind", e == nullptr ? "mqtt_connection" : kind_of(*e))
            .member("durable", e != nullptr && e->spec.durable)
            .member("delayed", std::ranges::find(now.targets, h) == now.targets.end())
            .end();
    }
    w.end();
}

bool draws(const core::route_step& s) {
    const auto type = s.exchange->info->routes_as;
    return type == core::exchange_type::random || type == core::exchange_type::local_random;
}

// One request on its way: where connections take messages themselves, their shards are asked first who they are.
class explanation : public std::enable_shared_from_this<explanation> {
public:
    explanation(call_ptr c, question q) : call_(std::move(c)), q_(std::move(q)) {}

    void start() {
        const auto* v = vhost();
        if (v == nullptr) {
            return;
        }
        std::vector<core::shard_id> where;
        if (const auto* x = topology_view::find_exchange(*v, q_.exchange)) {
            for (const auto h : account_of(*v, *x, q_, call_->home(), true).targets) {
                if (h.slot >= core::first_subscriber_slot) {
                    wanted_.emplace(key_of(h));
                    where.push_back(h.shard);
                }
            }
        }
        std::ranges::sort(where);
        where.erase(std::unique(where.begin(), where.end()), where.end());
        if (where.empty()) {
            tell();
            return;
        }
        tour::start(call_->all, call_->home(), std::move(where),
                    {[self = shared_from_this()](core::shard& here, cursor& at) { return self->look(here, at); },
                     [self = shared_from_this()] { self->tell(); }});
    }

private:
    // None any more, which has been answered.
    [[nodiscard]] const core::vhost_node* vhost() {
        const auto* v = call_->here().topology().find_vhost(call_->names[0]);
        if (v == nullptr) {
            call_->not_found();
        }
        return v;
    }

    bool look(core::shard& here, cursor& at) {
        at = here.for_some_sessions(at, sessions_a_turn, [&](core::session_handle, core::session_port& port) {
            const auto* m = dynamic_cast<const session::mqtt_session*>(&port);
            if (m != nullptr && wanted_.contains(key_of(m->live_sink()))) {
                clients_.emplace(key_of(m->live_sink()), m->client_id());
            }
        });
        return at == 0;
    }

    void tell() {
        const auto view = call_->here().topology();
        const auto* v = vhost();
        if (v == nullptr) {
            return;
        }
        const core::held_rules rules(view, q_.user, q_.grant, *v);
        const auto bar = core::bar_to_publishing(*v, rules.get(), q_.exchange, q_.keys.front(), q_.client);
        const auto* x = topology_view::find_exchange(*v, q_.exchange);
        const auto now = x == nullptr ? core::route_account{} : account_of(*v, *x, q_, call_->home(), false);
        const auto in_the_end = x == nullptr ? core::route_account{} : account_of(*v, *x, q_, call_->home(), true);
        std::string out;
        json_writer w(out);
        w.object().member("vhost", v->name).member("user", q_.user).member("exchange", q_.exchange);
        w.key("routing_keys").array();
        for (const auto& k : q_.keys) {
            w.text(k);
        }
        w.end();
        if (!q_.topic.empty()) {
            w.member("topic", q_.topic);
        }
        w.member("allowed", !bar);
        if (bar) {
            write_refusal(w, *bar, q_, *v);
        } else {
            w.key("refusal").null();
        }
        w.member("routed", !in_the_end.targets.empty())
            .member("by_chance", std::ranges::any_of(in_the_end.steps, draws));
        write_steps(w, *v, now, in_the_end, clients_);
        write_destinations(w, *v, now, in_the_end, clients_);
        w.end();
        call_->json(std::move(out));
    }

    const call_ptr call_;
    const question q_;
    std::set<live_key> wanted_;
    live_clients clients_;
};

void explain(call_ptr c) {
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    if (v == nullptr) {
        c->not_found();
        return;
    }
    if (auto q = read_question(*c, *v)) {
        std::make_shared<explanation>(std::move(c), std::move(*q))->start();
    }
}

constexpr std::array routes{route{.pattern = "x/explain/?", .writes = need::vhost, .post = explain}};

}  // namespace

std::span<const route> explain_routes() noexcept { return routes; }

}  // namespace linnet::admin
