#include "broker/core/access_grant.hpp"

namespace linnet::core {

bool may_use_key(const access_rules& rules, right r, const exchange_node& x, std::string_view key,
                 std::string_view client) {
    const auto& spec = topology_view::spec_of(x);
    return !rules.has_topic_rules() || spec.type != exchange_type::topic ||
           rules.topic_allowed(r, spec.name, key, client);
}

bool may_use_exchange(const access_rules& rules, right r, const exchange_node& x, std::string_view key,
                      std::string_view client) {
    return rules.allowed(r, exchange_in_rules(topology_view::spec_of(x).name)) && may_use_key(rules, r, x, key, client);
}

}  // namespace linnet::core
