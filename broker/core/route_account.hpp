#pragma once

#include "broker/core/topology.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// How a route comes about, step by step, for people who wonder. It is topology_view::route_keys() that is watched, not
// a second opinion; messages are routed by the same code with nobody watching.
//
// Threads: any that may read the version.
// Bounds:  what a route costs, and a note for every binding that matches.

namespace linnet::core {

struct binding_node;
struct queue_node;

// Why an exchange is asked. One that several lead to is asked once, for the first.
enum class step_reason : std::uint8_t { published, binding, alternate };

// One exchange that was asked. All that it names belongs to the version, and is good for the turn.
struct route_step {
    const exchange_node* exchange = nullptr;
    step_reason why = step_reason::published;
    bool held = false;                          // a delayed-message exchange keeps the message until it is due
    std::vector<const binding_node*> bindings;  // that match, each once
    std::vector<const queue_node*> queues;      // the default exchange's, which has no bindings
    std::string_view alternate;                 // nothing matched, and it names this one; it may not exist
};

struct route_account {
    std::vector<route_step> steps;  // in the order in which the exchanges were asked
    std::vector<queue_handle> targets;
    route_notes notes;
};

[[nodiscard]] route_account explain_route(const vhost_node& v, const exchange_node& x,
                                          std::span<const std::string_view> keys, const route_input& in);

}  // namespace linnet::core
