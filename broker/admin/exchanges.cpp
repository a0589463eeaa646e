#include "broker/admin/api_handler.hpp"
#include "broker/admin/binding_rows.hpp"
#include "broker/admin/listing.hpp"
#include "broker/admin/messages.hpp"
#include "broker/admin/stats.hpp"
#include "broker/admin/topology_steps.hpp"
#include "broker/core/topology_walk.hpp"

#include <array>
#include <map>
#include <utility>

// /api/exchanges. Each shard has counted its own publishers' part, so a list goes round them all.

namespace linnet::admin {
namespace {

using core::topology_view;

using traffic_table = std::map<std::pair<std::uint32_t, std::string>, core::exchange_look>;

// In paths the default exchange has a name.
std::string exchange_name(const std::string& in_path) { return in_path == "amq.default" ? std::string() : in_path; }

void write_exchange(json_writer& w, const core::vhost_node& v, const core::exchange_node& x,
                    const core::exchange_look& t) {
    const auto& spec = x.info->spec;
    w.object()
        .member("arguments", spec.arguments)
        .member("auto_delete", spec.auto_delete)
        .member("durable", spec.durable)
        .member("internal", spec.internal)
        .key("message_stats")
        .object();
    add_counted(w, "publish_in", t.counts.in, t.in_rate);
    add_counted(w, "publish_out", t.counts.out, t.out_rate);
    w.end().member("name", spec.name);
    if (!x.info->policy.empty()) {
        w.member("policy", x.info->policy);
    }
    w.member("type", spec.type_name).member("user_who_performed_action", "").member("vhost", v.name).end();
}

// Home last: there the rows are made, when all have told.
std::vector<core::shard_id> ending_at_home(call& c) {
    auto where = tour::everywhere(c.all);
    std::erase(where, c.home());
    where.push_back(c.home());
    return where;
}

void list_exchanges(call_ptr c, std::optional<core::vhost_id> only) {
    struct gathered {
        traffic_table traffic;
        exchange_steps steps;
    };
    auto so_far = std::make_shared<gathered>();
    row_source s;
    s.where = ending_at_home(*c);
    s.collect = [c, only, so_far](core::shard& here, cursor& at, row_list& to) {
        if (at == 0) {
            so_far->steps = {};
            at = 1;
        }
        const auto view = here.topology();
        const auto visible = [&](const core::vhost_node& v) {
            return (!only || v.id == *only) && sees(c->user, view, v.id);
        };
        return so_far->steps.go_on(view, visible, [&](const core::vhost_node& v, const core::exchange_node& x) {
            const auto& name = x.info->spec.name;
            auto t = here.look_at(v.id, name);
            if (here.id() != c->home()) {
                if (t.counts.in != 0) {
                    so_far->traffic[{v.id.value, name}] += t;
                }
                return;
            }
            if (const auto elsewhere = so_far->traffic.find({v.id.value, name}); elsewhere != so_far->traffic.end()) {
                t += elsewhere->second;
            }
            to.add_whole({v.name, name}, [&](json_writer& w) { write_exchange(w, v, x, t); });
        });
    };
    answer_list(std::move(c), std::move(s));
}

void list_all(call_ptr c) { list_exchanges(std::move(c), {}); }

void list_in_vhost(call_ptr c) {
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    v == nullptr ? c->not_found() : list_exchanges(c, topology_view::id_of(*v));
}

struct found_exchange {
    const core::vhost_node* vhost = nullptr;
    const core::exchange_node* exchange = nullptr;
    [[nodiscard]] explicit operator bool() const noexcept { return exchange != nullptr; }
};

// Nothing, and answered: it is not there.
found_exchange find_exchange(call& c) {
    found_exchange f;
    f.vhost = c.here().topology().find_vhost(c.names[0]);
    f.exchange = f.vhost == nullptr ? nullptr : topology_view::find_exchange(*f.vhost, exchange_name(c.names[1]));
    if (!f) {
        c.not_found();
    }
    return f;
}

void show(call_ptr c) {
    if (!find_exchange(*c)) {
        return;
    }
    auto sum = std::make_shared<core::exchange_look>();
    tour::start(c->all, c->home(), tour::everywhere(c->all),
                {[c, sum](core::shard& here, cursor&) {
                     if (const auto* v = here.topology().find_vhost(c->names[0])) {
                         *sum += here.look_at(v->id, exchange_name(c->names[1]));
                     }
                     return true;
                 },
                 [c, sum] {
                     const auto found = find_exchange(*c);
                     if (!found) {
                         return;
                     }
                     std::string out;
                     json_writer w(out);
                     write_exchange(w, *found.vhost, *found.exchange, *sum);
                     out.pop_back();
                     c->json(out + ",\"incoming\":[],\"outgoing\":[]}");
                 }});
}

void declare(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body) {
        return;
    }
    const auto view = c->here().topology();
    const auto* v = view.find_vhost(c->names[0]);
    if (v == nullptr) {
        c->not_found();
        return;
    }
    core::declare_exchange x;
    x.name = exchange_name(c->names[1]);
    x.type = body->text("type").value_or("direct");
    x.durable = body->flag("durable").value_or(true);
    x.auto_delete = body->flag("auto_delete").value_or(false);
    x.internal = body->flag("internal").value_or(false);
    x.arguments = body->table("arguments");
    if (auto right = may(core::right::configure, c->user, view, *v, "exchange", x.name); !right) {
        c->fail(right.error());
        return;
    }
    const bool existed = topology_view::find_exchange(*v, x.name) != nullptr;
    if (auto passes = may_pass_on(c->user, view, *v, "exchange", x.name, x.arguments, "alternate-exchange");
        !existed && !passes) {
        c->fail(passes.error());
        return;
    }
    c->client.ask(topology_view::id_of(*v), std::move(x), [c, existed](core::reply&& r) {
        !r.result ? c->fail(r.result.error()) : existed ? c->no_content() : c->created();
    });
}

void remove(call_ptr c) {
    const auto found = find_exchange(*c);
    if (!found) {
        return;
    }
    const auto name = exchange_name(c->names[1]);
    if (auto right = may(core::right::configure, c->user, c->here().topology(), *found.vhost, "exchange", name);
        !right) {
        c->fail(right.error());
        return;
    }
    c->client.ask(found.vhost->id, core::delete_exchange{name, c->is_set("if-unused")},
                  [c](core::reply&& r) { r.result ? c->no_content() : c->fail(r.result.error()); });
}

void bindings_from(call_ptr c) {
    if (find_exchange(*c)) {
        list_bindings_from(std::move(c));
    }
}
void bindings_to(call_ptr c) {
    if (find_exchange(*c)) {
        list_bindings_to(std::move(c), core::bind_destination::exchange);
    }
}

constexpr std::array routes{
    route{.pattern = "exchanges", .get = list_all},
    route{.pattern = "exchanges/?", .reads = need::vhost, .get = list_in_vhost},
    route{.pattern = "exchanges/?/?",
          .reads = need::vhost,
          .get = show,
          .writes = need::vhost,
          .put = declare,
          .remove = remove},
    route{.pattern = "exchanges/?/?/publish", .writes = need::vhost, .post = publish_to_exchange},
    route{.pattern = "exchanges/?/?/bindings/source", .reads = need::vhost, .get = bindings_from},
    route{.pattern = "exchanges/?/?/bindings/destination", .reads = need::vhost, .get = bindings_to},
};

}  // namespace

std::span<const route> exchange_routes() noexcept { return routes; }

}  // namespace linnet::admin
