#include "broker/core/stream_chunks.hpp"

#include <algorithm>
#include <limits>

namespace linnet::core {

void stream_chunks::chunk::on_record(std::size_t, const log_record& r) {
    auto& record = home_.record_;
    if (!record.read(r) || !has(record.offset())) {
        return;
    }
    stream_item& item = at(record.offset());
    item.msg = record.message_in(home_.pool_);
    item.stored_at = record.stored_at();
    const std::size_t bytes = item.msg ? item.msg->footprint() : 0;
    bytes_ += bytes;
    home_.bytes_ += bytes;
}

void stream_chunks::chunk::on_done() {
    ready_ = true;
    used_ = ++home_.uses_;  // whoever asked for it has yet to look: others must make room
    home_.make_room();
    home_.loaded_();
}

stream_chunks::chunk* stream_chunks::find(position first) noexcept {
    for (auto& c : chunks_) {
        if (c->first_ == first) {
            c->used_ = ++uses_;
            return c.get();
        }
    }
    return nullptr;
}

void stream_chunks::load(durable_log& log, position first, std::size_t count, log_position from, log_position until) {
    chunks_.push_back(std::make_unique<chunk>(*this, first, count));
    chunk& c = *chunks_.back();
    c.used_ = ++uses_;
    const auto bytes = std::min<std::uint64_t>(until - from, std::numeric_limits<std::uint32_t>::max());
    log.read_on(from, static_cast<std::uint32_t>(bytes), c);
}

// The one used longest ago goes first; the newest stays even if it is larger than everything.
void stream_chunks::make_room() {
    while ((bytes_ > bytes_max || chunks_.size() > chunks_max)) {
        chunk* oldest = nullptr;
        std::size_t ready = 0;
        for (const auto& c : chunks_) {
            ready += c->ready_ ? 1 : 0;
            if (c->ready_ && (oldest == nullptr || c->used_ < oldest->used_)) {
                oldest = c.get();
            }
        }
        if (ready < 2) {
            return;
        }
        drop(*oldest);
    }
}

void stream_chunks::drop(const chunk& c) {
    bytes_ -= c.bytes_;
    std::erase_if(chunks_, [&c](const auto& p) { return p.get() == &c; });
}

void stream_chunks::drop_before(position first) {
    std::erase_if(chunks_, [this, first](const auto& c) {
        const bool gone = c->ready_ && c->first_ < first;
        bytes_ -= gone ? c->bytes_ : 0;
        return gone;
    });
}

}  // namespace linnet::core
