// The input of an AMQP session: the way of frames to the channels they belong to.

#include "broker/session/amqp_channel.hpp"
#include "broker/session/amqp_session.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

using amqp::reply_code;

}  // namespace

std::size_t amqp_session::on_bytes(std::span<const std::uint8_t> in) {
    last_read_ = shard_.now();
    begin_batch();
    std::size_t used = 0;
    while (paused_ == 0 && used < in.size()) {
        const auto n = take_step(in.subspan(used));
        if (n == 0) {
            break;
        }
        used += n;
        if (output_full_) [[unlikely]] {
            stop_reading_if_stuck();
        }
    }
    end_batch();
    return used;
}

// Who publishes while it takes no deliveries is read on: it may well be in a callback that must send before it reads.
// What answers its own requests can still grow; there is an end to that.
void amqp_session::stop_reading_if_stuck() {
    if (out_.pending() > stuck_at_) {
        pause(wait_output);
    }
}

std::size_t amqp_session::take_step(std::span<const std::uint8_t> in) {
    if (body_.active) [[unlikely]] {
        return take_body_stream(in);
    }
    if (phase_ == phase::running) [[likely]] {
        if (owed_ != nullptr && !may_follow(in)) [[unlikely]] {
            pause(wait_reply);
            return 0;
        }
        return take_frame(in);
    }
    if (phase_ == phase::greeting) {
        return take_greeting(in);
    }
    if (phase_ == phase::done || phase_ == phase::refusing) {
        return in.size();
    }
    return take_frame(in);
}

std::size_t amqp_session::take_greeting(std::span<const std::uint8_t> in) {
    switch (amqp::match_protocol_header(in)) {
        case amqp::protocol_match::need_more: return 0;
        case amqp::protocol_match::mismatch:
            log_trouble("not AMQP 0-9-1: the first bytes are not its header");
            append(amqp::protocol_header);
            finish();
            return in.size();
        case amqp::protocol_match::complete: break;
    }
    phase_ = phase::starting;
    send_start();
    return amqp::protocol_header.size();
}

std::size_t amqp_session::take_frame(std::span<const std::uint8_t> in) {
    const auto f = amqp::decode_frame(in, frame_limit());
    if (!f) [[unlikely]] {
        if (f.needs_more()) {
            return take_partial(in);
        }
        return refuse_frame(in);
    }
    if (f->channel == 0 || phase_ != phase::running) [[unlikely]] {
        handle_frame(*f);
        return f->size();
    }
    if (f->type == amqp::frame_type::method && f->payload.size() >= sizeof(amqp::method_id) &&
        wire::load<amqp::method_id>(f->payload.data()) == amqp::basic_publish::id) [[likely]] {
        if (alarms_) [[unlikely]] {
            pause(wait_memory);
            return 0;
        }
        if (const auto n = take_publish(*f, in); n != 0) [[likely]] {
            return n;
        }
    }
    handle_frame(*f);
    return f->size();
}

// While answers are owed only what is answered in the same way, and so in order, may be carried out.
bool amqp_session::may_follow(std::span<const std::uint8_t> in) const {
    const auto type = static_cast<amqp::frame_type>(in[0]);
    const auto f = amqp::decode_frame(in, frame_limit());
    if (!f) {
        return f.needs_more() && type != amqp::frame_type::body;  // of which parts are taken
    }
    if (type != amqp::frame_type::method || f->payload.size() < sizeof(amqp::method_id)) {
        return type == amqp::frame_type::heartbeat;
    }
    switch (wire::load<amqp::method_id>(f->payload.data())) {
        case amqp::exchange_declare::id:
        case amqp::exchange_delete::id:
        case amqp::exchange_bind::id:
        case amqp::exchange_unbind::id:
        case amqp::queue_declare::id:
        case amqp::queue_bind::id:
        case amqp::queue_unbind::id:
        case amqp::queue_delete::id: return true;
        default: return false;
    }
}

// Method, header and body at once, when they are all here: the hot path. Else 0, and the frames go one by one.
std::size_t amqp_session::take_publish(const amqp::frame& f, std::span<const std::uint8_t> in) {
    auto* const c = find_channel(f.channel);
    if (c == nullptr || c->closing() || !c->between_contents()) [[unlikely]] {
        return 0;
    }
    auto used = f.size();
    const auto head = amqp::decode_frame(in.subspan(used), frame_limit());
    if (!head || head->type != amqp::frame_type::header || head->channel != f.channel) [[unlikely]] {
        return 0;
    }
    used += head->size();
    const auto content = amqp::decode_content_header(head->payload);
    if (!content || content->weight != 0 || content->class_number != static_cast<std::uint16_t>(amqp::class_id::basic))
        [[unlikely]] {
        return 0;
    }
    wire::bytes_view body;
    if (content->body_size != 0) {
        const auto part = amqp::decode_frame(in.subspan(used), frame_limit());
        if (!part || part->type != amqp::frame_type::body || part->channel != f.channel ||
            part->payload.size() != content->body_size) [[unlikely]] {
            return 0;
        }
        body = part->payload;
        used += part->size();
    }
    const auto m = amqp::decode<amqp::basic_publish>(f.payload.subspan(sizeof(amqp::method_id)));
    if (!m) [[unlikely]] {
        return 0;
    }
    method_ = amqp::basic_publish::id;
    c->on_publish(*m, content->properties, body);
    return used;
}

// The front of a frame. Only a body that a channel is waiting for is worth taking in pieces.
std::size_t amqp_session::take_partial(std::span<const std::uint8_t> in) {
    if (phase_ != phase::running || in.size() <= amqp::frame_header_bytes ||
        static_cast<amqp::frame_type>(in[0]) != amqp::frame_type::body) {
        return 0;
    }
    const auto number = wire::load<std::uint16_t>(&in[1]);
    const auto* c = find_channel(number);
    if (c == nullptr || (!c->closing() && !c->expects_body())) {
        return 0;
    }
    body_ = {.left = wire::load<std::uint32_t>(&in[3]), .channel = number, .active = true};
    return amqp::frame_header_bytes + take_body_stream(in.subspan(amqp::frame_header_bytes));
}

std::size_t amqp_session::take_body_stream(std::span<const std::uint8_t> in) {
    const auto n = std::min<std::size_t>(in.size(), body_.left);
    body_.left -= static_cast<std::uint32_t>(n);
    if (n != 0 && phase_ == phase::running) {
        if (auto* c = find_channel(body_.channel); c != nullptr && !c->closing()) {
            c->on_body(in.first(n));
        }
    }
    if (n == in.size()) {
        return n;
    }
    body_.active = false;
    if (in[n] != amqp::frame_end) {
        fail_frame(static_cast<std::uint8_t>(amqp::frame_type::body), {},
                   fmt::format("{{invalid_frame_end_marker,{}}}", in[n]));
        finish();
        return in.size();
    }
    return n + 1;
}

void amqp_session::handle_frame(const amqp::frame& f) {
    if (phase_ == phase::closing && (f.channel != 0 || f.type != amqp::frame_type::method)) {
        return;
    }
    if (f.type == amqp::frame_type::heartbeat) {
        if (!f.payload.empty()) {
            fail_frame(static_cast<std::uint8_t>(f.type), f.payload, "unknown_frame");
        } else if (f.channel != 0) {
            unexpected_frame(f);
        }
        return;
    }
    f.channel == 0 ? handle_connection_frame(f) : handle_channel_frame(f);
}

void amqp_session::handle_connection_frame(const amqp::frame& f) {
    if (f.type != amqp::frame_type::method) {
        unexpected_frame(f);
        return;
    }
    const auto id = amqp::decode_method_id(f.payload);
    if (!id) {
        fail_frame(static_cast<std::uint8_t>(f.type), f.payload, "unknown_frame");
        return;
    }
    if (phase_ == phase::closing && *id != amqp::connection_close_ok::id && *id != amqp::connection_close::id) {
        return;
    }
    method_ = *id;
    const auto arguments = f.payload.subspan(sizeof(amqp::method_id));
    if (const auto why = amqp::visit_method(*id, arguments, [this](const auto& m) { on(m); })) {
        fail_method(*why, arguments);
    }
}

void amqp_session::handle_channel_frame(const amqp::frame& f) {
    if (phase_ == phase::leaving) {
        return;
    }
    if (phase_ != phase::running) {
        unexpected_frame(f);
        return;
    }
    if ((f.type == amqp::frame_type::method && f.payload.size() < sizeof(amqp::method_id)) ||
        (f.type == amqp::frame_type::header && f.payload.size() < amqp::content_header_fixed_bytes)) {
        fail_frame(static_cast<std::uint8_t>(f.type), f.payload, "unknown_frame");
        return;
    }
    auto* const c = find_channel(f.channel);
    if (c == nullptr) {
        handle_unopened(f);
        return;
    }
    const bool is_method = f.type == amqp::frame_type::method;
    const auto id = is_method ? wire::load<amqp::method_id>(f.payload.data()) : amqp::method_id{0};
    if (c->closing()) {
        handle_closing(f.channel, id);
        return;
    }
    if (is_method) {
        if (id == amqp::channel_close::id && c->between_contents()) {
            method_ = id;
            c->flush_confirms();  // of what came before, in the same breath
            close_channel(f.channel);
            send(f.channel, amqp::channel_close_ok{});
            return;
        }
        c->on_method(id, f.payload.subspan(sizeof(amqp::method_id)));
        return;
    }
    // Whatever is wrong with a content, the publish is to blame.
    method_ = c->between_contents() ? amqp::method_id{0} : amqp::basic_publish::id;
    f.type == amqp::frame_type::header ? c->on_header(f.payload) : c->on_body(f.payload);
}

// After a channel error: everything is ignored until the client has heard of it.
void amqp_session::handle_closing(std::uint16_t number, amqp::method_id id) {
    switch (id) {
        case amqp::channel_close_ok::id: close_channel(number); break;
        case amqp::channel_close::id: send(number, amqp::channel_close_ok{}); break;
        case amqp::channel_open::id:
            method_ = id;
            fail(reply_code::channel_error, "second 'channel.open' seen");
            break;
        default: break;
    }
}

void amqp_session::handle_unopened(const amqp::frame& f) {
    method_ = 0;
    if (f.type != amqp::frame_type::method) {
        fail(reply_code::unexpected_frame, "expected method frame, got non method frame instead");
        return;
    }
    method_ = wire::load<amqp::method_id>(f.payload.data());
    if (method_ != amqp::channel_open::id) {
        fail(reply_code::channel_error, "expected 'channel.open'");
        return;
    }
    open_channel(f.channel);
}

namespace {

constexpr auto by_number = [](const auto& entry, std::uint16_t number) { return entry.number < number; };

}  // namespace

amqp_channel* amqp_session::search_channel(std::uint16_t number) const noexcept {
    const auto at = std::lower_bound(channels_.begin(), channels_.end(), number, by_number);
    return at != channels_.end() && at->number == number ? at->channel.get() : nullptr;
}

// As RabbitMQ: channel_max bounds how many there are, not their numbers.
void amqp_session::open_channel(std::uint16_t number) {
    if (tuned_.channel_max != 0 && channels_.size() >= tuned_.channel_max) {
        method_ = 0;
        fail(reply_code::not_allowed,
             fmt::format("number of channels opened ({}) has reached the negotiated channel_max ({})", channels_.size(),
                         tuned_.channel_max));
        return;
    }
    const auto at = std::lower_bound(channels_.begin(), channels_.end(), number, by_number);
    channels_.insert(at, {number, std::make_unique<amqp_channel>(*this, number, ++channels_made_ << 16 | number)});
    send(number, amqp::channel_open_ok{});
}

void amqp_session::close_channel(std::uint16_t number) {
    const auto entry = std::lower_bound(channels_.begin(), channels_.end(), number, by_number);
    auto& c = *entry->channel;
    c.release();
    if (c.dirty) {
        auto** at = &dirty_;
        while (*at != &c) {
            at = &(*at)->next_dirty;
        }
        *at = c.next_dirty;
    }
    channels_.erase(entry);
}

}  // namespace linnet::session
