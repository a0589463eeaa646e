#pragma once

#include "broker/base/strong_id.hpp"

#include <cstdint>

namespace linnet::core {

// A reactor thread and everything it owns. Shard 0 also runs the control: the one writer of the topology.
using shard_id = strong_id<struct shard_id_tag, std::uint16_t>;
inline constexpr std::uint32_t shards_max = 63;  // and as many logs: a bit each in a word, beside that of all streams
inline constexpr shard_id control_shard{0};

// A place in a table that only its shard writes, plus the generation that makes a stale handle harmless:
// looking up a handle whose object is gone finds nothing, never a stranger.
template <class Tag>
struct handle {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;  // 0 names nothing
    shard_id shard{};

    constexpr bool operator==(const handle&) const = default;
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return generation != 0; }
};

using queue_handle = handle<struct queue_tag>;
// Streams live beside the queues of their shard, in slots from here on, and so do subscribers (sinks that are bound
// without a queue between): the handle tells.
inline constexpr std::uint32_t first_stream_slot = std::uint32_t{2} << 30;
inline constexpr std::uint32_t first_subscriber_slot = std::uint32_t{3} << 30;
[[nodiscard]] constexpr bool names_stream(std::uint32_t slot) noexcept { return slot >> 30 == first_stream_slot >> 30; }
[[nodiscard]] constexpr bool is_stream(queue_handle h) noexcept { return names_stream(h.slot); }

using session_handle = handle<struct session_tag>;

// One consumer on one queue: assigned by the queue's owner, never reused while the queue lives.
using consumer_id = strong_id<struct consumer_id_tag, std::uint64_t>;

// A queue's 64-bit position: strictly increasing in the order of arrival, kept when a message is requeued.
using position = std::uint64_t;

using vhost_id = strong_id<struct vhost_id_tag, std::uint32_t>;

// The durable name of something whose messages a journal keeps: assigned by the control, never used again.
// Zero names nothing. The highest bit marks those that do not outlive the process (a transient queue that
// has to spill): their records are never recovered.
using owner_uid = std::uint64_t;
inline constexpr owner_uid fleeting_owner = std::uint64_t{1} << 63;
[[nodiscard]] constexpr bool is_lasting(owner_uid uid) noexcept { return uid != 0 && (uid & fleeting_owner) == 0; }

}  // namespace linnet::core
