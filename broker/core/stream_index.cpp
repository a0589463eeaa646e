#include "broker/core/stream_index.hpp"

#include <algorithm>

namespace linnet::core {

void stream_index::add(position offset, log_position at, wall_ns stored_at) {
    if (!entries_.empty()) {
        const entry& last = entries_.back();
        if (at / chunk_bytes == last.at / chunk_bytes && offset - last.offset < chunk_messages) [[likely]] {
            return;
        }
    }
    entries_.push_back({offset, at, stored_at});
}

void stream_index::drop_before(log_position begin) {
    while (!entries_.empty() && entries_.front().at < begin) {
        entries_.pop_front();
    }
}

std::size_t stream_index::chunk_of(position offset) const noexcept {
    const auto after = std::ranges::upper_bound(entries_, offset, {}, &entry::offset);
    return static_cast<std::size_t>(after - entries_.begin()) - 1;
}

// Not by halving: the wall clock may have been set back, and then times do not rise.
std::size_t stream_index::chunk_at(wall_ns time) const noexcept {
    const auto late = std::ranges::find_if(entries_, [time](const entry& e) { return e.stored_at >= time; });
    const auto i = static_cast<std::size_t>(late - entries_.begin());
    return i == 0 ? 0 : i - 1;
}

}  // namespace linnet::core
