#pragma once

#include "broker/core/access_grant.hpp"
#include "broker/core/topology.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

// Who may publish what where: the one question of all protocols, and of whoever only wonders.

namespace linnet::core {

// What is wrong with publishing somewhere; the first of these, in RabbitMQ's order.
enum class publish_bar : std::uint8_t {
    no_rights,    // none at all in that vhost
    exchange,     // not the right to write to this exchange
    no_exchange,  // there is none of that name
    internal,     // only other exchanges lead to it
    topic,        // a topic permission does not allow this key
};

// Of the exchange alone, for whoever publishes to it again and again: it holds for one version of the topology, and
// what it leaves open is may_use_key(). `rules`: null for who has none.
[[nodiscard]] std::optional<publish_bar> bar_at_exchange(const vhost_node& v, const access_rules* rules,
                                                         std::string_view exchange);

// All of it. A reply handle's token is a right of its own: whoever knows it may answer. `client`: as
// access_rules::topic_allowed() has it.
[[nodiscard]] std::optional<publish_bar> bar_to_publishing(const vhost_node& v, const access_rules* rules,
                                                           std::string_view exchange, std::string_view key,
                                                           std::string_view client = {});

}  // namespace linnet::core
