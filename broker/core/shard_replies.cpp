#include "broker/core/shard_replies.hpp"

#include "broker/core/shard_state.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

namespace linnet::core {

// ---- Where they live ---------------------------------------------------------------------------

std::uint16_t shard_replies::home_of(const reply_token& t) const noexcept { return home_.parts.homes().of_reply(t); }

shard_id shard_replies::shard_of(std::uint16_t log) const noexcept {
    return shard_id{static_cast<std::uint16_t>(log % home_.parts.shard_count())};
}

bool shard_replies::is_here(std::uint16_t log) const noexcept { return shard_of(log) == home_.self.id(); }

reply_registry& shard_replies::own() { return registry(home_.self.id().value); }

reply_registry& shard_replies::registry(std::uint16_t log) {
    const std::size_t index = log / home_.parts.shard_count();
    if (index >= registries_.size()) {
        registries_.resize(index + 1);
    }
    if (registries_[index] == nullptr) {
        journal* const messages = index < home_.stores.size() ? home_.stores[index].messages.get() : nullptr;
        registries_[index] = std::make_unique<reply_registry>(*this, messages, log);
        home_.owners[replies_of(log)] = registries_[index].get();
    }
    return *registries_[index];
}

// ---- For sessions --------------------------------------------------------------------------------

outcome<opened_reply> shard::open_reply(vhost_id v, kept_terms terms, session_handle from, std::uint64_t sink_tag,
                                        std::uint64_t sequence) {
    owner_.check();
    return state_->replies.own().open(v, std::move(terms), state_->confirm_for(from, sink_tag, sequence));
}

std::optional<reply_token> shard::lend_reply(vhost_id v, const delivery& request, const neutral_properties& said) {
    owner_.check();
    return state_->replies.lend(v, request, said);
}

publish_result shard::answer(message_ptr m, vhost_id v, const reply_token& to, session_handle publisher,
                             std::uint64_t sink_tag, std::uint64_t sequence) {
    owner_.check();
    return state_->replies.answer(std::move(m), v, to, state_->confirm_for(publisher, sink_tag, sequence));
}

void shard::unwatch_reply(const reply_token& t, session_handle from, std::uint64_t tag) {
    owner_.check();
    state_->replies.unwatch({t, from, tag});
}

std::optional<reply_token> shard_replies::lend(vhost_id v, const delivery& request, const neutral_properties& said) {
    const message& m = *request.msg;
    const auto* reader = m.traits().answerable ? reader_of(m.properties_of()) : nullptr;
    const auto wanted = reader == nullptr ? std::nullopt : reader->answers_to(m.properties());
    return wanted ? own().lend(v, request, *wanted, said) : std::nullopt;
}

publish_result shard_replies::answer(message_ptr m, vhost_id v, const reply_token& t, const durable_waiter& w) {
    const std::uint16_t log = home_of(t);
    if (is_here(log)) {
        return registry(log).answer(t, v, std::move(m), w);
    }
    m.get()->mark_shared();
    const session_handle from{w.slot, w.generation, home_.self.id()};
    routed_answer a{t, v, std::move(m), w.sequence, w.sink_tag, from};
    home_.send_pointer(shard_of(log), command_kind::answer, std::make_unique<routed_answer>(std::move(a)).release());
    return {.routed = 1, .rejected = false, .pending = w.sequence != 0};
}

void shard_replies::unwatch(const reply_watcher& w) {
    if (const std::uint16_t log = home_of(w.token); is_here(log)) {
        receive_unwatch(w);
    } else {
        home_.send_pointer(shard_of(log), command_kind::unwatch_reply, std::make_unique<reply_watcher>(w).release());
    }
}

// ---- At the handle's home ------------------------------------------------------------------------

void shard_replies::request(const routed_request& r) {
    const auto& asked = r.what;
    reply_registry& at = registry(r.home);
    if (const auto* read = std::get_if<read_reply>(&asked.body)) {
        at.read(asked.vhost, asked.from, asked.cookie, *read);
    } else if (const auto* watch = std::get_if<watch_reply>(&asked.body)) {
        at.watch(asked.vhost, asked.from, asked.cookie, *watch);
    } else if (const auto* close = std::get_if<close_reply>(&asked.body)) {
        at.close(asked.vhost, asked.from, asked.cookie, *close);
    }
}

void shard_replies::receive(shard_id from, routed_answer&& a) {
    durable_waiter w;
    w.sequence = a.sequence;
    w.sink_tag = a.sink_tag;
    w.slot = a.from.slot;
    w.generation = a.from.generation;
    w.publisher = from;
    const publish_result done = registry(home_of(a.token)).answer(a.token, a.vhost, std::move(a.what), w);
    if (w.sequence == 0 || done.pending) {
        return;
    }
    if (done.routed == 0) {
        const publish_settled_command c{w.sequence, w.sink_tag, {w.slot, w.generation}, 0, true};
        home_.send(from, {.kind = command_kind::answer_unrouted, .count = 0, .settled = c});
        return;
    }
    w.accepted = !done.rejected;
    home_.on_durable(w);
}

void shard_replies::receive_unwatch(const reply_watcher& w) {
    registry(home_of(w.token)).unwatch(w.token, w.session, w.tag);
}

void shard_replies::receive_unrouted(const publish_settled_command& c) {
    const session_handle to{c.publisher.slot, c.publisher.generation, home_.self.id()};
    if (session_port* session = home_.self.find_session(to)) {
        session->on_publish_unrouted(c.sink_tag, c.sequence);
        home_.settled_sessions.push_back(to);
    }
}

void shard_replies::receive_news(session_handle to, reply_news&& news) {
    if (session_port* session = home_.self.find_session(to)) {
        session->on_reply_news(std::move(news));
    } else {
        unwatch({news.token, to, news.tag});
    }
}

void shard_replies::on_durable(std::uint64_t sequence) {
    registry(static_cast<std::uint16_t>(sequence & 0xffffU)).on_durable(sequence);
}

// ---- What a registry asks for --------------------------------------------------------------------

void shard_replies::tell(session_handle watcher, reply_news&& news) {
    auto told = std::make_unique<reply_news>(std::move(news));
    if (watcher.shard != home_.self.id()) {
        home_.send_pointer(watcher.shard, command_kind::reply_news, told.release(), {watcher.slot, watcher.generation});
        return;
    }
    later([this, watcher, told = std::shared_ptr<reply_news>(std::move(told))] {
        receive_news(watcher, std::move(*told));
    });
}

bool shard_replies::deliver(const answer_inbox& to, message_ptr m) {
    return home_.self.deliver_direct(to.session, to.sink_tag, std::move(m));
}

// In the handle's name: rights were looked at when the request was published.
publish_result shard_replies::publish(vhost_id v, message_ptr m, const durable_waiter& w) {
    const vhost_node* vhost = home_.self.topology().find_vhost(v);
    if (vhost == nullptr) {
        return {};
    }
    const std::array<std::string_view, 1> keys{m->routing_key()};
    const auto r = home_.self.find_routes(*vhost, m->exchange(), keys, reader_of(m->properties_of()), m->properties());
    const std::uint64_t sequence = w.sequence == 0 ? 0 : ++last_forwarded_;
    const session_handle self{static_cast<std::uint32_t>(own_waiter::forwarded_answer), 0, home_.self.id()};
    const publish_result done = home_.self.publish(std::move(m), *vhost, r, self, 0, sequence);
    if (done.pending && sequence != 0) {
        forwarded_.emplace(sequence, w);
    }
    return done;
}

void shard_replies::forwarded(std::uint64_t sequence, bool accepted) {
    if (auto waiting = forwarded_.extract(sequence)) {
        durable_waiter w = waiting.mapped();
        w.accepted = accepted;
        home_.on_durable(w);
    }
}

void shard_replies::settle(const durable_waiter& w) {
    later([this, w] { home_.on_durable(w); });
}

void shard_replies::answer(session_handle to, reply&& r) { home_.answer(to, std::move(r)); }
void shard_replies::later(std::function<void()> f) { home_.clients.later(std::move(f)); }
void shard_replies::found(const reply_registry& at, const reply_token& t) {
    home_.parts.homes().note_reply(t, at.number());
}

shard_id shard_replies::here() const noexcept { return home_.self.id(); }
std::uint16_t shard_replies::shards() const noexcept { return home_.parts.shard_count(); }
const reply_limits& shard_replies::limits() const noexcept { return home_.parts.options().replies; }
mono_ns shard_replies::now() const noexcept { return home_.self.now(); }
wall_ns shard_replies::wall_now() const noexcept { return home_.self.wall_now(); }
timer_wheel& shard_replies::timers() noexcept { return home_.wheel; }
message_pool& shard_replies::pool() noexcept { return home_.messages; }
const property_reader* shard_replies::reader_of(protocol_tag tag) const noexcept { return home_.parts.reader_of(tag); }
std::string shard_replies::name_of(vhost_id v) const { return home_.vhost_name(v); }
std::optional<vhost_id> shard_replies::find_vhost(std::string_view name) const { return home_.vhost_named(name); }

// ---- Storing -------------------------------------------------------------------------------------

void shard_replies::on_recovery_end(std::uint16_t log, bool clean) {
    const std::size_t index = log / home_.parts.shard_count();
    if (index < registries_.size() && registries_[index] != nullptr) {
        registries_[index]->on_recovery_end(clean);
    }
}

std::uint64_t shard_replies::bytes() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& one : registries_) {
        sum += one == nullptr ? 0 : one->bytes();
    }
    return sum;
}

void shard_replies::hand_over() noexcept {
    for (const auto& r : registries_) {
        if (r != nullptr) {
            r->release_owner();
        }
    }
}

reply_registry::figures shard_replies::look() const noexcept {
    reply_registry::figures sum;
    for (const auto& r : registries_) {
        if (r != nullptr) {
            const auto one = r->look();
            sum.handles += one.handles;
            sum.gone += one.gone;
            sum.refused += one.refused;
            sum.answers += one.answers;
        }
    }
    return sum;
}

// ---- Does anybody consume? -----------------------------------------------------------------------

std::optional<reply> shard::find_consumer(session_handle from, std::uint64_t cookie, targets where) {
    owner_.check();
    return state_->ask_for_consumer({from, cookie, {where.begin(), where.end()}});
}

// Ours at once, the rest by the shard of the first of them; the answer, when it is known.
std::optional<reply> shard_state::ask_for_consumer(consumer_question&& q) {
    for (const queue_handle h : q.where) {
        if (h.slot >= first_subscriber_slot) {
            return reply{q.cookie, std::monostate{}};
        }
        if (h.shard != self.id()) {
            continue;
        }
        const queue* ours = find(h);
        const stream* read = ours == nullptr ? streams.find(h) : nullptr;
        if ((ours != nullptr && ours->consumer_count() != 0) || (read != nullptr && read->consumer_count() != 0)) {
            return reply{q.cookie, std::monostate{}};
        }
    }
    std::erase_if(q.where, [this](const queue_handle& h) { return h.shard == self.id(); });
    if (q.where.empty()) {
        return reply{q.cookie, fail(error{error_kind::not_found, "nobody consumes there"})};
    }
    const shard_id next = q.where.front().shard;
    send_pointer(next, command_kind::find_consumer, std::make_unique<consumer_question>(std::move(q)).release());
    return std::nullopt;
}

}  // namespace linnet::core
