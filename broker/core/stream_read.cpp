#include "broker/core/stream.hpp"

#include "broker/core/property_reader.hpp"

#include <algorithm>
#include <utility>

// How a stream's readers come by their messages.

namespace linnet::core {

// ---- Where to begin ----------------------------------------------------------------------------

position stream::begin_of(const attachment& a, wall_ns& not_before, bool& gap) const noexcept {
    using point = stream_start::point;
    switch (a.start.what) {
        case point::first: return first_;
        case point::last: return std::clamp(last_batch_, first_, readable_);
        case point::next: return next_;
        case point::offset:
            gap = (a.epoch != 0 && a.epoch != epoch_) || a.start.offset < first_;
            return gap ? first_ : std::min(a.start.offset, next_);
        case point::time:
            if (index_.empty() || last_stored_at_ < a.start.time) {
                return next_;
            }
            not_before = a.start.time;
            return index_[index_.chunk_at(a.start.time)].offset;
    }
    return next_;
}

// ---- Looking up --------------------------------------------------------------------------------

stream::found_item stream::look_up(position offset) {
    if (offset >= readable_) {
        return {look::end};
    }
    if (const position newest_first = next_ - newest_.size(); offset >= newest_first) [[likely]] {
        return {look::found, &newest_[static_cast<std::size_t>(offset - newest_first)]};
    }
    return look_up_stored(offset);
}

stream::found_item stream::look_up_stored(position offset) {
    const std::size_t i = index_.chunk_of(offset);
    auto* chunk = chunks_.find(index_[i].offset);
    if (chunk != nullptr && chunk->ready() && !chunk->has(offset)) {
        // It was the last one when it was read, and has grown since.
        chunks_.drop(*chunk);
        chunk = nullptr;
    }
    if (chunk == nullptr) {
        load(i);
        return {look::loading};
    }
    if (!chunk->ready()) {
        return {look::loading};
    }
    // Who enters a chunk will want the next one.
    if (offset == chunk->first() && i + 1 < index_.size() && index_[i + 1].offset < next_ - newest_.size() &&
        chunks_.roomy() && chunks_.find(index_[i + 1].offset) == nullptr) {
        load(i + 1);
    }
    return {look::found, &chunk->at(offset)};
}

void stream::load(std::size_t i) {
    const auto& from = index_[i];
    const bool last = i + 1 == index_.size();
    const position end = last ? readable_ : std::min(index_[i + 1].offset, readable_);
    if (end <= from.offset) {
        return;  // read ahead, of what is not durable yet
    }
    const log_position until = last ? log_->durable() : index_[i + 1].at;
    chunks_.load(*log_, from.offset, static_cast<std::size_t>(end - from.offset), from.at, until);
    activate();
}

// ---- Delivering --------------------------------------------------------------------------------

bool stream::can_take(const reader& r) noexcept {
    if (r.a.prefetch != 0 && r.in_flight >= r.a.prefetch) {
        return false;
    }
    return r.a.sink != nullptr ? r.a.sink->ready() : r.under_way < remote_window;
}

bool stream::wants(const reader& r, stream_item& item) const {
    if (r.a.filter == nullptr) [[likely]] {
        return true;
    }
    if (item.headers == nullptr) {
        const property_reader* how = context_.reader_of(item.msg->properties_of());
        item.headers = std::make_unique<value_table>(how == nullptr ? value_table{}
                                                                    : how->headers(item.msg->properties()));
    }
    return r.a.filter->wants(*item.headers);
}

void stream::deliver(reader& r, const stream_item& item, position offset) {
    delivery d{item.msg.share(), self_, r.id, offset, 0, 0, false, r.a.no_ack, false};
    if (r.a.no_ack) {
        ++counts_.deliver_no_ack;
    } else {
        ++r.in_flight;
        ++counts_.deliver;
    }
    if (r.a.sink != nullptr) [[likely]] {
        r.a.sink->on_delivery(r.a.tag, std::move(d));
        return;
    }
    r.under_way += window_cost(*d.msg);
    context_.deliver_remote(r.a.remote, std::move(d));
}

// What it was to read next has gone: it is told where it goes on.
void stream::close_gap(reader& r) {
    r.lost_history = false;
    r.next = first_;
    if (r.a.sink != nullptr) {
        r.a.sink->on_gap(r.a.tag, first_);
    } else {
        context_.gap_remote(r.a.remote, first_);
    }
}

// Returns how many messages were looked at; fewer than `most` when there is no more to do for it now.
std::uint32_t stream::serve(reader& r, std::uint32_t most) {
    if (!can_take(r)) {
        return 0;
    }
    if (r.next < first_ || r.lost_history) [[unlikely]] {
        close_gap(r);
    }
    std::uint32_t seen = 0;
    for (; seen < most && can_take(r); ++seen) {
        const auto [what, item] = look_up(r.next);
        if (what != look::found) {
            break;
        }
        const position offset = r.next++;
        if (!item->msg || item->stored_at < r.not_before) [[unlikely]] {
            continue;
        }
        r.not_before = 0;
        if (wants(r, *item)) {
            deliver(r, *item, offset);
        }
    }
    return seen;
}

bool stream::pump() {
    owner_.check();
    std::uint32_t left = pump_batch_max;
    bool more = true;
    while (more && left != 0 && !order_.empty()) {
        more = false;
        const std::size_t n = order_.size();
        for (std::size_t i = 0; i < n && left != 0; ++i) {
            turn_ = turn_ + 1 < n ? turn_ + 1 : 0;
            const auto most = std::min(reader_batch_max, left);
            const auto seen = serve(*order_[turn_], most);
            more = more || seen == most;
            left -= seen;
        }
    }
    return !more || left != 0;
}

}  // namespace linnet::core
