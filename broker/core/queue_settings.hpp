#pragma once

#include "broker/base/clock.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace linnet::core {

enum class queue_type : std::uint8_t { classic, quorum, stream };
enum class overflow_policy : std::uint8_t { drop_head, reject_publish, reject_publish_dlx };

// What a queue does, from its arguments and the policies that apply, checked. Plain values: the queue
// never looks at an argument table.
struct queue_settings {
    queue_type type = queue_type::classic;
    std::optional<mono_ns> message_ttl;  // 0 is meaningful: expire unless delivered at once
    std::optional<mono_ns> expires;      // delete the queue after so long without use
    std::optional<std::uint64_t> max_length;
    std::optional<std::uint64_t> max_length_bytes;
    overflow_policy overflow = overflow_policy::drop_head;
    std::optional<std::string> dead_letter_exchange;
    std::optional<std::string> dead_letter_routing_key;
    std::uint8_t max_priority = 0;  // 0: no priorities
    bool single_active_consumer = false;
    std::optional<std::uint32_t> delivery_limit;
    std::optional<mono_ns> consumer_timeout;

    bool operator==(const queue_settings&) const = default;
};

}  // namespace linnet::core
