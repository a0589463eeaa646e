#include "broker/admin/api_handler.hpp"
#include "broker/admin/changes.hpp"
#include "broker/admin/stats.hpp"
#include "broker/admin/tags.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/topology_record.hpp"
#include "broker/core/topology_walk.hpp"

#include <fmt/format.h>

#include <array>
#include <map>
#include <utility>

// /api/vhosts and their limits. What a vhost says of itself is a parameter beside it, as in exported definitions.

namespace linnet::admin {
namespace {

using core::topology_view;

constexpr std::string_view about_component = "vhost-metadata";
constexpr std::uint32_t queues_a_turn = 1024;

using sums = std::map<std::uint32_t, core::queue_look::sums>;

core::parameter_definition about(const std::string& vhost) { return {vhost, std::string(about_component), vhost, {}}; }

const core::parameter_definition* find(const core::topology_journal& j, const core::parameter_definition& named) {
    const auto at = j.parameters().find(core::key_of(named));
    return at == j.parameters().end() ? nullptr : &at->second;
}

// As JSON it is kept; here its members are wanted one by one.
core::value_table read_about(const services& s, const core::topology_journal& j, const std::string& vhost) {
    const auto* p = find(j, about(vhost));
    auto read = p == nullptr ? result<core::value, std::string>(core::value{}) : s.read_json(p->json);
    auto* members = read ? std::get_if<core::value_table>(&read->data) : nullptr;
    return members == nullptr ? core::value_table{} : std::move(*members);
}

std::string text_in(const core::value_table& t, std::string_view name) {
    const auto* v = core::find(t, name);
    const auto* s = v == nullptr ? nullptr : v->as_string();
    return s == nullptr ? std::string() : *s;
}

void write_vhost(json_writer& w, const services& s, const std::string& name, const core::value_table& said,
                 const core::queue_look::sums& messages) {
    const auto description = text_in(said, "description");
    const auto type = text_in(said, "default_queue_type");
    const auto* metadata = core::find(said, "metadata");
    const auto* tags = core::find(said, "tags");
    const core::value none{core::value_type::array, core::value_array{}, 0};
    w.object().key("cluster_state").object().member(s.node_name, "running").end();
    w.member("default_queue_type", type.empty() ? "classic" : type).member("description", description);
    add_counted(w, "messages", messages.ready + messages.unacked, 0);
    add_counted(w, "messages_ready", messages.ready, 0);
    add_counted(w, "messages_unacknowledged", messages.unacked, 0);
    w.key("metadata");
    if (metadata != nullptr) {
        w.value(*metadata);
    } else {
        w.object().member("description", description).key("tags").value(tags == nullptr ? none : *tags).end();
    }
    w.member("name", name).key("tags").value(tags == nullptr ? none : *tags).member("tracing", false).end();
}

// How much lies in each vhost is with the shards, what vhosts say of themselves with the control: it comes last.
std::vector<core::shard_id> ending_at_control(const services& s) {
    auto where = tour::everywhere(s);
    std::erase(where, core::control_shard);
    where.push_back(core::control_shard);
    return where;
}

void add_up(core::shard& here, cursor& at, sums& to) {
    at = here.for_some_queues(at, queues_a_turn, [&](const core::queue_look& q) {
        const auto one = q.totals();
        auto& sum = to[q.spec().vhost.value];
        sum.ready += one.ready;
        sum.unacked += one.unacked;
    });
}

void list_vhosts(call_ptr c) {
    auto messages = std::make_shared<sums>();
    row_source s;
    s.where = ending_at_control(c->all);
    s.collect = [c, messages](core::shard& here, cursor& at, row_list& to) {
        add_up(here, at, *messages);
        if (at != 0 || here.id() != core::control_shard) {
            return at == 0;
        }
        const auto view = here.topology();
        core::for_each_vhost(*view.root(), [&](const core::vhost_node& v) {
            if (sees(c->user, view, v.id)) {
                const auto said = read_about(c->all, *here.parts().keeper(), v.name);
                to.add_whole({{}, v.name},
                             [&](json_writer& w) { write_vhost(w, c->all, v.name, said, (*messages)[v.id.value]); });
            }
        });
        return true;
    };
    answer_list(std::move(c), std::move(s));
}

void show(call_ptr c) {
    struct found {
        sums messages;
        std::string json;
    };
    auto seen = std::make_shared<found>();
    tour::start(c->all, c->home(), ending_at_control(c->all),
                {[c, seen](core::shard& here, cursor& at) {
                     add_up(here, at, seen->messages);
                     if (at != 0 || here.id() != core::control_shard) {
                         return at == 0;
                     }
                     if (const auto* v = here.topology().find_vhost(c->names[0])) {
                         json_writer w(seen->json);
                         write_vhost(w, c->all, v->name, read_about(c->all, *here.parts().keeper(), v->name),
                                     seen->messages[v->id.value]);
                     }
                     return true;
                 },
                 [c, seen] { seen->json.empty() ? c->not_found() : c->json(std::move(seen->json)); }});
}

void put(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body) {
        return;
    }
    if (c->names[0].size() > 255) {
        c->bad_request("a vhost's name has 255 bytes at most");
        return;
    }
    core::value_table said;
    for (const auto name : {"description", "default_queue_type", "metadata"}) {
        if (const auto* v = body->find(name)) {
            said.emplace_back(name, *v);
        }
    }
    if (const auto* v = body->find("tags")) {
        const auto tags = read_tags(*v);
        if (!tags) {
            c->bad_request("tags must be a list or a text with commas");
            return;
        }
        core::value_array list;
        for (const auto& tag : *tags) {
            list.push_back(core::make_string(tag));
        }
        said.emplace_back("tags", core::value{core::value_type::array, std::move(list), 0});
    }
    const bool existed = c->here().topology().find_vhost(c->names[0]) != nullptr;
    administer(
        c,
        [c, said = std::move(said)](core::topology_editor& editor,
                                    core::topology_journal& journal) -> core::outcome<core::administered> {
            const auto v = editor.add_vhost(c->names[0]);
            if (!said.empty()) {
                auto p = about(c->names[0]);
                json_writer(p.json).value(said);
                journal.set(p);
            }
            // Who makes a vhost may use it; who has come with a token may what that says.
            if (c->user.grant == nullptr && editor.view().rules_of(c->user.name, v) == nullptr) {
                if (auto done = editor.set_permissions(c->user.name, v, {".*", ".*", ".*"}); !done) {
                    return fail(std::move(done.error()));
                }
            }
            return core::administered{};
        },
        [c, existed] { existed ? c->no_content() : c->created(); });
}

void remove(call_ptr c) {
    if (c->here().topology().find_vhost(c->names[0]) == nullptr) {
        c->not_found();
        return;
    }
    administer(
        c,
        [name = c->names[0]](core::topology_editor& editor,
                             core::topology_journal&) -> core::outcome<core::administered> {
            const auto* v = editor.view().find_vhost(name);
            const auto id = v == nullptr ? core::vhost_id{} : core::topology_view::id_of(*v);
            auto gone = editor.remove_vhost(name);
            if (!gone) {
                return fail(std::move(gone.error()));
            }
            return core::administered{.changed = {}, .gone = std::move(*gone), .vhosts_gone = {id}};
        },
        [c] { c->no_content(); });
}

// ---- Limits ------------------------------------------------------------------------------------

void write_limits(json_writer& w, const core::vhost_node& v) {
    w.object().member("vhost", v.name).member("value", core::to_table(topology_view::limits_of(v))).end();
}

void list_limits(call_ptr c, const std::string& only) {
    list_at_control(c, [c, only](core::shard& control, row_list& to) {
        const auto view = control.topology();
        core::for_each_vhost(*view.root(), [&](const core::vhost_node& v) {
            if (!topology_view::limits_of(v).empty() && (only.empty() || v.name == only) && sees(c->user, view, v.id)) {
                to.add_whole({v.name, v.name}, [&](json_writer& w) { write_limits(w, v); });
            }
        });
    });
}

void all_limits(call_ptr c) { list_limits(std::move(c), {}); }
void limits_of(call_ptr c) {
    const auto name = c->names[0];
    c->here().topology().find_vhost(name) == nullptr ? c->not_found() : list_limits(std::move(c), name);
}

// The vhost's limits with the one that the path names as it is to be.
void change_limit(const call_ptr& c, std::optional<std::int64_t> most) {
    const auto member = c->names[1] == "max-connections" ? &core::vhost_limits::connections_max
                        : c->names[1] == "max-queues"    ? &core::vhost_limits::queues_max
                                                         : nullptr;
    if (c->here().topology().find_vhost(c->names[0]) == nullptr) {
        c->not_found();
        return;
    }
    if (member == nullptr) {
        c->bad_request("limit is neither max-connections nor max-queues");
        return;
    }
    administer(
        c,
        [c, member, most](core::topology_editor& editor, core::topology_journal&) -> core::outcome<core::administered> {
            const auto* v = editor.view().find_vhost(c->names[0]);
            if (v == nullptr) {
                return refuse(core::error_kind::not_found, "the vhost has gone");
            }
            auto limits = topology_view::limits_of(*v);
            limits.*member = most;
            if (auto done = editor.set_vhost_limits(v->id, limits); !done) {
                return fail(std::move(done.error()));
            }
            return core::administered{};
        },
        [c] { c->no_content(); });
}

void put_limit(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body) {
        return;
    }
    const auto value = body->integer("value");
    if (!value) {
        c->bad_request(body->find("value") == nullptr ? "key_missing: value"
                                                      : fmt::format("{} should be a number", c->names[1]));
        return;
    }
    change_limit(c, *value);
}

void remove_limit(call_ptr c) { change_limit(c, std::nullopt); }

constexpr std::array routes{
    route{.pattern = "vhosts", .get = list_vhosts},
    route{.pattern = "vhosts/?",
          .reads = need::vhost,
          .get = show,
          .writes = need::administrator,
          .put = put,
          .remove = remove},
    route{.pattern = "vhost-limits", .get = all_limits},
    route{.pattern = "vhost-limits/?", .reads = need::vhost, .get = limits_of},
    route{.pattern = "vhost-limits/?/?", .writes = need::administrator, .put = put_limit, .remove = remove_limit},
};

}  // namespace

std::span<const route> vhost_routes() noexcept { return routes; }

}  // namespace linnet::admin
