#include "broker/core/shard_errands.hpp"

#include "broker/core/shard_state.hpp"

#include <algorithm>
#include <utility>

namespace linnet::core {

// ---- Where they are ----------------------------------------------------------------------------

std::uint16_t shard_errands::own_log() const noexcept { return home_.self.id().value; }

shard_id shard_errands::shard_of(std::uint16_t log) const noexcept {
    return shard_id{static_cast<std::uint16_t>(log % home_.parts.shard_count())};
}

errands& shard_errands::of(std::uint16_t log) {
    const std::size_t index = log / home_.parts.shard_count();
    if (index >= logs_.size()) {
        logs_.resize(index + 1);
    }
    if (logs_[index] == nullptr) {
        logs_[index] = std::make_unique<errands>(*home_.stores[index].messages, log);
        home_.owners[errands_of(log)] = logs_[index].get();
    }
    return *logs_[index];
}

// ---- Within a transaction ----------------------------------------------------------------------

std::optional<durable_name> shard_errands::elsewhere(queue_handle q) const {
    const durable_name name = home_.stores.empty() ? durable_name{} : home_.self.topology().name_of(q);
    const bool own = !is_stream(q) && name.log == own_log();
    return name.uid == 0 || own ? std::nullopt : std::optional(name);
}

// What is delayed is retained when it is due; what died has been, if it was to be.
std::optional<durable_name> shard_errands::retained_elsewhere(const message& m, vhost_id v,
                                                              const shard::route& r) const {
    if (!m.traits().retain || r.delayed || m.deaths() != nullptr || home_.stores.empty()) {
        return std::nullopt;
    }
    const std::uint16_t log = home_.retained.home_of(v);
    return log == own_log() ? std::nullopt : std::optional(durable_name{retained_of(log), log});
}

void shard_errands::mark(std::uint16_t home, const client_mark& m) {
    errand e;
    e.to.push_back({{clients_of(home), home}});
    e.mark = m;
    add(std::move(e));
}

void shard_errands::add(errand e) {
    e.transaction = last_transaction_ + 1;
    gathered_.push_back(of(own_log()).add(std::move(e), home_.wall_now()));
}

publish_result shard_errands::publish(message_ptr m, const vhost_node& v, const shard::route& r,
                                      const durable_waiter& confirm) {
    home_.note_published(*m, v, r, confirm);
    std::vector<queue_handle> here;
    errand e;
    for (const queue_handle h : r.where) {
        // A stream stores what it gets; a queue lets what is transient go with a crash.
        const auto name = is_stream(h) || m->persistent() ? elsewhere(h) : std::nullopt;
        if (name) {
            e.to.push_back({*name, h});
        } else {
            here.push_back(h);
        }
    }
    const auto there = static_cast<std::uint32_t>(e.to.size());
    const auto last_value = retained_elsewhere(*m, topology_view::id_of(v), r);
    if (last_value) {
        e.to.push_back({*last_value});
        e.vhost = topology_view::name_of(v);
    }
    if (!e.to.empty()) {
        e.msg = m.share();
        add(std::move(e));
    }
    if (last_value) {
        home_.retained.errand_given(last_value->log);
    }
    publish_result out;
    shard::route rest = r;
    rest.where = here;
    if (last_value) {
        if (r.remember) {
            home_.remember(m.share(), v);
        }
        out = home_.publish_rest(std::move(m), rest, confirm);
    } else if (!here.empty() || r.delayed || r.remember || m->traits().retain) {
        out = home_.publish_unnoted(std::move(m), v, rest, confirm);
    }
    out.routed += there;
    return out;
}

bool shard_errands::settle(queue_handle q, consumer_id c, std::span<const position> which, std::uint64_t bytes) {
    const auto name = is_stream(q) ? std::nullopt : elsewhere(q);
    if (!name) {
        return false;
    }
    errand e;
    e.to.push_back({*name, q});
    e.settled.assign(which.begin(), which.end());
    e.consumer = c;
    e.bytes = bytes;
    add(std::move(e));
    return true;
}

bool shard_errands::end(const durable_waiter& then) {
    if (gathered_.empty()) {
        return false;
    }
    const std::uint64_t id = ++last_transaction_;
    auto& t = open_[id];
    t.errands = std::exchange(gathered_, {});
    t.waiting = t.errands.size();
    t.then = then;
    durable_waiter w;
    w.sequence = id;
    w.slot = static_cast<std::uint32_t>(own_waiter::transaction);
    w.publisher = home_.self.id();
    home_.stores.front().messages->wait(w);
    return true;
}

// ---- Running them ------------------------------------------------------------------------------

void shard_errands::decided(std::uint64_t id) {
    // By value: an errand that stays on this shard may be answered at once.
    const std::vector<position> numbers = open_.at(id).errands;
    for (const position n : numbers) {
        if (left_.empty()) {
            run(own_log(), n, *of(own_log()).find(n), false);
        } else {
            left_.push_back({own_log(), n, 0});  // not before those that were left
        }
    }
}

shard_errands::parts_of_errand shard_errands::parts_of(std::uint16_t log, position number, const errand& e) {
    parts_of_errand all;
    for (const errand_target& t : e.to) {
        auto p = std::ranges::find(all, t.name.log, &errand_part::to_log);
        if (p == all.end()) {
            p = all.insert(all.end(), errand_part{});
            p->from_log = log;
            p->to_log = t.name.log;
            p->number = number;
            p->settled = e.settled;
            p->mark = e.mark;
            p->vhost = e.vhost;
            p->consumer = e.consumer;
            p->bytes = e.bytes;
        }
        p->to.push_back(t);
    }
    return all;
}

void shard_errands::run(std::uint16_t log, position number, errand& e, bool again) {
    auto all = parts_of(log, number, e);
    e.waiting = static_cast<std::uint32_t>(all.size());
    message_ptr m = std::move(e.msg);
    if (m && again) {
        m = said_again(home_.messages, *m);
    }
    for (errand_part& p : all) {
        p.again = again;
        if (m) {
            p.msg = m.share();
        }
        const std::uint16_t to_log = p.to_log;
        const bool ordered = retains(p) && !again;
        send(std::move(p));
        if (ordered) {
            home_.retained.errand_sent(to_log);
        }
    }
}

void shard_errands::send(errand_part&& p) {
    const shard_id to = shard_of(p.to_log);
    if (to == home_.self.id()) {
        receive(std::move(p));
        return;
    }
    if (p.msg) {
        p.msg.get()->mark_shared();
    }
    home_.send_pointer(to, command_kind::errand, std::make_unique<errand_part>(std::move(p)).release());
}

bool shard_errands::retains(const errand_part& p) noexcept {
    return std::ranges::any_of(p.to, [&](const errand_target& t) { return t.name.uid == retained_of(p.to_log); });
}

void shard_errands::receive(errand_part&& p) {
    if (p.msg) {
        home_.note_arrival(*p.msg);
    }
    std::vector<queue_place> queues;
    std::vector<queue_place> streams;
    for (const errand_target& t : p.to) {
        if (const queue* q = t.handle ? home_.find(t.handle) : home_.queue_named(t.name.uid)) {
            queues.push_back({q->self().slot, q->self().generation});
        } else if (const stream* s = t.handle ? home_.streams.find(t.handle) : home_.streams.named(t.name.uid)) {
            streams.push_back({s->self().slot, s->self().generation});
        }  // else it has been deleted
    }
    durable_waiter answer;
    answer.sequence = p.number;
    answer.sink_tag = p.from_log;
    answer.slot = static_cast<std::uint32_t>(own_waiter::errand);
    answer.publisher = shard_of(p.from_log);
    const auto logs = p.mark.entry != 0
                          ? run_at_client(p)
                          : run_in_queues(p, queues, answer.accepted) | run_in_streams(p, streams, answer.accepted);
    if (p.again) {
        home_.parts.note_errands(-1);
    }
    if (logs != 0) {
        home_.wait_for(logs, answer);
    } else {
        home_.on_durable(answer);
    }
}

std::uint64_t shard_errands::run_in_queues(const errand_part& p, std::span<const queue_place> queues, bool& accepted) {
    errands& mine = of(p.to_log);
    const bool becomes_last = retains(p);
    if ((queues.empty() && !becomes_last) || mine.has_run(p.from_log, p.number)) {
        return 0;
    }
    mine.log().begin_group();
    if (p.msg) {
        record_landing(p, queues, accepted);
        if (becomes_last) {
            retain(p, accepted);
        }
    } else {
        queue& q = *home_.find(queues.front());
        if (p.again) {
            q.settle_recovered(p.settled);
        } else {
            home_.settle_stored(queues.front(), p.consumer, p.settled, p.bytes);
        }
        q.record_settled();
    }
    mine.note_run(p.from_log, p.number);
    static_cast<void>(mine.log().end_group());
    return shard_state::log_set{1} << (p.to_log / home_.parts.shard_count());
}

void shard_errands::retain(const errand_part& p, bool& accepted) {
    if (const auto v = home_.vhost_named(p.vhost)) {
        accepted &= home_.retained.store(p.to_log).retain(*v, p.msg.share()) != retained_store::outcome::refused;
    }  // else it has been deleted
}

// It is noted even if the client's entry has gone: its name must not be another's by the time it is run again.
std::uint64_t shard_errands::run_at_client(const errand_part& p) {
    errands& mine = of(p.to_log);
    if (mine.has_run(p.from_log, p.number)) {
        return 0;
    }
    mine.log().begin_group();
    home_.clients.registry(p.to_log).note_mark(p.mark.entry, p.mark.number);
    mine.note_run(p.from_log, p.number);
    static_cast<void>(mine.log().end_group());
    return shard_state::log_set{1} << (p.to_log / home_.parts.shard_count());
}

void shard_errands::record_landing(const errand_part& p, std::span<const queue_place> queues, bool& accepted) {
    home_.storing.clear();
    for (const queue_place at : queues) {
        home_.hand_to(*home_.find(at), p.msg, accepted);
    }
    static_cast<void>(home_.record_storing(*p.msg));
    land(p.msg);
}

std::uint64_t shard_errands::run_in_streams(const errand_part& p, std::span<const queue_place> streams,
                                            bool& accepted) {
    home_.streams.begin_publish();
    for (const queue_place to : streams) {
        accepted &= home_.streams.append(to, p.msg, {p.from_log, p.number});
    }
    return home_.streams.appended() ? shard_state::with_streams : 0;
}

void shard_errands::answered(std::uint16_t log, position number, bool accepted) {
    errand* e = of(log).find(number);
    if (e == nullptr) {
        return;
    }
    e->accepted &= accepted;
    if (--e->waiting != 0) {
        return;
    }
    const bool good = e->accepted;
    const auto at = open_.find(e->transaction);
    of(log).done(number);
    if (at == open_.end()) {
        return;  // one that a crash had left
    }
    transaction& t = at->second;
    t.accepted &= good;
    if (--t.waiting == 0) {
        durable_waiter then = t.then;
        then.accepted = t.accepted;
        open_.erase(at);
        home_.on_durable(then);
    }
}

// ---- Messages that are seen when they are durable ------------------------------------------------

// Each log by itself, so that a queue gets them in the order of their positions.
void shard_errands::land(const message_ptr& m) {
    for (const stored_log& s : home_.stores) {
        landing l{m.share(), s.messages.get(), {}};
        for (const stored_target& t : home_.storing) {
            if (t.to->keeping().log == l.log) {
                t.to->expect(*m);
                l.places.push_back({t.to->self(), t.pos, t.where});
            }
        }
        if (l.places.empty()) {
            continue;
        }
        durable_waiter w;
        w.sequence = ++last_landing_;
        w.slot = static_cast<std::uint32_t>(own_waiter::landing);
        w.publisher = home_.self.id();
        l.log->wait(w);
        landings_.emplace(last_landing_, std::move(l));
    }
}

void shard_errands::landed(std::uint64_t id) {
    const auto l = landings_.extract(id);
    for (const landing::place& at : l.mapped().places) {
        if (queue* q = home_.find(at.to)) {
            q->enqueue_expected(l.mapped().msg.share(), at.pos, at.where);
        } else {
            l.mapped().log->release(at.where);
        }
    }
}

// ---- The whole ---------------------------------------------------------------------------------

void shard_errands::on_recovery_end(std::uint16_t log, bool clean) {
    const std::size_t index = log / home_.parts.shard_count();
    if (index >= logs_.size() || logs_[index] == nullptr) {
        return;
    }
    errands& found = *logs_[index];
    found.on_recovery_end(clean);
    for (const position n : found.left()) {
        const auto parts = parts_of(log, n, *found.find(n)).size();
        home_.parts.note_errands(static_cast<std::ptrdiff_t>(parts));
        left_.push_back({log, n, parts});
    }
}

void shard_errands::hand_over() noexcept {
    for (const auto& log : logs_) {
        if (log != nullptr) {
            log->release_owner();
        }
    }
}

// In their order: whoever they are for knows them by it.
void shard_errands::run_left() {
    if (!std::exchange(asked_back_, true)) {
        for (const auto& log : logs_) {
            if (log != nullptr) {
                log->fetch(log->left());
            }
        }
    }
    while (!left_.empty()) {
        const left_over next = left_.front();
        errand* e = of(next.log).find(next.number);
        if (e != nullptr && !errands::ready(*e)) {
            return;  // its message is being read back
        }
        left_.pop_front();
        if (e != nullptr) {
            run(next.log, next.number, *e, next.parts != 0);
        } else {
            home_.parts.note_errands(-static_cast<std::ptrdiff_t>(next.parts));
        }
    }
}

}  // namespace linnet::core
