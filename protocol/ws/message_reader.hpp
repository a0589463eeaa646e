// Turns what one peer sends into messages and control frames, as the bytes arrive.
//
// A pull parser: next() takes from the front of the input until there is something to tell. Payload is unmasked
// where it lies and shown there, a piece for every piece that arrived: messages are nowhere gathered, since what
// is spoken over WebSocket here (AMQP, MQTT, STOMP) has packets of its own and does not care for frames.
//
// What is told does not depend on how the bytes were split, but for the cutting of a message into data events.
//
// Owns:     a header or control frame that has arrived in part (125 bytes, inline); while a compressed message is
//           under way, and between messages where the peer keeps its context, an inflater.
// Borrows:  the space for inflated bytes, which all connections of a thread may share. Views in an event lie in
//           it, in the input, or in the reader, and live until the next call.
// Bounds:   frames and messages by limits that count inflated bytes; an event has at most the space's size.
// Fails:    a fault is for ever. close_code_of() and describe() say what to tell the peer.
#pragma once

#include "protocol/ws/frame.hpp"
#include "protocol/ws/inflater.hpp"
#include "protocol/ws/utf8_stream.hpp"

#include <limits>
#include <memory>

namespace linnet::ws {

struct event {
    enum class kind : std::uint8_t { data, ping, pong, close };

    kind what = kind::data;
    // Of data only. A message is one event or more: the first has `first`, the last `last`. Only the last can be empty.
    message_type type = message_type::binary;
    bool first = false;
    bool last = false;
    // Of close only; no_status if there was none.
    close_code code = close_code::no_status;
    // Data, what a pong must repeat, or a close's reason.
    wire::bytes_view payload{};
};

struct reader_settings {
    static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

    role self = role::server;
    bool takes_text = true;
    std::uint64_t frame_bytes_max = unlimited;    // payload on the wire
    std::uint64_t message_bytes_max = unlimited;  // all its fragments, inflated
    // As negotiated (deflate_agreement), of what the peer sends.
    bool deflate = false;
    bool peer_keeps_context = true;
    int peer_window_bits = 15;
};

class message_reader {
public:
    // Without deflate the space may be empty; with it, 4 KiB and more make sense.
    explicit message_reader(const reader_settings& settings, std::span<std::uint8_t> inflate_space = {}) noexcept;
    message_reader(const message_reader&) = delete;
    message_reader& operator=(const message_reader&) = delete;
    ~message_reader() = default;

    // Moves `input` on. need_more means that it is empty now; otherwise what is left of it comes again with the next
    // call, untouched in between: it may be unmasked already. After a close frame everything is swallowed.
    [[nodiscard]] decoded<event> next(std::span<std::uint8_t>& input);

    // A close frame has come: nothing but ours may still be sent.
    [[nodiscard]] bool closed() const noexcept { return at_ == place::closed; }

private:
    enum class place : std::uint8_t { header, control, plain, compressed, closed, failed };
    struct inflated;

    [[nodiscard]] frame_rules rules() const noexcept {
        return {settings_.self, settings_.deflate, settings_.takes_text, message_open_};
    }
    [[nodiscard]] std::size_t take_header(std::span<std::uint8_t>& input);
    [[nodiscard]] std::size_t hold_header(std::span<std::uint8_t>& input);
    void begin_frame(const frame_header& header);
    [[nodiscard]] std::optional<fault> begin_data_frame(const frame_header& header);
    [[nodiscard]] decoded<event> take_control(std::span<std::uint8_t>& input) noexcept;
    [[nodiscard]] decoded<event> control_event(wire::bytes_view payload) noexcept;
    [[nodiscard]] decoded<event> close_event(wire::bytes_view payload) noexcept;
    [[nodiscard]] decoded<event> take_plain(std::span<std::uint8_t>& input) noexcept;
    [[nodiscard]] decoded<event> take_compressed(std::span<std::uint8_t>& input);
    [[nodiscard]] inflated inflate_some(std::span<std::uint8_t>& input);
    [[nodiscard]] inflater::progress inflate_payload(std::span<std::uint8_t>& input, std::span<std::uint8_t> out);
    [[nodiscard]] inflater::progress inflate_tail(std::span<std::uint8_t> out);
    [[nodiscard]] std::optional<fault> check_text(wire::bytes_view chunk, bool last) noexcept;
    [[nodiscard]] decoded<event> data_event(wire::bytes_view chunk, bool last) noexcept;
    [[nodiscard]] refused fail(fault why) noexcept;
    void unmask(std::span<std::uint8_t> bytes) noexcept;

    // Constant after construction.
    reader_settings settings_;
    std::span<std::uint8_t> space_;

    // Where we are.
    place at_ = place::header;
    fault fault_{};

    // The frame under way.
    opcode code_{};
    bool final_ = false;
    mask_key mask_{};
    std::uint64_t remaining_ = 0;     // payload that is still to come
    std::size_t unmasked_ahead_ = 0;  // bytes at the input's front that were unmasked and not yet inflated

    // The message under way.
    message_type type_{};
    bool message_open_ = false;
    bool compressed_ = false;
    bool first_ = false;
    bool has_payload_ = false;         // of a compressed one: there was at least one byte
    std::uint8_t tail_done_ = 0;       // bytes of the tail that were inflated
    std::uint64_t message_bytes_ = 0;  // announced by its frames, or inflated
    utf8_stream utf8_{};
    std::unique_ptr<inflater> inflater_;

    // Part of a header, or of a control frame's payload; never both.
    std::uint8_t held_bytes_ = 0;
    std::array<std::uint8_t, control_payload_bytes_max> held_;
};

}  // namespace linnet::ws
