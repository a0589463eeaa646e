#pragma once

#include "broker/core/topology.hpp"

#include <string>
#include <vector>

namespace linnet::core {

// What a change of users, vhosts, rights or policies entails for queues.
struct administered {
    std::vector<queue_entry> changed;  // their settings: their owners learn it
    std::vector<queue_entry> gone;     // no longer in the topology: their owners end them
    // They are no more: kept clients and last values go with them. (Of users the journal knows it.)
    std::vector<vhost_id> vhosts_gone{};
};

}  // namespace linnet::core
