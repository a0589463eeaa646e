// Consuming on an AMQP channel: consumers, deliveries, gets, direct replies.

#include "broker/core/broker.hpp"
#include "broker/session/amqp_arguments.hpp"
#include "broker/session/amqp_channel.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/amqp_reply_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

using amqp::reply_code;
using core::right;
using core::topology_view;
using kind = amqp_continuation::kind;

// Keys of other protocols may be longer than AMQP can say.
std::string_view short_key(std::string_view key) noexcept { return key.substr(0, 255); }

std::uint32_t seconds(mono_ns t) noexcept {
    return static_cast<std::uint32_t>(std::clamp<mono_ns>((t + ns_per_s - 1) / ns_per_s, 0, UINT32_MAX));
}

}  // namespace

// ---- Consumers ---------------------------------------------------------------------------------

amqp_channel::consumer* amqp_channel::find_consumer(std::string_view tag) noexcept {
    for (auto& c : consumers_) {
        if (c.used && c.tag == tag) {
            return &c;
        }
    }
    return nullptr;
}

std::uint32_t amqp_channel::new_consumer() {
    const auto free = std::ranges::find_if(consumers_, [](const consumer& c) { return !c.used; });
    const auto index = static_cast<std::uint32_t>(free - consumers_.begin());
    if (free == consumers_.end()) {
        consumers_.emplace_back();
    }
    auto& c = consumers_[index];
    c.used = true;
    ++c.generation;
    c.counts = &session_.counts().of(c.type);
    return index;
}

void amqp_channel::forget_consumer(consumer& c) noexcept {
    const auto generation = c.generation;
    c = consumer{};
    c.generation = generation;
}

// Null for a tag whose consumer has ended.
amqp_channel::consumer* amqp_channel::consumer_of(std::uint64_t tag) noexcept {
    const auto index = static_cast<std::uint32_t>(tag);
    if (index >= consumers_.size()) {
        return nullptr;
    }
    auto& c = consumers_[index];
    return c.used && c.generation == static_cast<std::uint32_t>(tag >> 32) ? &c : nullptr;
}

void amqp_channel::on(const amqp::basic_consume& m) {
    if (m.queue == reply_queue) {
        consume_replies(m);
        return;
    }
    if (!m.consumer_tag.empty() && find_consumer(m.consumer_tag) != nullptr) {
        fail(reply_code::not_allowed, fmt::format("attempt to reuse consumer tag '{}'", m.consumer_tag));
        return;
    }
    auto queue = queue_or_last(m.queue);
    if (!queue || !allowed(right::read, "queue", *queue)) {
        return;
    }
    auto arguments = to_values(m.arguments);
    if (!check_consume(*queue, m.no_ack, arguments)) {
        return;
    }
    const auto most = session_.settings().consumers_per_channel_max;
    if (most != 0 && std::ranges::count_if(consumers_, &consumer::used) >= static_cast<std::ptrdiff_t>(most)) {
        fail(reply_code::not_allowed, fmt::format("reached maximum ({}) of consumers per channel", most));
        return;
    }
    const auto index = new_consumer();
    auto& c = consumers_[index];
    c.tag = m.consumer_tag.empty() ? make_consumer_tag() : std::string(m.consumer_tag);
    c.no_ack = m.no_ack;
    c.prefetch = m.no_ack ? 0 : prefetch_;
    const auto* priority = core::find(arguments, "x-priority");
    const auto* level = priority == nullptr ? nullptr : priority->as_integer();
    auto t = then(kind::consume, m.no_wait);
    t.consumer = index;
    t.name = *queue;
    c.queue_name = *queue;
    flush_acks();
    session_.ask(core::consume{.queue = std::move(*queue),
                               .tag = tag_of(index, c),
                               .label = c.tag,
                               .sink = this,
                               .prefetch = credit_of(c),
                               .priority = level == nullptr ? 0 : *level,
                               .no_ack = m.no_ack,
                               .exclusive = m.exclusive,
                               .arguments = std::move(arguments),
                               .place = number_},
                 std::move(t));
}

// What its queue may lend it: the channel's limit, too, or a queue of another shard would lend what nobody here takes.
std::uint32_t amqp_channel::credit_of(const consumer& c) const noexcept {
    return c.no_ack || prefetch_channel_ == 0 ? c.prefetch
           : c.prefetch == 0                  ? prefetch_channel_
                                              : std::min(c.prefetch, prefetch_channel_);
}

bool amqp_channel::check_consume(const std::string& queue, bool no_ack, const core::value_table& arguments) {
    const auto* q = topology_view::find_queue(session_.vhost(), queue);
    if (q == nullptr) {
        return true;  // the core says so
    }
    if (q->spec.settings.type == core::queue_type::stream) {
        return check_stream_consume(queue, no_ack, arguments);
    }
    const auto refuse = [&](std::string_view argument, std::string_view why) {
        fail(reply_code::precondition_failed,
             fmt::format("invalid arg '{}' for {}{}", argument, in_vhost("queue", queue), why));
        return false;
    };
    const auto* priority = core::find(arguments, "x-priority");
    if (priority != nullptr && priority->as_integer() == nullptr) {
        return refuse("x-priority", fmt::format(": \"expected integer, got {}\"", erlang_type(priority->type)));
    }
    const auto* failover = core::find(arguments, "x-cancel-on-ha-failover");
    if (failover != nullptr && failover->as_bool() == nullptr) {
        return refuse("x-cancel-on-ha-failover",
                      fmt::format(": {{unacceptable_type,{}}}", erlang_type(failover->type)));
    }
    if (core::find(arguments, "x-stream-offset") != nullptr) {
        const bool quorum = q->spec.settings.type == core::queue_type::quorum;
        return refuse("x-stream-offset", fmt::format(" of queue type rabbit_{}_queue", quorum ? "quorum" : "classic"));
    }
    return true;
}

void amqp_channel::consumed(core::reply&& r, const amqp_continuation& t) {
    const auto* info = std::get_if<core::consumer_info>(&*r.result);
    auto& c = consumers_[t.consumer];
    if (info == nullptr) {
        forget_consumer(c);
        return;
    }
    if (!c.used) {  // its queue went while the answer was on its way
        session_.shard().forget_consumer(info->queue, info->consumer, *this);
        return;
    }
    c.queue = info->queue;
    c.id = info->consumer;
    c.attached = true;
    auto timeout = session_.settings().consumer_timeout;
    if (const auto* q = topology_view::find_queue(session_.vhost(), t.name)) {
        c.type = q->spec.settings.type;
        c.counts_attempts = q->spec.settings.type == core::queue_type::quorum;
        c.adds_headers = q->spec.settings.type != core::queue_type::classic;
        timeout = q->spec.settings.consumer_timeout.value_or(timeout);
    }
    c.counts = &session_.counts().of(c.type);
    if (!c.no_ack && timeout != 0) {
        c.timeout_s = seconds(timeout);
        session_.watch_timeouts();
    }
    if (!t.no_wait) {
        send(amqp::basic_consume_ok{c.tag});
    }
}

void amqp_channel::check_consumers() {
    const auto denied = std::ranges::find_if(consumers_, [this](const consumer& c) {
        const auto* rules = session_.rules();
        return c.used && (rules == nullptr || !rules->allowed(right::read, c.queue_name));
    });
    if (denied != consumers_.end()) {
        refuse_access("queue", std::string(denied->queue_name));
    }
}

void amqp_channel::on(const amqp::basic_cancel& m) {
    auto t = then(kind::cancel, m.no_wait);
    t.name = m.consumer_tag;
    if (replies_ != nullptr && replies_->tag == m.consumer_tag) {
        replies_.reset();
        cancelled(t);
        return;
    }
    const auto* c = find_consumer(m.consumer_tag);
    if (c == nullptr || !c->attached) {
        // [amqp, basic.cancel] A tag that is not known is no error: the consumer may have ended by itself.
        cancelled(t);
        return;
    }
    flush_acks();
    t.consumer = static_cast<std::uint32_t>(c - consumers_.data());
    session_.ask(core::cancel{c->queue, c->id, this}, std::move(t));
}

void amqp_channel::cancelled(const amqp_continuation& t) {
    if (auto* c = find_consumer(t.name)) {
        forget_consumer(*c);
    }
    if (!t.no_wait) {
        send(amqp::basic_cancel_ok{t.name});
    }
}

void amqp_channel::on_cancelled(std::uint64_t tag, core::cancel_reason) {
    auto* c = consumer_of(tag);
    if (c == nullptr || closing_) {
        return;
    }
    if (session_.asking_for(number_)) {
        // It is we who delete the queue: delete-ok comes first.
        ended_.push_back(c->tag);
        session_.mark_dirty(*this);
    } else {
        say_cancelled(c->tag);
    }
    forget_consumer(*c);
}

void amqp_channel::say_cancelled(std::string_view tag) {
    if (session_.abilities().consumer_cancel_notify) {
        send(amqp::basic_cancel{.consumer_tag = tag, .no_wait = true});
    }
}

void amqp_channel::on(const amqp::basic_qos& m) {
    if (m.prefetch_size != 0) {
        fail(reply_code::not_implemented, fmt::format("prefetch_size!=0 ({})", m.prefetch_size));
        return;
    }
    if (m.global) {
        prefetch_channel_ = m.prefetch_count;
        for (const auto& c : consumers_) {
            if (c.used && c.attached && !c.no_ack && !core::is_stream(c.queue)) {
                session_.shard().set_prefetch(c.queue, c.id, credit_of(c));
            }
        }
        update_ready();
    } else {
        prefetch_ = m.prefetch_count;
    }
    send(amqp::basic_qos_ok{});
}

// ---- Deliveries --------------------------------------------------------------------------------

// A consumer may hold any number of them: beyond what memory has room for, their queues' log has the messages.
void amqp_channel::keep_unacked(core::delivery&& d, core::queue_type from) {
    if (d.in_log && session_.shard().is_short_of_memory()) [[unlikely]] {
        d.msg.reset();
    }
    unacked_.push(std::move(d), session_.age_s(), from);
}

void amqp_channel::on_delivery(std::uint64_t tag, core::delivery&& d) {
    auto* const c = consumer_of(tag);
    if (c == nullptr || closing_) [[unlikely]] {
        // On its way while the consumer ended.
        session_.shard().settle({&d, 1}, core::settlement::requeued);
        return;
    }
    const auto& m = *d.msg;
    const amqp::basic_deliver method{.consumer_tag = c->tag,
                                     .delivery_tag = unacked_.next_tag(),
                                     .redelivered = d.redelivered,
                                     .exchange = m.exchange(),
                                     .routing_key = short_key(m.routing_key())};
    if (m.properties_of() == core::protocol_tag::amqp091 && m.deaths() == nullptr && !c->adds_headers) [[likely]] {
        session_.send_content(number_, method, m.properties(), d.msg);
    } else {
        send_delivery(method, *c, d);
    }
    session_.note_delivered();
    if (d.redelivered) [[unlikely]] {
        ++counts_.redeliver;
        ++c->counts->redelivered;
    }
    if (c->no_ack) {
        ++counts_.deliver_no_ack;
        ++c->counts->consumed_no_ack;
        unacked_.push_hole();
        return;
    }
    ++c->counts->consumed;
    keep_unacked(std::move(d), c->type);
    ++lent_;
    if (prefetch_channel_ != 0 && lent_ >= prefetch_channel_) {
        ready_ = false;
    }
}

// With what the broker has to add to the publisher's own properties.
void amqp_channel::send_delivery(const amqp::basic_deliver& method, const consumer& c, const core::delivery& d) {
    const auto attempts = c.counts_attempts ? d.delivery_count : 0;
    if (core::is_stream(d.queue)) {
        const auto foreign = foreign_properties(d);
        properties_with_offset(*d.msg, d.pos, block_, foreign ? &*foreign : nullptr);
        session_.send_content(number_, method, wire::as_bytes(block_), d.msg);
    } else {
        session_.send_content(number_, method, block_of(d, attempts), d.msg);
    }
}

// What the publisher of another protocol said, with a way to answer it; none for a message that is AMQP's own.
std::optional<core::neutral_properties> amqp_channel::foreign_properties(const core::delivery& d) {
    const core::message& m = *d.msg;
    if (m.properties_of() == core::protocol_tag::amqp091) {
        return std::nullopt;
    }
    const auto* reader = session_.shard().parts().reader_of(m.properties_of());
    if (reader == nullptr) {
        return core::neutral_properties{};
    }
    auto said = reader->read(m.properties(), m.traits());
    if (m.traits().answerable) {
        said.reply_handle = session_.shard().lend_reply(session_.vhost_id(), d, said);
    }
    return said;
}

// The publisher's own, where that will do.
wire::bytes_view amqp_channel::block_of(const core::delivery& d, std::uint32_t attempts) {
    const core::message& m = *d.msg;
    const auto foreign = foreign_properties(d);
    if (m.deaths() != nullptr || attempts != 0) {
        block_ = properties_with_history(m, attempts, foreign ? &*foreign : nullptr);
    } else if (foreign) {
        block_ = to_block(*foreign);
    } else {
        return m.properties();
    }
    return wire::as_bytes(block_);
}

void amqp_channel::on(const amqp::basic_get& m) {
    auto queue = queue_or_last(m.queue);
    if (!queue || !readable(*queue) || !check_stream(*queue, "basic.get")) {
        return;
    }
    flush_acks();
    auto t = then(kind::get, m.no_ack);  // no_wait's place: a get always waits
    t.name = *queue;
    session_.ask(core::get{std::move(*queue), m.no_ack}, std::move(t));
}

void amqp_channel::got(core::got_message&& g, const amqp_continuation& t) {
    const auto* q = topology_view::find_queue(session_.vhost(), t.name);
    const auto type = q == nullptr ? core::queue_type::classic : q->spec.settings.type;
    auto& counts = session_.counts().of(type);
    if (!g.message) {
        ++counts_.get_empty;
        ++counts.get_empty;
        send(amqp::basic_get_empty{});
        return;
    }
    auto& d = *g.message;
    const auto& m = *d.msg;
    ++(t.no_wait ? counts_.get_no_ack : counts_.get);
    ++(t.no_wait ? counts.got_no_ack : counts.got);
    if (d.redelivered) {
        ++counts_.redeliver;
        ++counts.redelivered;
    }
    const amqp::basic_get_ok method{
        .delivery_tag = unacked_.next_tag(),
        .redelivered = d.redelivered,
        .exchange = m.exchange(),
        .routing_key = short_key(m.routing_key()),
        .message_count = static_cast<std::uint32_t>(std::min<std::uint64_t>(g.remaining, UINT32_MAX))};
    const auto attempts = type == core::queue_type::quorum ? d.delivery_count : 0;
    session_.send_content(number_, method, block_of(d, attempts), d.msg);
    if (t.no_wait) {
        unacked_.push_hole();
    } else {
        keep_unacked(std::move(d), type);
        if (session_.settings().consumer_timeout != 0) {
            session_.watch_timeouts();
        }
    }
}

// ---- Direct reply-to ---------------------------------------------------------------------------

void amqp_channel::consume_replies(const amqp::basic_consume& m) {
    if (!m.consumer_tag.empty() && find_consumer(m.consumer_tag) != nullptr) {
        fail(reply_code::not_allowed, fmt::format("attempt to reuse consumer tag '{}'", m.consumer_tag));
        return;
    }
    if (!m.no_ack) {
        fail(reply_code::precondition_failed, "reply consumer cannot acknowledge");
        return;
    }
    if (replies_ != nullptr) {
        fail(reply_code::precondition_failed, "reply consumer already set");
        return;
    }
    replies_ = std::make_unique<reply_consumer>();
    replies_->tag = m.consumer_tag.empty() ? make_consumer_tag() : std::string(m.consumer_tag);
    replies_->address.session = session_.handle();
    replies_->address.channel = number_;
    fill_random(replies_->address.secret);
    replies_->key = replies_->address.text();
    if (!m.no_wait) {
        send(amqp::basic_consume_ok{replies_->tag});
    }
}

bool amqp_channel::takes_direct(const reply_address& a) const noexcept {
    return !closing_ && replies_ != nullptr && replies_->address.secret == a.secret;
}

void amqp_channel::on_direct(core::message_ptr m) {
    const auto a = reply_address::parse(m->routing_key());
    if (!a || !takes_direct(*a) || session_.loses_direct()) {
        return;
    }
    const amqp::basic_deliver method{.consumer_tag = replies_->tag,
                                     .delivery_tag = unacked_.next_tag(),
                                     .redelivered = false,
                                     .exchange = m->exchange(),
                                     .routing_key = m->routing_key()};
    core::delivery d;
    d.msg = std::move(m);
    session_.send_content(number_, method, block_of(d, 0), d.msg);
    ++counts_.deliver_no_ack;
    unacked_.push_hole();
}

}  // namespace linnet::session
