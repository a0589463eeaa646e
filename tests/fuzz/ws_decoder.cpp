// Feeds bytes of any kind to the WebSocket codec, as a server and as a client would, with and without compression.
//
// Beyond crashes it looks for disagreements: the same bytes must tell the same messages and end in the same fault,
// however they are cut; limits must hold; a handshake that we offer must be one that we accept. A disagreement
// aborts, which libFuzzer reports like a crash.
//
// The first octet: bit 7 for the handshake's headers, else bit 0 for a client, 1 for compression, 2 for a peer that
// keeps its context, 3 for binary only, 4 for tight limits, 5 for a small window. The second one says how the rest is
// cut.
#include "protocol/wire/utf8.hpp"
#include "protocol/ws/handshake.hpp"
#include "protocol/ws/message_reader.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace linnet;

constexpr std::uint64_t tight_bytes = 300;

void require(bool condition) {
    if (!condition)
        std::abort();
}

struct conversation {
    std::vector<std::string> told;  // whole messages and control frames
    std::string unfinished;         // of the message under way
    std::optional<ws::fault> why;

    bool operator==(const conversation& other) const {
        // How much of a message was told before its fault depends on where it was cut.
        return told == other.told && why == other.why && (why || unfinished == other.unfinished);
    }
};

class hearing {
public:
    hearing(const ws::reader_settings& settings, std::size_t space_bytes)
        : settings_{settings}, space_(space_bytes), reader_{settings, space_} {}

    // False once there is a fault.
    bool hear(wire::bytes_view piece) {
        // Of the exact size, so that AddressSanitizer sees the first octet beyond it.
        std::vector<std::uint8_t> exact(piece.begin(), piece.end());
        std::span<std::uint8_t> input{exact};
        for (;;) {
            const auto event = reader_.next(input);
            if (event.needs_more()) {
                require(input.empty() && event.bytes_needed() > 0);
                return true;
            }
            if (event.is_malformed()) {
                heard_.why = event.reason();
                require(reader_.next(input).reason() == event.reason());
                return false;
            }
            take(*event);
        }
    }

    [[nodiscard]] const conversation& heard() const { return heard_; }

private:
    void take(const ws::event& event) {
        const std::string_view payload = wire::as_text(event.payload);
        if (event.what != ws::event::kind::data) {
            require(payload.size() <= ws::control_payload_bytes_max);
            heard_.told.push_back(std::to_string(static_cast<int>(event.what)) +
                                  std::to_string(static_cast<int>(event.code)) + std::string{payload});
            return;
        }
        require(event.first == !open_);
        require(!payload.empty() || event.last);
        open_ = !event.last;
        heard_.unfinished += payload;
        require(heard_.unfinished.size() <= settings_.message_bytes_max);
        require(settings_.takes_text || event.type == ws::message_type::binary);
        if (event.last) {
            if (event.type == ws::message_type::text)
                require(wire::is_utf8(heard_.unfinished));
            heard_.told.push_back(std::to_string(static_cast<int>(event.type)) + heard_.unfinished);
            heard_.unfinished.clear();
        }
    }

    ws::reader_settings settings_;
    std::vector<std::uint8_t> space_;
    ws::message_reader reader_;
    conversation heard_;
    bool open_ = false;
};

// `pattern` 0: in one piece; otherwise pieces of pseudo-random sizes, one octet each for 1.
conversation listen(wire::bytes_view stream, const ws::reader_settings& settings, std::uint32_t pattern) {
    hearing one{settings, pattern % 3 == 0 ? 4096 : 1 + pattern * 37 % 500};
    std::uint32_t state = pattern;
    while (!stream.empty()) {
        state = state * 1664525 + 1013904223;
        const std::size_t wanted = pattern == 0 ? stream.size() : pattern == 1 ? 1 : 1 + (state >> 16) % 40;
        const auto piece = stream.first(std::min(wanted, stream.size()));
        stream = stream.subspan(piece.size());
        if (!one.hear(piece))
            break;
    }
    return one.heard();
}

void check_frames(wire::bytes_view stream, std::uint8_t flags, std::uint8_t pattern) {
    const std::uint64_t limit = (flags & 16) != 0 ? tight_bytes : 1 << 20;
    const ws::reader_settings settings{.self = (flags & 1) != 0 ? ws::role::client : ws::role::server,
                                       .takes_text = (flags & 8) == 0,
                                       .frame_bytes_max = limit,
                                       .message_bytes_max = limit,
                                       .deflate = (flags & 2) != 0,
                                       .peer_keeps_context = (flags & 4) != 0,
                                       .peer_window_bits = (flags & 32) != 0 ? 9 : 15};
    const conversation whole = listen(stream, settings, 0);
    const conversation by_octets = listen(stream, settings, 1);
    const conversation in_pieces = listen(stream, settings, 2U + pattern);
    // Who refers further back than was agreed is found out or not: that depends on what is still there.
    require(settings.peer_window_bits < 15 || (by_octets == whole && in_pieces == whole));
}

// Whatever we would answer must be an answer that we would accept for the same offer, as a client.
void check_handshake(std::string_view text) {
    const std::string_view lines[] = {text.substr(0, text.find('\n')),
                                      text.substr(std::min(text.size(), text.find('\n')))};
    const ws::deflate_policy policy{.server_keeps_context = true, .client_keeps_context = true};
    const auto answer = ws::agree_on_deflate(lines, policy);
    if (const auto* agreed = std::get_if<ws::deflate_agreement>(&answer)) {
        require(agreed->server_window_bits >= 8 && agreed->server_window_bits <= 15);
        require(agreed->client_window_bits >= 8 && agreed->client_window_bits <= 15);
        const std::string header = ws::to_header(*agreed);
        const std::string_view answered[] = {header};
        const auto accepted = ws::accept_deflate(answered, {});
        require(std::get<ws::deflate_agreement>(accepted) == *agreed);
    }
    const std::string_view served[] = {"mqtt", "amqp"};
    const auto protocol = ws::choose_protocol(lines, served);
    require(!protocol || protocol->empty() ||
            std::find(std::begin(served), std::end(served), *protocol) != std::end(served));
    if (ws::is_key(lines[0]))
        require(!ws::is_key(lines[1]) || ws::accept_of(lines[0]) != ws::accept_of(lines[1]) || lines[0] == lines[1]);
    // A page may connect where it came from, if it can be told at all.
    const std::string_view list[] = {lines[1], "https://*.example.org"};
    const ws::origin_policy origins{.allowed = list, .same_host_allowed = false};
    require(ws::may_connect(lines[1], lines[0], origins));
    (void)ws::may_connect(lines[0], lines[1], origins);
    (void)ws::may_connect(lines[0], lines[1], {});
    (void)ws::lists_token(lines, "websocket");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2)
        return 0;
    const wire::bytes_view rest{data + 2, size - 2};
    if ((data[0] & 0x80) != 0)
        check_handshake(wire::as_text(rest));
    else
        check_frames(rest, data[0], data[1]);
    return 0;
}
