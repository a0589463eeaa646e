#include "broker/core/stream.hpp"

#include <algorithm>

// What a stream forgets: whole segments, the oldest first, never the newest message.

namespace linnet::core {

log_position stream::keep_from_by_size() const noexcept {
    auto most = spec_.settings.max_length_bytes;
    if (log_->capabilities().what == survives::nothing) {
        most = std::min(most.value_or(memory_bytes_max), memory_bytes_max);
    }
    const std::uint64_t has = log_->end() - log_->begin();
    return most && has > *most ? log_->end() - *most : 0;
}

log_position stream::keep_from_by_age() const noexcept {
    if (!spec_.settings.max_age) {
        return 0;
    }
    // A clock that is set forward makes nothing older: what has gone by since the opening is known better.
    const wall_ns now = std::min(context_.wall_now(), opened_wall_ + (context_.now() - opened_));
    const wall_ns oldest = now - *spec_.settings.max_age;
    // A chunk is old when the one behind it is: an entry tells the time of its first message.
    std::size_t i = 0;
    while (i + 1 < index_.size() && index_[i + 1].stored_at < oldest) {
        ++i;
    }
    return index_[i].at;
}

void stream::retain() {
    retained_segment_ = log_->end() / log_->capabilities().segment_bytes;
    if (index_.empty()) {
        return;
    }
    // The last chunk stays, so that the stream knows what comes next.
    const log_position keep = std::min(std::max(keep_from_by_size(), keep_from_by_age()), index_[index_.size() - 1].at);
    if (keep <= log_->begin() || !keep_marks(keep)) {
        return;
    }
    log_->drop_before(keep);
    index_.drop_before(log_->begin());
    if (index_[0].offset != first_) {
        first_ = index_[0].offset;
        chunks_.drop_before(first_);
    }
}

// What says which errands have been run must not go with its segment. False: it is not durable in a later one yet.
bool stream::keep_marks(log_position keep) {
    const log_position newest = marks_.renew(keep, [this](std::span<const std::uint8_t> keys) {
        encode_keys(marks_bytes_, spec_.uid, keys);
        const std::span<const std::uint8_t> part(marks_bytes_);
        activate();
        return log_->append(static_cast<std::uint8_t>(record_kind::keys), 0, {&part, 1}).at;
    });
    return newest <= log_->durable();
}

// Age is looked after from time to time: often for short ones, once a minute at least.
void stream::watch_age() {
    if (!spec_.settings.max_age) {
        stop();
        return;
    }
    const mono_ns period = std::clamp<mono_ns>(*spec_.settings.max_age / 16, ns_per_s, 60 * ns_per_s);
    context_.timers().start(*this, context_.now() + period);
}

void stream::on_timer(mono_ns) {
    retain();
    watch_age();
}

}  // namespace linnet::core
