#include "broker/store/segment.hpp"

#include "broker/store/crc32c.hpp"
#include "broker/store/little_endian.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace linnet::store {
namespace {

constexpr std::array<std::uint8_t, 8> magic{'L', 'I', 'N', 'N', 'E', 'T', 'L', 'G'};
constexpr std::size_t copy_bytes = 52;
constexpr std::size_t crc_at = copy_bytes - sizeof(std::uint32_t);
constexpr std::array<std::size_t, 2> copies_at{0, segment_header_bytes / 2};
// A segment's marks take no more than this many places.
constexpr std::uint64_t marks_max = 256;

bool has_magic(std::span<const std::uint8_t> copy) noexcept {
    return std::equal(magic.begin(), magic.end(), copy.begin());
}

bool intact(std::span<const std::uint8_t> copy) noexcept {
    return crc32c(0, copy.first(crc_at)) == load<std::uint32_t>(copy.data() + crc_at);
}

std::optional<std::uint64_t> number_between(std::string_view name, const std::string& before, std::string_view after) {
    if (!name.starts_with(before) || !name.ends_with(after) || name.size() != before.size() + 16 + after.size())
        return std::nullopt;
    const std::string_view digits = name.substr(before.size(), 16);
    std::uint64_t number = 0;
    const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    if (end.ec != std::errc{} || end.ptr != digits.data() + digits.size())
        return std::nullopt;
    return number;
}

std::string segment_prefix(std::uint32_t log_number) { return fmt::format("log-{}-", log_number); }

std::string spare_prefix(std::uint32_t log_number) { return fmt::format("spare-{}-", log_number); }

}  // namespace

void encode_segment_header(const segment_header& h, std::span<std::uint8_t> block) noexcept {
    std::fill(block.begin(), block.end(), std::uint8_t{0});
    std::uint8_t* const to = block.data();
    std::copy(magic.begin(), magic.end(), to);
    store(to + 8, h.major);
    store(to + 10, h.minor);
    store(to + 12, h.log_number);
    store(to + 16, h.store_id);
    store(to + 24, h.number);
    store(to + 32, h.epoch);
    store(to + 40, h.bytes);
    store(to + crc_at, crc32c(0, block.first(crc_at)));
    std::memcpy(to + copies_at[1], to, copy_bytes);
}

result<segment_header, std::string> decode_segment_header(std::span<const std::uint8_t> block) {
    bool ours = false;
    for (const std::size_t at : copies_at) {
        const auto copy = block.subspan(at, copy_bytes);
        if (!has_magic(copy))
            continue;
        ours = true;
        if (!intact(copy))
            continue;
        const std::uint8_t* const from = copy.data();
        return segment_header{.major = load<std::uint16_t>(from + 8),
                              .minor = load<std::uint16_t>(from + 10),
                              .log_number = load<std::uint32_t>(from + 12),
                              .store_id = load<std::uint64_t>(from + 16),
                              .number = load<std::uint64_t>(from + 24),
                              .epoch = load<std::uint64_t>(from + 32),
                              .bytes = load<std::uint64_t>(from + 40)};
    }
    return fail(std::string{ours ? "both copies of its header are damaged" : "it is not a segment of a log"});
}

std::uint32_t segment_seed(const segment_header& h) noexcept {
    std::array<std::uint8_t, 28> who{};
    store(who.data(), h.store_id);
    store(who.data() + 8, h.number);
    store(who.data() + 16, h.epoch);
    store(who.data() + 24, h.log_number);
    return crc32c(0, who);
}

std::string segment_name(std::uint32_t log_number, std::uint64_t number) {
    return fmt::format("{}{:016x}", segment_prefix(log_number), number);
}

std::string spare_name(std::uint32_t log_number, std::uint64_t number) {
    return fmt::format("{}{:016x}", spare_prefix(log_number), number);
}

std::optional<std::uint64_t> number_of_segment(std::string_view name, std::uint32_t log_number) {
    return number_between(name, segment_prefix(log_number), {});
}

std::optional<std::uint64_t> number_of_spare(std::string_view name, std::uint32_t log_number) {
    return number_between(name, spare_prefix(log_number), {});
}

std::uint32_t segment_geometry::mark_stride() const noexcept {
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(bytes / marks_max, disk::block));
}

std::optional<stored_record> record_in(const segment& s, const segment_geometry& g, std::uint32_t offset,
                                       std::span<const std::uint8_t> from) noexcept {
    const auto r = parse_record(from, s.seed + offset);
    const bool fits = r && (r->last_of_segment() || offset + r->stride() <= g.bytes);
    return fits ? r : std::nullopt;
}

core::log_position position_behind(const segment& s, const segment_geometry& g, std::uint32_t offset,
                                   const stored_record& r) noexcept {
    return r.last_of_segment() ? g.first_of(s.number + 1) : g.behind(s.number, offset + r.stride());
}

void note_record(segment& s, const segment_geometry& g, std::uint32_t offset) {
    const std::size_t place = offset / g.mark_stride();
    if (place < s.marks.size())
        return;
    if (s.marks.empty())
        s.marks.reserve(g.bytes / g.mark_stride());
    s.marks.resize(place + 1, offset);
    s.unmarked = static_cast<std::uint32_t>(s.marks.size() * g.mark_stride());
}

void forget_records(segment& s, const segment_geometry& g, std::uint32_t offset) {
    while (!s.marks.empty() && s.marks.back() >= offset)
        s.marks.pop_back();
    s.unmarked = static_cast<std::uint32_t>(s.marks.size() * g.mark_stride());
}

std::optional<std::uint32_t> mark_before(const segment& s, const segment_geometry& g, std::uint32_t offset) {
    const std::size_t place = offset / g.mark_stride();
    if (place >= s.marks.size())
        return std::nullopt;
    return s.marks[place];
}

}  // namespace linnet::store
