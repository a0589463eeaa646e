// Whole frames, written where the caller has made room.
//
// Every put_ function has a _size function that tells exactly what it will write; it takes a pointer into
// a buffer with that much room and returns the place behind its last byte. Nothing here allocates.
//
// A delivery is three frames, or more if the body is larger than a frame:
//
//     method: basic.deliver | header: body size, the publisher's properties verbatim | body ...
//
// put_content writes all of them, put_content_head stops before the body for callers that send large bodies
// by reference and put only a frame header and an end octet around each piece.
//
// Bounds:   short strings of at most 255 bytes, frames within frame_max: the caller's duty, asserted.
#pragma once

#include "protocol/amqp/content.hpp"
#include "protocol/amqp/hot_methods.hpp"
#include "protocol/wire/check.hpp"

#include <string>

namespace linnet::amqp {

inline std::uint8_t* put_frame_header(std::uint8_t* to, frame_type type, std::uint16_t channel,
                                      std::size_t payload_bytes) noexcept {
    *to = static_cast<std::uint8_t>(type);
    wire::store(to + 1, channel);
    return wire::store(to + 3, static_cast<std::uint32_t>(payload_bytes));
}

inline std::uint8_t* put_frame_end(std::uint8_t* to) noexcept {
    *to = frame_end;
    return to + 1;
}

inline constexpr std::size_t heartbeat_size = frame_overhead_bytes;

inline std::uint8_t* put_heartbeat(std::uint8_t* to) noexcept {
    return put_frame_end(put_frame_header(to, frame_type::heartbeat, 0, 0));
}

template <method Method>
[[nodiscard]] std::size_t method_frame_size(const Method& m) noexcept {
    return frame_overhead_bytes + sizeof(method_id) + encoded_size(m);
}

template <method Method>
std::uint8_t* put_method_frame(std::uint8_t* to, std::uint16_t channel, const Method& m) noexcept {
    to = put_frame_header(to, frame_type::method, channel, sizeof(method_id) + encoded_size(m));
    to = wire::store(to, method_id{Method::id});
    return put_frame_end(encode(to, m));
}

[[nodiscard]] inline std::size_t header_frame_size(wire::bytes_view properties) noexcept {
    return frame_overhead_bytes + content_header_fixed_bytes + properties.size();
}

inline std::uint8_t* put_header_frame(std::uint8_t* to, std::uint16_t channel, std::uint64_t body_bytes,
                                      wire::bytes_view properties) noexcept {
    to = put_frame_header(to, frame_type::header, channel, content_header_fixed_bytes + properties.size());
    // Class basic and weight 0 in one store.
    to = wire::store(to, std::uint32_t{static_cast<std::uint16_t>(class_id::basic)} << 16);
    to = wire::store(to, body_bytes);
    return put_frame_end(wire::put_bytes(to, properties.data(), properties.size()));
}

// How much of a body one frame carries.
[[nodiscard]] constexpr std::size_t body_bytes_max(std::uint32_t frame_max) noexcept {
    LINNET_WIRE_CHECK(frame_max == 0 || frame_max > frame_overhead_bytes);
    return frame_max == 0 ? std::size_t{0xFFFF'FFFF} : frame_max - frame_overhead_bytes;
}

// An empty body has no frame at all.
[[nodiscard]] constexpr std::size_t body_frames_size(std::size_t body_bytes, std::uint32_t frame_max) noexcept {
    const std::size_t most = body_bytes_max(frame_max);
    if (body_bytes <= most) [[likely]]
        return body_bytes == 0 ? 0 : body_bytes + frame_overhead_bytes;
    return body_bytes + (body_bytes + most - 1) / most * frame_overhead_bytes;
}

inline std::uint8_t* put_body_frame(std::uint8_t* to, std::uint16_t channel, wire::bytes_view part) noexcept {
    to = put_frame_header(to, frame_type::body, channel, part.size());
    return put_frame_end(wire::put_bytes(to, part.data(), part.size()));
}

inline std::uint8_t* put_body_frames(std::uint8_t* to, std::uint16_t channel, wire::bytes_view body,
                                     std::uint32_t frame_max) noexcept {
    const std::size_t most = body_bytes_max(frame_max);
    while (body.size() > most)
        [[unlikely]] {
            to = put_body_frame(to, channel, body.first(most));
            body = body.subspan(most);
        }
    return body.empty() ? to : put_body_frame(to, channel, body);
}

// The method and the header of a content: deliver, get-ok, return, publish.
template <method Method>
[[nodiscard]] std::size_t content_head_size(const Method& m, wire::bytes_view properties) noexcept {
    return method_frame_size(m) + header_frame_size(properties);
}

template <method Method>
std::uint8_t* put_content_head(std::uint8_t* to, std::uint16_t channel, const Method& m, wire::bytes_view properties,
                               std::uint64_t body_bytes) noexcept {
    return put_header_frame(put_method_frame(to, channel, m), channel, body_bytes, properties);
}

template <method Method>
[[nodiscard]] std::size_t content_size(const Method& m, wire::bytes_view properties, std::size_t body_bytes,
                                       std::uint32_t frame_max) noexcept {
    return content_head_size(m, properties) + body_frames_size(body_bytes, frame_max);
}

template <method Method>
std::uint8_t* put_content(std::uint8_t* to, std::uint16_t channel, const Method& m, wire::bytes_view properties,
                          wire::bytes_view body, std::uint32_t frame_max) noexcept {
    return put_body_frames(put_content_head(to, channel, m, properties, body.size()), channel, body, frame_max);
}

// For methods off the hot path: grows any container of bytes (std::string, std::vector<std::uint8_t>).
template <class Bytes, method Method>
void append_method(Bytes& out, std::uint16_t channel, const Method& m) {
    const std::size_t before = out.size();
    out.resize(before + method_frame_size(m));
    put_method_frame(reinterpret_cast<std::uint8_t*>(out.data()) + before, channel, m);
}

template <class Bytes, method Method>
void append_content(Bytes& out, std::uint16_t channel, const Method& m, wire::bytes_view properties,
                    wire::bytes_view body, std::uint32_t frame_max) {
    const std::size_t before = out.size();
    out.resize(before + content_size(m, properties, body.size(), frame_max));
    put_content(reinterpret_cast<std::uint8_t*>(out.data()) + before, channel, m, properties, body, frame_max);
}

}  // namespace linnet::amqp
