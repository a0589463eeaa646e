// Heartbeats and timeouts of an AMQP session.

#include "broker/session/amqp_channel.hpp"
#include "broker/session/amqp_session.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

constexpr mono_ns timeout_check_interval = 60 * ns_per_s;

}  // namespace

void amqp_session::start_phase_timer(mono_ns after) {
    phase_deadline_ = shard_.now() + after;
    arm_timer();
}

// One timer serves everything: it is armed for what comes first and looks around when it fires, so that
// traffic costs no timer operation.
void amqp_session::arm_timer() {
    mono_ns next = phase_deadline_;
    const auto consider = [&](mono_ns at) { next = next == 0 ? at : std::min(next, at); };
    if (phase_ == phase::running && tuned_.heartbeat_s != 0) {
        const mono_ns interval = tuned_.heartbeat_s * ns_per_s;
        consider(last_write_ + interval / 2);
        if (paused_ == 0) {
            consider(last_read_ + 2 * interval);
        }
    }
    if (phase_ == phase::running && next_check_ != 0) {
        consider(next_check_);
    }
    if (phase_ == phase::running && grant_ != nullptr) {
        consider(shard_.now() + std::max<mono_ns>(grant_->ends_at() - shard_.wall_now(), 0));
    }
    if (next != 0) {
        shard_.timers().start(*this, std::max(next, shard_.now() + ns_per_ms));
    }
}

void amqp_session::on_timer(mono_ns now) {
    if (phase_deadline_ != 0 && now >= phase_deadline_) {
        if (phase_ != phase::closing && phase_ != phase::refusing) {
            log_trouble(fmt::format("handshake timed out in state {}", state_name(phase_)));
        }
        release();
        phase_ = phase::done;
        host_.abort();
        return;
    }
    if (phase_ == phase::running) {
        if (grant_ != nullptr && shard_.wall_now() >= grant_->ends_at()) {
            method_ = 0;
            fail(amqp::reply_code::connection_forced, "credential expired");
            return;
        }
        if (!check_heartbeats(now)) {
            return;
        }
        check_timeouts(now);
    }
    arm_timer();
}

bool amqp_session::check_heartbeats(mono_ns now) {
    if (tuned_.heartbeat_s == 0) {
        return true;
    }
    const mono_ns interval = tuned_.heartbeat_s * ns_per_s;
    if (paused_ == 0 && now - last_read_ >= 2 * interval) {
        log_trouble(fmt::format("missed heartbeats from client, timeout: {}s", tuned_.heartbeat_s));
        release();
        phase_ = phase::done;
        host_.abort();
        return false;
    }
    if (now - last_write_ >= interval / 2) {
        // Output that is stuck needs no further bytes behind it.
        if (out_.empty()) {
            send_heartbeat();
        } else {
            last_write_ = now;
        }
    }
    return true;
}

void amqp_session::watch_timeouts() noexcept {
    if (next_check_ == 0) {
        next_check_ = shard_.now() + timeout_check_interval;
        arm_timer();
    }
}

void amqp_session::check_timeouts(mono_ns now) {
    if (next_check_ == 0 || now < next_check_) {
        return;
    }
    next_check_ = now + timeout_check_interval;
    method_ = 0;  // nothing that the client said is to blame
    refresh_vhost();
    for (auto& entry : channels_) {
        if (!entry.channel->closing()) {
            entry.channel->check_timeouts(age_s());
        }
    }
    end_batch();
}

}  // namespace linnet::session
