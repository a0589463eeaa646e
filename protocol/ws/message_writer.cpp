#include "protocol/ws/message_writer.hpp"

#include "protocol/wire/utf8.hpp"

#include <algorithm>

namespace linnet::ws {

std::uint8_t* outgoing_message::put(std::uint8_t* to) const noexcept {
    to = put_frame_header(to, header);
    std::uint8_t* const end = wire::put_bytes(to, payload.data(), payload.size());
    if (header.masked)
        apply_mask({to, payload.size()}, header.mask);
    return end;
}

outgoing_message message_writer::message(message_type type, wire::bytes_view payload, optional_mask mask) const {
    frame_header header{.payload_bytes = payload.size(),
                        .mask = mask.value_or(mask_key{}),
                        .masked = mask.has_value(),
                        .code = static_cast<opcode>(type)};
    if (compresses(payload.size())) {
        const auto smaller = deflater_->compress(payload);
        // Where it does not pay the message goes as it is, unless the peer's window must have seen it.
        if (smaller.size() < payload.size() || deflater_->context() == deflate_context::kept) {
            header.compressed = true;
            header.payload_bytes = smaller.size();
            payload = smaller;
        }
    }
    return {header, payload};
}

control_frame::control_frame(opcode code, wire::bytes_view payload, optional_mask mask) noexcept {
    LINNET_WIRE_CHECK(payload.size() <= control_payload_bytes_max);
    payload = payload.first(std::min(payload.size(), control_payload_bytes_max));
    std::uint8_t* to = bytes_.data();
    *to++ = static_cast<std::uint8_t>(0x80U | static_cast<unsigned>(code));
    *to++ = static_cast<std::uint8_t>((mask ? 0x80U : 0U) | payload.size());
    if (mask)
        to = mask->put(to);
    std::copy(payload.begin(), payload.end(), to);
    if (mask)
        apply_mask({to, payload.size()}, *mask);
    size_ = static_cast<std::uint8_t>(to + payload.size() - bytes_.data());
}

control_frame control_frame::close(close_code code, std::string_view reason, optional_mask mask) noexcept {
    if (code == close_code::no_status)
        return {opcode::close, {}, mask};
    LINNET_WIRE_CHECK(may_be_sent(code));
    std::array<std::uint8_t, control_payload_bytes_max> payload;
    const auto text = wire::utf8_prefix(reason, payload.size() - 2);
    std::uint8_t* to = wire::store(payload.data(), static_cast<std::uint16_t>(code));
    to = wire::put_bytes(to, text.data(), text.size());
    return {opcode::close, {payload.data(), static_cast<std::size_t>(to - payload.data())}, mask};
}

}  // namespace linnet::ws
