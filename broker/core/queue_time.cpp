#include "broker/core/queue.hpp"

#include "broker/base/give_back.hpp"

#include <algorithm>
#include <limits>
#include <utility>

// Messages that expire, wherever they stand, and the queue's own lease.

namespace linnet::core {

namespace {

// A heap with the earliest on top.
constexpr auto later = [](const auto& a, const auto& b) { return a.deadline > b.deadline; };
// Entries of messages that are gone are left in the heap until there are this many more than could be good.
constexpr std::size_t stale_max = 64;

}  // namespace

mono_ns queue::deadline_after(mono_ns ttl) const noexcept {
    if (spec_.settings.message_ttl && (ttl < 0 || *spec_.settings.message_ttl < ttl)) {
        ttl = *spec_.settings.message_ttl;
    }
    if (ttl < 0) {
        return 0;
    }
    const mono_ns now = context_.now();
    return ttl > never - now ? 0 : now + ttl;
}

// ---- Order -------------------------------------------------------------------------------------

// Called for each message that arrives with a deadline. In a queue with a time to live every message has one, and as
// long as each is not earlier than those before, the head is always the first to expire. Without one, any message
// before it may live for ever.
bool queue::in_order(lane& l, mono_ns deadline) noexcept {
    if (spec_.settings.message_ttl && deadline >= l.latest) {
        l.latest = deadline;
        return true;
    }
    l.uses_heap = true;
    return false;
}

void queue::watch(lane& l, position pos, mono_ns deadline) {
    if (!in_order(l, deadline)) {
        watch_out_of_order(l, pos, deadline);
    }
}

// It goes out at once, and may come back.
void queue::watch_lent(const queue_item& item) noexcept {
    static_cast<void>(in_order(lane_of(item.msg->priority()), item.deadline));
}

// It comes back: if it belongs into the heap, it may not be there, or no longer.
void queue::watch_again(lane& l, position pos, mono_ns deadline) {
    if (l.uses_heap) {
        watch_out_of_order(l, pos, deadline);
    }
}

void queue::watch_out_of_order(lane& l, position pos, mono_ns deadline) {
    if (l.dues.size() > 2 * with_deadline_ + stale_max) {
        rebuild_dues(l);
    }
    l.dues.push_back({deadline, pos});
    std::ranges::push_heap(l.dues, later);
}

// Keeps the entries of messages that are ready, each once.
void queue::rebuild_dues(lane& l) {
    std::ranges::sort(l.dues, {}, [](const due& d) { return std::pair{d.deadline, d.pos}; });
    // Not std::ranges::unique: clang 14 cannot compile its subrange.
    const auto twice = std::unique(l.dues.begin(), l.dues.end(),
                                   [](const due& a, const due& b) { return a.pos == b.pos; });
    l.dues.erase(twice, l.dues.end());
    std::erase_if(l.dues, [&](const due& d) {
        if (l.head.has(d.pos) || l.tail.has(d.pos)) {
            return false;
        }
        const auto p = l.index.find(d.pos);
        return !p || l.index.get(*p).state != entry_state::paged;
    });
    l.dues.shrink_to_fit();
    std::ranges::make_heap(l.dues, later);
}

// ---- Expiry ------------------------------------------------------------------------------------

void queue::drop_expired() {
    const mono_ns now = context_.now();
    if (groups_ != nullptr) {
        drop_expired_groups();
    }
    for (auto& l : lanes_) {
        drop_expired_inside(l, now);
        drop_expired_heads(l, now);
    }
}

void queue::drop_expired_heads(lane& l, mono_ns now) {
    const auto over = [now](mono_ns deadline) { return deadline != 0 && deadline <= now; };
    while (!l.empty()) {
        if (!l.head.empty()) {
            if (!over(l.head.front().deadline)) {
                return;
            }
            die(take_head(l), death_reason::expired);
        } else if (!over(l.first_paged_deadline)) {
            return;
        } else if (!spec_.settings.dead_letter_exchange) {
            drop_paged(l, *l.index.find(l.first_paged));
        } else {
            load(l);  // it goes on when they have come
            return;
        }
    }
}

void queue::drop_expired_inside(lane& l, mono_ns now) {
    while (!l.dues.empty() && l.dues.front().deadline <= now && doomed_ < doomed_max) {
        const position pos = l.dues.front().pos;
        std::ranges::pop_heap(l.dues, later);
        l.dues.pop_back();
        expire(l, pos);
    }
    if (l.dues.empty()) {
        give_back(l.dues);
    }
}

void queue::expire(lane& l, position pos) {
    queue_item item = pos < l.first_paged ? l.head.take(pos) : l.tail.take(pos);
    if (item.msg) {
        count_out(item.msg->body_bytes(), item.deadline);
        die(std::move(item), death_reason::expired);
        return;
    }
    const auto p = l.index.find(pos);
    if (!p || l.index.get(*p).state != entry_state::paged) {
        return;  // lent, or gone
    }
    if (spec_.settings.dead_letter_exchange) {
        doom(l, *p);
    } else {
        drop_paged(l, *p);
    }
}

// When the first of that lane expires; what waits for the log is looked at when that has answered.
mono_ns queue::next_expiry(lane& l) noexcept {
    mono_ns next = never;
    const mono_ns head = l.head.empty() ? l.first_paged_deadline : l.head.front().deadline;
    const bool waits = l.head.empty() && fetching_ != 0 && head <= context_.now();
    if (!l.empty() && head != 0 && !waits) {
        next = head;
    }
    if (!l.dues.empty() && doomed_ < doomed_max) {
        next = std::min(next, l.dues.front().deadline);
    }
    return next;
}

// ---- The timer ---------------------------------------------------------------------------------

void queue::arm_timer() noexcept {
    mono_ns next = never;
    if (with_deadline_ != 0) {
        for (auto& l : lanes_) {
            next = std::min(next, next_expiry(l));
        }
        if (groups_ != nullptr && groups_->next_deadline() != 0) {
            next = std::min(next, groups_->next_deadline());
        }
    }
    next = std::min(next, retries_.next_due());
    if (returning_again_ != 0) {
        next = std::min(next, returning_again_);
    }
    if (spec_.settings.expires && unused() && returning_ == nullptr) {
        next = std::min(next, unused_since_ + *spec_.settings.expires);
    }
    if (next == never) {
        stop();
    } else if (!running() || deadline() != next) {
        context_.timers().start(*this, next);
    }
}

void queue::on_timer(mono_ns now) {
    drop_expired();
    end_pauses();
    fetch_returning();
    if (spec_.settings.expires && unused() && returning_ == nullptr && now >= unused_since_ + *spec_.settings.expires) {
        context_.on_unused(*this);
        return;
    }
    arm_timer();
}

}  // namespace linnet::core
