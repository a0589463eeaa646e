#pragma once

#include "broker/core/topology_nodes.hpp"

#include <cstddef>

namespace linnet::core {

// The exchanges that every vhost has from its beginning.
inline constexpr std::size_t standard_exchange_count = 7;
void add_standard_exchanges(vhost_node& v);

}  // namespace linnet::core
