#include "broker/core/shard_state.hpp"

#include <algorithm>

// What a shard shows to people: its queues and sessions, some at a time, and what it has counted.

namespace linnet::core {

const queue_spec& queue_look::spec() const noexcept { return queue_ != nullptr ? queue_->spec() : stream_->spec(); }
queue_handle queue_look::handle() const noexcept { return queue_ != nullptr ? queue_->self() : stream_->self(); }
queue_figures queue_look::figures() const { return queue_ != nullptr ? queue_->figures() : stream_->figures(); }
std::vector<consumer_look> queue_look::consumers() const {
    return queue_ != nullptr ? queue_->consumers() : stream_->consumers();
}

whereabouts queue_look::find_message(position low_bits) const {
    return queue_ != nullptr ? queue_->find_message(low_bits) : whereabouts::nowhere;
}

queue_look::sums queue_look::totals() const noexcept {
    return queue_ != nullptr ? sums{queue_->ready_count(), queue_->unacked_count() + queue_->delayed_count(),
                                    queue_->consumer_count()}
                             : sums{stream_->message_count(), 0, stream_->consumer_count()};
}

namespace {

// Of a hundred thousand queues hardly one is in a cache: those that come next are fetched while one is looked at, first
// the queue itself, then, when that has come, its name.
constexpr std::uint32_t fetched_ahead = 16;
void fetch_ahead(slot_table<std::unique_ptr<queue>>& queues, std::uint32_t slot) noexcept {
    if (const auto* q = queues.find_slot(slot + fetched_ahead); q != nullptr) {
        __builtin_prefetch(q->get());
        __builtin_prefetch(reinterpret_cast<const char*>(q->get()) + 64);
    }
    if (const auto* q = queues.find_slot(slot + fetched_ahead / 2); q != nullptr && *q != nullptr) {
        __builtin_prefetch((*q)->spec().name.data());
    }
}

}  // namespace

std::uint32_t shard::for_some_queues(std::uint32_t from, std::uint32_t most,
                                     const std::function<void(const queue_look&)>& f) {
    owner_.check();
    auto& s = *state_;
    std::uint32_t slot = from;
    if (slot < first_stream_slot) {
        const auto end = static_cast<std::uint32_t>(std::min<std::size_t>(s.queues.slots(), std::size_t{slot} + most));
        for (; slot < end; ++slot) {
            fetch_ahead(s.queues, slot);
            if (auto* q = s.queues.find_slot(slot); q != nullptr && *q != nullptr) {
                f(queue_look(q->get(), nullptr));
            }
        }
        return slot < s.queues.slots() ? slot : first_stream_slot;
    }
    return s.streams.for_some(slot - first_stream_slot, most, [&](stream& x) { f(queue_look(nullptr, &x)); });
}

std::optional<queue_look> shard::look_at(queue_handle h) {
    owner_.check();
    if (queue* q = state_->find(h)) {
        return queue_look(q, nullptr);
    }
    stream* s = is_stream(h) ? state_->streams.find(h) : nullptr;
    return s == nullptr ? std::nullopt : std::optional(queue_look(nullptr, s));
}

std::uint32_t shard::for_some_sessions(std::uint32_t from, std::uint32_t most,
                                       const std::function<void(session_handle, session_port&)>& f) {
    owner_.check();
    auto& table = state_->sessions;
    const auto end = static_cast<std::uint32_t>(std::min<std::size_t>(table.slots(), std::size_t{from} + most));
    for (std::uint32_t slot = from; slot < end; ++slot) {
        if (auto* port = table.find_slot(slot); port != nullptr && *port != nullptr) {
            f({slot, table.generation_of(slot), id_}, **port);
        }
    }
    return end < table.slots() ? end : 0;
}

protocol_counts& shard::counts(spoken p) noexcept { return state_->protocols[static_cast<std::size_t>(p)]; }
const all_protocol_counts& shard::counts() const noexcept { return state_->protocols; }
broker_counts shard::broker_counts() const noexcept { return state_->totals; }

const turn_histogram& shard::turns() const noexcept { return state_->turns; }

exchange_look shard::look_at(vhost_id v, std::string_view exchange) {
    owner_.check();
    return state_->tally.look(v, exchange, now_, wall_now_);
}

shard::looked<message_counts> shard::look_at_messages() {
    owner_.check();
    message_counts all;
    for (const auto& p : state_->protocols) {
        all += p.messages();
    }
    return {all, state_->messages_window.look(all, now_, wall_now_)};
}

shard::looked<churn_counts> shard::look_at_churn() {
    owner_.check();
    churn_counts all{.queues_declared = state_->totals.queues_declared,
                     .queues_created = state_->totals.queues_created,
                     .queues_deleted = state_->totals.queues_deleted};
    for (const auto& p : state_->protocols) {
        all.connections_opened += p.connections_opened;
        all.connections_closed += p.connections_closed;
        all.channels_opened += p.channels_opened;
        all.channels_closed += p.channels_closed;
    }
    return {all, state_->churn_window.look(all, now_, wall_now_)};
}

exchange_counts& shard_state::tally_of(const vhost_node& v, std::string_view exchange) {
    const auto before = tally.epoch();
    auto& counts = tally.of(topology_view::id_of(v), exchange,
                            [view = self.topology()](vhost_id id, std::string_view x) {
                                const auto* in = view.find_vhost(id);
                                return in != nullptr && topology_view::find_exchange(*in, x) != nullptr;
                            });
    if (tally.epoch() != before) {
        routes.forget();  // they know addresses that have gone
    }
    return counts;
}

}  // namespace linnet::core
