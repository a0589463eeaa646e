#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/message.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

// The bytes of a journal's records. Numbers are LEB128 unless said otherwise; each record begins with a version.
//
//   message    version, places {count, {owner, position, attempts}...}, then what never changes:
//              bits, priority, protocol (+ 64: it has an id), stored at (8 bytes), [time to live], [due (8 bytes)],
//              [deaths {bytes, ...}], bytes of exchange, key, properties and body, and these four themselves
//   settled    version, owner, runs, {zigzag distance of its first from the end of the run before, count}...
//   attempts   version, owner, position, attempts: how many have failed, received_bit, had_bit
//   doubt      version, owner, position: what lies below may have been delivered before
//   keys       version, owner, then what the owner wants kept (see dedup_window)
//   group_end  version: the records before it that say `more` are whole
//
// A message that is moved gets new places; the rest is copied as it lies. Decoding takes any bytes: it never reads
// beyond them, allocates no more than a small multiple of them, and says no where they make no sense.

namespace linnet::core {

enum class record_kind : std::uint8_t { message = 1, settled = 2, attempts = 3, group_end = 4, keys = 5, doubt = 6 };

using record_bytes = std::vector<std::uint8_t>;

// Exchange, key, properties and body of a message, which lie one behind the other.
[[nodiscard]] std::span<const std::uint8_t> content_of(const message& m) noexcept;

// Encoders replace what `out` held. A message's record is its places, its head, its content.
void encode_places(record_bytes& out, std::span<const message_place> places);
void append_head(record_bytes& out, const message& m, wall_ns stored_at, wall_ns due);
void encode_settled(record_bytes& out, owner_uid owner, std::span<const journal::run> runs);
void encode_attempts(record_bytes& out, owner_uid owner, position pos, std::uint32_t attempts);
void encode_doubt(record_bytes& out, owner_uid owner, position below);
void encode_keys(record_bytes& out, owner_uid owner, std::span<const std::uint8_t> keys);
void encode_group_end(record_bytes& out);

// A message's record, taken apart. Views into its bytes; the vectors are reused from record to record.
struct message_record {
    std::vector<message_place> places;
    std::span<const std::uint8_t> rest;  // all behind the places
    wall_ns stored_at = 0;
    wall_ns due = 0;
    message_traits traits;
    std::span<const std::uint8_t> deaths;
    std::string_view exchange;
    std::string_view key;
    std::span<const std::uint8_t> properties;
    std::span<const std::uint8_t> body;
};
struct settled_record {
    owner_uid owner = 0;
    std::vector<journal::run> runs;
};
struct attempts_record {
    owner_uid owner = 0;
    position pos = 0;
    std::uint32_t attempts = 0;
};
struct doubt_record {
    owner_uid owner = 0;
    position below = 0;
};
struct keys_record {
    owner_uid owner = 0;
    std::span<const std::uint8_t> keys;
};
[[nodiscard]] bool decode(std::span<const std::uint8_t> bytes, message_record& out);
[[nodiscard]] bool decode(std::span<const std::uint8_t> bytes, settled_record& out);
[[nodiscard]] bool decode(std::span<const std::uint8_t> bytes, attempts_record& out);
[[nodiscard]] bool decode(std::span<const std::uint8_t> bytes, doubt_record& out);
[[nodiscard]] bool decode(std::span<const std::uint8_t> bytes, keys_record& out);
// Null when they make no sense.
[[nodiscard]] std::unique_ptr<death_log> decode_deaths(std::span<const std::uint8_t> bytes);

// The message that the record tells of, in the pool's memory; null when its death log makes no sense.
[[nodiscard]] message_ptr rebuild(message_pool& pool, const message_record& r);

}  // namespace linnet::core
