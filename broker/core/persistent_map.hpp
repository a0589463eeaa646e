#pragma once

#include "broker/base/assert.hpp"
#include "broker/core/counted.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace linnet::core {

namespace detail {

// An inner node of a persistent_map: up to 32 children, packed; which ones are there says the bitmap.
// A bucket, below the last bits of the hash, holds leaves with one and the same hash in any order.
struct alignas(std::uintptr_t) map_branch : counted {  // its slots follow it
    std::uint32_t bitmap = 0;
    std::uint32_t count = 0;

    // A child: a branch, or a leaf with the lowest bit set.
    using slot = std::uintptr_t;
    [[nodiscard]] slot* slots() noexcept { return reinterpret_cast<slot*>(this + 1); }
    [[nodiscard]] const slot* slots() const noexcept { return reinterpret_cast<const slot*>(this + 1); }

    [[nodiscard]] static map_branch* make(std::uint32_t count) {
        void* block = ::operator new(sizeof(map_branch) + count * sizeof(slot));
        auto* b = new (block) map_branch;
        b->count = count;
        return b;
    }
    static void free(map_branch* b) noexcept {
        b->~map_branch();
        ::operator delete(b);
    }
};

}  // namespace detail

// An immutable map to counted leaves that share structure between versions: a hash trie of 32-way nodes.
//
// A copy is one pointer. Changing a copy copies the path from the root to the leaf and nothing else; a node
// that only this copy reaches is changed in place. A single leaf needs no node at all, so small maps inside
// other nodes cost 8 bytes.
//
// `Leaf` is counted, has a `hash` member, `is(key)` for look-ups and `same(leaf)` for replacement.
//
// Threads: changes and copies on the editor's; find() and for_each() on any, while the version lives.
// Bounds:  a look-up visits log32(size) nodes; leaves of equal hash are searched one after the other.
template <class Leaf>
class persistent_map {
    using branch = detail::map_branch;
    using slot = branch::slot;
    static constexpr unsigned bits_per_level = 5;
    static constexpr unsigned hash_bits = 64;

public:
    persistent_map() = default;
    persistent_map(const persistent_map& other) noexcept : root_(other.root_) { retain(root_); }
    persistent_map(persistent_map&& other) noexcept : root_(std::exchange(other.root_, 0)) {}
    persistent_map& operator=(persistent_map other) noexcept {
        std::swap(root_, other.root_);
        return *this;
    }
    ~persistent_map() { release(root_); }

    [[nodiscard]] bool empty() const noexcept { return root_ == 0; }

    template <class Key>
    [[nodiscard]] const Leaf* find(std::uint64_t hash, const Key& key) const noexcept {
        slot s = root_;
        for (unsigned shift = 0; s != 0; shift += bits_per_level) {
            if (is_leaf(s)) {
                const Leaf* leaf = leaf_of(s);
                return leaf->hash == hash && leaf->is(key) ? leaf : nullptr;
            }
            const branch* b = branch_of(s);
            if (shift >= hash_bits) {
                return find_in_bucket(*b, key);
            }
            const std::uint32_t bit = bit_of(hash, shift);
            s = (b->bitmap & bit) != 0 ? b->slots()[index_of(*b, bit)] : 0;
        }
        return nullptr;
    }

    // The leaf for changing, owned by this map alone; null when there is none.
    template <class Key>
    [[nodiscard]] Leaf* own(std::uint64_t hash, const Key& key) {
        if (find(hash, key) == nullptr) {
            return nullptr;  // a miss copies nothing
        }
        slot* s = &root_;
        for (unsigned shift = 0; !is_leaf(*s); shift += bits_per_level) {
            branch& b = own_branch(*s);
            s = shift >= hash_bits ? place_in_bucket(b, key) : &b.slots()[index_of(b, bit_of(hash, shift))];
        }
        if (leaf_of(*s)->references > 1) {
            auto copy = make_node<Leaf>(*leaf_of(*s));
            release(std::exchange(*s, slot_of(copy.detach())));
        }
        return leaf_of(*s);
    }

    // Adds the leaf, or puts it in the place of the one that is the same.
    void put(node_ref<Leaf> leaf) { put(root_, 0, leaf.detach()); }

    // False when there was none.
    template <class Key>
    bool erase(std::uint64_t hash, const Key& key) {
        if (find(hash, key) == nullptr) {
            return false;
        }
        erase(root_, 0, hash, key);
        return true;
    }

    template <class F>
    void for_each(F&& f) const {
        visit(root_, [&](const Leaf& leaf) {
            f(leaf);
            return true;
        });
    }
    // Stops when f returns false.
    template <class F>
    void for_each_while(F&& f) const {
        visit(root_, f);
    }
    // In an order that the hashes alone decide on, so that a walk can be broken off and go on in another version: the
    // leaves behind the hash `last`, or all. Stops when f returns false, but leaves of one hash are shown together.
    template <class F>
    void for_each_behind(std::optional<std::uint64_t> last, F&& f) const {
        visit_behind(root_, 0, last ? &*last : nullptr, f);
    }
    [[nodiscard]] std::size_t count() const noexcept {
        std::size_t n = 0;
        for_each([&](const Leaf&) { ++n; });
        return n;
    }

private:
    [[nodiscard]] static bool is_leaf(slot s) noexcept { return (s & 1) != 0; }
    [[nodiscard]] static Leaf* leaf_of(slot s) noexcept { return reinterpret_cast<Leaf*>(s & ~slot{1}); }
    [[nodiscard]] static branch* branch_of(slot s) noexcept { return reinterpret_cast<branch*>(s); }
    [[nodiscard]] static slot slot_of(Leaf* l) noexcept { return reinterpret_cast<slot>(l) | 1; }
    [[nodiscard]] static slot slot_of(branch* b) noexcept { return reinterpret_cast<slot>(b); }
    [[nodiscard]] static std::uint32_t bit_of(std::uint64_t hash, unsigned shift) noexcept {
        return std::uint32_t{1} << ((hash >> shift) & 31);
    }
    [[nodiscard]] static std::uint32_t index_of(const branch& b, std::uint32_t bit) noexcept {
        return static_cast<std::uint32_t>(std::popcount(b.bitmap & (bit - 1)));
    }

    static void retain(slot s) noexcept {
        if (s != 0) {
            ++(is_leaf(s) ? static_cast<counted*>(leaf_of(s)) : branch_of(s))->references;
        }
    }
    static void release(slot s) noexcept {
        if (s == 0) {
            return;
        }
        if (is_leaf(s)) {
            if (--leaf_of(s)->references == 0) {
                delete leaf_of(s);
            }
            return;
        }
        branch* b = branch_of(s);
        if (--b->references == 0) {
            for (std::uint32_t i = 0; i < b->count; ++i) {
                release(b->slots()[i]);
            }
            branch::free(b);
        }
    }

    template <class Key>
    [[nodiscard]] static const Leaf* find_in_bucket(const branch& b, const Key& key) noexcept {
        for (std::uint32_t i = 0; i < b.count; ++i) {
            if (leaf_of(b.slots()[i])->is(key)) {
                return leaf_of(b.slots()[i]);
            }
        }
        return nullptr;
    }
    template <class Key>
    [[nodiscard]] static slot* place_in_bucket(branch& b, const Key& key) noexcept {
        std::uint32_t i = 0;
        while (!leaf_of(b.slots()[i])->is(key)) {
            ++i;
        }
        return &b.slots()[i];
    }

    // A branch like b with room for `count` children; nothing filled in but the bitmap.
    [[nodiscard]] static branch* like(const branch& b, std::uint32_t count) {
        branch* made = branch::make(count);
        made->references = 1;
        made->bitmap = b.bitmap;
        return made;
    }
    // The branch in this slot, for changing: copied first when another version reaches it as well.
    static branch& own_branch(slot& s) {
        branch* b = branch_of(s);
        if (b->references == 1) {
            return *b;
        }
        branch* copy = like(*b, b->count);
        for (std::uint32_t i = 0; i < b->count; ++i) {
            copy->slots()[i] = b->slots()[i];
            retain(copy->slots()[i]);
        }
        --b->references;
        s = slot_of(copy);
        return *copy;
    }
    // Makes room at `index`; the children move when the branch was owned alone, else they are shared.
    static void insert_slot(slot& s, std::uint32_t index, slot child) {
        branch* old = branch_of(s);
        branch* wider = like(*old, old->count + 1);
        std::memcpy(wider->slots(), old->slots(), index * sizeof(slot));
        wider->slots()[index] = child;
        std::memcpy(wider->slots() + index + 1, old->slots() + index, (old->count - index) * sizeof(slot));
        give_up(old);
        s = slot_of(wider);
    }
    // Takes the child at `index` out; a branch left with a single leaf becomes that leaf.
    static void remove_slot(slot& s, std::uint32_t index, bool bucket) {
        branch* old = branch_of(s);
        const slot gone = old->slots()[index];
        const slot other = old->count == 2 ? old->slots()[1 - index] : 0;
        slot next = 0;
        if (old->count == 2 && is_leaf(other)) {
            next = other;
        } else if (old->count > 1) {
            branch* narrower = like(*old, old->count - 1);
            std::memcpy(narrower->slots(), old->slots(), index * sizeof(slot));
            std::memcpy(narrower->slots() + index, old->slots() + index + 1, (old->count - index - 1) * sizeof(slot));
            if (!bucket) {
                narrower->bitmap &= ~nth_bit(old->bitmap, index);
            }
            next = slot_of(narrower);
        }
        if (old->references == 1) {
            branch::free(old);  // its references moved to `next`
            release(gone);
        } else {
            --old->references;
            for (std::uint32_t i = 0; i < old->count; ++i) {
                if (i != index) {
                    retain(old->slots()[i]);  // held by both now
                }
            }
        }
        s = next;
    }
    // Ends this map's share in a branch whose children another has taken over, all of them.
    static void give_up(branch* old) noexcept {
        if (old->references == 1) {
            branch::free(old);
            return;
        }
        --old->references;
        for (std::uint32_t i = 0; i < old->count; ++i) {
            retain(old->slots()[i]);
        }
    }

    [[nodiscard]] static std::uint32_t nth_bit(std::uint32_t bitmap, std::uint32_t n) noexcept {
        for (; n > 0; --n) {
            bitmap &= bitmap - 1;
        }
        return bitmap & (~bitmap + 1);
    }

    static void put(slot& s, unsigned shift, Leaf* leaf) {
        if (s == 0) {
            s = slot_of(leaf);
        } else if (is_leaf(s)) {
            put_beside_leaf(s, shift, leaf);
        } else if (shift >= hash_bits) {
            put_in_bucket(s, leaf);
        } else {
            const std::uint32_t bit = bit_of(leaf->hash, shift);
            const std::uint32_t index = index_of(*branch_of(s), bit);
            if ((branch_of(s)->bitmap & bit) != 0) {
                put(own_branch(s).slots()[index], shift + bits_per_level, leaf);
            } else {
                insert_slot(s, index, slot_of(leaf));
                branch_of(s)->bitmap |= bit;
            }
        }
    }
    static void put_beside_leaf(slot& s, unsigned shift, Leaf* leaf) {
        if (leaf_of(s)->hash == leaf->hash && leaf_of(s)->same(*leaf)) {
            release(std::exchange(s, slot_of(leaf)));
            return;
        }
        branch* b = branch::make(1);
        b->references = 1;
        b->bitmap = shift >= hash_bits ? 0 : bit_of(leaf_of(s)->hash, shift);
        b->slots()[0] = s;
        s = slot_of(b);
        put(s, shift, leaf);
    }
    static void put_in_bucket(slot& s, Leaf* leaf) {
        const branch& b = *branch_of(s);
        for (std::uint32_t i = 0; i < b.count; ++i) {
            if (leaf_of(b.slots()[i])->same(*leaf)) {
                release(std::exchange(own_branch(s).slots()[i], slot_of(leaf)));
                return;
            }
        }
        insert_slot(s, b.count, slot_of(leaf));
    }

    template <class Key>
    static void erase(slot& s, unsigned shift, std::uint64_t hash, const Key& key) {
        if (is_leaf(s)) {
            release(std::exchange(s, 0));
            return;
        }
        const bool bucket = shift >= hash_bits;
        const branch& b = *branch_of(s);
        const auto index = bucket ? static_cast<std::uint32_t>(place_in_bucket(*branch_of(s), key) - b.slots())
                                  : index_of(b, bit_of(hash, shift));
        if (is_leaf(b.slots()[index])) {
            remove_slot(s, index, bucket);
            return;
        }
        slot& child = own_branch(s).slots()[index];
        erase(child, shift + bits_per_level, hash, key);
        if (branch_of(s)->count == 1 && is_leaf(child)) {
            const slot only = child;  // a chain that leads to one leaf is the leaf
            branch::free(branch_of(s));
            s = only;
        }
    }

    template <class F>
    static bool visit(slot s, F&& f) {
        if (s == 0) {
            return true;
        }
        if (is_leaf(s)) {
            return f(static_cast<const Leaf&>(*leaf_of(s)));
        }
        const branch& b = *branch_of(s);
        for (std::uint32_t i = 0; i < b.count; ++i) {
            if (!visit(b.slots()[i], f)) {
                return false;
            }
        }
        return true;
    }

    // `last`: null where everything lies behind it.
    template <class F>
    static bool visit_behind(slot s, unsigned shift, const std::uint64_t* last, F& f) {
        if (s == 0) {
            return true;
        }
        if (is_leaf(s)) {
            const Leaf& leaf = *leaf_of(s);
            return (last != nullptr && !is_behind(leaf.hash, *last, shift)) || f(leaf);
        }
        const branch& b = *branch_of(s);
        if (shift >= hash_bits) {
            return last != nullptr || visit_bucket(b, f);
        }
        const std::uint32_t from = last == nullptr ? 0 : index_of(b, bit_of(*last, shift));
        const bool leads_there = last != nullptr && (b.bitmap & bit_of(*last, shift)) != 0;
        for (std::uint32_t i = from; i < b.count; ++i) {
            if (!visit_behind(b.slots()[i], shift + bits_per_level, leads_there && i == from ? last : nullptr, f)) {
                return false;
            }
        }
        return true;
    }
    template <class F>
    static bool visit_bucket(const branch& b, F& f) {
        bool goes_on = true;
        for (std::uint32_t i = 0; i < b.count; ++i) {
            goes_on = f(static_cast<const Leaf&>(*leaf_of(b.slots()[i]))) && goes_on;
        }
        return goes_on;
    }
    // Both lie below the same branch at this depth.
    [[nodiscard]] static bool is_behind(std::uint64_t hash, std::uint64_t last, unsigned shift) noexcept {
        for (; shift < hash_bits; shift += bits_per_level) {
            const auto a = (hash >> shift) & 31;
            const auto b = (last >> shift) & 31;
            if (a != b) {
                return a > b;
            }
        }
        return false;
    }

    slot root_ = 0;
};

}  // namespace linnet::core
