#include "broker/core/control.hpp"
#include "broker/core/shard_state.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

// The hot path: where a message goes, and handing it there.

namespace linnet::core {

namespace {

[[nodiscard]] bool matches(const route_memo& memo, std::string_view exchange, std::string_view key) noexcept {
    // The default exchange has no name to compare.
    return memo.exchange_bytes == exchange.size() && memo.key_bytes == key.size() &&
           (exchange.empty() || std::memcmp(memo.address.data(), exchange.data(), exchange.size()) == 0) &&
           std::memcmp(memo.address.data() + exchange.size(), key.data(), key.size()) == 0;
}

void memorize(route_memo& memo, std::string_view exchange, std::string_view key) noexcept {
    if (exchange.size() + key.size() > memo.address.size()) {
        memo.topology_version = 0;
        return;
    }
    memo.exchange_bytes = static_cast<std::uint16_t>(exchange.size());
    memo.key_bytes = static_cast<std::uint16_t>(key.size());
    std::copy(exchange.begin(), exchange.end(), memo.address.begin());
    std::copy(key.begin(), key.end(), memo.address.begin() + static_cast<std::ptrdiff_t>(exchange.size()));
}

}  // namespace

shard::route shard::find_route(const vhost_node& v, std::string_view exchange, std::string_view key,
                               const property_reader* reader, std::span<const std::uint8_t> properties,
                               route_memo& memo) {
    auto& s = *state_;
    const std::uint64_t version = topology().version();
    if (memo.topology_version == version && memo.cache_epoch == s.routes.epoch() && matches(memo, exchange, key))
        [[likely]] {
        ++memo.counts->in;
        memo.counts->out += memo.where.size();
        return {memo.exchange, memo.where, false, false};
    }
    const auto vhost = topology_view::id_of(v);
    const bool caching = s.routes.in_use();
    const auto* cached = caching ? s.routes.find(version, vhost, exchange, key) : nullptr;
    if (cached == nullptr) {
        const exchange_node* x = topology_view::find_exchange(v, exchange);
        if (x == nullptr) {
            return {};
        }
        s.entropy = s.entropy * 6364136223846793005ULL + 1442695040888963407ULL;
        const auto notes = topology_view::route(v, *x, {key, reader, properties, s.entropy >> 16, id_}, *s.scratch);
        auto& counts = s.tally_of(v, exchange);
        if (!caching || !notes.cacheable || notes.delayed || notes.remember != nullptr) {
            const auto held = topology_view::delays_of(*s.scratch);
            ++counts.in;
            counts.out += topology_view::targets_of(*s.scratch).size();
            return {x, topology_view::targets_of(*s.scratch), !held.empty(), notes.remember != nullptr, held};
        }
        cached = &s.routes.add(vhost, exchange, key, x, topology_view::targets_of(*s.scratch), counts);
    }
    ++cached->counts->in;
    cached->counts->out += cached->where.size();
    memo.topology_version = version;
    memo.cache_epoch = s.routes.epoch();
    memo.exchange = cached->exchange;
    memo.where = cached->where;
    memo.counts = cached->counts;
    memorize(memo, exchange, key);
    return {cached->exchange, cached->where, false, false};
}

shard::route shard::find_routes(const vhost_node& v, std::string_view exchange, std::span<const std::string_view> keys,
                                const property_reader* reader, std::span<const std::uint8_t> properties, delays what) {
    auto& s = *state_;
    const exchange_node* x = topology_view::find_exchange(v, exchange);
    if (x == nullptr) {
        return {};
    }
    s.entropy = s.entropy * 6364136223846793005ULL + 1442695040888963407ULL;
    const route_input in{keys.front(), reader, properties, s.entropy >> 16, id_, what == delays::over};
    const auto notes = topology_view::route_keys(v, *x, keys, in, *s.scratch);
    route r{x, {}, false, notes.remember != nullptr};
    r.where = topology_view::targets_of(*s.scratch);
    r.delays = topology_view::delays_of(*s.scratch);
    r.delayed = !r.delays.empty();
    auto& counts = s.tally_of(v, exchange);
    ++counts.in;
    counts.out += r.where.size();
    return r;
}

inline publish_result shard_state::publish_routed(message_ptr m, const shard::route& r, session_handle publisher,
                                                  std::uint64_t sink_tag, std::uint64_t sequence) {
    publish_result out;
    out.routed = static_cast<std::uint32_t>(r.where.size());
    if (r.where.size() == 1 && r.where[0].shard == self.id()) [[likely]] {
        if (queue* q = find(r.where[0])) [[likely]] {
            if (q->records(*m)) [[unlikely]] {
                publish_stored(std::move(m), r.where, confirm_for(publisher, sink_tag, sequence), out);
                return out;
            }
            out.rejected = q->enqueue(std::move(m)) == enqueue_result::refused;
        } else if (is_stream(r.where[0])) {
            publish_stored(std::move(m), r.where, confirm_for(publisher, sink_tag, sequence), out);
        } else {
            pass_to_subscriber({r.where[0].slot, r.where[0].generation}, m);
        }
        return out;
    }
    if (r.where.empty()) {
        return out;
    }
    const auto is_here = [here = self.id()](const queue_handle& h) { return h.shard == here; };
    if (std::ranges::all_of(r.where, is_here)) {
        publish_here(std::move(m), r.where, confirm_for(publisher, sink_tag, sequence), out);
    } else {
        publish_there(std::move(m), r.where, confirm_for(publisher, sink_tag, sequence), out);
    }
    return out;
}

publish_result shard::publish(message_ptr m, const vhost_node& v, const route& r, session_handle publisher,
                              std::uint64_t sink_tag, std::uint64_t sequence) {
    owner_.check();
    auto& s = *state_;
    // One branch for all that is rare.
    if ((static_cast<unsigned>(r.delayed) | static_cast<unsigned>(r.remember) |
         static_cast<unsigned>(m->traits().retain) | static_cast<unsigned>(m->traits().identified)) != 0) [[unlikely]] {
        return s.publish_rare(std::move(m), v, r, s.confirm_for(publisher, sink_tag, sequence));
    }
    return s.publish_routed(std::move(m), r, publisher, sink_tag, sequence);
}

publish_result shard_state::publish_rare(message_ptr m, const vhost_node& v, const shard::route& r,
                                         const durable_waiter& confirm) {
    note_published(*m, v, r, confirm);
    return publish_unnoted(std::move(m), v, r, confirm);
}

// What is delayed is retained when it is due; what died has been, if it was to be.
publish_result shard_state::publish_unnoted(message_ptr m, const vhost_node& v, const shard::route& r,
                                            const durable_waiter& confirm) {
    if (r.remember) {
        remember(m.share(), v);
    }
    if (r.delayed) {
        return publish_delayed(std::move(m), v, r, confirm);
    }
    if (m->traits().retain && m->deaths() == nullptr) {
        return retained.publish(std::move(m), v, r, confirm);
    }
    return publish_rest(std::move(m), r, confirm);
}

publish_result shard_state::publish_rest(message_ptr m, const shard::route& r, const durable_waiter& confirm) {
    return publish_routed(std::move(m), r, {confirm.slot, confirm.generation, self.id()}, confirm.sink_tag,
                          confirm.sequence);
}

durable_waiter shard_state::confirm_for(session_handle publisher, std::uint64_t sink_tag,
                                        std::uint64_t sequence) const noexcept {
    durable_waiter w;
    w.sequence = sequence;
    w.sink_tag = sink_tag;
    w.slot = publisher.slot;
    w.generation = publisher.generation;
    w.publisher = self.id();
    return w;
}

// All targets are queues of this shard: the references are counted once.
void shard_state::publish_here(message_ptr m, targets where, const durable_waiter& confirm, publish_result& out) {
    if ((m->persistent() && !stores.empty()) || (streams.any() && shard_streams::among(where))) {
        publish_stored(std::move(m), where, confirm, out);
        return;
    }
    m.retain(static_cast<std::uint32_t>(where.size() - 1));
    message* raw = m.detach();
    for (const auto& h : where) {
        auto copy = message_ptr::adopt(raw);
        if (queue* q = find(h)) [[likely]] {
            out.rejected |= q->enqueue(std::move(copy)) == enqueue_result::refused;
        } else {
            pass_to_subscriber({h.slot, h.generation}, copy);
        }
    }
}

void shard_state::publish_there(message_ptr m, targets where, const durable_waiter& confirm, publish_result& out) {
    std::vector<std::vector<queue_place>> by_shard(parts.shard_count());
    for (const auto& h : where) {
        by_shard[h.shard.value].push_back({h.slot, h.generation});
    }
    const auto& here = by_shard[self.id().value];
    const auto shards = std::ranges::count_if(by_shard, [](const auto& of) { return !of.empty(); });
    const auto remote = static_cast<std::uint32_t>(shards - (here.empty() ? 0 : 1));
    m.get()->mark_shared();
    bool accepted = true;
    const log_set logs = here.empty() ? 0 : hand_out(m, here, accepted);
    const bool waits_here = logs != 0 && accepted;
    const std::uint32_t answers = remote + (waits_here ? 1 : 0);
    durable_waiter w = confirm;
    out.pending = w.sequence != 0;
    if (w.sequence != 0) {
        // A refusal is told with the rest: the whole verdict comes at the end.
        w.group = answers > 1 || !accepted ? split(answers, accepted) : 0;
        if (waits_here) {
            wait_for(logs, w);
        }
    } else {
        out.rejected = !accepted;
    }
    m.retain(static_cast<std::uint32_t>(where.size() - here.size()));
    for (std::uint16_t to = 0; to < by_shard.size(); ++to) {
        auto& of = by_shard[to];
        if (to == self.id().value || of.empty()) {
            continue;
        }
        command c{.kind = command_kind::publish,
                  .count = static_cast<std::uint16_t>(of.size()),
                  .publish = {m.get(), w.sequence, w.sink_tag, {w.slot, w.generation}, w.group, {}}};
        if (of.size() <= inline_places) {
            std::ranges::copy(of, c.publish.places);
        } else {
            c.count = many_places;
            c.publish.more = std::make_unique<std::vector<queue_place>>(std::move(of)).release();
        }
        send(shard_id{to}, c);
    }
}

void shard_state::receive_publish(shard_id from, const publish_command& p, std::uint16_t count) {
    std::unique_ptr<std::vector<queue_place>> more;
    std::span<const queue_place> where(p.places, count);
    if (count == many_places) {
        more.reset(p.more);
        where = *more;
    }
    note_arrival(*p.m);
    bool accepted = true;
    log_set logs = 0;
    if ((p.m->persistent() && !stores.empty()) || (streams.any() && shard_streams::among(where))) {
        const auto m = message_ptr::adopt(p.m);
        logs = hand_out(m, where, accepted);
        for (std::size_t i = 1; i < where.size(); ++i) {
            message_ptr::adopt(p.m).reset();
        }
    } else {
        for (const queue_place place : where) {
            auto m = message_ptr::adopt(p.m);
            if (queue* q = find(place)) {
                accepted &= q->enqueue(std::move(m)) == enqueue_result::accepted;
            } else {
                pass_to_subscriber(place, m);
            }
        }
    }
    if (p.sequence == 0) {
        return;
    }
    durable_waiter w;
    w.sequence = p.sequence;
    w.sink_tag = p.sink_tag;
    w.slot = p.publisher.slot;
    w.generation = p.publisher.generation;
    w.group = p.group;
    w.publisher = from;
    w.accepted = accepted;
    if (accepted && logs != 0) {
        wait_for(logs, w);
    } else {
        tell_waiter(w);
    }
}

void shard_state::pass_to_subscriber(queue_place p, const message_ptr& m) {
    if (delivery_sink** sink = subscribers.find(p.slot - first_subscriber_slot, p.generation)) {
        (*sink)->on_message(m);
    }
}

void shard_state::receive_settled(const publish_settled_command& c) {
    bool accepted = c.accepted;
    if (c.group != 0) {
        auto& split = splits[c.group];
        split.accepted = split.accepted && c.accepted;
        if (--split.waiting != 0) {
            return;
        }
        accepted = split.accepted;
        free_splits.push_back(c.group);
    }
    if (c.publisher.generation == 0) {
        receive_own_settled(c, accepted);
        return;
    }
    const session_handle to{c.publisher.slot, c.publisher.generation, self.id()};
    if (session_port* session = self.find_session(to)) {
        session->on_publish_settled(c.sink_tag, c.sequence, accepted);
        if (settled_sessions.empty() || settled_sessions.back() != to) {
            settled_sessions.push_back(to);
        }
    }
}

// What the shard itself waits for.
void shard_state::receive_own_settled(const publish_settled_command& c, bool accepted) {
    switch (static_cast<own_waiter>(c.publisher.slot)) {
        case own_waiter::burial:
            if (const auto dead_one = burials.extract(c.sequence)) {
                finish_burial(dead_one.mapped(), accepted);
            }
            return;
        case own_waiter::stream: streams.joined(c.sequence); return;
        case own_waiter::client: clients.on_durable(c.sequence); return;
        case own_waiter::retained: retained.joined(c.sequence, accepted); return;
        case own_waiter::transaction: errands.decided(c.sequence); return;
        case own_waiter::landing: errands.landed(c.sequence); return;
        case own_waiter::errand: errands.answered(static_cast<std::uint16_t>(c.sink_tag), c.sequence, accepted); return;
        case own_waiter::once: once.settled(c.sequence, accepted); return;
        case own_waiter::answer: replies.on_durable(c.sequence); return;
        case own_waiter::forwarded_answer: replies.forwarded(c.sequence, accepted); return;
    }
}

// ---- Direct replies ----------------------------------------------------------------------------

bool shard::deliver_direct(session_handle to, std::uint64_t sink_tag, message_ptr m) {
    owner_.check();
    if (to.shard == id_) {
        session_port* session = find_session(to);
        delivery_sink* sink = session == nullptr ? nullptr : session->find_sink(sink_tag);
        if (sink != nullptr) {
            sink->on_direct(std::move(m));
        }
        return sink != nullptr;
    }
    if (to.shard.value >= parts_.shard_count()) {
        return false;
    }
    message* raw = m.detach();
    raw->mark_shared();
    state_->send_pointer(to.shard, command_kind::deliver_direct, raw, {to.slot, to.generation}, sink_tag);
    return true;
}

std::optional<reply> shard::find_direct(session_handle from, std::uint64_t cookie, session_handle to, std::string key) {
    owner_.check();
    direct_question q{from, cookie, to, std::move(key)};
    if (to.shard == id_ || to.shard.value >= parts_.shard_count()) {
        return state_->answer_direct(q);
    }
    state_->send_pointer(to.shard, command_kind::find_direct,
                         std::make_unique<direct_question>(std::move(q)).release());
    return std::nullopt;
}

reply shard_state::answer_direct(const direct_question& q) const {
    const session_port* session = self.find_session(q.to);
    if (session != nullptr && session->takes_direct(q.key)) {
        return {q.cookie, std::monostate{}};
    }
    return {q.cookie, fail(error{error_kind::not_found, "no queue '" + q.key + "'"})};
}

void shard_state::receive_direct(const pointer_command& p) {
    auto m = message_ptr::adopt(static_cast<message*>(p.object));
    session_port* session = self.find_session({p.place.slot, p.place.generation, self.id()});
    delivery_sink* sink = session == nullptr ? nullptr : session->find_sink(p.tag);
    if (sink != nullptr) {
        sink->on_direct(std::move(m));
    }
}

// ---- Exchanges that keep messages --------------------------------------------------------------

void shard_state::remember(message_ptr m, const vhost_node& v) {
    const auto* reader_of = parts.reader_of(m->properties_of());
    const auto unwanted = reader_of == nullptr ? std::nullopt
                                               : reader_of->header(m->properties(), "x-recent-history-no-store");
    if (const bool* no = unwanted ? unwanted->as_bool() : nullptr; no != nullptr && *no) {
        return;
    }
    auto kept = std::make_unique<remembered>();
    kept->vhost = topology_view::id_of(v);
    kept->exchange = std::string(m->exchange());
    kept->msg = std::move(m);
    if (the_control != nullptr) {
        the_control->remember(std::move(kept->msg), kept->vhost, kept->exchange);
    } else {
        kept->msg.get()->mark_shared();
        send_pointer(control_shard, command_kind::remember, kept.release());
    }
}

}  // namespace linnet::core
