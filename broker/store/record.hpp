#pragma once

#include "broker/core/log.hpp"
#include "broker/store/disk.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

// Records as they lie in a segment. FORMAT.md is the grammar; all numbers are little-endian.

namespace linnet::store {

// ---- Sizes -------------------------------------------------------------------------------------

// CRC u32, length u32, kind u8, flags u8, skip u16; then the payload.
inline constexpr std::uint32_t record_header_bytes = 12;
inline constexpr std::uint32_t record_alignment = 8;
// The first block of a segment tells what it is.
inline constexpr std::uint32_t segment_header_bytes = disk::block;
// Of one record's payload: the largest message and room for its properties.
inline constexpr std::uint32_t record_payload_max = std::uint32_t{256} << 20;
// Larger records lie in parts, none of which takes more: whoever reads needs no larger buffer.
inline constexpr std::uint32_t part_bytes_max = 256 * 1024;

// What a payload takes in the log.
[[nodiscard]] constexpr std::uint64_t record_bytes(std::uint64_t payload) noexcept {
    return (record_header_bytes + payload + record_alignment - 1) / record_alignment * record_alignment;
}

// ---- Headers -----------------------------------------------------------------------------------

// The log's own flags, beside core::record_flags.
struct stored_flags {
    static constexpr std::uint8_t part_of_before = 0x20;  // goes on with the record before
    static constexpr std::uint8_t part_follows = 0x40;    // the record goes on behind
    static constexpr std::uint8_t own = 0x80;             // the log's own: `kind` is an own_kind
    static constexpr std::uint8_t callers = 0x1F;         // what append() takes
};

enum class own_kind : std::uint8_t {
    commit = 1,     // ends a batch
    epoch = 2,      // the log was opened
    clean_end = 3,  // the log was closed
    gap = 4,        // salvage left something out here
    mark = 5,       // nothing more came for a while: the commit behind it says how far all is durable
};

// `skip` counts what lies between this record and the next in units of record_alignment; or:
inline constexpr std::uint16_t skip_to_next_segment = 0xFFFF;

struct record_header {
    std::uint32_t length = 0;
    std::uint8_t kind = 0;
    std::uint8_t flags = 0;
    std::uint16_t skip = 0;
};

// Completes the record whose payload already lies at to + record_header_bytes: header, CRC and the zeros up to
// record_bytes(). `seed` is of the record's place. Returns the CRC.
std::uint32_t seal_record(std::uint8_t* to, const record_header& h, std::uint32_t seed) noexcept;

struct stored_record {
    record_header header;
    std::uint32_t crc = 0;
    std::span<const std::uint8_t> payload;

    [[nodiscard]] bool own() const noexcept { return (header.flags & stored_flags::own) != 0; }
    [[nodiscard]] bool is(own_kind k) const noexcept { return own() && header.kind == static_cast<std::uint8_t>(k); }
    // Up to the next record; meaningless when that is in the next segment.
    [[nodiscard]] std::uint64_t stride() const noexcept {
        return record_bytes(header.length) + std::uint64_t{header.skip} * record_alignment;
    }
    [[nodiscard]] bool last_of_segment() const noexcept { return header.skip == skip_to_next_segment; }
};

// How many bytes the record that begins there claims to take: 0 where no record can begin.
[[nodiscard]] std::uint32_t claimed_bytes(std::span<const std::uint8_t> from) noexcept;
// The record that begins there, when it is whole and its CRC fits its place.
[[nodiscard]] std::optional<stored_record> parse_record(std::span<const std::uint8_t> from,
                                                        std::uint32_t seed) noexcept;

// ---- Commits -----------------------------------------------------------------------------------

struct commit {
    core::log_position previous = 0;  // the commit before this one
    std::uint64_t epoch = 0;
    std::uint64_t index = 0;         // one more than that of the commit before
    core::log_position durable = 0;  // everything below was on stable storage when this was written
    std::uint32_t count = 0;         // records of the batch
    std::uint32_t crc = 0;           // over the CRCs of those records
};
inline constexpr std::uint32_t commit_payload_bytes = 40;
inline constexpr auto commit_bytes = static_cast<std::uint32_t>(record_bytes(commit_payload_bytes));

void encode_commit(const commit& c, std::uint8_t* to) noexcept;
[[nodiscard]] std::optional<commit> decode_commit(const stored_record& r) noexcept;

// ---- Epochs ------------------------------------------------------------------------------------
inline constexpr std::uint32_t epoch_payload_bytes = 8;
[[nodiscard]] std::optional<std::uint64_t> decode_epoch(const stored_record& r) noexcept;

}  // namespace linnet::store
