#include "broker/core/shard_state.hpp"

#include <algorithm>

// What a shard writes into its flight recorder, of messages that have an id.

namespace linnet::core {

namespace {

[[nodiscard]] flight_step step_of(death_reason why) noexcept {
    switch (why) {
        case death_reason::rejected: return flight_step::rejected;
        case death_reason::expired: return flight_step::expired;
        case death_reason::maxlen: return flight_step::overflowed;
        case death_reason::delivery_limit: return flight_step::exhausted;
    }
    return flight_step::rejected;
}

// A queue's handle or a session's.
template <class Handle>
void set_place(flight_event& e, Handle h) noexcept {
    e.shard = h.shard.value;
    e.slot = h.slot;
    e.generation = h.generation;
}

}  // namespace

// Times are the turn's, but for what another shard has sent: that was said after our turn began.
wall_ns shard_state::flight_now() const noexcept {
    return late_turn == self.wall_now_ ? std::max(late_now, self.wall_now_) : self.wall_now_;
}

void shard_state::note_arrival(const message& m) noexcept {
    if (m.traits().identified && recorder.on()) [[unlikely]] {
        late_turn = self.wall_now_;
        late_now = parts.clock().wall_now();
    }
}

// None: it is not to be written.
std::optional<flight_event> shard_state::new_step(flight_step what, const message& m, vhost_id v) const {
    const property_reader* reader_of_it = parts.reader_of(m.properties_of());
    if (!recorder.on() || reader_of_it == nullptr) {
        return std::nullopt;
    }
    flight_event e{};
    e.id = reader_of_it->message_id_hash(m.properties(), flight_seed(v));
    e.at_us = static_cast<std::uint64_t>(std::max<wall_ns>(flight_now(), 0)) / ns_per_us;
    e.step = static_cast<std::uint64_t>(what);
    return e;
}

void shard_state::on_flight(const queue& q, flight_step what, const message& m, position pos, consumer_id to) {
    note_step(what, m, q.spec().vhost, q.self(), pos, to);
}

void shard_state::note_step(flight_step what, const message& m, vhost_id v, queue_handle at, position pos,
                            consumer_id to) {
    if (auto e = new_step(what, m, v)) {
        set_place(*e, at);
        e->queue.pos = pos & flight_position_mask;
        e->queue.consumer = flight_consumer(to);
        recorder.write(*e);
    }
}

void shard_state::note_death(const queue& q, const queue_item& item, death_reason why) {
    if (item.msg && item.msg->traits().identified) [[unlikely]] {
        note_step(step_of(why), *item.msg, q.spec().vhost, q.self(), item.pos, {});
    }
}

// What the broker publishes itself has no session: dead letters, and what has been delayed. Of what goes nowhere
// whoever publishes it says what becomes of it (note_unrouted).
void shard_state::note_published(const message& m, const vhost_node& v, const shard::route& r,
                                 const durable_waiter& confirm) {
    const bool goes_on = !r.where.empty() || r.delayed || r.remember || m.traits().retain;
    if (!m.traits().identified || !goes_on) {
        return;
    }
    const bool died = m.deaths() != nullptr && confirm.generation == 0;
    const auto what = died ? flight_step::dead_lettered : flight_step::published;
    if (auto e = new_step(what, m, topology_view::id_of(v))) {
        set_place(*e, session_handle{confirm.generation == 0 ? 0 : confirm.slot, confirm.generation, self.id()});
        e->publication.routed = r.where.size();
        e->publication.delayed = r.delayed ? 1 : 0;
        recorder.write(*e, m.exchange(), m.routing_key());
    }
}

// No queue wants it, at that exchange.
void shard_state::note_unrouted(flight_step how, const message& m, vhost_id v, session_handle publisher,
                                std::string_view exchange, std::string_view key) {
    if (!m.traits().identified) {
        return;
    }
    if (auto e = new_step(how, m, v)) {
        set_place(*e, publisher);
        recorder.write(*e, exchange, key);
    }
}

// ---- What sessions tell ------------------------------------------------------------------------

void shard::note_accepted(vhost_id v, const delivery& d) {
    owner_.check();
    // Of a stream: a reader has gone on, the message stays.
    if (!is_stream(d.queue)) {
        state_->note_step(flight_step::acknowledged, *d.msg, v, d.queue, d.pos, d.consumer);
    }
}

void shard::note_unrouted(flight_step how, const message& m, vhost_id v, session_handle publisher) {
    owner_.check();
    state_->note_unrouted(how, m, v, publisher, m.exchange(), m.routing_key());
}

void shard::note_passed_on(const message& m, vhost_id v, session_handle to) {
    owner_.check();
    if (auto e = state_->new_step(flight_step::passed_on, m, v)) {
        set_place(*e, to);
        state_->recorder.write(*e);
    }
}

const flight_recorder& shard::recorder() const noexcept { return state_->recorder; }

}  // namespace linnet::core
