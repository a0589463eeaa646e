// Enhanced authentication of MQTT 5: SCRAM-SHA-256 in CONNECT, AUTH and CONNACK, and again in AUTH while the client is
// connected.

#include "broker/session/mqtt_session.hpp"
#include "protocol/mqtt/property_writing.hpp"

namespace linnet::session {
namespace {

using mqtt::property;
using mqtt::reason_code;

std::string_view data_of(const mqtt::property_block& p) {
    return wire::as_text(p.get<property::authentication_data>().value_or(wire::bytes_view{}));
}

}  // namespace

bool mqtt_session::open_scram(const mqtt::property_block& p) {
    enhanced_->conversation = std::make_unique<scram_conversation>();
    if (!enhanced_->conversation->take_first(data_of(p))) {
        refuse_scram("that is no first message of SCRAM-SHA-256");
        return false;
    }
    return true;
}

// [MQTT-4.12.0-2] [MQTT-4.12.0-3]
void mqtt_session::challenge() {
    if (const auto terms = authenticator_.begin_scram(identity_of(enhanced_->conversation->user()).user)) {
        send_auth(reason_code::continue_authentication, enhanced_->conversation->challenge(*terms));
    } else {
        refuse_scram("SCRAM-SHA-256 is not available");
    }
}

void mqtt_session::send_auth(reason_code reason, std::string_view data) {
    std::string properties;
    mqtt::append_property<property::authentication_method>(properties, scram_sha_256);
    mqtt::append_property<property::authentication_data>(properties, wire::as_bytes(data));
    send(mqtt::auth{.reason = reason, .properties = mqtt::property_block::trusted(wire::as_bytes(properties))});
}

void mqtt_session::on(const mqtt::auth& p) {
    const auto method = p.properties.get<property::authentication_method>();
    // [MQTT-4.12.0-7] A client that named no method in CONNECT. [MQTT-4.12.0-5] [MQTT-4.12.1-1] Or now another one.
    if (enhanced_ == nullptr || method != scram_sha_256) {
        fail(reason_code::protocol_error, "AUTH with another authentication method than CONNECT");
        return;
    }
    if (p.reason == reason_code::reauthenticate && phase_ == phase::running && enhanced_->conversation == nullptr) {
        if (open_scram(p.properties)) {
            challenge();
        }
    } else if (p.reason == reason_code::continue_authentication && enhanced_->conversation != nullptr) {
        finish_scram(p.properties);
    } else {
        fail(reason_code::protocol_error, "AUTH out of turn");
    }
}

// The client's proof. Who is connected already stays who it is: the session, its will and its rights are that user's.
void mqtt_session::finish_scram(const mqtt::property_block& p) {
    const auto conversation = std::exchange(enhanced_->conversation, nullptr);
    auto proof = conversation->take_last(data_of(p));
    if (!proof) {
        refuse_scram("that is no answer to the challenge");
        return;
    }
    const bool again = phase_ == phase::running;
    const auto [vhost, user] = identity_of(conversation->user());
    proof->user = user;
    const auto peer = host_.peer();
    proof->peer_address = peer.peer_address;
    proof->loopback = peer.loopback;
    auto verdict = authenticator_.finish_scram(*proof);
    const bool stays = !again || (user == user_.text() && vhost == vhost_name_.text());
    if (verdict.login.result != login_result::accepted || !stays) {
        refuse_scram("unknown user or wrong password");
        return;
    }
    auto farewell = scram_conversation::farewell(verdict.signature);
    if (again) {
        send_auth(reason_code::success, farewell);
    } else {
        enhanced_->farewell = std::move(farewell);
        on_login(std::move(verdict.login));
    }
}

// [MQTT-4.12.0-4] [MQTT-4.12.1-2]
void mqtt_session::refuse_scram(std::string_view text) {
    enhanced_->conversation.reset();
    if (phase_ == phase::running) {
        fail(reason_code::not_authorized, text);
    } else {
        refuse(reason_code::not_authorized, text);
    }
}

}  // namespace linnet::session
