#include "broker/session/websocket_session.hpp"

#include "broker/base/give_back.hpp"
#include "broker/core/shard.hpp"
#include "protocol/ws/message_writer.hpp"
#include "protocol/ws/origin.hpp"

#include <array>
#include <utility>

namespace linnet::session {
namespace {

// Inflated bytes are handed on before the next are made: all connections of a thread share the space.
std::span<std::uint8_t> inflate_space() {
    constexpr std::size_t bytes = 32 * 1024;
    thread_local const auto space = std::make_unique<std::array<std::uint8_t, bytes>>();
    return *space;
}

// Likewise for what is sent, which keeps no context (answer_websocket() asks for none).
ws::deflater& shared_deflater() {
    thread_local ws::deflater one{ws::deflater_settings{}};
    return one;
}

ws::reader_settings reader_settings_of(const websocket_session::settings& s) {
    ws::reader_settings r;
    r.takes_text = false;  // [MQTT-6.0.0-1]
    r.message_bytes_max = s.message_bytes_max;
    r.deflate = s.deflate.has_value();
    if (s.deflate) {
        r.peer_keeps_context = s.deflate->client_keeps_context;
        r.peer_window_bits = s.deflate->client_window_bits;
    }
    return r;
}

}  // namespace

websocket_session::websocket_session(host& outside, core::shard& s, const settings& agreed, const factory& make_inner)
    : outside_(outside),
      shard_(s),
      compresses_(agreed.deflate && agreed.deflate->server_window_bits == 15),
      ping_interval_(agreed.ping_interval),
      reader_(reader_settings_of(agreed), agreed.deflate ? inflate_space() : std::span<std::uint8_t>{}),
      said_(outside.out().pool()),
      inner_(make_inner(*this, s)),
      last_read_(s.now()) {
    shard_.note_connection_bytes(sizeof(websocket_session));
    if (ping_interval_ != 0) {
        shard_.timers().start(*this, last_read_ + ping_interval_);
    }
}

websocket_session::~websocket_session() {
    shard_.note_connection_bytes(-static_cast<std::int64_t>(sizeof(websocket_session)));
}

// ---- Input ---------------------------------------------------------------------------------------

// For input that may not be written to: it is unmasked in a copy, which is then taken whole.
std::size_t websocket_session::on_bytes(std::span<const std::uint8_t> in) {
    std::vector<std::uint8_t> copy(in.begin(), in.end());
    return on_input(copy);
}

std::size_t websocket_session::on_input(std::span<std::uint8_t> in) {
    const std::size_t all = in.size();
    last_read_ = shard_.now();
    asked_ = false;
    if (!held_.empty() && !paused_) {
        feed_held();
    }
    // What is left when the session within pauses comes again, unmasked as far as it is.
    while (!paused_ && !ended_) {
        const auto told = reader_.next(in);
        if (told.needs_more()) {
            return all;
        }
        if (told.is_malformed()) {
            end_with(ws::control_frame::close(told.reason()).view());
            break;
        }
        switch (told->what) {
            case ws::event::kind::data: hand_on(told->payload); break;
            case ws::event::kind::ping: send_control(ws::control_frame::pong(told->payload).view()); break;
            case ws::event::kind::pong: break;
            case ws::event::kind::close: end_with(ws::control_frame::close(told->code).view()); break;
        }
    }
    return ended_ ? all : all - in.size();
}

// A client that sends whole packets never makes it hold anything.
void websocket_session::hand_on(std::span<const std::uint8_t> payload) {
    if (closing_) {
        return;
    }
    if (held_.empty()) {
        const auto taken = inner_->on_bytes(payload);
        held_.assign(payload.begin() + static_cast<std::ptrdiff_t>(taken), payload.end());
        return;
    }
    held_.insert(held_.end(), payload.begin(), payload.end());
    feed_held();
}

void websocket_session::feed_held() {
    const auto taken = inner_->on_bytes(held_);
    if (taken == held_.size()) {
        give_back(held_);
    } else {
        held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(taken));
    }
}

void websocket_session::pause_reading() noexcept {
    paused_ = true;
    outside_.pause_reading();
}

void websocket_session::resume_reading() noexcept {
    paused_ = false;
    outside_.resume_reading();
}

// ---- Time ----------------------------------------------------------------------------------------

// A peer that vanished without a word would be kept for hours otherwise: between browsers and us there are proxies that
// drop silent connections. Of one that we do not read from nothing can be heard.
void websocket_session::on_timer(mono_ns now) {
    if (ended_) {
        return;
    }
    mono_ns next = last_read_ + ping_interval_;
    if (paused_) {
        next = now + ping_interval_;
    } else if (next <= now && asked_) {
        outside_.abort();
        return;
    } else if (next <= now) {
        asked_ = true;
        send_control(ws::control_frame::ping().view());
        next = now + ping_interval_;
    }
    shard_.timers().start(*this, next);
}

// ---- Output --------------------------------------------------------------------------------------

void websocket_session::close_after_flush() noexcept {
    closing_ = true;
    outside_.flush_soon();
}

void websocket_session::on_output_drained() {
    pass_output_on();
    if (!outside_.out().empty()) {
        outside_.flush_soon();
    }
}

void websocket_session::pass_output_on() {
    if (ended_) {
        said_.clear();
        return;
    }
    output& out = outside_.out();
    said_.set_stuck(out.stuck());
    if (!said_.empty() && (closing_ || !out.passes_high())) {
        static_cast<void>(said_.passes_high());  // the session within is told when that is over
        send_message();
    }
    if (closing_) {
        end_with(ws::control_frame::close(ws::close_code::normal).view());
    } else if (!out.passes_high() && said_.has_drained()) {
        inner_->on_output_drained();
    }
}

void websocket_session::send_message() {
    output& out = outside_.out();
    constexpr std::size_t compress_bytes_max = 256 * 1024;  // more would keep the others of this thread waiting
    const std::size_t bytes = said_.pending();
    if (!compresses_ || bytes < ws::message_writer::compress_bytes_min_default || bytes > compress_bytes_max) {
        out.append(ws::head_of_message(ws::message_type::binary, bytes).view());
        out.take_over(said_);
        return;
    }
    ws::deflater& d = shared_deflater();
    d.begin();
    while (!said_.empty()) {
        std::array<iovec, 16> pieces;
        const std::size_t n = said_.gather(pieces);
        std::size_t sum = 0;
        for (std::size_t i = 0; i < n; ++i) {
            d.add({static_cast<const std::uint8_t*>(pieces[i].iov_base), pieces[i].iov_len});
            sum += pieces[i].iov_len;
        }
        said_.consume(sum);
    }
    const auto small = d.finish();
    out.append(ws::frame_head{{.payload_bytes = small.size(), .compressed = true}}.view());
    out.append(small);
}

void websocket_session::send_control(std::span<const std::uint8_t> frame) {
    // Whoever asks for more answers than it reads gets none (RFC 6455, 5.5.3 allows it).
    if (!outside_.out().passes_high()) {
        outside_.out().append(frame);
        outside_.flush_soon();
    }
}

void websocket_session::end_with(std::span<const std::uint8_t> close_frame) {
    if (!std::exchange(ended_, true)) {
        said_.clear();
        outside_.out().append(close_frame);
        outside_.flush_soon();
        outside_.close_after_flush();
    }
}

// ---- Pages -----------------------------------------------------------------------------------------

bool page_may_call(std::string_view origin, std::string_view host, std::span<const std::string> allowed) {
    const std::vector<std::string_view> origins(allowed.begin(), allowed.end());
    return ws::may_connect(origin, host, {.allowed = origins, .same_host_allowed = !host.empty()});
}

// ---- The handshake -------------------------------------------------------------------------------

websocket_verdict answer_websocket(const websocket_request& request, const websocket_policy& policy) {
    const std::vector<std::string_view> origins(policy.origins.begin(), policy.origins.end());
    ws::upgrade_policy p;
    p.protocols = policy.protocols;
    p.origins.allowed = origins;
    if (policy.compress) {
        p.deflate = ws::deflate_policy{};
    }
    ws::upgrade_request r;
    r.method = request.method;
    r.http_1_1 = request.http_1_1;
    r.host = request.host;
    r.upgrade = request.upgrade;
    r.connection = request.connection;
    r.key = request.key;
    r.version = request.version;
    r.protocols = request.protocols;
    r.extensions = request.extensions;
    r.origin = request.origin;
    const auto answer = ws::answer_upgrade(r, p);
    websocket_verdict v;
    if (const auto* yes = std::get_if<ws::upgrade_accepted>(&answer)) {
        v.response = ws::to_response(*yes);
        v.accepted = true;
        v.protocol = yes->protocol;
        v.deflate = yes->deflate;
    } else {
        v.response = ws::to_response(std::get<ws::upgrade_refused>(answer));
    }
    return v;
}

}  // namespace linnet::session
