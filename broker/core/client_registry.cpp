#include "broker/core/client_registry.hpp"

#include "broker/base/log.hpp"

#include <algorithm>
#include <utility>

namespace linnet::core {

namespace {

[[nodiscard]] constexpr mono_ns of_seconds(std::uint32_t s) noexcept { return mono_ns{s} * ns_per_s; }

[[nodiscard]] error taken_over() {
    return {error_kind::resource_locked, "another connection has taken the client's name over"};
}

}  // namespace

// ---- Finding -----------------------------------------------------------------------------------

// None of one who has been taken over, or has let go.
client_registry::entry* client_registry::find(const client_ticket& t) noexcept {
    entry* const e = find(t.entry);
    return e != nullptr && t.number != 0 && e->ticket == t.number ? e : nullptr;
}

client_registry::entry* client_registry::find(position id) noexcept {
    const auto at = by_id_.find(id);
    return at == by_id_.end() ? nullptr : &at->second;
}

client_registry::entry& client_registry::make(vhost_id v, std::string_view name) {
    if (const auto known = by_name_.find(client_key(v, name)); known != by_name_.end()) {
        return **known;
    }
    const position id = next_id();
    entry& made = by_id_.try_emplace(id, id, v, name).first->second;
    by_name_.insert(&made);
    weigh(made);
    return made;
}

client_registry::remains& client_registry::kept_of(entry& e) {
    if (e.kept == nullptr) {
        e.kept = std::make_unique<remains>(*this, e);
    }
    return *e.kept;
}

// Called whenever what it keeps may have changed.
void client_registry::weigh(entry& e) noexcept {
    constexpr std::uint64_t nodes_bytes = 96;  // in two tables
    std::uint64_t now = sizeof(entry) + nodes_bytes + e.names.bytes();
    if (e.kept != nullptr) {
        now += sizeof(remains) + e.kept->state.capacity() + e.kept->marks.capacity() * sizeof(e.kept->marks.front());
    }
    entry_bytes_ += now - e.weight;
    e.weight = now;
}

void client_registry::erase(entry& e) {
    entry_bytes_ -= e.weight;
    if (e.kept != nullptr) {
        note_change(e, 0);
    }
    by_name_.erase(&e);
    by_id_.erase(position{e.id});
}

// ---- Attaching ---------------------------------------------------------------------------------

void client_registry::attach(vhost_id v, session_handle from, std::uint64_t cookie, attach_client&& a) {
    owner_.check();
    newcomer n{from, cookie, std::move(a)};
    if (clients_max_ != 0 && by_name_.size() >= clients_max_ && !by_name_.contains(client_key(v, n.what.name))) {
        refuse(n, {error_kind::resource_error, "there are as many sessions as there may be"});
        return;
    }
    entry& e = make(v, n.what.name);
    if (e.present && e.now != phase::ending && e.names.user() != n.what.user) {
        refuse(n, {error_kind::access_refused, "the client's name belongs to another user"});
        return;
    }
    if (const auto earlier = std::exchange(e.next, std::make_unique<newcomer>(std::move(n)))) {
        refuse(*earlier, taken_over());
    }
    switch (e.now) {
        case phase::detached: admit_next(e); return;
        case phase::attached:
            if (!std::exchange(e.told, true)) {
                context_.take_over(e.owner, ticket_of(e));
            }
            return;
        case phase::ending: return;
    }
}

void client_registry::refuse(const newcomer& n, error why) {
    context_.answer(n.from, {n.cookie, fail(std::move(why))});
}

// It is free: whoever waits gets it, once what is not to be found again has gone.
void client_registry::admit_next(entry& e) {
    if (e.expected != 0) {
        return;  // end_expected() comes back to it
    }
    const bool expired = e.kept != nullptr && e.kept->expires != 0 && e.kept->expires <= context_.now();
    if (e.present && (e.next->what.clean || expired)) {
        end(e);
    } else {
        admit(e);
    }
}

void client_registry::admit(entry& e) {
    newcomer n = std::move(*e.next);
    e.next.reset();
    cancel_will(e);
    if (e.kept != nullptr) {
        e.kept->stop();
        e.kept->expires = 0;
        e.kept->detached_at = 0;
    }
    e.ticket = ++last_ticket_ << 16 | number_;
    e.owner = n.from;
    e.now = phase::attached;
    e.told = false;
    e.names.set(e.names.name(), n.what.user, n.what.queue);
    e.durable = n.what.durable;
    e.listed = n.what.listed;
    e.expiry_s = n.what.expiry_s;
    record(e);
    attached_client told{ticket_of(e), std::exchange(e.present, true), {}, {}};
    if (e.kept != nullptr) {
        told.state = e.kept->state;
        told.marks = e.kept->marks;
    }
    when_durable(e, [this, to = n.from, cookie = n.cookie, told = std::move(told)]() mutable {
        const client_ticket ticket = told.ticket;
        context_.answer(to, {cookie, std::move(told)});
        // Who came for the name meanwhile had it told so before it knew the ticket.
        if (const entry* now = find(ticket); now != nullptr && now->next) {
            context_.take_over(to, ticket);
        }
    });
}

void client_registry::keep(session_handle from, std::uint64_t cookie, keep_client&& k) {
    owner_.check();
    entry* e = find(k.ticket);
    if (e == nullptr) {
        context_.answer(from, {cookie, fail(taken_over())});
        return;
    }
    const bool adds = k.as == kept_as::addition;
    const std::size_t before = adds && e->kept != nullptr ? e->kept->state.size() : 0;
    if (!may_keep(*e, before + k.state.size())) {
        context_.answer(from, {cookie, fail(error{error_kind::resource_error, "the client's state is too large"})});
        return;
    }
    const bool is_all_that_is_new = adds && e->durable == k.durable && e->expiry_s == k.expiry_s;
    e->durable = k.durable;
    e->expiry_s = k.expiry_s;
    auto& state = kept_of(*e).state;
    if (adds) {
        state.insert(state.end(), k.state.begin(), k.state.end());
    } else {
        state = std::move(k.state);
    }
    if (is_all_that_is_new && record_addition(*e, k.state)) {
        weigh(*e);
    } else {
        record(*e);
    }
    when_durable(*e, [this, from, cookie] { context_.answer(from, {cookie, std::monostate{}}); });
}

// Whatever a client has brought about: a record that its log cannot take would end the broker.
bool client_registry::may_keep(const entry& e, std::size_t state_bytes) const {
    if (state_bytes <= client_state_bytes_max) [[likely]] {
        return true;
    }
    linnet::log::error({.domain = "core", .vhost = context_.name_of(e.vhost), .user = e.names.user()},
                       "the state of client '{}' is not kept: it has {} bytes", e.names.name(), state_bytes);
    return false;
}

void client_registry::mark(client_ticket ticket, std::uint32_t number, bool set, const durable_waiter& w) {
    owner_.check();
    entry* e = find(ticket);
    if (e == nullptr) {
        durable_waiter refused = w;
        refused.accepted = false;
        context_.settle(refused);
        return;
    }
    set_mark(*e, number, set);
    if (record_mark(*e, number, set)) {
        log_->wait(w);
    } else {
        context_.settle(w);
    }
}

void client_registry::set_mark(entry& e, std::uint32_t number, bool set) {
    if (!set && e.kept == nullptr) {
        return;
    }
    const bool first = e.kept == nullptr;
    auto& marks = kept_of(e).marks;
    const auto room = marks.capacity();
    const auto at = std::ranges::lower_bound(marks, number);
    const bool there = at != marks.end() && *at == number;
    if (set && !there) {
        marks.insert(at, number);
        if (first || marks.capacity() != room) {
            weigh(e);
        }
    } else if (!set && there) {
        marks.erase(at);
    }
}

// ---- Marks that come with a publish ------------------------------------------------------------

void client_registry::expect_mark(position id) {
    owner_.check();
    if (entry* e = find(id)) {
        ++e->expected;
    }
}

void client_registry::note_mark(position id, std::uint32_t number) {
    owner_.check();
    entry* e = find(id);
    if (e != nullptr && e->now != phase::ending) {
        set_mark(*e, number, true);
        static_cast<void>(record_mark(*e, number, true));
    }
}

void client_registry::end_mark(position id, std::uint32_t number) {
    owner_.check();
    if (entry* e = find(id)) {
        if (log_ == nullptr) {
            set_mark(*e, number, true);
        }
        end_expected(*e);
    }
}

void client_registry::drop_mark(position id) {
    owner_.check();
    if (entry* e = find(id)) {
        end_expected(*e);
    }
}

void client_registry::withdraw_mark(position id, std::uint32_t number, const durable_waiter& w) {
    owner_.check();
    entry* e = find(id);
    const bool marked = e != nullptr && e->kept != nullptr && std::ranges::binary_search(e->kept->marks, number);
    if (marked) {
        set_mark(*e, number, false);
    }
    if (marked && record_mark(*e, number, false)) {
        log_->wait(w);
    } else {
        context_.settle(w);
    }
    if (e != nullptr) {
        end_expected(*e);
    }
}

void client_registry::end_expected(entry& e) {
    if (--e.expected == 0 && e.now == phase::detached && e.next) {
        admit_next(e);
    }
}

// ---- Letting go --------------------------------------------------------------------------------

void client_registry::detach(detach_client&& d) {
    owner_.check();
    entry* e = find(d.ticket);
    if (e == nullptr) {
        return;
    }
    e->now = phase::detached;
    e->ticket = 0;
    e->owner = {};
    if (d.state && (e->kept != nullptr || !d.state->empty()) && may_keep(*e, d.state->size())) {
        kept_of(*e).state = std::move(*d.state);
    }
    e->expiry_s = d.expiry_s.value_or(e->expiry_s);
    if (e->doomed || (e->expiry_s != 0 && context_.name_of(e->vhost).empty())) {
        e->expiry_s = 0;
    }
    if (!d.has_queue) {
        e->names.forget_queue();  // nothing to ask the control for when it ends
    }
    if (e->expiry_s != 0 || e->kept != nullptr) {
        auto& k = kept_of(*e);
        k.detached_at = context_.wall_now();
        k.expires = e->expiry_s == never_expires_s ? 0 : context_.now() + of_seconds(e->expiry_s);
    }
    leave_words(*e, std::move(d.words));
    if (e->expiry_s == 0) {
        end(*e);
        return;
    }
    record(*e);
    if (e->next) {
        admit_next(*e);
    } else {
        arm(*e);
    }
}

void client_registry::forget(std::span<const vhost_id> vhosts, std::span<const std::string> users) {
    owner_.check();
    std::vector<position> idle;
    for (auto& [id, e] : by_id_) {
        if (std::ranges::find(vhosts, e.vhost) == vhosts.end() &&
            std::ranges::find(users, e.names.user()) == users.end()) {
            continue;
        }
        e.doomed = true;
        if (e.now == phase::detached) {
            idle.push_back(id);
        }
    }
    for (const position id : idle) {
        end_idle(id);
    }
}

void client_registry::end_idle(position id) {
    if (entry* e = find(id); e != nullptr && e->now == phase::detached) {
        end(*e);
    }
}

void client_registry::arm(entry& e) {
    if (e.kept == nullptr) {
        return;  // nothing to wait for
    }
    mono_ns due = e.kept->expires;
    if (e.kept->will != 0) {
        const mono_ns said = wills_.at(e.kept->will).due;
        due = due == 0 ? said : std::min(due, said);
    }
    if (due != 0) {
        context_.timers().start(*e.kept, due);
    }
}

void client_registry::on_time(entry& e) {
    const mono_ns now = context_.now();
    if (e.kept->expires != 0 && e.kept->expires <= now) {
        end(e);
        return;
    }
    if (e.kept->will != 0 && wills_.at(e.kept->will).due <= now) {
        publish_will(e);
    }
    arm(e);
}

void client_registry::end(entry& e) {
    publish_will(e);
    e.present = false;
    if (e.kept != nullptr) {
        e.kept->stop();
        e.kept->state.clear();
        e.kept->marks.clear();
    }
    if (e.names.queue().empty()) {
        finish_end(e);
        return;
    }
    e.now = phase::ending;
    record(e);
    when_durable(e, [this, id = e.id] {
        if (const entry* ending = find(id)) {
            context_.delete_queue(*this, id, ending->vhost, std::string(ending->names.queue()));
        }
    });
}

void client_registry::on_queue_gone(position id) {
    owner_.check();
    if (entry* e = find(id); e != nullptr && e->now == phase::ending) {
        finish_end(*e);
    }
}

// Whoever waits for the name gets an entry of its own: what is still on its way to this one must not reach it.
void client_registry::finish_end(entry& e) {
    forget_record(e);
    auto next = std::move(e.next);
    const vhost_id vhost = e.vhost;
    const log_position recorded_end = e.recorded_end;
    erase(e);
    if (next) {
        entry& made = make(vhost, next->what.name);
        made.next = std::move(next);
        made.recorded_end = recorded_end;  // not before that is durable
        admit(made);
    }
}

// ---- Last words --------------------------------------------------------------------------------

void client_registry::leave_words(entry& e, last_words&& words) {
    if (!words.what) {
        return;
    }
    const position id = kept_of(e).will = next_id() + 1;
    const std::uint32_t delay_s = std::min(words.delay_s, e.expiry_s);
    will& w = wills_[id];
    w = {{e.vhost, std::string(e.names.user()), std::string(e.names.name()), std::move(words.grant)},
         std::move(words.what),
         {},
         context_.now() + of_seconds(delay_s)};
    if (delay_s == 0) {
        publish_will(e);
    } else {
        record_will(id, w, e);
    }
}

void client_registry::publish_will(entry& e) {
    const position id = e.will();
    if (id == 0) {
        return;
    }
    e.kept->will = 0;
    will& w = wills_.at(id);
    if (w.what) {
        context_.publish_will(*this, id, w.who, std::move(w.what));
    } else {
        fetch_will(id);
    }
}

void client_registry::cancel_will(entry& e) {
    if (const position id = e.will(); id != 0) {
        e.kept->will = 0;
        forget_will(id);
    }
}

void client_registry::on_will_settled(position id) {
    owner_.check();
    forget_will(id);
}

}  // namespace linnet::core
