#include "broker/core/shard.hpp"

#include "broker/core/control.hpp"
#include "broker/core/shard_state.hpp"

#include <algorithm>
#include <utility>

namespace linnet::core {

namespace {

constexpr std::size_t congestion_commands = 4096;  // waiting for a full ring
constexpr mono_ns alarm_period = 20 * ns_per_ms;
// Within an eighth of the budget it is looked at so often: a publisher fills a megabyte in a few milliseconds.
constexpr mono_ns alarm_period_near = ns_per_ms;

}  // namespace

shard_state::shard_state(shard& s, broker& b, mono_ns now)
    : self(s),
      parts(b),
      messages(s.id()),
      wheel(now),
      recorder(b.options().recorder_events),
      backlogs(b.shard_count()) {}

shard_state::~shard_state() = default;

shard::shard(broker& parts, shard_id id)
    : parts_(parts),
      id_(id),
      now_(parts.clock().now()),
      wall_now_(parts.clock().wall_now()),
      state_(std::make_unique<shard_state>(*this, parts, now_)) {
    state_->reader = &parts.domain().reader(id.value);
    parts.register_pool(id, &state_->messages);
    state_->make_stores();
    if (id == control_shard) {
        state_->the_control = std::make_unique<control>(parts, *state_);
    }
}

shard::~shard() {
    message_pool::enter(&state_->messages);
    parts_.register_pool(id_, nullptr);
    if (state_->reader->is_online()) {
        state_->reader->offline();
    }
    state_.reset();
    message_pool::enter(nullptr);
}

// ---- The turn ----------------------------------------------------------------------------------

void shard::end() {
    owner_.check();
    auto& s = *state_;
    s.close_stores();
    s.queues.for_each([](auto, auto, std::unique_ptr<queue>& q) { q.reset(); });
    s.parting.clear();
    s.clients.end();
    s.errands.end();
    s.once.end();
    s.retained.end();
    s.replies.end();
    s.owners.clear();
    s.dead.clear();
    s.delays.clear();
    s.the_control.reset();
    s.reader->offline();
}

void shard::begin_turn() {
    owner_.check();
    message_pool::enter(&state_->messages);
    const mono_ns before = std::exchange(now_, parts_.clock().now());
    wall_now_ = parts_.clock().wall_now();
    if (!std::exchange(state_->slept, false)) {
        state_->turns.add(now_ - before);
    }
    if (!state_->reader->is_online()) {
        state_->reader->online();
    }
}

bool shard::end_turn() {
    owner_.check();
    auto& s = *state_;
    bool more = s.drain_rings();
    s.poll_stores();
    s.tell_settled_sessions();
    if (s.the_control != nullptr) {
        s.the_control->poll(now_);
    }
    s.wheel.advance(now_);
    s.clients.poll();
    s.errands.poll();
    for (auto& [to, r] : std::exchange(s.replies_later, {})) {
        s.pass_to_session(to, std::move(r));
    }
    s.pump_queues();
    s.streams.pump();
    s.bury_dead();
    s.remove_unused_queues();
    s.answer_held_gets();
    more |= s.relieve();
    s.flush_stores();
    s.send_credits();
    s.send_chains_home();
    s.flush_backlogs();
    s.publish_tails();
    if (id_ == control_shard) {
        s.the_control->flush();
        static_cast<void>(parts_.domain().reclaim());
    }
    // Each of them: what one shard fills, an idle one would notice late.
    if (now_ - s.alarm_checked >= (s.near_budget ? alarm_period_near : alarm_period)) {
        s.alarm_checked = now_;
        s.tell_memory();
        parts_.update_memory_alarm();
        const std::uint64_t budget = parts_.options().memory_high_bytes;
        s.near_budget = budget != 0 && parts_.held_bytes() > budget - budget / 8;
    }
    if (const alarms now = active_alarms(); now != s.alarms_seen) {
        s.alarms_seen = now;
        s.sessions.for_each([now](auto, auto, session_port* p) { p->on_alarms(now); });
    }
    s.reader->quiescent();
    return more || s.has_work();
}

bool shard_state::has_work() const noexcept {
    return !to_pump.empty() || streams.to_pump() || !dead.empty() || !replies_later.empty() || clients.more() ||
           !settled_sessions.empty();
}

bool shard_state::has_unsent() const noexcept {
    if (!proxies_to_credit.empty() || !settling.empty()) {
        return true;
    }
    for (std::uint16_t to = 0; to < parts.shard_count(); ++to) {
        if (to != self.id().value && parts.ring(self.id(), shard_id{to}).unpublished() != 0) {
            return true;
        }
    }
    return false;
}

bool shard::prepare_to_sleep() {
    // Output is flushed after a turn's end, and whoever is sent something, or can be sent nothing more, may settle and
    // give back then.
    if (state_->has_work() || state_->has_unsent()) {
        return false;
    }
    parts_.bell(id_).prepare_to_sleep();
    for (std::uint16_t from = 0; from < parts_.shard_count(); ++from) {
        if (from != id_.value && !parts_.ring(shard_id{from}, id_).empty()) {
            parts_.bell(id_).awake();
            return false;
        }
    }
    if (state_->backlog_total != 0) {
        // A peer's ring is full: it will not ring our bell when it has room, so look again soon.
        parts_.bell(id_).awake();
        return false;
    }
    state_->reader->offline();
    state_->slept = true;
    return true;
}

void shard::awake() { parts_.bell(id_).awake(); }

mono_ns shard::next_due(mono_ns horizon) const noexcept {
    mono_ns due = state_->stores_due(state_->wheel.next_due(horizon));
    if (id_ == control_shard && parts_.options().memory_high_bytes != 0) {
        // When nobody has a turn, somebody must still see that it ends.
        if (parts_.memory_alarm() || parts_.held_bytes() > parts_.options().memory_high_bytes / 2) {
            due = std::min(due, now_ + alarm_period);
        }
    }
    return due;
}

timer_wheel& shard::timers() noexcept { return state_->wheel; }
message_pool& shard::pool() noexcept { return state_->messages; }
bool shard::congested() const noexcept { return state_->backlog_total > congestion_commands; }
bool shard::logs_congested() const noexcept {
    return std::ranges::any_of(state_->stores, [](const stored_log& s) { return s.messages->congested(); }) ||
           state_->streams.congested();
}
std::uint64_t shard::stored_messages() const noexcept {
    std::uint64_t sum = state_->streams.appended_messages();
    for (const stored_log& s : state_->stores) {
        sum += s.messages->recorded_messages();
    }
    return sum;
}
alarms shard::active_alarms() const noexcept { return {parts_.memory_alarm(), parts_.disk_alarm()}; }

topology_view shard::topology() const noexcept { return topology_view(parts_.topology().read(*state_->reader)->root); }

void shard::change_topology(std::function<std::vector<queue_entry>(topology_editor&)> change) {
    owner_.check();
    state_->the_control->run(std::move(change));
}

// ---- Sessions ----------------------------------------------------------------------------------

void shard::note_connection_bytes(std::int64_t more) noexcept { state_->connection_bytes += more; }

session_handle shard::add_session(session_port& s) {
    owner_.check();
    const auto place = state_->sessions.add(&s);
    return {place.slot, place.generation, id_};
}

session_port* shard::find_session(session_handle h) const noexcept {
    session_port** found = h.shard == id_ ? state_->sessions.find(h.slot, h.generation) : nullptr;
    return found == nullptr ? nullptr : *found;
}

void shard::remove_session(session_handle h) noexcept {
    owner_.check();
    auto& s = *state_;
    if (find_session(h) == nullptr) {
        return;
    }
    s.sessions.remove(h.slot);
    if (s.proxies.size() != 0) {
        std::vector<std::pair<queue_handle, std::uint32_t>> ending;
        s.proxies.for_each([&](std::uint32_t slot, auto, const consumer_proxy& p) {
            if (p.session == h) {
                ending.emplace_back(p.queue, slot);
            }
        });
        for (const auto& [q, slot] : ending) {
            s.drop_proxy(slot);
        }
    }
    // What only this session could use goes with it; nobody waits for the answer.
    static_cast<void>(s.start({vhost_id{}, h, 0, end_session{}}));
}

void shard::detach_client(vhost_id vhost, session_handle from, core::detach_client d) {
    owner_.check();
    state_->clients.detach(vhost, from, std::move(d));
}

void shard::mark_client(client_ticket ticket, session_handle from, std::uint64_t sink_tag, std::uint64_t sequence,
                        std::uint32_t number, bool set) {
    owner_.check();
    state_->clients.mark({sequence,
                          sink_tag,
                          {from.slot, from.generation},
                          shard_clients::place_of(ticket),
                          number,
                          set ? mark_step::set : mark_step::clear});
}

std::optional<reply> shard::submit(request r) {
    owner_.check();
    std::optional<reply> now;
    auto& s = *state_;
    s.capture = &now;
    s.capture_for = r.from;
    s.capture_cookie = r.cookie;
    if (auto direct = s.start(std::move(r))) {
        now = std::move(direct);
    }
    s.capture = nullptr;
    s.remove_unused_queues();
    return now;
}

// ---- Settling ----------------------------------------------------------------------------------

void shard::settle_accepted(queue_handle q, consumer_id c, std::uint32_t count, std::uint64_t bytes) {
    owner_.check();
    if (q.shard == id_) [[likely]] {
        if (queue* local = state_->find(q)) {
            local->settle(c, count, bytes);
            if (local->ready_count() != 0) {
                state_->schedule_pump(*local);
            }
        } else {
            state_->streams.settle({q.slot, q.generation}, c, count);
        }
        return;
    }
    command cmd{
        .kind = command_kind::settle_accepted, .count = 0, .settle = {{q.slot, q.generation}, c.value, bytes, count}};
    state_->send(q.shard, cmd);
}

void shard::settle(std::span<delivery> batch, settlement how) {
    owner_.check();
    for (std::size_t i = 0; i < batch.size();) {
        const queue_handle q = batch[i].queue;
        std::size_t end = i + 1;
        while (end < batch.size() && batch[end].queue == q) {
            ++end;
        }
        if (how == settlement::accepted) {
            for (; i < end; ++i) {
                auto& d = batch[i];
                const std::uint32_t bytes = d.msg ? d.msg->body_bytes() : 0;
                if (d.stored) {
                    settle_stored(q, d.consumer, {&d.pos, 1}, bytes);
                } else {
                    settle_accepted(q, d.consumer, 1, bytes);
                }
                d.msg.reset();
            }
            continue;
        }
        const auto kind = how == settlement::requeued    ? give_back_kind::requeue
                          : how == settlement::looked_at ? give_back_kind::show
                          : how == settlement::bounced   ? give_back_kind::bounce
                                                         : give_back_kind::reject;
        std::vector<delivery> part(std::make_move_iterator(batch.begin() + static_cast<std::ptrdiff_t>(i)),
                                   std::make_move_iterator(batch.begin() + static_cast<std::ptrdiff_t>(end)));
        state_->give_back(q.shard, kind, std::move(part));
        i = end;
    }
}

void shard::set_prefetch(queue_handle q, consumer_id c, std::uint32_t prefetch) {
    if (q.shard == id_) {
        if (queue* local = state_->find(q)) {
            local->set_prefetch(c, prefetch);
            state_->schedule_pump(*local);
        } else {
            state_->streams.set_prefetch({q.slot, q.generation}, c, prefetch);
        }
        return;
    }
    command cmd{
        .kind = command_kind::set_prefetch, .count = 0, .settle = {{q.slot, q.generation}, c.value, 0, prefetch}};
    state_->send(q.shard, cmd);
}

void shard::forget_consumer(queue_handle q, consumer_id c, delivery_sink& sink) {
    static_cast<void>(state_->start({vhost_id{}, session_handle{}, 0, cancel{q, c, &sink}}));
}

void shard::resume(delivery_sink& sink) { state_->resume(sink); }

void shard::pump() {
    owner_.check();
    state_->pump_queues();
    state_->streams.pump();
    state_->bury_dead();
}

// ---- Subscribers -------------------------------------------------------------------------------

queue_handle shard::add_subscriber(delivery_sink& sink) {
    owner_.check();
    const auto place = state_->subscribers.add(&sink);
    return {first_subscriber_slot + place.slot, place.generation, id_};
}

void shard::remove_subscriber(vhost_id v, queue_handle sink) {
    owner_.check();
    state_->subscribers.remove(sink.slot - first_subscriber_slot);
    static_cast<void>(state_->start({v, session_handle{}, 0, end_subscriber{sink}}));
}

// ---- Queues ------------------------------------------------------------------------------------

queue* shard_state::find(queue_handle h) noexcept { return find(queue_place{h.slot, h.generation}); }

queue* shard_state::find(queue_place p) noexcept {
    auto* slot = queues.find(p.slot, p.generation);
    return slot == nullptr ? nullptr : slot->get();
}

queue* shard_state::queue_named(owner_uid uid) noexcept {
    const auto at = owners.find(uid);
    return at == owners.end() ? nullptr : dynamic_cast<queue*>(at->second);
}

queue_handle shard_state::create_queue(const queue_spec& spec) {
    const auto place = queues.add(nullptr);
    const queue_handle h{place.slot, place.generation, self.id()};
    const queue_keeping keeping = keeping_of(spec);
    auto made = std::make_unique<queue>(*this, h, spec, keeping);
    if (keeping.log != nullptr) {
        owners[keeping.uid & ~fleeting_owner] = made.get();
    }
    *queues.find(place.slot, place.generation) = std::move(made);
    return h;
}

void shard_state::schedule_pump(queue& q) {
    const auto slot = q.self().slot;
    if (slot >= pump_marks.size()) {
        pump_marks.resize(slot + 64);
    }
    if (!pump_marks[slot]) {
        pump_marks[slot] = true;
        to_pump.push_back(q.self());
    }
}

void shard_state::pump_queues() {
    if (to_pump.empty()) {
        return;
    }
    std::swap(pumping, to_pump);
    for (const queue_handle h : pumping) {
        pump_marks[h.slot] = false;
        queue* q = find(h);
        if (q != nullptr && !q->pump()) {
            schedule_pump(*q);
        }
    }
    pumping.clear();
}

void shard_state::on_unused(const queue& q) {
    // Later: the caller is in the middle of the queue.
    if (the_control != nullptr) {
        unused_here.push_back(q.self());
    } else {
        send_pointer(control_shard, command_kind::queue_unused, nullptr, {q.self().slot, q.self().generation});
    }
}

void shard_state::on_loaded(queue& q) { schedule_pump(q); }

void shard_state::remove_unused_queues() {
    while (!unused_here.empty()) {
        for (const queue_handle h : std::exchange(unused_here, {})) {
            the_control->remove_unused(h);
        }
    }
}

void shard_state::resume(delivery_sink& sink) {
    std::size_t i = 0;
    for (; i < sink.sources_.size() && sink.ready(); ++i) {
        const auto source = sink.sources_[i];
        if (source.queue.shard == self.id()) {
            if (queue* q = find(source.queue); q != nullptr && q->ready_count() != 0) {
                schedule_pump(*q);
            } else if (is_stream(source.queue)) {
                streams.resume(source.queue);
            }
        } else if (auto* p = proxies.find_slot(source.proxy_slot)) {
            sink.resumed_s_ = static_cast<std::uint32_t>(self.now() / ns_per_s);
            release_held(*p);
        }
    }
    // Those behind the one that used it up come first the next time.
    std::rotate(sink.sources_.begin(),
                sink.sources_.begin() + static_cast<std::ptrdiff_t>(std::min(i, sink.sources_.size())),
                sink.sources_.end());
}

}  // namespace linnet::core
