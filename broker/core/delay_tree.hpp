#pragma once

#include "broker/core/ids.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>

namespace linnet::core {

// A delayed message as its store remembers it.
struct delay_entry {
    position id = 0;          // sorts by the time when it is due
    std::uint64_t where = 0;  // the store's business: where the message is
    std::uint32_t bytes = 0;  // likewise
};

// Entries in the order of their ids, made for millions of them: sorted leaves of 64 in three packed arrays, found
// through a map of the leaves. What arrives in order (one delay for all, the common case) fills leaves to the
// brim; what arrives at random leaves them two thirds full, so an entry costs 21 to 32 bytes.
//
// Threads: one.
// Owns:    its leaves. What `where` means is its owner's affair.
// Bounds:  insert, find, erase O(log n).
class delay_tree {
public:
    // False when there is one of that id already.
    bool insert(const delay_entry& e);
    [[nodiscard]] std::optional<delay_entry> find(position id) const noexcept;
    // False when there is none of that id.
    bool update(const delay_entry& e) noexcept;
    std::optional<delay_entry> erase(position id) noexcept;
    [[nodiscard]] std::optional<delay_entry> first() const noexcept;

    // Entries from `from` on, until `f` says false.
    template <class F>
    void for_each(position from, F&& f) const {
        for (auto at = leaf_for(from); at != leaves_.end(); ++at) {
            const leaf& l = *at->second;
            for (std::size_t i = l.lower_bound(from); i < l.count; ++i) {
                if (!f(l.at(i))) {
                    return;
                }
            }
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    // Memory held, allocator's overhead aside.
    [[nodiscard]] std::size_t footprint() const noexcept;

private:
    static constexpr std::size_t leaf_entries = 64;
    struct leaf {
        std::array<position, leaf_entries> ids;
        std::array<std::uint64_t, leaf_entries> where;
        std::array<std::uint32_t, leaf_entries> bytes;
        std::uint32_t count = 0;

        [[nodiscard]] std::size_t lower_bound(position id) const noexcept;
        [[nodiscard]] delay_entry at(std::size_t i) const noexcept { return {ids[i], where[i], bytes[i]}; }
        void set(std::size_t i, const delay_entry& e) noexcept;
        void insert(std::size_t i, const delay_entry& e) noexcept;
        void erase(std::size_t i) noexcept;
        // Moves what lies from `i` on behind the end of `to`.
        void move_tail(std::size_t i, leaf& to) noexcept;
    };
    // By the lowest id that belongs there; the first one takes what is lower still.
    using leaf_map = std::map<position, std::unique_ptr<leaf>>;

    [[nodiscard]] leaf_map::const_iterator leaf_for(position id) const noexcept;
    [[nodiscard]] leaf* leaf_with(position id, std::size_t& i) const noexcept;
    void merge_behind(leaf_map::iterator at) noexcept;

    leaf_map leaves_;
    std::size_t size_ = 0;
};

}  // namespace linnet::core
