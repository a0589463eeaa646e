// What an MQTT client is sent, and what becomes of it.

#include "broker/core/broker.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_session.hpp"
#include "protocol/mqtt/property_writing.hpp"

#include <algorithm>

namespace linnet::session {
namespace {

using mqtt::property;
using mqtt::reason_code;
using stage = mqtt_state::stage;

// Deliveries of QoS 0 that are settled together, where their consumer also has others.
constexpr std::size_t settled_together = 32;
// The property, and a byte each for the lengths that it may make longer.
constexpr std::size_t alias_bytes_max = 3 + 2;

}  // namespace

void mqtt_session::on_delivery(std::uint64_t tag, core::delivery&& d) {
    const auto* s = source_of(tag);
    if (s == nullptr || released_) [[unlikely]] {
        // On its way while the consumer ended.
        shard_.settle({&d, 1}, core::settlement::requeued);
        return;
    }
    const auto index = static_cast<std::size_t>(s - sources_.data());
    if (!holds_deliveries()) [[likely]] {
        deliver(index, std::move(d));
    } else {
        hold(index, std::move(d));
    }
}

void mqtt_session::deliver(std::size_t index, core::delivery&& d) {
    if (index != 0) {
        const auto& o = sources_[index].options;
        if (!topic_of(d.msg->exchange(), d.msg->routing_key(), names(), scratch_.topic)) {
            settle_sent(std::move(d));
            return;
        }
        const auto ids = o.identifier == 0 ? std::span<const std::uint32_t>{} : std::span(&o.identifier, 1);
        deliver_matched(index, std::move(d), scratch_.topic, {o.qos, o.retain_as_published, ids});
        return;
    }
    const auto& matched = match(*d.msg);
    if (auto* const resumed = consuming_->resumed.get()) [[unlikely]] {
        // Deliveries come in order: what lies before this one will not come any more.
        resumed->erase(resumed->begin(), resumed->lower_bound(d.pos));
        // Without a word of redelivery it is another message: a crash took back the one that was sent.
        const auto known = d.redelivered ? resumed->find(d.pos) : resumed->end();
        if (known != resumed->end() && known->second != stage::released && !d.received) {
            resend(std::move(d));
            return;
        }
        if (known != resumed->end()) {
            d.received = true;
            resumed->erase(known);
        }
    }
    if (d.received) [[unlikely]] {
        resume_release(std::move(d));
        return;
    }
    // While a filter is being bound to the queue, or when it may not hear this, what matches one that is bound to the
    // connection comes that way, too. What a filter was to bring that has been unsubscribed since, that one has passed
    // over. Not so what another connection has left, a binding at times: that has come both ways ever since.
    const auto& f = matched.found;
    const bool wanted = f.queued || (f.any && (!f.live || (matched.left && !f.uncounted) || is_rebinding()));
    if (!wanted) {
        settle_sent(std::move(d));  // meant for a subscription that has ended, or the client's own
        return;
    }
    deliver_matched(0, std::move(d), matched.topic,
                    {matched.found.qos, matched.found.retain_as_published, std::span(matched.found.identifiers)});
}

// ---- Without a queue -----------------------------------------------------------------------------

void mqtt_session::on_message(const core::message_ptr& m) {
    if (phase_ != phase::running) [[unlikely]] {
        return;  // [MQTT-3.2.0-1] Nothing before CONNACK.
    }
    const auto& matched = match(*m);
    if (!matched.found.live || matched.found.queued) [[unlikely]] {
        return;
    }
    // Less than is configured while memory for all that wait is scarce.
    constexpr std::size_t high_factor = 8;
    if (out_.pending() > times_high(out_, high_factor, settings_.live_bytes_max)) [[unlikely]] {
        host_.flush_soon();  // the socket may take it
        if (out_.pending() > times_high(out_, high_factor, settings_.live_bytes_max)) {
            drop();
            return;
        }
    }
    outgoing o{.msg = *m, .topic = matched.topic, .identifiers = std::span(matched.found.identifiers)};
    if (const auto ttl = m->time_to_live(); ttl >= 0) [[unlikely]] {
        o.expires_s = (ttl + ns_per_s - 1) / ns_per_s;
    }
    o.retain = matched.found.retain_as_published && m->traits().retain;
    if (o.expires_s != 0) {
        if (m->traits().identified) [[unlikely]] {
            shard_.note_passed_on(*m, vhost_id_, handle_);
        }
        static_cast<void>(send_publish(o, m));
    }
}

// The newest goes: what has been encoded cannot be taken back.
void mqtt_session::drop() {
    counts_.publishes_dropped.add();
    if (!std::exchange(drops_, true)) {
        log_trouble("reads too slowly: messages of QoS 0 are dropped");
    }
}

// ---- What was asked for --------------------------------------------------------------------------

// Good until the next.
const mqtt_session::matching& mqtt_session::match(const core::message& m) {
    auto& last = consumes().matched;
    const bool ours = m.properties_of() == core::protocol_tag::mqtt &&
                      read_block(m.properties()).publisher == publisher_;
    if (last.valid && last.itself == ours && last.key == m.routing_key()) [[likely]] {
        return last;
    }
    last.valid = true;
    last.itself = ours;
    last.key = m.routing_key();
    last.found.clear();
    last.left = false;
    if (mqtt::key_to_topic(last.key, topic_mode_, last.topic)) {
        using publisher = mqtt_subscriptions::publisher;
        const auto who = ours ? publisher::itself : publisher::another;
        consuming_->subscriptions.match(last.topic, who, last.found);
        if (last.found.live && !last.found.queued && consuming_->gone != nullptr) [[unlikely]] {
            mqtt_match of_gone;
            consuming_->gone->match(last.topic, who, of_gone);
            last.left = of_gone.any;
        }
    }
    return last;
}

void mqtt_session::deliver_matched(std::size_t index, core::delivery&& d, std::string_view topic, const grant& g) {
    outgoing o{.msg = *d.msg, .topic = topic, .request = &d, .identifiers = g.identifiers};
    o.qos = d.no_ack ? std::uint8_t{0} : std::min(g.qos, qos_of(*d.msg));
    if (o.qos != 0) {
        o.id = index == 0 ? mqtt_outbound::id_of(d.pos) : std::uint16_t{0};
        if (o.id == 0 ? !has_free_id() : !has_room() || outbound_.find(o.id) != nullptr) {
            hold(index, std::move(d));
            return;
        }
        o.id = o.id == 0 ? free_id() : o.id;
    }
    o.expires_s = left_of(d);
    // [MQTT-3.3.1-1] What goes to another member of a group is sent for the first time.
    o.dup = o.qos != 0 && index == 0 && d.redelivered;
    o.retain = g.retain_as_published && d.msg->traits().retain;  // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
    // [MQTT-3.3.2-5] [MQTT-3.1.2-25] What is too late or too large is done with as if it had been sent.
    const bool sent = o.expires_s != 0 && send_publish(o, d.msg);
    if (!sent || o.qos == 0) {
        if (sent) {
            note_done(d);
        }
        settle_sent(std::move(d));
        return;
    }
    mqtt_flight f;
    f.id = o.id;
    f.qos = o.qos;
    f.of_session = index == 0;
    f.retain = o.retain;
    f.identifier = o.identifiers.empty() ? 0 : o.identifiers.front();
    f.d = std::move(d);
    outbound_.add(std::move(f));
}

// [MQTT-4.4.0-1] Under way when the last connection, or the broker, ended: it goes on where it was, whatever has been
// unsubscribed since.
void mqtt_session::resume_release(core::delivery&& d) {
    const auto id = mqtt_outbound::id_of(d.pos);
    if (!has_room() || outbound_.find(id) != nullptr) {
        hold(0, std::move(d));
        return;
    }
    mqtt_flight f;
    f.id = id;
    f.qos = 2;
    f.of_session = true;
    f.d = std::move(d);
    outbound_.add(std::move(f));
    note_receipt(*outbound_.find(id));
}

void mqtt_session::resend(core::delivery&& d) {
    const auto id = mqtt_outbound::id_of(d.pos);
    if (!has_room() || outbound_.find(id) != nullptr) {
        hold(0, std::move(d));
        return;
    }
    const auto known = consuming_->resumed->extract(d.pos).mapped();
    const auto& matched = consuming_->matched;
    mqtt_flight f;
    f.id = id;
    f.qos = known == stage::sent_qos_1 ? 1 : 2;
    f.of_session = true;
    outgoing o{
        .msg = *d.msg, .topic = matched.topic, .request = &d, .identifiers = std::span(matched.found.identifiers)};
    o.id = id;
    o.qos = f.qos;
    o.dup = true;
    o.expires_s = left_of(d);
    o.retain = matched.found.retain_as_published && d.msg->traits().retain;
    if (!send_publish(o, d.msg)) {
        settle_sent(std::move(d));
        return;
    }
    f.d = std::move(d);
    outbound_.add(std::move(f));
}

// Whole seconds, rounded up; -1: it does not expire by its publisher's will. What a queue's own limit leaves is no
// concern of the client's.
std::int64_t mqtt_session::left_of(const core::delivery& d) const noexcept {
    if (d.deadline == 0 || d.msg->time_to_live() < 0) [[likely]] {
        return -1;
    }
    return std::max<std::int64_t>(0, (d.deadline - shard_.now() + ns_per_s - 1) / ns_per_s);
}

// ---- Writing -------------------------------------------------------------------------------------

bool mqtt_session::send_publish(const outgoing& o, const core::message_ptr& m) {
    mqtt::publish_head h{.topic = o.topic};
    h.payload_bytes = o.msg.body_bytes();
    h.packet_id = o.id;
    h.qos = static_cast<mqtt::qos>(o.qos);
    h.dup = o.dup;
    h.retain = o.retain;
    if (is_v5()) {
        h.properties = publisher_properties(o, m);
        own_properties_of(o);
        h.own_properties = wire::as_bytes(scratch_.own_properties);
    }
    auto head_bytes = mqtt::encoded_size(h, spoken_);
    const auto bytes = head_bytes + h.payload_bytes;
    if (bytes > agreed_.packet_bytes_max) {
        return false;
    }
    if (agreed_.alias_max != 0 && bytes + alias_bytes_max <= agreed_.packet_bytes_max && use_alias(h)) {
        head_bytes = mqtt::encoded_size(h, spoken_);
    }
    const auto body = o.msg.body();
    counts_.packets_sent.add();
    counts_.publishes_sent.add();
    counts_.payload_sent.add(body.size());
    auto& totals = totals_->of(core::queue_type::classic);
    ++(o.qos == 0 ? totals.consumed_no_ack : totals.consumed);
    totals.redelivered += o.dup ? 1 : 0;
    if (body.size() < output::reference_bytes && head_bytes + body.size() <= block_pool::block_bytes) [[likely]] {
        wire::put_bytes(mqtt::encode(room(head_bytes + body.size()), h, spoken_), body.data(), body.size());
        written(head_bytes + body.size());
        return true;
    }
    if (head_bytes <= block_pool::block_bytes) {
        mqtt::encode(room(head_bytes), h, spoken_);
        written(head_bytes);
    } else {
        std::vector<std::uint8_t> head(head_bytes);
        mqtt::encode(head.data(), h, spoken_);
        append(head);
    }
    if (body.size() < output::reference_bytes) {
        append(body);
    } else {
        out_.append_reference(m.share(), body);
        counts_.bytes_sent.add(body.size());
        written(0);
    }
    return true;
}

// [MQTT-3.3.2-4] and the like: as the publisher gave them.
// For one who speaks MQTT to answer; who says itself by which topic it wants to be answered needs no handle.
void mqtt_session::lend_reply(core::neutral_properties& said, const outgoing& o, const core::message_ptr& m) {
    if (!m->traits().answerable || o.is_last_value || core::find(said.headers, reply_topic_header) != nullptr) {
        return;
    }
    core::delivery alone;
    alone.msg = m.share();
    said.reply_handle = shard_.lend_reply(vhost_id_, o.request != nullptr ? *o.request : alone, said);
}

wire::bytes_view mqtt_session::publisher_properties(const outgoing& o, const core::message_ptr& whole) {
    const core::message& m = o.msg;
    if (m.properties_of() == core::protocol_tag::mqtt) [[likely]] {
        return read_block(m.properties()).properties;
    }
    scratch_.properties.clear();
    if (const auto* reader = shard_.parts().reader_of(m.properties_of())) {
        auto said = reader->read(m.properties(), m.traits());
        lend_reply(said, o, whole);
        append_properties(scratch_.properties, said, topic_mode_);
    }
    return wire::as_bytes(scratch_.properties);
}

void mqtt_session::own_properties_of(const outgoing& o) {
    scratch_.own_properties.clear();
    if (o.expires_s >= 0) [[unlikely]] {
        // [MQTT-3.3.2-6] Less the time that it has waited.
        mqtt::append_property<property::message_expiry_interval>(
            scratch_.own_properties, static_cast<std::uint32_t>(std::min<std::int64_t>(o.expires_s, UINT32_MAX)));
    }
    for (const auto id : o.identifiers) {
        mqtt::append_property<property::subscription_identifier>(scratch_.own_properties, id);
    }
}

// The first topics of a connection get aliases, as many as the client allows; from the second time on it stands for
// the topic.
bool mqtt_session::use_alias(mqtt::publish_head& h) {
    auto& aliases = consumes().sent_aliases;
    if (aliases == nullptr) {
        aliases = std::make_unique<std::unordered_map<std::string, std::uint16_t>>();
    }
    auto at = aliases->find(std::string(h.topic));
    const bool known = at != aliases->end();
    if (!known) {
        if (aliases->size() >= agreed_.alias_max) {
            return false;
        }
        const auto next = static_cast<std::uint16_t>(aliases->size() + 1);
        at = aliases->emplace(std::string(h.topic), next).first;
    }
    mqtt::append_property<property::topic_alias>(scratch_.own_properties, at->second);
    h.own_properties = wire::as_bytes(scratch_.own_properties);
    h.topic = known ? std::string_view{} : h.topic;
    return true;
}

// ---- What the client answers ---------------------------------------------------------------------

void mqtt_session::on(const mqtt::puback& p) {
    auto* const f = outbound_.find(p.packet_id);
    if (f == nullptr) {
        return;  // of what had been sent before, perhaps
    }
    if (f->qos != 1) {
        fail(reason_code::protocol_error, "PUBACK for a publish of QoS 2");
        return;
    }
    finish_flight(*f);
}

void mqtt_session::on(const mqtt::pubrec& p) {
    auto* const f = outbound_.find(p.packet_id);
    if (f == nullptr) {
        if (!mqtt::is_failure(p.reason)) {
            send(mqtt::pubrel{.packet_id = p.packet_id, .reason = reason_code::packet_identifier_not_found});
        }
        return;
    }
    if (f->qos != 2) {
        fail(reason_code::protocol_error, "PUBREC for a publish of QoS 1");
        return;
    }
    if (mqtt::is_failure(p.reason)) {
        finish_flight(*f);
        return;
    }
    if (f->released) {
        say_pubrel(*f);
    } else if (!f->d.received) {
        note_receipt(*f);
    }  // else it is on its way
}

// [MQTT-4.3.3-5] From here on the message itself is not sent again, not even after a crash: the client would take it
// for another one once PUBREL has set its id free.
void mqtt_session::note_receipt(mqtt_flight& f) {
    f.d.received = true;
    if (f.of_session && f.d.stored) {
        shard_.note_received(f.d.queue, f.d.pos, handle_, receipt_tag, f.d.pos);
    } else {
        say_pubrel(f);
    }
}

void mqtt_session::receipt_noted(core::position pos) {
    auto* const f = outbound_.find(mqtt_outbound::id_of(pos));
    if (f != nullptr && f->of_session && f->d.pos == pos && !f->released) {
        say_pubrel(*f);
    }
}

void mqtt_session::say_pubrel(mqtt_flight& f) {
    f.released = true;
    send(mqtt::pubrel{.packet_id = f.id});
}

void mqtt_session::on(const mqtt::pubcomp& p) {
    auto* const f = outbound_.find(p.packet_id);
    if (f == nullptr) {
        return;
    }
    if (!f->released) {
        fail(reason_code::protocol_error, "PUBCOMP without PUBREL");
        return;
    }
    finish_flight(*f);
}

void mqtt_session::finish_flight(mqtt_flight& f) {
    auto done = outbound_.take(f);
    if (done.d.queue) {
        ++totals_->of(core::queue_type::classic).acknowledged;
        note_done(done.d);
        settle_sent(std::move(done.d));
    }
    const auto* const c = consuming_.get();
    if (c != nullptr && (!c->held.empty() || c->retained != nullptr || !c->unfinished.empty())) [[unlikely]] {
        go_on_delivering();
    }
}

// ---- Settling and waiting ------------------------------------------------------------------------

// The client has it.
void mqtt_session::note_done(const core::delivery& d) {
    if (!d.no_ack && d.msg->traits().identified) [[unlikely]] {
        shard_.note_accepted(vhost_id_, d);
    }
}

void mqtt_session::settle_sent(core::delivery&& d) {
    if (d.no_ack) {
        return;
    }
    sent_.push_back(std::move(d));
    if (sent_.size() >= settled_together) {
        flush_settled();
    } else if (sent_.size() == 1) {
        // Deliveries come at any time, also when no batch of ours ends soon.
        arm_timer();
    }
}

// Consecutive ones of one consumer in one call.
void mqtt_session::flush_settled() {
    if (sent_.empty()) {
        return;
    }
    auto& positions = consumes().positions;
    for (std::size_t i = 0; i < sent_.size();) {
        const auto& first = sent_[i];
        std::uint32_t passing = 0;
        std::uint64_t bytes = 0;
        std::uint64_t stored_bytes = 0;
        positions.clear();
        for (; i < sent_.size() && sent_[i].queue == first.queue && sent_[i].consumer == first.consumer; ++i) {
            if (sent_[i].stored) {
                positions.push_back(sent_[i].pos);
                stored_bytes += sent_[i].msg->body_bytes();
            } else {
                ++passing;
                bytes += sent_[i].msg->body_bytes();
            }
        }
        if (passing != 0) {
            shard_.settle_accepted(first.queue, first.consumer, passing, bytes);
        }
        if (!positions.empty()) {
            shard_.settle_stored(first.queue, first.consumer, positions, stored_bytes);
        }
    }
    sent_.clear();
}

std::uint16_t mqtt_session::free_id() {
    for (;;) {
        const auto id = outbound_.free_id();
        if (std::ranges::none_of(consumes().unfinished, [id](const mqtt_flight& f) { return f.id == id; })) {
            return id;
        }
    }
}

void mqtt_session::hold(std::size_t index, core::delivery&& d) {
    consumes().held.emplace_back(tag_of(index, sources_[index]), std::move(d));
    ready_ = false;
}

// The client has answered, or its output has room again.
void mqtt_session::go_on_delivering() {
    if (consuming_ != nullptr) {
        go_on_with_unfinished();
        auto waiting = std::exchange(consuming_->held, {});
        for (auto& [tag, d] : waiting) {
            if (!consuming_->held.empty() || output_full_) {
                consuming_->held.emplace_back(tag, std::move(d));
            } else if (const auto* s = source_of(tag); s != nullptr) {
                deliver(static_cast<std::size_t>(s - sources_.data()), std::move(d));
            } else {
                shard_.settle({&d, 1}, core::settlement::requeued);  // unsubscribed while it waited: another member's
            }
        }
        go_on_with_retained();
    }
    update_ready();
}

void mqtt_session::update_ready() {
    const bool was = ready_;
    ready_ = phase_ == phase::running && !output_full_ && !holds_deliveries();
    wants_resume_ = wants_resume_ || (ready_ && !was);
}

void mqtt_session::on_cancelled(std::uint64_t tag, core::cancel_reason) {
    auto* s = source_of(tag);
    if (s == nullptr || released_) {
        return;
    }
    s->attached = false;
    if (s == &sources_.front()) {
        // Nothing would reach the client any more. Not from within the core's call: at once, by the timer.
        own_queue_gone_ = true;
        shard_.timers().start(*this, shard_.now());
    } else {
        forget_source(*s);
    }
}

}  // namespace linnet::session
