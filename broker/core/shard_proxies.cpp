#include "broker/core/shard_state.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <utility>
#include <vector>

namespace linnet::core {
namespace {

// A sink that has taken nothing for so long is slow, not busy: what comes back from it has to be read again.
constexpr mono_ns held_patience = ns_per_s;
// So much goes back in a turn, in units of window_cost(): some milliseconds of work for its queues, which may have to
// record it anew. Then others have theirs.
constexpr std::uint32_t returned_a_turn = 16 * 1024;
constexpr mono_ns return_pause = 10 * ns_per_ms;

std::uint32_t cost_of(const std::vector<delivery>& batch) noexcept {
    std::uint32_t sum = 0;
    for (const auto& d : batch) {
        sum += window_cost(*d.msg);
    }
    return sum;
}

}  // namespace

// ---- Consumers of ours on queues elsewhere -----------------------------------------------------

void shard_state::deliver_remote(const remote_consumer& to, delivery&& d) {
    message* m = d.msg.detach();
    m->mark_shared();
    send(to.shard, {.kind = command_kind::deliver,
                    .count = 0,
                    .deliver = {m,
                                {d.queue.slot, d.queue.generation},
                                d.consumer.value,
                                d.pos,
                                d.deadline,
                                d.delivery_count,
                                to.proxy_slot,
                                to.proxy_generation,
                                d.redelivered,
                                d.no_ack,
                                d.stored,
                                d.received,
                                d.in_log}});
}

void shard_state::cancel_remote(const remote_consumer& to, cancel_reason why) {
    send_pointer(to.shard, command_kind::consumer_cancelled, nullptr, {to.proxy_slot, to.proxy_generation}, 0,
                 static_cast<std::uint8_t>(why));
}

void shard_state::receive_delivery(shard_id from, const deliver_command& c) {
    delivery d{message_ptr::adopt(c.m),
               {c.queue.slot, c.queue.generation, from},
               consumer_id{c.consumer},
               c.pos,
               c.deadline,
               c.delivery_count,
               c.redelivered,
               c.no_ack,
               c.stored,
               c.received,
               c.in_log};
    note_arrival(*d.msg);
    auto* p = proxies.find(c.proxy_slot, c.proxy_generation);
    if (p == nullptr) {
        std::vector<delivery> batch;
        batch.push_back(std::move(d));
        give_back(from, give_back_kind::bounce, std::move(batch));
        return;
    }
    if (!p->sink->ready() || p->held != nullptr || p->state != consumer_proxy::window::open) {
        note_held(*p, std::move(d));
        return;
    }
    hand_to_sink(*p, std::move(d));
}

void shard_state::hand_to_sink(consumer_proxy& p, delivery&& d) {
    const auto cost = window_cost(*d.msg);
    const auto wider = std::min(p.withheld, cost);
    p.withheld -= wider;
    add_credit(p, cost + wider);
    p.sink->on_delivery(p.tag, std::move(d));
}

void shard_state::add_credit(consumer_proxy& p, std::uint32_t cost) {
    p.passed_on += cost;
    if (!p.marked) {
        p.marked = true;
        proxies_to_credit.push_back(p.slot);
    }
}

void shard_state::send_credits() {
    for (const auto slot : proxies_to_credit) {
        auto* p = proxies.find_slot(slot);
        if (p == nullptr || !p->marked) {
            continue;
        }
        p->marked = false;
        send(p->queue.shard,
             {.kind = command_kind::credit,
              .count = 0,
              .settle = {{p->queue.slot, p->queue.generation}, p->consumer.value, 0, std::exchange(p->passed_on, 0)}});
    }
    proxies_to_credit.clear();
}

// ---- What lies for a sink that is not ready --------------------------------------------------------

void shard_state::note_held(consumer_proxy& p, delivery&& d) {
    if (p.held == nullptr) {
        p.held = std::make_unique<std::deque<delivery>>();
        p.held_since = self.now();
    }
    p.held->push_back(std::move(d));
    ++held_count;
    if (!watching_held.running()) {
        wheel.start(watching_held, self.now() + held_patience);
    }
}

void shard_state::take_held(consumer_proxy& p, std::vector<delivery>& into) {
    if (p.held != nullptr) {
        into.assign(std::make_move_iterator(p.held->begin()), std::make_move_iterator(p.held->end()));
        p.held.reset();
        held_count -= into.size();
    }
}

void shard_state::release_held(consumer_proxy& p) {
    if (p.state == consumer_proxy::window::closed && p.sink->ready()) {
        reopen(p);
    }
    p.held_since = self.now();
    while (p.held != nullptr && p.sink->ready() && p.state == consumer_proxy::window::open) {
        delivery d = std::move(p.held->front());
        p.held->pop_front();
        --held_count;
        if (p.held->empty()) {
            p.held.reset();
        }
        hand_to_sink(p, std::move(d));
    }
}

void shard_state::return_held() {
    const mono_ns now = self.now();
    std::uint32_t returned = 0;
    if (memory_excess() != 0) {
        proxies.for_each([&](auto, auto, consumer_proxy& p) {
            // A stream keeps its own: what a reader holds of it has no other place to go to.
            if (p.held == nullptr || is_stream(p.queue) || p.state != consumer_proxy::window::open ||
                now - p.held_since < held_patience || now / ns_per_s - p.sink->resumed_s_ <= 1 ||
                returned >= returned_a_turn) {
                return;
            }
            std::vector<delivery> batch;
            take_held(p, batch);
            p.state = consumer_proxy::window::closing;
            p.owed = cost_of(batch);
            returned += p.owed;
            give_back(p.queue.shard, give_back_kind::unread, std::move(batch));
        });
    }
    if (held_count != 0) {
        wheel.start(watching_held, now + (returned >= returned_a_turn ? return_pause : held_patience));
    }
}

void shard_state::receive_window_closed(consumer_proxy& p) {
    std::vector<delivery> batch;
    take_held(p, batch);
    p.state = consumer_proxy::window::closed;
    if (!batch.empty()) {
        p.owed += cost_of(batch);
        give_back(p.queue.shard, give_back_kind::bounce, std::move(batch));
    }
    if (p.sink->ready()) {
        reopen(p);
    }
}

// As narrow as at first.
void shard_state::reopen(consumer_proxy& p) {
    constexpr std::uint32_t withheld = queue::remote_window - queue::remote_window_first;
    p.state = consumer_proxy::window::open;
    add_credit(p, p.owed + queue::remote_window - (withheld - p.withheld));
    p.withheld = withheld;
    p.owed = 0;
}

// ---- Their end -------------------------------------------------------------------------------------

void shard_state::drop_proxy_of(queue_handle q, consumer_id c, std::uint32_t slot) {
    auto* p = proxies.find_slot(slot);
    if (p == nullptr || p->queue != q || p->consumer != c) {
        return;
    }
    std::vector<delivery> batch;
    take_held(*p, batch);
    const auto owner = p->queue.shard;
    proxies.remove(slot);
    if (!batch.empty()) {
        give_back(owner, give_back_kind::bounce, std::move(batch));
    }
}

// The session is gone without having cancelled, or the queue is.
void shard_state::drop_proxy(std::uint32_t slot) {
    auto* p = proxies.find_slot(slot);
    const auto q = p->queue;
    const auto c = p->consumer;
    static_cast<void>(forget_source(*p->sink, q, c));
    drop_proxy_of(q, c, slot);
    send_cancel(q, c);
}

// On behalf of nobody who would hear the answer.
void shard_state::send_cancel(queue_handle q, consumer_id c) {
    auto routed = std::make_unique<routed_request>(
        routed_request{{vhost_id{}, session_handle{}, 0, cancel{q, c, nullptr}}, q, 0, 0, 0});
    send_pointer(q.shard, command_kind::queue_request, routed.release());
}

}  // namespace linnet::core
