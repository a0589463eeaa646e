// What an MQTT client publishes: where it goes, and what the client is told of it.

#include "broker/core/publish_access.hpp"
#include "broker/session/amqp_names.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_session.hpp"

#include <fmt/format.h>

namespace linnet::session {
namespace {

using answer = mqtt_inbound::answer;
using mqtt::property;
using mqtt::qos;
using mqtt::reason_code;

// Of the keys that are no queue's: reply handles and direct replies.
constexpr std::string_view reserved_prefix = "amq.";

}  // namespace

void mqtt_session::on(const mqtt::publish& p) {
    counts_.publishes_received.add();
    counts_.payload_received.add(p.payload.size());
    static_cast<void>(publishes());
    const auto topic = resolve_alias(p);
    if (!topic) {
        return;
    }
    if (p.qos != qos::at_most_once && !admit(p)) {
        return;
    }
    if (!check_topic(*topic, publishing_->checked)) [[unlikely]] {
        const bool there = address_of_topic(*topic, names()).has_value();
        refuse_publish(p, there ? settings_.forbidden : reason_code::topic_name_invalid,
                       there ? "publishing there is not allowed" : "nothing can be published there");
        return;
    }
    hand_over(make_message(p), p);
}

// [MQTT-3.3.2-8] to [MQTT-3.3.2-12] The topic that is meant; none when the connection has been failed.
std::optional<std::string_view> mqtt_session::resolve_alias(const mqtt::publish& p) {
    const auto alias = p.properties.get<property::topic_alias>();
    if (!alias) [[likely]] {
        return p.topic;
    }
    if (*alias == 0 || *alias > settings_.topic_alias_maximum) {
        fail(reason_code::topic_alias_invalid, "a topic alias beyond Topic Alias Maximum");
        return std::nullopt;
    }
    if (publishing_->aliases.size() < *alias) {
        publishing_->aliases.resize(*alias);
    }
    auto& known = publishing_->aliases[*alias - 1U];
    if (!p.topic.empty()) {
        known = p.topic;
    } else if (known.empty()) {
        fail(reason_code::protocol_error, "a topic alias that stands for no topic");
        return std::nullopt;
    }
    return known;
}

// What is seen for the second time, or is one too many. False: it has been dealt with.
bool mqtt_session::admit(const mqtt::publish& p) {
    const bool once = p.qos == qos::exactly_once;
    if (publishing_->taken.contains(p.packet_id)) {
        // [MQTT-4.3.3-10] Taken already: the client has not heard of it.
        owe(once ? answer::pubrec : answer::puback, p.packet_id,
            once ? reason_code::success : reason_code::packet_identifier_in_use);
        return false;
    }
    // [MQTT-3.3.4-7] MQTT 3 knows no such promise, and is held back by the kernel's buffers instead.
    if (is_v5() && publishing_->inbound.open_publishes() + publishing_->taken.size() >= settings_.receive_maximum) {
        fail(reason_code::receive_maximum_exceeded,
             fmt::format("more than {} publishes under way", settings_.receive_maximum));
        return false;
    }
    if (once) {
        publishing_->taken.insert(p.packet_id);
    }
    return true;
}

// ---- Where it goes -------------------------------------------------------------------------------

bool mqtt_session::check_topic(std::string_view topic, checked_topic& checked) {
    if (checked.version == topology_version_ && checked.topic == topic) [[likely]] {
        return true;
    }
    checked.version = 0;
    auto address = address_of_topic(topic, names());
    if (!address || !may_publish(*address)) {
        return false;
    }
    checked.topic = topic;
    checked.address = std::move(*address);
    checked.version = topology_version_;
    return true;
}

bool mqtt_session::may_publish(const mqtt_address& a) const {
    return !core::bar_to_publishing(*vhost_, rules(), a.exchange, a.key, client_id_);
}

core::message_ptr mqtt_session::make_message(const mqtt::publish& p) {
    core::message_traits traits;
    traits.properties_of = core::protocol_tag::mqtt;
    traits.persistent = p.qos != qos::at_most_once;
    traits.once = p.qos == qos::exactly_once;
    traits.retain = p.retain;
    if (const auto expiry = p.properties.get<property::message_expiry_interval>()) {
        traits.time_to_live = *expiry * ns_per_s;
    }
    traits.identified = !p.properties.empty() && names_message(p.properties);
    const auto* answers = p.properties.empty() ? nullptr : answers_of(p);
    traits.answerable = answers != nullptr;
    write_block(scratch_.block, static_cast<std::uint8_t>(p.qos), publisher_, p.properties, answers);
    return core::make_message(shard_.pool(), publishing_->checked.address.exchange, publishing_->checked.address.key,
                              wire::as_bytes(scratch_.block), p.payload, traits);
}

// Where its response topic leads; null without one, or where it may not publish itself: nobody is to do it in its
// place.
const mqtt_address* mqtt_session::answers_of(const mqtt::publish& p) {
    const auto topic = p.properties.get<property::response_topic>();
    if (!topic) [[likely]] {
        return nullptr;
    }
    auto& response = publishing_->response;
    if (response == nullptr) {
        response = std::make_unique<checked_topic>();
    }
    return check_topic(*topic, *response) ? &response->address : nullptr;
}

void mqtt_session::hand_over(core::message_ptr m, const mqtt::publish& p) {
    if (m->exchange().empty() && m->routing_key().starts_with(reserved_prefix)) [[unlikely]] {
        // A requester of another protocol waits for it.
        if (const auto token = core::reply_token_of(m->routing_key())) {
            answer_request(std::move(m), *token, p);
            return;
        }
        if (const auto to = reply_address::parse(m->routing_key())) {
            static_cast<void>(shard_.deliver_direct(to->session, to->channel, m.share()));
        }
    }
    const auto route = shard_.find_route(*vhost_, m->exchange(), m->routing_key(), &mqtt_reader(), m->properties(),
                                         publishing_->memo);
    published_ = true;
    totals_->sizes.add(m->body_bytes());
    const bool nowhere = route.where.empty() && !route.delayed;
    totals_->unroutable_dropped += nowhere ? 1 : 0;
    if (nowhere && m->traits().identified && !m->traits().retain && !route.remember) [[unlikely]] {
        shard_.note_unrouted(core::flight_step::dropped, *m, vhost_id_, handle_);
    }
    if (p.qos == qos::at_most_once) {
        static_cast<void>(shard_.publish(std::move(m), *vhost_, route, handle_, publish_tag, 0));
        return;
    }
    ++totals_->received_confirm;
    mqtt_inbound::entry e{.id = p.packet_id};
    e.what = p.qos == qos::exactly_once ? answer::pubrec : answer::puback;
    e.reason = static_cast<std::uint8_t>(nowhere && is_v5() ? reason_code::no_matching_subscribers
                                                            : reason_code::success);
    const auto sequence = publishing_->inbound.add(e);
    // [MQTT-4.3.3-8] Of a session that is kept the id is noted with the message, so that no crash can make two of one
    // publish, nor none.
    const bool once = kept_ && p.qos == qos::exactly_once;
    const auto done = once ? shard_.publish_once(std::move(m), *vhost_, route, ticket_, p.packet_id, handle_,
                                                 publish_tag, sequence)
                           : shard_.publish(std::move(m), *vhost_, route, handle_, publish_tag, sequence);
    auto* const kept = publishing_->inbound.find(sequence);
    if (done.pending || kept == nullptr) {
        return;
    }
    if (done.rejected) [[unlikely]] {
        refused(*kept);
    } else {
        kept->open = false;
    }
}

void mqtt_session::answer_request(core::message_ptr m, const core::reply_token& to, const mqtt::publish& p) {
    if (p.qos == qos::at_most_once) {
        static_cast<void>(shard_.answer(std::move(m), vhost_id_, to, handle_, publish_tag, 0));
        return;
    }
    mqtt_inbound::entry e{.id = p.packet_id};
    e.what = p.qos == qos::exactly_once ? answer::pubrec : answer::puback;
    e.reason = static_cast<std::uint8_t>(reason_code::success);
    const auto sequence = publishing_->inbound.add(e);
    const auto done = shard_.answer(std::move(m), vhost_id_, to, handle_, answer_tag, sequence);
    auto* const kept = publishing_->inbound.find(sequence);
    if (done.pending || kept == nullptr) {
        return;
    }
    if (done.rejected) {
        refused(*kept);
    } else if (done.routed == 0) {
        on_publish_unrouted(answer_tag, sequence);
    } else {
        settled(*kept, sequence);
    }
}

// An answer that nobody waits for, or waits for any more.
void mqtt_session::on_publish_unrouted(std::uint64_t, std::uint64_t sequence) {
    auto* const e = find_inbound(sequence);
    if (e == nullptr || phase_ != phase::running) {
        return;
    }
    e->reason = static_cast<std::uint8_t>(is_v5() ? reason_code::no_matching_subscribers : reason_code::success);
    settled(*e, sequence);
}

// ---- What becomes of it --------------------------------------------------------------------------

void mqtt_session::on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) {
    if (sink_tag == receipt_tag) {
        if (phase_ == phase::running) {
            receipt_noted(sequence);
        }
        return;
    }
    auto* const e = find_inbound(sequence);
    if (e == nullptr || phase_ != phase::running) {
        return;
    }
    if (sink_tag == mark_tag) {
        // Not accepted: another connection has the name by now, and ours is about to hear so.
        e->open = !accepted;
    } else if (!accepted) {
        refused(*e);
    } else if (sink_tag == answer_tag) {
        settled(*e, sequence);
    } else {
        e->open = false;
    }
}

// An answer has found its handle. Its id is noted before PUBREC says so: a crash in between may make two of it.
void mqtt_session::settled(mqtt_inbound::entry& e, std::uint64_t sequence) {
    if (e.what == answer::pubrec && kept_) {
        shard_.mark_client(ticket_, handle_, mark_tag, sequence, e.id, true);
    } else {
        e.open = false;
    }
}

void mqtt_session::refused(mqtt_inbound::entry& e) {
    e.reason = static_cast<std::uint8_t>(reason_code::quota_exceeded);
    e.open = false;
    if (e.what == answer::pubrec) {
        publishing_->taken.erase(e.id);
    }
}

// In the words that the version has: MQTT 3 can only close.
void mqtt_session::refuse_publish(const mqtt::publish& p, reason_code why, std::string_view text) {
    if (!is_v5() || p.qos == qos::at_most_once) {
        fail(why, text);
        return;
    }
    const bool once = p.qos == qos::exactly_once;
    if (once) {
        publishing_->taken.erase(p.packet_id);
    }
    owe(once ? answer::pubrec : answer::puback, p.packet_id, why);
}

void mqtt_session::on(const mqtt::pubrel& p) {
    if (publishing_ == nullptr || !publishing_->taken.erase(p.packet_id)) {
        owe(answer::pubcomp, p.packet_id, reason_code::packet_identifier_not_found);
        return;
    }
    if (!kept_) {
        owe(answer::pubcomp, p.packet_id, reason_code::success);
        return;
    }
    // [MQTT-4.3.3-11]
    const auto sequence = publishing_->inbound.add({.id = p.packet_id, .what = answer::pubcomp});
    shard_.mark_client(ticket_, handle_, mark_tag, sequence, p.packet_id, false);
}

void mqtt_session::owe(answer what, std::uint16_t id, reason_code reason) {
    static_cast<void>(
        publishes().inbound.add({.id = id, .what = what, .reason = static_cast<std::uint8_t>(reason), .open = false}));
}

void mqtt_session::flush_answers() {
    if (publishing_ == nullptr || publishing_->inbound.empty() || phase_ != phase::running) {
        return;
    }
    publishing_->inbound.flush([this](const mqtt_inbound::entry& e) {
        if (phase_ == phase::running) {
            say(e);
        }
    });
}

void mqtt_session::say(const mqtt_inbound::entry& e) {
    const auto reason = static_cast<reason_code>(e.reason);
    totals_->confirmed += e.what != answer::pubcomp && !mqtt::is_failure(reason) ? 1 : 0;
    if (!is_v5() && e.what != answer::pubcomp && mqtt::is_failure(reason)) {
        fail(reason, "a publish was refused");
        return;
    }
    switch (e.what) {
        case answer::puback: send(mqtt::puback{.packet_id = e.id, .reason = reason}); return;
        case answer::pubrec: send(mqtt::pubrec{.packet_id = e.id, .reason = reason}); return;
        case answer::pubcomp: send(mqtt::pubcomp{.packet_id = e.id, .reason = reason}); return;
    }
}

}  // namespace linnet::session
