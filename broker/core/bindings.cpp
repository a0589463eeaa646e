#include "broker/core/bindings.hpp"

#include "broker/base/assert.hpp"

namespace linnet::core {

namespace {

void attach_by_key(exchange_node& x, const node_ref<binding_node>& b) {
    const auto hash = text_hash(b->key());
    if (key_node* k = x.keys.own(hash, b->key())) {
        k->bindings.put(b);
        return;
    }
    auto made = make_node<key_node>(b->key());
    made.own().bindings.put(b);
    x.keys.put(std::move(made));
}

void detach_by_key(exchange_node& x, const binding_node& b) {
    const auto hash = text_hash(b.key());
    key_node* k = x.keys.own(hash, b.key());
    LINNET_ASSERT(k != nullptr, "binding '{}' is not in its exchange", b.key());
    k->bindings.erase(b.hash, b.identity());
    if (k->bindings.empty()) {
        x.keys.erase(hash, b.key());
    }
}

[[nodiscard]] pattern pattern_of(const binding_node& b) {
    auto p = parse_pattern(b.key());
    LINNET_ASSERT(p.has_value(), "a binding key of too many levels was let in");
    return std::move(*p);
}

}  // namespace

void attach(exchange_node& source, const node_ref<binding_node>& b) {
    switch (table_of(source.info->routes_as)) {
        case exchange_table::by_key: attach_by_key(source, b); break;
        case exchange_table::by_topic:
            source.roaming_count += static_cast<std::uint64_t>(add_pattern(source.topics, pattern_of(*b), b));
            break;
        case exchange_table::all: source.bindings.put(b); break;
    }
    ++source.outbound_count;
}

void detach(exchange_node& source, const binding_node& b) {
    switch (table_of(source.info->routes_as)) {
        case exchange_table::by_key: detach_by_key(source, b); break;
        case exchange_table::by_topic:
            source.roaming_count += static_cast<std::uint64_t>(remove_pattern(source.topics, pattern_of(b), b));
            break;
        case exchange_table::all: source.bindings.erase(b.hash, b.identity()); break;
    }
    --source.outbound_count;
}

}  // namespace linnet::core
