#include "broker/admin/api_handler.hpp"
#include "broker/admin/changes.hpp"
#include "broker/admin/tags.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/topology_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

// /api/users. They are kept with the topology: durable, and known to every shard at once.

namespace linnet::admin {
namespace {

void write_user(json_writer& w, const services& s, const core::user_definition& u) {
    w.object()
        .member("hashing_algorithm", s.hashing_algorithm(u.password_hash))
        .member("limits", core::value_table{})
        .member("name", u.name)
        .member("password_hash", u.password_hash)
        .key("tags")
        .array();
    for (const auto& tag : u.tags) {
        w.text(tag);
    }
    w.end().end();
}

void list_users(call_ptr c) {
    list_at_control(c, [c](core::shard& control, row_list& to) {
        for (const auto& [name, u] : control.parts().keeper()->users()) {
            to.add_whole({{}, name}, [&c, &u = u](json_writer& w) { write_user(w, c->all, u); });
        }
    });
}

bool has_rights_anywhere(core::topology_view view, const std::string& user) {
    bool any = false;
    core::for_each_vhost(*view.root(), [&](const core::vhost_node& v) { any |= view.rules_of(user, v.id) != nullptr; });
    return any;
}

void without_permissions(call_ptr c) {
    list_at_control(c, [c](core::shard& control, row_list& to) {
        for (const auto& [name, u] : control.parts().keeper()->users()) {
            if (!has_rights_anywhere(control.topology(), name)) {
                to.add_whole({{}, name}, [&c, &u = u](json_writer& w) { write_user(w, c->all, u); });
            }
        }
    });
}

void show(call_ptr c) {
    answer_from_control(c, [c](core::shard& control) {
        std::string out;
        const auto& users = control.parts().keeper()->users();
        if (const auto at = users.find(c->names[0]); at != users.end()) {
            json_writer w(out);
            write_user(w, c->all, at->second);
        }
        return out;
    });
}

void put(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body) {
        return;
    }
    core::user_definition u;
    u.name = c->names[0];
    const auto* said = body->find("tags");
    auto tags = said == nullptr ? std::nullopt : read_tags(*said);
    if (!tags) {
        c->bad_request(said == nullptr ? "tags_not_present" : "tags must be a list or a text with commas");
        return;
    }
    u.tags = std::move(*tags);
    const auto password = body->text("password");
    const auto hash = body->text("password_hash");
    if (password && hash) {
        c->bad_request("both_password_and_password_hash_are_provided");
        return;
    }
    if (hash && !hash->empty() && !c->all.is_password_hash(*hash)) {
        c->bad_request("password_hash is in no known form");
        return;
    }
    // Of no password at all: nobody logs in with one.
    u.password_hash = password && !password->empty() ? c->all.hash_password(*password) : hash.value_or("");
    auto existed = std::make_shared<bool>(false);
    administer(
        c,
        [c, u, existed](core::topology_editor&, core::topology_journal& journal) -> core::outcome<core::administered> {
            auto now = u;
            if (const auto at = journal.users().find(u.name); at != journal.users().end()) {
                *existed = true;
                now.loopback_only = at->second.loopback_only;
            }
            journal.set(now);
            c->all.users_changed(journal);
            return core::administered{};
        },
        [c, existed] { *existed ? c->no_content() : c->created(); });
}

core::outcome<core::administered> remove_users(services& s, const std::vector<std::string>& names,
                                               core::topology_editor& editor, core::topology_journal& journal) {
    for (const auto& name : names) {
        if (!journal.users().contains(name)) {
            return refuse(core::error_kind::not_found, fmt::format("no user '{}'", name));
        }
    }
    for (const auto& name : names) {
        editor.remove_user(name);
        journal.remove_user(name);
    }
    s.users_changed(journal);
    return core::administered{};
}

// Who is no user any more has no connections.
void end_connections(const call_ptr& c, std::vector<std::string> names) {
    const bool own = std::ranges::find(names, c->user.name) != names.end();
    if (own) {
        c->no_content();  // who deletes itself hears of it first
    }
    on_every_shard(
        c->all, c->home(),
        [&all = c->all, names = std::move(names)](core::shard& here) { all.end_connections(here.id(), names); },
        [c, own] {
            if (!own) {
                c->no_content();
            }
        });
}

void remove(call_ptr c) {
    administer(
        c,
        [c](core::topology_editor& editor, core::topology_journal& journal) {
            return remove_users(c->all, {c->names[0]}, editor, journal);
        },
        [c] { end_connections(c, {c->names[0]}); });
}

void bulk_delete(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body) {
        return;
    }
    const auto* list = body->find("users");
    const auto* items = list == nullptr ? nullptr : std::get_if<core::value_array>(&list->data);
    std::vector<std::string> names;
    for (const auto& item : items == nullptr ? core::value_array{} : *items) {
        if (const auto* name = item.as_string()) {
            names.push_back(*name);
        }
    }
    if (items == nullptr || names.size() != items->size()) {
        c->bad_request("key_missing: users");
        return;
    }
    administer(
        c,
        [c, names](core::topology_editor& editor,
                   core::topology_journal& journal) -> core::outcome<core::administered> {
            std::vector<std::string> known;
            std::ranges::copy_if(names, std::back_inserter(known),
                                 [&](const std::string& n) { return journal.users().contains(n); });
            return remove_users(c->all, known, editor, journal);
        },
        [c, names] { end_connections(c, names); });
}

void hash_password(call_ptr c) {
    std::string out;
    json_writer(out).object().member("ok", c->all.hash_password(c->names[0])).end();
    c->json(std::move(out));
}

void no_limits(call_ptr c) { c->json("[]"); }

constexpr std::array routes{
    route{.pattern = "users", .reads = need::administrator, .get = list_users},
    route{.pattern = "users/without-permissions", .reads = need::administrator, .get = without_permissions},
    route{.pattern = "users/bulk-delete", .writes = need::administrator, .post = bulk_delete},
    route{.pattern = "users/?",
          .reads = need::administrator,
          .get = show,
          .writes = need::administrator,
          .put = put,
          .remove = remove},
    route{.pattern = "auth/hash_password/?", .reads = need::administrator, .get = hash_password},
    // Users have no limits of their own here.
    route{.pattern = "user-limits", .reads = need::administrator, .get = no_limits},
    route{.pattern = "user-limits/?", .reads = need::administrator, .get = no_limits},
};

}  // namespace

std::span<const route> user_routes() noexcept { return routes; }

}  // namespace linnet::admin
