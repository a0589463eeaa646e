// Puts messages and control frames into bytes.
//
// A message is one frame: its header, and the payload where it already lies, so that a large one need not be
// copied to be sent. A session that speaks a byte stream asks for the header of all it has to say at once.
//
// Owns:     nothing. Borrows the deflater, which several connections of a thread may share if it keeps no context.
// Fails:    cannot; reasons and payloads that are too long for a control frame are our own bug.
#pragma once

#include "protocol/wire/check.hpp"
#include "protocol/ws/deflater.hpp"
#include "protocol/ws/frame.hpp"

namespace linnet::ws {

// The header of a frame as bytes, inline.
struct frame_head {
    std::array<std::uint8_t, frame_header_bytes_max> bytes{};
    std::uint8_t size = 0;

    explicit frame_head(const frame_header& header) noexcept {
        size = static_cast<std::uint8_t>(put_frame_header(bytes.data(), header) - bytes.data());
    }
    [[nodiscard]] wire::bytes_view view() const noexcept { return {bytes.data(), size}; }
};

// What a message is on the wire. A client's payload is masked where it is copied: put() it, rather than sending
// both parts from where they are.
struct outgoing_message {
    frame_header header;
    wire::bytes_view payload;

    [[nodiscard]] std::size_t size() const noexcept { return header.size() + payload.size(); }
    // Writes size() bytes and returns the place behind them.
    std::uint8_t* put(std::uint8_t* to) const noexcept;
};

// Grows any container of bytes (std::string, std::vector<std::uint8_t>).
template <class Bytes>
void append(Bytes& out, const outgoing_message& message) {
    const std::size_t before = out.size();
    out.resize(before + message.size());
    message.put(reinterpret_cast<std::uint8_t*>(out.data()) + before);
}

// Servers give no masks, clients an unpredictable one for each frame.
using optional_mask = std::optional<mask_key>;

class message_writer {
public:
    static constexpr std::size_t compress_bytes_min_default = 256;

    message_writer() = default;
    // Smaller messages go uncompressed.
    explicit message_writer(deflater& compressor, std::size_t compress_bytes_min = compress_bytes_min_default) noexcept
        : deflater_{&compressor}, compress_bytes_min_{compress_bytes_min} {}

    // The payload is `payload`, or what lies in the deflater until its next message.
    [[nodiscard]] outgoing_message message(message_type type, wire::bytes_view payload, optional_mask mask = {}) const;

    // Whether message() would compress: otherwise the header below is all that is needed.
    [[nodiscard]] bool compresses(std::size_t payload_bytes) const noexcept {
        return deflater_ != nullptr && payload_bytes >= compress_bytes_min_;
    }

private:
    deflater* deflater_ = nullptr;
    std::size_t compress_bytes_min_ = 0;
};

// The header of an uncompressed message, whatever its payload is made of.
[[nodiscard]] inline frame_head head_of_message(message_type type, std::uint64_t payload_bytes) noexcept {
    return frame_head{{.payload_bytes = payload_bytes, .code = static_cast<opcode>(type)}};
}

// A whole control frame, inline.
class control_frame {
public:
    // A pong repeats its ping's payload; at most 125 bytes.
    [[nodiscard]] static control_frame ping(wire::bytes_view payload = {}, optional_mask mask = {}) noexcept {
        return {opcode::ping, payload, mask};
    }
    [[nodiscard]] static control_frame pong(wire::bytes_view payload, optional_mask mask = {}) noexcept {
        return {opcode::pong, payload, mask};
    }
    // The reason, UTF-8, is cut to what fits. no_status makes an empty close.
    [[nodiscard]] static control_frame close(close_code code, std::string_view reason = {},
                                             optional_mask mask = {}) noexcept;
    [[nodiscard]] static control_frame close(fault why, optional_mask mask = {}) noexcept {
        return close(close_code_of(why), describe(why), mask);
    }

    [[nodiscard]] wire::bytes_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    control_frame(opcode code, wire::bytes_view payload, optional_mask mask) noexcept;

    std::array<std::uint8_t, 2 + 4 + control_payload_bytes_max> bytes_;
    std::uint8_t size_ = 0;
};

}  // namespace linnet::ws
