#include "broker/core/shard_state.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>
#include <bit>
#include <utility>

// What a shard stores: its logs, who waits for them, what is settled in them, recovery.

namespace linnet::core {

namespace {

constexpr mono_ns tick_period = ns_per_s;

}  // namespace

// ---- Before it runs ----------------------------------------------------------------------------

void shard_state::make_stores() {
    for (unsigned number = self.id().value; number < parts.options().logs; number += parts.shard_count()) {
        stored_log made;
        made.messages = std::make_unique<journal>(messages, [this](owner_uid uid) { return owner_of(uid); });
        stores.push_back(std::move(made));
    }
}

queue_keeping shard_state::keeping_of(const queue_spec& spec) noexcept {
    const std::size_t index = spec.log / parts.shard_count();
    if (spec.uid == 0 || index >= stores.size()) {
        return {};
    }
    return {stores[index].messages.get(), spec.uid};
}

void shard::set_index_swap(std::unique_ptr<chunk_swap> swap) { state_->swap = std::move(swap); }

queue_handle shard::restore_queue(const queue_spec& spec) {
    LINNET_ASSERT(spec.log % parts_.shard_count() == id_.value &&
                      (spec.log < parts_.options().logs || parts_.options().logs == 0),
                  "queue '{}' belongs to log {}, which shard {} does not serve", spec.name, spec.log, id_.value);
    auto& streams = state_->streams;
    if (!streams.takes(spec)) {
        return state_->create_queue(spec);
    }
    return streams.create(spec).value_or(queue_handle{});
}

void shard::replay(std::uint16_t log, const log_record& r) {
    state_->stores[log / parts_.shard_count()].messages->replay(r);
}

void shard::open_log(std::uint16_t number, std::unique_ptr<durable_log> log, bool clean) {
    auto& store = state_->stores[number / parts_.shard_count()];
    store.log = std::move(log);
    store.messages->open(*store.log);
    state_->queues.for_each([&](auto, auto, const std::unique_ptr<queue>& q) {
        if (q->keeping().log == store.messages.get()) {
            q->on_recovery_end(clean);
        }
    });
    for (const auto& [uid, held] : state_->delays) {
        if (held->log() == store.messages.get()) {
            held->on_recovery_end(clean);
        }
    }
    state_->clients.on_recovery_end(number, clean);
    state_->errands.on_recovery_end(number, clean);
    state_->retained.on_recovery_end(number, clean);
    state_->replies.on_recovery_end(number, clean);
}

void shard::hand_over() noexcept {
    owner_.release();
    state_->messages.release_owner();
    state_->queues.for_each([](auto, auto, const std::unique_ptr<queue>& q) { q->release_owner(); });
    for (const auto& [uid, held] : state_->delays) {
        held->release_owner();
    }
    state_->clients.hand_over();
    state_->errands.hand_over();
    state_->retained.hand_over();
    state_->replies.hand_over();
    for (const auto& s : state_->stores) {
        s.messages->release_owner();
    }
    state_->streams.hand_over();
}

journal::figures shard::store_figures() const noexcept {
    journal::figures sum;
    for (const auto& s : state_->stores) {
        const auto one = s.messages->look();
        sum.live_bytes += one.live_bytes;
        sum.log_bytes += one.log_bytes;
        sum.copied_bytes += one.copied_bytes;
        sum.damaged += one.damaged;
    }
    return sum;
}

void shard::wake_through(int event_fd) {
    for (const auto& s : state_->stores) {
        s.log->wake_through(event_fd);
    }
    state_->streams.wake_through(event_fd);
}

// Those of queues do so at every turn.
void shard::look_at_logs() {
    owner_.check();
    state_->streams.look_at_all();
}

// ---- Publishing --------------------------------------------------------------------------------

void shard_state::publish_stored(message_ptr m, targets where, durable_waiter confirm, publish_result& out) {
    bool accepted = true;
    storing.clear();
    streams.begin_publish();
    for (const auto& h : where) {
        if (queue* q = find(h)) {
            hand_to(*q, m, accepted);
        } else if (is_stream(h)) {
            accepted &= streams.append({h.slot, h.generation}, m);
        } else {
            pass_to_subscriber({h.slot, h.generation}, m);
        }
    }
    const log_set logs = enqueue_recorded(m);
    out.rejected = !accepted;
    if (accepted && logs != 0 && confirm.sequence != 0) {
        wait_for(logs, confirm);
        out.pending = true;
    }
}

shard_state::log_set shard_state::hand_out(const message_ptr& m, std::span<const queue_place> where, bool& accepted) {
    storing.clear();
    streams.begin_publish();
    for (const queue_place place : where) {
        if (queue* q = find(place)) {
            hand_to(*q, m, accepted);
        } else if (shard_streams::named(place)) {
            accepted &= streams.append(place, m);
        } else {
            pass_to_subscriber(place, m);
        }
    }
    return enqueue_recorded(m);
}

shard_state::log_set shard_state::log_of(const queue& q) const noexcept {
    const auto at = std::ranges::find_if(stores, [&](const auto& s) { return s.messages.get() == q.keeping().log; });
    return log_set{1} << (at - stores.begin());
}

// What has to be recorded first is left in `storing`.
void shard_state::hand_to(queue& q, const message_ptr& m, bool& accepted) {
    if (q.records(*m)) {
        switch (q.admit(*m)) {
            case admission::take: storing.push_back({&q, q.take_position(), {}}); return;
            case admission::duplicate: repeated |= log_of(q); return;
            case admission::pass: break;
            case admission::refuse: break;  // enqueue() says so, too, and knows what becomes of it
        }
    }
    accepted &= q.enqueue(m.share()) == enqueue_result::accepted;
}

// One record a log, whatever the number of queues.
shard_state::log_set shard_state::record_storing(const message& m) {
    // The confirm of a duplicate is a word about the first one: it waits for that.
    log_set logs = std::exchange(repeated, 0);
    for (std::size_t i = 0; i < stores.size() && !storing.empty(); ++i) {
        journal* const into = stores[i].messages.get();
        places.clear();
        for (const auto& t : storing) {
            if (t.to->keeping().log == into) {
                places.push_back({t.to->keeping().uid, t.pos, 0});
            }
        }
        if (places.empty()) {
            continue;
        }
        const stored_ref where = into->record_message(m, self.wall_now_, places);
        logs |= log_set{1} << i;
        for (auto& t : storing) {
            if (t.to->keeping().log == into) {
                t.where = where;
            }
        }
    }
    return logs;
}

shard_state::log_set shard_state::enqueue_recorded(const message_ptr& m) {
    const log_set logs = record_storing(*m);
    if (m->traits().once) [[unlikely]] {
        errands.land(m);
    } else {
        for (const auto& t : storing) {
            t.to->enqueue_stored(m.share(), t.pos, t.where);
        }
    }
    return streams.appended() ? logs | with_streams : logs;
}

std::uint32_t shard_state::split(std::uint32_t answers, bool accepted) {
    if (free_splits.empty()) {
        free_splits.push_back(static_cast<std::uint32_t>(splits.size()));
        splits.emplace_back();
    }
    const std::uint32_t group = free_splits.back();
    free_splits.pop_back();
    splits[group] = {answers, accepted};
    return group;
}

// ---- Waiting for the disk ----------------------------------------------------------------------

// One log after the other: what the last one waits for includes what was wanted of it.
void shard_state::wait_for(log_set logs, durable_waiter w) {
    if ((logs & with_streams) != 0) {
        streams.wait(logs & ~with_streams, w);
        return;
    }
    w.also = logs & (logs - 1);
    stores[static_cast<std::size_t>(std::countr_zero(logs))].messages->wait(w);
}

void shard_state::on_durable(durable_waiter w) {
    if (w.also != 0) {
        wait_for(w.also, w);
    } else if (!young.empty()) [[unlikely]] {
        early_confirms.push_back({grown_up + young.size(), w});
    } else {
        tell_waiter(w);
    }
}

void shard_state::note_declared(owner_uid uid) {
    const auto at = std::ranges::find(young, uid, &young_queue::uid);
    if (at == young.end()) {
        return;
    }
    at->declared = true;
    for (; !young.empty() && young.front().declared; young.pop_front()) {
        ++grown_up;
    }
    while (!early_confirms.empty() && early_confirms.front().declarations <= grown_up) {
        const durable_waiter who = early_confirms.front().who;
        early_confirms.pop_front();
        tell_waiter(who);
    }
}

void shard_state::tell_waiter(const durable_waiter& w) {
    const publish_settled_command c{w.sequence, w.sink_tag, {w.slot, w.generation}, w.group, w.accepted};
    if (w.publisher == self.id()) {
        receive_settled(c);
    } else {
        send(w.publisher, {.kind = command_kind::publish_settled, .count = 0, .settled = c});
    }
}

void shard_state::receive_sync(shard_id from, const publish_settled_command& c) {
    durable_waiter w;
    w.sequence = c.sequence;
    w.sink_tag = c.sink_tag;
    w.slot = c.publisher.slot;
    w.generation = c.publisher.generation;
    w.group = c.group;
    w.publisher = from;
    record_settlements();
    log_set logs = 0;
    for (std::size_t i = 0; i < stores.size(); ++i) {
        logs |= log_set{stores[i].log->durable() < stores[i].log->end()} << i;
    }
    if (logs != 0) {
        wait_for(logs, w);
    } else {
        on_durable(w);
    }
}

void shard_state::tell_settled_sessions() {
    for (const auto& h : settled_sessions) {
        if (session_port* session = self.find_session(h)) {
            session->on_settled_batch();
        }
    }
    settled_sessions.clear();
}

// ---- Settling ----------------------------------------------------------------------------------

void shard::settle_stored(queue_handle q, consumer_id c, std::span<const position> which, std::uint64_t bytes) {
    owner_.check();
    auto& s = *state_;
    if (s.in_transaction && s.errands.settle(q, c, which, bytes)) {
        return;
    }
    if (q.shard == id_) {
        s.settle_stored({q.slot, q.generation}, c, which, bytes);
        return;
    }
    command cmd{.kind = command_kind::settle_stored,
                .count = static_cast<std::uint16_t>(which.size()),
                .settle_stored = {{q.slot, q.generation}, c.value, bytes, {}}};
    if (which.size() <= inline_positions) {
        std::ranges::copy(which, cmd.settle_stored.positions);
    } else {
        cmd.count = many_places;
        cmd.settle_stored.more = std::make_unique<std::vector<position>>(which.begin(), which.end()).release();
    }
    s.transaction_shards |= std::uint64_t{s.in_transaction} << q.shard.value;
    s.send(q.shard, cmd);
}

void shard_state::settle_stored(queue_place at, consumer_id c, std::span<const position> which, std::uint64_t bytes) {
    if (queue* q = find(at)) {
        q->settle_stored(c, which, bytes);
        if (q->ready_count() != 0) {
            schedule_pump(*q);
        }
    }
}

void shard_state::receive_settle_stored(const settle_stored_command& c, std::uint16_t count) {
    std::unique_ptr<std::vector<position>> more;
    std::span<const position> which(c.positions, count);
    if (count == many_places) {
        more.reset(c.more);
        which = *more;
    }
    settle_stored(c.queue, consumer_id{c.consumer}, which, c.bytes);
}

void shard::note_received(queue_handle q, position pos, session_handle from, std::uint64_t sink_tag,
                          std::uint64_t sequence) {
    owner_.check();
    const received_command c{{q.slot, q.generation}, pos, sequence, sink_tag, {from.slot, from.generation}};
    if (q.shard == id_) {
        state_->receive_received(id_, c);
    } else {
        state_->send(q.shard, {.kind = command_kind::received, .count = 0, .received = c});
    }
}

void shard_state::receive_received(shard_id from, const received_command& c) {
    durable_waiter w;
    w.sequence = c.sequence;
    w.sink_tag = c.sink_tag;
    w.slot = c.from.slot;
    w.generation = c.from.generation;
    w.publisher = from;
    queue* q = find(c.queue);
    if (q != nullptr && q->note_received(c.pos)) {
        wait_for(log_of(*q), w);
    } else {
        clients.settle(w);  // not within the session's call
    }
}

// ---- Transactions ------------------------------------------------------------------------------

void shard::begin_transaction() {
    owner_.check();
    auto& s = *state_;
    s.record_settlements();
    s.in_transaction = true;
    s.transaction_shards = 0;
    if (!s.stores.empty()) {
        s.stores.front().messages->begin_group();
    }
}

publish_result shard::publish_in_transaction(message_ptr m, const vhost_node& v, const route& r,
                                             session_handle publisher, std::uint64_t sink_tag, std::uint64_t sequence) {
    owner_.check();
    return state_->errands.publish(std::move(m), v, r, state_->confirm_for(publisher, sink_tag, sequence));
}

bool shard::end_transaction(session_handle from, std::uint64_t sink_tag, std::uint64_t sequence) {
    owner_.check();
    auto& s = *state_;
    s.record_settlements();
    s.in_transaction = false;
    const bool recorded = !s.stores.empty() && s.stores.front().messages->end_group();
    // Without a store nobody else has one either: there is nothing to wait for.
    const std::uint64_t others = s.stores.empty() ? 0 : s.transaction_shards;
    const auto answers = static_cast<std::uint32_t>(std::popcount(others) + (recorded ? 1 : 0));
    if (answers == 0) {
        return false;
    }
    durable_waiter w = s.confirm_for(from, sink_tag, sequence);
    w.group = answers > 1 ? s.split(answers, true) : 0;
    if (recorded && !s.errands.end(w)) {
        s.wait_for(1, w);
    }
    for (std::uint16_t to = 0; to < parts_.shard_count(); ++to) {
        if ((others >> to & 1) != 0) {
            s.send(shard_id{to}, {.kind = command_kind::sync,
                                  .count = 0,
                                  .settled = {sequence, sink_tag, {from.slot, from.generation}, w.group, true}});
        }
    }
    return true;
}

// ---- The turn ----------------------------------------------------------------------------------

void shard_state::poll_stores() {
    for (const auto& s : stores) {
        static_cast<void>(s.messages->poll([this](const durable_waiter& w) { on_durable(w); }));
    }
    streams.poll();
}

void shard_state::record_settlements() {
    for (const queue_handle& h : settling) {
        if (queue* q = find(h)) {
            q->record_settled();
        }
    }
    settling.clear();
}

void shard_state::flush_stores() {
    record_settlements();
    for (const auto& s : stores) {
        s.messages->flush();
    }
    streams.flush();
    if (!stores.empty() || streams.any()) {
        watch_health();
    }
}

void shard_state::watch_health() {
    const bool due = self.now_ - stores_ticked >= tick_period;
    stores_ticked = due ? self.now_ : stores_ticked;
    if (due) {
        streams.tick(self.now_);
    }
    bool full = streams.disk_full();
    for (auto& s : stores) {
        if (due) {
            s.ticked_at = s.log->end();
            s.log->tick(self.now_);
        }
        full |= s.log->health() == log_health::full;
        if (s.log->health() == log_health::failed && !std::exchange(store_failed, true)) {
            parts.store_failed(s.log->complaint());
        }
    }
    if (full != disk_full) {
        disk_full = full;
        parts.set_disk_full(self.id(), full);
    }
}

// A log is to be given time once a second while anything happens in it, or while it complains.
mono_ns shard_state::stores_due(mono_ns horizon) const noexcept {
    const bool active = std::ranges::any_of(stores, [](const stored_log& s) {
        return s.log->end() != s.ticked_at || s.log->durable() != s.log->end() || s.log->health() == log_health::full;
    });
    return active || streams.wants_ticks() ? std::min(horizon, stores_ticked + tick_period) : horizon;
}

// What cannot be written any more has been promised to nobody.
void shard_state::close_stores() noexcept {
    record_settlements();
    if (!store_failed) {
        queues.for_each([](auto, auto, std::unique_ptr<queue>& q) { q->on_clean_end(); });
        for (const auto& [uid, held] : delays) {
            held->on_clean_end();
        }
    }
    for (const auto& s : stores) {
        if (s.log != nullptr && !s.log->close() && !std::exchange(store_failed, true)) {
            parts.store_failed(s.log->complaint());
        }
    }
    if (const auto complaint = streams.close(); complaint && !std::exchange(store_failed, true)) {
        parts.store_failed(*complaint);
    }
}

// ---- Gets that wait for the disk ---------------------------------------------------------------

void shard_state::hold_get(std::unique_ptr<routed_request> r, shard_id asker) {
    held_gets.push_back({std::move(r), asker});
}

void shard_state::answer_held_gets() {
    if (held_gets.empty()) {
        return;
    }
    // In order of arrival; whoever finds its queue's head gone again goes on waiting.
    for (auto& held : std::exchange(held_gets, {})) {
        if (must_wait(*held.asked)) {
            held_gets.push_back(std::move(held));
            continue;
        }
        const session_handle to = held.asked->what.from;
        answer(to, do_queue_request(*held.asked, held.asker));
    }
}

}  // namespace linnet::core
