#include "broker/store/record.hpp"

#include "broker/store/crc32c.hpp"
#include "broker/store/little_endian.hpp"

#include <cstring>

namespace linnet::store {
namespace {

constexpr std::size_t length_at = 4;
constexpr std::size_t kind_at = 8;
constexpr std::size_t flags_at = 9;
constexpr std::size_t skip_at = 10;

}  // namespace

std::uint32_t seal_record(std::uint8_t* to, const record_header& h, std::uint32_t seed) noexcept {
    store(to + length_at, h.length);
    store(to + kind_at, h.kind);
    store(to + flags_at, h.flags);
    store(to + skip_at, h.skip);
    const std::size_t end = record_header_bytes + std::size_t{h.length};
    std::memset(to + end, 0, record_bytes(h.length) - end);
    const std::uint32_t crc = crc32c(seed, {to + length_at, end - length_at});
    store(to, crc);
    return crc;
}

std::uint32_t claimed_bytes(std::span<const std::uint8_t> from) noexcept {
    if (from.size() < record_header_bytes)
        return 0;
    const auto length = load<std::uint32_t>(from.data() + length_at);
    // A kind of zero is what zero-filled space looks like.
    if (from[kind_at] == 0 || length > part_bytes_max - record_header_bytes)
        return 0;
    return static_cast<std::uint32_t>(record_bytes(length));
}

std::optional<stored_record> parse_record(std::span<const std::uint8_t> from, std::uint32_t seed) noexcept {
    const std::uint32_t bytes = claimed_bytes(from);
    if (bytes == 0 || bytes > from.size())
        return std::nullopt;
    stored_record r;
    r.header = {.length = load<std::uint32_t>(from.data() + length_at),
                .kind = from[kind_at],
                .flags = from[flags_at],
                .skip = load<std::uint16_t>(from.data() + skip_at)};
    r.crc = load<std::uint32_t>(from.data());
    if (crc32c(seed, from.subspan(length_at, record_header_bytes - length_at + r.header.length)) != r.crc)
        return std::nullopt;
    r.payload = from.subspan(record_header_bytes, r.header.length);
    return r;
}

void encode_commit(const commit& c, std::uint8_t* to) noexcept {
    store(to, c.previous);
    store(to + 8, c.epoch);
    store(to + 16, c.index);
    store(to + 24, c.durable);
    store(to + 32, c.count);
    store(to + 36, c.crc);
}

std::optional<commit> decode_commit(const stored_record& r) noexcept {
    if (!r.is(own_kind::commit) || r.payload.size() != commit_payload_bytes)
        return std::nullopt;
    const std::uint8_t* from = r.payload.data();
    return commit{.previous = load<std::uint64_t>(from),
                  .epoch = load<std::uint64_t>(from + 8),
                  .index = load<std::uint64_t>(from + 16),
                  .durable = load<std::uint64_t>(from + 24),
                  .count = load<std::uint32_t>(from + 32),
                  .crc = load<std::uint32_t>(from + 36)};
}

std::optional<std::uint64_t> decode_epoch(const stored_record& r) noexcept {
    if (!r.is(own_kind::epoch) || r.payload.size() != epoch_payload_bytes)
        return std::nullopt;
    return load<std::uint64_t>(r.payload.data());
}

}  // namespace linnet::store
