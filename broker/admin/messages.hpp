#pragma once

#include "broker/admin/call.hpp"
#include "broker/core/properties.hpp"

namespace linnet::admin {

// POST queues/{vhost}/{queue}/get: some messages, as basic.get has them. They go back, are acknowledged or rejected, as
// the body says.
void get_from_queue(call_ptr c);
// POST exchanges/{vhost}/{exchange}/publish: one message; says whether it was routed.
void publish_to_exchange(call_ptr c);
// A message's properties as the API writes them: {"content_type", "headers" ...}.
[[nodiscard]] core::neutral_properties read_properties(const core::value_table& t);

}  // namespace linnet::admin
