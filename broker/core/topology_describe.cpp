#include "broker/core/topology_describe.hpp"

#include "broker/core/bindings.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_walk.hpp"

namespace linnet::core {

namespace {

// Those that every vhost has, the default one included.
[[nodiscard]] bool is_standard(const exchange_node& x) noexcept {
    const std::string& name = x.info->spec.name;
    return name.empty() || name.starts_with("amq.");
}

// What ends with a connection is nobody else's to know.
[[nodiscard]] bool ends_with_session(const vhost_node& v, const binding_node& b) noexcept {
    if (b.kind != bind_destination::queue) {
        return b.kind == bind_destination::subscriber;
    }
    const auto* q = topology_view::find_queue(v, b.destination());
    return q != nullptr && q->spec.exclusive_to;
}

void describe_rules(const vhost_node& v, const rules_node& r, const std::function<void(const definition&)>& f) {
    if (r.grants_access) {
        f(permission_definition{v.name, r.user, r.rules->asked_permissions()});
    }
    r.rules->for_each_topic([&](const std::string& exchange, const topic_patterns& asked) {
        f(topic_permission_definition{v.name, r.user, exchange, asked});
    });
}

}  // namespace

exchange_definition definition_of(const vhost_node& v, const exchange_node& x) {
    const exchange_spec& s = x.info->spec;
    return {v.name, s.name, s.type_name, s.durable, s.auto_delete, s.internal, s.arguments};
}

queue_definition definition_of(const vhost_node& v, const queue_spec& q) {
    return {v.name, q.name, q.durable, q.auto_delete, q.arguments, q.uid, q.log};
}

binding_definition definition_of(const vhost_node& v, const binding_node& b) {
    return {v.name,
            std::string(b.source()),
            std::string(b.destination()),
            b.kind,
            std::string(b.key()),
            b.hide_dollar,
            b.durable,
            b.arguments};
}

void describe(const topology_editor& editor, const std::function<void(const definition&)>& f) {
    for_each_vhost(editor.root(), [&](const vhost_node& v) {
        f(vhost_definition{v.name, v.id.value});
        editor.for_each_policy(v.id, [&](policy_kind kind, const policy& p) { f(policy_definition{v.name, kind, p}); });
        for_each_exchange(v, [&](const exchange_spec&, const exchange_node& x) {
            if (!is_standard(x)) {
                f(definition_of(v, x));
            }
        });
        for_each_queue(v, [&](const queue_entry& q) {
            if (!q.spec.exclusive_to) {
                f(definition_of(v, q.spec));
            }
        });
        for_each_exchange(v, [&](const exchange_spec&, const exchange_node& x) {
            for_each_binding(x, [&](const binding_node& b) {
                if (!ends_with_session(v, b)) {
                    f(definition_of(v, b));
                }
            });
        });
        v.users.for_each([&](const rules_node& r) { describe_rules(v, r, f); });
        // Last: there may be more than could be added now.
        if (!v.limits.empty()) {
            f(vhost_limits_definition{v.name, v.limits});
        }
    });
}

}  // namespace linnet::core
