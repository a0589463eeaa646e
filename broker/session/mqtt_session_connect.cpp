// CONNECT and CONNACK: who the client is, what both sides promise, and finding its session again.

#include "broker/core/text_hash.hpp"
#include "broker/session/amqp_names.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_session.hpp"
#include "protocol/mqtt/property_writing.hpp"
#include "protocol/mqtt/topic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace linnet::session {
namespace {

using mqtt::property;
using mqtt::reason_code;

constexpr std::size_t random_id_bytes = 16;

}  // namespace

void mqtt_session::on(const mqtt::connect& c) {
    spoken_ = c.spoken;
    take_limits(c);
    if (const auto method = c.properties.get<property::authentication_method>()) {
        // [MQTT-4.12.0-1]
        if (*method != scram_sha_256) {
            refuse(reason_code::bad_authentication_method, "the only authentication method is SCRAM-SHA-256");
            return;
        }
        enhanced_ = std::make_unique<enhanced>();
    }
    if (!take_client_id(c)) {
        return;
    }
    phase_ = phase::authenticating;
    if (enhanced_ != nullptr && !open_scram(c.properties)) {
        return;
    }
    enter_as(enhanced_ != nullptr ? std::string_view(enhanced_->conversation->user())
                                  : c.user_name.value_or(std::string_view{}));
    if (c.will && !take_will(*c.will)) {
        return;
    }
    if (enhanced_ != nullptr) {
        challenge();
    } else {
        take_identity(c);
    }
}

// Whoever that is, this is where the client wants to go.
void mqtt_session::enter_as(std::string_view name) {
    const auto vhost = identity_of(name).vhost;
    vhost_name_ = settings_.figures->names_of(shard_.id()).get(vhost);
    topic_mode_ = settings_.mode_in(vhost);
}

// [MQTT-3.1.3-2] to [MQTT-3.1.3-9]
bool mqtt_session::take_client_id(const mqtt::connect& c) {
    if (mqtt::client_id_is_missing(c)) {
        refuse(reason_code::client_identifier_not_valid, "a session that is kept needs a client id");
        return false;
    }
    client_id_ = c.client_id;
    if (client_id_.empty()) {
        std::array<std::uint8_t, random_id_bytes> random{};
        fill_random(random);
        client_id_ = "auto-" + to_base64url(random);
        agreed_.id_assigned = true;
    }
    if (!session_queue_name(client_id_)) {
        refuse(reason_code::client_identifier_not_valid, "the client id is too long");
        return false;
    }
    publisher_ = core::stable_hash(client_id_);
    return true;
}

void mqtt_session::take_limits(const mqtt::connect& c) {
    agreed_.clean = c.clean_start;
    agreed_.keep_alive_s = c.keep_alive_s;
    const auto& p = c.properties;
    // [MQTT-3.3.4-9] Fewer may be under way than the client would take: no more than there are ids for each kind.
    agreed_.inflight_max = std::min(
        p.get<property::receive_maximum>().value_or(is_v5() ? UINT16_MAX : settings_.inflight_max),
        mqtt_outbound::positional_ids);
    agreed_.alias_max = std::min(p.get<property::topic_alias_maximum>().value_or(0), settings_.topic_alias_maximum);
    agreed_.packet_bytes_max = p.get<property::maximum_packet_size>().value_or(mqtt::packet_bytes_max);
    agreed_.problem_information = p.get<property::request_problem_information>().value_or(1) != 0;
    agreed_.wants_response_information = p.get<property::request_response_information>().value_or(0) != 0;
    // MQTT 3 has no number for it: a session is clean, or kept as long as we keep any.
    const auto wanted = is_v5() ? p.get<property::session_expiry_interval>().value_or(0)
                                : (c.clean_start ? 0 : core::never_expires_s);
    agreed_.expiry_s = std::min(wanted, settings_.session_expiry_max_s);
    agreed_.expiry_lowered = agreed_.expiry_s != wanted;
    kept_ = agreed_.expiry_s != 0;
    const auto most = settings_.keep_alive_max_s;
    if (is_v5() && most != 0 && (agreed_.keep_alive_s == 0 || agreed_.keep_alive_s > most)) {
        agreed_.keep_alive_s = most;
        agreed_.keep_alive_lowered = true;
    }
}

void mqtt_session::take_identity(const mqtt::connect& c) {
    const auto peer = host_.peer();
    if (c.user_name) {
        check_password(identity_of(*c.user_name).user, wire::as_text(c.password.value_or(wire::bytes_view{})));
    } else if (settings_.certificates && !peer.certificate_name.empty()) {
        on_login(authenticator_.verify_certificate(peer.certificate_name, peer.loopback));
    } else if (settings_.anonymous_password) {
        check_password(settings_.anonymous_user, *settings_.anonymous_password);
    } else if (!settings_.anonymous_user.empty()) {
        on_login(authenticator_.verify_certificate(settings_.anonymous_user, peer.loopback));
    } else {
        on_login({});
    }
}

void mqtt_session::check_password(std::string_view user, std::string_view password) {
    const auto peer = host_.peer();
    auto verdict = authenticator_.verify({std::string(user), std::string(password), peer.peer_address, peer.loopback},
                                         *this);
    if (verdict) {
        on_login(std::move(*verdict));
    } else {
        pause(wait_login);
    }
}

// "vhost:user", unless there is no such vhost: user names may hold a colon, too.
mqtt_session::identity mqtt_session::identity_of(std::string_view name) const {
    const auto colon = name.rfind(':');
    const bool names_vhost = colon != std::string_view::npos &&
                             shard_.topology().find_vhost(name.substr(0, colon)) != nullptr;
    return names_vhost ? identity{name.substr(0, colon), name.substr(colon + 1)} : identity{settings_.vhost, name};
}

void mqtt_session::on_login(login_verdict v) {
    if (v.result != login_result::accepted) {
        refuse(reason_code::bad_user_name_or_password, "unknown user or wrong password");
        return;
    }
    user_ = settings_.figures->names_of(shard_.id()).get(v.user);
    if (v.grant != nullptr) {
        rights_ = std::make_unique<token_rights>();
        rights_->grant = std::move(v.grant);
    }
    if (enter_vhost()) {
        attach();
        end_batch();
    }
    resume(wait_login);
}

bool mqtt_session::enter_vhost() {
    const auto view = shard_.topology();
    const auto* v = view.find_vhost(vhost_name_.text());
    if (v == nullptr) {
        refuse(reason_code::not_authorized, fmt::format("vhost '{}' not found", vhost_name_.text()));
        return false;
    }
    vhost_id_ = core::topology_view::id_of(*v);
    if (rights_ != nullptr) {
        rights_->rules = rights_->grant->rules_in(vhost_name_.text());
    }
    if (rules() == nullptr) {
        refuse(reason_code::not_authorized,
               fmt::format("access to vhost '{}' refused for user '{}'", vhost_name_.text(), user_.text()));
        return false;
    }
    auto seat = core::topology_view::take_seat(*v, user_.text());
    if (!seat) {
        refuse(reason_code::quota_exceeded, seat.error().text);
        return false;
    }
    seat_ = std::move(*seat);
    phase_ = phase::attaching;
    refresh_vhost();
    if (will_ != nullptr) {
        // It is checked again when it is published; who may not now need not wait for that to be told.
        if (!allowed(core::right::write, will_->what->exchange(), will_->what->routing_key())) {
            refuse(reason_code::not_authorized, "the will may not be published");
            return false;
        }
    }
    return true;
}

// [MQTT-3.1.2-7] Kept with the session, published when the connection ends without DISCONNECT.
bool mqtt_session::take_will(const mqtt::will& w) {
    const auto address = address_of_topic(w.topic, names());
    if (!address) {
        refuse(reason_code::topic_name_invalid, "the will's topic cannot be published to");
        return false;
    }
    core::message_traits traits;
    traits.properties_of = core::protocol_tag::mqtt;
    traits.persistent = w.qos != mqtt::qos::at_most_once;
    traits.once = w.qos == mqtt::qos::exactly_once;
    traits.retain = w.retain;
    if (const auto expiry = w.properties.get<property::message_expiry_interval>()) {
        traits.time_to_live = *expiry * ns_per_s;
    }
    traits.identified = names_message(w.properties);
    will_ = std::make_unique<core::last_words>();
    will_->delay_s = w.properties.get<property::will_delay_interval>().value_or(0);
    // The delay is the session's, not the message's.
    std::string properties;
    for (const auto& p : w.properties) {
        if (p.id != property::will_delay_interval) {
            mqtt::append_property(properties, p);
        }
    }
    write_block(scratch_.block, static_cast<std::uint8_t>(w.qos), publisher_,
                mqtt::property_block::trusted(wire::as_bytes(properties)));
    will_->what = core::make_message(shard_.pool(), address->exchange, address->key, wire::as_bytes(scratch_.block),
                                     w.payload, traits);
    return true;
}

// ---- The session ---------------------------------------------------------------------------------

void mqtt_session::attach() {
    auto j = std::make_unique<job>();
    j->what = job::kind::connect;
    j->at = job::step::attach;
    begin(std::move(j));
}

void mqtt_session::attached(core::attached_client&& a) {
    ticket_ = a.ticket;
    session_present_ = a.present;
    std::vector<std::uint16_t> taken;
    for (const auto number : a.marks) {
        taken.push_back(static_cast<std::uint16_t>(number));
    }
    if (!taken.empty()) {
        publishes().taken.assign(std::move(taken));
    }
    if (auto state = decode_state(a.state)) {
        restore(std::move(*state));
    }
}

void mqtt_session::restore(mqtt_state&& s) {
    if (s == mqtt_state{}) {
        return;  // no need for consuming_
    }
    auto& to = consumes();
    refresh_vhost();
    const auto tell_ended = [this](std::string_view filter) {
        log_trouble(fmt::format("the subscription to '{}' has ended: it may not be read any more", filter));
    };
    for (auto& one : s.subscriptions) {
        wish w;
        w.filter = one.filter;
        if (may_read(w)) {
            to.subscriptions.put(std::move(one));
        } else {
            tell_ended(one.filter);
            w.what = std::move(one);
            job_->wishes.push_back(std::move(w));
        }
    }
    if (s.has_queue) {
        own_source().used = true;
    }
    for (auto& one : s.sources) {
        wish w;
        w.what = std::move(one);
        if (!find_place(w)) {
            continue;
        }
        if (!may_read(w)) {
            tell_ended(w.what.filter);
        } else {
            static_cast<void>(new_source(std::move(w.queue), std::move(w.what)));
        }
    }
    if (!s.flights.empty()) {
        to.resumed = std::make_unique<std::map<core::position, mqtt_state::stage>>(std::move(s.flights));
    }
    for (const auto& e : s.exchanges) {
        to.unfinished.push_back(flight_of(e));
    }
}

// [MQTT-3.2.0-1] The first thing that the client hears.
void mqtt_session::welcome() {
    std::string properties;
    if (is_v5()) {
        if (agreed_.expiry_lowered) {
            mqtt::append_property<property::session_expiry_interval>(properties, agreed_.expiry_s);
        }
        mqtt::append_property<property::receive_maximum>(properties, settings_.receive_maximum);
        mqtt::append_property<property::maximum_packet_size>(properties, settings_.packet_bytes_max);
        if (settings_.topic_alias_maximum != 0) {
            mqtt::append_property<property::topic_alias_maximum>(properties, settings_.topic_alias_maximum);
        }
        if (agreed_.id_assigned) {
            mqtt::append_property<property::assigned_client_identifier>(properties, client_id_);
        }
        if (agreed_.keep_alive_lowered) {
            mqtt::append_property<property::server_keep_alive>(properties, agreed_.keep_alive_s);
        }
        if (enhanced_ != nullptr) {
            // [MQTT-4.12.0-5]
            mqtt::append_property<property::authentication_method>(properties, scram_sha_256);
            mqtt::append_property<property::authentication_data>(
                properties, wire::as_bytes(std::exchange(enhanced_->farewell, {})));
        }
        if (agreed_.wants_response_information && !mqtt::has_wildcards(client_id_)) {
            mqtt::append_property<property::response_information>(properties, "response/" + client_id_);
        }
    }
    mqtt::connack answer{.session_present = session_present_,
                         .properties = mqtt::property_block::trusted(wire::as_bytes(properties))};
    if (mqtt::encoded_size(answer, spoken_) > agreed_.packet_bytes_max) {
        fail(reason_code::packet_too_large, "the client's Maximum Packet Size leaves no room for CONNACK");
        return;
    }
    phase_ = phase::running;
    note_opened();
    counts_.connections.add();
    counts_.clients.add();
    counts_.subscriptions.add(static_cast<std::int64_t>(subscription_count()));
    refresh_vhost();
    send(answer);
    deadline_ = 0;
    arm_timer();
    go_on_with_unfinished();
    update_ready();
    if (std::exchange(rights_changed_, false)) {
        on_rights_changed();
        return;
    }
    log_info(fmt::format("open, MQTT {}, client '{}'",
                         is_v5()                            ? "5"
                         : spoken_ == mqtt::version::v3_1_1 ? "3.1.1"
                                                            : "3.1",
                         client_id_));
}

// [MQTT-3.2.2-7] [MQTT-3.2.2-6] A refusal, and the end.
void mqtt_session::refuse(reason_code why, std::string_view text) {
    log_trouble(fmt::format("refused: {}: {}", mqtt::reason_name(why), text));
    if (is_v5() || mqtt::return_code_of(why)) {
        const auto properties = reason_properties(text);
        mqtt::connack answer{.reason = why, .properties = mqtt::property_block::trusted(wire::as_bytes(properties))};
        if (mqtt::encoded_size(answer, spoken_) > agreed_.packet_bytes_max) {
            answer.properties = {};
        }
        if (mqtt::encoded_size(answer, spoken_) <= agreed_.packet_bytes_max) {
            send(answer);
        }
    }
    finish(parting::without_will);
}

}  // namespace linnet::session
