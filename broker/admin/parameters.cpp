#include "broker/admin/access.hpp"
#include "broker/admin/api_handler.hpp"
#include "broker/admin/changes.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/topology_record.hpp"
#include "broker/core/topology_walk.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

// /api/parameters and global-parameters: what plugins of other brokers keep. Carried along, and given back.

namespace linnet::admin {
namespace {

// What RabbitMQ keeps as a parameter of its vhost, and what we do.
constexpr std::string_view limits_component = "vhost-limits";
constexpr std::string_view limits_name = "limits";

// Kept as parameters, and shown where they belong.
bool is_own(const core::parameter_definition& p) { return p.component == "vhost-metadata"; }

// What RabbitMQ keeps as parameters of the vhost, and the topology has.
std::vector<core::parameter_definition> parameters_of(core::shard& control, const core::vhost_node& v) {
    std::vector<core::parameter_definition> all;
    if (const auto& limits = core::topology_view::limits_of(v); !limits.empty()) {
        auto& p = all.emplace_back(
            core::parameter_definition{v.name, std::string(limits_component), std::string(limits_name), {}});
        json_writer(p.json).value(core::to_table(limits));
    }
    control.parts().editor().for_each_policy(v.id, [&](core::policy_kind kind, const core::policy& what) {
        if (kind == core::policy_kind::operators) {
            auto& p = all.emplace_back(core::parameter_definition{v.name, "operator_policy", what.name, {}});
            json_writer(p.json)
                .object()
                .member("apply-to", to_text(what.apply_to))
                .member("definition", what.definition)
                .member("pattern", what.pattern)
                .member("priority", what.priority)
                .end();
        }
    });
    return all;
}

void write_parameter(json_writer& w, const core::parameter_definition& p) {
    w.object();
    if (!p.vhost.empty()) {
        w.member("vhost", p.vhost).member("component", p.component);
    }
    w.member("name", p.name).key("value").raw(p.json).end();
}

template <class Wanted>
void list(call_ptr c, Wanted wanted) {
    list_at_control(c, [c, wanted](core::shard& control, row_list& to) {
        const auto view = control.topology();
        for (const auto& [key, p] : control.parts().keeper()->parameters()) {
            const auto* v = p.vhost.empty() ? nullptr : view.find_vhost(p.vhost);
            const bool shown = v == nullptr || sees(c->user, view, core::topology_view::id_of(*v));
            if (!is_own(p) && shown && wanted(p)) {
                to.add_whole({p.vhost, p.name}, [&p = p](json_writer& w) { write_parameter(w, p); });
            }
        }
        core::for_each_vhost(*view.root(), [&](const core::vhost_node& v) {
            if (!sees(c->user, view, v.id)) {
                return;
            }
            for (const auto& p : parameters_of(control, v)) {
                if (wanted(p)) {
                    to.add_whole({p.vhost, p.name}, [&p](json_writer& w) { write_parameter(w, p); });
                }
            }
        });
    });
}

void list_all(call_ptr c) {
    list(std::move(c), [](const core::parameter_definition& p) { return !p.vhost.empty(); });
}
void list_of_component(call_ptr c) {
    const auto component = c->names[0];
    list(std::move(c),
         [component](const core::parameter_definition& p) { return !p.vhost.empty() && p.component == component; });
}
// names: component, vhost
void list_in_vhost(call_ptr c) {
    if (c->here().topology().find_vhost(c->names[1]) == nullptr) {
        c->not_found();
        return;
    }
    const auto names = c->names;
    list(std::move(c),
         [names](const core::parameter_definition& p) { return p.component == names[0] && p.vhost == names[1]; });
}
void list_global(call_ptr c) {
    list(std::move(c), [](const core::parameter_definition& p) { return p.vhost.empty(); });
}

// names: component, vhost, name; or the name of a global one.
core::parameter_definition named(const call& c) {
    return c.names.size() == 1 ? core::parameter_definition{{}, {}, c.names[0], {}}
                               : core::parameter_definition{c.names[1], c.names[0], c.names[2], {}};
}

const core::parameter_definition* find(const core::topology_journal& j, const core::parameter_definition& p) {
    const auto at = j.parameters().find(core::key_of(p));
    return at == j.parameters().end() ? nullptr : &at->second;
}

bool names_limits(const core::parameter_definition& p) {
    return !p.vhost.empty() && p.component == limits_component && p.name == limits_name;
}

void show(call_ptr c) {
    answer_from_control(c, [c](core::shard& control) {
        std::string out;
        json_writer w(out);
        const auto asked = named(*c);
        if (const auto* p = find(*control.parts().keeper(), asked)) {
            write_parameter(w, *p);
        } else if (const auto* v = control.topology().find_vhost(asked.vhost)) {
            for (const auto& its : parameters_of(control, *v)) {
                if (its.component == asked.component && its.name == asked.name) {
                    write_parameter(w, its);
                }
            }
        }
        return out;
    });
}

void set_limits(const call_ptr& c, const core::vhost_limits& limits) {
    auto existed = std::make_shared<bool>(false);
    administer(
        c,
        [vhost = c->names[1], limits, existed](core::topology_editor& editor,
                                               core::topology_journal&) -> core::outcome<core::administered> {
            const auto* v = editor.view().find_vhost(vhost);
            *existed = v != nullptr && !core::topology_view::limits_of(*v).empty();
            if (v == nullptr || (limits.empty() && !*existed)) {
                return refuse(core::error_kind::not_found, fmt::format("no limits in vhost '{}'", vhost));
            }
            if (auto done = editor.set_vhost_limits(core::topology_view::id_of(*v), limits); !done) {
                return fail(std::move(done.error()));
            }
            return core::administered{};
        },
        [c, existed] { *existed ? c->no_content() : c->created(); });
}

void put_limits(const call_ptr& c, const core::value& value) {
    const auto* members = std::get_if<core::value_table>(&value.data);
    const auto limits = members == nullptr
                            ? result<core::vhost_limits, std::string>(fail(std::string("limits should be an object")))
                            : core::read_vhost_limits(*members);
    if (!limits || limits->empty()) {
        c->bad_request(fmt::format("Validation failed\n\n{}\n", limits ? "there is no limit in it" : limits.error()));
        return;
    }
    set_limits(c, *limits);
}

void put(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body) {
        return;
    }
    const auto* value = core::find(body->members(), "value");
    if (value == nullptr) {
        c->bad_request("key_missing: value");
        return;
    }
    auto p = named(*c);
    if (!p.vhost.empty() && c->here().topology().find_vhost(p.vhost) == nullptr) {
        c->not_found();
        return;
    }
    if (names_limits(p)) {
        put_limits(c, *value);
        return;
    }
    json_writer(p.json).value(*value);
    auto existed = std::make_shared<bool>(false);
    administer(
        c,
        [p = std::move(p), existed](core::topology_editor&,
                                    core::topology_journal& journal) -> core::outcome<core::administered> {
            *existed = find(journal, p) != nullptr;
            journal.set(p);
            return core::administered{};
        },
        [c, existed] { *existed ? c->no_content() : c->created(); });
}

void remove(call_ptr c) {
    if (names_limits(named(*c))) {
        set_limits(c, {});
        return;
    }
    administer(
        c,
        [p = named(*c)](core::topology_editor&, core::topology_journal& journal) -> core::outcome<core::administered> {
            if (!journal.remove_parameter(p)) {
                return refuse(core::error_kind::not_found, fmt::format("no parameter '{}'", p.name));
            }
            return core::administered{};
        },
        [c] { c->no_content(); });
}

constexpr std::array routes{
    route{.pattern = "parameters", .reads = need::policies, .get = list_all},
    route{.pattern = "parameters/?", .reads = need::policies, .get = list_of_component},
    route{.pattern = "parameters/?/?", .reads = need::policies, .get = list_in_vhost},
    route{.pattern = "parameters/?/?/?",
          .reads = need::policies,
          .get = show,
          .writes = need::policies,
          .put = put,
          .remove = remove},
    route{.pattern = "global-parameters", .reads = need::policies, .get = list_global},
    route{.pattern = "global-parameters/?",
          .reads = need::policies,
          .get = show,
          .writes = need::administrator,
          .put = put,
          .remove = remove},
};

}  // namespace

std::span<const route> parameter_routes() noexcept { return routes; }

}  // namespace linnet::admin
