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
    if (!s.dead_letter_exchange) {
        item.msg.reset();
        return;
    }
    dead.push_back(
        {std::move(item), why, q.spec().name, q.spec().vhost, *s.dead_letter_exchange, s.dead_letter_routing_key});
}

void shard_state::bury_dead() {
    for (std::size_t n = 0; !dead.empty() && n < burials_a_turn; ++n) {
        dead_letter d = std::move(dead.front());
        dead.pop_front();
        bury(std::move(d));
    }
}

void shard_state::bury(dead_letter&& d) {
    const auto view = self.topology();
    const vhost_node* v = view.find_vhost(d.vhost);
    if (v == nullptr) {
        return;
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
        return;
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
        return;
    }
    r.where = where;
    message_traits traits = m.traits();
    traits.time_to_live = -1;
    message_builder b;
    b.write_whole(messages, d.exchange, keys.front(), m.properties(), m.body(), traits);
    static_cast<void>(self.publish(b.finish(std::move(log)), *v, r, {}, 0, 0));
}

}  // namespace linnet::core
