#include "broker/core/shard_clients.hpp"

#include "broker/base/log.hpp"
#include "broker/core/access_grant.hpp"
#include "broker/core/control.hpp"
#include "broker/core/shard_state.hpp"
#include "broker/core/topology_journal.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace linnet::core {

// ---- Where they live ---------------------------------------------------------------------------

std::uint16_t shard_clients::home_of(vhost_id v, std::string_view name) const noexcept {
    return home_.parts.homes().of_client(v, name);
}

shard_id shard_clients::shard_of(std::uint16_t log) const noexcept {
    return shard_id{static_cast<std::uint16_t>(log % home_.parts.shard_count())};
}

bool shard_clients::is_here(std::uint16_t log) const noexcept { return shard_of(log) == home_.self.id(); }

client_registry& shard_clients::registry(std::uint16_t log) {
    const std::size_t index = log / home_.parts.shard_count();
    if (index >= registries_.size()) {
        registries_.resize(index + 1);
    }
    if (registries_[index] == nullptr) {
        journal* const messages = index < home_.stores.size() ? home_.stores[index].messages.get() : nullptr;
        // Each log has its share: names are spread evenly.
        const auto& o = home_.parts.options();
        const std::uint64_t logs = std::max<std::uint64_t>({o.logs, o.shards, 1});
        const std::uint64_t share = (o.clients_max + logs - 1) / logs;
        registries_[index] = std::make_unique<client_registry>(*this, messages, log, share);
        home_.owners[clients_of(log)] = registries_[index].get();
    }
    return *registries_[index];
}

// What is asked of others in a registry's name tells its log in the lowest bits.
client_registry& shard_clients::registry_of(std::uint64_t token) {
    return registry(static_cast<std::uint16_t>(token & 0xffffU));
}

namespace {

[[nodiscard]] std::uint64_t token_of(const client_registry& of, position id) noexcept { return id << 16 | of.number(); }

[[nodiscard]] durable_waiter waiter_of(const client_mark_command& m, shard_id publisher) noexcept {
    durable_waiter w;
    w.sequence = m.sequence;
    w.sink_tag = m.sink_tag;
    w.slot = m.from.slot;
    w.generation = m.from.generation;
    w.publisher = publisher;
    return w;
}

}  // namespace

// ---- Requests ----------------------------------------------------------------------------------

void shard_clients::request(routed_request& r) {
    auto& asked = r.what;
    if (auto* a = std::get_if<attach_client>(&asked.body)) {
        registry(r.home).attach(asked.vhost, asked.from, asked.cookie, std::move(*a));
    } else if (auto* k = std::get_if<keep_client>(&asked.body)) {
        registry(r.home).keep(asked.from, asked.cookie, std::move(*k));
    }
}

void shard_clients::detach(vhost_id, session_handle, detach_client&& d) {
    if (const auto log = static_cast<std::uint16_t>(d.ticket.home); is_here(log)) {
        receive_detach(std::move(d));
    } else {
        if (d.words.what) {
            d.words.what.get()->mark_shared();
        }
        home_.send_pointer(shard_of(log), command_kind::detach_client,
                           std::make_unique<detach_client>(std::move(d)).release());
    }
}

void shard_clients::receive_detach(detach_client&& d) {
    registry(static_cast<std::uint16_t>(d.ticket.home)).detach(std::move(d));
}

void shard_clients::mark(const client_mark_command& m) {
    if (const auto log = static_cast<std::uint16_t>(m.ticket.home); is_here(log)) {
        receive_mark(home_.self.id(), m);
    } else {
        home_.send(shard_of(log), {.kind = command_kind::mark_client, .count = 0, .mark = m});
    }
}

void shard_clients::receive_mark(shard_id from, const client_mark_command& m) {
    const client_ticket t{m.ticket.number, m.ticket.entry, m.ticket.home};
    client_registry& home = registry(static_cast<std::uint16_t>(t.home));
    durable_waiter w = waiter_of(m, from);
    switch (m.step) {
        case mark_step::set:
        case mark_step::clear: home.mark(t, m.number, m.step == mark_step::set, w); return;
        case mark_step::expected: home.expect_mark(t.entry); return;
        case mark_step::taken: home.end_mark(t.entry, m.number); return;
        case mark_step::dropped: home.drop_mark(t.entry); return;
        case mark_step::withdrawn:
            w.accepted = false;
            home.withdraw_mark(t.entry, m.number, w);
            return;
    }
}

void shard_clients::receive_taken_over(session_handle who, client_ticket t) {
    if (session_port* session = home_.self.find_session(who)) {
        session->on_taken_over(t);
    } else {
        detach({}, {}, {.ticket = t});
    }
}

void shard_clients::give_back(const attached_client& a) { detach({}, {}, {.ticket = a.ticket}); }

// ---- The turn ------------------------------------------------------------------------------------

void shard_clients::poll() {
    for (auto& f : std::exchange(later_, {})) {
        f();
    }
    for (auto& s : std::exchange(sayings_, {})) {
        say(std::move(s));
    }
}

void shard_clients::on_durable(std::uint64_t sequence) { registry_of(sequence).on_durable(sequence); }

void shard_clients::on_recovery_end(std::uint16_t log, bool clean) {
    const std::size_t index = log / home_.parts.shard_count();
    if (index < registries_.size() && registries_[index] != nullptr) {
        registries_[index]->on_recovery_end(clean);
    }
}

std::uint64_t shard_clients::bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& one : registries_) {
        sum += one == nullptr ? 0 : one->bytes();
    }
    return sum;
}

void shard_clients::hand_over() noexcept {
    for (const auto& r : registries_) {
        if (r != nullptr) {
            r->release_owner();
        }
    }
}

void shard_clients::end() {
    later_.clear();
    sayings_.clear();
    registries_.clear();
    if (self_) {
        home_.sessions.remove(std::exchange(self_, {}).slot);
    }
}

// ---- What a registry asks for --------------------------------------------------------------------

shard_id shard_clients::here() const noexcept { return home_.self.id(); }
mono_ns shard_clients::now() const noexcept { return home_.self.now(); }
wall_ns shard_clients::wall_now() const noexcept { return home_.self.wall_now(); }
timer_wheel& shard_clients::timers() noexcept { return home_.wheel; }
message_pool& shard_clients::pool() noexcept { return home_.messages; }

std::string shard_clients::name_of(vhost_id v) const { return home_.vhost_name(v); }
std::optional<vhost_id> shard_clients::find_vhost(std::string_view name) const { return home_.vhost_named(name); }
// While the shard recovers, when nobody changes them.
bool shard_clients::lists_user(std::string_view name) const {
    const auto* keeper = home_.parts.keeper();
    return keeper == nullptr || keeper->users().contains(name);
}

session_handle shard_clients::self() {
    if (!self_) {
        const auto place = home_.sessions.add(this);
        self_ = {place.slot, place.generation, home_.self.id()};
    }
    return self_;
}

void shard_clients::answer(session_handle to, reply&& r) { home_.answer(to, std::move(r)); }

void shard_clients::take_over(session_handle from, client_ticket t) {
    if (from.shard == home_.self.id()) {
        // In the turn after: the answer that brings it the ticket may still be waiting for this one's end.
        later_.emplace_back([this, from, t] { later_.emplace_back([this, from, t] { receive_taken_over(from, t); }); });
    } else {
        home_.send(from.shard, {.kind = command_kind::client_taken_over,
                                .count = 0,
                                .taken_over = {{from.slot, from.generation}, place_of(t)}});
    }
}

void shard_clients::settle(const durable_waiter& w) {
    later_.emplace_back([this, w] { home_.on_durable(w); });
}

void shard_clients::delete_queue(client_registry& of, position id, vhost_id v, const std::string& name) {
    later_.emplace_back([this, token = token_of(of, id), v, name] {
        core::delete_queue gone;
        gone.name = name;
        static_cast<void>(home_.start({v, self(), token, std::move(gone)}));
    });
}

void shard_clients::on_reply(reply&& r) {
    // Refused: it is gone already, or is no longer the client's.
    registry_of(r.cookie).on_queue_gone(r.cookie >> 16);
}

void shard_clients::publish_will(client_registry& of, position id, const will_speaker& who, message_ptr m) {
    sayings_.push_back({token_of(of, id), who, std::move(m)});
}

// As the client would publish it itself, by the rights of this moment.
bool shard_clients::may_say(const saying& s, const vhost_node& v) const {
    const auto exchange = s.what->exchange();
    const exchange_node* x = topology_view::find_exchange(v, exchange);
    if (x == nullptr || topology_view::spec_of(*x).internal ||
        (s.who.grant != nullptr && home_.self.wall_now() >= s.who.grant->ends_at())) {
        return false;
    }
    const held_rules rules(home_.self.topology(), s.who.user, s.who.grant, v);
    return rules && may_use_exchange(*rules.get(), right::write, *x, s.what->routing_key(), s.who.client);
}

void shard_clients::say(saying&& s) {
    const vhost_node* v = home_.self.topology().find_vhost(s.who.vhost);
    if (v == nullptr || !may_say(s, *v)) {
        linnet::log::info({.domain = "core"},
                          "a last will of user '{}' is not published: no such exchange, or no right", s.who.user);
        on_publish_settled(0, s.token, false);
        return;
    }
    const auto* reader = home_.parts.reader_of(s.what->properties_of());
    const std::array<std::string_view, 1> keys{s.what->routing_key()};
    const auto r = home_.self.find_routes(*v, s.what->exchange(), keys, reader, s.what->properties());
    if (!home_.self.publish(std::move(s.what), *v, r, self(), 0, s.token).pending) {
        on_publish_settled(0, s.token, true);
    }
}

void shard_clients::on_publish_settled(std::uint64_t, std::uint64_t sequence, bool) {
    registry_of(sequence).on_will_settled(sequence >> 16);
}

void shard_clients::found(const client_registry& at, vhost_id v, std::string_view name) {
    home_.parts.homes().note_client(v, name, at.number());
}

}  // namespace linnet::core
