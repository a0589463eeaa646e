#include "broker/core/publish_access.hpp"

#include "broker/core/reply_handle.hpp"

namespace linnet::core {

namespace {

std::optional<publish_bar> bar_at(const exchange_node* x, const access_rules* rules, std::string_view exchange) {
    if (rules == nullptr) {
        return publish_bar::no_rights;
    }
    if (!rules->allowed(right::write, exchange_in_rules(exchange))) {
        return publish_bar::exchange;
    }
    if (x == nullptr) {
        return publish_bar::no_exchange;
    }
    return topology_view::spec_of(*x).internal ? std::optional(publish_bar::internal) : std::nullopt;
}

}  // namespace

std::optional<publish_bar> bar_at_exchange(const vhost_node& v, const access_rules* rules, std::string_view exchange) {
    return bar_at(topology_view::find_exchange(v, exchange), rules, exchange);
}

std::optional<publish_bar> bar_to_publishing(const vhost_node& v, const access_rules* rules, std::string_view exchange,
                                             std::string_view key, std::string_view client) {
    if (exchange.empty() && reply_token_of(key)) {
        return std::nullopt;
    }
    const auto* x = topology_view::find_exchange(v, exchange);
    if (const auto bar = bar_at(x, rules, exchange)) {
        return bar;
    }
    return may_use_key(*rules, right::write, *x, key, client) ? std::nullopt : std::optional(publish_bar::topic);
}

}  // namespace linnet::core
