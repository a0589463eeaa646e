#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/item_ring.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace linnet::core {

// What becomes of a message whose delivery failed: it is tried again only after a pause that grows.
struct retry_policy {
    static constexpr mono_ns max_default = 24 * 3600 * ns_per_s;
    static constexpr double factor_default = 2.0;

    mono_ns base = 0;  // the first pause
    double factor = factor_default;
    mono_ns max = max_default;
    std::uint32_t limit = std::numeric_limits<std::uint32_t>::max();  // so many attempts, then it is dead

    bool operator==(const retry_policy&) const = default;
    // After the `failed`-th attempt (from 1): base * factor^(failed - 1), at most max.
    [[nodiscard]] mono_ns pause_after(std::uint32_t failed) const noexcept;
    [[nodiscard]] bool exhausted(std::uint32_t failed) const noexcept { return failed >= limit; }
};

// Messages of a queue that wait for their next attempt, by the time when it comes. They are neither ready nor lent.
//
// Threads: the queue's.
// Bounds:  48 bytes a message; in and out O(log n).
class retry_line {
public:
    void add(mono_ns due, queue_item&& item);
    // The next one whose time has come; items of one time in the order of their positions.
    [[nodiscard]] std::optional<queue_item> take_due(mono_ns now);
    // When take_due() has something again. Of an empty line: never.
    [[nodiscard]] mono_ns next_due() const noexcept;
    // Any one; for letting go of all.
    [[nodiscard]] std::optional<queue_item> take_any();
    // For people: it looks through all.
    [[nodiscard]] bool has(position pos) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }
    [[nodiscard]] bool empty() const noexcept { return heap_.empty(); }

private:
    struct waiting {
        mono_ns due;
        queue_item item;
    };
    [[nodiscard]] static bool later(const waiting& a, const waiting& b) noexcept {
        return a.due != b.due ? a.due > b.due : a.item.pos > b.item.pos;
    }
    std::vector<waiting> heap_;
};

}  // namespace linnet::core
