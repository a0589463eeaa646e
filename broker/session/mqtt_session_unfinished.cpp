// Deliveries that a connection's end cuts short, and how the next one goes on with them.
//
// A message of the session's own queue returns there, and its position finds it again. What came from elsewhere has to
// travel with the session's state: a retained message, and a group's, once it has been sent with QoS 2.

#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_session.hpp"

namespace linnet::session {
namespace {

using stage = mqtt_state::stage;

// Bodies that a session's state takes along; a group's message for which there is no room goes to another member.
constexpr std::size_t carried_bytes_max = 1024 * 1024;

}  // namespace

// [MQTT-4.8.2-4] [MQTT-4.8.2-5] What was sent with QoS 2 leaves its group's queue: the session goes on with it, or it
// ends with the session.
void mqtt_session::leave_groups() {
    std::size_t bytes = 0;
    outbound_.for_each([&](mqtt_flight& f) {
        if (f.of_session || f.qos != 2 || !f.d.queue) {
            return;
        }
        bytes += f.released ? 0 : f.d.msg->body_bytes();
        if (kept_ && bytes > carried_bytes_max) {
            return;
        }
        auto message = f.d.msg.share();
        settle_sent(std::exchange(f.d, {}));
        f.d.msg = std::move(message);
    });
}

// The others go back to where they came from.
void mqtt_session::take_back(std::vector<core::delivery>& back) {
    for (auto& f : outbound_.take_all()) {
        if (!f.d.queue) {
            continue;
        }
        if (f.qos == 2) {
            f.d.deadline = 0;  // [MQTT-4.3.3-7] What has been sent does not expire.
        }
        back.push_back(std::move(f.d));
    }
}

mqtt_state::exchange mqtt_session::exchange_of(const mqtt_flight& f) {
    mqtt_state::exchange e;
    e.id = f.id;
    e.at = f.released ? stage::released : f.qos == 2 ? stage::sent_qos_2 : stage::sent_qos_1;
    if (f.released) {
        return e;  // the client has the message
    }
    const auto& m = *f.d.msg;
    e.retain = f.retain;
    e.identifier = f.identifier;
    e.to = m.exchange();
    e.key = m.routing_key();
    e.properties_of = m.properties_of();
    e.properties = wire::as_text(m.properties());
    e.body = wire::as_text(m.body());
    return e;
}

mqtt_flight mqtt_session::flight_of(const mqtt_state::exchange& e) {
    mqtt_flight f;
    f.id = e.id;
    f.qos = e.at == stage::sent_qos_1 ? 1 : 2;
    f.released = e.at == stage::released;
    f.retain = e.retain;
    f.identifier = e.identifier;
    core::message_traits traits;
    traits.properties_of = e.properties_of;
    f.d.msg = core::make_message(shard_.pool(), e.to, e.key, wire::as_bytes(e.properties), wire::as_bytes(e.body),
                                 traits);
    return f;
}

// [MQTT-4.4.0-1] In their order, as far as the client's window and the output allow.
void mqtt_session::go_on_with_unfinished() {
    if (consuming_ == nullptr) {
        return;
    }
    auto& unfinished = consuming_->unfinished;
    while (!unfinished.empty() && has_room() && !output_full_) {
        auto f = std::move(unfinished.front());
        unfinished.pop_front();
        const auto& m = *f.d.msg;
        if (f.released) {
            send(mqtt::pubrel{.packet_id = f.id});
        } else if (!topic_of(m.exchange(), m.routing_key(), names(), scratch_.topic)) {
            continue;  // names are made otherwise by now
        } else {
            outgoing o{.msg = m, .topic = scratch_.topic};
            o.identifiers = f.identifier == 0 ? std::span<const std::uint32_t>{} : std::span(&f.identifier, 1);
            o.id = f.id;
            o.qos = f.qos;
            o.dup = true;
            o.retain = f.retain;
            o.is_last_value = f.retain;
            if (!send_publish(o, f.d.msg)) {
                continue;
            }
        }
        outbound_.add(std::move(f));
    }
}

}  // namespace linnet::session
