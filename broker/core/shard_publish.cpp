#include "broker/core/control.hpp"
#include "broker/core/shard_state.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

// The hot path: where a message goes, and handing it there.

namespace linnet::core {

namespace {

[[nodiscard]] bool matches(const route_memo& memo, std::string_view exchange, std::string_view key) noexcept {
    return memo.exchange_bytes == exchange.size() && memo.key_bytes == key.size() &&
           std::memcmp(memo.address.data(), exchange.data(), exchange.size()) == 0 &&
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
        if (!caching || !notes.cacheable || notes.delayed || notes.remember != nullptr) {
            return {x, topology_view::targets_of(*s.scratch), notes.delayed, notes.remember != nullptr};
        }
        cached = &s.routes.add(vhost, exchange, key, x, topology_view::targets_of(*s.scratch));
    }
    memo.topology_version = version;
    memo.cache_epoch = s.routes.epoch();
    memo.exchange = cached->exchange;
    memo.where = cached->where;
    memorize(memo, exchange, key);
    return {cached->exchange, cached->where, false, false};
}

shard::route shard::find_routes(const vhost_node& v, std::string_view exchange, std::span<const std::string_view> keys,
                                const property_reader* reader, std::span<const std::uint8_t> properties) {
    auto& s = *state_;
    const exchange_node* x = topology_view::find_exchange(v, exchange);
    if (x == nullptr) {
        return {};
    }
    s.entropy = s.entropy * 6364136223846793005ULL + 1442695040888963407ULL;
    const route_input in{keys.front(), reader, properties, s.entropy >> 16, id_};
    const auto notes = topology_view::route_keys(v, *x, keys, in, *s.scratch);
    route r{x, {}, notes.delayed, notes.remember != nullptr};
    r.where = topology_view::targets_of(*s.scratch);
    return r;
}

publish_result shard::publish(message_ptr m, const vhost_node& v, const route& r, session_handle publisher,
                              std::uint64_t sink_tag, std::uint64_t sequence) {
    owner_.check();
    auto& s = *state_;
    publish_result out;
    out.routed = static_cast<std::uint32_t>(r.where.size());
    if (r.delayed || r.remember) [[unlikely]] {
        if (r.remember) {
            s.remember(m.share(), v);
        }
        if (const mono_ns by = r.delayed ? s.delay_of(*m) : 0; by > 0) {
            s.delay(std::move(m), v, by);
            return out;
        }
    }
    if (r.where.size() == 1 && r.where[0].shard == id_) [[likely]] {
        if (queue* q = s.find(r.where[0])) [[likely]] {
            out.rejected = q->enqueue(std::move(m)) == enqueue_result::refused;
        }
        return out;
    }
    if (r.where.empty()) {
        return out;
    }
    const auto is_here = [this](const queue_handle& h) { return h.shard == id_; };
    if (std::ranges::all_of(r.where, is_here)) {
        s.publish_here(std::move(m), r.where, out);
    } else {
        s.publish_there(std::move(m), r.where, publisher, sink_tag, sequence, out);
    }
    return out;
}

// All targets are queues of this shard: the references are counted once.
void shard_state::publish_here(message_ptr m, targets where, publish_result& out) {
    m.retain(static_cast<std::uint32_t>(where.size() - 1));
    message* raw = m.detach();
    for (const auto& h : where) {
        auto copy = message_ptr::adopt(raw);
        if (queue* q = find(h)) [[likely]] {
            out.rejected |= q->enqueue(std::move(copy)) == enqueue_result::refused;
        }
    }
}

void shard_state::publish_there(message_ptr m, targets where, session_handle publisher, std::uint64_t sink_tag,
                                std::uint64_t sequence, publish_result& out) {
    std::vector<std::vector<queue_place>> by_shard(parts.shard_count());
    for (const auto& h : where) {
        by_shard[h.shard.value].push_back({h.slot, h.generation});
    }
    const auto shards = std::ranges::count_if(by_shard, [](const auto& places) { return !places.empty(); });
    const bool local = !by_shard[self.id().value].empty();
    const auto remote = static_cast<std::uint32_t>(shards - (local ? 1 : 0));
    m.get()->mark_shared();
    m.retain(static_cast<std::uint32_t>(where.size() - 1));
    message* raw = m.detach();
    for (const auto& p : by_shard[self.id().value]) {
        auto copy = message_ptr::adopt(raw);
        if (queue* q = find(p)) {
            out.rejected |= q->enqueue(std::move(copy)) == enqueue_result::refused;
        }
    }
    out.pending = sequence != 0;
    std::uint32_t group = 0;
    if (sequence != 0 && (remote > 1 || out.rejected)) {
        if (free_splits.empty()) {
            free_splits.push_back(static_cast<std::uint32_t>(splits.size()));
            splits.emplace_back();
        }
        group = free_splits.back();
        free_splits.pop_back();
        splits[group] = {remote, !out.rejected};
        out.rejected = false;  // the whole verdict comes at the end
    }
    for (std::uint16_t to = 0; to < by_shard.size(); ++to) {
        auto& places = by_shard[to];
        if (to == self.id().value || places.empty()) {
            continue;
        }
        command c{.kind = command_kind::publish,
                  .count = static_cast<std::uint16_t>(places.size()),
                  .publish = {raw, sequence, sink_tag, {publisher.slot, publisher.generation}, group, {}}};
        if (places.size() <= inline_places) {
            std::ranges::copy(places, c.publish.places);
        } else {
            c.count = many_places;
            c.publish.more = std::make_unique<std::vector<queue_place>>(std::move(places)).release();
        }
        send(shard_id{to}, c);
    }
}

void shard_state::receive_publish(shard_id from, const publish_command& p, std::uint16_t count) {
    bool accepted = true;
    const auto deliver_to = [&](queue_place place) {
        auto m = message_ptr::adopt(p.m);
        if (queue* q = find(place)) {
            accepted &= q->enqueue(std::move(m)) == enqueue_result::accepted;
        }
    };
    if (count == many_places) {
        const std::unique_ptr<std::vector<queue_place>> places(p.more);
        std::ranges::for_each(*places, deliver_to);
    } else {
        std::ranges::for_each(std::span(p.places, count), deliver_to);
    }
    if (p.sequence != 0) {
        send(from, {.kind = command_kind::publish_settled,
                    .count = 0,
                    .settled = {p.sequence, p.sink_tag, p.publisher, p.group, accepted}});
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
    const session_handle to{c.publisher.slot, c.publisher.generation, self.id()};
    if (session_port* session = self.find_session(to)) {
        session->on_publish_settled(c.sink_tag, c.sequence, accepted);
        if (settled_sessions.empty() || settled_sessions.back() != to) {
            settled_sessions.push_back(to);
        }
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

namespace {

// A message that waits in a delayed-message exchange. Owns itself: it dies when it fires, or with its shard.
class delayed_message final : public timer {
public:
    delayed_message(shard_state& home, message_ptr m, vhost_id vhost) : home_(home), m_(std::move(m)), vhost_(vhost) {}

    void on_timer(mono_ns) override {
        const std::unique_ptr<delayed_message> self(this);
        home_.delayed.erase(this);
        home_.publish_again(std::move(m_), vhost_);
    }

private:
    shard_state& home_;
    message_ptr m_;
    vhost_id vhost_;
};

}  // namespace

mono_ns shard_state::delay_of(const message& m) const {
    const auto* reader_of = parts.reader_of(m.properties_of());
    const auto header = reader_of == nullptr ? std::nullopt : reader_of->header(m.properties(), "x-delay");
    const auto* ms = header ? header->as_integer() : nullptr;
    if (ms == nullptr || *ms <= 0) {
        return 0;
    }
    return *ms > std::numeric_limits<mono_ns>::max() / 2 / ns_per_ms ? std::numeric_limits<mono_ns>::max() / 2
                                                                     : *ms * ns_per_ms;
}

void shard_state::delay(message_ptr m, const vhost_node& v, mono_ns by) {
    auto waiting = std::make_unique<delayed_message>(*this, std::move(m), topology_view::id_of(v));
    wheel.start(*waiting, self.now_ + by);
    delayed.insert(waiting.release());
}

// The delay is over: routed by the topology of this moment, as if published now.
void shard_state::publish_again(message_ptr m, vhost_id vhost) {
    const auto view = self.topology();
    const auto* v = view.find_vhost(vhost);
    if (v == nullptr) {
        return;
    }
    const std::string_view key = m->routing_key();
    auto r = self.find_routes(*v, m->exchange(), {&key, 1}, parts.reader_of(m->properties_of()), m->properties());
    r.delayed = false;
    if (r.exchange != nullptr) {
        static_cast<void>(self.publish(std::move(m), *v, r, {}, 0, 0));
    }
}

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
