// The header of one frame: found at the front of what has arrived, or written in front of what is sent.
//
//     FIN RSV1-3 opcode | MASK length (7 bits) | 0, 2 or 8 octets of length | 4 octets of mask, if MASK
//
// What can be refused is refused at the earliest octet, and always the same is: the faults are looked for in the
// order of the octets, so a header that comes octet by octet meets the same fate as one that comes whole.
#pragma once

#include "protocol/wire/bytes.hpp"
#include "protocol/ws/fault.hpp"
#include "protocol/ws/mask.hpp"

#include <array>
#include <optional>

namespace linnet::ws {

// Which side of the connection we are: a client masks, a server does not.
enum class role : std::uint8_t { server, client };

enum class opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

[[nodiscard]] constexpr bool is_control(opcode code) noexcept { return (static_cast<unsigned>(code) & 8) != 0; }

// The opcodes of messages.
enum class message_type : std::uint8_t { text = 1, binary = 2 };

inline constexpr std::size_t frame_header_bytes_max = 14;
inline constexpr std::size_t control_payload_bytes_max = 125;

struct frame_header {
    std::uint64_t payload_bytes = 0;
    // If `masked`. Not an optional: that is copied in one piece right after it was written in two, which stalls the
    // processor (bench_ws_codec, read_binary).
    mask_key mask{};
    bool masked = false;
    opcode code = opcode::binary;
    bool final = true;
    bool compressed = false;  // RSV1, which permessage-deflate sets on a message's first frame

    // How long it is on the wire.
    [[nodiscard]] constexpr std::size_t size() const noexcept {
        const std::size_t length = payload_bytes < 126 ? 0 : payload_bytes <= 0xFFFF ? 2 : 8;
        return 2 + length + (masked ? 4 : 0);
    }
    bool operator==(const frame_header&) const = default;
};

// What the next header may be.
struct frame_rules {
    role self = role::server;
    bool deflate = false;       // permessage-deflate has been negotiated
    bool takes_text = true;     // or binary messages only
    bool message_open = false;  // the last data frame was not the last fragment of its message
};

namespace detail {

[[nodiscard]] constexpr bool is_data(opcode code) noexcept { return code == opcode::text || code == opcode::binary; }

[[nodiscard]] constexpr std::optional<fault> refuse_first_octet(std::uint8_t octet, const frame_rules& rules) noexcept {
    const auto code = static_cast<opcode>(octet & 0x0F);
    // RSV1 stands on the first frame of a message only, never on a control frame (RFC 7692, 6).
    if ((octet & 0x30) != 0 || ((octet & 0x40) != 0 && !(rules.deflate && is_data(code))))
        return fault::reserved_bits;
    if (is_control(code)) {
        if (code > opcode::pong)
            return fault::opcode_reserved;
        return (octet & 0x80) == 0 ? std::optional{fault::control_fragmented} : std::nullopt;
    }
    if (code > opcode::binary)
        return fault::opcode_reserved;
    if (code == opcode::continuation)
        return rules.message_open ? std::nullopt : std::optional{fault::continuation_unexpected};
    if (rules.message_open)
        return fault::message_interrupted;
    if (code == opcode::text && !rules.takes_text)
        return fault::text_refused;
    return std::nullopt;
}

[[nodiscard]] constexpr std::optional<fault> refuse_second_octet(std::uint8_t octet, opcode code, role self) noexcept {
    const bool masked = (octet & 0x80) != 0;
    if (masked != (self == role::server))
        return masked ? fault::mask_unexpected : fault::mask_missing;
    if (is_control(code) && (octet & 0x7F) > control_payload_bytes_max)
        return fault::control_too_large;
    return std::nullopt;
}

}  // namespace detail

// Inline: a header that travels through memory as a return value costs more than its decoding (bench_ws_codec,
// read_binary).
[[nodiscard]] inline decoded<frame_header> decode_frame_header(wire::bytes_view input,
                                                               const frame_rules& rules) noexcept {
    const std::size_t mask_bytes = rules.self == role::server ? 4 : 0;
    if (input.empty())
        return wire::need_more{2 + mask_bytes};
    if (const auto why = detail::refuse_first_octet(input[0], rules)) [[unlikely]]
        return refused{*why};
    if (input.size() < 2)
        return wire::need_more{2 + mask_bytes};
    frame_header header;
    header.code = static_cast<opcode>(input[0] & 0x0F);
    header.final = (input[0] & 0x80) != 0;
    header.compressed = (input[0] & 0x40) != 0;
    if (const auto why = detail::refuse_second_octet(input[1], header.code, rules.self)) [[unlikely]]
        return refused{*why};

    const std::uint8_t short_length = input[1] & 0x7F;
    const std::size_t length_bytes = short_length < 126 ? 0 : short_length == 126 ? 2 : 8;
    const std::size_t total = 2 + length_bytes + mask_bytes;
    if (input.size() < 2 + length_bytes)
        return wire::need_more{total};
    header.payload_bytes = short_length;
    if (length_bytes == 2) {
        header.payload_bytes = wire::load<std::uint16_t>(&input[2]);
        if (header.payload_bytes < 126) [[unlikely]]
            return refused{fault::length_not_minimal};
    } else if (length_bytes == 8) {
        header.payload_bytes = wire::load<std::uint64_t>(&input[2]);
        if (header.payload_bytes <= 0xFFFF) [[unlikely]]
            return refused{fault::length_not_minimal};
        if (header.payload_bytes >> 63 != 0) [[unlikely]]
            return refused{fault::length_too_large};
    }
    if (input.size() < total)
        return wire::need_more{total};
    if (mask_bytes != 0)
        header.mask = mask_key::at(&input[total - 4]);
    header.masked = mask_bytes != 0;
    return header;
}

// Writes size() octets and returns the place behind them.
inline std::uint8_t* put_frame_header(std::uint8_t* to, const frame_header& header) noexcept {
    const auto flags = (header.final ? 0x80U : 0U) | (header.compressed ? 0x40U : 0U);
    const auto mask_bit = header.masked ? 0x80U : 0U;
    *to++ = static_cast<std::uint8_t>(flags | static_cast<unsigned>(header.code));
    if (header.payload_bytes < 126) {
        *to++ = static_cast<std::uint8_t>(mask_bit | header.payload_bytes);
    } else if (header.payload_bytes <= 0xFFFF) {
        *to++ = static_cast<std::uint8_t>(mask_bit | 126U);
        to = wire::store(to, static_cast<std::uint16_t>(header.payload_bytes));
    } else {
        *to++ = static_cast<std::uint8_t>(mask_bit | 127U);
        to = wire::store(to, header.payload_bytes);
    }
    return header.masked ? header.mask.put(to) : to;
}

}  // namespace linnet::ws
