#pragma once

#include "broker/core/definitions.hpp"
#include "broker/core/topology_nodes.hpp"

// Nodes of the topology as definitions.

namespace linnet::core {

[[nodiscard]] exchange_definition definition_of(const vhost_node& v, const exchange_node& x);
[[nodiscard]] queue_definition definition_of(const vhost_node& v, const queue_spec& q);
[[nodiscard]] binding_definition definition_of(const vhost_node& v, const binding_node& b);

}  // namespace linnet::core
