#include "broker/core/queue.hpp"

#include <algorithm>
#include <limits>

namespace linnet::core {

namespace {

constexpr std::uint32_t slot_of(consumer_id id) noexcept { return static_cast<std::uint32_t>(id.value & 0xffff'ffffU); }
constexpr consumer_id make_consumer_id(std::uint32_t slot, std::uint32_t generation) noexcept {
    return {std::uint64_t{generation} << 32 | slot};
}

}  // namespace

queue::queue(queue_context& context, queue_handle self, const queue_spec& spec, queue_keeping keeping)
    : context_(context),
      self_(self),
      spec_(spec),
      keeping_(keeping),
      durable_(keeping.log != nullptr && spec.durable && (keeping.uid & fleeting_owner) == 0) {
    for (std::size_t i = 0; i <= spec.settings.max_priority; ++i) {
        lanes_.emplace_back(context.index_swap());
    }
    set_up_features();
    touch();
}

queue::~queue() = default;

// ---- Consumers ---------------------------------------------------------------------------------

bool queue::can_take(const consumer& c) noexcept {
    if (c.a.prefetch != 0 && c.in_flight >= c.a.prefetch) {
        return false;
    }
    return c.a.sink != nullptr ? c.a.sink->ready() : c.under_way < remote_window;
}

queue::consumer* queue::next_taker() noexcept {
    const std::size_t n = order_.size();
    if (n == 1) [[likely]] {
        return can_take(*order_[0]) ? order_[0] : nullptr;
    }
    if (n == 0) {
        return nullptr;
    }
    if (spec_.settings.single_active_consumer) {
        return active_ != nullptr && can_take(*active_) ? active_ : nullptr;
    }
    if (priorities_differ_) {
        return next_taker_by_priority();
    }
    for (std::size_t i = 0; i < n; ++i) {
        consumer* c = order_[turn_];
        turn_ = turn_ + 1 < n ? turn_ + 1 : 0;
        if (can_take(*c)) {
            return c;
        }
    }
    return nullptr;
}

// Who would be next, without being it.
queue::consumer* queue::peek_taker() noexcept {
    const std::size_t turn = turn_;
    consumer* c = next_taker();
    turn_ = turn;
    return c;
}

// Round robin among those of the highest priority that has anyone who can take.
queue::consumer* queue::next_taker_by_priority() noexcept {
    const std::size_t n = order_.size();
    for (std::size_t first = 0; first < n;) {
        std::size_t last = first;
        while (last < n && order_[last]->a.priority == order_[first]->a.priority) {
            ++last;
        }
        const std::size_t size = last - first;
        for (std::size_t i = 0; i < size; ++i) {
            const std::size_t at = first + (turn_ + i) % size;
            if (can_take(*order_[at])) {
                turn_ = at - first + 1;
                return order_[at];
            }
        }
        first = last;
    }
    return nullptr;
}

queue::consumer* queue::find(consumer_id id) noexcept {
    const auto slot = slot_of(id);
    if (slot >= consumers_.size() || consumers_[slot] == nullptr || consumers_[slot]->id != id) {
        return nullptr;
    }
    return consumers_[slot].get();
}

outcome<consumer_id> queue::attach(attachment a) {
    owner_.check();
    const bool taken = std::ranges::any_of(order_, [](const consumer* c) { return c->a.exclusive; });
    // One active consumer among several and one alone contradict each other.
    if (taken || (a.exclusive && (!order_.empty() || spec_.settings.single_active_consumer))) {
        return fail(error{error_kind::access_refused, "exclusive use"});
    }
    auto free_slot = std::ranges::find_if(consumers_, [](const auto& c) { return c == nullptr; });
    if (free_slot == consumers_.end()) {
        consumers_.emplace_back();
        free_slot = consumers_.end() - 1;
    }
    const auto slot = static_cast<std::uint32_t>(free_slot - consumers_.begin());
    *free_slot = std::make_unique<consumer>();
    consumer& c = **free_slot;
    c.id = make_consumer_id(slot, next_generation_++);
    c.a = std::move(a);
    c.under_way = remote_window - remote_window_first;
    const auto at = std::ranges::upper_bound(order_, c.a.priority, std::ranges::greater{},
                                             [](const consumer* o) { return o->a.priority; });
    order_.insert(at, &c);
    priorities_differ_ = order_.front()->a.priority != order_.back()->a.priority;
    if (active_ == nullptr) {
        active_ = order_.front();
    }
    had_consumer_ = true;
    if (groups_ != nullptr) {
        groups_->attach(c.id);
    }
    arm_timer();
    return c.id;
}

void queue::detach(consumer_id id) {
    owner_.check();
    consumer* c = find(id);
    if (c == nullptr) {
        return;
    }
    std::erase(order_, c);
    turn_ = 0;
    priorities_differ_ = !order_.empty() && order_.front()->a.priority != order_.back()->a.priority;
    if (active_ == c) {
        active_ = order_.empty() ? nullptr : order_.front();
    }
    consumers_[slot_of(id)].reset();
    if (groups_ != nullptr) {
        groups_->detach(id);
        wake();
    }
    if (order_.empty() && !closing_) {
        touch();
        if (spec_.auto_delete && returning_ == nullptr) {
            context_.on_unused(*this);
        }
    }
}

void queue::set_prefetch(consumer_id id, std::uint32_t prefetch) {
    if (consumer* c = find(id)) {
        c->a.prefetch = prefetch;
    }
}

void queue::add_credit(consumer_id id, std::uint32_t count) {
    if (consumer* c = find(id)) {
        c->under_way -= std::min(count, c->under_way);
    }
}

const remote_consumer* queue::close_window(consumer_id id) {
    consumer* c = find(id);
    if (c == nullptr || c->a.sink != nullptr) {
        return nullptr;
    }
    c->under_way += remote_window;
    return &c->a.remote;
}

// ---- Messages ----------------------------------------------------------------------------------

bool queue::full_for_one_more(const message& m) const noexcept {
    const auto& s = spec_.settings;
    return (s.max_length && ready_ + expected_ >= *s.max_length) ||
           (s.max_length_bytes && ready_bytes_ + expected_bytes_ + m.body_bytes() > *s.max_length_bytes);
}

bool queue::over_length() const noexcept {
    const auto& s = spec_.settings;
    return ready_ != 0 &&
           ((s.max_length && ready_ > *s.max_length) || (s.max_length_bytes && ready_bytes_ > *s.max_length_bytes));
}

enqueue_result queue::enqueue(message_ptr m) {
    owner_.check();
    const mono_ns deadline = deadline_of(*m);
    if (special_) [[unlikely]] {
        return enqueue_special(std::move(m), deadline);
    }
    if (ready_ == 0) {
        if (consumer* c = next_taker()) [[likely]] {
            queue_item item = new_item(std::move(m), next_position_++, deadline);
            if (deadline != 0) [[unlikely]] {
                watch_lent(item);
            }
            hand_over(*c, std::move(item));
            return enqueue_result::accepted;
        }
    }
    return line_up(std::move(m), deadline);
}

enqueue_result queue::line_up(message_ptr&& m, mono_ns deadline) {
    queue_item item = new_item(std::move(m), next_position_, deadline);
    if (spec_.settings.overflow != overflow_policy::drop_head && full_for_one_more(*item.msg)) [[unlikely]] {
        if (spec_.settings.overflow == overflow_policy::reject_publish_dlx) {
            context_.on_dead(*this, std::move(item), death_reason::maxlen);
        } else {
            tell(flight_step::refused, *item.msg, item.pos);
        }
        return enqueue_result::refused;
    }
    ++next_position_;
    lane& l = lane_of(item.msg->priority());
    if (deadline != 0) [[unlikely]] {
        if (deadline <= context_.now()) {
            context_.on_dead(*this, std::move(item), death_reason::expired);
            return enqueue_result::accepted;
        }
        watch(l, item.pos, deadline);
    }
    // No position is behind a new one: it comes last, wherever that is.
    count_in(item);
    tell(flight_step::queued, *item.msg, item.pos);
    (l.first_paged == nowhere ? l.head : l.tail).push_back(std::move(item));
    if (deadline != 0) [[unlikely]] {
        arm_timer();
    }
    if (spec_.settings.max_length || spec_.settings.max_length_bytes) {
        drop_overflow();
    }
    return enqueue_result::accepted;
}

queue::lane& queue::lane_of(std::uint8_t priority) noexcept {
    return lanes_[std::min<std::size_t>(priority, lanes_.size() - 1)];
}

void queue::store(queue_item&& item) {
    count_in(item);
    lane& l = lane_of(item.msg->priority());
    if (item.pos > l.first_paged || item.stored) [[unlikely]] {
        store_stored(l, std::move(item));
    } else if (l.head.empty() || l.head.back().pos < item.pos) [[likely]] {
        l.head.push_back(std::move(item));
    } else {
        l.head.insert(std::move(item));
    }
}

queue::lane* queue::head_lane() noexcept {
    for (std::size_t i = lanes_.size(); i-- > 0;) {
        if (!lanes_[i].empty()) {
            return &lanes_[i];
        }
    }
    return nullptr;
}

void queue::die(queue_item&& item, death_reason why) {
    if (groups_ != nullptr) {
        static_cast<void>(groups_->lent_is_done(item.pos));
    }
    if (item.stored) {
        if (const found f = locate(item.pos); !f) {
            item.stored = false;
        } else if (spec_.settings.dead_letter_exchange) {
            f.in->index.set_state(f.at, entry_state::dying);
            dying_from_ = std::min(dying_from_, item.pos);
            dying_below_ = std::max(dying_below_, item.pos + 1);
        } else {
            forget(f);
            item.stored = false;
        }
    }
    context_.on_dead(*this, std::move(item), why);
}

// Where the head is not in memory and has to be dead-lettered, the queue is too long until it has been read.
// Only where that is what the limit is for: who is refused at a full queue is told, and what has been taken stays.
void queue::drop_overflow() {
    while (spec_.settings.overflow == overflow_policy::drop_head && over_length()) {
        if (groups_ != nullptr && groups_->ready() != 0) {
            queue_item oldest = *groups_->take_oldest();
            count_out(oldest.msg->body_bytes(), oldest.deadline);
            die(std::move(oldest), death_reason::maxlen);
            continue;
        }
        lane& l = *head_lane();
        if (!l.head.empty()) {
            die(take_head(l), death_reason::maxlen);
        } else if (!spec_.settings.dead_letter_exchange) {
            drop_paged(l, *l.index.find(l.first_paged));
        } else {
            load(l);
            break;
        }
    }
}

void queue::lend(consumer& c, queue_item&& item) {
    if (item.stored) [[unlikely]] {
        item.stored = note_lent(item.pos, c.a.no_ack);
    }
    counts_.redeliver += item.redelivered ? 1 : 0;
    const bool in_log = item.stored;
    hand_over(c, std::move(item), in_log);
}

void queue::hand_over(consumer& c, queue_item&& item, bool in_log) {
    delivery d{std::move(item.msg), self_,      c.id,        item.pos,      item.deadline, item.delivery_count,
               item.redelivered,    c.a.no_ack, item.stored, item.received, in_log};
    if (c.a.no_ack) {
        ++counts_.deliver_no_ack;
    } else {
        ++c.in_flight;
        ++unacked_;
        unacked_bytes_ += d.msg->body_bytes();
        ++counts_.deliver;
    }
    tell_lent(d);
    if (c.a.sink != nullptr) [[likely]] {
        c.a.sink->on_delivery(c.a.tag, std::move(d));
        return;
    }
    c.under_way += window_cost(*d.msg);
    context_.deliver_remote(c.a.remote, std::move(d));
}

bool queue::pump() {
    owner_.check();
    if (with_deadline_ != 0) {
        drop_expired();
    }
    if (groups_ != nullptr) [[unlikely]] {
        return pump_groups();
    }
    bool all = true;
    std::uint32_t lent = 0;
    for (; ready_ != 0; ++lent) {
        if (lent == pump_batch_max) {
            all = false;
            break;
        }
        lane& l = *head_lane();
        if (l.head.empty()) [[unlikely]] {
            if (peek_taker() != nullptr) {
                load(l);
            }
            break;
        }
        consumer* c = next_taker();
        if (c == nullptr) {
            break;
        }
        lend(*c, take_head(l));
    }
    // Only for who takes something: what is read for others would have to go again when memory is short.
    if (lent != 0) {
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

std::optional<delivery> queue::get(bool no_ack) {
    owner_.check();
    touch();
    pumped_at_ = context_.now();
    if (with_deadline_ != 0) {
        drop_expired();
    }
    queue_item item;
    if (groups_ != nullptr) {
        auto free = take_free(no_ack);
        if (!free) {
            ++counts_.get_empty;
            return std::nullopt;
        }
        item = std::move(*free);
    } else {
        lane* l = head_lane();
        if (l == nullptr || l->head.empty()) {
            ++counts_.get_empty;
            return std::nullopt;
        }
        item = take_head(*l);
    }
    if (with_deadline_ != 0) {
        drop_expired();  // so that the count that goes with the answer is of messages to be had
    }
    if (no_ack) {
        ++counts_.get_no_ack;
    } else {
        ++counts_.get;
        ++unacked_;
        unacked_bytes_ += item.msg->body_bytes();
    }
    counts_.redeliver += item.redelivered ? 1 : 0;
    if (item.stored) {
        item.stored = note_lent(item.pos, no_ack);
    }
    const bool in_log = item.stored && groups_ == nullptr;
    item.stored |= groups_ != nullptr && !no_ack;
    delivery d{std::move(item.msg), self_,  consumer_id{}, item.pos,      item.deadline, item.delivery_count,
               item.redelivered,    no_ack, item.stored,   item.received, in_log};
    tell_lent(d);
    return d;
}

// ---- Settling ----------------------------------------------------------------------------------

void queue::settle(consumer_id id, std::uint32_t count, std::uint64_t bytes) noexcept {
    owner_.check();
    counts_.ack += count;
    release(id, count, bytes);
}

void queue::release(consumer_id id, std::uint32_t count, std::uint64_t bytes) noexcept {
    unacked_ -= std::min<std::uint64_t>(count, unacked_);
    unacked_bytes_ -= std::min(bytes, unacked_bytes_);
    if (consumer* c = find(id)) {
        c->in_flight -= std::min(count, c->in_flight);
    }
}

void queue::put_back(delivery&& d, coming_back how) {
    queue_item item{std::move(d.msg), d.pos, d.deadline, d.delivery_count, d.redelivered, d.stored, d.received};
    if (groups_ != nullptr) {
        item.stored = static_cast<bool>(locate(item.pos));  // deliveries say so of all
    }
    if (d.no_ack && records(*item.msg)) {
        // Settled when it was sent, and it never arrived: the log has to know it again, behind that.
        record_settled();
        const message_place place{keeping_.uid, item.pos, attempts_of(item)};
        note(item, keeping_.log->record_message(*item.msg, context_.wall_now(), {&place, 1}), entry_state::lent);
        item.stored = true;
    }
    if (item.msg) [[likely]] {
        tell(flight_step::requeued, *item.msg, item.pos, d.consumer);
    }
    item.redelivered |= how != coming_back::untouched;
    if (how == coming_back::failed) {
        ++item.delivery_count;
        if (spec_.settings.delivery_limit && item.delivery_count > *spec_.settings.delivery_limit) {
            die(std::move(item), death_reason::delivery_limit);
            return;
        }
        if (pause_or_end(item)) {
            return;
        }
    }
    if (item.deadline != 0 && item.deadline <= context_.now()) {
        die(std::move(item), death_reason::expired);
        return;
    }
    if (item.stored && how != coming_back::untouched) {
        note_attempts(item);
    }
    if (item.stored && item.deadline == 0) {
        forget_deadline(item.pos);
    }
    store_back(std::move(item));
    drop_overflow();
    if (with_deadline_ != 0) {
        arm_timer();
    }
}

void queue::requeue(delivery&& d) {
    if (!waits_to_return(d, coming_back::failed)) [[likely]] {
        take_back(std::move(d), coming_back::failed);
    }
}

void queue::return_seen(delivery&& d) {
    if (!waits_to_return(d, coming_back::seen)) [[likely]] {
        take_back(std::move(d), coming_back::seen);
    }
}

void queue::bounce(delivery&& d) {
    if (!d.no_ack) {
        release(d.consumer, 1, d.msg->body_bytes());
    }
    put_back(std::move(d), coming_back::untouched);
}

void queue::reject(delivery&& d) {
    if (!waits_to_return(d, coming_back::rejected)) [[likely]] {
        take_back(std::move(d), coming_back::rejected);
    }
}

void queue::take_back(delivery&& d, coming_back how) {
    if (how != coming_back::untouched) {  // what has waited for a retry was released then
        release(d.consumer, 1, d.msg ? d.msg->body_bytes() : entry_of(d.pos)->body_bytes);
    }
    if (how == coming_back::rejected) {
        die({std::move(d.msg), d.pos, d.deadline, d.delivery_count, d.redelivered, d.stored}, death_reason::rejected);
    } else {
        put_back(std::move(d), how);
    }
}

// ---- Figures -----------------------------------------------------------------------------------

message_counts queue::counts() const noexcept {
    message_counts c = counts_;
    c.publish = next_position_ - began_at_;
    return c;
}

queue_figures queue::figures() {
    if (window_ == nullptr) {
        window_ = std::make_unique<rate_window<message_counts>>();
    }
    queue_figures f;
    f.ready = ready_;
    f.unacked = unacked_;
    f.delayed = retries_.size();
    f.ready_bytes = ready_bytes_;
    f.unacked_bytes = unacked_bytes_;
    f.paged = paged_;
    f.stored = stored_count();
    f.consumers = order_.size();
    f.consumers_active = static_cast<std::uint64_t>(std::ranges::count_if(order_, [this](const consumer* c) {
        return (active_ == c || !spec_.settings.single_active_consumer) && can_take(*c);
    }));
    f.memory_bytes = own_bytes() + ready_bytes_ - paged_bytes_;
    f.counts = counts();
    f.seen = window_->look(f.counts, context_.now(), context_.wall_now());
    return f;
}

std::vector<consumer_look> queue::consumers() const {
    std::vector<consumer_look> all;
    for (const consumer* c : order_) {
        const bool waits = spec_.settings.single_active_consumer && c != active_;
        all.push_back({c->a.label, c->a.session, c->a.place, c->a.prefetch, c->a.no_ack, c->a.exclusive, !waits,
                       c->a.arguments, c->id});
    }
    return all;
}

std::uint64_t queue::stored_count() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& l : lanes_) {
        sum += l.index.size();
    }
    return sum;
}

// ---- Time and end ------------------------------------------------------------------------------

bool queue::unused() const noexcept { return order_.empty(); }

void queue::touch() {
    unused_since_ = context_.now();
    arm_timer();
}

void queue::apply(const queue_spec& spec) {
    if (spec.settings.message_ttl && !spec_.settings.message_ttl) {
        // Messages without a deadline may be here: those that come now do not follow in order.
        for (auto& l : lanes_) {
            l.latest = never;
        }
    }
    spec_ = spec;
    apply_dedup();
    drop_overflow();
    arm_timer();
}

std::uint64_t queue::shut_down() {
    owner_.check();
    if (with_deadline_ != 0) {
        drop_expired();
    }
    const std::uint64_t count = ready_ + retries_.size();
    closing_ = true;
    stop();
    for (const auto& c : consumers_) {
        if (c == nullptr) {
            continue;
        }
        if (c->a.sink != nullptr) {
            context_.forget_local(*c->a.sink, self_, c->id);
            c->a.sink->on_cancelled(c->a.tag, cancel_reason::queue_deleted);
        } else {
            context_.cancel_remote(c->a.remote, cancel_reason::queue_deleted);
        }
    }
    order_.clear();
    consumers_.clear();
    active_ = nullptr;
    returning_.reset();
    returning_again_ = 0;
    record_settled();  // on_settled() will not find it any more
    return count;
}

}  // namespace linnet::core
