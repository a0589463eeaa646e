#pragma once

#include "broker/admin/call.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/topology_walk.hpp"

namespace linnet::admin {

// The bindings to the queue or exchange that the call's first two names are.
void list_bindings_to(call_ptr c, core::bind_destination kind);
// From that exchange.
void list_bindings_from(call_ptr c);
// One, as every list has it.
void write_binding(json_writer& w, std::string_view vhost, const core::binding_view& b);

}  // namespace linnet::admin
