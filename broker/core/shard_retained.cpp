#include "broker/core/shard_retained.hpp"

#include "broker/core/shard_state.hpp"

#include <utility>

namespace linnet::core {

namespace {
constexpr auto retained_slot = static_cast<std::uint32_t>(own_waiter::retained);
}  // namespace

std::uint16_t shard_retained::home_of(vhost_id v) const noexcept { return home_.parts.homes().of_retained(v); }

retained_store& shard_retained::store(std::uint16_t log) {
    const std::size_t index = log / home_.parts.shard_count();
    if (index >= stores_.size()) {
        stores_.resize(index + 1);
    }
    if (stores_[index] == nullptr) {
        journal* const messages = index < home_.stores.size() ? home_.stores[index].messages.get() : nullptr;
        stores_[index] = std::make_unique<retained_store>(*this, messages, log, home_.parts.options().retained_max);
        home_.owners[retained_of(log)] = stores_[index].get();
    }
    return *stores_[index];
}

std::uint64_t shard_retained::log_bit(std::uint16_t log) const noexcept {
    return std::uint64_t{1} << (log / home_.parts.shard_count());
}

// ---- Publishing --------------------------------------------------------------------------------

publish_result shard_retained::publish(message_ptr m, const vhost_node& v, const shard::route& r,
                                       const durable_waiter& confirm) {
    using outcome = retained_store::outcome;
    const std::uint64_t id = confirm.sequence == 0 ? 0 : ++last_joint_;
    const auto kept = keep(m, topology_view::id_of(v), id);
    if (kept == outcome::done || confirm.sequence == 0) {
        return home_.publish_rest(std::move(m), r, confirm);
    }
    durable_waiter routed = confirm;
    routed.sequence = id;
    routed.slot = retained_slot;
    routed.generation = 0;
    routed.sink_tag = 0;
    publish_result out = home_.publish_rest(std::move(m), r, routed);
    // A refusal is told with the rest: the whole verdict comes at the end.
    const std::uint32_t waiting = (kept == outcome::recorded ? 1U : 0U) + (out.pending ? 1U : 0U);
    const bool accepted = kept != outcome::refused && !out.rejected;
    out.pending = waiting != 0;
    out.rejected = !accepted && !out.pending;
    if (out.pending) {
        joints_.emplace(id, joint{waiting, accepted, confirm});
    }
    return out;
}

retained_store::outcome shard_retained::keep(const message_ptr& m, vhost_id v, std::uint64_t publish) {
    using outcome = retained_store::outcome;
    const std::uint16_t log = home_of(v);
    const shard_id to{static_cast<std::uint16_t>(log % home_.parts.shard_count())};
    const auto ahead = orders_.find(log);
    const bool waits = ahead != orders_.end() && ahead->second.is_late();
    if (to == home_.self.id() && !waits) {
        const auto kept = store(log).retain(v, m.share());
        if (kept == outcome::recorded && publish != 0) {
            durable_waiter w;
            w.sequence = publish;
            w.slot = retained_slot;
            w.publisher = home_.self.id();
            home_.wait_for(log_bit(log), w);
        }
        return kept;
    }
    home_.transaction_shards |= std::uint64_t{home_.in_transaction} << to.value;
    m.get()->mark_shared();
    const retain_command c{m.share().detach(), publish, 0, {retained_slot, 0}, 0, v.value, log};
    if (waits) {
        ahead->second.waiting.push_back({c, ahead->second.given});
    } else {
        send(c);
    }
    return publish != 0 ? outcome::recorded : outcome::done;
}

void shard_retained::send(const retain_command& c) {
    const shard_id to{static_cast<std::uint16_t>(c.home % home_.parts.shard_count())};
    if (to == home_.self.id()) {
        receive(to, c);
    } else {
        home_.send(to, {.kind = command_kind::retain, .count = 0, .retain = c});
    }
}

void shard_retained::errand_sent(std::uint16_t log) {
    order& o = orders_.at(log);
    ++o.sent;
    while (!o.waiting.empty() && o.waiting.front().after <= o.sent) {
        auto next = std::move(o.waiting.front());
        o.waiting.pop_front();
        if (next.asked != nullptr) {
            home_.send_home(std::move(next.asked));
        } else {
            send(next.what);
        }
    }
}

void shard_retained::drop_held() noexcept {
    for (auto& [log, o] : orders_) {
        for (const auto& held : o.waiting) {
            if (held.asked == nullptr) {
                message_ptr::adopt(held.what.m).reset();
            }
        }
    }
    orders_.clear();
}

void shard_retained::receive(shard_id from, const retain_command& c) {
    const auto kept = store(c.home).retain(vhost_id{c.vhost}, message_ptr::adopt(c.m));
    if (c.sequence == 0) {
        return;
    }
    durable_waiter w;
    w.sequence = c.sequence;
    w.sink_tag = c.sink_tag;
    w.slot = c.publisher.slot;
    w.generation = c.publisher.generation;
    w.group = c.group;
    w.publisher = from;
    w.accepted = kept != retained_store::outcome::refused;
    if (kept == retained_store::outcome::recorded) {
        home_.wait_for(log_bit(c.home), w);
    } else {
        home_.on_durable(w);
    }
}

void shard_retained::joined(std::uint64_t publish, bool accepted) {
    const auto at = joints_.find(publish);
    joint& j = at->second;
    j.accepted = j.accepted && accepted;
    if (--j.waiting != 0) {
        return;
    }
    durable_waiter then = j.then;
    then.accepted = j.accepted;
    joints_.erase(at);
    home_.on_durable(then);
}

// ---- Reading -----------------------------------------------------------------------------------

// Whoever was there when a held value was published has had it, and it does not come again: one who asks now is not to
// get the one before.
bool shard_retained::hold_request(std::unique_ptr<routed_request>& r) {
    const auto ahead = orders_.find(r->home);
    if (!std::holds_alternative<read_retained>(r->what.body) || ahead == orders_.end() || !ahead->second.is_late()) {
        return false;
    }
    ahead->second.waiting.push_back({.after = ahead->second.given, .asked = std::move(r)});
    return true;
}

void shard_retained::request(const routed_request& r) {
    const auto& asked = r.what;
    store(r.home).read(asked.vhost, asked.from, asked.cookie, std::get<read_retained>(asked.body));
}

// ---- What a store asks for -----------------------------------------------------------------------

void shard_retained::on_recovery_end(std::uint16_t log, bool clean) {
    const std::size_t index = log / home_.parts.shard_count();
    if (index < stores_.size() && stores_[index] != nullptr) {
        stores_[index]->on_recovery_end(clean);
    }
}

void shard_retained::later(std::function<void()> f) { home_.clients.later(std::move(f)); }

std::uint64_t shard_retained::bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& one : stores_) {
        sum += one == nullptr ? 0 : one->bytes();
    }
    return sum;
}

void shard_retained::hand_over() noexcept {
    for (const auto& s : stores_) {
        if (s != nullptr) {
            s->release_owner();
        }
    }
}

mono_ns shard_retained::now() const noexcept { return home_.self.now(); }
wall_ns shard_retained::wall_now() const noexcept { return home_.self.wall_now(); }
timer_wheel& shard_retained::timers() noexcept { return home_.wheel; }

std::string shard_retained::name_of(vhost_id v) const { return home_.vhost_name(v); }
std::optional<vhost_id> shard_retained::find_vhost(std::string_view name) const { return home_.vhost_named(name); }

void shard_retained::answer(session_handle to, reply&& r) { home_.answer(to, std::move(r)); }

void shard_retained::found(const retained_store& at, vhost_id v) { home_.parts.homes().note_retained(v, at.number()); }

}  // namespace linnet::core
