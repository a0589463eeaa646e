#include "broker/core/shard_state.hpp"

#include <algorithm>
#include <utility>

// What happens to messages that leave a queue without having been consumed.

namespace linnet::core {

namespace {

constexpr std::size_t burials_a_turn = 4096;

[[nodiscard]] death_log history_of(const message& m, const property_reader* reader) {
    if (m.deaths() != nullptr) {
        return *m.deaths();
    }
    if (reader != nullptr) {
        if (auto earlier = reader->deaths(m.properties())) {
            return std::move(*earlier);
        }
    }
    return {};
}

[[nodiscard]] std::vector<std::string> keys_of(const message& m, const death_log& log, const property_reader* reader) {
    std::vector<std::string> keys{std::string(m.routing_key())};
    keys.insert(keys.end(), log.routing_keys_override.begin(), log.routing_keys_override.end());
    if (reader != nullptr && !log.copies_taken && log.routing_keys_override.empty()) {
        auto copies = reader->carbon_copies(m.properties());
        std::ranges::move(copies, std::back_inserter(keys));
    }
    return keys;
}

// One row for each (queue, reason), the latest first.
void record(death_log& log, death row) {
    if (log.rows.empty() && log.first_queue.empty()) {
        log.first_queue = row.queue;
        log.first_exchange = row.exchange;
        log.first_reason = row.reason;
    }
    const auto same = [&](const death& d) { return d.queue == row.queue && d.reason == row.reason; };
    if (const auto at = std::ranges::find_if(log.rows, same); at != log.rows.end()) {
        ++at->count;
        std::rotate(log.rows.begin(), at, at + 1);
    } else {
        log.rows.insert(log.rows.begin(), std::move(row));
    }
}

// A message that goes round without ever being rejected by a consumer would go round for ever.
[[nodiscard]] bool is_cycle(const death_log& log, std::string_view queue) {
    const auto at = std::ranges::find(log.rows, queue, &death::queue);
    return at != log.rows.end() &&
           std::none_of(log.rows.begin(), at + 1, [](const death& d) { return d.reason == death_reason::rejected; });
}

}  // namespace

void shard_state::on_dead(const queue& q, queue_item&& item, death_reason why) {
    const auto& s = q.spec().settings;
    ++totals.dead_lettered[static_cast<std::size_t>(why)];
    note_death(q, item, why);
    if (!s.dead_letter_exchange) {
        item.msg.reset();
        return;
    }
    const bool in_doubt = q.in_doubt(item);
    dead.push_back({std::move(item), why, q.spec().name, q.spec().vhost, *s.dead_letter_exchange,
                    s.dead_letter_routing_key, q.self(), in_doubt});
}

void shard_state::bury_dead() {
    for (std::size_t n = 0; !dead.empty() && n < burials_a_turn; ++n) {
        dead_letter d = std::move(dead.front());
        dead.pop_front();
        bury(std::move(d));
    }
}

void shard_state::bury(dead_letter&& d) {
    const bool stored = d.item.stored;
    const burial old{.from = d.from, .pos = d.item.pos, .bytes = d.item.msg->body_bytes()};
    if (!publish_dead(std::move(d), stored ? &old : nullptr) && stored) {
        finish_burial(old, true);
    }
}

// Is any of it recorded, and that in this log alone?
bool shard_state::recorded_only_in(const journal* log, const message& m, const shard::route& r) noexcept {
    if (log == nullptr || !m.persistent() || m.traits().retain || (r.delayed && stores.front().messages.get() != log)) {
        return false;
    }
    bool recorded = r.delayed;
    for (const auto& h : r.where) {
        if (h.shard != self.id() || is_stream(h)) {
            return false;
        }
        if (const queue* q = find(h); q != nullptr && q->records(m)) {
            if (q->keeping().log != log) {
                return false;
            }
            recorded = true;
        }
    }
    return recorded;
}

journal* shard_state::log_of(const burial& b) noexcept {
    if (b.delayed != 0) {
        return delays.at(b.delayed)->log();
    }
    const queue* q = find(b.from);
    return q == nullptr ? nullptr : q->keeping().log;
}

// Its successor takes the place of what a queue, or a delay_store, has stored. Within one log both are one group: a
// crash leaves either of them. Else the old one stays until its successor is durable, wherever that goes: a crash in
// between can double it, never lose it.
void shard_state::succeed(message_ptr m, const vhost_node& v, const shard::route& r, const burial& old) {
    if (journal* log = log_of(old); recorded_only_in(log, *m, r)) {
        log->begin_group();
        static_cast<void>(self.publish(std::move(m), v, r, {}, 0, 0));
        finish_burial(old, true);
        if (queue* q = find(old.from)) {
            q->record_settled();
        }
        static_cast<void>(log->end_group());
        return;
    }
    const std::uint64_t sequence = ++last_burial;
    if (self.publish(std::move(m), v, r, {}, 0, sequence).pending) {
        burials.emplace(sequence, old);
    } else {
        finish_burial(old, true);
    }
}

void shard_state::finish_burial(const burial& b, bool accepted) {
    if (b.logs != 0) {
        durable_waiter confirm = b.then;
        confirm.accepted = accepted;
        if (accepted) {
            wait_for(b.logs, confirm);
        } else {
            on_durable(confirm);
        }
        return;
    }
    if (b.delayed != 0) {
        delays.at(b.delayed)->settled(b.pos);
        return;
    }
    if (queue* q = find(b.from)) {
        q->settle_stored(consumer_id{}, {&b.pos, 1}, b.bytes);
    }
}

// In place of `old`, if that is stored. False: nobody wants it.
bool shard_state::publish_dead(dead_letter&& d, const burial* old) {
    const auto view = self.topology();
    const vhost_node* v = view.find_vhost(d.vhost);
    if (v == nullptr) {
        return false;
    }
    const message& m = *d.item.msg;
    const auto* reads = parts.reader_of(m.properties_of());
    auto log = std::make_unique<death_log>(history_of(m, reads));
    const auto old_keys = keys_of(m, *log, reads);
    death row{d.queue_name, d.why, std::string(m.exchange()), old_keys, 1, self.wall_now_, {}};
    if (reads != nullptr && !log->expiration_taken) {
        row.original_expiration = reads->expiration(m.properties());
        log->expiration_taken = !row.original_expiration.empty();
    }
    const auto new_keys = d.key ? std::vector<std::string>{*d.key} : old_keys;
    log->copies_taken = log->copies_taken || d.key.has_value();
    log->routing_keys_override.assign(new_keys.begin() + 1, new_keys.end());
    record(*log, std::move(row));

    const std::vector<std::string_view> keys(new_keys.begin(), new_keys.end());
    auto r = self.find_routes(*v, d.exchange, keys, reads, m.properties());
    if (r.exchange == nullptr) {
        note_unrouted(flight_step::dropped, m, d.vhost, {}, d.exchange, keys.front());
        return false;
    }
    std::vector<queue_handle> where(r.where.begin(), r.where.end());
    if (d.why != death_reason::rejected) {
        for (const auto& row_of : log->rows) {
            const auto* entry = topology_view::find_queue(*v, row_of.queue);
            if (entry != nullptr && is_cycle(*log, row_of.queue)) {
                std::erase(where, entry->handle);
            }
        }
    }
    if (where.empty() && !r.delayed) {
        note_unrouted(flight_step::dropped, m, d.vhost, {}, d.exchange, keys.front());
        return false;
    }
    r.where = where;
    message_traits traits = m.traits();
    traits.time_to_live = -1;
    traits.repeated = d.in_doubt;
    message_builder b;
    b.write_whole(messages, d.exchange, keys.front(), m.properties(), m.body(), traits);
    auto successor = b.finish(std::move(log));
    if (old != nullptr) {
        succeed(std::move(successor), *v, r, *old);
    } else {
        static_cast<void>(self.publish(std::move(successor), *v, r, {}, 0, 0));
    }
    return true;
}

}  // namespace linnet::core
