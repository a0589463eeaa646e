#include "broker/core/message_builder.hpp"
#include "broker/core/message_key.hpp"
#include "broker/core/shard_state.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

// Messages that delayed-message exchanges hold back.

namespace linnet::core {

namespace {

// A message that came by another exchange is to be routed by the one that held it.
[[nodiscard]] message_ptr held_by(message_pool& pool, const message_ptr& m, std::string_view exchange) {
    if (m->exchange() == exchange) {
        return m.share();
    }
    message_builder b;
    b.write_whole(pool, exchange, m->routing_key(), m->properties(), m->body(), m->traits());
    return b.finish(m->deaths() == nullptr ? nullptr : std::make_unique<death_log>(*m->deaths()));
}

[[nodiscard]] std::vector<std::string> keys_of(const message& m, const property_reader* reader) {
    std::vector<std::string> keys{std::string(m.routing_key())};
    const death_log* died = m.deaths();
    if (died != nullptr) {
        keys.insert(keys.end(), died->routing_keys_override.begin(), died->routing_keys_override.end());
    }
    if (reader != nullptr && (died == nullptr || (!died->copies_taken && died->routing_keys_override.empty()))) {
        auto copies = reader->carbon_copies(m.properties());
        keys.insert(keys.end(), std::make_move_iterator(copies.begin()), std::make_move_iterator(copies.end()));
    }
    return keys;
}

}  // namespace

message_ptr said_again(message_pool& pool, const message& m) {
    message_traits traits = m.traits();
    traits.repeated = true;
    message_builder b;
    b.write_whole(pool, m.exchange(), m.routing_key(), m.properties(), m.body(), traits);
    return b.finish(m.deaths() == nullptr ? nullptr : std::make_unique<death_log>(*m.deaths()));
}

// ---- The stores --------------------------------------------------------------------------------

// One a vhost and log; kept once it is there, since it costs next to nothing.
delay_store& shard_state::delays_of_log(owner_uid uid) {
    auto& store = delays[uid];
    if (store == nullptr) {
        const std::size_t index = delayed_log(uid) / parts.shard_count();
        journal* log = index < stores.size() ? stores[index].messages.get() : nullptr;
        store = std::make_unique<delay_store>(*this, log, uid);
        owners[uid] = store.get();
    }
    return *store;
}

record_owner* shard_state::owner_of(owner_uid uid) {
    const owner_uid name = uid & ~fleeting_owner;
    if (const auto at = owners.find(name); at != owners.end()) {
        return at->second;
    }
    if (is_delaying(name)) {
        return &delays_of_log(name);
    }
    const auto log = static_cast<std::uint16_t>(name & 0xffffU);
    if (log % parts.shard_count() != self.id().value || log >= parts.options().logs) {
        return nullptr;
    }
    if (name == clients_of(log)) {
        return &clients.registry(log);
    }
    if (name == errands_of(log)) {
        return &errands.of(log);
    }
    if (name == replies_of(log)) {
        return &replies.registry(log);
    }
    return name == retained_of(log) ? &retained.store(log) : nullptr;
}

// ---- In ----------------------------------------------------------------------------------------

shard_state::log_set shard_state::delay(const message_ptr& m, const vhost_node& v, std::string_view exchange,
                                        mono_ns by) {
    const bool recorded = !stores.empty() && m->persistent();
    static_cast<void>(
        delays_of_log(delays_of(topology_view::id_of(v), self.id().value)).add(held_by(messages, m, exchange), by));
    return recorded ? 1 : 0;
}

// What goes on at once is published; the confirm waits for that and for what is held back.
publish_result shard_state::publish_delayed(message_ptr m, const vhost_node& v, const shard::route& r,
                                            const durable_waiter& confirm) {
    const auto* reader_of_it = parts.reader_of(m->properties_of());
    const mono_ns by = delay_asked(reader_of_it, m->properties());
    // Its own copies: publishing below routes anew, in the same scratch memory.
    const std::vector<std::string> exchanges(r.delays.begin(), r.delays.end());
    const std::vector<queue_handle> where(r.where.begin(), r.where.end());
    log_set logs = 0;
    for (const auto& x : exchanges) {
        logs |= delay(m, v, x, by);
    }
    const bool waits = logs != 0 && confirm.sequence != 0;
    publish_result out;
    if (!where.empty()) {
        shard::route at_once{r.exchange, where, false, false};
        const std::uint64_t sequence = waits ? ++last_burial : confirm.sequence;
        const session_handle publisher{waits ? 0 : confirm.slot, waits ? 0 : confirm.generation, self.id()};
        out = publish_unnoted(std::move(m), v, at_once, confirm_for(publisher, confirm.sink_tag, sequence));
        if (waits && out.pending) {
            burials.emplace(sequence, burial{.then = confirm, .logs = logs});
        }
    }
    if (waits && !out.pending && !out.rejected) {
        wait_for(logs, confirm);
        out.pending = true;
    }
    out.routed += static_cast<std::uint32_t>(exchanges.size());
    return out;
}

// ---- Out ---------------------------------------------------------------------------------------

// The delay is over: routed by the topology of this moment, as if published now.
void shard_state::on_due(delay_store& from, position id, message_ptr m) {
    const auto view = self.topology();
    const vhost_node* v = view.find_vhost(delayed_vhost(from.uid()));
    if (v == nullptr) {
        from.settled(id);
        return;
    }
    const auto* reader_of_it = parts.reader_of(m->properties_of());
    const auto keys = keys_of(*m, reader_of_it);
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    const auto r = self.find_routes(*v, m->exchange(), views, reader_of_it, m->properties(), shard::delays::over);
    const bool goes_on = r.exchange != nullptr && (!r.where.empty() || r.delayed || r.remember || m->traits().retain);
    if (!goes_on) {
        note_unrouted(flight_step::dropped, *m, topology_view::id_of(*v), {}, m->exchange(), m->routing_key());
    }
    if (r.exchange == nullptr) {
        from.settled(id);
        return;
    }
    succeed(from.in_doubt(id) ? said_again(messages, *m) : std::move(m), *v, r, {.pos = id, .delayed = from.uid()});
}

}  // namespace linnet::core
