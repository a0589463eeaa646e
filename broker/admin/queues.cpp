#include "broker/admin/api_handler.hpp"
#include "broker/admin/binding_rows.hpp"
#include "broker/admin/connection_book.hpp"
#include "broker/admin/listing.hpp"
#include "broker/admin/messages.hpp"
#include "broker/admin/queue_walk.hpp"
#include "broker/admin/stats.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/policy_set.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_walk.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

// /api/queues: RabbitMQ's fields; those that mean nothing here are 0, false or null, for some clients insist on them.

namespace linnet::admin {
namespace {

using core::topology_view;

constexpr std::uint32_t queues_a_turn = 256;

// Policies live with the control; rows show what they come to.
struct policy_book {
    std::map<std::tuple<std::uint32_t, core::policy_kind, std::string>, core::policy> policies;

    void fill(core::shard& control) {
        auto& editor = control.parts().editor();
        core::for_each_vhost(editor.root(), [&](const core::vhost_node& v) { fill(editor, v.id); });
    }
    void fill(const core::topology_editor& editor, core::vhost_id v) {
        editor.for_each_policy(v, [&](core::policy_kind kind, const core::policy& p) {
            policies.emplace(std::tuple(v.value, kind, p.name), p);
        });
    }
    [[nodiscard]] const core::policy* find(core::vhost_id v, core::policy_kind kind, const std::string& name) const {
        const auto at = policies.find({v.value, kind, name});
        return at == policies.end() ? nullptr : &at->second;
    }
};

std::string_view type_name(core::queue_type t) {
    switch (t) {
        case core::queue_type::classic: return "classic";
        case core::queue_type::quorum: return "quorum";
        case core::queue_type::stream: return "stream";
    }
    return "";
}

void add_name_or_null(json_writer& w, std::string_view key, const std::string& name) {
    name.empty() ? w.key(key).null() : w.member(key, name);
}

// What is spread over a queue's messages evenly, as far as we know.
std::uint64_t share_of(std::uint64_t bytes, std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0
                      : static_cast<std::uint64_t>(static_cast<double>(bytes) * static_cast<double>(part) /
                                                   static_cast<double>(whole));
}

void add_messages(json_writer& w, const core::queue_figures& f) {
    const auto rate = [&](std::uint64_t core::message_counts::*m) {
        return core::rate_of(f.counts.*m, f.seen.before.*m, f.seen.seconds);
    };
    using counts = core::message_counts;
    const double in = rate(&counts::publish);
    const double gone = rate(&counts::ack) + rate(&counts::deliver_no_ack) + rate(&counts::get_no_ack);
    const double lent = rate(&counts::deliver) + rate(&counts::get);
    const auto bytes = f.ready_bytes + f.unacked_bytes;
    const auto in_memory = f.messages() - f.paged;
    add_counted(w, "messages", f.messages(), in - gone);
    add_counted(w, "messages_ready", f.ready, in - lent - rate(&counts::deliver_no_ack) - rate(&counts::get_no_ack));
    add_counted(w, "messages_unacknowledged", f.unacked, lent - rate(&counts::ack));
    w.member("messages_paged_out", f.paged)
        .member("messages_persistent", f.stored)
        .member("messages_ram", in_memory)
        .member("messages_ready_ram", f.ready - std::min(f.ready, f.paged))
        .member("messages_unacknowledged_ram", f.unacked)
        .member("message_bytes", bytes)
        .member("message_bytes_paged_out", share_of(f.ready_bytes, f.paged, f.ready))
        .member("message_bytes_persistent", share_of(bytes, std::min(f.stored, f.messages()), f.messages()))
        .member("message_bytes_ram", share_of(bytes, in_memory, f.messages()))
        .member("message_bytes_ready", f.ready_bytes)
        .member("message_bytes_unacknowledged", f.unacked_bytes);
}

// What lists are mostly sorted by is had without writing it: the number that the member of that path holds.
class quick_number {
public:
    // None: another member.
    static std::optional<quick_number> of(std::string_view path) {
        constexpr std::string_view stats = "message_stats.";
        constexpr std::string_view rate = "_details.rate";
        quick_number q;
        if (path.starts_with(stats)) {
            path.remove_prefix(stats.size());
            q.is_rate_ = path.ends_with(rate);
            path.remove_suffix(q.is_rate_ ? rate.size() : 0);
            const auto at = std::ranges::find(queue_members(), path, &counted_member::name);
            q.counted_ = at == queue_members().end() ? nullptr : at->member;
        } else if (const auto at = std::ranges::find(plain, path, &named::name); at != plain.end()) {
            q.plain_ = at->number;
        }
        return q.counted_ == nullptr && q.plain_ == nullptr ? std::nullopt : std::optional(q);
    }
    [[nodiscard]] double operator()(const core::queue_look& q) const {
        if (plain_ != nullptr) {
            return static_cast<double>(plain_(q));
        }
        const auto f = q.figures();
        return is_rate_ ? core::rate_of(f.counts.*counted_, f.seen.before.*counted_, f.seen.seconds)
                        : static_cast<double>(f.counts.*counted_);
    }

private:
    using getter = std::uint64_t (*)(const core::queue_look&);
    struct named {
        std::string_view name;
        getter number;
    };
    static constexpr std::array plain{
        named{"messages", [](const core::queue_look& q) { return q.totals().ready + q.totals().unacked; }},
        named{"messages_ready", [](const core::queue_look& q) { return q.figures().ready; }},
        named{"messages_unacknowledged", [](const core::queue_look& q) { return q.figures().unacked; }},
        named{"consumers", [](const core::queue_look& q) { return q.totals().consumers; }},
        named{"memory", [](const core::queue_look& q) { return q.figures().memory_bytes; }},
    };

    getter plain_ = nullptr;  // or:
    std::uint64_t core::message_counts::*counted_ = nullptr;
    bool is_rate_ = false;
};

// Of the looks that listings and single queues have in common.
struct queue_row {
    services& all;
    const policy_book& policies;
    core::topology_view view;

    void write(json_writer& w, const core::queue_look& q) const {
        const auto& spec = q.spec();
        const auto f = q.figures();
        const auto* vhost = view.find_vhost(spec.vhost);
        w.object()
            .member("arguments", spec.arguments)
            .member("auto_delete", spec.auto_delete)
            .member("consumer_capacity", utilisation(f))
            .member("consumer_utilisation", utilisation(f))
            .member("consumers", f.consumers)
            .member("durable", spec.durable)
            .key("effective_policy_definition")
            .value(effective(spec))
            .member("exclusive", static_cast<bool>(spec.exclusive_to))
            .key("exclusive_consumer_tag")
            .null()
            .key("garbage_collection")
            .object()
            .end()
            .key("head_message_timestamp")
            .null()
            .member("idle_since", time_text(f.seen.moved))
            .member("memory", f.memory_bytes);
        add_messages(w, f);
        add_message_stats(w, f.counts, f.seen, queue_members());
        w.member("messages_delayed", f.delayed).member("name", spec.name).member("node", all.node_name);
        add_name_or_null(w, "operator_policy", spec.operator_policy);
        add_name_or_null(w, "policy", spec.policy);
        w.key("recoverable_slaves").null();
        add_counted(w, "reductions", 0, 0);
        w.key("single_active_consumer_tag");
        active_tag(w, q);
        w.member("state", "running")
            .member("type", type_name(spec.settings.type))
            .member("vhost", vhost == nullptr ? std::string_view{} : topology_view::name_of(*vhost))
            .end();
    }

private:
    [[nodiscard]] static double utilisation(const core::queue_figures& f) {
        return f.consumers == 0 ? 0 : static_cast<double>(f.consumers_active) / static_cast<double>(f.consumers);
    }
    [[nodiscard]] core::value_table effective(const core::queue_spec& s) const {
        return core::effective_definition(policies.find(s.vhost, core::policy_kind::user, s.policy),
                                          policies.find(s.vhost, core::policy_kind::operators, s.operator_policy));
    }
    static void active_tag(json_writer& w, const core::queue_look& q) {
        const auto all_of = q.spec().settings.single_active_consumer ? q.consumers()
                                                                     : std::vector<core::consumer_look>{};
        const auto at = std::ranges::find_if(all_of, &core::consumer_look::active);
        at == all_of.end() ? w.null() : w.text(at->label);
    }
};

// Those of the rows' vhosts.
void fill_for(std::span<const row> rows, const core::topology_editor& editor, policy_book& policies) {
    std::string_view filled;  // neighbours mostly share one
    for (const auto& r : rows) {
        const auto* v = r.vhost == filled ? nullptr : editor.view().find_vhost(r.vhost);
        if (v != nullptr) {
            policies.fill(editor, v->id);
            filled = r.vhost;
        }
    }
}

// Lists want totals only when they say so: then nothing is looked at but names.
void list_queues(call_ptr c, std::optional<core::vhost_id> only) {
    auto policies = std::make_shared<policy_book>();
    row_source s;
    s.where = tour::everywhere(c->all);
    s.collect = [c, only, policies](core::shard& here, cursor& at, row_list& to) {
        const auto view = here.topology();
        const auto number = quick_number::of(to.asked().sort);
        if (here.id() == core::control_shard && at == 0) {
            policies->fill(here);
        }
        // Neighbours mostly share a vhost.
        std::optional<core::vhost_id> last;
        const core::vhost_node* seen = nullptr;
        at = here.for_some_queues(at, queues_a_turn, [&](const core::queue_look& q) {
            const auto& spec = q.spec();
            if (last != spec.vhost) {
                last = spec.vhost;
                seen = (!only || *only == spec.vhost) && sees(c->user, view, spec.vhost) ? view.find_vhost(spec.vhost)
                                                                                         : nullptr;
            }
            if (seen == nullptr) {
                return;
            }
            if (number) {
                to.add_numbered(topology_view::name_of(*seen), spec.name, q.handle(), (*number)(q));
                return;
            }
            to.add(topology_view::name_of(*seen), spec.name, q.handle(), [&](json_writer& w) {
                queue_row{c->all, *policies, view}.write(w, q);
            });
        });
        return at == 0;
    };
    s.describe = [c, policies](core::shard& here, std::span<row> rows, const column_list& columns) {
        for (auto& r : rows) {
            const auto* h = std::get_if<core::queue_handle>(&r.place);
            if (h != nullptr && h->shard == here.id()) {
                if (const auto q = here.look_at(*h)) {
                    json_writer w(r.json, &columns);
                    queue_row{c->all, *policies, here.topology()}.write(w, *q);
                }
            }
        }
    };
    s.walk = [c, only, policies](core::shard& control, queue_walk& page) {
        const auto& editor = control.parts().editor();
        const bool over = page.go_on(editor, [&](const core::vhost_node& v) {
            return (!only || *only == v.id) && sees(c->user, editor.view(), v.id);
        });
        if (over) {
            fill_for(page.rows(), editor, *policies);
        }
        return over;
    };
    answer_list(std::move(c), std::move(s));
}

void list_all(call_ptr c) { list_queues(std::move(c), {}); }

// Null, and answered: there is no such vhost.
const core::vhost_node* vhost_of(call& c) {
    const auto* v = c.here().topology().find_vhost(c.names[0]);
    if (v == nullptr) {
        c.not_found();
    }
    return v;
}

void list_in_vhost(call_ptr c) {
    if (const auto* v = vhost_of(*c)) {
        list_queues(c, topology_view::id_of(*v));
    }
}

const core::queue_entry* queue_of(call& c) {
    const auto* v = c.here().topology().find_vhost(c.names[0]);
    const auto* q = v == nullptr ? nullptr : topology_view::find_queue(*v, c.names[1]);
    if (q == nullptr) {
        c.not_found();
    }
    return q;
}

// One queue, with its consumers; their connections' names are on the shards of those.
void show(call_ptr c) {
    const auto* q = queue_of(*c);
    if (q == nullptr) {
        return;
    }
    struct found {
        policy_book policies;
        std::string json;
        std::vector<core::consumer_look> consumers;
        connection_book connections;
    };
    auto seen = std::make_shared<found>();
    const auto handle = q->handle;
    auto home = c->home();
    auto& all = c->all;
    auto describe = [c, seen, handle] {
        tour::start(c->all, c->home(), {handle.shard},
                    {[c, seen, handle](core::shard& here, cursor&) {
                         if (const auto look = here.look_at(handle)) {
                             json_writer w(seen->json);
                             queue_row{c->all, seen->policies, here.topology()}.write(w, *look);
                             seen->consumers = look->consumers();
                             seen->connections.owner = look->spec().exclusive_to;
                         }
                         return true;
                     },
                     [c, seen] {
                         if (seen->json.empty()) {
                             c->not_found();
                             return;
                         }
                         std::vector<core::session_handle> who;
                         for (const auto& one : seen->consumers) {
                             who.push_back(one.session);
                         }
                         if (seen->connections.owner) {
                             who.push_back(seen->connections.owner);
                         }
                         seen->connections.fill(c, std::move(who), [c, seen](const connection_book& book) {
                             auto out = std::move(seen->json);
                             out.pop_back();
                             out += ",\"consumer_details\":[";
                             for (std::size_t i = 0; i < seen->consumers.size(); ++i) {
                                 out += i == 0 ? "" : ",";
                                 json_writer w(out);
                                 book.write_consumer(w, c->all, seen->consumers[i], c->names[1], c->names[0]);
                             }
                             out += "],\"deliveries\":[],\"incoming\":[]";
                             if (book.owner) {
                                 out += ",\"owner_pid_details\":";
                                 json_writer w(out);
                                 book.write_owner(w);
                             }
                             out += '}';
                             c->json(std::move(out));
                         });
                     }});
    };
    at_control(
        all, home, [seen](core::shard& control) { seen->policies.fill(control); }, std::move(describe));
}

// ---- Changes -----------------------------------------------------------------------------------

void declare(call_ptr c) {
    const auto body = body_reader::of(*c);
    const auto* v = body ? vhost_of(*c) : nullptr;
    if (v == nullptr) {
        return;
    }
    const auto view = c->here().topology();
    if (auto right = may(core::right::configure, c->user, view, *v, "queue", c->names[1]); !right) {
        c->fail(right.error());
        return;
    }
    core::declare_queue q;
    q.name = c->names[1];
    q.durable = body->flag("durable").value_or(true);
    q.auto_delete = body->flag("auto_delete").value_or(false);
    q.arguments = body->table("arguments");
    if (const auto type = body->text("type"); type && core::find(q.arguments, "x-queue-type") == nullptr) {
        q.arguments.emplace_back("x-queue-type", core::make_string(*type));
    }
    const bool existed = topology_view::find_queue(*v, q.name) != nullptr;
    if (auto passes = may_pass_on(c->user, view, *v, "queue", q.name, q.arguments, "x-dead-letter-exchange");
        !existed && !passes) {
        c->fail(passes.error());
        return;
    }
    c->client.ask(topology_view::id_of(*v), std::move(q), [c, existed](core::reply&& r) {
        !r.result ? c->fail(r.result.error()) : existed ? c->no_content() : c->created();
    });
}

void remove(call_ptr c) {
    const auto* v = queue_of(*c) == nullptr ? nullptr : c->here().topology().find_vhost(c->names[0]);
    if (v == nullptr) {
        return;
    }
    if (auto right = may(core::right::configure, c->user, c->here().topology(), *v, "queue", c->names[1]); !right) {
        c->fail(right.error());
        return;
    }
    core::delete_queue d;
    d.name = c->names[1];
    d.if_unused = c->is_set("if-unused");
    d.if_empty = c->is_set("if-empty");
    c->client.ask(topology_view::id_of(*v), std::move(d),
                  [c](core::reply&& r) { r.result ? c->no_content() : c->fail(r.result.error()); });
}

void purge(call_ptr c) {
    const auto* v = queue_of(*c) == nullptr ? nullptr : c->here().topology().find_vhost(c->names[0]);
    if (v == nullptr) {
        return;
    }
    if (auto right = may(core::right::read, c->user, c->here().topology(), *v, "queue", c->names[1]); !right) {
        c->fail(right.error());
        return;
    }
    c->client.ask(topology_view::id_of(*v), core::purge_queue{c->names[1]},
                  [c](core::reply&& r) { r.result ? c->no_content() : c->fail(r.result.error()); });
}

void act(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body || queue_of(*c) == nullptr) {
        return;
    }
    const auto what = body->text("action");
    if (what == "sync" || what == "cancel_sync") {
        c->no_content();  // there is one node: its queues are in step with themselves
    } else {
        c->bad_request("unknown action");
    }
}

void bindings(call_ptr c) {
    if (queue_of(*c) != nullptr) {
        list_bindings_to(std::move(c), core::bind_destination::queue);
    }
}

void get_messages(call_ptr c) {
    if (queue_of(*c) != nullptr) {
        get_from_queue(std::move(c));
    }
}

constexpr std::array routes{
    route{.pattern = "queues", .get = list_all},
    route{.pattern = "queues/?", .reads = need::vhost, .get = list_in_vhost},
    route{.pattern = "queues/?/?",
          .reads = need::vhost,
          .get = show,
          .writes = need::vhost,
          .put = declare,
          .remove = remove},
    route{.pattern = "queues/?/?/contents", .writes = need::vhost, .remove = purge},
    route{.pattern = "queues/?/?/get", .writes = need::vhost, .post = get_messages},
    route{.pattern = "queues/?/?/actions", .writes = need::policies, .post = act},
    route{.pattern = "queues/?/?/bindings", .reads = need::vhost, .get = bindings},
    route{.pattern = "rebalance/queues",
          .writes = need::administrator,
          .post = [](call_ptr c) { c->no_content(); }},  // one node has nothing to balance
};

}  // namespace

std::span<const route> queue_routes() noexcept { return routes; }

}  // namespace linnet::admin
