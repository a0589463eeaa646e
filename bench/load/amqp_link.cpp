#include "bench/load/amqp_link.hpp"

#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/methods.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace linnet::load {
namespace {

constexpr std::size_t ack_frame_bytes = 21;

// Tags are ours: small decimal numbers.
unsigned tag_number(const std::uint8_t* digits, std::size_t size) noexcept {
    unsigned number = 0;
    for (std::size_t i = 0; i < size; ++i)
        number = number * 10 + (digits[i] - '0');
    return number;
}

}  // namespace

void amqp_link::add_producer(std::uint16_t channel, ready_messages messages, schedule_stagger stagger) {
    channel_at(channel).producer = static_cast<int>(
        socket_link::add_producer(std::move(messages), stagger, options_.confirm_window));
}

unsigned amqp_link::add_subscription(std::uint16_t channel, const subscription_plan& which) {
    channel_at(channel);
    return socket_link::add_subscription(which);
}

amqp_link::channel_state& amqp_link::channel_at(std::uint16_t number) {
    if (number >= channels_.size())
        channels_.resize(number + 1U);
    return channels_[number];
}

std::size_t amqp_link::scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) {
    const std::uint8_t* at = begin;
    while (error().empty() && static_cast<std::size_t>(end - at) >= amqp::frame_overhead_bytes) {
        if (!consumer_may_read(now_ns))
            break;
        const std::size_t total = wire::load<std::uint32_t>(at + 3) + amqp::frame_overhead_bytes;
        if (total > static_cast<std::size_t>(end - at))
            break;
        if (at[0] == static_cast<std::uint8_t>(amqp::frame_type::method) && total > 12 &&
            wire::load<std::uint32_t>(at + 7) == amqp::basic_deliver::id) [[likely]] {
            at += scan_delivery(at, total, end, now_ns);
            continue;
        }
        const amqp::decoded<amqp::frame> frame = amqp::decode_frame({at, static_cast<std::size_t>(end - at)}, 0);
        if (!frame) {
            fail("the broker sent what is no frame");
            break;
        }
        on_frame(*frame, now_ns);
        at += total;
    }
    return static_cast<std::size_t>(at - begin);
}

// `at`: a whole deliver frame. Takes the header and the body, too, if they are here.
std::size_t amqp_link::scan_delivery(const std::uint8_t* at, std::size_t method_bytes, const std::uint8_t* end,
                                     std::int64_t now_ns) {
    const std::uint8_t* tag = at + 12;
    const std::size_t tag_size = at[11];
    const auto channel = wire::load<std::uint16_t>(at + 1);
    if (tag_size + 9 + 12 > method_bytes || channel >= channels_.size()) {
        fail("the broker sent a bad delivery");
        return method_bytes;
    }
    const unsigned which = tag_number(tag, tag_size);
    const auto delivery_tag = wire::load<std::uint64_t>(tag + tag_size);
    at_.metering.now.redelivered += tag[tag_size + 8] & 1U;
    if (which >= subscriptions_.size()) {
        fail("the broker delivered to an unknown consumer tag");
        return method_bytes;
    }

    const std::uint8_t* header = at + method_bytes;
    constexpr std::size_t header_min = amqp::frame_overhead_bytes + amqp::content_header_fixed_bytes + 2;
    if (static_cast<std::size_t>(end - header) >= header_min) [[likely]] {
        const std::size_t header_bytes = wire::load<std::uint32_t>(header + 3) + amqp::frame_overhead_bytes;
        const auto body_size = wire::load<std::uint64_t>(header + 11);
        const std::uint8_t* body = header + header_bytes;
        const auto left = static_cast<std::size_t>(end - header);
        if (body_size != 0 && header_bytes + body_size + amqp::frame_overhead_bytes <= left &&
            wire::load<std::uint32_t>(body + 3) == body_size) [[likely]] {
            delivered(channel, which, delivery_tag, body + amqp::frame_header_bytes, body_size, now_ns);
            return method_bytes + header_bytes + body_size + amqp::frame_overhead_bytes;
        }
    }
    channel_state& c = channels_[channel];
    c.expecting = channel_state::content::delivery;
    c.body_known = false;
    c.subscription = which;
    c.delivery_tag = delivery_tag;
    return method_bytes;
}

void amqp_link::on_frame(const amqp::frame& f, std::int64_t now_ns) {
    switch (f.type) {
        case amqp::frame_type::method: on_method(f, now_ns); return;
        case amqp::frame_type::header: on_content_header(channel_at(f.channel), f, now_ns); return;
        case amqp::frame_type::body: on_body(channel_at(f.channel), f, now_ns); return;
        case amqp::frame_type::heartbeat: return;
    }
}

void amqp_link::on_method(const amqp::frame& f, std::int64_t now_ns) {
    const auto id = amqp::decode_method_id(f.payload);
    if (!id)
        return fail("the broker sent a method without an id");
    const wire::bytes_view arguments = f.payload.subspan(sizeof(amqp::method_id));
    if (*id == amqp::basic_ack::id) {
        const auto m = amqp::decode<amqp::basic_ack>(arguments);
        if (m)
            on_settled(f.channel, m->delivery_tag, m->multiple, true, now_ns);
    } else if (*id == amqp::basic_nack::id) {
        const auto m = amqp::decode<amqp::basic_nack>(arguments);
        if (m)
            on_settled(f.channel, m->delivery_tag, m->multiple, false, now_ns);
    } else if (*id == amqp::basic_return::id) {
        ++at_.metering.now.returned;
        channel_state& c = channel_at(f.channel);
        c.expecting = channel_state::content::other;
        c.body_known = false;
    } else if (*id == amqp::connection_blocked::id) {
        blocked_ = true;
    } else if (*id == amqp::connection_unblocked::id) {
        blocked_ = false;
    } else if (*id == amqp::basic_cancel::id) {
        fail("the broker cancelled a consumer");
    } else if (*id == amqp::channel_flow::id) {
        const auto m = amqp::decode<amqp::channel_flow>(arguments);
        if (m)
            blocked_ = !m->active;
    } else if (*id == amqp::connection_close::id) {
        const auto m = amqp::decode<amqp::connection_close>(arguments);
        fail(m ? fmt::format("connection closed by the broker: {} {}", m->code, m->text) : "connection closed");
    } else if (*id == amqp::channel_close::id) {
        const auto m = amqp::decode<amqp::channel_close>(arguments);
        fail(m ? fmt::format("channel closed by the broker: {} {}", m->code, m->text) : "channel closed");
    }
}

void amqp_link::on_settled(std::uint16_t channel, std::uint64_t tag, bool multiple, bool positive,
                           std::int64_t now_ns) {
    const int which = channel_at(channel).producer;
    if (which < 0)
        return;
    producers_[static_cast<std::size_t>(which)].pace.settle(tag, multiple, [&](std::int64_t intended_ns) {
        if (positive) {
            at_.metering.confirmed(intended_ns, now_ns);
        } else {
            ++at_.metering.now.nacked;
        }
    });
}

void amqp_link::on_content_header(channel_state& c, const amqp::frame& f, std::int64_t now_ns) {
    const auto header = amqp::decode_content_header(f.payload);
    if (!header || c.expecting == channel_state::content::none)
        return fail("content header out of order");
    c.body_known = true;
    c.body_size = c.body_left = header->body_size;
    c.head_size = 0;
    if (c.body_left == 0)
        content_complete(c, f.channel, now_ns);
}

void amqp_link::on_body(channel_state& c, const amqp::frame& f, std::int64_t now_ns) {
    if (!c.body_known || f.payload.size() > c.body_left)
        return fail("body frame out of order");
    const std::size_t missing = std::min<std::size_t>(stamp_bytes - c.head_size, f.payload.size());
    std::memcpy(c.head + c.head_size, f.payload.data(), missing);
    c.head_size += static_cast<unsigned>(missing);
    c.body_left -= f.payload.size();
    if (c.body_left == 0)
        content_complete(c, f.channel, now_ns);
}

void amqp_link::content_complete(channel_state& c, std::uint16_t channel, std::int64_t now_ns) {
    const bool is_delivery = c.expecting == channel_state::content::delivery;
    c.expecting = channel_state::content::none;
    c.body_known = false;
    if (is_delivery)
        delivered(channel, c.subscription, c.delivery_tag, c.head, c.body_size, now_ns);
}

void amqp_link::delivered(std::uint16_t channel, unsigned which, std::uint64_t tag, const std::uint8_t* payload,
                          std::size_t size, std::int64_t now_ns) {
    received(subscriptions_[which], payload, size, now_ns);
    if (options_.auto_ack)
        return;
    channel_state& c = channels_[channel];
    c.last_tag = tag;
    if (++c.unacknowledged >= options_.multi_ack)
        acknowledge(channel, c);
}

void amqp_link::acknowledge(std::uint16_t channel, channel_state& c) {
    amqp::put_method_frame(take_room(ack_frame_bytes), channel, amqp::basic_ack{c.last_tag, c.unacknowledged > 1});
    c.unacknowledged = 0;
}

void amqp_link::append_goodbye(std::vector<std::uint8_t>& out) const {
    amqp::append_method(out, 0, amqp::connection_close{200, "bye", 0, 0});
}

}  // namespace linnet::load
