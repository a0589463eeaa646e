#include "broker/admin/api_handler.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace linnet::admin {
namespace {

using segments = std::span<const std::string_view>;

// Takes the next segment of a pattern off.
std::string_view next_part(std::string_view& pattern) {
    const auto part = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(std::min(part.size() + 1, pattern.size()));
    return part;
}

bool matches(std::string_view pattern, segments path) {
    for (const auto segment : path) {
        if (pattern.empty()) {
            return false;
        }
        const auto part = next_part(pattern);
        if (part != "?" && part != segment) {
            return false;
        }
    }
    return pattern.empty();
}

const route* find_route(segments path) {
    static constexpr std::array groups{overview_routes,   queue_routes,     exchange_routes,   binding_routes,
                                       connection_routes, vhost_routes,     user_routes,       permission_routes,
                                       policy_routes,     parameter_routes, definition_routes, health_routes,
                                       explain_routes,    where_routes};
    for (const auto group : groups) {
        for (const auto& r : group()) {
            if (matches(r.pattern, path)) {
                return &r;
            }
        }
    }
    return nullptr;
}

std::vector<std::string> names_in(std::string_view pattern, segments path) {
    std::vector<std::string> names;
    for (const auto segment : path) {
        if (next_part(pattern) == "?") {
            names.emplace_back(segment);
        }
    }
    return names;
}

// The name in the path that is a vhost's; null: none is.
const std::string* vhost_among(std::string_view pattern, const std::vector<std::string>& names) {
    constexpr std::string_view behind_component = "parameters/?/?";
    constexpr std::array groups{std::string_view("queues/?"),       std::string_view("exchanges/?"),
                                std::string_view("bindings/?"),     std::string_view("vhosts/?"),
                                std::string_view("consumers/?"),    std::string_view("permissions/?"),
                                std::string_view("policies/?"),     std::string_view("operator-policies/?"),
                                std::string_view("definitions/?"),  std::string_view("topic-permissions/?"),
                                std::string_view("vhost-limits/?"), std::string_view("aliveness-test/?"),
                                std::string_view("x/explain/?"),    std::string_view("x/where/?")};
    if (pattern.starts_with(behind_component)) {
        return &names[1];
    }
    return std::ranges::any_of(groups, [&](std::string_view g) { return pattern.starts_with(g); }) ? &names[0]
                                                                                                   : nullptr;
}

std::string allowed(const route& r) {
    std::string list = "HEAD, GET, OPTIONS";
    list += r.put != nullptr ? ", PUT" : "";
    list += r.post != nullptr ? ", POST" : "";
    list += r.remove != nullptr ? ", DELETE" : "";
    return list;
}

action action_of(const route& r, http::method m) {
    switch (m) {
        case http::method::get:
        case http::method::head: return r.get;
        case http::method::put: return r.put;
        case http::method::post: return r.post;
        case http::method::delete_: return r.remove;
        case http::method::patch:
        case http::method::options:
        case http::method::other: return nullptr;
    }
    return nullptr;
}

// The path below /api. A slash at the end means nothing; an empty vhost is the default one (/api/queues//).
std::vector<std::string_view> below_api(segments path) {
    std::vector<std::string_view> below(path.begin() + 1, path.end());
    if (!below.empty() && below.back().empty()) {
        below.pop_back();
    }
    if (below.size() >= 2 && below[1].empty()) {
        below[1] = "/";
    }
    return below;
}

}  // namespace

session::http_answer api_handler::refusal(const http::problem& p) {
    return p.code == http::status::unauthorized ? error_answer(p.code, "not_authorised", "Login failed")
                                                : error_answer(p.code, "not_authorised", p.detail);
}

void api_handler::on_request(const session::http_request& r, session::http_responder to) {
    const auto path = below_api(r.segments());
    auto c = std::make_shared<call>(all_, client_, r, std::move(to));
    const auto* found = find_route(path);
    if (found == nullptr) {
        c->not_found();
        return;
    }
    c->names = names_in(found->pattern, path);
    const auto run = action_of(*found, r.method());
    if (run == nullptr) {
        if (r.method() == http::method::options) {
            c->answer({.fields = {{"Allow", allowed(*found)}}});
        } else {
            auto a = error_answer(http::status::method_not_allowed, "Method Not Allowed", "\"Method Not Allowed\"\n");
            a.fields.emplace_back("Allow", allowed(*found));
            c->answer(std::move(a));
        }
        return;
    }
    const auto view = client_.shard().topology();
    const auto* named = vhost_among(found->pattern, c->names);
    const auto* vhost = named == nullptr ? nullptr : view.find_vhost(*named);
    const bool reads = r.method() == http::method::get || r.method() == http::method::head;
    if (const auto why = admin::refusal(reads ? found->reads : found->writes, r.user, view, vhost); !why.empty()) {
        c->refuse(why);
        return;
    }
    run(std::move(c));
}

}  // namespace linnet::admin
