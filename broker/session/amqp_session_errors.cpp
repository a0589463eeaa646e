// What ends an AMQP connection, and in which words.

#include "broker/session/amqp_reply_text.hpp"
#include "broker/session/amqp_session.hpp"

#include <fmt/format.h>

namespace linnet::session {
namespace {

using amqp::reply_code;

}  // namespace

void amqp_session::fail(reply_code code, std::string_view text) {
    if (phase_ == phase::closing || phase_ == phase::done || phase_ == phase::refusing) {
        return;
    }
    const auto full = reply_text(code, text);
    log_trouble(fmt::format("closing the connection: {} {}", static_cast<unsigned>(code), full));
    if (phase_ == phase::starting || phase_ == phase::tuning) {
        hang_up_later();
        return;
    }
    release();
    send(0, amqp::connection_close{.code = static_cast<std::uint16_t>(code),
                                   .text = full,
                                   .class_number = amqp::class_of(method_),
                                   .method_number = amqp::method_of(method_)});
    phase_ = phase::closing;
    start_phase_timer(settings_.close_timeout);
    if (std::exchange(paused_, std::uint8_t{0}) != 0) {
        host_.resume_reading();  // whatever we waited for: the close-ok has to be read
    }
}

// Who breaks the rules before it is even let in hears nothing, and has to wait for that.
void amqp_session::hang_up_later() {
    phase_ = phase::refusing;
    start_phase_timer(settings_.refusal_delay);
}

void amqp_session::fail_method(amqp::fault why, wire::bytes_view arguments) {
    if (amqp::reply_code_of(why) == reply_code::frame_error) {
        fail(reply_code::frame_error, fmt::format("cannot decode {}", erlang_binary(arguments)));
    } else {
        fail(amqp::reply_code_of(why), amqp::describe(why));
    }
}

void amqp_session::fail_frame(std::uint8_t type, wire::bytes_view payload, std::string_view why) {
    method_ = 0;
    fail(reply_code::frame_error, fmt::format("type {}, all octets = {}: {}", type, erlang_binary(payload), why));
}

void amqp_session::unexpected_frame(const amqp::frame& f) {
    method_ = 0;
    fail(reply_code::unexpected_frame,
         fmt::format("type {}, all octets = {}", static_cast<unsigned>(f.type), erlang_binary(f.payload)));
}

// The stream is out of step: nothing that follows can be understood, not even a close-ok. Returns 0 while the
// rest of the frame, which the answer quotes, is still to come.
std::size_t amqp_session::refuse_frame(std::span<const std::uint8_t> in) {
    if (in.size() < amqp::frame_header_bytes) {
        return 0;
    }
    const std::size_t size = wire::load<std::uint32_t>(&in[3]);
    if (frame_limit() != 0 && size + amqp::frame_overhead_bytes > frame_limit()) {
        fail_frame(in[0], {},
                   fmt::format("{{frame_too_large,{},{}}}", size, tuned_.frame_max - amqp::frame_overhead_bytes));
    } else if (in.size() < size + amqp::frame_overhead_bytes) {
        return 0;
    } else {
        const auto payload = in.subspan(amqp::frame_header_bytes, size);
        const auto end = in[amqp::frame_header_bytes + size];
        fail_frame(in[0], payload,
                   end == amqp::frame_end ? std::string("unknown_frame")
                                          : fmt::format("{{invalid_frame_end_marker,{}}}", end));
    }
    if (phase_ == phase::closing) {
        finish();
    }
    return in.size();
}

void amqp_session::log_channel_error(std::uint16_t channel, reply_code code, std::string_view text) {
    log_trouble(fmt::format("channel {}: {} {}", channel, static_cast<unsigned>(code), text));
}

std::string_view amqp_session::state_name(phase p) noexcept {
    switch (p) {
        case phase::greeting: return "handshake";
        case phase::starting: return "starting";
        case phase::authenticating: return "securing";
        case phase::refusing: return "starting";
        case phase::tuning: return "tuning";
        case phase::opening: return "opening";
        case phase::running: return "running";
        case phase::leaving:
        case phase::closing: return "closing";
        case phase::done: return "closed";
    }
    return "";
}

void amqp_session::unexpected_method() {
    fail(reply_code::channel_error, fmt::format("unexpected method in connection state {}", state_name(phase_)));
}

}  // namespace linnet::session
