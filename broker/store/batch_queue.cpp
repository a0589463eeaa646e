#include "broker/store/batch_queue.hpp"

#include "broker/base/assert.hpp"
#include "broker/store/crc32c.hpp"
#include "broker/store/little_endian.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace linnet::store {
namespace {

constexpr std::uint32_t block = disk::block;

constexpr std::uint32_t up_to_block(std::uint32_t bytes) noexcept { return (bytes + block - 1) / block * block; }

constexpr std::uint32_t down_to_block(std::uint32_t bytes) noexcept { return bytes / block * block; }

}  // namespace

// The caller's spans as one run of bytes.
struct batch_queue::source {
    core::durable_log::parts parts;
    std::size_t left = 0;

    explicit source(core::durable_log::parts p) : parts{p} {
        for (const auto& part : p)
            left += part.size();
    }

    void copy(std::uint8_t* to, std::size_t bytes) noexcept {
        left -= bytes;
        while (bytes > 0) {
            const auto rest = parts.front().subspan(within);
            const std::size_t now = std::min(rest.size(), bytes);
            if (now > 0)
                std::memcpy(to, rest.data(), now);
            to += now;
            bytes -= now;
            within += now;
            if (within == parts.front().size() && bytes > 0) {
                parts = parts.subspan(1);
                within = 0;
            }
        }
    }

private:
    std::size_t within = 0;  // of the first part
};

// A part must fit into a new batch whose first block is taken, together with its commit.
batch_queue::batch_queue(const segment_geometry& g, limits l, const start& s, segment_finder find)
    : geometry_{g},
      limits_{l},
      part_payload_{l.batch_bytes - block - commit_bytes - record_header_bytes - record_alignment},
      epoch_{s.epoch},
      find_{std::move(find)},
      pool_{l.batch_bytes},
      next_{s.at},
      last_commit_{s.last_commit},
      next_index_{s.next_index} {
    const std::uint32_t before = geometry_.offset(next_) % block;
    if (before == 0)
        return;
    LINNET_ASSERT(s.block.size() >= before, "{} bytes before {}", s.block.size(), next_);
    tail_ = aligned_buffer{block};
    std::memcpy(tail_.data(), s.block.data(), before);
}

core::durable_log::appended batch_queue::append(std::uint8_t kind, std::uint8_t flags,
                                                core::durable_log::parts payload) {
    source from{payload};
    if (from.left <= part_payload_) [[likely]] {
        const auto length = static_cast<std::uint32_t>(from.left);
        const core::log_position at = put({.length = length, .kind = kind, .flags = flags, .skip = 0}, from);
        return {.at = at, .bytes = static_cast<std::uint32_t>(record_bytes(length))};
    }
    LINNET_ASSERT(from.left <= record_payload_max, "a record of {} bytes", from.left);
    core::log_position first = 0;
    while (from.left > 0) {
        const auto length = static_cast<std::uint32_t>(std::min<std::size_t>(from.left, part_payload_));
        std::uint8_t parts = first != 0 ? stored_flags::part_of_before : std::uint8_t{0};
        if (length < from.left)
            parts |= stored_flags::part_follows;
        const auto all_flags = static_cast<std::uint8_t>(flags | parts);
        const core::log_position at = put({.length = length, .kind = kind, .flags = all_flags, .skip = 0}, from);
        first = first == 0 ? at : first;
    }
    return {.at = first, .bytes = static_cast<std::uint32_t>(end() - first)};
}

core::log_position batch_queue::put(const record_header& h, source& from) {
    const auto bytes = static_cast<std::uint32_t>(record_bytes(h.length));
    batch& b = room_for(bytes);
    std::uint8_t* const to = b.buffer.data() + b.used;
    const std::uint32_t offset = b.base + b.used;
    if (offset >= b.home->unmarked)
        note_record(*b.home, geometry_, offset);
    from.copy(to + record_header_bytes, h.length);
    const std::uint32_t crc = seal_record(to, h, b.home->seed + offset);
    std::array<std::uint8_t, sizeof crc> link{};
    store(link.data(), crc);
    b.crcs = crc32c(b.crcs, link);
    ++b.count;
    b.used += bytes;
    return geometry_.at(b.segment, offset);
}

// Behind a record there is always room for its batch's commit, and in the segment for one commit more: the one that
// says, when the next record does not fit, that the segment ends here.
batch& batch_queue::room_for(std::uint32_t bytes) {
    for (;;) {
        if (!has_open())
            begin_batch();
        const batch& b = batches_.back();
        if (b.base + b.used + bytes + 2 * commit_bytes > geometry_.bytes)
            close(true);
        else if (b.used + bytes + commit_bytes > b.buffer.size())
            close(false);
        else
            return batches_.back();
    }
}

void batch_queue::begin_batch() {
    batch b;
    b.buffer = pool_.take();
    b.id = next_id_++;
    b.segment = geometry_.number(next_);
    b.home = &find_(b.segment);
    const std::uint32_t offset = geometry_.offset(next_);
    b.base = down_to_block(offset);
    b.begin = b.used = offset - b.base;
    if (b.begin != 0)
        std::memcpy(b.buffer.data(), tail_.data(), b.begin);
    batches_.push_back(std::move(b));
}

void batch_queue::close() {
    if (has_open())
        close(false);
}

void batch_queue::close(bool segment_ends) {
    batch& b = batches_.back();
    b.commit_at = b.used;
    b.used += commit_bytes;
    const std::uint32_t padded = up_to_block(b.used);
    std::memset(b.buffer.data() + b.used, 0, padded - b.used);
    std::uint32_t next = b.used;
    if (segment_ends) {
        b.skip = skip_to_next_segment;
        b.next = geometry_.first_of(b.segment + 1);
    } else {
        if (b.used >= limits_.pad_from)
            next = padded;
        b.skip = static_cast<std::uint16_t>((next - b.used) / record_alignment);
        b.next = geometry_.behind(b.segment, b.base + next);
    }
    next_ = b.next;
    b.at = batch::stage::closed;
    hand_on(b);
}

// What lies in the last block of a batch that is not padded, the next one writes again.
void batch_queue::hand_on(const batch& b) {
    const std::uint32_t offset = b.skip == skip_to_next_segment ? 0 : geometry_.offset(b.next);
    const std::uint32_t kept = offset % block;
    if (kept == 0)
        return;
    const std::uint8_t* const from = b.buffer.data() + (offset - kept - b.base);
    const std::size_t place = b.id - batches_.front().id + 1;
    if (place < batches_.size()) {
        std::memcpy(batches_[place].buffer.data(), from, kept);
        return;
    }
    if (tail_.size() == 0)
        tail_ = aligned_buffer{block};
    std::memcpy(tail_.data(), from, kept);
}

batch* batch_queue::next_to_write() noexcept {
    if (begun_ == batches_.size() || batches_[begun_].at == batch::stage::open)
        return nullptr;
    return &batches_[begun_];
}

std::span<const std::uint8_t> batch_queue::begin_write(batch& b, core::log_position durable) {
    std::uint8_t* const to = b.buffer.data() + b.commit_at;
    encode_commit({.previous = last_commit_,
                   .epoch = epoch_,
                   .index = next_index_++,
                   .durable = durable,
                   .count = b.count,
                   .crc = b.crcs},
                  to + record_header_bytes);
    seal_record(to,
                {.length = commit_payload_bytes,
                 .kind = static_cast<std::uint8_t>(own_kind::commit),
                 .flags = stored_flags::own,
                 .skip = b.skip},
                b.home->seed + b.base + b.commit_at);
    last_commit_ = position(b, b.commit_at);
    hand_on(b);
    b.at = batch::stage::writing;
    ++begun_;
    ++writing_;
    return b.buffer.first(up_to_block(b.used));
}

const batch& batch_queue::written(std::uint64_t id) {
    batch& b = batches_[id - batches_.front().id];
    LINNET_ASSERT(b.at == batch::stage::writing, "batch {} was not being written", id);
    b.at = batch::stage::written;
    --writing_;
    return b;
}

core::log_position batch_queue::release_written() {
    core::log_position below = begin();
    while (!batches_.empty() && batches_.front().at == batch::stage::written) {
        below = batches_.front().next;
        pool_.give(std::move(batches_.front().buffer));
        batches_.pop_front();
        --begun_;
    }
    return below;
}

core::log_position batch_queue::begin() const noexcept {
    return batches_.empty() ? next_ : position(batches_.front(), batches_.front().begin);
}

core::log_position batch_queue::end() const noexcept {
    return has_open() ? position(batches_.back(), batches_.back().used) : next_;
}

const batch& batch_queue::holding(core::log_position at) const {
    const auto behind = std::partition_point(batches_.begin(), batches_.end(),
                                             [&](const batch& b) { return position(b, b.begin) <= at; });
    LINNET_ASSERT(behind != batches_.begin(), "position {} is below {}", at, begin());
    return *std::prev(behind);
}

batch_queue::seen batch_queue::look(core::log_position at) const {
    if (at >= end())
        return {};
    const batch& b = holding(at);
    const auto in_buffer = static_cast<std::uint32_t>(at - geometry_.at(b.segment, b.base));
    if (b.at != batch::stage::open && in_buffer >= b.commit_at)
        return {.record = {}, .next = b.next};
    const auto rest = b.buffer.first(b.used).subspan(in_buffer);
    const auto r = parse_record(rest, b.home->seed + b.base + in_buffer);
    return {.record = r, .next = r ? at + r->stride() : 0};
}

}  // namespace linnet::store
