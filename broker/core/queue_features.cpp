#include "broker/core/message_key.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/text_hash.hpp"

#include <algorithm>
#include <utility>

// What a queue does on request: deduplication, groups, retries.

namespace linnet::core {

void queue::set_up_features() {
    if (spec_.settings.group_by) {
        groups_ = std::make_unique<group_lines>();
    }
    apply_dedup();
}

// ---- Deduplication -----------------------------------------------------------------------------

void queue::apply_dedup() {
    const auto& wanted = spec_.settings.dedup;
    if (!wanted) {
        dedup_.reset();
    } else {
        const dedup_window::limits limits{wanted->window, static_cast<std::size_t>(wanted->length_max)};
        if (dedup_ == nullptr) {
            dedup_ = std::make_unique<dedup_window>(limits);
        } else {
            dedup_->set_limits(limits, context_.now());
        }
    }
    special_ = dedup_ != nullptr || groups_ != nullptr;
}

// What the broker itself sends here, a dead letter that comes round again, is no duplicate: it would be lost.
std::optional<fingerprint> queue::print_of(const message& m) const {
    if (dedup_ == nullptr || m.deaths() != nullptr) {
        return std::nullopt;
    }
    const auto key = dedup_key(m, spec_.settings.dedup->header, context_.reader_of(m.properties_of()));
    return key ? std::optional(dedup_->hash(*key)) : std::nullopt;
}

bool queue::is_duplicate(const message& m) {
    const auto print = print_of(m);
    return print && dedup_->contains(*print, context_.now());
}

// The message has just been recorded: its key behind it, so that a crash between leaves a message that may come twice,
// never a key without its message.
void queue::note_key(const message& m) {
    const auto print = print_of(m);
    if (print && !dedup_->contains(*print, context_.now())) {
        std::vector<std::uint8_t> record;
        dedup_->write_record(*print, context_.wall_now(), record);
        dedup_->add(*print, context_.now(), keeping_.log->record_keys(keeping_.uid, record));
    }
}

bool queue::on_recovered_keys(std::span<const std::uint8_t> keys, log_position at) {
    return dedup_ == nullptr || dedup_->on_record(keys, at);
}

bool queue::on_dropping(log_position keep) {
    if (dedup_ != nullptr) {
        dedup_->before_drop(keep, context_.now(), context_.wall_now(), [this](std::span<const std::uint8_t> keys) {
            return keeping_.log->record_keys(keeping_.uid, keys);
        });
    }
    return true;
}

enqueue_result queue::enqueue_special(message_ptr&& m, mono_ns deadline) {
    const auto print = print_of(*m);
    if (print && dedup_->contains(*print, context_.now())) {
        tell(flight_step::duplicate, *m, next_position_);
        return enqueue_result::accepted;
    }
    enqueue_result done = enqueue_result::accepted;
    consumer* c = groups_ == nullptr && ready_ == 0 ? next_taker() : nullptr;
    if (c != nullptr) {
        queue_item item = new_item(std::move(m), next_position_++, deadline);
        if (deadline != 0) {
            watch_lent(item);
        }
        hand_over(*c, std::move(item));
    } else {
        done = line_up(std::move(m), deadline);
    }
    if (print && done == enqueue_result::accepted) {
        dedup_->add(*print, context_.now());
    }
    if (groups_ != nullptr) {
        static_cast<void>(pump_groups());
    }
    return done;
}

// ---- Groups ------------------------------------------------------------------------------------

// Messages wait in their lane, as in any queue, and are filed by their key only when somebody could take one and finds
// nothing among those filed before: what is filed is older than all of the lane, and as little as possible.

group_lines::key queue::group_of(const queue_item& item) const {
    const auto key = group_key(*item.msg, *spec_.settings.group_by, context_.reader_of(item.msg->properties_of()));
    // One without a key is a group of its own: nothing waits for it.
    return key ? text_hash(*key) : detail::mix(item.pos ^ process_seed, detail::odd_a);
}

void queue::file_head(lane& l) {
    queue_item item = l.head.pop_front();
    const auto key = group_of(item);
    groups_->add(key, std::move(item));
}

bool queue::pump_groups() {
    bool all = true;
    const auto may_take = [this](consumer_id id) {
        const consumer* c = find(id);
        return c != nullptr && can_take(*c);
    };
    lane& l = lanes_.front();
    bool lent = false;
    for (std::uint32_t work = 0; ready_ != 0; ++work) {
        if (work == pump_batch_max) {
            all = false;
            break;
        }
        if (auto t = groups_->take(may_take)) {
            count_out(t->item.msg->body_bytes(), t->item.deadline);
            lend_grouped(*find(t->to), std::move(t->item));
            lent = true;
            continue;
        }
        if (l.empty() || groups_->is_full() ||
            std::ranges::none_of(order_, [](const consumer* c) { return can_take(*c); })) {
            break;
        }
        if (l.head.empty()) {
            load(l);
            break;
        }
        file_head(l);
    }
    if (lent) {
        pumped_at_ = context_.now();
        if (paged_ != 0) {
            read_ahead();
        }
    }
    if (with_deadline_ != 0) {
        arm_timer();
    }
    return all;
}

// Settling names positions, whether the log has the message or not: a count would not say which key is free again.
void queue::lend_grouped(consumer& c, queue_item&& item) {
    if (item.stored) {
        static_cast<void>(note_lent(item.pos, c.a.no_ack));
    }
    if (c.a.no_ack) {
        static_cast<void>(groups_->lent_is_done(item.pos));
    }
    item.stored = !c.a.no_ack;
    hand_over(c, std::move(item));
}

// For get(): one whose key nobody has. False: there is none in memory.
bool queue::find_free_group() {
    lane& l = lanes_.front();
    while (!groups_->has_free() && !groups_->is_full() && !l.head.empty()) {
        file_head(l);
    }
    return groups_->has_free();
}

std::optional<queue_item> queue::take_free(bool no_ack) {
    if (!find_free_group()) {
        return std::nullopt;
    }
    auto item = groups_->take_free();
    count_out(item->msg->body_bytes(), item->deadline);
    if (no_ack) {
        static_cast<void>(groups_->lent_is_done(item->pos));
    }
    return item;
}

// Ready again, in its old place.
void queue::store_back(queue_item&& item) {
    if (!item.msg) [[unlikely]] {
        store_paged(item);
        return;
    }
    if (groups_ == nullptr) {
        if (item.deadline != 0) {
            watch_again(lane_of(item.msg->priority()), item.pos, item.deadline);
        }
        store(std::move(item));
        return;
    }
    count_in(item);
    if (const found f = locate(item.pos)) {
        f.in->index.set_state(f.at, entry_state::resident);
    }
    if (groups_->is_lent(item.pos)) {
        groups_->give_back(std::move(item));
    } else {
        const auto key = group_of(item);
        groups_->add(key, std::move(item));
    }
}

void queue::drop_expired_groups() {
    while (auto item = groups_->take_expired(context_.now())) {
        count_out(item->msg->body_bytes(), item->deadline);
        die(std::move(*item), death_reason::expired);
    }
}

// Something may flow again that nobody's settling has set free.
void queue::wake() {
    if (ready_ != 0) {
        context_.on_loaded(*this);
    }
}

// ---- Retries -----------------------------------------------------------------------------------

bool queue::pause_or_end(queue_item& item) {
    const auto& retry = spec_.settings.retry;
    if (!retry) {
        return false;
    }
    if (retry->exhausted(item.delivery_count)) {
        die(std::move(item), death_reason::delivery_limit);
        return true;
    }
    const mono_ns pause = retry->pause_after(item.delivery_count);
    if (pause == 0) {
        return false;
    }
    if (item.stored) {
        note_attempts(item);  // in the index it is still lent: nobody can have it
    }
    if (groups_ != nullptr && groups_->is_lent(item.pos)) {
        groups_->hold_back(item.pos);
    }
    mono_ns until = context_.now() + pause;
    if (item.deadline != 0) {
        until = std::min(until, item.deadline);
    }
    retries_.add(until, std::move(item));
    arm_timer();
    return true;
}

// How long a message had waited when the broker ended is not recorded: it waits anew.
bool queue::waits_since_recovery(const index_entry& e) const noexcept {
    const auto& retry = spec_.settings.retry;
    return recovered_at_ != 0 && retry && e.delivery_count != 0 &&
           context_.now() < recovered_at_ + retry->pause_after(e.delivery_count);
}

void queue::wait_since_recovery(lane& l, queue_index::place p, message_ptr m) {
    const index_entry e = l.index.get(p);
    l.index.set_state(p, entry_state::lent);
    count_out(e.body_bytes, e.deadline);
    const mono_ns until = recovered_at_ + spec_.settings.retry->pause_after(e.delivery_count);
    queue_item item = item_of(e, std::move(m));
    if (groups_ != nullptr) {
        groups_->hold(group_of(item), item.pos);  // as it was before the end
    }
    retries_.add(e.deadline == 0 ? until : std::min(until, e.deadline), std::move(item));
    count_loaded(l, e);
}

void queue::end_pauses() {
    const mono_ns now = context_.now();
    bool any = false;
    while (auto item = retries_.take_due(now)) {
        any = true;
        if (item->deadline == 0 || item->deadline > now) {
            store_back(std::move(*item));
            continue;
        }
        delivery d{std::move(item->msg), self_, {},           item->pos,     item->deadline, item->delivery_count,
                   item->redelivered,    false, item->stored, item->received};
        if (!waits_to_return(d, coming_back::untouched)) {
            die({std::move(d.msg), d.pos, d.deadline, d.delivery_count, d.redelivered, d.stored, d.received},
                death_reason::expired);
        }
    }
    if (any) {
        drop_overflow();
        wake();
    }
}

std::uint64_t queue::drop_paused() {
    std::uint64_t count = 0;
    while (auto item = retries_.take_any()) {
        if (groups_ != nullptr) {
            static_cast<void>(groups_->lent_is_done(item->pos));
        }
        if (const found f = locate(item->pos); item->stored && f) {
            forget(f);
        }
        ++count;
    }
    return count;
}

}  // namespace linnet::core
