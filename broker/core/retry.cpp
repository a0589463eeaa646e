#include "broker/core/retry.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace linnet::core {

mono_ns retry_policy::pause_after(std::uint32_t failed) const noexcept {
    const double pause = static_cast<double>(base) * std::pow(factor, failed == 0 ? 0.0 : failed - 1.0);
    // Also where the power has become infinite; a base of nothing stays nothing.
    if (base == 0) {
        return 0;
    }
    return pause < static_cast<double>(max) ? static_cast<mono_ns>(pause) : max;
}

void retry_line::add(mono_ns due, queue_item&& item) {
    heap_.push_back({due, std::move(item)});
    std::ranges::push_heap(heap_, later);
}

std::optional<queue_item> retry_line::take_due(mono_ns now) { return next_due() <= now ? take_any() : std::nullopt; }

mono_ns retry_line::next_due() const noexcept {
    return heap_.empty() ? std::numeric_limits<mono_ns>::max() : heap_.front().due;
}

bool retry_line::has(position pos) const noexcept {
    return std::ranges::any_of(heap_, [pos](const waiting& w) { return w.item.pos == pos; });
}

std::optional<queue_item> retry_line::take_any() {
    if (heap_.empty()) {
        return std::nullopt;
    }
    std::ranges::pop_heap(heap_, later);
    queue_item item = std::move(heap_.back().item);
    heap_.pop_back();
    if (heap_.empty()) {
        heap_.shrink_to_fit();
    }
    return item;
}

}  // namespace linnet::core
