#include "broker/core/control.hpp"

#include "broker/core/shard_state.hpp"
#include "broker/core/topology_journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace linnet::core {

namespace {

constexpr mono_ns tick_period = ns_per_s;

constexpr std::size_t history_default = 20;  // the recent-history exchange's own default

[[nodiscard]] std::size_t history_length(const exchange_spec& spec) {
    const value* length = find(spec.arguments, "x-recent-history-length");
    const auto* n = length == nullptr ? nullptr : length->as_integer();
    return n == nullptr || *n <= 0 ? history_default : static_cast<std::size_t>(*n);
}

[[nodiscard]] error no_log(std::string_view queue, const owner_answer& failed) {
    return {error_kind::precondition_failed,
            fmt::format("the log of queue '{}' cannot be made: {}", queue, failed.complaint)};
}

template <class... F>
struct overloaded : F... {
    using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

}  // namespace

// Exclusive queues live with their session; all others are spread by name, so that a client which declares
// a thousand queues over one connection uses every core (decision 0003).
shard_id home_of(const queue_spec& spec, std::uint16_t shards) {
    if (spec.exclusive_to) {
        return spec.exclusive_to.shard;
    }
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ spec.vhost.value;
    for (const char c : spec.name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    // Names that differ in their last letter alone differ in few bits until they are stirred.
    hash = (hash ^ (hash >> 32)) * 0x9e3779b97f4a7c15ULL;
    return shard_id{static_cast<std::uint16_t>((hash >> 32) % shards)};
}

control::control(broker& parts, shard_state& home) : parts_(parts), home_(home) {}

// ---- One after the other -----------------------------------------------------------------------

void control::execute(std::unique_ptr<routed_request> r) {
    line_.push_back({std::move(r), {}, {}, {}, nullptr});
    work();
}

void control::answer_after(session_handle to, reply&& r) {
    line_.push_back({nullptr, {}, {}, to, std::make_unique<reply>(std::move(r))});
    work();
}

void control::remove_unused(queue_handle q) {
    line_.push_back({nullptr, q, {}, {}, nullptr});
    work();
}

void control::run(topology_change change) {
    line_.push_back({nullptr, {}, std::move(change), {}, nullptr});
    work();
}

void control::work() {
    if (working_) {
        return;  // a step below calls for more: the loop up there will see it
    }
    working_ = true;
    while (!waiting_ && !line_.empty()) {
        begin(line_.front());
        if (!waiting_) {
            line_.pop_front();
        }
    }
    working_ = false;
}

void control::on_answer(owner_answer&& a) {
    const auto then = std::exchange(waiting_, nullptr);
    working_ = true;
    then(std::move(a));
    working_ = false;
    if (!waiting_) {
        line_.pop_front();
        work();
    }
}

void control::ask_owner(owner_task t, next_step then) {
    const auto owner = t.kind == owner_task_kind::create ? home_of(t.spec, parts_.shard_count()) : t.handle.shard;
    if (owner == home_.self.id()) {
        then(home_.do_owner_task(t));
        return;
    }
    for (auto& m : t.messages) {
        m.get()->mark_shared();
    }
    waiting_ = std::move(then);
    auto sent = std::make_unique<owner_task>(std::move(t));
    home_.send_pointer(owner, command_kind::owner_task, sent.release());
}

void control::publish() {
    if (auto* keeper = parts_.keeper(); keeper != nullptr && keeper->seal()) {
        recorded_ = true;
    }
    parts_.publish_topology();
    note_gone({{}, {}});
}

// With the users who are, whoever took them away. poll() comes to it, at once if nothing has to be waited for.
void control::note_gone(accounts gone) {
    auto* keeper = parts_.keeper();
    if (keeper == nullptr) {
        return;
    }
    gone.users = keeper->take_users_gone();
    if (!gone.vhosts.empty() || !gone.users.empty()) {
        accounts_gone_.emplace_back(keeper->position(), std::move(gone));
    }
}

void control::finish(reply&& r) {
    const auto& asked = line_.front().asked;
    if (asked != nullptr && asked->what.from) {
        r.cookie = asked->what.cookie;
        give(asked->what.from, std::move(r), asked->what.pipelined);
    }
}

// A refusal changes nothing, and what concerns fleeting things alone has nothing to wait for. All else waits for what
// others have recorded, too: "it is there already" must hold after a crash.
void control::give(session_handle to, reply&& r, bool pipelined) {
    const auto* keeper = parts_.keeper();
    const bool promises = r.result.has_value() && (recorded_ || !fleeting_);
    if (promises && keeper != nullptr && keeper->durable() < keeper->position()) {
        const auto cookie = r.cookie;
        answers_.push_back({keeper->position(), to, std::move(r)});
        if (pipelined) {
            home_.answer(to, {cookie, carried_out{}});
        }
    } else {
        home_.answer(to, std::move(r));
    }
}

// ---- Durability --------------------------------------------------------------------------------

void control::poll(mono_ns now) {
    auto* keeper = parts_.keeper();
    if (keeper == nullptr) {
        return;
    }
    if (now - ticked_ >= tick_period) {
        ticked_ = now;
        keeper->tick(now);
    }
    static_cast<void>(keeper->poll());
    if (!std::exchange(started_, true)) {
        note_gone({});  // what the configuration has taken away before we ran
    }
    if (const auto* log = keeper->log(); log != nullptr && log->health() == log_health::failed) {
        parts_.store_failed(log->complaint());
    }
    while (!answers_.empty() && answers_.front().at <= keeper->durable()) {
        auto ready = std::move(answers_.front());
        answers_.pop_front();
        home_.answer(ready.to, std::move(ready.what));
    }
    for (; !news_.empty() && news_.front().at <= keeper->durable(); news_.pop_front()) {
        tell(news_.front());
    }
    for (; !accounts_gone_.empty() && accounts_gone_.front().first <= keeper->durable(); accounts_gone_.pop_front()) {
        tell_all(accounts_gone_.front().second);
    }
}

void control::tell_all(const accounts& gone) {
    for (std::uint16_t to = 0; to < parts_.shard_count(); ++to) {
        if (to == home_.self.id().value) {
            home_.forget(gone);
        } else {
            home_.send_pointer(shard_id{to}, command_kind::accounts_gone, std::make_unique<accounts>(gone).release());
        }
    }
}

void control::vouch(owner_uid queue, queue_handle made) {
    if (is_lasting(queue)) {
        tell_when_durable(command_kind::queue_declared, made.shard, queue);
    }
}

void control::part(const owner_answer& destroyed) {
    if (destroyed.parting != 0) {
        tell_when_durable(command_kind::queue_parted, destroyed.handle.shard, destroyed.parting);
    }
}

void control::tell_when_durable(command_kind what, shard_id owner, owner_uid queue) {
    const auto* keeper = parts_.keeper();
    const news n{keeper == nullptr ? 0 : keeper->position(), what, owner, queue};
    if (keeper != nullptr && keeper->durable() < n.at) {
        news_.push_back(n);
    } else {
        tell(n);
    }
}

void control::tell(const news& n) {
    if (n.owner != home_.self.id()) {
        home_.send_pointer(n.owner, n.what, nullptr, {}, n.queue);
    } else if (n.what == command_kind::queue_declared) {
        home_.note_declared(n.queue);
    } else {
        home_.let_go(n.queue);
    }
}

void control::flush() {
    if (auto* keeper = parts_.keeper(); keeper != nullptr) {
        keeper->flush(parts_.editor());
    }
}

bool control::waits_for_disk() const noexcept {
    const auto* keeper = parts_.keeper();
    return keeper != nullptr && keeper->durable() < keeper->position();
}

outcome<void> control::room_for(const value_table& arguments) const {
    const auto* keeper = parts_.keeper();
    if (arguments.empty() || keeper == nullptr || keeper->fits(arguments)) {
        return {};
    }
    return fail(error{error_kind::precondition_failed, "the arguments are larger than the store can keep"});
}

// Its durable name, and the log of the shard that it is to live on.
void control::name(queue_spec& spec) {
    if (auto* keeper = parts_.keeper(); keeper != nullptr) {
        // A durable queue of one connection goes with that: it need not be stored.
        spec.uid = spec.durable && !spec.exclusive_to ? keeper->next_uid() : keeper->next_fleeting_uid();
    } else {
        spec.uid = fleeting_owner | ++last_fleeting_;
    }
    spec.log = home_of(spec, parts_.shard_count()).value;
}

void control::finish_ok() { finish({0, std::monostate{}}); }

void control::begin(job& j) {
    auto& editor = parts_.editor();
    recorded_ = false;
    fleeting_ = false;
    if (j.change) {
        auto changed = j.change(editor);
        publish();
        apply_next(std::move(changed));
        return;
    }
    if (j.answer != nullptr) {
        give(j.to, std::move(*j.answer), false);
        return;
    }
    if (j.asked == nullptr) {
        // It may have found a consumer again, or gone, since it asked.
        if (const auto* entry = editor.find_queue(j.unused); entry != nullptr) {
            ask_owner({owner_task_kind::destroy, j.unused, {}, true, false, {}},
                      [this, q = j.unused](owner_answer&& a) {
                          if (a.what != owner_answer::verdict::in_use) {
                              static_cast<void>(parts_.editor().remove_queue(q));
                              ++home_.totals.queues_deleted;
                              publish();
                              part(a);
                          }
                      });
        }
        return;
    }
    std::visit(overloaded{
                   [this](const declare_exchange& x) { declare(x); },
                   [this](const delete_exchange& x) { remove(x); },
                   [this](const bind& b) { connect(b); },
                   [this](const unbind& b) { disconnect(b); },
                   [this](const declare_queue& q) { declare(q); },
                   [this](const delete_queue& q) { remove(q); },
                   [this](const core::end_session&) { end_session(); },
                   [this](const core::subscribe& s) { subscribe(s); },
                   [this](const core::unsubscribe& s) { unsubscribe(s); },
                   [this](const end_subscriber& s) { end(s); },
                   [this](const core::administer& a) { administer(a); },
                   [this](const core::install& i) { install(i); },
                   // Queue requests go to owners, not here.
                   [this](const purge_queue&) { finish_ok(); },
                   [this](const consume&) { finish_ok(); },
                   [this](const cancel&) { finish_ok(); },
                   [this](const get&) { finish_ok(); },
                   // And these to the home of what they name.
                   [this](const attach_client&) { finish_ok(); },
                   [this](const keep_client&) { finish_ok(); },
                   [this](const read_retained&) { finish_ok(); },
                   [this](const read_reply&) { finish_ok(); },
                   [this](const watch_reply&) { finish_ok(); },
                   [this](const close_reply&) { finish_ok(); },
               },
               j.asked->what.body);
}

void control::administer(const core::administer& a) {
    auto* keeper = parts_.keeper();
    if (keeper == nullptr) {
        finish({0, fail(error{error_kind::not_implemented, "nothing keeps users and vhosts here"})});
        return;
    }
    auto done = a.change(parts_.editor(), *keeper);
    if (!done) {
        finish({0, fail(std::move(done.error()))});
        return;
    }
    publish();
    note_gone({std::move(done->vhosts_gone), {}});
    follow_up(std::move(*done));
}

void control::follow_up(administered what, std::optional<error> refusal) {
    while (!what.changed.empty() || !what.gone.empty()) {
        auto& from = what.changed.empty() ? what.gone : what.changed;
        const auto kind = what.changed.empty() ? owner_task_kind::destroy : owner_task_kind::apply;
        auto entry = std::move(from.back());
        from.pop_back();
        owner_task task{kind, entry.handle, std::move(entry.spec), false, false, {}};
        const auto done = [this, kind](const owner_answer& a) {
            if (kind == owner_task_kind::destroy) {
                ++home_.totals.queues_deleted;
                part(a);
            }
        };
        if (entry.handle.shard != home_.self.id()) {
            ask_owner(std::move(task),
                      [this, done, what = std::move(what), refusal = std::move(refusal)](owner_answer&& a) mutable {
                          done(a);
                          follow_up(std::move(what), std::move(refusal));
                      });
            return;
        }
        done(home_.do_owner_task(task));
    }
    refusal ? finish({0, fail(std::move(*refusal))}) : finish_ok();
}

void control::install(const core::install& i) {
    auto* keeper = parts_.keeper();
    if (keeper == nullptr) {
        finish({0, fail(error{error_kind::not_implemented, "nothing keeps users and vhosts here"})});
        return;
    }
    auto planned = i.plan(parts_.editor(), *keeper);
    if (!planned) {
        finish({0, fail(std::move(planned.error()))});
        return;
    }
    std::ranges::reverse(*planned);
    make_next(std::move(*planned), {});
}

void control::make_next(std::vector<queue_spec> left, std::vector<queue_entry> made) {
    while (!left.empty()) {
        auto spec = std::move(left.back());
        left.pop_back();
        name(spec);
        owner_task task{owner_task_kind::create, {}, spec, false, false, {}};
        if (home_of(spec, parts_.shard_count()) != home_.self.id()) {
            ask_owner(std::move(task), [this, left = std::move(left), made = std::move(made),
                                        spec = std::move(spec)](owner_answer&& a) mutable {
                if (a.what == owner_answer::verdict::failed) {
                    give_up(std::move(made), a, spec.name);
                    return;
                }
                made.push_back({a.handle, std::move(spec)});
                make_next(std::move(left), std::move(made));
            });
            return;
        }
        const auto a = home_.do_owner_task(task);
        if (a.what == owner_answer::verdict::failed) {
            give_up(std::move(made), a, spec.name);
            return;
        }
        made.push_back({a.handle, std::move(spec)});
    }
    home_.totals.queues_declared += made.size();
    home_.totals.queues_created += made.size();
    auto done = std::get<core::install>(line_.front().asked->what.body).change(parts_.editor(), *parts_.keeper(), made);
    publish();
    for (const auto& q : made) {
        vouch(q.spec.uid, q.handle);
    }
    follow_up(std::move(done));
}

// Nobody has seen those that were made.
void control::give_up(std::vector<queue_entry> made, const owner_answer& failed, std::string_view name) {
    home_.totals.queues_created += made.size();
    for (const auto& q : made) {
        vouch(q.spec.uid, q.handle);
    }
    follow_up({.changed = {}, .gone = std::move(made)}, no_log(name, failed));
}

void control::apply_next(std::vector<queue_entry> left) {
    while (!left.empty()) {
        auto entry = std::move(left.back());
        left.pop_back();
        owner_task task{owner_task_kind::apply, entry.handle, std::move(entry.spec), false, false, {}};
        if (entry.handle.shard != home_.self.id()) {
            ask_owner(std::move(task),
                      [this, left = std::move(left)](owner_answer&&) mutable { apply_next(std::move(left)); });
            return;
        }
        static_cast<void>(home_.do_owner_task(task));
    }
}

// ---- Exchanges and bindings --------------------------------------------------------------------

void control::declare(const declare_exchange& x) {
    fleeting_ = !x.durable;
    if (auto room = room_for(x.arguments); !room) {
        finish({0, fail(std::move(room.error()))});
        return;
    }
    auto done = parts_.editor().declare_exchange(line_.front().asked->what.vhost, x);
    if (!done) {
        finish({0, fail(std::move(done.error()))});
        return;
    }
    publish();
    finish_ok();
}

void control::remove(const delete_exchange& x) {
    const auto vhost = line_.front().asked->what.vhost;
    auto done = parts_.editor().delete_exchange(vhost, x);
    if (!done) {
        finish({0, fail(std::move(done.error()))});
        return;
    }
    std::erase_if(histories_, [&](const auto& h) { return h->vhost == vhost && h->exchange == x.name; });
    publish();
    finish_ok();
}

void control::connect(const bind& b) {
    const auto& asked = line_.front().asked->what;
    if (auto room = room_for(b.arguments); !room) {
        finish({0, fail(std::move(room.error()))});
        return;
    }
    auto done = parts_.editor().bind(asked.vhost, b, asked.from);
    if (!done) {
        finish({0, fail(std::move(done.error()))});
        return;
    }
    publish();
    if (b.kind == bind_destination::queue && !histories_.empty()) {
        replay_history(b);
    } else {
        finish_ok();
    }
}

void control::disconnect(const unbind& u) {
    const auto& asked = line_.front().asked->what;
    auto done = parts_.editor().unbind(asked.vhost, u, asked.from);
    if (!done) {
        finish({0, fail(std::move(done.error()))});
        return;
    }
    publish();
    finish_ok();
}

// ---- Subscribers -------------------------------------------------------------------------------

void control::subscribe(const core::subscribe& s) {
    fleeting_ = true;
    auto done = parts_.editor().subscribe(line_.front().asked->what.vhost, s);
    if (!done) {
        finish({0, fail(std::move(done.error()))});
        return;
    }
    publish();
    finish_ok();
}

void control::unsubscribe(const core::unsubscribe& s) {
    fleeting_ = true;
    static_cast<void>(parts_.editor().unsubscribe(line_.front().asked->what.vhost, s));
    publish();
    finish_ok();
}

void control::end(const end_subscriber& s) {
    fleeting_ = true;
    static_cast<void>(parts_.editor().remove_subscriber(line_.front().asked->what.vhost, s.sink));
    publish();
    finish_ok();
}

// ---- Queues ------------------------------------------------------------------------------------

void control::declare(const declare_queue& q) {
    const auto& asked = line_.front().asked->what;
    fleeting_ = !q.durable || q.exclusive;
    if (auto room = room_for(q.arguments); !room) {
        finish({0, fail(std::move(room.error()))});
        return;
    }
    auto checked = parts_.editor().check_declare_queue(asked.vhost, q, asked.from);
    if (!checked) {
        finish({0, fail(std::move(checked.error()))});
        return;
    }
    if (auto* spec = std::get_if<queue_spec>(&*checked)) {
        create(std::move(*spec));
        return;
    }
    const auto& entry = std::get<queue_entry>(*checked);
    ++home_.totals.queues_declared;
    ask_owner({owner_task_kind::inspect, entry.handle, {}, false, false, {}},
              [this, name = entry.spec.name](owner_answer&& a) {
                  finish({0, queue_info{name, a.handle, a.message_count, a.consumer_count}});
              });
}

void control::create(queue_spec spec) {
    name(spec);
    owner_task task{owner_task_kind::create, {}, spec, false, false, {}};
    ask_owner(std::move(task), [this, spec = std::move(spec)](owner_answer&& a) mutable {
        if (a.what == owner_answer::verdict::failed) {
            finish({0, fail(no_log(spec.name, a))});
            return;
        }
        auto name = spec.name;
        const auto uid = spec.uid;
        parts_.editor().add_queue(std::move(spec), a.handle);
        publish();
        vouch(uid, a.handle);
        ++home_.totals.queues_declared;
        ++home_.totals.queues_created;
        finish({0, queue_info{std::move(name), a.handle, 0, 0}});
    });
}

void control::remove(const delete_queue& q) {
    const auto& asked = line_.front().asked->what;
    auto checked = parts_.editor().check_delete_queue(asked.vhost, q, asked.from);
    if (!checked) {
        finish({0, fail(std::move(checked.error()))});
        return;
    }
    if (!*checked) {
        finish({0, queue_info{q.name, {}, 0, 0}});
        return;
    }
    const auto handle = (*checked)->handle;
    fleeting_ = !(*checked)->spec.durable;
    ask_owner({owner_task_kind::destroy, handle, {}, q.if_unused, q.if_empty, {}},
              [this, handle, name = q.name](owner_answer&& a) {
                  const auto vhost = parts_.editor().view().find_vhost(line_.front().asked->what.vhost);
                  const auto vhost_name = vhost == nullptr ? std::string_view{} : topology_view::name_of(*vhost);
                  if (a.what == owner_answer::verdict::in_use) {
                      finish({0, fail(error{error_kind::precondition_failed,
                                            fmt::format("queue '{}' in vhost '{}' in use", name, vhost_name)})});
                      return;
                  }
                  if (a.what == owner_answer::verdict::not_empty) {
                      finish({0, fail(error{error_kind::precondition_failed,
                                            fmt::format("queue '{}' in vhost '{}' not empty", name, vhost_name)})});
                      return;
                  }
                  static_cast<void>(parts_.editor().remove_queue(handle));
                  ++home_.totals.queues_deleted;
                  publish();
                  part(a);
                  finish({0, queue_info{name, handle, a.message_count, a.consumer_count}});
              });
}

void control::end_session() {
    fleeting_ = true;
    std::vector<queue_handle> own;
    for (const auto& entry : parts_.editor().queues_of_session(line_.front().asked->what.from)) {
        own.push_back(entry.handle);
    }
    destroy_next(std::move(own));
}

void control::destroy_next(std::vector<queue_handle> left) {
    while (!left.empty()) {
        const auto q = left.back();
        left.pop_back();
        static_cast<void>(parts_.editor().remove_queue(q));
        ++home_.totals.queues_deleted;
        publish();
        if (q.shard != home_.self.id()) {
            ask_owner({owner_task_kind::destroy, q, {}, false, false, {}},
                      [this, left = std::move(left)](owner_answer&&) mutable { destroy_next(std::move(left)); });
            return;
        }
        owner_task task{owner_task_kind::destroy, q, {}, false, false, {}};
        static_cast<void>(home_.do_owner_task(task));
    }
    finish_ok();
}

// ---- Recent history ----------------------------------------------------------------------------

void control::remember(message_ptr m, vhost_id vhost, std::string_view exchange) {
    const auto* v = parts_.editor().view().find_vhost(vhost);
    const auto* x = v == nullptr ? nullptr : topology_view::find_exchange(*v, exchange);
    if (x == nullptr) {
        return;
    }
    const auto is_it = [&](const auto& h) { return h->vhost == vhost && h->exchange == exchange; };
    auto at = std::ranges::find_if(histories_, is_it);
    if (at == histories_.end()) {
        at = histories_.insert(at, std::make_unique<history>(history{vhost, std::string(exchange), {}}));
    }
    (*at)->messages.push_back(std::move(m));
    while ((*at)->messages.size() > history_length(topology_view::spec_of(*x))) {
        (*at)->messages.pop_front();
    }
}

void control::replay_history(const bind& b) {
    const auto vhost = line_.front().asked->what.vhost;
    const auto is_it = [&](const auto& h) { return h->vhost == vhost && h->exchange == b.source; };
    const auto at = std::ranges::find_if(histories_, is_it);
    const auto* v = parts_.editor().view().find_vhost(vhost);
    const auto* entry = v == nullptr ? nullptr : topology_view::find_queue(*v, b.destination);
    if (at == histories_.end() || entry == nullptr) {
        finish_ok();
        return;
    }
    owner_task task{owner_task_kind::replay, entry->handle, {}, false, false, {}};
    for (const auto& m : (*at)->messages) {
        task.messages.push_back(m.share());
    }
    ask_owner(std::move(task), [this](owner_answer&&) { finish_ok(); });
}

}  // namespace linnet::core
