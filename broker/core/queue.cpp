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

queue::queue(queue_context& context, queue_handle self, const queue_spec& spec)
    : context_(context), self_(self), spec_(spec), lanes_(spec.settings.max_priority + std::size_t{1}) {
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
    const auto at = std::ranges::upper_bound(order_, c.a.priority, std::ranges::greater{},
                                             [](const consumer* o) { return o->a.priority; });
    order_.insert(at, &c);
    priorities_differ_ = order_.front()->a.priority != order_.back()->a.priority;
    if (active_ == nullptr) {
        active_ = order_.front();
    }
    had_consumer_ = true;
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
    if (order_.empty() && !closing_) {
        touch();
        if (spec_.auto_delete) {
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

// ---- Messages ----------------------------------------------------------------------------------

mono_ns queue::deadline_of(const message& m) const noexcept {
    mono_ns ttl = m.time_to_live();
    if (spec_.settings.message_ttl && (ttl < 0 || *spec_.settings.message_ttl < ttl)) {
        ttl = *spec_.settings.message_ttl;
    }
    if (ttl < 0) {
        return 0;
    }
    const mono_ns now = context_.now();
    return ttl > std::numeric_limits<mono_ns>::max() - now ? 0 : now + ttl;
}

bool queue::full_for_one_more(const message& m) const noexcept {
    const auto& s = spec_.settings;
    return (s.max_length && ready_ >= *s.max_length) ||
           (s.max_length_bytes && ready_bytes_ + m.body_bytes() > *s.max_length_bytes);
}

enqueue_result queue::enqueue(message_ptr m) {
    owner_.check();
    queue_item item{std::move(m), next_position_, 0, 0, false};
    item.deadline = deadline_of(*item.msg);
    if (ready_ == 0) {
        if (consumer* c = next_taker()) [[likely]] {
            ++next_position_;
            lend(*c, std::move(item));
            return enqueue_result::accepted;
        }
    }
    if (spec_.settings.overflow != overflow_policy::drop_head && full_for_one_more(*item.msg)) [[unlikely]] {
        if (spec_.settings.overflow == overflow_policy::reject_publish_dlx) {
            context_.on_dead(*this, std::move(item), death_reason::maxlen);
        }
        return enqueue_result::refused;
    }
    ++next_position_;
    const bool dies_at_once = item.deadline != 0 && item.deadline <= context_.now();
    if (dies_at_once && ready_ == 0) {
        context_.on_dead(*this, std::move(item), death_reason::expired);
        return enqueue_result::accepted;
    }
    const bool can_expire = item.deadline != 0;
    store(std::move(item));
    if (can_expire) {
        arm_timer();
    }
    if (spec_.settings.max_length || spec_.settings.max_length_bytes) {
        drop_overflow();
    }
    return enqueue_result::accepted;
}

item_ring& queue::lane_of(const queue_item& item) noexcept {
    return lanes_[std::min<std::size_t>(item.msg->priority(), lanes_.size() - 1)];
}

void queue::store(queue_item&& item) {
    ++ready_;
    ready_bytes_ += item.msg->body_bytes();
    with_deadline_ += item.deadline != 0 ? 1 : 0;
    item_ring& lane = lane_of(item);
    if (lane.empty() || lane[lane.size() - 1].pos < item.pos) [[likely]] {
        lane.push_back(std::move(item));
    } else {
        lane.insert(std::move(item));
    }
}

item_ring* queue::head_lane() noexcept {
    for (std::size_t i = lanes_.size(); i-- > 0;) {
        if (!lanes_[i].empty()) {
            return &lanes_[i];
        }
    }
    return nullptr;
}

queue_item queue::take_head(item_ring& lane) noexcept {
    queue_item item = lane.pop_front();
    --ready_;
    ready_bytes_ -= item.msg->body_bytes();
    with_deadline_ -= item.deadline != 0 ? 1 : 0;
    return item;
}

void queue::drop_expired() {
    const mono_ns now = context_.now();
    for (auto& lane : lanes_) {
        while (!lane.empty() && lane.front().deadline != 0 && lane.front().deadline <= now) {
            context_.on_dead(*this, take_head(lane), death_reason::expired);
        }
    }
}

void queue::drop_overflow() {
    const auto& s = spec_.settings;
    while (ready_ != 0 &&
           ((s.max_length && ready_ > *s.max_length) || (s.max_length_bytes && ready_bytes_ > *s.max_length_bytes))) {
        context_.on_dead(*this, take_head(*head_lane()), death_reason::maxlen);
    }
}

void queue::lend(consumer& c, queue_item&& item) {
    delivery d{std::move(item.msg), self_,     c.id, item.pos, item.deadline, item.delivery_count,
               item.redelivered,    c.a.no_ack};
    if (!c.a.no_ack) {
        ++c.in_flight;
        ++unacked_;
    }
    if (c.a.sink != nullptr) [[likely]] {
        c.a.sink->on_delivery(c.a.tag, std::move(d));
        return;
    }
    ++c.under_way;
    context_.deliver_remote(c.a.remote, std::move(d));
}

bool queue::pump() {
    owner_.check();
    if (with_deadline_ != 0) {
        drop_expired();
    }
    for (std::uint32_t lent = 0; ready_ != 0; ++lent) {
        if (lent == pump_batch_max) {
            return false;
        }
        consumer* c = next_taker();
        if (c == nullptr) {
            break;
        }
        lend(*c, take_head(*head_lane()));
    }
    if (with_deadline_ != 0) {
        arm_timer();
    }
    return true;
}

std::optional<delivery> queue::get(bool no_ack) {
    owner_.check();
    touch();
    if (with_deadline_ != 0) {
        drop_expired();
    }
    item_ring* lane = head_lane();
    if (lane == nullptr) {
        return std::nullopt;
    }
    queue_item item = take_head(*lane);
    if (with_deadline_ != 0) {
        drop_expired();  // so that the count that goes with the answer is of messages to be had
    }
    unacked_ += no_ack ? 0 : 1;
    return delivery{std::move(item.msg), self_, consumer_id{}, item.pos, item.deadline, item.delivery_count,
                    item.redelivered,    no_ack};
}

std::uint64_t queue::purge() {
    owner_.check();
    if (with_deadline_ != 0) {
        drop_expired();
    }
    const std::uint64_t count = ready_;
    while (item_ring* lane = head_lane()) {
        static_cast<void>(take_head(*lane));
    }
    return count;
}

// ---- Settling ----------------------------------------------------------------------------------

void queue::settle(consumer_id id, std::uint32_t count, std::uint64_t /*bytes*/) noexcept {
    owner_.check();
    unacked_ -= std::min<std::uint64_t>(count, unacked_);
    if (consumer* c = find(id)) {
        c->in_flight -= std::min(count, c->in_flight);
    }
}

void queue::put_back(delivery&& d, bool counts) {
    queue_item item{std::move(d.msg), d.pos, d.deadline, d.delivery_count, d.redelivered};
    if (counts) {
        item.redelivered = true;
        ++item.delivery_count;
        if (spec_.settings.delivery_limit && item.delivery_count > *spec_.settings.delivery_limit) {
            context_.on_dead(*this, std::move(item), death_reason::delivery_limit);
            return;
        }
    }
    store(std::move(item));
    drop_overflow();
    if (with_deadline_ != 0) {
        arm_timer();
    }
}

void queue::requeue(delivery&& d) {
    settle(d.consumer, 1, 0);
    put_back(std::move(d), true);
}

void queue::bounce(delivery&& d) {
    if (!d.no_ack) {
        settle(d.consumer, 1, 0);
    }
    put_back(std::move(d), false);
}

void queue::reject(delivery&& d) {
    settle(d.consumer, 1, 0);
    context_.on_dead(*this, {std::move(d.msg), d.pos, d.deadline, d.delivery_count, d.redelivered},
                     death_reason::rejected);
}

// ---- Time and end ------------------------------------------------------------------------------

bool queue::unused() const noexcept { return order_.empty(); }

void queue::touch() {
    unused_since_ = context_.now();
    arm_timer();
}

void queue::arm_timer() noexcept {
    mono_ns next = std::numeric_limits<mono_ns>::max();
    if (with_deadline_ != 0) {
        for (auto& lane : lanes_) {
            if (!lane.empty() && lane.front().deadline != 0) {
                next = std::min(next, lane.front().deadline);
            }
        }
    }
    if (spec_.settings.expires && unused()) {
        next = std::min(next, unused_since_ + *spec_.settings.expires);
    }
    if (next == std::numeric_limits<mono_ns>::max()) {
        stop();
    } else if (!running() || deadline() != next) {
        context_.timers().start(*this, next);
    }
}

void queue::on_timer(mono_ns now) {
    drop_expired();
    if (spec_.settings.expires && unused() && now >= unused_since_ + *spec_.settings.expires) {
        context_.on_unused(*this);
        return;
    }
    arm_timer();
}

void queue::apply(const queue_spec& spec) {
    spec_ = spec;
    drop_overflow();
    arm_timer();
}

std::uint64_t queue::shut_down() {
    owner_.check();
    closing_ = true;
    stop();
    const std::uint64_t count = purge();
    for (const auto& c : consumers_) {
        if (c == nullptr) {
            continue;
        }
        if (c->a.sink != nullptr) {
            c->a.sink->on_cancelled(c->a.tag, cancel_reason::queue_deleted);
        } else {
            context_.cancel_remote(c->a.remote, cancel_reason::queue_deleted);
        }
    }
    order_.clear();
    consumers_.clear();
    active_ = nullptr;
    return count;
}

}  // namespace linnet::core
