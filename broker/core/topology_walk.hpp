#pragma once

#include "broker/core/bindings.hpp"
#include "broker/core/topology.hpp"
#include "broker/core/topology_nodes.hpp"

#include <string_view>

// Listings: every function calls f on each thing of one version, in no order. f must not keep references
// beyond the turn. For management; routing does not come here.
//
// Threads: any that may read the version. Bounds: the size of what is listed.

namespace linnet::core {

// One binding, as people see it.
struct binding_view {
    std::string_view source;
    std::string_view destination;
    bind_destination kind;
    std::string_view routing_key;
    const value_table& arguments;
};
[[nodiscard]] inline binding_view view_of(const binding_node& b) noexcept {
    return {b.source(), b.destination(), b.kind, b.key(), b.arguments};
}

template <class F>
void for_each_vhost(const topology_root& root, F&& f) {
    root.vhosts.for_each(f);
}
template <class F>
void for_each_exchange(const vhost_node& v, F&& f) {
    v.exchanges.for_each([&](const exchange_node& x) { f(x.info->spec, x); });
}
template <class F>
void for_each_queue(const vhost_node& v, F&& f) {
    v.queues.for_each([&](const queue_node& q) { f(q.info->entry); });
}
// Declared ones only: that the default exchange leads to every queue is left out, and so are subscribers.
template <class F>
void for_each_binding_from(const exchange_node& x, F&& f) {
    for_each_binding(x, [&](const binding_node& b) {
        if (b.kind != bind_destination::subscriber) {
            f(view_of(b));
        }
    });
}
template <class F>
void for_each_binding_to(const exchange_node& x, F&& f) {
    x.inbound.for_each([&](const binding_node& b) { f(view_of(b)); });
}
template <class F>
void for_each_binding_of_queue(const vhost_node& v, std::string_view queue, F&& f) {
    if (const queue_node* q = v.queues.find(text_hash(queue), queue)) {
        q->bindings.for_each([&](const binding_node& b) { f(view_of(b)); });
    }
}

}  // namespace linnet::core
