// What becomes of deliveries on an AMQP channel: acks, rejections, recovery, timeouts.

#include "broker/session/amqp_channel.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

using amqp::reply_code;
using core::settlement;

}  // namespace

void amqp_channel::on(const amqp::basic_ack& m) { settle(m.delivery_tag, m.multiple, settlement::accepted); }

void amqp_channel::on(const amqp::basic_nack& m) {
    settle(m.delivery_tag, m.multiple, m.requeue ? settlement::requeued : settlement::rejected);
}

void amqp_channel::on(const amqp::basic_reject& m) {
    settle(m.delivery_tag, false, m.requeue ? settlement::requeued : settlement::rejected);
}

template <class F>
void amqp_channel::each_live(std::uint64_t first, std::uint64_t last, F&& f) {
    unacked_.any_of(first, last, [&f](std::uint64_t tag, unacked_window::slot& s) {
        if (s.is == unacked_window::state::live) {
            f(tag, s);
        }
        return false;
    });
}

void amqp_channel::settle(std::uint64_t tag, bool multiple, settlement how) {
    const bool everything = multiple && tag == 0;
    auto* const named = everything ? nullptr : unacked_.find(tag);
    if (!everything && named == nullptr) {
        fail(reply_code::precondition_failed, fmt::format("unknown delivery tag {}", tag));
        return;
    }
    const auto first = multiple ? 0 : tag;
    const auto last = everything ? unacked_.next_tag() - 1 : tag;
    if (how != settlement::accepted && holds_stream_delivery(first, last, "basic.nack and basic.reject")) {
        return;
    }
    session_.mark_dirty(*this);
    if (mode_ == mode::transaction) {
        each_live(first, last, [&](std::uint64_t t, unacked_window::slot& s) {
            unacked_.reserve(s);
            transaction_->settlements.push_back({t, how});
        });
        return;
    }
    if (how == settlement::accepted && !multiple) [[likely]] {
        ack(*named);
    } else if (how == settlement::accepted) {
        each_live(first, last, [this](std::uint64_t, unacked_window::slot& s) { ack(s); });
    } else {
        std::vector<core::delivery> batch;
        each_live(first, last, [&](std::uint64_t, unacked_window::slot& s) { batch.push_back(unacked_.take(s)); });
        unacked_.trim();
        give_back(batch, how);
    }
    unacked_.trim();
    update_ready();
}

// Of a committed transaction.
void amqp_channel::settle_one(unacked_window::slot& s, std::uint64_t, settlement how) {
    unacked_.unreserve(s);
    if (how == settlement::accepted) {
        ack(s);
        return;
    }
    std::vector<core::delivery> one;
    one.push_back(unacked_.take(s));
    give_back(one, how);
}

// Acks of one consumer gather until the batch's end or another consumer's turn.
void amqp_channel::ack(unacked_window::slot& s) {
    const core::delivery& d = s.d;
    if (acks_.queue != d.queue || acks_.consumer != d.consumer) {
        flush_acks();
        acks_.queue = d.queue;
        acks_.consumer = d.consumer;
        acks_.type = s.from;
    }
    const std::uint32_t bytes = d.msg ? d.msg->body_bytes() : 0;
    if (d.stored) [[unlikely]] {
        acks_.stored.push_back(d.pos);
        acks_.stored_bytes += bytes;
    } else {
        ++acks_.count;
        acks_.bytes += bytes;
    }
    if (d.msg && d.msg->traits().identified) [[unlikely]] {
        session_.shard().note_accepted(session_.vhost_id(), d);
    }
    returned(d);
    unacked_.drop(s);
}

void amqp_channel::flush_acks() {
    if (const auto n = acks_.count + acks_.stored.size(); n != 0) {
        counts_.ack += n;
        session_.counts().of(acks_.type).acknowledged += n;
    }
    if (acks_.count != 0) {
        const auto count = std::exchange(acks_.count, 0);
        session_.shard().settle_accepted(acks_.queue, acks_.consumer, count, std::exchange(acks_.bytes, 0));
    }
    if (!acks_.stored.empty()) [[unlikely]] {
        session_.shard().settle_stored(acks_.queue, acks_.consumer, acks_.stored, std::exchange(acks_.stored_bytes, 0));
        acks_.stored.clear();
    }
}

void amqp_channel::returned(const core::delivery& d) noexcept {
    // Gets belong to no consumer and count for no window.
    if (d.consumer.value != 0) {
        --lent_;
    }
}

void amqp_channel::give_back(std::vector<core::delivery>& batch, settlement how) {
    if (batch.empty()) {
        return;
    }
    flush_acks();
    for (const auto& d : batch) {
        returned(d);
    }
    session_.shard().settle(batch, how);
}

// ---- Recovery ----------------------------------------------------------------------------------

void amqp_channel::on(const amqp::basic_recover_async& m) {
    if (!m.requeue) {
        fail(reply_code::not_implemented, "requeue=false");
        return;
    }
    if (holds_stream_delivery(0, unacked_.next_tag() - 1, "basic.recover")) {
        return;
    }
    session_.mark_dirty(*this);
    requeue_all();
    update_ready();
}

void amqp_channel::on(const amqp::basic_recover& m) {
    if (!m.requeue) {
        fail(reply_code::not_implemented, "requeue=false");
        return;
    }
    if (holds_stream_delivery(0, unacked_.next_tag() - 1, "basic.recover")) {
        return;
    }
    session_.mark_dirty(*this);
    requeue_all();
    update_ready();
    send(amqp::basic_recover_ok{});
}

// All that is unacknowledged, in order, grouped by queue: one settle a queue.
void amqp_channel::requeue_all() {
    std::vector<core::delivery> batch;
    const bool all = closing_;  // else what a transaction has reserved stays with it
    unacked_.any_of(0, unacked_.next_tag() - 1, [&](std::uint64_t, unacked_window::slot& s) {
        if (s.is == unacked_window::state::live || all) {
            batch.push_back(unacked_.take(s));
        }
        return false;
    });
    unacked_.trim();
    const auto place = [](const core::delivery& d) {
        return std::tuple(d.queue.shard, d.queue.slot, d.queue.generation);
    };
    std::ranges::stable_sort(batch, {}, place);
    give_back(batch, settlement::requeued);
}

// What the transaction had settled is unacknowledged again; it is not redelivered.
void amqp_channel::rollback() {
    transaction_->publishes.clear();
    for (const auto& s : std::exchange(transaction_->settlements, {})) {
        unacked_.unreserve(unacked_.at(s.tag));
    }
}

// ---- Timeouts ----------------------------------------------------------------------------------

void amqp_channel::check_timeouts(std::uint32_t now_s) {
    // Also of what was got, or whose consumer has gone.
    const auto in_general = static_cast<std::uint32_t>(
        std::min<mono_ns>((session_.settings().consumer_timeout + ns_per_s - 1) / ns_per_s, UINT32_MAX));
    std::uint32_t shortest = in_general;
    for (const auto& c : consumers_) {
        if (c.used && c.timeout_s != 0) {
            shortest = shortest == 0 ? c.timeout_s : std::min(shortest, c.timeout_s);
        }
    }
    if (shortest == 0) {
        return;
    }
    const auto is_over = [&](std::uint64_t, const unacked_window::slot& s) {
        if (s.is != unacked_window::state::live || now_s - s.delivered_s < shortest) {
            return false;
        }
        const auto owner = std::ranges::find_if(
            consumers_, [&](const consumer& c) { return c.used && c.queue == s.d.queue && c.id == s.d.consumer; });
        const auto limit = owner == consumers_.end() ? in_general : owner->timeout_s;
        if (limit == 0 || now_s - s.delivered_s < limit) {
            return false;
        }
        fail(reply_code::precondition_failed,
             fmt::format("delivery acknowledgement on channel {} timed out. Timeout value used: {} ms. "
                         "This timeout value can be configured, see consumers doc guide to learn more",
                         number_, std::uint64_t{limit} * 1000));
        return true;
    };
    unacked_.any_of(0, unacked_.next_tag() - 1, is_over);
}

}  // namespace linnet::session
