#include "broker/admin/api_handler.hpp"
#include "broker/admin/changes.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/topology_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

// /api/policies and operator-policies.

namespace linnet::admin {

namespace {

using core::policy_kind;

std::optional<core::policy_scope> read_scope(std::string_view text) {
    using core::policy_scope;
    for (const auto s : {policy_scope::all, policy_scope::queues, policy_scope::classic_queues,
                         policy_scope::quorum_queues, policy_scope::streams, policy_scope::exchanges}) {
        if (core::to_text(s) == text) {
            return s;
        }
    }
    return std::nullopt;
}

void write_policy(json_writer& w, const std::string& vhost, const core::policy& p) {
    w.object()
        .member("vhost", vhost)
        .member("name", p.name)
        .member("pattern", p.pattern)
        .member("apply-to", core::to_text(p.apply_to))
        .member("definition", p.definition)
        .member("priority", p.priority)
        .end();
}

template <class F>
void for_each_policy(core::shard& control, policy_kind kind, F&& f) {
    auto& editor = control.parts().editor();
    core::for_each_vhost(editor.root(), [&](const core::vhost_node& v) {
        editor.for_each_policy(v.id, [&](policy_kind k, const core::policy& p) {
            if (k == kind) {
                f(v, p);
            }
        });
    });
}

void list(call_ptr c, policy_kind kind, std::optional<std::string> vhost) {
    list_at_control(c, [c, kind, vhost = std::move(vhost)](core::shard& control, row_list& to) {
        for_each_policy(control, kind, [&](const core::vhost_node& v, const core::policy& p) {
            if ((!vhost || v.name == *vhost) && sees(c->user, control.topology(), v.id)) {
                to.add_whole({v.name, p.name}, [&](json_writer& w) { write_policy(w, v.name, p); });
            }
        });
    });
}

template <policy_kind kind>
void list_all(call_ptr c) {
    list(std::move(c), kind, {});
}
template <policy_kind kind>
void list_in_vhost(call_ptr c) {
    const auto name = c->names[0];
    c->here().topology().find_vhost(name) == nullptr ? c->not_found() : list(std::move(c), kind, name);
}

template <policy_kind kind>
void show(call_ptr c) {
    answer_from_control(c, [c](core::shard& control) {
        std::string out;
        for_each_policy(control, kind, [&](const core::vhost_node& v, const core::policy& p) {
            if (v.name == c->names[0] && p.name == c->names[1]) {
                json_writer w(out);
                write_policy(w, v.name, p);
            }
        });
        return out;
    });
}

bool exists(core::topology_editor& editor, core::vhost_id v, policy_kind kind, const std::string& name) {
    bool there = false;
    editor.for_each_policy(v, [&](policy_kind k, const core::policy& p) { there |= k == kind && p.name == name; });
    return there;
}

std::optional<core::policy> read(call& c, const body_reader& body) {
    core::policy p;
    p.name = c.names[1];
    const auto pattern = body.text("pattern");
    const auto* definition = body.find("definition");
    if (!pattern || definition == nullptr) {
        c.bad_request(!pattern ? "key_missing: pattern" : "key_missing: definition");
        return std::nullopt;
    }
    p.pattern = *pattern;
    p.definition = body.table("definition");
    p.priority = body.integer("priority").value_or(0);
    const auto scope = read_scope(body.text("apply-to").value_or("all"));
    if (!scope) {
        c.bad_request("apply-to does not recognise that");
        return std::nullopt;
    }
    p.apply_to = *scope;
    return p;
}

template <policy_kind kind>
void put(call_ptr c) {
    const auto body = body_reader::of(*c);
    auto p = body ? read(*c, *body) : std::nullopt;
    if (!p) {
        return;
    }
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    if (v == nullptr) {
        c->not_found();
        return;
    }
    auto existed = std::make_shared<bool>(false);
    administer(
        c,
        [id = v->id, p = std::move(*p), existed](core::topology_editor& editor,
                                                 core::topology_journal&) -> core::outcome<core::administered> {
            *existed = exists(editor, id, kind, p.name);
            auto done = kind == policy_kind::user ? editor.set_policy(id, p) : editor.set_operator_policy(id, p);
            if (!done) {
                return fail(std::move(done.error()));
            }
            return core::administered{.changed = std::move(*done), .gone = {}};
        },
        [c, existed] { *existed ? c->no_content() : c->created(); });
}

template <policy_kind kind>
void remove(call_ptr c) {
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    if (v == nullptr) {
        c->not_found();
        return;
    }
    administer(
        c,
        [id = v->id, name = c->names[1]](core::topology_editor& editor,
                                         core::topology_journal&) -> core::outcome<core::administered> {
            if (!exists(editor, id, kind, name)) {
                return refuse(core::error_kind::not_found, fmt::format("no policy '{}'", name));
            }
            auto done = kind == policy_kind::user ? editor.remove_policy(id, name)
                                                  : editor.remove_operator_policy(id, name);
            if (!done) {
                return fail(std::move(done.error()));
            }
            return core::administered{.changed = std::move(*done), .gone = {}};
        },
        [c] { c->no_content(); });
}

constexpr std::array routes{
    route{.pattern = "policies", .get = list_all<policy_kind::user>},
    route{.pattern = "policies/?", .reads = need::vhost, .get = list_in_vhost<policy_kind::user>},
    route{.pattern = "policies/?/?",
          .reads = need::vhost,
          .get = show<policy_kind::user>,
          .writes = need::policies,
          .put = put<policy_kind::user>,
          .remove = remove<policy_kind::user>},
    route{.pattern = "operator-policies", .get = list_all<policy_kind::operators>},
    route{.pattern = "operator-policies/?", .reads = need::vhost, .get = list_in_vhost<policy_kind::operators>},
    route{.pattern = "operator-policies/?/?",
          .reads = need::vhost,
          .get = show<policy_kind::operators>,
          .writes = need::administrator,
          .put = put<policy_kind::operators>,
          .remove = remove<policy_kind::operators>},
};

}  // namespace

std::span<const route> policy_routes() noexcept { return routes; }

}  // namespace linnet::admin
