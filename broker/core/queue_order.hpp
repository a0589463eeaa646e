#pragma once

#include "broker/core/topology_nodes.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {

// A vhost's queues in the order of their names (bytes), so that a page of them is found without looking at the others.
//
// Blocks of some hundred pointers: a name is searched in the blocks' first ones and then within a block; a rank, by
// adding up the blocks' sizes. A tree would seek faster and cost several times the memory; what is sought here is a
// page for people.
//
// Threads: the editor's.
// Owns:    nothing: the records are the editor's, which takes each out of here before it lets go of it.
// Bounds:  8 to 32 bytes a queue where there are many; where there are few, a block's head and what it grew to once, up
//          to 4 KiB; a change moves at most one block and, seldom, the list of blocks.
class queue_order {
public:
    static constexpr std::size_t block_max = 512;

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    void insert(const queue_record& q);
    // In the place of the one of that name, which is there.
    void replace(const queue_record& q) noexcept;
    // It is there.
    void erase(std::string_view name);

    // How many come before that name; it need not be there.
    [[nodiscard]] std::size_t count_before(std::string_view name) const noexcept;
    [[nodiscard]] bool holds(std::string_view name) const noexcept;

    // The queues from that rank on, upwards; or those before it, downwards. Until f returns false.
    template <class F>
    void up_from(std::size_t rank, F&& f) const {
        std::size_t b = 0;
        for (; b < blocks_.size() && rank >= blocks_[b].size(); ++b) {
            rank -= blocks_[b].size();
        }
        for (; b < blocks_.size(); ++b, rank = 0) {
            const auto& block = blocks_[b];
            for (std::size_t i = rank; i < block.size(); ++i) {
                fetch_ahead(block, i + fetched_ahead, i + fetched_ahead / 2);
                if (!f(block[i]->entry)) {
                    return;
                }
            }
        }
    }
    template <class F>
    void down_from(std::size_t rank, F&& f) const {
        std::size_t b = blocks_.size();
        for (std::size_t behind = size_ - std::min(rank, size_); b != 0; --b) {
            const auto& block = blocks_[b - 1];
            if (behind >= block.size()) {
                behind -= block.size();
                continue;
            }
            for (std::size_t i = block.size() - std::exchange(behind, 0); i != 0; --i) {
                fetch_ahead(block, i - 1 - fetched_ahead, i - 1 - fetched_ahead / 2);
                if (!f(block[i - 1]->entry)) {
                    return;
                }
            }
        }
    }

private:
    using block = std::vector<const queue_record*>;
    struct place {
        std::size_t block;
        std::size_t index;
    };
    // Where that name is, or would be put.
    [[nodiscard]] place seek(std::string_view name) const noexcept;
    [[nodiscard]] bool is_at(place at, std::string_view name) const noexcept;
    void split(std::size_t b);
    void merge(std::size_t b);

    // Hardly one of a hundred thousand is in a cache: first the record, then, when that has come, its name.
    static constexpr std::size_t fetched_ahead = 16;
    static void fetch_ahead(const block& in, std::size_t record, std::size_t name) noexcept {
        if (record < in.size()) {
            __builtin_prefetch(&in[record]->entry.spec.name);
        }
        if (name < in.size()) {
            __builtin_prefetch(in[name]->entry.spec.name.data());
        }
    }

    std::vector<block> blocks_;  // none is empty
    std::size_t size_ = 0;
};

}  // namespace linnet::core
