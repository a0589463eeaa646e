// Deliveries that a connection's end cuts short, and how the next one goes on with them.
//
// A message of the session's own queue returns there, and its position finds it again. What came from elsewhere has to
// travel with the session's state: a retained message, and a group's, once it has been sent with QoS 2. It travels from
// one connection to the next, not over a crash: from when the next one has it on, the state knows ids alone
// (decision 0020).

#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_session.hpp"

#include <algorithm>

namespace linnet::session {
namespace {

using stage = mqtt_state::stage;

// Messages that a session's state takes along. A group's for which there is no room goes to another member, a retained
// one is forgotten.
constexpr std::size_t carried_bytes_max = 1024 * 1024;

std::size_t bytes_of(const mqtt_flight& f) {
    if (f.released) {
        return 0;  // its message does not travel
    }
    const auto& m = *f.d.msg;
    return m.exchange().size() + m.routing_key().size() + m.properties().size() + m.body_bytes();
}

// The client has the id, or may have it: PUBREL sets it free, and what the client has of its message is done with.
mqtt_state::exchange release_of(const mqtt_flight& f) { return {.id = f.id, .at = stage::released}; }

}  // namespace

std::size_t mqtt_session::carried_bytes() const {
    std::size_t sum = 0;
    outbound_.for_each([&](const mqtt_flight& f) { sum += f.carried ? bytes_of(f) : 0; });
    if (consuming_ != nullptr) {
        for (const auto& f : consuming_->unfinished) {
            sum += bytes_of(f);
        }
    }
    return sum;
}

// [MQTT-4.8.2-4] [MQTT-4.8.2-5] What was sent with QoS 2 leaves its group's queue: the session goes on with it, or it
// ends with the session.
void mqtt_session::leave_groups() {
    auto bytes = carried_bytes();
    outbound_.for_each([&](mqtt_flight& f) {
        if (f.of_session || f.qos != 2 || !f.d.queue) {
            return;
        }
        if (kept_ && bytes + bytes_of(f) > carried_bytes_max) {
            return;
        }
        bytes += bytes_of(f);
        auto message = f.d.msg.share();
        settle_sent(std::exchange(f.d, {}));
        f.d.msg = std::move(message);
        f.carried = true;
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

// What the next connection goes on with.
std::vector<mqtt_state::exchange> mqtt_session::exchanges_left() const {
    std::vector<mqtt_state::exchange> left;
    auto room = carried_bytes_max - std::min(carried_bytes(), carried_bytes_max);
    outbound_.for_each([&](const mqtt_flight& f) {
        if (f.of_session || f.d.queue) {
            return;
        }
        const auto bytes = f.carried ? 0 : bytes_of(f);
        if (bytes <= room) {
            room -= bytes;
            left.push_back(exchange_of(f));
        } else if (f.qos == 2) {
            left.push_back(release_of(f));
        }
    });
    if (consuming_ != nullptr) {
        for (const auto& f : consuming_->unfinished) {
            left.push_back(exchange_of(f));
        }
    }
    return left;
}

// What a crash leaves of them: messages may have been finished by then, and would be doubled; ids must not stay taken.
std::vector<mqtt_state::exchange> mqtt_session::exchanges_to_release() const {
    std::vector<mqtt_state::exchange> ids;
    const auto add = [&](const mqtt_flight& f) {
        if (!f.of_session && !f.d.queue && f.qos == 2) {
            ids.push_back(release_of(f));
        }
    };
    outbound_.for_each(add);
    if (consuming_ != nullptr) {
        std::ranges::for_each(consuming_->unfinished, add);
    }
    return ids;
}

// What the last connection left under way.
bool mqtt_session::brings_messages() const {
    return consuming_ != nullptr &&
           !std::ranges::all_of(consuming_->unfinished, [](const mqtt_flight& f) { return f.released; });
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
    f.carried = true;
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
