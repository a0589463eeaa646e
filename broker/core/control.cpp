#include "broker/core/control.hpp"

#include "broker/core/shard_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace linnet::core {

namespace {

// Exclusive queues live with their session; all others are spread by name, so that a client which declares
// a thousand queues over one connection uses every core (decision 0003).
[[nodiscard]] shard_id home_of(const queue_spec& spec, std::uint16_t shards) {
    if (spec.exclusive_to) {
        return spec.exclusive_to.shard;
    }
    std::uint64_t hash = 0xcbf29ce484222325ULL ^ spec.vhost.value;
    for (const char c : spec.name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return shard_id{static_cast<std::uint16_t>((hash >> 17) % shards)};
}

constexpr std::size_t history_default = 20;  // the recent-history exchange's own default

[[nodiscard]] std::size_t history_length(const exchange_spec& spec) {
    const value* length = find(spec.arguments, "x-recent-history-length");
    const auto* n = length == nullptr ? nullptr : length->as_integer();
    return n == nullptr || *n <= 0 ? history_default : static_cast<std::size_t>(*n);
}

template <class... F>
struct overloaded : F... {
    using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

}  // namespace

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

void control::publish() { parts_.publish_topology(); }

void control::finish(reply&& r) {
    const auto& asked = line_.front().asked;
    if (asked != nullptr && asked->what.from) {
        r.cookie = asked->what.cookie;
        home_.answer(asked->what.from, std::move(r));
    }
}

void control::finish_ok() { finish({0, std::monostate{}}); }

void control::begin(job& j) {
    auto& editor = parts_.editor();
    if (j.change) {
        auto changed = j.change(editor);
        publish();
        apply_next(std::move(changed));
        return;
    }
    if (j.answer != nullptr) {
        home_.answer(j.to, std::move(*j.answer));
        return;
    }
    if (j.asked == nullptr) {
        // It may have found a consumer again, or gone, since it asked.
        if (const auto* entry = editor.find_queue(j.unused); entry != nullptr) {
            ask_owner({owner_task_kind::destroy, j.unused, {}, true, false, {}},
                      [this, q = j.unused](owner_answer&& a) {
                          if (a.what != owner_answer::verdict::in_use) {
                              static_cast<void>(parts_.editor().remove_queue(q));
                              publish();
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
                   // Queue requests go to owners, not here.
                   [this](const purge_queue&) { finish_ok(); },
                   [this](const consume&) { finish_ok(); },
                   [this](const cancel&) { finish_ok(); },
                   [this](const get&) { finish_ok(); },
               },
               j.asked->what.body);
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

// ---- Queues ------------------------------------------------------------------------------------

void control::declare(const declare_queue& q) {
    const auto& asked = line_.front().asked->what;
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
    ask_owner({owner_task_kind::inspect, entry.handle, {}, false, false, {}},
              [this, name = entry.spec.name](owner_answer&& a) {
                  finish({0, queue_info{name, a.handle, a.message_count, a.consumer_count}});
              });
}

void control::create(queue_spec spec) {
    owner_task task{owner_task_kind::create, {}, spec, false, false, {}};
    ask_owner(std::move(task), [this, spec = std::move(spec)](owner_answer&& a) mutable {
        auto name = spec.name;
        parts_.editor().add_queue(std::move(spec), a.handle);
        publish();
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
                  publish();
                  finish({0, queue_info{name, handle, a.message_count, a.consumer_count}});
              });
}

void control::end_session() {
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
