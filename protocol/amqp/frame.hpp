// One frame, found in place at the front of the bytes that have arrived.
//
//     octet type | short channel | long size | `size` octets of payload | octet 0xCE
//
// What can be refused is refused at the earliest octet: the type with the first one, the size with the
// seventh, so that nobody buffers a frame that will be thrown away.
//
// Owns:     nothing; `payload` views the input.
#pragma once

#include "protocol/amqp/fault.hpp"
#include "protocol/wire/bytes.hpp"

#include <algorithm>

namespace linnet::amqp {

struct frame {
    frame_type type{};
    std::uint16_t channel = 0;
    wire::bytes_view payload{};

    // With header and end octet: how far to move on in the input.
    [[nodiscard]] std::size_t size() const noexcept { return payload.size() + frame_overhead_bytes; }
};

// `frame_max` is the negotiated limit on whole frames, 0 for none. need_more names the bytes that the
// frame has in all once its header is there.
[[nodiscard]] inline decoded<frame> decode_frame(wire::bytes_view input, std::uint32_t frame_max) noexcept {
    if (input.empty())
        return wire::need_more{frame_overhead_bytes};
    const auto type = static_cast<frame_type>(input[0]);
    if (type != frame_type::method && type != frame_type::header && type != frame_type::body &&
        type != frame_type::heartbeat) [[unlikely]] {
        return refused{fault::frame_type_unknown};
    }
    if (input.size() < frame_header_bytes)
        return wire::need_more{frame_overhead_bytes};
    const std::size_t payload_bytes = wire::load<std::uint32_t>(&input[3]);
    const std::size_t total = payload_bytes + frame_overhead_bytes;
    if (frame_max != 0 && total > frame_max) [[unlikely]]
        return refused{fault::frame_too_large};
    if (input.size() < total)
        return wire::need_more{total};
    if (input[total - 1] != frame_end) [[unlikely]]
        return refused{fault::frame_end_missing};
    return frame{type, wire::load<std::uint16_t>(&input[1]), input.subspan(frame_header_bytes, payload_bytes)};
}

// The first eight octets of a connection. A prefix that already differs from every version of ours is
// `mismatch`: answer protocol_header and close.
enum class protocol_match : std::uint8_t { complete, need_more, mismatch };

[[nodiscard]] inline protocol_match match_protocol_header(wire::bytes_view input) noexcept {
    const std::size_t size = std::min(input.size(), protocol_header.size());
    if (!std::equal(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(size), protocol_header.begin())) {
        return protocol_match::mismatch;
    }
    return size == protocol_header.size() ? protocol_match::complete : protocol_match::need_more;
}

}  // namespace linnet::amqp
