// Channel 0 of an AMQP session: getting acquainted and taking leave.

#include "broker/session/amqp_channel.hpp"
#include "broker/session/amqp_session.hpp"

#include <fmt/format.h>

namespace linnet::session {
namespace {

using amqp::reply_code;

std::string connection_name(amqp::table_view properties) {
    const auto field = properties.find("connection_name");
    // What a client calls itself is for people; a screenful is enough.
    return std::string(field ? field->as_string().value_or("").substr(0, 255) : "");
}

}  // namespace

void amqp_session::send_start() {
    const auto properties = server_properties(settings_);
    const auto mechanisms = mechanisms_for(settings_, host_.peer());
    send(0, amqp::connection_start{.version_major = 0,
                                   .version_minor = 9,
                                   .server_properties = amqp::table_view::trusted(wire::as_bytes(properties)),
                                   .mechanisms = {mechanisms},
                                   .locales = {"en_US"}});
}

void amqp_session::on(const amqp::connection_start_ok& m) {
    if (phase_ != phase::starting) {
        unexpected_method();
        return;
    }
    abilities_ = read_abilities(m.client_properties);
    client_name_ = connection_name(m.client_properties);
    const auto properties = m.client_properties.contents();
    client_properties_.assign(properties.begin(), properties.end());
    const auto choice = choose_mechanism(settings_, host_.peer(), m.mechanism);
    if (!choice.mechanism) {
        fail(reply_code::command_invalid,
             fmt::format("{} authentication mechanism '{}'", choice.known ? "invalid" : "unknown", m.mechanism));
        return;
    }
    mechanism_ = *choice.mechanism;
    if (mechanism_ == sasl_mechanism::external) {
        on_login(authenticator_.verify_certificate(host_.peer().certificate_name, host_.peer().loopback));
        return;
    }
    const auto who = mechanism_ == sasl_mechanism::plain ? read_plain(m.response.text) : read_amqplain(m.response.text);
    if (!who) {
        fail(reply_code::syntax_error, "malformed authentication response");
        return;
    }
    phase_ = phase::authenticating;
    const auto peer = host_.peer();
    if (auto verdict = authenticator_.verify({who->user, who->password, peer.peer_address, peer.loopback}, *this)) {
        on_login(std::move(*verdict));
    } else {
        pause(wait_login);
    }
}

void amqp_session::on_login(login_verdict v) {
    if (v.result != login_result::accepted) {
        refuse_login(mechanism_);
    } else {
        user_ = std::move(v.user);
        grant_ = std::move(v.grant);
        phase_ = phase::tuning;
        send_tune();
    }
    resume(wait_login);
}

// The peer never learns whether the user, the password or the place was wrong.
void amqp_session::refuse_login(sasl_mechanism mechanism) {
    const auto text = fmt::format(
        "Login was refused using authentication mechanism {}. For details see the broker logfile.", name_of(mechanism));
    method_ = 0;
    // Without the capability a close at this point would look like a network fault to the client.
    phase_ = abilities_.authentication_failure_close ? phase::authenticating : phase::starting;
    fail(reply_code::access_refused, text);
}

void amqp_session::send_tune() {
    send(0, amqp::connection_tune{.channel_max = settings_.channel_max,
                                  .frame_max = settings_.frame_max,
                                  .heartbeat = settings_.heartbeat_s});
}

void amqp_session::on(const amqp::connection_tune_ok& m) {
    if (phase_ != phase::tuning) {
        unexpected_method();
        return;
    }
    auto agreed = negotiate(settings_, m);
    if (!agreed) {
        fail(reply_code::not_allowed, agreed.error());
        return;
    }
    tuned_ = *agreed;
    phase_ = phase::opening;
}

void amqp_session::on(const amqp::connection_open& m) {
    if (phase_ != phase::opening) {
        unexpected_method();
        return;
    }
    const auto view = shard_.topology();
    const auto* v = view.find_vhost(m.virtual_host);
    if (v == nullptr) {
        fail(reply_code::not_allowed, fmt::format("vhost {} not found", m.virtual_host));
        return;
    }
    const auto id = core::topology_view::id_of(*v);
    granted_ = grant_ == nullptr ? nullptr : grant_->rules_in(m.virtual_host);
    vhost_id_ = id;
    if (rules() == nullptr) {
        fail(reply_code::not_allowed, fmt::format("access to vhost '{}' refused for user '{}'", m.virtual_host, user_));
        return;
    }
    // RabbitMQ looks at the limit before the rights; whoever has none need not hear of it.
    auto seat = core::topology_view::take_seat(*v, user_);
    if (!seat) {
        fail(reply_code::not_allowed, seat.error().text);
        return;
    }
    seat_ = std::move(*seat);
    vhost_name_ = m.virtual_host;
    phase_ = phase::running;
    opened_ = true;
    ++counts_.connections_opened;
    refresh_vhost();
    send(0, amqp::connection_open_ok{});
    phase_deadline_ = 0;
    arm_timer();
    log_info(client_name_.empty() ? "open" : fmt::format("open, '{}'", client_name_));
}

// The same user's, with its rights and its end.
bool amqp_session::renew_grant(std::string_view token) {
    auto v = authenticator_.verify_token(token, host_.peer().peer_address);
    if (v.result != login_result::accepted || v.user != user_ || v.grant == nullptr) {
        return false;
    }
    grant_ = std::move(v.grant);
    granted_ = grant_->rules_in(vhost_name_);
    for (auto& entry : channels_) {
        entry.channel->forget_rights();
    }
    arm_timer();
    return true;
}

void amqp_session::on(const amqp::connection_update_secret& m) {
    if (phase_ != phase::running) {
        unexpected_method();
        return;
    }
    // Passwords and certificates do not run out while a connection lasts; tokens do.
    if (grant_ != nullptr && !renew_grant(m.new_secret.text)) {
        fail(reply_code::not_allowed, "New secret was refused by one of the backends");
        return;
    }
    send(0, amqp::connection_update_secret_ok{});
}

void amqp_session::on(const amqp::connection_close&) {
    if (phase_ == phase::closing) {
        // Both close at once: each answers the other.
        send(0, amqp::connection_close_ok{});
        return;
    }
    if (phase_ == phase::starting || phase_ == phase::tuning || phase_ == phase::opening) {
        log_info("closed by the client before it was open");
        hang_up_later();
        return;
    }
    leave();
}

void amqp_session::on(const amqp::connection_close_ok&) {
    if (phase_ == phase::closing) {
        finish();
    } else {
        unexpected_method();
    }
}

// A client that has its close-ok may count on its exclusive queues being gone.
void amqp_session::leave() {
    const bool was_running = phase_ == phase::running;
    for (auto& entry : channels_) {
        if (!entry.channel->closing()) {
            entry.channel->flush_confirms();
        }
    }
    phase_ = phase::leaving;
    release();
    if (!was_running) {
        finish_leaving();
        return;
    }
    start_phase_timer(settings_.close_timeout);
    ask(core::end_session{}, {});
}

void amqp_session::finish_leaving() {
    send(0, amqp::connection_close_ok{});
    log_info("closed by the client");
    finish();
}

}  // namespace linnet::session
