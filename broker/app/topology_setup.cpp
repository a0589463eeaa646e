#include "broker/app/topology_setup.hpp"

#include "broker/app/configured_names.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_walk.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::app {

namespace {

[[nodiscard]] core::value to_core(const policy_value& v) {
    struct {
        core::value operator()(bool b) const { return core::make_bool(b); }
        core::value operator()(std::int64_t n) const { return core::make_int64(n); }
        core::value operator()(double d) const { return {core::value_type::float64, d, 0}; }
        core::value operator()(const std::string& s) const { return core::make_string(s); }
        core::value operator()(const std::vector<std::string>& list) const {
            core::value_array items;
            for (const auto& s : list) {
                items.push_back(core::make_string(s));
            }
            return {core::value_type::array, std::move(items), 0};
        }
    } convert;
    return std::visit(convert, v);
}

[[nodiscard]] core::policy_scope to_core(policy_target t) {
    switch (t) {
        case policy_target::all: return core::policy_scope::all;
        case policy_target::queues: return core::policy_scope::queues;
        case policy_target::exchanges: return core::policy_scope::exchanges;
        case policy_target::classic_queues: return core::policy_scope::classic_queues;
        case policy_target::quorum_queues: return core::policy_scope::quorum_queues;
        case policy_target::streams: return core::policy_scope::streams;
    }
    return core::policy_scope::all;
}

[[nodiscard]] core::policy to_core(const policy_config& p) {
    core::policy made{p.name, p.pattern, to_core(p.apply_to), p.priority, {}};
    for (const auto& [key, v] : p.definition) {
        made.definition.emplace_back(key, to_core(v));
    }
    return made;
}

// What is in `before` and has no counterpart in `wanted`.
template <class T, class Same, class F>
void for_each_gone(const std::vector<T>& before, const std::vector<T>& wanted, Same same, F f) {
    for (const auto& old : before) {
        if (std::ranges::none_of(wanted, [&](const T& now) { return same(old, now); })) {
            f(old);
        }
    }
}

class setup {
public:
    explicit setup(core::topology_editor& editor) : editor_(editor) {}

    void vhosts(const config& wanted) {
        for (const auto& v : wanted.vhosts) {
            static_cast<void>(editor_.add_vhost(v.name));
        }
    }

    void rights(const config& before, const config& wanted) {
        for_each_gone(
            before.permissions, wanted.permissions,
            [](const auto& a, const auto& b) { return a.user == b.user && a.vhost == b.vhost; },
            [this](const auto& p) { editor_.clear_permissions(p.user, id_of(p.vhost)); });
        for_each_gone(
            before.topic_permissions, wanted.topic_permissions,
            [](const auto& a, const auto& b) {
                return a.user == b.user && a.vhost == b.vhost && a.exchange == b.exchange;
            },
            [this](const auto& p) { editor_.clear_topic_permissions(p.user, id_of(p.vhost), p.exchange); });
        for (const auto& p : wanted.permissions) {
            note(editor_.set_permissions(p.user, id_of(p.vhost), {p.configure, p.write, p.read}),
                 fmt::format("permission of '{}' in '{}'", p.user, p.vhost));
        }
        for (const auto& p : wanted.topic_permissions) {
            note(editor_.set_topic_permissions(p.user, id_of(p.vhost), p.exchange, {p.write, p.read}),
                 fmt::format("topic permission of '{}' in '{}'", p.user, p.vhost));
        }
    }

    void policies(const config& before, const config& wanted) {
        const auto same = [](const auto& a, const auto& b) { return a.name == b.name && a.vhost == b.vhost; };
        for_each_gone(before.policies, wanted.policies, same,
                      [this](const auto& p) { removed(editor_.remove_policy(id_of(p.vhost), p.name), p); });
        for_each_gone(before.operator_policies, wanted.operator_policies, same,
                      [this](const auto& p) { removed(editor_.remove_operator_policy(id_of(p.vhost), p.name), p); });
        for (const auto& p : wanted.policies) {
            changed(editor_.set_policy(id_of(p.vhost), to_core(p)), p);
        }
        for (const auto& p : wanted.operator_policies) {
            changed(editor_.set_operator_policy(id_of(p.vhost), to_core(p)), p);
        }
    }

    [[nodiscard]] setup_result take() { return std::move(result_); }

private:
    [[nodiscard]] core::vhost_id id_of(const std::string& name) const {
        const auto* v = editor_.view().find_vhost(name);
        return v == nullptr ? core::vhost_id{} : core::topology_view::id_of(*v);
    }
    void note(const core::outcome<void>& done, const std::string& what) {
        if (!done) {
            result_.problems.push_back(fmt::format("{}: {}", what, done.error().text));
        }
    }
    // It may have gone in another way, or its vhost has.
    void removed(core::outcome<std::vector<core::queue_entry>>&& done, const policy_config& p) {
        if (done || done.error().kind != core::error_kind::not_found) {
            changed(std::move(done), p);
        }
    }
    void changed(core::outcome<std::vector<core::queue_entry>>&& done, const policy_config& p) {
        if (!done) {
            result_.problems.push_back(fmt::format("policy '{}' in '{}': {}", p.name, p.vhost, done.error().text));
            return;
        }
        for (auto& q : *done) {
            std::erase_if(result_.changed_queues, [&](const auto& other) { return other.handle == q.handle; });
            result_.changed_queues.push_back(std::move(q));
        }
    }

    core::topology_editor& editor_;
    setup_result result_;
};

}  // namespace

setup_result apply_to_topology(core::topology_editor& editor, const config& before, const config& wanted) {
    setup s(editor);
    s.vhosts(wanted);
    s.rights(before, wanted);
    s.policies(before, wanted);
    return s.take();
}

// ---- With a store ------------------------------------------------------------------------------

namespace {

constexpr std::string_view configured_note = "configured";

[[nodiscard]] bool has_vhosts(const core::topology_editor& editor) {
    bool any = false;
    core::for_each_vhost(editor.root(), [&](const auto&) { any = true; });
    return any;
}

// Nothing but the row that stands for guest by default.
[[nodiscard]] bool is_default_row(const permission_config& p) {
    return p == permission_config{"guest", p.vhost, ".*", ".*", ".*"};
}

void drop_default_user(config& c) {
    c.users.clear();
    std::erase_if(c.permissions, is_default_row);
}

void drop_default_vhost(config& c) {
    const auto refers = [](const auto& rows) {
        return std::ranges::any_of(rows, [](const auto& r) { return r.vhost == "/"; });
    };
    if (!refers(c.permissions) && !refers(c.topic_permissions) && !refers(c.policies) && !refers(c.operator_policies)) {
        c.vhosts.clear();
    }
}

void set_users(core::topology_journal& journal, const config& wanted) {
    for (const auto& u : wanted.users) {
        journal.set(core::user_definition{u.name, u.password_hash, u.tags, u.loopback_only});
    }
}

}  // namespace

setup_result configure(core::topology_editor& editor, core::topology_journal& journal, const config& wanted,
                       newcomers others) {
    auto before = names_from(journal.note(configured_note));
    auto now = wanted;
    bool default_user = now.default_user;
    if (default_user && (!journal.users().empty() || others.users)) {
        drop_default_user(now);
        default_user = before.default_user;
    } else if (!default_user && before.default_user) {
        before.names.users.push_back({"guest", "", {}, false});
    }
    if (now.default_vhost && (has_vhosts(editor) || others.vhosts)) {
        drop_default_vhost(now);
    }
    auto done = apply_to_topology(editor, before.names, now);
    for_each_gone(
        before.names.users, now.users, [](const auto& a, const auto& b) { return a.name == b.name; },
        [&](const auto& u) {
            journal.remove_user(u.name);
            editor.remove_user(u.name);
        });
    set_users(journal, now);
    if (now.default_user && default_user) {
        drop_default_user(now);
    }
    journal.set(core::note_definition{std::string(configured_note), names_in(now, default_user)});
    return done;
}

std::vector<user_config> users_of(const core::topology_journal& journal) {
    std::vector<user_config> all;
    for (const auto& [name, u] : journal.users()) {
        all.push_back({u.name, u.password_hash, u.tags, u.loopback_only});
    }
    return all;
}

}  // namespace linnet::app
