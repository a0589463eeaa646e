#pragma once

#include "broker/core/topology_nodes.hpp"

#include <string_view>

// Where a binding sits in its source exchange, whatever the exchange's table is.

namespace linnet::core {

// The exchange is the editor's own; the binding's key was checked by pattern_of_key().
void attach(exchange_node& source, const node_ref<binding_node>& b);
void detach(exchange_node& source, const binding_node& b);

// Every binding from this exchange, in no order.
template <class F>
void for_each_binding(const topic_node& n, F&& f) {
    for (const binding_set* s : {&n.here, &n.many0_here, &n.many1_here}) {
        s->for_each(f);
    }
    n.literals.for_each([&](const topic_node& child) { for_each_binding(child, f); });
    for (const topic_node* child : {n.one.get(), n.many0.get()}) {
        if (child != nullptr) {
            for_each_binding(*child, f);
        }
    }
}
template <class F>
void for_each_binding(const exchange_node& x, F&& f) {
    x.bindings.for_each(f);
    x.keys.for_each([&](const key_node& k) { k.bindings.for_each(f); });
    if (x.topics) {
        for_each_binding(*x.topics, f);
    }
}

}  // namespace linnet::core
