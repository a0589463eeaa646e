#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/retry.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace linnet::core {

enum class queue_type : std::uint8_t { classic, quorum, stream };
enum class overflow_policy : std::uint8_t { drop_head, reject_publish, reject_publish_dlx };

// What is published twice with one key is taken once.
struct dedup_settings {
    mono_ns window = 0;
    std::uint64_t length_max = 0;  // keys remembered at most; 0: as many as there are by default
    std::string header;            // whose value is the key; empty: the message id

    bool operator==(const dedup_settings&) const = default;
};

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
    // Of streams.
    std::optional<wall_ns> max_age;
    std::uint64_t segment_bytes = std::uint64_t{16} << 20;
    std::optional<retry_policy> retry;
    std::optional<dedup_settings> dedup;
    std::optional<std::string> group_by;  // a header, or one of the words "routing-key", "correlation-id"

    bool operator==(const queue_settings&) const = default;
};

}  // namespace linnet::core
