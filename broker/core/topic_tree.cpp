#include "broker/core/topic_tree.hpp"

#include <span>

namespace linnet::core {

namespace {

using levels = std::span<const pattern_level>;

// A "rest of the key" hangs on the node before it.
[[nodiscard]] bool ends(levels left) noexcept {
    return left.empty() || (left.size() == 1 && left.front().kind == edge::many0) || left.front().kind == edge::many1;
}

// The set that a pattern with these levels left belongs to, when it ends at this node.
[[nodiscard]] binding_set* end_of(topic_node& n, levels left) noexcept {
    if (!ends(left)) {
        return nullptr;
    }
    if (left.empty()) {
        return &n.here;
    }
    return left.front().kind == edge::many0 ? &n.many0_here : &n.many1_here;
}

// The wildcards on the way to a node.
struct trail {
    std::size_t wildcards = 0;
    bool any_number = false;

    [[nodiscard]] bool roams() const noexcept { return any_number && wildcards > 1; }
    [[nodiscard]] trail then(edge kind) const noexcept {
        const bool literal = kind == edge::literal;
        return {wildcards + (literal ? 0U : 1U), any_number || (!literal && kind != edge::one)};
    }
};

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

std::ptrdiff_t add(topic_node& n, levels left, trail way, node_ref<binding_node> binding);

std::ptrdiff_t add_below(node_ref<topic_node>& child, levels left, trail way, node_ref<binding_node> binding) {
    if (!child) {
        child = make_node<topic_node>(std::string_view{});
    }
    return add(child.own(), left, way, std::move(binding));
}

std::ptrdiff_t add(topic_node& n, levels left, trail way, node_ref<binding_node> binding) {
    if (binding_set* end = end_of(n, left)) {
        end->put(std::move(binding));
        n.note_rare();
        return 0;
    }
    const pattern_level first = left.front();
    const trail on = way.then(first.kind);
    const std::ptrdiff_t mine = way.roams() && !n.leads_on() ? 1 : 0;
    if (auto* child = wildcard_child(n, first.kind)) {
        const auto below = add_below(*child, left.subspan(1), on, std::move(binding));
        n.note_rare();
        return mine + below;
    }
    const auto hash = text_hash(first.text);
    topic_node* child = n.literals.own(hash, first.text);
    if (child == nullptr) {
        auto made = make_node<topic_node>(first.text);
        const auto below = add(made.own(), left.subspan(1), on, std::move(binding));
        n.literals.put(std::move(made));
        return mine + below;
    }
    return mine + add(*child, left.subspan(1), on, std::move(binding));
}

std::ptrdiff_t remove(topic_node& n, levels left, trail way, const binding_node& binding);

// A node that holds nothing any more goes, so that the tree is never larger than its patterns.
std::ptrdiff_t remove_below(node_ref<topic_node>& child, levels left, trail way, const binding_node& binding) {
    topic_node& n = child.own();
    const auto fewer = remove(n, left, way, binding);
    if (n.empty()) {
        child = {};
    }
    return fewer;
}

std::ptrdiff_t remove(topic_node& n, levels left, trail way, const binding_node& binding) {
    if (binding_set* end = end_of(n, left)) {
        end->erase(binding.hash, binding.identity());
        n.note_rare();
        return 0;
    }
    const pattern_level first = left.front();
    const trail on = way.then(first.kind);
    std::ptrdiff_t fewer = 0;
    if (auto* child = wildcard_child(n, first.kind)) {
        fewer = remove_below(*child, left.subspan(1), on, binding);
        n.note_rare();
    } else {
        const auto hash = text_hash(first.text);
        topic_node* literal = n.literals.own(hash, first.text);
        LINNET_ASSERT(literal != nullptr, "no level '{}' in the tree for a binding that is there", first.text);
        fewer = remove(*literal, left.subspan(1), on, binding);
        if (literal->empty()) {
            n.literals.erase(hash, first.text);
        }
    }
    return fewer - (way.roams() && !n.leads_on() ? 1 : 0);
}

[[nodiscard]] const topic_node* child_of(const topic_node& n, const pattern_level& by) noexcept {
    switch (by.kind) {
        case edge::one: return n.one.get();
        case edge::many0:
        case edge::many1: return n.many0.get();
        case edge::literal: break;
    }
    return n.literals.find(text_hash(by.text), by.text);
}

}  // namespace

std::ptrdiff_t add_pattern(node_ref<topic_node>& tree, const pattern& p, node_ref<binding_node> binding) {
    return add_below(tree, p.levels, {}, std::move(binding));
}

std::ptrdiff_t remove_pattern(node_ref<topic_node>& tree, const pattern& p, const binding_node& binding) {
    return remove_below(tree, p.levels, {}, binding);
}

std::size_t roaming_nodes_for(const topic_node* tree, const pattern& p) noexcept {
    std::size_t more = 0;
    trail way;
    const topic_node* n = tree;
    for (levels left = p.levels; !ends(left); left = left.subspan(1)) {
        more += way.roams() && (n == nullptr || !n->leads_on()) ? 1 : 0;
        n = n == nullptr ? nullptr : child_of(*n, left.front());
        way = way.then(left.front().kind);
    }
    return more;
}

}  // namespace linnet::core
