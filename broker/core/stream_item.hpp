#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/message.hpp"
#include "broker/core/value.hpp"

#include <memory>

namespace linnet::core {

// A message of a stream, in memory. Null where the log's bytes are damaged.
struct stream_item {
    message_ptr msg;
    wall_ns stored_at = 0;
    // What filters look at, once one has looked: so that ten filters decode a message once.
    std::unique_ptr<value_table> headers;
};

}  // namespace linnet::core
