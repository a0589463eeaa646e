// Why bytes that a peer has sent are not WebSocket, and what its close frame should say.
#pragma once

#include "protocol/wire/decoded.hpp"
#include "protocol/ws/close_code.hpp"

#include <cstdint>
#include <string_view>

namespace linnet::ws {

enum class fault : std::uint8_t {
    reserved_bits,            // an RSV bit that no negotiated extension gives a meaning here
    opcode_reserved,          // 3 to 7, 11 to 15
    control_fragmented,       // a ping, pong or close without FIN
    control_too_large,        // more than 125 bytes
    continuation_unexpected,  // there is no message to continue
    message_interrupted,      // a new message before the last fragment of the one before
    mask_missing,             // from a client
    mask_unexpected,          // from a server
    length_not_minimal,
    length_too_large,  // bit 63 is set
    frame_too_large,
    message_too_large,
    text_refused,  // this conversation is binary
    utf8_invalid,
    deflate_invalid,
    close_too_short,  // one byte of payload: half a code
    close_code_invalid,
};

template <class Value>
using decoded = wire::decoded<Value, fault>;

using refused = wire::malformed<fault>;

constexpr close_code close_code_of(fault why) noexcept {
    switch (why) {
        case fault::reserved_bits:
        case fault::opcode_reserved:
        case fault::control_fragmented:
        case fault::control_too_large:
        case fault::continuation_unexpected:
        case fault::message_interrupted:
        case fault::mask_missing:
        case fault::mask_unexpected:
        case fault::length_not_minimal:
        case fault::length_too_large:
        case fault::close_too_short:
        case fault::close_code_invalid: return close_code::protocol_error;
        case fault::frame_too_large:
        case fault::message_too_large: return close_code::message_too_big;
        case fault::text_refused: return close_code::unsupported_data;
        case fault::utf8_invalid:
        case fault::deflate_invalid: return close_code::invalid_payload;
    }
    return close_code::internal_error;
}

// Short enough for a close frame's reason.
constexpr std::string_view describe(fault why) noexcept {
    switch (why) {
        case fault::reserved_bits: return "reserved bit set";
        case fault::opcode_reserved: return "reserved opcode";
        case fault::control_fragmented: return "fragmented control frame";
        case fault::control_too_large: return "control frame larger than 125 bytes";
        case fault::continuation_unexpected: return "continuation of no message";
        case fault::message_interrupted: return "new message within a fragmented one";
        case fault::mask_missing: return "frame without a mask";
        case fault::mask_unexpected: return "frame with a mask";
        case fault::length_not_minimal: return "length not in its shortest form";
        case fault::length_too_large: return "length above 2^63 - 1";
        case fault::frame_too_large: return "frame too large";
        case fault::message_too_large: return "message too large";
        case fault::text_refused: return "text message where only binary ones are spoken";
        case fault::utf8_invalid: return "text is not UTF-8";
        case fault::deflate_invalid: return "invalid compressed data";
        case fault::close_too_short: return "close frame with half a code";
        case fault::close_code_invalid: return "invalid close code";
    }
    return "unknown fault";
}

}  // namespace linnet::ws
