#pragma once

#include "broker/base/result.hpp"
#include "broker/core/log.hpp"
#include "broker/store/record.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::store {

inline constexpr std::uint16_t format_major = 1;  // readers of another one must refuse
inline constexpr std::uint16_t format_minor = 0;  // readers of an older one can still read

// Room for a header, some batches and the commits that a segment keeps free.
inline constexpr std::uint64_t min_segment_bytes = 32 * 1024;

// What the first block of a segment says, twice: a flipped bit must not cost a segment.
struct segment_header {
    std::uint16_t major = format_major;
    std::uint16_t minor = format_minor;
    std::uint32_t log_number = 0;
    std::uint64_t store_id = 0;
    std::uint64_t number = 0;
    std::uint64_t epoch = 0;  // in which it was made
    std::uint64_t bytes = 0;  // of the segment
};

void encode_segment_header(const segment_header& h, std::span<std::uint8_t> block) noexcept;
// Or why not, in words.
[[nodiscard]] result<segment_header, std::string> decode_segment_header(std::span<const std::uint8_t> block);

// Goes into every record's CRC, together with the record's offset: bytes of another store, log, segment or epoch, or
// of another place, are no records. So a file can be used again without being cleared.
[[nodiscard]] std::uint32_t segment_seed(const segment_header& h) noexcept;

[[nodiscard]] std::string segment_name(std::uint32_t log_number, std::uint64_t number);
[[nodiscard]] std::string spare_name(std::uint32_t log_number, std::uint64_t number);
// The numbers in such names; none in others.
[[nodiscard]] std::optional<std::uint64_t> number_of_segment(std::string_view name, std::uint32_t log_number);
[[nodiscard]] std::optional<std::uint64_t> number_of_spare(std::string_view name, std::uint32_t log_number);

// A segment in use.
struct segment {
    std::uint64_t number = 0;
    std::uint64_t epoch = 0;
    std::uint32_t seed = 0;
    file_id file = 0;
    bool ready = false;       // its file stands under its name, header and all
    std::uint32_t reads = 0;  // under way
    // Where the first record lies that begins in each stretch of mark_stride() bytes or behind it: reading can begin
    // anywhere. A KiB a segment.
    std::vector<std::uint32_t> marks;
    std::uint32_t unmarked = 0;  // records that begin below need no further mark
};

// The arithmetic of positions.
struct segment_geometry {
    std::uint64_t bytes = 0;

    [[nodiscard]] std::uint64_t number(core::log_position p) const noexcept { return p / bytes; }
    [[nodiscard]] std::uint32_t offset(core::log_position p) const noexcept {
        return static_cast<std::uint32_t>(p % bytes);
    }
    [[nodiscard]] core::log_position at(std::uint64_t number, std::uint64_t offset) const noexcept {
        return number * bytes + offset;
    }
    [[nodiscard]] core::log_position first_of(std::uint64_t number) const noexcept {
        return at(number, segment_header_bytes);
    }
    // Where the next record lies when one ends at `offset`: a segment may be filled to its last byte.
    [[nodiscard]] core::log_position behind(std::uint64_t number, std::uint64_t offset) const noexcept {
        return offset < bytes ? at(number, offset) : first_of(number + 1);
    }
    [[nodiscard]] std::uint32_t mark_stride() const noexcept;
};

// The record at `offset`, of which `from` shows as much as there is; none, when it or what it skips leaves the segment.
[[nodiscard]] std::optional<stored_record> record_in(const segment& s, const segment_geometry& g, std::uint32_t offset,
                                                     std::span<const std::uint8_t> from) noexcept;
// Where the next record lies.
[[nodiscard]] core::log_position position_behind(const segment& s, const segment_geometry& g, std::uint32_t offset,
                                                 const stored_record& r) noexcept;

// A record of any kind begins there. In rising order.
void note_record(segment& s, const segment_geometry& g, std::uint32_t offset);
// None begins there or behind any more.
void forget_records(segment& s, const segment_geometry& g, std::uint32_t offset);
// The first record known to begin at `offset` or shortly before; none: nothing begins there or behind.
[[nodiscard]] std::optional<std::uint32_t> mark_before(const segment& s, const segment_geometry& g,
                                                       std::uint32_t offset);

}  // namespace linnet::store
