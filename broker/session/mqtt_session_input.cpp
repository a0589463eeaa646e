// The input of an MQTT session: packets, and what is wrong with them.

#include "broker/session/mqtt_session.hpp"
#include "protocol/mqtt/decode.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

using mqtt::packet_type;
using mqtt::reason_code;

// Of a packet from somebody who is not known yet, which is held until it is there: a will, its topic, a name and a
// password have at most 64 KiB each, and hardly ever so much.
constexpr std::uint32_t stranger_bytes_max = 256 * 1024;

}  // namespace

std::size_t mqtt_session::on_bytes(std::span<const std::uint8_t> in) {
    last_read_ = shard_.now();
    begin_batch();
    std::size_t used = 0;
    std::uint64_t packets = 0;
    while (paused_ == 0 && used < in.size()) {
        const auto n = take_packet(in.subspan(used));
        if (n == 0) {
            break;
        }
        used += n;
        ++packets;
    }
    counts_.packets_received.add(packets);
    counts_.bytes_received.add(used);
    end_batch();
    return used;
}

std::size_t mqtt_session::take_packet(std::span<const std::uint8_t> in) {
    if (phase_ == phase::done) [[unlikely]] {
        return in.size();
    }
    const auto bytes_max = phase_ <= phase::authenticating ? std::min(settings_.packet_bytes_max, stranger_bytes_max)
                                                           : settings_.packet_bytes_max;
    const auto f = mqtt::decode_frame(in, dialect(), bytes_max);
    if (!f) [[unlikely]] {
        if (f.needs_more()) {
            return 0;
        }
        if (phase_ == phase::greeting) {
            refuse_connect(f.reason(), {});
            return in.size();
        }
        fail(f.reason());
        return in.size();
    }
    if (f->type() == packet_type::publish && alarms_) [[unlikely]] {
        pause(wait_memory);
        return 0;
    }
    handle(*f);
    return f->size();
}

template <mqtt::packet Packet>
void mqtt_session::decode_and_handle(const mqtt::frame& f) {
    const auto p = mqtt::decode<Packet>(f, dialect());
    if (p) [[likely]] {
        on(*p);
    } else {
        fail(p.reason());
    }
}

void mqtt_session::handle(const mqtt::frame& f) {
    if (phase_ == phase::greeting) {
        // Whatever else comes first the frame's decoder has refused [MQTT-3.1.0-1].
        const auto c = mqtt::decode<mqtt::connect>(f, dialect());
        if (c) {
            on(*c);
        } else {
            refuse_connect(c.reason(), f.body);
        }
        return;
    }
    if (phase_ == phase::authenticating && f.type() != packet_type::auth && f.type() != packet_type::disconnect) {
        // [MQTT-4.12.0-6] Nothing else before the exchange is over.
        fail(reason_code::protocol_error, "a packet in the middle of authentication");
        return;
    }
    switch (f.type()) {
        case packet_type::publish: decode_and_handle<mqtt::publish>(f); return;
        case packet_type::puback: decode_and_handle<mqtt::puback>(f); return;
        case packet_type::pubrec: decode_and_handle<mqtt::pubrec>(f); return;
        case packet_type::pubrel: decode_and_handle<mqtt::pubrel>(f); return;
        case packet_type::pubcomp: decode_and_handle<mqtt::pubcomp>(f); return;
        case packet_type::subscribe: decode_and_handle<mqtt::subscribe>(f); return;
        case packet_type::unsubscribe: decode_and_handle<mqtt::unsubscribe>(f); return;
        case packet_type::pingreq: decode_and_handle<mqtt::pingreq>(f); return;
        case packet_type::disconnect: decode_and_handle<mqtt::disconnect>(f); return;
        case packet_type::auth: decode_and_handle<mqtt::auth>(f); return;
        case packet_type::connect:
            // [MQTT-3.1.0-2]
            fail(reason_code::protocol_error, "a second CONNECT");
            return;
        case packet_type::connack:
        case packet_type::suback:
        case packet_type::unsuback:
        case packet_type::pingresp:
            // The frame's decoder lets none of a server's packets pass.
            fail(reason_code::protocol_error, "a packet that only servers send");
            return;
    }
}

// [MQTT-3.1.4-1] [MQTT-3.1.4-2] In the words of the version that the client meant, if that can be told.
void mqtt_session::refuse_connect(mqtt::fault why, wire::bytes_view body) {
    if (const auto meant = mqtt::version_to_refuse_in(body)) {
        spoken_ = *meant;
        refuse(mqtt::reason_code_of(why), mqtt::describe(why));
        return;
    }
    log_trouble(fmt::format("not MQTT: {}", mqtt::describe(why)));
    finish(parting::without_will);
}

void mqtt_session::on(const mqtt::pingreq&) { send(mqtt::pingresp{}); }

void mqtt_session::on(const mqtt::disconnect& p) {
    if (const auto expiry = p.properties.get<mqtt::property::session_expiry_interval>()) {
        if (!kept_ && *expiry != 0) {
            // 3.14.2.2.2
            fail(reason_code::protocol_error, "a session expiry that CONNECT did not ask for");
            return;
        }
        agreed_.expiry_s = std::min(*expiry, settings_.session_expiry_max_s);
        kept_ = agreed_.expiry_s != 0;
    }
    log_info("closed by the client");
    // [MQTT-3.14.4-3] [MQTT-3.1.2-10] Without its will, unless it says so.
    finish(p.reason == reason_code::success ? parting::without_will : parting::with_will);
}

}  // namespace linnet::session
