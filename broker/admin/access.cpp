#include "broker/admin/access.hpp"

#include "broker/core/access_grant.hpp"

#include <fmt/format.h>

namespace linnet::admin {
namespace {

bool makes_policies(const session::http_user& u) { return administers(u) || u.has_tag("policymaker"); }
bool manages(const session::http_user& u) { return monitors(u) || makes_policies(u) || u.has_tag("management"); }

bool has_rights(const session::http_user& u, core::topology_view view, const core::vhost_node* v) {
    return v != nullptr && u.rules_in(view, *v);
}

constexpr std::string_view no_vhost = "User not authorised to access virtual host";

core::error access_refused(core::right r, std::string_view user, const core::vhost_node& vhost, std::string_view kind,
                           std::string_view known_as) {
    return {core::error_kind::access_refused,
            fmt::format("ACCESS_REFUSED - {} access to {} '{}' in vhost '{}' refused for user '{}'",
                        r == core::right::configure ? "configure"
                        : r == core::right::write   ? "write"
                                                    : "read",
                        kind, known_as, core::topology_view::name_of(vhost), user)};
}

}  // namespace

bool administers(const session::http_user& u) { return u.has_tag("administrator"); }
bool monitors(const session::http_user& u) { return administers(u) || u.has_tag("monitoring"); }

std::string_view refusal(need what, const session::http_user& user, core::topology_view view,
                         const core::vhost_node* vhost) {
    if (what == need::login) {
        return {};
    }
    if (!manages(user)) {
        return "Not management user";
    }
    switch (what) {
        case need::login:
        case need::management: return {};
        case need::vhost: return vhost == nullptr || has_rights(user, view, vhost) ? "" : no_vhost;
        case need::policies:
            return !makes_policies(user)                               ? "Not policymaker user"
                   : vhost == nullptr || has_rights(user, view, vhost) ? ""
                                                                       : no_vhost;
        case need::monitoring: return monitors(user) ? "" : "Not monitor user";
        case need::administrator: return administers(user) ? "" : "Not administrator user";
    }
    return {};
}

bool sees(const session::http_user& user, core::topology_view view, core::vhost_id vhost) {
    const auto* v = view.find_vhost(vhost);
    return monitors(user) || (v != nullptr && user.rules_in(view, *v));
}

core::outcome<void> may(core::right r, const session::http_user& user, core::topology_view view,
                        const core::vhost_node& vhost, std::string_view kind, std::string_view name) {
    const auto rules = user.rules_in(view, vhost);
    const auto known_as = kind == "exchange" ? core::exchange_in_rules(name) : name;
    if (rules && rules->allowed(r, known_as)) {
        return {};
    }
    return fail(access_refused(r, user.name, vhost, kind, known_as));
}

core::outcome<void> may_pass_on(const session::http_user& user, core::topology_view view, const core::vhost_node& vhost,
                                std::string_view kind, std::string_view name, const core::value_table& arguments,
                                std::string_view argument) {
    const auto* value = core::find(arguments, argument);
    const auto* to = value == nullptr ? nullptr : value->as_string();
    if (to == nullptr) {
        return {};
    }
    auto reads = may(core::right::read, user, view, vhost, kind, name);
    return reads ? may(core::right::write, user, view, vhost, "exchange", *to) : reads;
}

core::outcome<void> may_read_topic(const session::http_user& user, core::topology_view view,
                                   const core::vhost_node& vhost, std::string_view exchange, std::string_view key) {
    const auto rules = user.rules_in(view, vhost);
    const auto* x = core::topology_view::find_exchange(vhost, exchange);
    if (x == nullptr || (rules && core::may_use_key(*rules.get(), core::right::read, *x, key))) {
        return {};
    }
    return fail(core::error{core::error_kind::access_refused,
                            fmt::format("ACCESS_REFUSED - access to topic '{}' in exchange '{}' in vhost '{}' refused "
                                        "for user '{}'",
                                        key, exchange, core::topology_view::name_of(vhost), user.name)});
}

core::error refusal_to_publish(core::publish_bar why, std::string_view user, const core::vhost_node& vhost,
                               std::string_view exchange, std::string_view key) {
    using core::error_kind;
    const auto known_as = core::exchange_in_rules(exchange);
    switch (why) {
        case core::publish_bar::no_rights:
        case core::publish_bar::exchange: return access_refused(core::right::write, user, vhost, "exchange", known_as);
        case core::publish_bar::no_exchange:
            return {error_kind::not_found, fmt::format("NOT_FOUND - no exchange '{}' in vhost '{}'", known_as,
                                                       core::topology_view::name_of(vhost))};
        case core::publish_bar::internal:
            return {error_kind::access_refused,
                    fmt::format("ACCESS_REFUSED - cannot publish to internal exchange '{}'", known_as)};
        case core::publish_bar::topic:
            return {error_kind::access_refused,
                    fmt::format("ACCESS_REFUSED - write access to topic '{}' in exchange '{}' refused", key, known_as)};
    }
    return {error_kind::internal, {}};
}

}  // namespace linnet::admin
