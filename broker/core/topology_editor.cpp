#include "broker/core/topology_editor.hpp"

#include "broker/core/address.hpp"
#include "broker/core/bindings.hpp"
#include "broker/core/declaration_checks.hpp"
#include "broker/core/equivalence.hpp"
#include "broker/core/exchange_arguments.hpp"
#include "broker/core/policy_set.hpp"
#include "broker/core/queue_arguments.hpp"
#include "broker/core/queue_order.hpp"
#include "broker/core/rabbit_text.hpp"
#include "broker/core/standard_exchanges.hpp"
#include "broker/core/topology_describe.hpp"
#include "broker/core/topology_nodes.hpp"
#include "broker/core/user_rules.hpp"

#include <boost/unordered/unordered_flat_map.hpp>
#include <fmt/format.h>

#include <algorithm>

namespace linnet::core {

namespace {

struct vhost_policies {
    policy_set user;
    policy_set operators;
};

// A binding held beyond its removal from the tables.
[[nodiscard]] node_ref<binding_node> hold(const binding_node& b) {
    return node_ref<binding_node>(const_cast<binding_node*>(&b));  // only its count changes
}
[[nodiscard]] std::vector<node_ref<binding_node>> hold_all(const binding_set& set) {
    std::vector<node_ref<binding_node>> held;
    set.for_each([&](const binding_node& b) { held.push_back(hold(b)); });
    return held;
}

// RabbitMQ keeps tables sorted, so that the order of sending does not make another binding.
[[nodiscard]] value_table sorted(value_table t) {
    std::ranges::stable_sort(t, {}, &value_table::value_type::first);
    return t;
}

// A binding as asked for, in the form that identifies it.
struct asked_binding {
    std::string key;
    bool hide_dollar = false;
    value_table arguments;

    template <class Request>
    [[nodiscard]] binding_identity identity(const Request& r) const noexcept {
        return {r.source, r.destination, r.kind, key, hide_dollar, &arguments};
    }
};

template <class Request>
[[nodiscard]] asked_binding read_binding(const Request& r) {
    return {r.routing_key, hides_dollar(r.syntax, r.routing_key), sorted(r.arguments)};
}

// The default exchange binds every queue by its name and nothing else.
template <class Request>
[[nodiscard]] bool touches_default_exchange(const Request& r) noexcept {
    return r.source.empty() || (r.kind == bind_destination::exchange && r.destination.empty());
}

}  // namespace

struct topology_editor::state {
    struct queue_place {
        vhost_id vhost;
        std::string name;
    };

    topology_limits limits;
    node_ref<topology_root> root = make_node<topology_root>();
    bool changed = true;
    std::uint32_t last_vhost = 0;
    boost::unordered_flat_map<queue_handle, queue_place, handle_hash> queues;
    boost::unordered_flat_map<session_handle, std::vector<queue_handle>, handle_hash> exclusive;
    boost::unordered_flat_map<std::uint32_t, vhost_policies> policies;
    queue_orders orders;
    definition_listener* listener = nullptr;

    // ---- Telling -------------------------------------------------------------------------------
    // `make` gives the definition; it is made only where somebody listens.
    template <class Make>
    void tell_defined(Make&& make) const {
        if (listener != nullptr) {
            listener->on_defined(make());
        }
    }
    template <class Make>
    void tell_removed(Make&& make) const {
        if (listener != nullptr) {
            listener->on_removed(make());
        }
    }

    // Nobody has heard of a subscriber's.
    void tell_unbound(const vhost_node& v, const binding_node& b) const {
        if (b.kind != bind_destination::subscriber) {
            tell_removed([&] { return definition_of(v, b); });
        }
    }

    [[nodiscard]] const vhost_node* vhost(vhost_id v) const noexcept {
        return root->vhosts.find(vhost_node::hash_of(v), v);
    }
    // For changing; it must be there.
    [[nodiscard]] vhost_node& own_vhost(vhost_id v) {
        changed = true;
        vhost_node* found = root.own().vhosts.own(vhost_node::hash_of(v), v);
        LINNET_ASSERT(found != nullptr, "vhost {} is gone", v.value);
        return *found;
    }
    [[nodiscard]] static exchange_node& own_exchange(vhost_node& v, std::string_view name) {
        exchange_node* found = v.exchanges.own(text_hash(name), name);
        LINNET_ASSERT(found != nullptr, "exchange '{}' is gone", name);
        return *found;
    }
    [[nodiscard]] static queue_node& own_queue(vhost_node& v, std::string_view name) {
        queue_node* found = v.queues.own(text_hash(name), name);
        LINNET_ASSERT(found != nullptr, "queue '{}' is gone", name);
        return *found;
    }
    [[nodiscard]] static const queue_node* queue_in(const vhost_node& v, std::string_view name) noexcept {
        return v.queues.find(text_hash(name), name);
    }

    // ---- Bindings ------------------------------------------------------------------------------
    // The set in which its destination keeps the binding; null when the destination is not there.
    [[nodiscard]] static const binding_set* inbound_of(const vhost_node& v, bind_destination kind,
                                                       std::string_view name) noexcept {
        if (kind == bind_destination::queue) {
            const queue_node* q = queue_in(v, name);
            return q == nullptr ? nullptr : &q->bindings;
        }
        const exchange_node* x = topology_view::find_exchange(v, name);
        return x == nullptr ? nullptr : &x->inbound;
    }
    [[nodiscard]] static binding_set& own_inbound(vhost_node& v, const binding_node& b) {
        return b.kind == bind_destination::queue ? own_queue(v, b.destination()).bindings
                                                 : own_exchange(v, b.destination()).inbound;
    }
    // The destination's half of what its source lets go of.
    static void forget_inbound(vhost_node& v, const binding_node& b) {
        if (b.kind != bind_destination::subscriber) {
            own_inbound(v, b).erase(b.hash, b.identity());
            return;
        }
        const auto hash = handle_hash{}(b.queue);
        subscriber_node* s = v.subscribers.own(hash, b.queue);
        LINNET_ASSERT(s != nullptr, "subscriber '{}' is gone", b.destination());
        s->bindings.erase(b.hash, b.identity());
        if (s->bindings.empty()) {
            v.subscribers.erase(hash, b.queue);
        }
    }

    // `asked` is the binding in the form that identifies it.
    [[nodiscard]] outcome<void> bind(const vhost_node& vhost, const core::bind& what, session_handle from,
                                     const asked_binding& asked, const topology_limits& within) {
        if (touches_default_exchange(what)) {
            return fail(default_exchange_refused());
        }
        const exchange_node* source = topology_view::find_exchange(vhost, what.source);
        if (source == nullptr) {
            return fail(no_exchange(what.source, vhost.name));
        }
        const binding_set* inbound = inbound_of(vhost, what.kind, what.destination);
        if (inbound == nullptr) {
            return fail(what.kind == bind_destination::queue ? no_queue(what.destination, vhost.name)
                                                             : no_exchange(what.destination, vhost.name));
        }
        const exchange_type type = source->info->routes_as;
        const auto terms = check_binding(type, asked.key, asked.arguments);
        if (!terms) {
            return fail(terms.error());
        }
        const auto pattern = table_of(type) == exchange_table::by_topic ? parse_pattern(asked.key) : core::pattern{};
        if (!pattern) {
            return fail(too_many_levels());
        }
        queue_handle to;
        bool durable = source->info->spec.durable;
        if (what.kind == bind_destination::queue) {
            const queue_node* q = queue_in(vhost, what.destination);
            if (auto open = check_exclusive(q->info->entry.spec, from, match::lax, vhost.name); !open) {
                return open;
            }
            to = q->handle;
            durable = durable && q->info->entry.spec.durable;
        } else {
            durable = durable && topology_view::find_exchange(vhost, what.destination)->info->spec.durable;
        }
        const binding_identity identity = asked.identity(what);
        const bool there = inbound->find(identity.hash(), identity) != nullptr;
        if (there) {
            return {};
        }
        if (auto room = check_room_for_pattern(*source, *pattern, within); !room) {
            return room;
        }
        auto made = make_node<binding_node>(identity, to, terms->match, terms->weight);
        made.own().durable = durable;
        vhost_node& owned = own_vhost(vhost.id);
        attach(own_exchange(owned, what.source), made);
        own_inbound(owned, *made).put(made);
        tell_defined([&] { return definition_of(owned, *made); });
        return {};
    }

    [[nodiscard]] outcome<void> bind(const binding_definition& what, const topology_limits& within) {
        const vhost_node* there = topology_view(root.get()).find_vhost(what.vhost);
        if (there == nullptr) {
            return fail(no_vhost());
        }
        const core::bind asked{what.source, what.destination, what.kind, what.routing_key, what.arguments};
        return bind(*there, asked, {}, {what.routing_key, what.hide_dollar, sorted(what.arguments)}, within);
    }

    // Exchanges that lost their last binding and go with it. A line instead of recursion: a user can make
    // a chain of any length.
    struct departure {
        std::vector<std::string> line;
        fallen gone;
    };

    void remove_from_source(vhost_node& v, const binding_node& b, departure& d) const {
        tell_unbound(v, b);
        exchange_node& x = own_exchange(v, b.source());
        detach(x, b);
        if (x.outbound_count == 0 && x.info->spec.auto_delete) {
            d.line.push_back(x.info->spec.name);
        }
    }
    void remove_exchange(vhost_node& v, const std::string& name, departure& d) const {
        const exchange_node* x = topology_view::find_exchange(v, name);
        if (x == nullptr) {
            return;  // it was in line twice
        }
        for (const auto& b : hold_all(x->inbound)) {
            if (b->source() != name) {
                remove_from_source(v, *b, d);
            }
        }
        std::vector<node_ref<binding_node>> outbound;
        for_each_binding(*topology_view::find_exchange(v, name),
                         [&](const binding_node& b) { outbound.push_back(hold(b)); });
        for (const auto& b : outbound) {
            tell_unbound(v, *b);
            if (b->kind != bind_destination::exchange || b->destination() != name) {
                forget_inbound(v, *b);
            }
        }
        tell_removed([&] { return definition_of(v, *topology_view::find_exchange(v, name)); });
        v.exchanges.erase(text_hash(name), std::string_view(name));
        --v.exchange_count;
    }
    fallen settle(vhost_node& v, departure d) const {
        while (!d.line.empty()) {
            const std::string name = std::move(d.line.back());
            d.line.pop_back();
            if (topology_view::find_exchange(v, name) != nullptr) {
                remove_exchange(v, name, d);
                d.gone.exchanges.push_back(name);
            }
        }
        return std::move(d.gone);
    }

    // Those of subscribers, at both ends.
    fallen end_bindings(vhost_id v, const std::vector<node_ref<binding_node>>& ending) {
        if (ending.empty()) {
            return {};
        }
        vhost_node& owned = own_vhost(v);
        departure d;
        for (const auto& b : ending) {
            forget_inbound(owned, *b);
            remove_from_source(owned, *b, d);
        }
        return settle(owned, std::move(d));
    }

    // ---- Policies ------------------------------------------------------------------------------
    [[nodiscard]] const vhost_policies* policies_of(vhost_id v) const noexcept {
        const auto at = policies.find(v.value);
        return at == policies.end() ? nullptr : &at->second;
    }
    // Works out what arguments and policies make of a queue.
    void apply_policies(queue_spec& q) const {
        const vhost_policies* p = policies_of(q.vhost);
        const queue_type type = queue_type_of(q.arguments);
        const policy* user = p == nullptr ? nullptr : p->user.for_queue(q.name, type);
        const policy* operators = p == nullptr ? nullptr : p->operators.for_queue(q.name, type);
        q.policy = user == nullptr ? "" : user->name;
        q.operator_policy = operators == nullptr ? "" : operators->name;
        q.settings = settings_from(q.arguments, effective_definition(user, operators));
    }
    void apply_policies(exchange_record& x, vhost_id v) const {
        const vhost_policies* p = policies_of(v);
        const policy* user = p == nullptr ? nullptr : p->user.for_exchange(x.spec.name);
        const policy* operators = p == nullptr ? nullptr : p->operators.for_exchange(x.spec.name);
        x.policy = user == nullptr ? "" : user->name;
        x.operator_policy = operators == nullptr ? "" : operators->name;
        const value_table laid_over = effective_definition(user, operators);
        const value* alternate = find(x.spec.arguments, "alternate-exchange");
        alternate = alternate == nullptr ? find(laid_over, "alternate-exchange") : alternate;
        const std::string* name = alternate == nullptr ? nullptr : alternate->as_string();
        x.spec.alternate_exchange = name == nullptr ? std::nullopt : std::optional(*name);
    }
    [[nodiscard]] std::vector<queue_entry> reapply_to_queues(vhost_id v) {
        std::vector<queue_entry> updated;
        vhost(v)->queues.for_each([&](const queue_node& q) {
            queue_entry next = q.info->entry;
            apply_policies(next.spec);
            if (next.spec.policy != q.info->entry.spec.policy ||
                next.spec.operator_policy != q.info->entry.spec.operator_policy ||
                next.spec.settings != q.info->entry.spec.settings) {
                updated.push_back(std::move(next));
            }
        });
        std::vector<queue_entry> told;
        for (auto& entry : updated) {
            queue_node& q = own_queue(own_vhost(v), entry.spec.name);
            const bool differs = entry.spec.settings != q.info->entry.spec.settings;
            auto made = make_node<queue_record>();
            made.own().entry = entry;
            orders.find(vhost(v)->name)->second.replace(*made);  // before the one that it knows may go
            q.info = std::move(made);
            if (differs) {
                told.push_back(std::move(entry));
            }
        }
        return told;
    }
    void reapply_to_exchanges(vhost_id v) {
        std::vector<node_ref<exchange_record>> updated;
        vhost(v)->exchanges.for_each([&](const exchange_node& x) {
            auto next = make_node<exchange_record>(*x.info);
            apply_policies(next.own(), v);
            if (next->policy != x.info->policy || next->operator_policy != x.info->operator_policy ||
                next->spec.alternate_exchange != x.info->spec.alternate_exchange) {
                updated.push_back(std::move(next));
            }
        });
        for (auto& info : updated) {
            exchange_node& x = own_exchange(own_vhost(v), info->spec.name);
            x.info = std::move(info);
        }
    }
    [[nodiscard]] std::vector<queue_entry> reapply(vhost_id v) {
        reapply_to_exchanges(v);
        return reapply_to_queues(v);
    }

    [[nodiscard]] policy_set& policies_for(vhost_id v, policy_kind kind) {
        vhost_policies& all = policies[v.value];
        return kind == policy_kind::user ? all.user : all.operators;
    }
    [[nodiscard]] outcome<std::vector<queue_entry>> set_policy(vhost_id v, policy p, policy_kind kind) {
        if (vhost(v) == nullptr) {
            return fail(no_vhost());
        }
        if (const policy* there = policies_for(v, kind).find(p.name); there != nullptr && *there == p) {
            return std::vector<queue_entry>{};
        }
        if (auto good = policies_for(v, kind).set(p, kind); !good) {
            return fail(good.error());
        }
        tell_defined([&] { return policy_definition{vhost(v)->name, kind, std::move(p)}; });
        return reapply(v);
    }
    [[nodiscard]] outcome<std::vector<queue_entry>> remove_policy(vhost_id v, std::string_view name, policy_kind kind) {
        if (vhost(v) == nullptr) {
            return fail(no_vhost());
        }
        if (!policies_for(v, kind).remove(name)) {
            return fail(make_error(error_kind::not_found, "{} '{}' not found",
                                   kind == policy_kind::user ? "policy" : "operator policy", name));
        }
        tell_removed([&] {
            policy_definition gone{vhost(v)->name, kind, {}};
            gone.what.name = name;
            return gone;
        });
        return reapply(v);
    }

    // ---- Rights --------------------------------------------------------------------------------
    [[nodiscard]] const user_rules& rules(vhost_id v, std::string_view user) const {
        static const user_rules none;
        const rules_node* found = vhost(v)->users.find(text_hash(user), user);
        return found == nullptr ? none : *found->rules;
    }
    void set_rules(vhost_id v, std::string_view user, std::shared_ptr<const user_rules> next) {
        vhost_node& owned = own_vhost(v);
        if (next->empty()) {
            owned.users.erase(text_hash(user), user);
            return;
        }
        auto made = make_node<rules_node>(user);
        made.own().grants_access = next->grants_access();
        made.own().rules = std::move(next);
        owned.users.put(std::move(made));
    }

    void leave_order(const std::string& vhost, std::string_view queue) {
        const auto at = orders.find(vhost);
        at->second.erase(queue);
        if (at->second.size() == 0) {
            orders.erase(at);
        }
    }
    void forget_queue(const queue_entry& q) {
        queues.erase(q.handle);
        root.own().durable_queues.erase(durable_queue_node::hash_of(q.handle), q.handle);
        const auto at = exclusive.find(q.spec.exclusive_to);
        if (at == exclusive.end()) {
            return;
        }
        std::erase(at->second, q.handle);
        if (at->second.empty()) {
            exclusive.erase(at);
        }
    }
};

topology_editor::topology_editor(topology_limits limits) : state_(std::make_unique<state>()) {
    state_->limits = limits;
    state_->root.own().version = 0;
}
topology_editor::~topology_editor() { owner_.release(); }

// ---- Versions ----------------------------------------------------------------------------------

topology_view topology_editor::view() const noexcept { return topology_view(state_->root.get()); }
bool topology_editor::changed() const noexcept { return state_->changed; }

const topology_root* topology_editor::commit() {
    owner_.check();
    ++state_->root.own().version;
    state_->changed = false;
    return node_ref(state_->root).detach();
}

void release_topology(const topology_root* root) noexcept {
    // Takes over the reference that commit() gave away.
    auto* node = const_cast<topology_root*>(root);
    const node_ref<topology_root> last(node);
    --node->references;
}

const topology_root& topology_editor::root() const noexcept { return *state_->root; }
const queue_orders& topology_editor::queues_in_order() const noexcept { return state_->orders; }

std::unique_ptr<topology_editor> topology_editor::fork() const {
    owner_.check();
    auto made = std::make_unique<topology_editor>();
    *made->state_ = *state_;
    made->state_->listener = nullptr;
    return made;
}

void topology_editor::listen(definition_listener* who) noexcept { state_->listener = who; }

void topology_editor::set_limits(topology_limits limits) noexcept { state_->limits = limits; }

// ---- Virtual hosts -----------------------------------------------------------------------------

void topology_editor::set_last_vhost(std::uint32_t number) noexcept {
    state_->last_vhost = std::max(state_->last_vhost, number);
}

vhost_id topology_editor::add_vhost(std::string_view name, std::uint32_t number) {
    owner_.check();
    if (const vhost_node* there = view().find_vhost(name)) {
        return there->id;
    }
    const bool is_free = number != 0 && view().find_vhost(vhost_id{number}) == nullptr;
    const vhost_id id{is_free ? number : state_->last_vhost + 1};
    set_last_vhost(id.value);
    auto made = make_node<vhost_node>(id, name);
    add_standard_exchanges(made.own());
    topology_root& root = state_->root.own();
    root.vhosts.put(std::move(made));
    root.names.put(make_node<vhost_name_node>(name, id));
    state_->changed = true;
    state_->tell_defined([&] { return vhost_definition{std::string(name), id.value}; });
    return id;
}

outcome<void> topology_editor::set_vhost_limits(vhost_id v, const vhost_limits& l) {
    owner_.check();
    const vhost_node* there = state_->vhost(v);
    if (there == nullptr) {
        return fail(no_vhost());
    }
    if (there->limits != l) {
        state_->own_vhost(v).limits = l;
        const auto told = [&] { return vhost_limits_definition{state_->vhost(v)->name, l}; };
        l.empty() ? state_->tell_removed(told) : state_->tell_defined(told);
    }
    return {};
}

outcome<std::vector<queue_entry>> topology_editor::remove_vhost(std::string_view name) {
    owner_.check();
    const vhost_node* v = view().find_vhost(name);
    if (v == nullptr) {
        return fail(make_error(error_kind::not_found, "vhost '{}' not found", name));
    }
    const vhost_id id = v->id;
    std::vector<queue_entry> queues;
    v->queues.for_each([&](const queue_node& q) { queues.push_back(q.info->entry); });
    for (const auto& q : queues) {
        state_->forget_queue(q);
    }
    state_->orders.erase(v->name);
    state_->policies.erase(id.value);
    state_->tell_removed([&] { return vhost_definition{std::string(name), id.value}; });
    topology_root& root = state_->root.own();
    root.vhosts.erase(vhost_node::hash_of(id), id);
    root.names.erase(text_hash(name), name);
    state_->changed = true;
    return queues;
}

// ---- Exchanges ---------------------------------------------------------------------------------

outcome<void> topology_editor::declare_exchange(vhost_id v, const core::declare_exchange& what) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    if (vhost == nullptr) {
        return fail(no_vhost());
    }
    const exchange_node* there = view().find_exchange(*vhost, what.name);
    if (what.absent == if_absent::fail) {
        if (what.name.empty()) {
            return fail(default_exchange_refused());
        }
        return there != nullptr ? outcome<void>{} : fail(no_exchange(what.name, vhost->name));
    }
    const auto type = check_exchange_type(what.type);
    if (!type) {
        return fail(type.error());
    }
    if (what.name.empty()) {
        return fail(default_exchange_refused());
    }
    if (there != nullptr) {
        return same_exchange(there->info->spec, what, vhost->name);
    }
    if (what.name.starts_with("amq.")) {
        return fail(reserved_name("exchange", what.name));
    }
    if (auto fits = check_name_length("exchange", what.name); !fits) {
        return fits;
    }
    auto info = check_exchange(what, *type, vhost->name);
    if (!info) {
        return fail(info.error());
    }
    if (auto room = check_room_for_exchange(what.name, *vhost, state_->limits, standard_exchange_count); !room) {
        return room;
    }
    state_->apply_policies(info->own(), v);
    vhost_node& owned = state_->own_vhost(v);
    owned.exchanges.put(make_node<exchange_node>(std::move(*info)));
    ++owned.exchange_count;
    state_->tell_defined([&] { return definition_of(owned, *view().find_exchange(owned, what.name)); });
    return {};
}

outcome<fallen> topology_editor::delete_exchange(vhost_id v, const core::delete_exchange& what) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    if (vhost == nullptr) {
        return fail(no_vhost());
    }
    if (what.name.empty()) {
        return fail(default_exchange_refused());
    }
    if (what.name.starts_with("amq.")) {
        return fail(make_error(error_kind::access_refused, "deletion of system {} not allowed",
                               exchange_text(what.name, vhost->name)));
    }
    const exchange_node* x = view().find_exchange(*vhost, what.name);
    if (x == nullptr) {
        return fallen{};
    }
    if (what.if_unused && x->outbound_count > 0) {
        return fail(make_error(error_kind::precondition_failed, "{} in use", exchange_text(what.name, vhost->name)));
    }
    vhost_node& owned = state_->own_vhost(v);
    state::departure d;
    state_->remove_exchange(owned, what.name, d);
    return state_->settle(owned, std::move(d));
}

// ---- Bindings ----------------------------------------------------------------------------------

outcome<void> topology_editor::bind(vhost_id v, const core::bind& what, session_handle from) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    if (vhost == nullptr) {
        return fail(no_vhost());
    }
    if (what.routing_key.size() > binding_key_bytes_max) {
        return fail(
            make_error(error_kind::precondition_failed, "binding key is longer than {} bytes", binding_key_bytes_max));
    }
    return state_->bind(*vhost, what, from, read_binding(what), state_->limits);
}

outcome<void> topology_editor::restore_binding(const binding_definition& what) {
    owner_.check();
    return state_->bind(what, topology_limits{});
}

outcome<void> topology_editor::import_binding(const binding_definition& what) {
    owner_.check();
    return state_->bind(what, state_->limits);
}

outcome<fallen> topology_editor::unbind(vhost_id v, const core::unbind& what, session_handle from) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    if (vhost == nullptr) {
        return fail(no_vhost());
    }
    if (touches_default_exchange(what)) {
        return fail(default_exchange_refused());
    }
    const auto asked = read_binding(what);
    const binding_set* inbound = state::inbound_of(*vhost, what.kind, what.destination);
    const binding_identity identity = asked.identity(what);
    const binding_node* found = inbound == nullptr ? nullptr : inbound->find(identity.hash(), identity);
    if (found == nullptr) {
        return fallen{};
    }
    if (what.kind == bind_destination::queue) {
        const queue_node* q = state::queue_in(*vhost, what.destination);
        if (auto open = check_exclusive(q->info->entry.spec, from, match::lax, vhost->name); !open) {
            return fail(open.error());
        }
    }
    const auto binding = hold(*found);
    vhost_node& owned = state_->own_vhost(v);
    state::own_inbound(owned, *binding).erase(binding->hash, binding->identity());
    state::departure d;
    state_->remove_from_source(owned, *binding, d);
    return state_->settle(owned, std::move(d));
}

// ---- Subscribers -------------------------------------------------------------------------------

namespace {

// A subscriber's binding as it is to be, by one pattern.
struct subscription {
    std::string sink;
    bool hide_dollar;
    const value_table none{};

    subscription(queue_handle to, pattern_syntax syntax, std::string_view pattern)
        : sink(fmt::format("{}.{}.{}", to.shard.value, to.slot, to.generation)),
          hide_dollar(hides_dollar(syntax, pattern)) {}
    [[nodiscard]] binding_identity identity(std::string_view source, std::string_view pattern) const noexcept {
        return {source, sink, bind_destination::subscriber, pattern, hide_dollar, &none};
    }
};

}  // namespace

outcome<void> topology_editor::subscribe(vhost_id v, const core::subscribe& what) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    if (vhost == nullptr) {
        return fail(no_vhost());
    }
    const exchange_node* source = view().find_exchange(*vhost, what.source);
    if (source == nullptr) {
        return fail(no_exchange(what.source, vhost->name));
    }
    if (table_of(source->info->routes_as) != exchange_table::by_topic) {
        return fail(make_error(error_kind::precondition_failed, "{} takes no patterns",
                               exchange_text(what.source, vhost->name)));
    }
    for (const auto& pattern : what.patterns) {
        if (!parse_pattern(pattern)) {
            return fail(too_many_levels());
        }
    }
    vhost_node& owned = state_->own_vhost(v);
    const auto hash = handle_hash{}(what.sink);
    if (!what.patterns.empty() && owned.subscribers.find(hash, what.sink) == nullptr) {
        owned.subscribers.put(make_node<subscriber_node>(what.sink));
    }
    for (const auto& pattern : what.patterns) {
        const subscription s(what.sink, what.syntax, pattern);
        const auto identity = s.identity(what.source, pattern);
        subscriber_node& to = *owned.subscribers.own(hash, what.sink);
        if (to.bindings.find(identity.hash(), identity) == nullptr) {
            auto made = make_node<binding_node>(identity, what.sink, header_match::all, 1);
            attach(state::own_exchange(owned, what.source), made);
            to.bindings.put(std::move(made));
        }
    }
    return {};
}

fallen topology_editor::unsubscribe(vhost_id v, const core::unsubscribe& what) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    std::vector<node_ref<binding_node>> ending;
    for (const auto& pattern : what.patterns) {
        const subscription s(what.sink, what.syntax, pattern);
        const auto identity = s.identity(what.source, pattern);
        const auto* from = vhost == nullptr ? nullptr : vhost->subscribers.find(handle_hash{}(what.sink), what.sink);
        if (const auto* found = from == nullptr ? nullptr : from->bindings.find(identity.hash(), identity)) {
            ending.push_back(hold(*found));
        }
    }
    return state_->end_bindings(v, ending);
}

fallen topology_editor::remove_subscriber(vhost_id v, queue_handle sink) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    const auto* s = vhost == nullptr ? nullptr : vhost->subscribers.find(handle_hash{}(sink), sink);
    return s == nullptr ? fallen{} : state_->end_bindings(v, hold_all(s->bindings));
}

// ---- Queues ------------------------------------------------------------------------------------

outcome<topology_editor::declared_queue> topology_editor::check_declare_queue(vhost_id v,
                                                                              const core::declare_queue& what,
                                                                              session_handle from) const {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    if (vhost == nullptr) {
        return fail(no_vhost());
    }
    if (what.absent == if_absent::fail) {
        auto there = check_queue(v, what.name, from);
        return there ? outcome<declared_queue>(std::move(*there)) : fail(there.error());
    }
    if (auto good = check_queue_name(what); !good) {
        return fail(good.error());
    }
    if (const queue_node* there = state::queue_in(*vhost, what.name)) {
        if (auto same = same_queue(there->info->entry.spec, what, from, vhost->name); !same) {
            return fail(same.error());
        }
        return there->info->entry;
    }
    if (auto room = check_room_for_queue(what.name, *vhost, state_->limits, state_->queues.size()); !room) {
        return fail(room.error());
    }
    const std::string resource = queue_text(what.name, vhost->name);
    if (auto good = check_dead_letter_type(what, resource); !good) {
        return fail(good.error());
    }
    // An exclusive queue goes with its session, so it cannot be durable, whatever was asked.
    const bool durable = what.durable && !what.exclusive;
    if (auto good = check_queue_arguments({resource, durable, what.exclusive, what.auto_delete, what.arguments});
        !good) {
        return fail(good.error());
    }
    queue_spec spec;
    spec.name = what.name;
    spec.vhost = v;
    spec.durable = durable;
    spec.auto_delete = what.auto_delete;
    spec.exclusive_to = what.exclusive ? from : session_handle{};
    spec.arguments = what.arguments;
    state_->apply_policies(spec);
    return spec;
}

void topology_editor::add_queue(queue_spec spec, queue_handle where) {
    owner_.check();
    vhost_node& v = state_->own_vhost(spec.vhost);
    LINNET_ASSERT(state::queue_in(v, spec.name) == nullptr, "queue '{}' is there already", spec.name);
    const auto [at, fresh] = state_->queues.try_emplace(where, state::queue_place{spec.vhost, spec.name});
    LINNET_ASSERT(fresh, "queue '{}' has the place of '{}'", spec.name, at->second.name);
    if (spec.exclusive_to) {
        state_->exclusive[spec.exclusive_to].push_back(where);
    }
    state_->tell_defined([&] { return definition_of(v, spec); });
    if (spec.durable && spec.uid != 0 && (spec.uid & fleeting_owner) == 0) {
        state_->root.own().durable_queues.put(
            make_node<durable_queue_node>(where, durable_name{.uid = spec.uid, .log = spec.log}));
    }
    auto info = make_node<queue_record>();
    info.own().entry = {where, std::move(spec)};
    state_->orders[v.name].insert(*info);
    v.queues.put(make_node<queue_node>(std::move(info)));
    ++v.queue_count;
}

outcome<queue_entry> topology_editor::check_queue(vhost_id v, std::string_view name, session_handle from) const {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    if (vhost == nullptr) {
        return fail(no_vhost());
    }
    const queue_node* q = state::queue_in(*vhost, name);
    if (q == nullptr) {
        return fail(no_queue(name, vhost->name));
    }
    if (auto open = check_exclusive(q->info->entry.spec, from, match::lax, vhost->name); !open) {
        return fail(open.error());
    }
    return q->info->entry;
}

outcome<std::optional<queue_entry>> topology_editor::check_delete_queue(vhost_id v, const core::delete_queue& what,
                                                                        session_handle from) const {
    auto there = check_queue(v, what.name, from);
    if (!there) {
        return there.error().kind == error_kind::not_found && state_->vhost(v) != nullptr
                   ? outcome<std::optional<queue_entry>>(std::nullopt)
                   : fail(there.error());
    }
    // A replicated queue cannot say at one moment that it is unused or empty.
    const bool quorum = there->spec.settings.type == queue_type::quorum;
    if (quorum && (what.if_unused || what.if_empty)) {
        return fail(make_error(error_kind::not_implemented,
                               "cannot delete {}. queue.delete operations with {} flag set are not supported by quorum "
                               "queues",
                               queue_text(what.name, state_->vhost(v)->name),
                               what.if_unused ? "if-unused" : "if-empty"));
    }
    return std::optional(std::move(*there));
}

fallen topology_editor::remove_queue(vhost_id v, std::string_view name) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    const queue_node* q = vhost == nullptr ? nullptr : state::queue_in(*vhost, name);
    if (q == nullptr) {
        return {};
    }
    const auto bindings = hold_all(q->bindings);
    state_->tell_removed([&] { return definition_of(*vhost, q->info->entry.spec); });
    state_->forget_queue(q->info->entry);
    const std::string kept(name);  // the name may lie in the node that goes
    vhost_node& owned = state_->own_vhost(v);
    state_->leave_order(owned.name, kept);
    owned.queues.erase(text_hash(kept), std::string_view(kept));
    --owned.queue_count;
    state::departure d;
    for (const auto& b : bindings) {
        state_->remove_from_source(owned, *b, d);
    }
    return state_->settle(owned, std::move(d));
}

fallen topology_editor::remove_queue(queue_handle where) {
    const auto at = state_->queues.find(where);
    if (at == state_->queues.end()) {
        return {};
    }
    const state::queue_place place = at->second;
    return remove_queue(place.vhost, place.name);
}

const queue_entry* topology_editor::find_queue(queue_handle where) const noexcept {
    const auto at = state_->queues.find(where);
    return at == state_->queues.end() ? nullptr
                                      : topology_view::find_queue(*state_->vhost(at->second.vhost), at->second.name);
}

std::vector<queue_entry> topology_editor::queues_of_session(session_handle owner) const {
    std::vector<queue_entry> found;
    if (const auto at = state_->exclusive.find(owner); at != state_->exclusive.end()) {
        for (const queue_handle q : at->second) {
            found.push_back(*find_queue(q));
        }
    }
    return found;
}

// ---- Rights ------------------------------------------------------------------------------------

outcome<void> topology_editor::set_permissions(std::string_view user, vhost_id v, const permission_patterns& p) {
    owner_.check();
    if (state_->vhost(v) == nullptr) {
        return fail(no_vhost());
    }
    const user_rules& now = state_->rules(v, user);
    if (now.grants_access() && now.asked_permissions() == p) {
        return {};
    }
    auto next = now.with_permissions(p);
    if (!next) {
        return fail(next.error());
    }
    state_->set_rules(v, user, std::move(*next));
    state_->tell_defined([&] { return permission_definition{state_->vhost(v)->name, std::string(user), p}; });
    return {};
}

void topology_editor::clear_permissions(std::string_view user, vhost_id v) {
    owner_.check();
    if (state_->vhost(v) != nullptr && state_->rules(v, user).grants_access()) {
        state_->set_rules(v, user, state_->rules(v, user).without_permissions());
        state_->tell_removed([&] { return permission_definition{state_->vhost(v)->name, std::string(user), {}}; });
    }
}

outcome<void> topology_editor::set_topic_permissions(std::string_view user, vhost_id v, std::string_view exchange,
                                                     const topic_patterns& p) {
    owner_.check();
    const vhost_node* vhost = state_->vhost(v);
    if (vhost == nullptr) {
        return fail(no_vhost());
    }
    const user_rules& now = state_->rules(v, user);
    if (const auto* there = now.asked_topic(exchange); there != nullptr && *there == p) {
        return {};
    }
    auto next = now.with_topic(exchange, p, {user, vhost->name});
    if (!next) {
        return fail(next.error());
    }
    state_->set_rules(v, user, std::move(*next));
    state_->tell_defined([&] {
        return topic_permission_definition{state_->vhost(v)->name, std::string(user), std::string(exchange), p};
    });
    return {};
}

void topology_editor::clear_topic_permissions(std::string_view user, vhost_id v, std::string_view exchange) {
    owner_.check();
    if (state_->vhost(v) != nullptr && state_->rules(v, user).asked_topic(exchange) != nullptr) {
        state_->set_rules(v, user, state_->rules(v, user).without_topic(exchange));
        state_->tell_removed([&] {
            return topic_permission_definition{state_->vhost(v)->name, std::string(user), std::string(exchange), {}};
        });
    }
}

void topology_editor::remove_user(std::string_view user) {
    owner_.check();
    std::vector<vhost_id> vhosts;
    state_->root->vhosts.for_each([&](const vhost_node& v) {
        if (v.users.find(text_hash(user), user) != nullptr) {
            vhosts.push_back(v.id);
        }
    });
    for (const vhost_id v : vhosts) {
        std::vector<std::string> exchanges;
        state_->rules(v, user).for_each_topic(
            [&](const std::string& exchange, const auto&) { exchanges.push_back(exchange); });
        for (const auto& exchange : exchanges) {
            clear_topic_permissions(user, v, exchange);
        }
        clear_permissions(user, v);
    }
}

// ---- Policies ----------------------------------------------------------------------------------

outcome<std::vector<queue_entry>> topology_editor::set_policy(vhost_id v, policy p) {
    owner_.check();
    return state_->set_policy(v, std::move(p), policy_kind::user);
}

outcome<std::vector<queue_entry>> topology_editor::set_operator_policy(vhost_id v, policy p) {
    owner_.check();
    return state_->set_policy(v, std::move(p), policy_kind::operators);
}

outcome<std::vector<queue_entry>> topology_editor::remove_policy(vhost_id v, std::string_view name) {
    owner_.check();
    return state_->remove_policy(v, name, policy_kind::user);
}

outcome<std::vector<queue_entry>> topology_editor::remove_operator_policy(vhost_id v, std::string_view name) {
    owner_.check();
    return state_->remove_policy(v, name, policy_kind::operators);
}

void topology_editor::for_each_policy(vhost_id v, const std::function<void(policy_kind, const policy&)>& f) const {
    if (const vhost_policies* p = state_->policies_of(v); p != nullptr) {
        p->user.for_each([&](const policy& one) { f(policy_kind::user, one); });
        p->operators.for_each([&](const policy& one) { f(policy_kind::operators, one); });
    }
}

}  // namespace linnet::core
