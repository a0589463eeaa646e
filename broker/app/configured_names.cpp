#include "broker/app/configured_names.hpp"

#include <nlohmann/json.hpp>

#include <vector>

namespace linnet::app {

namespace {

using nlohmann::json;
using row = std::vector<std::string>;

template <class T, class Names>
[[nodiscard]] json rows_of(const std::vector<T>& elements, Names names) {
    json rows = json::array();
    for (const auto& e : elements) {
        rows.push_back(names(e));
    }
    return rows;
}

// Rows of `columns` texts; anything else is passed over.
template <class F>
void for_each_row(const json& all, const char* section, std::size_t columns, F f) {
    const auto found = all.find(section);
    if (found == all.end() || !found->is_array()) {
        return;
    }
    for (const auto& r : *found) {
        const bool texts = r.is_array() && r.size() == columns &&
                           std::all_of(r.begin(), r.end(), [](const json& cell) { return cell.is_string(); });
        if (texts) {
            f(r.get<row>());
        }
    }
}

}  // namespace

std::string names_in(const config& c, bool default_user) {
    const auto policy = [](const policy_config& p) { return row{p.name, p.vhost}; };
    const json all{
        {"default_user", default_user},
        {"users", rows_of(c.users, [](const user_config& u) { return row{u.name}; })},
        {"permissions", rows_of(c.permissions,
                                [](const auto& p) {
                                    return row{p.user, p.vhost};
                                })},
        {"topic_permissions", rows_of(c.topic_permissions,
                                      [](const auto& p) {
                                          return row{p.user, p.vhost, p.exchange};
                                      })},
        {"policies", rows_of(c.policies, policy)},
        {"operator_policies", rows_of(c.operator_policies, policy)},
    };
    return all.dump(-1, ' ', false, json::error_handler_t::replace);
}

configured_names names_from(std::string_view text) {
    configured_names read;
    const auto all = json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!all.is_object()) {
        return read;
    }
    const auto policy_into = [](std::vector<policy_config>& list) {
        return [&list](const row& r) {
            auto& p = list.emplace_back();
            p.name = r[0];
            p.vhost = r[1];
        };
    };
    auto& c = read.names;
    read.default_user = all.value("default_user", json(false)) == json(true);
    for_each_row(all, "users", 1, [&](const row& r) { c.users.emplace_back().name = r[0]; });
    for_each_row(all, "permissions", 2, [&](const row& r) {
        auto& p = c.permissions.emplace_back();
        p.user = r[0];
        p.vhost = r[1];
    });
    for_each_row(all, "topic_permissions", 3, [&](const row& r) {
        auto& p = c.topic_permissions.emplace_back();
        p.user = r[0];
        p.vhost = r[1];
        p.exchange = r[2];
    });
    for_each_row(all, "policies", 2, policy_into(c.policies));
    for_each_row(all, "operator_policies", 2, policy_into(c.operator_policies));
    return read;
}

}  // namespace linnet::app
