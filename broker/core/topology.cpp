#include "broker/core/topology.hpp"

#include "broker/core/property_reader.hpp"
#include "broker/core/rabbit_text.hpp"
#include "broker/core/route_scratch.hpp"
#include "broker/core/topology_nodes.hpp"

namespace linnet::core {

std::string_view to_text(exchange_type type) noexcept {
    switch (type) {
        case exchange_type::direct: return "direct";
        case exchange_type::fanout: return "fanout";
        case exchange_type::topic: return "topic";
        case exchange_type::headers: return "headers";
        case exchange_type::consistent_hash: return "x-consistent-hash";
        case exchange_type::modulus_hash: return "x-modulus-hash";
        case exchange_type::random: return "x-random";
        case exchange_type::local_random: return "x-local-random";
        case exchange_type::recent_history: return "x-recent-history";
        case exchange_type::delayed: return "x-delayed-message";
    }
    return {};
}

exchange_table table_of(exchange_type type) noexcept {
    switch (type) {
        case exchange_type::direct: return exchange_table::by_key;
        case exchange_type::topic: return exchange_table::by_topic;
        case exchange_type::fanout:
        case exchange_type::headers:
        case exchange_type::consistent_hash:
        case exchange_type::modulus_hash:
        case exchange_type::random:
        case exchange_type::local_random:
        case exchange_type::recent_history:
        case exchange_type::delayed: break;
    }
    return exchange_table::all;
}

void route_scratch_deleter::operator()(route_scratch* s) const noexcept { delete s; }
route_scratch_ptr make_route_scratch() { return route_scratch_ptr(new route_scratch); }

std::uint64_t topology_view::version() const noexcept { return root_->version; }

const vhost_node* topology_view::find_vhost(std::string_view name) const noexcept {
    const vhost_name_node* named = root_->names.find(text_hash(name), name);
    return named == nullptr ? nullptr : find_vhost(named->id);
}
const vhost_node* topology_view::find_vhost(vhost_id id) const noexcept {
    return root_->vhosts.find(vhost_node::hash_of(id), id);
}
const exchange_node* topology_view::find_exchange(const vhost_node& v, std::string_view name) noexcept {
    return v.exchanges.find(text_hash(name), name);
}
const queue_entry* topology_view::find_queue(const vhost_node& v, std::string_view name) noexcept {
    const queue_node* q = v.queues.find(text_hash(name), name);
    return q == nullptr ? nullptr : &q->info->entry;
}
durable_name topology_view::name_of(queue_handle q) const noexcept {
    const durable_queue_node* named = root_->durable_queues.find(durable_queue_node::hash_of(q), q);
    return named == nullptr ? durable_name{} : named->name;
}
vhost_id topology_view::id_of(const vhost_node& v) noexcept { return v.id; }
std::string_view topology_view::name_of(const vhost_node& v) noexcept { return v.name; }
const exchange_spec& topology_view::spec_of(const exchange_node& x) noexcept { return x.info->spec; }
const vhost_limits& topology_view::limits_of(const vhost_node& v) noexcept { return v.limits; }

outcome<vhost_seat> topology_view::take_seat(const vhost_node& v, std::string_view user) {
    const auto most = v.limits.connections_max;
    if (!v.population->enter(most)) {
        return fail(make_error(error_kind::quota_exceeded,
                               "access to vhost '{}' refused for user '{}': connection limit ({}) is reached", v.name,
                               user, *most));
    }
    return vhost_seat(v.population);
}

const access_rules* topology_view::rules_of(std::string_view user, vhost_id vhost) const noexcept {
    const vhost_node* v = find_vhost(vhost);
    const rules_node* found = v == nullptr ? nullptr : v->users.find(text_hash(user), user);
    return found == nullptr || !found->grants_access ? nullptr : found->rules.get();
}

targets topology_view::targets_of(const route_scratch& s) noexcept { return s.found.all(); }
std::span<const std::string> topology_view::delays_of(const route_scratch& s) noexcept { return s.delays; }

}  // namespace linnet::core
