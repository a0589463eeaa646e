#include "bench/load/mqtt_link.hpp"

#include "bench/load/mqtt_messages.hpp"
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/encode.hpp"

#include <algorithm>

namespace linnet::load {
namespace {

constexpr std::uint64_t cycle = 65'535;
constexpr std::uint8_t failures_from = 0x80;

constexpr std::uint16_t id_of(std::uint64_t number) noexcept {
    return static_cast<std::uint16_t>((number - 1) % cycle + 1);
}

}  // namespace

void mqtt_link::add_producer(ready_messages messages, schedule_stagger stagger, std::uint16_t receive_maximum) {
    const bool confirmed = options_.qos != mqtt::qos::at_most_once;
    const std::uint32_t window = confirmed ? std::min({std::uint32_t{options_.confirm_window},
                                                       std::uint32_t{receive_maximum}, window_max})
                                           : 0;
    (void)socket_link::add_producer(std::move(messages), stagger, window);
}

std::size_t mqtt_link::scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) {
    const std::uint8_t* at = begin;
    while (error().empty() && end - at >= 2 && consumer_may_read(now_ns)) {
        const auto length = mqtt::decode_varint({at + 1, end});
        if (!length) {
            if (!length.needs_more())
                fail("the broker sent what is no packet");
            break;
        }
        const std::size_t head = 1 + length->bytes;
        if (head + length->value > static_cast<std::size_t>(end - at))
            break;
        const wire::bytes_view body{at + head, length->value};
        if (at[0] >> 4 == static_cast<unsigned>(mqtt::packet_type::publish)) [[likely]] {
            on_publish(at[0], body, now_ns);
        } else {
            on_packet(at[0], body, now_ns);
        }
        at += head + length->value;
    }
    return static_cast<std::size_t>(at - begin);
}

void mqtt_link::on_publish(std::uint8_t first, wire::bytes_view body, std::int64_t now_ns) {
    const unsigned qos = first >> 1 & 3;
    std::size_t at = body.size() < 2 ? body.size() : 2U + wire::load<std::uint16_t>(body.data());
    std::uint16_t packet_id = 0;
    if (qos != 0 && at + 2 <= body.size()) {
        packet_id = wire::load<std::uint16_t>(&body[at]);
        at += 2;
    }
    if (is_v5() && at < body.size()) {
        const auto properties = mqtt::decode_varint(body.subspan(at));
        at += properties ? properties->bytes + properties->value : body.size();
    }
    if (at > body.size() || (qos != 0) != (packet_id != 0) || subscriptions_.empty())
        return fail("the broker sent a bad PUBLISH");
    at_.metering.now.redelivered += first >> 3 & 1U;
    received(subscriptions_.front(), body.data() + at, body.size() - at, now_ns);
    if (qos == 1)
        answer(mqtt::packet_type::puback, packet_id);
    else if (qos == 2)
        answer(mqtt::packet_type::pubrec, packet_id);
}

void mqtt_link::on_packet(std::uint8_t first, wire::bytes_view body, std::int64_t now_ns) {
    const auto type = static_cast<mqtt::packet_type>(first >> 4);
    const std::uint16_t packet_id = body.size() < 2 ? std::uint16_t{0} : wire::load<std::uint16_t>(body.data());
    switch (type) {
        case mqtt::packet_type::puback:
        case mqtt::packet_type::pubcomp: return settle(packet_id, body, now_ns);
        case mqtt::packet_type::pubrec:
            // A refusal ends it here.
            if (body.size() > 2 && body[2] >= failures_from)
                return settle(packet_id, body, now_ns);
            return answer(mqtt::packet_type::pubrel, packet_id);
        case mqtt::packet_type::pubrel: return answer(mqtt::packet_type::pubcomp, packet_id);
        case mqtt::packet_type::disconnect: {
            const std::uint8_t reason = body.empty() ? 0 : body[0];
            return fail(fmt::format("disconnected by the broker: {}",
                                    mqtt::reason_name(static_cast<mqtt::reason_code>(reason))));
        }
        case mqtt::packet_type::pingresp: return;
        case mqtt::packet_type::connect:
        case mqtt::packet_type::connack:
        case mqtt::packet_type::publish:
        case mqtt::packet_type::subscribe:
        case mqtt::packet_type::suback:
        case mqtt::packet_type::unsubscribe:
        case mqtt::packet_type::unsuback:
        case mqtt::packet_type::pingreq:
        case mqtt::packet_type::auth: break;
    }
    fail(fmt::format("the broker sent a {} that nobody asked for", mqtt::packet_name(type)));
}

void mqtt_link::settle(std::uint16_t packet_id, wire::bytes_view body, std::int64_t now_ns) {
    if (producers_.empty() || packet_id == 0)
        return fail("the broker acknowledged what was not sent");
    producer_pace& pace = producers_.front().pace;
    const std::uint64_t oldest = pace.oldest();
    const std::uint16_t first = id_of(oldest);
    const std::uint64_t ahead = packet_id >= first ? packet_id - first : packet_id + cycle - first;
    const bool positive = body.size() <= 2 || body[2] < failures_from;
    pace.settle(oldest + ahead, false, [&](std::int64_t intended_ns) {
        if (positive)
            at_.metering.confirmed(intended_ns, now_ns);
        else
            ++at_.metering.now.nacked;
    });
}

void mqtt_link::answer(mqtt::packet_type type, std::uint16_t packet_id) {
    std::uint8_t* to = take_room(mqtt::short_acknowledgement_bytes);
    to = mqtt::put_fixed_header(to, type, type == mqtt::packet_type::pubrel ? 2 : 0, 2);
    wire::store(to, packet_id);
}

std::uint8_t* mqtt_link::put_batch(producer& p, std::uint8_t* to, std::uint64_t count, std::int64_t now_ns) {
    if (options_.qos == mqtt::qos::at_most_once)
        return socket_link::put_batch(p, to, count, now_ns);
    const stamp_clock& clock = at_.metering.clock;
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto placed = p.messages.put_next(to, clock.to_wire(p.pace.next(now_ns)));
        wire::store(packet_id_at(placed.payload, options_), next_packet_id_);
        next_packet_id_ = next_packet_id_ == cycle ? std::uint16_t{1} : static_cast<std::uint16_t>(next_packet_id_ + 1);
        to = placed.end;
    }
    return to;
}

void mqtt_link::append_goodbye(std::vector<std::uint8_t>& out) const {
    const mqtt::disconnect bye{};
    const std::size_t before = out.size();
    out.resize(before + mqtt::encoded_size(bye, options_.version));
    mqtt::encode(out.data() + before, bye, options_.version);
}

}  // namespace linnet::load
