#include "broker/core/delay_tree.hpp"

#include <algorithm>

namespace linnet::core {

std::size_t delay_tree::leaf::lower_bound(position id) const noexcept {
    return static_cast<std::size_t>(std::lower_bound(ids.begin(), ids.begin() + count, id) - ids.begin());
}

void delay_tree::leaf::set(std::size_t i, const delay_entry& e) noexcept {
    ids[i] = e.id;
    where[i] = e.where;
    bytes[i] = e.bytes;
}

void delay_tree::leaf::insert(std::size_t i, const delay_entry& e) noexcept {
    std::copy_backward(ids.begin() + i, ids.begin() + count, ids.begin() + count + 1);
    std::copy_backward(where.begin() + i, where.begin() + count, where.begin() + count + 1);
    std::copy_backward(bytes.begin() + i, bytes.begin() + count, bytes.begin() + count + 1);
    set(i, e);
    ++count;
}

void delay_tree::leaf::erase(std::size_t i) noexcept {
    std::copy(ids.begin() + i + 1, ids.begin() + count, ids.begin() + i);
    std::copy(where.begin() + i + 1, where.begin() + count, where.begin() + i);
    std::copy(bytes.begin() + i + 1, bytes.begin() + count, bytes.begin() + i);
    --count;
}

void delay_tree::leaf::move_tail(std::size_t i, leaf& to) noexcept {
    std::copy(ids.begin() + i, ids.begin() + count, to.ids.begin() + to.count);
    std::copy(where.begin() + i, where.begin() + count, to.where.begin() + to.count);
    std::copy(bytes.begin() + i, bytes.begin() + count, to.bytes.begin() + to.count);
    to.count += count - static_cast<std::uint32_t>(i);
    count = static_cast<std::uint32_t>(i);
}

delay_tree::leaf_map::const_iterator delay_tree::leaf_for(position id) const noexcept {
    const auto after = leaves_.upper_bound(id);
    return after == leaves_.begin() ? after : std::prev(after);
}

delay_tree::leaf* delay_tree::leaf_with(position id, std::size_t& i) const noexcept {
    const auto at = leaf_for(id);
    if (at == leaves_.end()) {
        return nullptr;
    }
    i = at->second->lower_bound(id);
    return i < at->second->count && at->second->ids[i] == id ? at->second.get() : nullptr;
}

bool delay_tree::insert(const delay_entry& e) {
    auto at = leaf_for(e.id);
    if (at == leaves_.end()) {
        at = leaves_.emplace(0, std::make_unique<leaf>()).first;
    } else if (e.id < at->first) {
        // The leaf that was first has gone: the next one answers for all that is lower.
        auto taken = leaves_.extract(at);
        taken.key() = 0;
        at = leaves_.insert(std::move(taken)).position;
    }
    leaf* into = at->second.get();
    std::size_t i = into->lower_bound(e.id);
    if (i < into->count && into->ids[i] == e.id) {
        return false;
    }
    if (into->count == leaf_entries) {
        auto fresh = std::make_unique<leaf>();
        leaf* upper = fresh.get();
        if (i == leaf_entries) {
            // Behind everything of a full leaf: it stays full.
            leaves_.emplace(e.id, std::move(fresh));
            into = upper;
            i = 0;
        } else {
            into->move_tail(leaf_entries / 2, *upper);
            leaves_.emplace(upper->ids[0], std::move(fresh));
            if (i > into->count) {
                i -= into->count;
                into = upper;
            }
        }
    }
    into->insert(i, e);
    ++size_;
    return true;
}

std::optional<delay_entry> delay_tree::find(position id) const noexcept {
    std::size_t i = 0;
    const leaf* l = leaf_with(id, i);
    return l == nullptr ? std::nullopt : std::optional(l->at(i));
}

bool delay_tree::update(const delay_entry& e) noexcept {
    std::size_t i = 0;
    leaf* l = leaf_with(e.id, i);
    if (l != nullptr) {
        l->set(i, e);
    }
    return l != nullptr;
}

std::optional<delay_entry> delay_tree::erase(position id) noexcept {
    std::size_t i = 0;
    leaf* l = leaf_with(id, i);
    if (l == nullptr) {
        return std::nullopt;
    }
    const delay_entry e = l->at(i);
    l->erase(i);
    --size_;
    if (l->count < leaf_entries / 4) {
        const auto at = leaves_.find(leaf_for(id)->first);
        if (l->count == 0) {
            leaves_.erase(at);
        } else if (at != leaves_.begin()) {
            // The first leaf is left alone: it is being used up, and will be empty soon.
            merge_behind(std::prev(at));
        }
    }
    return e;
}

// Takes the next leaf into this one when there is ample room for both.
void delay_tree::merge_behind(leaf_map::iterator at) noexcept {
    const auto next = std::next(at);
    if (at->second->count + next->second->count <= leaf_entries * 3 / 4) {
        next->second->move_tail(0, *at->second);
        leaves_.erase(next);
    }
}

std::optional<delay_entry> delay_tree::first() const noexcept {
    return empty() ? std::nullopt : std::optional(leaves_.begin()->second->at(0));
}

std::size_t delay_tree::footprint() const noexcept {
    constexpr std::size_t map_node = sizeof(leaf_map::value_type) + 4 * sizeof(void*);
    return leaves_.size() * (sizeof(leaf) + map_node);
}

}  // namespace linnet::core
