#include "broker/core/control.hpp"
#include "broker/core/shard_state.hpp"

#include <fmt/format.h>

#include <utility>

// What a shard says to its peers and does when they speak.

namespace linnet::core {

namespace {

// Commands a ring and turn: all that a full ring holds. Fewer would let publishes, of which a turn reads as
// many as the sockets bring, outrun the deliveries that come through the rings.
constexpr std::size_t drain_batch_max = 16 * 1024;
constexpr std::uint64_t no_proxy = 0;  // in pointer_command::tag; else its generation, and slot + 1

template <class T>
std::unique_ptr<T> take(const pointer_command& p) noexcept {
    return std::unique_ptr<T>(static_cast<T*>(p.object));
}

}  // namespace

// ---- Sending -----------------------------------------------------------------------------------

void shard_state::send(shard_id to, const command& c) {
    auto& backlog = backlogs[to.value];
    if (backlog.empty() && parts.ring(self.id(), to).try_push(c) == lockfree::push_result::pushed) [[likely]] {
        return;
    }
    // The ring is full: it waits here, in order, and congested() stops the input that causes it.
    backlog.push_back(c);
    ++backlog_total;
}

void shard_state::send_pointer(shard_id to, command_kind kind, void* object, queue_place place, std::uint64_t tag,
                               std::uint8_t detail) {
    send(to, {.kind = kind, .count = 0, .pointer = {object, place, tag, detail}});
}

void shard_state::flush_backlogs() {
    if (backlog_total == 0) {
        return;
    }
    for (std::uint16_t to = 0; to < backlogs.size(); ++to) {
        auto& backlog = backlogs[to];
        while (!backlog.empty() &&
               parts.ring(self.id(), shard_id{to}).try_push(backlog.front()) == lockfree::push_result::pushed) {
            backlog.pop_front();
            --backlog_total;
        }
    }
}

void shard_state::publish_tails() {
    for (std::uint16_t to = 0; to < parts.shard_count(); ++to) {
        const shard_id peer{to};
        if (peer != self.id() && parts.ring(self.id(), peer).publish() && parts.bell(peer).must_wake()) {
            parts.wake(peer);
        }
    }
}

void shard_state::send_chains_home() {
    for (std::uint16_t to = 0; to < parts.shard_count(); ++to) {
        if (message* chain = messages.take_chain(shard_id{to}); chain != nullptr) {
            send_pointer(shard_id{to}, command_kind::free_chain, chain);
        }
    }
}

// ---- Receiving ---------------------------------------------------------------------------------

bool shard_state::drain_rings() {
    bool more = false;
    for (std::uint16_t from = 0; from < parts.shard_count(); ++from) {
        const shard_id peer{from};
        if (peer == self.id()) {
            continue;
        }
        auto& ring = parts.ring(peer, self.id());
        const auto n = ring.drain(drain_batch_max, [&](const command& c) { receive(peer, c); });
        more = more || n == drain_batch_max;
    }
    return more;
}

void shard_state::receive(shard_id from, const command& c) {
    switch (c.kind) {
        case command_kind::publish: receive_publish(from, c.publish, c.count); return;
        case command_kind::publish_settled: receive_settled(c.settled); return;
        case command_kind::deliver: receive_delivery(from, c.deliver); return;
        case command_kind::settle_accepted:
            if (queue* q = find(c.settle.queue)) {
                q->settle(consumer_id{c.settle.consumer}, c.settle.count, c.settle.bytes);
                schedule_pump(*q);
            } else {
                streams.settle(c.settle.queue, consumer_id{c.settle.consumer}, c.settle.count);
            }
            return;
        case command_kind::settle_stored: receive_settle_stored(c.settle_stored, c.count); return;
        case command_kind::received: receive_received(from, c.received); return;
        case command_kind::sync: receive_sync(from, c.settled); return;
        case command_kind::credit:
            if (queue* q = find(c.settle.queue)) {
                q->add_credit(consumer_id{c.settle.consumer}, c.settle.count);
                schedule_pump(*q);
            } else {
                streams.add_credit(c.settle.queue, consumer_id{c.settle.consumer}, c.settle.count);
            }
            return;
        case command_kind::set_prefetch:
            if (queue* q = find(c.settle.queue)) {
                q->set_prefetch(consumer_id{c.settle.consumer}, c.settle.count);
                schedule_pump(*q);
            } else {
                streams.set_prefetch(c.settle.queue, consumer_id{c.settle.consumer}, c.settle.count);
            }
            return;
        case command_kind::free_chain: messages.accept_chain(static_cast<message*>(c.pointer.object)); return;
        case command_kind::give_back:
            take_back(static_cast<give_back_kind>(c.pointer.detail), *take<std::vector<delivery>>(c.pointer));
            return;
        case command_kind::deliver_direct: receive_direct(c.pointer); return;
        case command_kind::find_direct: {
            const auto q = take<direct_question>(c.pointer);
            answer(q->from, answer_direct(*q));
            return;
        }
        case command_kind::queue_request: {
            auto r = take<routed_request>(c.pointer);
            if (must_wait(*r)) {
                hold_get(std::move(r), from);
                return;
            }
            const auto proxy = std::holds_alternative<consume>(r->what.body)
                                   ? std::uint64_t{r->proxy_generation} << 32 | (r->proxy_slot + 1)
                                   : no_proxy;
            const auto to = r->what.from;
            auto a = after_removal(r->target, to, do_queue_request(*r, from));
            if (a) {
                auto moved = std::make_unique<reply>(std::move(*a));
                send_pointer(from, command_kind::reply, moved.release(), {to.slot, to.generation}, proxy);
            }
            return;
        }
        case command_kind::control_request: the_control->execute(take<routed_request>(c.pointer)); return;
        case command_kind::reply: {
            auto r = take<reply>(c.pointer);
            if (c.pointer.tag != no_proxy) {
                finish_consume(*r, static_cast<std::uint32_t>(c.pointer.tag) - 1,
                               static_cast<std::uint32_t>(c.pointer.tag >> 32));
            }
            pass_to_session({c.pointer.place.slot, c.pointer.place.generation, self.id()}, std::move(*r));
            return;
        }
        case command_kind::owner_task: {
            auto a = std::make_unique<owner_answer>(do_owner_task(*take<owner_task>(c.pointer)));
            send_pointer(from, command_kind::owner_answer, a.release());
            return;
        }
        case command_kind::owner_answer: the_control->on_answer(std::move(*take<owner_answer>(c.pointer))); return;
        case command_kind::queue_parted: let_go(c.pointer.tag); return;
        case command_kind::queue_declared: note_declared(c.pointer.tag); return;
        case command_kind::accounts_gone: forget(*take<accounts>(c.pointer)); return;
        case command_kind::queue_unused:
            the_control->remove_unused({c.pointer.place.slot, c.pointer.place.generation, from});
            return;
        case command_kind::answer_after:
            the_control->answer_after(
                {c.pointer.place.slot, c.pointer.place.generation, shard_id{static_cast<std::uint16_t>(c.pointer.tag)}},
                std::move(*take<reply>(c.pointer)));
            return;
        case command_kind::consumer_cancelled:
            if (auto* p = proxies.find(c.pointer.place.slot, c.pointer.place.generation)) {
                auto* sink = p->sink;
                const auto tag = p->tag;
                drop_proxy(c.pointer.place.slot);
                sink->on_cancelled(tag, static_cast<cancel_reason>(c.pointer.detail));
            }
            return;
        case command_kind::window_closed:
            if (auto* p = proxies.find(c.pointer.place.slot, c.pointer.place.generation)) {
                receive_window_closed(*p);
            }
            return;
        case command_kind::stream_gap:
            if (auto* p = proxies.find(c.pointer.place.slot, c.pointer.place.generation)) {
                p->sink->on_gap(p->tag, c.pointer.tag);
            }
            return;
        case command_kind::home_request: do_home_request(*take<routed_request>(c.pointer)); return;
        case command_kind::detach_client: clients.receive_detach(std::move(*take<detach_client>(c.pointer))); return;
        case command_kind::mark_client: clients.receive_mark(from, c.mark); return;
        case command_kind::client_taken_over:
            clients.receive_taken_over(
                {c.taken_over.who.slot, c.taken_over.who.generation, self.id()},
                {c.taken_over.ticket.number, c.taken_over.ticket.entry, c.taken_over.ticket.home});
            return;
        case command_kind::answer: replies.receive(from, std::move(*take<routed_answer>(c.pointer))); return;
        case command_kind::answer_unrouted: replies.receive_unrouted(c.settled); return;
        case command_kind::unwatch_reply: replies.receive_unwatch(*take<reply_watcher>(c.pointer)); return;
        case command_kind::reply_news:
            replies.receive_news({c.pointer.place.slot, c.pointer.place.generation, self.id()},
                                 std::move(*take<reply_news>(c.pointer)));
            return;
        case command_kind::find_consumer: {
            const auto q = take<consumer_question>(c.pointer);
            const session_handle asker = q->from;
            if (auto a = ask_for_consumer(std::move(*q))) {
                answer(asker, std::move(*a));
            }
            return;
        }
        case command_kind::retain: retained.receive(from, c.retain); return;
        case command_kind::errand: errands.receive(std::move(*take<errand_part>(c.pointer))); return;
        case command_kind::remember: {
            const auto r = take<remembered>(c.pointer);
            the_control->remember(std::move(r->msg), r->vhost, r->exchange);
            return;
        }
    }
}

void shard_state::pass_to_session(session_handle to, reply&& r) {
    if (session_port* session = self.find_session(to)) {
        session->on_reply(std::move(r));
        return;
    }
    // It ended while it waited: what it got goes back.
    if (r.result && std::holds_alternative<attached_client>(*r.result)) {
        clients.give_back(std::get<attached_client>(*r.result));
        return;
    }
    if (r.result && std::holds_alternative<got_message>(*r.result)) {
        auto& got = std::get<got_message>(*r.result);
        if (got.message && !got.message->no_ack) {
            const shard_id owner = got.message->queue.shard;
            std::vector<delivery> batch;
            batch.push_back(std::move(*got.message));
            give_back(owner, give_back_kind::requeue, std::move(batch));
        }
    }
}

// ---- Requests ----------------------------------------------------------------------------------

namespace {

[[nodiscard]] const std::string* queue_name_of(const request_body& body) noexcept {
    if (const auto* c = std::get_if<consume>(&body)) {
        return &c->queue;
    }
    if (const auto* g = std::get_if<get>(&body)) {
        return &g->queue;
    }
    if (const auto* p = std::get_if<purge_queue>(&body)) {
        return &p->name;
    }
    if (const auto* d = std::get_if<declare_queue>(&body); d != nullptr && d->absent == if_absent::fail) {
        return &d->name;
    }
    return nullptr;
}

[[nodiscard]] const reply_token* token_of(const request_body& body) noexcept {
    if (const auto* r = std::get_if<read_reply>(&body)) {
        return &r->token;
    }
    if (const auto* w = std::get_if<watch_reply>(&body)) {
        return &w->token;
    }
    const auto* c = std::get_if<close_reply>(&body);
    return c == nullptr ? nullptr : &c->token;
}

[[nodiscard]] error no_such_queue(std::string_view name, std::string_view vhost) {
    return {error_kind::not_found, fmt::format("no queue '{}' in vhost '{}'", name, vhost)};
}

[[nodiscard]] error locked(std::string_view name, std::string_view vhost) {
    return {error_kind::resource_locked,
            fmt::format("cannot obtain exclusive access to locked queue '{}' in vhost '{}'. It could be originally "
                        "declared on another connection or the exclusive property value does not match that of "
                        "the original declaration.",
                        name, vhost)};
}

}  // namespace

std::optional<reply> shard_state::start(request&& r) {
    if (auto* c = std::get_if<cancel>(&r.body)) {
        const auto proxy_slot = c->sink == nullptr ? 0 : forget_source(*c->sink, c->queue, c->consumer);
        if (c->queue.shard == self.id()) {
            end_consumer(c->queue, c->consumer);
            return after_removal(c->queue, r.from, {r.cookie, std::monostate{}});
        }
        drop_proxy_of(c->queue, c->consumer, proxy_slot);
    }
    auto routed = std::make_unique<routed_request>(routed_request{std::move(r), {}, 0, 0, 0});
    const auto& asked = routed->what;
    if (const auto* c = std::get_if<cancel>(&asked.body)) {
        routed->target = c->queue;
    } else if (const auto* name = queue_name_of(asked.body)) {
        const auto view = self.topology();
        const auto* vhost = view.find_vhost(asked.vhost);
        const auto* entry = vhost == nullptr ? nullptr : topology_view::find_queue(*vhost, *name);
        if (entry == nullptr) {
            const auto vhost_name = vhost == nullptr ? std::string_view{} : topology_view::name_of(*vhost);
            return reply{asked.cookie, fail(no_such_queue(*name, vhost_name))};
        }
        if (entry->spec.exclusive_to && entry->spec.exclusive_to != asked.from) {
            return reply{asked.cookie, fail(locked(*name, topology_view::name_of(*vhost)))};
        }
        routed->target = entry->handle;
    } else if (const auto home = home_of(asked)) {
        routed->home = *home;
        if (!retained.hold_request(routed)) {
            send_home(std::move(routed));
        }
        return std::nullopt;  // or captured
    } else if (the_control != nullptr) {
        the_control->execute(std::move(routed));
        return std::nullopt;  // or captured
    } else {
        send_pointer(control_shard, command_kind::control_request, routed.release());
        return std::nullopt;
    }
    if (routed->target.shard == self.id()) {
        if (must_wait(*routed)) {
            hold_get(std::move(routed), self.id());
            return std::nullopt;
        }
        return do_queue_request(*routed, self.id());
    }
    if (const auto* c = std::get_if<consume>(&asked.body)) {
        const auto place = proxies.add(
            {.sink = c->sink, .tag = c->tag, .session = asked.from, .queue = routed->target});
        proxies.find_slot(place.slot)->slot = place.slot;
        routed->proxy_slot = place.slot;
        routed->proxy_generation = place.generation;
    }
    const auto to = routed->target.shard;
    send_pointer(to, command_kind::queue_request, routed.release());
    return std::nullopt;
}

std::optional<std::uint16_t> shard_state::home_of(const request& r) const {
    if (const auto* a = std::get_if<attach_client>(&r.body)) {
        return clients.home_of(r.vhost, a->name);
    }
    if (const auto* k = std::get_if<keep_client>(&r.body)) {
        return static_cast<std::uint16_t>(k->ticket.home);
    }
    if (const auto* token = token_of(r.body)) {
        return replies.home_of(*token);
    }
    return std::holds_alternative<read_retained>(r.body) ? std::optional(retained.home_of(r.vhost)) : std::nullopt;
}

void shard_state::send_home(std::unique_ptr<routed_request> r) {
    if (const shard_id to{static_cast<std::uint16_t>(r->home % parts.shard_count())}; to != self.id()) {
        send_pointer(to, command_kind::home_request, r.release());
    } else {
        do_home_request(*r);
    }
}

void shard_state::do_home_request(routed_request& r) {
    if (std::holds_alternative<read_retained>(r.what.body)) {
        retained.request(r);
    } else if (token_of(r.what.body) != nullptr) {
        replies.request(r);
    } else {
        clients.request(r);
    }
}

std::string shard_state::vhost_name(vhost_id v) const {
    const auto* vhost = self.topology().find_vhost(v);
    return vhost == nullptr ? std::string() : std::string(topology_view::name_of(*vhost));
}

// Also while the store is read, before the shards run: then the editor has what there is.
std::optional<vhost_id> shard_state::vhost_named(std::string_view name) const {
    const auto view = reader->is_online() ? self.topology() : parts.editor().view();
    const auto* vhost = view.find_vhost(name);
    return vhost == nullptr ? std::nullopt : std::optional(topology_view::id_of(*vhost));
}

// A get from a queue whose head has to be read back first.
bool shard_state::must_wait(const routed_request& r) {
    queue* q = std::holds_alternative<get>(r.what.body) ? find(r.target) : nullptr;
    return q != nullptr && !q->head_at_hand();
}

void shard_state::answer(session_handle to, reply&& r) {
    if (to.shard == self.id()) {
        if (capture != nullptr && capture_for == to && capture_cookie == r.cookie) {
            *capture = std::move(r);
        } else {
            replies_later.emplace_back(to, std::move(r));
        }
        return;
    }
    auto a = std::make_unique<reply>(std::move(r));
    send_pointer(to.shard, command_kind::reply, a.release(), {to.slot, to.generation}, no_proxy);
}

reply shard_state::do_queue_request(routed_request& r, shard_id asker) {
    auto& asked = r.what;
    queue* q = find(r.target);
    if (q == nullptr) {
        if (auto a = streams.do_request(r, asker)) {
            return std::move(*a);
        }
        // Deleted between the look-up and now.
        const auto* name = queue_name_of(asked.body);
        const auto* vhost = self.topology().find_vhost(asked.vhost);
        if (name == nullptr) {
            return {asked.cookie, std::monostate{}};
        }
        return {asked.cookie, fail(no_such_queue(*name, vhost == nullptr ? "" : topology_view::name_of(*vhost)))};
    }
    if (std::holds_alternative<consume>(asked.body)) {
        return do_consume(*q, r, asker);
    }
    if (const auto* c = std::get_if<cancel>(&asked.body)) {
        end_consumer(c->queue, c->consumer);
        return {asked.cookie, std::monostate{}};
    }
    if (const auto* g = std::get_if<get>(&asked.body)) {
        got_message got{q->get(g->no_ack), 0};
        got.remaining = q->ready_count();
        if (got.message && asker != self.id()) {
            got.message->msg.get()->mark_shared();
        }
        return {asked.cookie, std::move(got)};
    }
    if (std::holds_alternative<purge_queue>(asked.body)) {
        const auto count = q->purge();
        return {asked.cookie, queue_info{q->spec().name, q->self(), count, q->consumer_count()}};
    }
    q->touch();
    return {asked.cookie, queue_info{q->spec().name, q->self(), q->ready_count(), q->consumer_count()}};
}

reply shard_state::do_consume(queue& q, routed_request& r, shard_id asker) {
    auto& c = std::get<consume>(r.what.body);
    queue::attachment a{c.tag,       nullptr,    {asker, r.proxy_slot, r.proxy_generation},
                        r.what.from, c.label,    c.prefetch,
                        c.priority,  c.no_ack,   c.exclusive,
                        c.place,     c.arguments};
    if (asker == self.id()) {
        a.sink = c.sink;
        a.remote = {};
    }
    auto id = q.attach(std::move(a));
    if (!id) {
        const auto* vhost = self.topology().find_vhost(r.what.vhost);
        return {r.what.cookie,
                fail(error{id.error().kind,
                           fmt::format("queue '{}' in vhost '{}' in exclusive use", c.queue,
                                       vhost == nullptr ? std::string_view{} : topology_view::name_of(*vhost))})};
    }
    if (asker == self.id()) {
        note_source(*c.sink, q.self(), *id, 0);
    }
    schedule_pump(q);
    return {r.what.cookie, consumer_info{q.self(), *id}};
}

// The far owner has answered a consume of ours.
void shard_state::finish_consume(const reply& r, std::uint32_t proxy_slot, std::uint32_t proxy_generation) {
    auto* p = proxies.find(proxy_slot, proxy_generation);
    if (!r.result) {
        if (p != nullptr) {
            proxies.remove(proxy_slot);
        }
        return;
    }
    const auto& info = std::get<consumer_info>(*r.result);
    if (p == nullptr) {
        // Its session ended meanwhile, and could not yet say which consumer was its.
        send_cancel(info.queue, info.consumer);
        return;
    }
    p->consumer = info.consumer;
    note_source(*p->sink, info.queue, info.consumer, proxy_slot);
}

void shard_state::end_consumer(queue_handle h, consumer_id c) {
    if (queue* q = find(h)) {
        q->detach(c);
        // A single active consumer's successor, or others that its share now goes to.
        schedule_pump(*q);
    } else {
        streams.detach(h, c);
    }
}

std::optional<reply> shard_state::after_removal(queue_handle h, session_handle to, reply&& r) {
    const queue* q = find(h);
    if (q == nullptr || !to || !q->spec().auto_delete || !q->had_consumer() || q->consumer_count() != 0) {
        return std::move(r);
    }
    // The queue asked the control to be deleted a moment ago; this follows on the same way.
    if (the_control != nullptr) {
        remove_unused_queues();
        the_control->answer_after(to, std::move(r));
    } else {
        auto moved = std::make_unique<reply>(std::move(r));
        send_pointer(control_shard, command_kind::answer_after, moved.release(), {to.slot, to.generation},
                     to.shard.value);
    }
    return std::nullopt;
}

void shard_state::note_source(delivery_sink& sink, queue_handle q, consumer_id c, std::uint32_t proxy_slot) {
    sink.sources_.push_back({q, c, proxy_slot});
}

std::uint32_t shard_state::forget_source(delivery_sink& sink, queue_handle q, consumer_id c) {
    for (auto at = sink.sources_.begin(); at != sink.sources_.end(); ++at) {
        if (at->queue == q && at->consumer == c) {
            const auto slot = at->proxy_slot;
            *at = sink.sources_.back();
            sink.sources_.pop_back();
            return slot;
        }
    }
    return 0;
}

owner_answer shard_state::create(const queue_spec& spec) {
    owner_answer a{};
    if (!streams.takes(spec)) {
        a.handle = create_queue(spec);
    } else if (auto made = streams.create(spec)) {
        a.handle = *made;
    } else {
        return {{}, 0, 0, owner_answer::verdict::failed, std::move(made.error())};
    }
    if (is_lasting(spec.uid)) {
        young.push_back({spec.uid});
    }
    return a;
}

owner_answer shard_state::do_owner_task(owner_task& t) {
    if (t.kind == owner_task_kind::create) {
        return create(t.spec);
    }
    if (is_stream(t.handle)) {
        return streams.do_owner_task(t);
    }
    queue* q = find(t.handle);
    if (q == nullptr) {
        return {t.handle, 0, 0, owner_answer::verdict::gone, {}};
    }
    owner_answer a{t.handle, q->ready_count(), q->consumer_count(), owner_answer::verdict::done, {}};
    switch (t.kind) {
        case owner_task_kind::create: break;
        case owner_task_kind::inspect: q->touch(); break;
        case owner_task_kind::apply: q->apply(t.spec); break;
        case owner_task_kind::replay:
            for (auto& m : t.messages) {
                static_cast<void>(q->enqueue(std::move(m)));
            }
            break;
        case owner_task_kind::destroy:
            if (t.if_empty && a.message_count != 0) {
                a.what = owner_answer::verdict::not_empty;
            } else if (t.if_unused && a.consumer_count != 0) {
                a.what = owner_answer::verdict::in_use;
            } else {
                a.message_count = q->shut_down();
                a.parting = part_with(t.handle.slot);
            }
            break;
    }
    return a;
}

// Nobody finds it any more. What it has stored stays until its deletion is durable: else a crash would bring the queue
// back without what it had promised to keep. Returns the name under which that waits; 0: there is nothing.
owner_uid shard_state::part_with(std::uint32_t slot) {
    auto gone = queues.remove(slot);
    const owner_uid uid = gone->keeping().uid;
    if (gone->lasts()) {
        parting.emplace(uid, std::move(gone));
        return uid;
    }
    gone->let_go();
    owners.erase(uid & ~fleeting_owner);
    return 0;
}

void shard_state::forget(const accounts& gone) {
    for (const auto& registry : clients.all()) {
        if (registry != nullptr) {
            registry->forget(gone.vhosts, gone.users);
        }
    }
    for (const auto& store : retained.all()) {
        for (const vhost_id v : gone.vhosts) {
            if (store != nullptr) {
                store->forget(v);
            }
        }
    }
}

void shard_state::let_go(owner_uid uid) {
    if (const auto gone = parting.extract(uid)) {
        gone.mapped()->let_go();
        owners.erase(uid);
    } else {
        streams.let_go(uid);
    }
}

// ---- What comes back -----------------------------------------------------------------------------

void shard_state::give_back(shard_id owner, give_back_kind how, std::vector<delivery> batch) {
    if (owner == self.id()) {
        take_back(how, batch);
        return;
    }
    for (auto& d : batch) {
        if (d.msg) [[likely]] {
            d.msg.get()->mark_shared();
        }
    }
    transaction_shards |= std::uint64_t{in_transaction} << owner.value;
    auto moved = std::make_unique<std::vector<delivery>>(std::move(batch));
    send_pointer(owner, command_kind::give_back, moved.release(), {}, 0, static_cast<std::uint8_t>(how));
}

void shard_state::take_back(give_back_kind how, std::vector<delivery>& batch) {
    if (how == give_back_kind::unread) {
        queue* q = find(batch.front().queue);
        const auto* to = q == nullptr ? nullptr : q->close_window(batch.front().consumer);
        if (to != nullptr) {  // else it has been told of its end, or has ended itself
            send_pointer(to->shard, command_kind::window_closed, nullptr, {to->proxy_slot, to->proxy_generation});
        }
    }
    // Highest position first: each then goes to the very front. What consumers had in turn comes out of turn.
    const auto by_place = [](const delivery& a, const delivery& b) {
        return std::tie(a.queue.slot, a.queue.generation, a.pos) < std::tie(b.queue.slot, b.queue.generation, b.pos);
    };
    if (how != give_back_kind::reject && !std::ranges::is_sorted(batch, by_place)) {
        std::ranges::stable_sort(batch, by_place);
    }
    for (std::size_t i = batch.size(); i-- > 0;) {
        delivery& d = how == give_back_kind::reject ? batch[batch.size() - 1 - i] : batch[i];
        queue* q = find(d.queue);
        if (q == nullptr) {
            // A stream keeps its own: what comes back is credit.
            streams.settle({d.queue.slot, d.queue.generation}, d.consumer, 1);
            d.msg.reset();
            continue;
        }
        switch (how) {
            case give_back_kind::requeue: q->requeue(std::move(d)); break;
            case give_back_kind::show: q->return_seen(std::move(d)); break;
            case give_back_kind::reject: q->reject(std::move(d)); break;
            case give_back_kind::bounce:
            case give_back_kind::unread: q->bounce(std::move(d)); break;
        }
        schedule_pump(*q);
    }
}

}  // namespace linnet::core
