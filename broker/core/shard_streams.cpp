#include "broker/core/shard_streams.hpp"

#include "broker/core/rabbit_text.hpp"
#include "broker/core/shard_state.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace linnet::core {

namespace {

[[nodiscard]] std::string resource_of(const shard_state& home, const stream& s) {
    const auto* vhost = home.self.topology().find_vhost(s.spec().vhost);
    return queue_text(s.spec().name, vhost == nullptr ? std::string_view{} : topology_view::name_of(*vhost));
}

}  // namespace

// ---- stream_context ----------------------------------------------------------------------------

mono_ns shard_streams::now() const noexcept { return home_.now(); }
wall_ns shard_streams::wall_now() const noexcept { return home_.wall_now(); }
timer_wheel& shard_streams::timers() noexcept { return home_.wheel; }
message_pool& shard_streams::pool() noexcept { return home_.messages; }
const property_reader* shard_streams::reader_of(protocol_tag tag) const noexcept { return home_.parts.reader_of(tag); }

void shard_streams::deliver_remote(const remote_consumer& to, delivery&& d) { home_.deliver_remote(to, std::move(d)); }
void shard_streams::forget_local(delivery_sink& sink, queue_handle q, consumer_id c) { home_.forget_local(sink, q, c); }
void shard_streams::cancel_remote(const remote_consumer& to, cancel_reason why) { home_.cancel_remote(to, why); }
void shard_streams::gap_remote(const remote_consumer& to, position resumed) {
    home_.send_pointer(to.shard, command_kind::stream_gap, nullptr, {to.proxy_slot, to.proxy_generation}, resumed);
}

void shard_streams::on_active(stream& s) {
    active_.push_back(s.self());
    lately_.push_back(s.self());
}
void shard_streams::on_readable(stream& s) { schedule(s); }
void shard_streams::on_durable(const durable_waiter& w) { home_.on_durable(w); }

// ---- Streams -----------------------------------------------------------------------------------

bool shard_streams::among(std::span<const queue_place> where) noexcept {
    return std::ranges::any_of(where, [](queue_place p) { return named(p); });
}
bool shard_streams::among(std::span<const queue_handle> where) noexcept {
    return std::ranges::any_of(where, [](queue_handle h) { return is_stream(h); });
}

queue_place shard_streams::place_of(const stream& s) noexcept { return {s.self().slot, s.self().generation}; }

stream* shard_streams::find(queue_place p) noexcept {
    auto* slot = named(p) ? table_.find(p.slot - first_stream_slot, p.generation) : nullptr;
    return slot == nullptr ? nullptr : slot->get();
}

bool shard_streams::takes(const queue_spec& spec) const noexcept {
    return spec.settings.type == queue_type::stream && home_.parts.options().streams != nullptr;
}

result<queue_handle, std::string> shard_streams::create(const queue_spec& spec) {
    const auto place = table_.add(nullptr);
    const queue_handle h{place.slot + first_stream_slot, place.generation, home_.self.id()};
    auto made = std::make_unique<stream>(*this, h, spec);
    auto log = home_.parts.options().streams->open(spec.uid, spec.settings.segment_bytes,
                                                   [&made](const log_record& r) { made->replay(r); });
    if (!log) {
        table_.remove(place.slot);
        return fail(std::move(log.error()));
    }
    if (event_fd_) {
        (*log)->wake_through(*event_fd_);
    }
    made->open(std::move(*log));
    *table_.find(place.slot, place.generation) = std::move(made);
    return h;
}

std::uint64_t shard_streams::destroy(stream& s) {
    const auto uid = s.spec().uid;
    const auto slot = s.self().slot - first_stream_slot;
    const std::uint64_t count = s.shut_down();
    // What waits for it has been promised nothing; nobody is to wait for ever, either.
    for (const durable_waiter& w : s.let_go()) {
        on_durable(w);
    }
    auto gone = table_.remove(slot);
    if (lasts(*gone)) {
        parting_.emplace(uid, std::move(gone));
    } else {
        remove(std::move(gone));
    }
    return count;
}

void shard_streams::let_go(owner_uid uid) {
    if (auto gone = parting_.extract(uid)) {
        remove(std::move(gone.mapped()));
    }
}

// Its log is closed before its files go.
void shard_streams::remove(std::unique_ptr<stream> gone) {
    const owner_uid uid = gone->spec().uid;
    gone.reset();
    home_.parts.options().streams->remove(uid);
}

owner_answer shard_streams::do_owner_task(owner_task& t) {
    stream* s = find(t.handle);
    if (s == nullptr) {
        return {t.handle, 0, 0, owner_answer::verdict::gone, {}};
    }
    owner_answer a{t.handle, s->message_count(), s->consumer_count(), owner_answer::verdict::done, {}};
    switch (t.kind) {
        case owner_task_kind::create:
        case owner_task_kind::inspect: break;
        case owner_task_kind::apply: s->apply(t.spec); break;
        case owner_task_kind::replay:
            for (auto& m : t.messages) {
                static_cast<void>(s->append(std::move(m)));
            }
            break;
        case owner_task_kind::destroy:
            if (t.if_empty && a.message_count != 0) {
                a.what = owner_answer::verdict::not_empty;
            } else if (t.if_unused && a.consumer_count != 0) {
                a.what = owner_answer::verdict::in_use;
            } else {
                a.parting = lasts(*s) ? s->spec().uid : 0;
                a.message_count = destroy(*s);
            }
            break;
    }
    return a;
}

std::optional<reply> shard_streams::do_request(routed_request& r, shard_id asker) {
    stream* s = find(r.target);
    if (s == nullptr) {
        return std::nullopt;
    }
    auto& asked = r.what;
    if (std::holds_alternative<consume>(asked.body)) {
        return do_consume(*s, r, asker);
    }
    if (const auto* c = std::get_if<cancel>(&asked.body)) {
        s->detach(c->consumer);
        return reply{asked.cookie, std::monostate{}};
    }
    const bool gets = std::holds_alternative<get>(asked.body);
    if (gets || std::holds_alternative<purge_queue>(asked.body)) {
        return reply{asked.cookie, fail(make_error(error_kind::not_implemented, "{} not supported by stream queues {}",
                                                   gets ? "basic.get" : "queue.purge", resource_of(home_, *s)))};
    }
    return reply{asked.cookie, queue_info{s->spec().name, s->self(), s->message_count(), s->consumer_count()}};
}

reply shard_streams::do_consume(stream& s, routed_request& r, shard_id asker) {
    auto& c = std::get<consume>(r.what.body);
    const bool here = asker == home_.self.id();
    stream::attachment a;
    if (auto good = stream::read_arguments(c.arguments, resource_of(home_, s), home_.wall_now(), a); !good) {
        return {r.what.cookie, fail(std::move(good.error()))};
    }
    a.tag = c.tag;
    a.sink = here ? c.sink : nullptr;
    a.remote = here ? remote_consumer{} : remote_consumer{asker, r.proxy_slot, r.proxy_generation};
    a.label = c.label;
    a.prefetch = c.prefetch;
    a.no_ack = c.no_ack;
    a.session = r.what.from;
    a.place = c.place;
    a.arguments = c.arguments;
    const consumer_id id = s.attach(std::move(a));
    if (here) {
        shard_state::note_source(*c.sink, s.self(), id, 0);
    }
    schedule(s);
    return {r.what.cookie, consumer_info{s.self(), id, s.epoch(), s.next_of(id)}};
}

// ---- Publishing --------------------------------------------------------------------------------

bool shard_streams::append(queue_place to, const message_ptr& m, const errand_name& brought_by) {
    stream* s = find(to);
    if (s == nullptr || s->has_run(brought_by)) {
        return true;
    }
    ++appended_messages_;
    const position at = s->next_offset();
    const bool accepted = s->append(m.share(), brought_by) == enqueue_result::accepted;
    if (m->traits().identified) [[unlikely]] {
        home_.note_step(accepted ? flight_step::appended : flight_step::refused, *m, s->spec().vhost, s->self(), at,
                        {});
    }
    if (!accepted) {
        return false;
    }
    appended_.push_back(s);
    return true;
}

stream* shard_streams::named(owner_uid uid) noexcept {
    stream* found = nullptr;
    table_.for_each([&](auto, auto, const std::unique_ptr<stream>& s) {
        found = s != nullptr && s->spec().uid == uid ? s.get() : found;
    });
    return found;
}

void shard_streams::wait(std::uint64_t logs, const durable_waiter& w) {
    if (logs == 0 && appended_.size() == 1) {
        appended_.front()->wait(w);
        return;
    }
    const std::uint64_t id = ++last_joint_;
    joints_.emplace(id, joint{static_cast<std::uint32_t>(appended_.size() + (logs != 0 ? 1 : 0)), w});
    durable_waiter part;
    part.sequence = id;
    part.slot = static_cast<std::uint32_t>(own_waiter::stream);
    part.publisher = home_.self.id();
    for (stream* s : appended_) {
        s->wait(part);
    }
    if (logs != 0) {
        home_.wait_for(logs, part);
    }
}

void shard_streams::joined(std::uint64_t id) {
    const auto at = joints_.find(id);
    if (at != joints_.end() && --at->second.waiting == 0) {
        const durable_waiter then = at->second.then;
        joints_.erase(at);
        home_.on_durable(then);
    }
}

// ---- Readers -----------------------------------------------------------------------------------

void shard_streams::settle(queue_place at, consumer_id c, std::uint32_t count) {
    if (stream* s = find(at)) {
        s->settle(c, count);
        schedule(*s);
    }
}

void shard_streams::add_credit(queue_place at, consumer_id c, std::uint32_t count) {
    if (stream* s = find(at)) {
        s->add_credit(c, count);
        schedule(*s);
    }
}

void shard_streams::set_prefetch(queue_place at, consumer_id c, std::uint32_t prefetch) {
    if (stream* s = find(at)) {
        s->set_prefetch(c, prefetch);
        schedule(*s);
    }
}

void shard_streams::detach(queue_handle h, consumer_id c) {
    if (stream* s = find(h)) {
        s->detach(c);
    }
}

void shard_streams::resume(queue_handle h) {
    if (stream* s = find(h)) {
        schedule(*s);
    }
}

void shard_streams::schedule(stream& s) {
    if (s.mark_scheduled()) {
        to_pump_.push_back(s.self());
    }
}

// ---- The turn ----------------------------------------------------------------------------------

void shard_streams::poll() {
    std::swap(active_, polling_);
    for (const queue_handle h : polling_) {
        stream* s = find(h);
        if (s == nullptr) {
            continue;
        }
        static_cast<void>(s->poll());
        if (s->busy()) {
            active_.push_back(h);
        }
        if (s->log().health() == log_health::failed) {
            home_.parts.store_failed(s->log().complaint());
        }
    }
    polling_.clear();
}

void shard_streams::pump() {
    std::swap(to_pump_, pumping_);
    for (const queue_handle h : pumping_) {
        stream* s = find(h);
        if (s == nullptr) {
            continue;
        }
        s->unmark_scheduled();
        if (!s->pump()) {
            schedule(*s);
        }
    }
    pumping_.clear();
}

void shard_streams::flush() {
    for (const queue_handle h : active_) {
        if (stream* s = find(h)) {
            s->flush();
        }
    }
}

bool shard_streams::congested() noexcept {
    return std::ranges::any_of(active_, [this](queue_handle h) {
        stream* s = find(h);
        return s != nullptr && s->congested();
    });
}

// Each stream has one more after it has come to rest: then its log gives spare memory back.
void shard_streams::tick(mono_ns now) {
    std::vector<queue_handle> again;
    disk_full_ = false;
    // Of those that are at work some are not new, and wait for this.
    auto due = std::exchange(lately_, {});
    due.insert(due.end(), active_.begin(), active_.end());
    for (const queue_handle h : due) {
        stream* s = find(h);
        if (s == nullptr) {
            continue;
        }
        s->log().tick(now);
        const bool full = s->log().health() == log_health::full;
        disk_full_ |= full;
        if ((full || s->busy()) && std::ranges::find(again, h) == again.end()) {
            again.push_back(h);
        }
    }
    lately_.insert(lately_.end(), again.begin(), again.end());
}

void shard_streams::wake_through(int event_fd) {
    event_fd_ = event_fd;
    table_.for_each([event_fd](auto, auto, const std::unique_ptr<stream>& s) { s->log().wake_through(event_fd); });
}

void shard_streams::look_at_all() {
    table_.for_each([](auto, auto, const std::unique_ptr<stream>& s) { s->activate(); });
}

void shard_streams::hand_over() noexcept {
    table_.for_each([](auto, auto, const std::unique_ptr<stream>& s) { s->release_owner(); });
}

std::optional<std::string> shard_streams::close() {
    std::optional<std::string> complaint;
    table_.for_each([&complaint](auto, auto, const std::unique_ptr<stream>& s) {
        if (!s->log().close()) {
            complaint = s->log().complaint();
        }
    });
    // The next start removes what is left of them, or finds them back.
    for (const auto& [uid, s] : parting_) {
        if (!s->log().close()) {
            complaint = s->log().complaint();
        }
    }
    parting_.clear();
    for (std::uint32_t slot = 0; table_.size() != 0; ++slot) {
        if (auto* s = table_.find_slot(slot)) {
            s->reset();
            table_.remove(slot);
        }
    }
    return complaint;
}

}  // namespace linnet::core
