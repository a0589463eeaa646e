// A client's bytes as the tests write them, a server that echoes, and what the client hears of it.
#pragma once

#include "protocol/ws/message_reader.hpp"
#include "protocol/ws/message_writer.hpp"
#include "protocol/ws/sha1.hpp"
#include "tests/protocol/hex.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::ws::test {

using linnet::test::bytes;
using linnet::test::from_hex;
using linnet::test::to_hex;

// ---- What a client sends -----------------------------------------------------------------------

inline constexpr mask_key client_mask{0x3D21FA37};
inline constexpr bool not_final = false;

// A frame with any opcode, legal or not, and any RSV bits (1 to 7, RSV1 being 4).
inline bytes frame(unsigned code, std::string_view payload, bool final = true, unsigned rsv = 0) {
    bytes out;
    append(out, outgoing_message{{.payload_bytes = payload.size(), .mask = client_mask, .masked = true},
                                 wire::as_bytes(payload)});
    out[0] = static_cast<std::uint8_t>((final ? 0x80U : 0U) | rsv << 4 | code);
    return out;
}

inline bytes text(std::string_view payload, bool final = true) { return frame(1, payload, final); }
inline bytes binary(std::string_view payload, bool final = true) { return frame(2, payload, final); }
inline bytes more(std::string_view payload, bool final = true) { return frame(0, payload, final); }
inline bytes ping(std::string_view payload = {}) { return frame(9, payload); }
inline bytes pong(std::string_view payload = {}) { return frame(10, payload); }
inline bytes close(unsigned code, std::string_view reason = {}) {
    const std::array head{static_cast<char>(code >> 8), static_cast<char>(code)};
    return frame(8, std::string(head.data(), head.size()).append(reason));
}

inline bytes operator+(bytes first, const bytes& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

// A message of fragments of at most `size` bytes.
inline bytes fragmented(unsigned code, std::string_view payload, std::size_t size) {
    bytes out;
    do {
        const auto part = payload.substr(0, size);
        payload.remove_prefix(part.size());
        out = std::move(out) + frame(code, part, payload.empty());
        code = 0;
    } while (!payload.empty());
    return out;
}

// ---- What anybody hears ------------------------------------------------------------------------

using transcript = std::vector<std::string>;

// Long payloads by length and digest, so that a failure can be read.
inline std::string shown(wire::bytes_view payload) {
    if (payload.size() <= 128)
        return std::string{wire::as_text(payload)};
    return std::to_string(payload.size()) + " bytes " + to_hex(sha1(payload));
}
inline std::string shown(std::string_view payload) { return shown(wire::as_bytes(payload)); }

// Gathers events into whole messages, and checks what every sequence of events promises.
class listener {
public:
    explicit listener(const reader_settings& settings, std::size_t space_bytes = 4096)
        : space_(space_bytes), reader_{settings, space_} {}

    // Takes all of it; false once there was a fault. `input` is changed.
    template <class Handler>
    bool hear(std::span<std::uint8_t> input, Handler&& handle) {
        for (;;) {
            const auto told = reader_.next(input);
            if (told.needs_more()) {
                broken_promise_ = broken_promise_ || !input.empty() || told.bytes_needed() == 0;
                return true;
            }
            if (told.is_malformed()) {
                why_ = told.reason();
                return false;
            }
            if (told->what != event::kind::data) {
                handle(*told, told->payload);
                continue;
            }
            broken_promise_ = broken_promise_ || told->first != gathered_.empty() ||
                              (told->payload.empty() && !told->last) || (open_ && told->first) ||
                              (!open_ && !told->first);
            open_ = !told->last;
            gathered_.insert(gathered_.end(), told->payload.begin(), told->payload.end());
            if (told->last) {
                handle(*told, wire::bytes_view{gathered_});
                gathered_.clear();
            }
        }
    }

    [[nodiscard]] std::optional<fault> why() const { return why_; }
    [[nodiscard]] bool broken_promise() const { return broken_promise_; }
    [[nodiscard]] bool closed() const { return reader_.closed(); }
    [[nodiscard]] bool within_message() const { return open_; }

private:
    bytes space_;
    message_reader reader_;
    bytes gathered_;
    bool open_ = false;
    bool broken_promise_ = false;
    std::optional<fault> why_;
};

inline std::string line_of(const event& told, wire::bytes_view payload) {
    switch (told.what) {
        case event::kind::data: return (told.type == message_type::text ? "text " : "binary ") + shown(payload);
        case event::kind::ping: return "ping " + shown(payload);
        case event::kind::pong: return "pong " + shown(payload);
        case event::kind::close:
            return "close " + std::to_string(static_cast<unsigned>(told.code)) + (payload.empty() ? "" : " ") +
                   shown(payload);
    }
    return {};
}

// What a client hears that reads all of `stream`.
inline transcript heard_by_client(bytes stream, reader_settings settings) {
    settings.self = role::client;
    transcript lines;
    listener client{settings};
    if (!client.hear(stream,
                     [&](const event& told, wire::bytes_view payload) { lines.push_back(line_of(told, payload)); }))
        lines.push_back("FAULT " + std::string{describe(*client.why())});
    if (client.broken_promise())
        lines.push_back("BROKEN PROMISE");
    if (client.within_message())
        lines.push_back("HALF A MESSAGE");
    return lines;
}

// A server as Autobahn wants one: repeats messages, answers pings, repeats a close's code, says what is wrong.
class echo_server {
public:
    explicit echo_server(const reader_settings& settings, deflater* compressor = nullptr)
        : listener_{settings}, writer_{compressor ? message_writer{*compressor, 0} : message_writer{}} {}

    void receive(wire::bytes_view arrived) {
        if (failed_)
            return;
        bytes exact(arrived.begin(), arrived.end());  // so that AddressSanitizer sees a step beyond
        failed_ = !listener_.hear(exact, [&](const event& told, wire::bytes_view payload) { answer(told, payload); });
        if (failed_)
            say(control_frame::close(*listener_.why()));
    }

    [[nodiscard]] const bytes& sent() const { return sent_; }
    [[nodiscard]] const listener& heard() const { return listener_; }

private:
    void answer(const event& told, wire::bytes_view payload) {
        switch (told.what) {
            case event::kind::data: append(sent_, writer_.message(told.type, payload)); break;
            case event::kind::ping: say(control_frame::pong(payload)); break;
            case event::kind::pong: break;
            case event::kind::close: say(control_frame::close(told.code)); break;
        }
    }
    void say(const control_frame& frame) { sent_ = std::move(sent_) + bytes(frame.view().begin(), frame.view().end()); }

    listener listener_;
    message_writer writer_;
    bytes sent_;
    bool failed_ = false;
};

}  // namespace linnet::ws::test
