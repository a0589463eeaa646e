#include "broker/core/topic_tree.hpp"

#include <span>

namespace linnet::core {

namespace {

using levels = std::span<const pattern_level>;

// The set that a pattern with these levels left belongs to, when it ends at this node.
[[nodiscard]] binding_set* end_of(topic_node& n, levels left) noexcept {
    if (left.empty()) {
        return &n.here;
    }
    if (left.size() == 1 && left.front().kind == edge::many0) {
        return &n.many0_here;
    }
    return left.front().kind == edge::many1 ? &n.many1_here : nullptr;
}

void add(topic_node& n, levels left, node_ref<binding_node> binding);

void add_below(node_ref<topic_node>& child, levels left, node_ref<binding_node> binding) {
    if (!child) {
        child = make_node<topic_node>(std::string_view{});
    }
    add(child.own(), left, std::move(binding));
}

// The child that a wildcard which is not the last leads to; null for a literal.
[[nodiscard]] node_ref<topic_node>* wildcard_child(topic_node& n, edge kind) noexcept {
    switch (kind) {
        case edge::one: return &n.one;
        case edge::many0:
        case edge::many1: return &n.many0;
        case edge::literal: break;
    }
    return nullptr;
}

void add(topic_node& n, levels left, node_ref<binding_node> binding) {
    if (binding_set* end = end_of(n, left)) {
        end->put(std::move(binding));
        n.note_rare();
        return;
    }
    const pattern_level first = left.front();
    if (auto* child = wildcard_child(n, first.kind)) {
        add_below(*child, left.subspan(1), std::move(binding));
        n.note_rare();
        return;
    }
    const auto hash = text_hash(first.text);
    topic_node* child = n.literals.own(hash, first.text);
    if (child == nullptr) {
        auto made = make_node<topic_node>(first.text);
        add(made.own(), left.subspan(1), std::move(binding));
        n.literals.put(std::move(made));
        return;
    }
    add(*child, left.subspan(1), std::move(binding));
}

void remove(topic_node& n, levels left, const binding_node& binding);

// A node that holds nothing any more goes, so that the tree is never larger than its patterns.
void remove_below(node_ref<topic_node>& child, levels left, const binding_node& binding) {
    topic_node& n = child.own();
    remove(n, left, binding);
    if (n.empty()) {
        child = {};
    }
}

void remove(topic_node& n, levels left, const binding_node& binding) {
    if (binding_set* end = end_of(n, left)) {
        end->erase(binding.hash, binding.identity());
        n.note_rare();
        return;
    }
    const pattern_level first = left.front();
    if (auto* child = wildcard_child(n, first.kind)) {
        remove_below(*child, left.subspan(1), binding);
        n.note_rare();
        return;
    }
    const auto hash = text_hash(first.text);
    topic_node* child = n.literals.own(hash, first.text);
    LINNET_ASSERT(child != nullptr, "no level '{}' in the tree for a binding that is there", first.text);
    remove(*child, left.subspan(1), binding);
    if (child->empty()) {
        n.literals.erase(hash, first.text);
    }
}

}  // namespace

void add_pattern(node_ref<topic_node>& tree, const pattern& p, node_ref<binding_node> binding) {
    add_below(tree, p.levels, std::move(binding));
}

void remove_pattern(node_ref<topic_node>& tree, const pattern& p, const binding_node& binding) {
    remove_below(tree, p.levels, binding);
}

}  // namespace linnet::core
