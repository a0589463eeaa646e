#include "broker/session/amqp_channel.hpp"

#include "broker/session/amqp_reply_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {

using amqp::reply_code;
using kind = amqp_continuation::kind;

amqp_channel::amqp_channel(amqp_session& s, std::uint16_t number, std::uint64_t publish_tag)
    : session_(s), number_(number), publish_tag_(publish_tag) {
    ready_ = !s.output_full();
    s.shard().note_connection_bytes(sizeof(amqp_channel));
    ++s.counts().channels_opened;
}

amqp_channel::~amqp_channel() {
    session_.shard().note_connection_bytes(-static_cast<std::int64_t>(sizeof(amqp_channel)));
    ++session_.counts().channels_closed;
}

void amqp_channel::on_method(amqp::method_id id, wire::bytes_view arguments) {
    if (!between_contents()) {
        // The publish that was interrupted is to blame.
        session_.blame(amqp::basic_publish::id);
        content_->builder.active()
            ? session_.fail(reply_code::unexpected_frame, "expected content body, got non content body frame instead")
            : session_.fail(reply_code::unexpected_frame,
                            "expected content header for class 60, got non content header frame instead");
        return;
    }
    session_.blame(id);
    if (const auto why = amqp::visit_method(id, arguments, [this](const auto& m) { on(m); })) {
        session_.fail_method(*why, arguments);
    }
}

void amqp_channel::fail(reply_code code, std::string_view text) {
    if (closing_ || session_.owe_failure(number_, code, text)) {
        return;
    }
    if (amqp::ends_connection(code)) {
        session_.fail(code, text);
        return;
    }
    flush_confirms();
    const auto full = reply_text(code, text);
    session_.log_channel_error(number_, code, full);
    release();
    session_.give_up_commit(number_);
    const auto method = session_.method();
    send(amqp::channel_close{.code = static_cast<std::uint16_t>(code),
                             .text = full,
                             .class_number = amqp::class_of(method),
                             .method_number = amqp::method_of(method)});
}

void amqp_channel::fail(const core::error& e) { fail(reply_code_of(e.kind), e.text); }

void amqp_channel::release() {
    if (std::exchange(closing_, true)) {
        return;
    }
    ready_ = false;
    for (auto& c : consumers_) {
        if (c.used && c.attached) {
            session_.shard().forget_consumer(c.queue, c.id, *this);
        }
    }
    flush_acks();
    requeue_all();
    consumers_.clear();
    ended_.clear();
    content_.reset();
    transaction_.reset();
    returnable_.reset();
    replies_.reset();
}

amqp_continuation amqp_channel::then(kind what, bool no_wait) const {
    amqp_continuation c;
    c.what = what;
    c.no_wait = no_wait;
    c.channel = number_;
    c.method = session_.method();
    return c;
}

namespace {

// RabbitMQ counts neither the consumers of a stream in a declare-ok nor its messages in a delete-ok.
std::uint32_t consumers_told(const core::queue_info& q) noexcept {
    return core::is_stream(q.handle) ? 0 : static_cast<std::uint32_t>(q.consumer_count);
}
std::uint32_t messages_deleted(const core::queue_info& q) noexcept {
    return core::is_stream(q.handle) ? 0 : static_cast<std::uint32_t>(q.message_count);
}

}  // namespace

void amqp_channel::on_reply(core::reply&& r, const amqp_continuation& t) {
    if (!ended_.empty()) {
        session_.mark_dirty(*this);  // they have been waiting for this answer
    }
    if (!r.result) {
        if (t.what == kind::consume && t.consumer < consumers_.size()) {
            forget_consumer(consumers_[t.consumer]);
        }
        // A queue that vanished while its consumer was being cancelled is no reason to complain.
        if (t.what == kind::cancel) {
            cancelled(t);
            return;
        }
        if (t.what == kind::find_reply_queue) {
            fail(reply_code::not_found, fmt::format("no {}", in_vhost("queue", t.name)));
            return;
        }
        fail(r.result.error());
        return;
    }
    const auto* info = std::get_if<core::queue_info>(&*r.result);
    switch (t.what) {
        case kind::nothing: return;
        case kind::simple_ok:
            if (!t.no_wait) {
                switch (t.method) {
                    case amqp::exchange_declare::id: send(amqp::exchange_declare_ok{}); return;
                    case amqp::exchange_delete::id: send(amqp::exchange_delete_ok{}); return;
                    case amqp::exchange_bind::id: send(amqp::exchange_bind_ok{}); return;
                    case amqp::exchange_unbind::id: send(amqp::exchange_unbind_ok{}); return;
                    case amqp::queue_bind::id: send(amqp::queue_bind_ok{}); return;
                    case amqp::queue_unbind::id: send(amqp::queue_unbind_ok{}); return;
                    default: return;
                }
            }
            return;
        case kind::declare_queue:
            if (!t.no_wait && info != nullptr) {
                send(amqp::queue_declare_ok{.queue = t.name,
                                            .message_count = static_cast<std::uint32_t>(info->message_count),
                                            .consumer_count = consumers_told(*info)});
            }
            return;
        case kind::delete_queue:
            if (!t.no_wait && info != nullptr) {
                send(amqp::queue_delete_ok{messages_deleted(*info)});
            }
            return;
        case kind::purge:
            if (!t.no_wait && info != nullptr) {
                send(amqp::queue_purge_ok{static_cast<std::uint32_t>(info->message_count)});
            }
            return;
        case kind::find_reply_queue:
            if (!t.no_wait) {
                send(amqp::queue_declare_ok{.queue = t.name, .message_count = 0, .consumer_count = 1});
            }
            return;
        case kind::consume: consumed(std::move(r), t); return;
        case kind::cancel: cancelled(t); return;
        case kind::get:
            if (auto* g = std::get_if<core::got_message>(&*r.result)) {
                got(std::move(*g), t);
            }
            return;
        case kind::commit: return;
    }
}

void amqp_channel::end_batch() {
    flush_acks();
    flush_confirms();
    if (!ended_.empty() && !session_.asking_for(number_)) {
        for (const auto& tag : std::exchange(ended_, {})) {
            say_cancelled(tag);
        }
    }
    if (wants_resume_ && ready_) {
        wants_resume_ = false;
        session_.shard().resume(*this);
    }
}

void amqp_channel::update_ready() {
    const bool was = ready_;
    ready_ = !closing_ && !session_.output_full() && (prefetch_channel_ == 0 || lent_ < prefetch_channel_);
    if (ready_ && !was) {
        wants_resume_ = true;
        session_.mark_dirty(*this);
    }
}

// ---- Figures -----------------------------------------------------------------------------------

std::uint32_t amqp_channel::consumer_count() const noexcept {
    return static_cast<std::uint32_t>(
        std::ranges::count_if(consumers_, [](const consumer& c) { return c.used && c.attached; }));
}

core::channel_look amqp_channel::look() {
    core::channel_look l;
    l.number = number_;
    l.state = closing_ ? "closing" : ready_ ? "running" : "flow";
    l.prefetch = prefetch_;
    l.prefetch_all = prefetch_channel_;
    l.unacked = unacked_.live();
    l.unconfirmed = mode_ == mode::confirm ? confirms_.next() - 1 - confirms_.said() : 0;
    l.confirm = mode_ == mode::confirm;
    l.transactional = mode_ == mode::transaction;
    if (transaction_ != nullptr) {
        l.uncommitted = transaction_->publishes.size();
        l.acks_uncommitted = transaction_->settlements.size();
    }
    l.consumers = consumer_count();
    l.counts = counts_;
    l.counts.deliver = unacked_.next_tag() - 1 - counts_.deliver_no_ack - counts_.get - counts_.get_no_ack;
    if (window_ == nullptr) {
        window_ = std::make_unique<core::rate_window<core::message_counts>>();
    }
    auto& shard = session_.shard();
    l.seen = window_->look(l.counts, shard.now(), shard.wall_now());
    return l;
}

// ---- Small methods -----------------------------------------------------------------------------

void amqp_channel::on(const amqp::channel_open&) { fail(reply_code::channel_error, "second 'channel.open' seen"); }

void amqp_channel::on(const amqp::channel_flow& m) {
    if (!m.active) {
        fail(reply_code::not_implemented, "active=false");
        return;
    }
    send(amqp::channel_flow_ok{.active = true});
}

void amqp_channel::on(const amqp::access_request&) { send(amqp::access_request_ok{.ticket = 1}); }

void amqp_channel::on(const amqp::confirm_select& m) {
    if (mode_ == mode::transaction) {
        fail(reply_code::precondition_failed, "cannot switch from tx to confirm mode");
        return;
    }
    mode_ = mode::confirm;
    if (!m.no_wait) {
        send(amqp::confirm_select_ok{});
    }
}

void amqp_channel::on(const amqp::tx_select&) {
    if (mode_ == mode::confirm) {
        fail(reply_code::precondition_failed, "cannot switch from confirm to tx mode");
        return;
    }
    mode_ = mode::transaction;
    if (transaction_ == nullptr) {
        transaction_ = std::make_unique<transaction_log>();
    }
    send(amqp::tx_select_ok{});
}

void amqp_channel::on(const amqp::tx_rollback&) {
    if (mode_ != mode::transaction) {
        fail(reply_code::precondition_failed, "channel is not transactional");
        return;
    }
    rollback();
    send(amqp::tx_rollback_ok{});
}

}  // namespace linnet::session
