#include "broker/admin/api_handler.hpp"
#include "broker/admin/changes.hpp"
#include "broker/admin/tour.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/topology_walk.hpp"

#include <fmt/format.h>

#include <array>
#include <functional>
#include <utility>

// /api/permissions and topic-permissions.

namespace linnet::admin {
namespace {

// Which of them: of one vhost, of one user, or all.
struct wanted {
    std::optional<std::string> vhost{};
    std::optional<std::string> user{};
};

template <class F>
void for_each_rules(core::topology_view view, const wanted& w, F&& f) {
    core::for_each_vhost(*view.root(), [&](const core::vhost_node& v) {
        if (w.vhost && v.name != *w.vhost) {
            return;
        }
        v.users.for_each([&](const core::rules_node& r) {
            if (!w.user || r.user == *w.user) {
                f(v, r);
            }
        });
    });
}

void add_permission(row_list& to, const core::vhost_node& v, const core::rules_node& r) {
    if (!r.grants_access) {
        return;
    }
    const auto p = r.rules->asked_permissions();
    to.add_whole({v.name, r.user}, [&](json_writer& w) {
        w.object()
            .member("user", r.user)
            .member("vhost", v.name)
            .member("configure", p.configure)
            .member("write", p.write)
            .member("read", p.read)
            .end();
    });
}

void add_topic_permissions(row_list& to, const core::vhost_node& v, const core::rules_node& r) {
    r.rules->for_each_topic([&](const std::string& exchange, const core::topic_patterns& p) {
        to.add_whole({v.name, r.user}, [&](json_writer& w) {
            w.object()
                .member("user", r.user)
                .member("vhost", v.name)
                .member("exchange", exchange)
                .member("write", p.write)
                .member("read", p.read)
                .end();
        });
    });
}

using adder = void (*)(row_list&, const core::vhost_node&, const core::rules_node&);

void list(call_ptr c, wanted w, adder add) {
    row_source s;
    s.where = {c->home()};
    s.collect = [w = std::move(w), add](core::shard& here, cursor&, row_list& to) {
        for_each_rules(here.topology(), w,
                       [&](const core::vhost_node& v, const core::rules_node& r) { add(to, v, r); });
        return true;
    };
    answer_list(std::move(c), std::move(s));
}

template <adder add>
void list_all(call_ptr c) {
    list(std::move(c), {}, add);
}
template <adder add>
void list_in_vhost(call_ptr c) {
    const auto name = c->names[0];
    c->here().topology().find_vhost(name) == nullptr ? c->not_found() : list(std::move(c), {.vhost = name}, add);
}
// A user without rights has none to list; one who is not there is not found.
template <adder add>
void list_of_user(call_ptr c) {
    auto known = std::make_shared<bool>(false);
    at_control(
        c->all, c->home(),
        [c, known](core::shard& control) { *known = control.parts().keeper()->users().contains(c->names[0]); },
        [c, known] { *known ? list(c, {.user = c->names[0]}, add) : c->not_found(); });
}
template <adder add>
void list_one(call_ptr c) {
    wanted w{c->names[0], c->names[1]};
    list(std::move(c), std::move(w), add);
}

void show(call_ptr c) {
    std::string out;
    for_each_rules(c->here().topology(), {c->names[0], c->names[1]},
                   [&](const core::vhost_node& v, const core::rules_node& r) {
                       if (r.grants_access) {
                           const auto p = r.rules->asked_permissions();
                           json_writer(out)
                               .object()
                               .member("user", r.user)
                               .member("vhost", v.name)
                               .member("configure", p.configure)
                               .member("write", p.write)
                               .member("read", p.read)
                               .end();
                       }
                   });
    out.empty() ? c->not_found() : c->json(std::move(out));
}

// ---- Changes -----------------------------------------------------------------------------------

// names: vhost, user. Nothing, and refused: one of them is not there.
core::outcome<core::vhost_id> ends(const call& c, core::topology_editor& editor, core::topology_journal& journal) {
    const auto* v = editor.view().find_vhost(c.names[0]);
    if (v == nullptr) {
        return fail(
            core::error{core::error_kind::precondition_failed, fmt::format("vhost '{}' not found", c.names[0])});
    }
    if (!journal.users().contains(c.names[1])) {
        return fail(core::error{core::error_kind::precondition_failed, fmt::format("user '{}' not found", c.names[1])});
    }
    return core::topology_view::id_of(*v);
}

bool has_permission(const call& c) {
    bool there = false;
    for_each_rules(c.client.shard().topology(), {c.names[0], c.names[1]},
                   [&](const core::vhost_node&, const core::rules_node& r) { there |= r.grants_access; });
    return there;
}

// The body's members of those names, all of them; null, and answered: one is missing.
template <std::size_t n>
std::optional<std::array<std::string, n>> texts(call& c, const body_reader& body,
                                                const std::array<std::string_view, n>& names) {
    std::array<std::string, n> all;
    for (std::size_t i = 0; i < n; ++i) {
        const auto v = body.text(names[i]);
        if (!v) {
            c.bad_request(fmt::format("key_missing: {}", names[i]));
            return std::nullopt;
        }
        all[i] = *v;
    }
    return all;
}

// Who reads what it may not any more hears of it before the caller does.
void look_again(const call_ptr& c, std::function<void()> then) {
    on_every_shard(
        c->all, c->home(),
        [&all = c->all, user = c->names[1]](core::shard& here) {
            all.rights_changed(here.id(), {&user, 1});
        },
        std::move(then));
}

void put(call_ptr c) {
    const auto body = body_reader::of(*c);
    const auto said = body ? texts<3>(*c, *body, {"configure", "write", "read"}) : std::nullopt;
    if (!said) {
        return;
    }
    const bool existed = has_permission(*c);
    administer(
        c,
        [c, p = *said](core::topology_editor& editor,
                       core::topology_journal& journal) -> core::outcome<core::administered> {
            const auto v = ends(*c, editor, journal);
            if (!v) {
                return fail(v.error());
            }
            auto done = editor.set_permissions(c->names[1], *v, {p[0], p[1], p[2]});
            return done ? core::outcome<core::administered>(core::administered{}) : fail(std::move(done.error()));
        },
        [c, existed] { look_again(c, [c, existed] { existed ? c->no_content() : c->created(); }); });
}

void remove(call_ptr c) {
    if (!has_permission(*c)) {
        c->not_found();
        return;
    }
    administer(
        c,
        [c](core::topology_editor& editor, core::topology_journal& journal) -> core::outcome<core::administered> {
            const auto v = ends(*c, editor, journal);
            if (!v) {
                return fail(v.error());
            }
            editor.clear_permissions(c->names[1], *v);
            return core::administered{};
        },
        [c] { look_again(c, [c] { c->no_content(); }); });
}

void put_topic(call_ptr c) {
    const auto body = body_reader::of(*c);
    const auto said = body ? texts<3>(*c, *body, {"exchange", "write", "read"}) : std::nullopt;
    if (!said) {
        return;
    }
    administer(
        c,
        [c, p = *said](core::topology_editor& editor,
                       core::topology_journal& journal) -> core::outcome<core::administered> {
            const auto v = ends(*c, editor, journal);
            if (!v) {
                return fail(v.error());
            }
            auto done = editor.set_topic_permissions(c->names[1], *v, p[0], {p[1], p[2]});
            return done ? core::outcome<core::administered>(core::administered{}) : fail(std::move(done.error()));
        },
        [c] { look_again(c, [c] { c->created(); }); });
}

void remove_topic(call_ptr c) {
    administer(
        c,
        [c](core::topology_editor& editor, core::topology_journal& journal) -> core::outcome<core::administered> {
            const auto v = ends(*c, editor, journal);
            if (!v) {
                return fail(v.error());
            }
            std::vector<std::string> exchanges;
            for_each_rules(editor.view(), {c->names[0], c->names[1]},
                           [&](const core::vhost_node&, const core::rules_node& r) {
                               r.rules->for_each_topic(
                                   [&](const std::string& x, const core::topic_patterns&) { exchanges.push_back(x); });
                           });
            // RabbitMQ clears all; one alone can be named here.
            const auto only = c->find("exchange");
            for (const auto& x : exchanges) {
                if (only && *only != x) {
                    continue;
                }
                editor.clear_topic_permissions(c->names[1], *v, x);
            }
            return core::administered{};
        },
        [c] { look_again(c, [c] { c->no_content(); }); });
}

constexpr auto admin = need::administrator;

constexpr std::array routes{
    route{.pattern = "permissions", .reads = admin, .get = list_all<add_permission>},
    route{.pattern = "permissions/?/?", .reads = admin, .get = show, .writes = admin, .put = put, .remove = remove},
    route{.pattern = "vhosts/?/permissions", .reads = admin, .get = list_in_vhost<add_permission>},
    route{.pattern = "users/?/permissions", .reads = admin, .get = list_of_user<add_permission>},
    route{.pattern = "topic-permissions", .reads = admin, .get = list_all<add_topic_permissions>},
    route{.pattern = "topic-permissions/?/?",
          .reads = admin,
          .get = list_one<add_topic_permissions>,
          .writes = admin,
          .put = put_topic,
          .remove = remove_topic},
    route{.pattern = "vhosts/?/topic-permissions", .reads = admin, .get = list_in_vhost<add_topic_permissions>},
    route{.pattern = "users/?/topic-permissions", .reads = admin, .get = list_of_user<add_topic_permissions>},
};

}  // namespace

std::span<const route> permission_routes() noexcept { return routes; }

}  // namespace linnet::admin
