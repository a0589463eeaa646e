#include "broker/core/stream_record.hpp"

#include <array>
#include <span>

namespace linnet::core {

namespace {

constexpr auto message_kind = static_cast<std::uint8_t>(record_kind::message);
// What a record says beside the content. A history is a few rows; a mebibyte is more than any has.
constexpr std::uint64_t head_bytes_max = 128;
constexpr std::uint64_t history_bytes_max = 1024 * 1024;

}  // namespace

bool stream_record_writer::fits(const message& m, std::uint32_t record_bytes_max) noexcept {
    return content_of(m).size() + head_bytes_max + (m.deaths() == nullptr ? 0 : history_bytes_max) <= record_bytes_max;
}

durable_log::appended stream_record_writer::append(durable_log& log, owner_uid stream, position offset,
                                                   wall_ns stored_at, const message& m, const errand_name& brought_by) {
    const std::array<message_place, 2> places{
        {{stream, offset, 0}, {errands_of(brought_by.log), brought_by.number, 0}}};
    encode_places(head_, std::span(places).first(brought_by.number == 0 ? 1 : 2));
    append_head(head_, m, stored_at, 0);
    const std::array<std::span<const std::uint8_t>, 2> parts{head_, content_of(m)};
    return log.append(message_kind, 0, parts);
}

bool stream_record_reader::read(const log_record& r) {
    if (r.kind != message_kind || !decode(r.payload, record_)) {
        return false;
    }
    const auto& places = record_.places;
    return places.size() == 1 || (places.size() == 2 && is_errand_of(places[1].owner));
}

errand_name stream_record_reader::brought_by() const noexcept {
    if (record_.places.size() < 2) {
        return {};
    }
    const message_place& by = record_.places[1];
    return {static_cast<std::uint16_t>(by.owner & 0xffffU), by.pos};
}

}  // namespace linnet::core
