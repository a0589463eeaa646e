#pragma once

#include "broker/core/message.hpp"
#include "broker/core/pattern_syntax.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// The last value of a key: what a topic's latest retained message said, for whoever comes later.
//
// A vhost's retained messages live together, on the shard of the log that its name hashes to, in a tree by levels:
// looking up a pattern costs what it matches. A message whose traits say `retain` replaces the one of its key when it
// is published (beside being routed); one without a body takes it away. Durable when there is a store, also without
// `persistent`: a confirm waits for it. What has expired is not shown, and is let go of.

namespace linnet::core {

// A long answer is given piece by piece, in the order of keys level by level.
struct read_retained {
    std::string pattern;  // as the core keeps it (address.hpp)
    pattern_syntax syntax = pattern_syntax::mqtt;
    std::uint32_t count_max = 1000;    // at most so many now; fewer when they are large, or far between
    std::optional<std::string> after;  // none: from the first on; else what the piece before said
};
struct retained_messages {
    struct entry {
        message_ptr message;
        std::uint32_t left_s = 0;  // before it expires, rounded up; 0: never
    };
    std::vector<entry> messages;
    std::optional<std::string> after;  // there may be more: ask again with it. It need not be the last one's key
};

}  // namespace linnet::core
