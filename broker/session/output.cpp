#include "broker/session/output.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace linnet::session {
namespace {

constexpr std::size_t levels = 4;

}  // namespace

block_pool::~block_pool() {
    for (auto* list : {&free_, &free_small_}) {
        for (auto* b : *list) {
            ::operator delete(b);
        }
    }
}

block_pool::block block_pool::take(std::size_t least, bool first) {
    const bool small = least <= small_bytes && (level_ == levels - 1 || (level_ != 0 && first));
    auto& list = small ? free_small_ : free_;
    block b{nullptr, static_cast<std::uint32_t>(small ? small_bytes : block_bytes)};
    if (!list.empty()) {
        b.at = list.back();
        list.pop_back();
    } else {
        b.at = static_cast<std::uint8_t*>(::operator new(b.bytes));
    }
    lent_ += b.bytes;
    weigh();
    return b;
}

void block_pool::give_back(block b) noexcept {
    lent_ -= b.bytes;
    weigh();
    auto& list = b.bytes == small_bytes ? free_small_ : free_;
    if (list.size() < kept_max) {
        list.push_back(b.at);
    } else {
        ::operator delete(b.at);
    }
}

// A stuck output may hold much while few are; in the last quarter of what is allowed it gets nothing more. One that is
// not stuck writes early then, and a turn's rest is small if its socket turns out to be full.
void block_pool::weigh() noexcept {
    struct step {
        std::size_t high;
        std::size_t high_stuck;
    };
    constexpr std::size_t KiB = 1024;
    constexpr std::array<step, levels> steps{{
        {high_bytes_max, high_bytes_max},
        {high_bytes_max / 2, 128 * KiB},
        {64 * KiB, 32 * KiB},
        {16 * KiB, 0},
    }};
    const std::size_t quarter = std::max<std::size_t>(allowed_ / steps.size(), 1);
    level_ = std::min(lent_ / quarter, steps.size() - 1);
    high_ = steps[level_].high;
    blocks_stuck_ = steps[level_].high_stuck;
    high_stuck_ = steps[std::min((lent_ + referred_) / quarter, steps.size() - 1)].high_stuck;
}

void output::close_piece() noexcept {
    if (at_ != nullptr) {
        pieces_.back().to = at_;
        at_ = end_ = nullptr;
    }
}

void output::next_block(std::size_t least) {
    close_piece();
    const auto b = pool_.take(least, first_ == pieces_.size());
    pieces_.push_back({b, {}, b.at, nullptr});
    at_ = b.at;
    end_ = b.at + b.bytes;
}

void output::append(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        if (at_ == end_) {
            next_block(1);
        }
        const auto n = std::min(bytes.size(), static_cast<std::size_t>(end_ - at_));
        std::memcpy(at_, bytes.data(), n);
        commit(n);
        bytes = bytes.subspan(n);
    }
}

void output::append_reference(core::message_ptr m, std::span<const std::uint8_t> part) {
    if (part.empty()) {
        return;
    }
    // What is left of the open block stays usable: it becomes a further piece of the same block's tail.
    std::uint8_t* const at = at_;
    std::uint8_t* const end = end_;
    close_piece();
    pieces_.push_back({{}, std::move(m), part.data(), part.data() + part.size()});
    pending_ += part.size();
    pool_.refer(part.size());
    if (static_cast<std::size_t>(end - at) >= tail_worth_keeping) {
        // The block changes hands to its last piece, which gives it back. Taken out first: the vector may move.
        const auto b = std::exchange(pieces_[pieces_.size() - 2].block, {});
        pieces_.push_back({b, {}, at, nullptr});
        at_ = at;
        end_ = end;
    }
}

void output::take_over(output& from) {
    LINNET_DEBUG_ASSERT(&pool_ == &from.pool_, "blocks would go home to another pool");
    if (from.empty()) {
        return;
    }
    close_piece();
    for (std::size_t i = from.first_; i < from.pieces_.size(); ++i) {
        pieces_.push_back(std::move(from.pieces_[i]));
    }
    at_ = std::exchange(from.at_, nullptr);
    end_ = std::exchange(from.end_, nullptr);
    pending_ += std::exchange(from.pending_, 0);
    from.pieces_.clear();
    from.first_ = 0;
}

std::size_t output::gather(std::span<iovec> vectors) noexcept {
    std::size_t n = 0;
    for (std::size_t i = first_; i < pieces_.size() && n < vectors.size(); ++i) {
        const auto& p = pieces_[i];
        const auto* to = (i + 1 == pieces_.size() && at_ != nullptr) ? at_ : p.to;
        if (to != p.from) {
            vectors[n++] = {const_cast<std::uint8_t*>(p.from), static_cast<std::size_t>(to - p.from)};
        }
    }
    return n;
}

void output::drop_front() noexcept {
    auto& p = pieces_[first_++];
    if (p.block.at != nullptr) {
        pool_.give_back(std::exchange(p.block, {}));
    }
    if (p.referenced) {
        pool_.unrefer(static_cast<std::size_t>(p.to - p.from));
        p.referenced.reset();
    }
}

void output::consume(std::size_t n) noexcept {
    LINNET_DEBUG_ASSERT(n <= pending_, "{} of {} bytes consumed", n, pending_);
    pending_ -= n;
    if (pending_ == 0) {
        clear();
        return;
    }
    while (n != 0) {
        auto& p = pieces_[first_];
        const bool open = first_ + 1 == pieces_.size() && at_ != nullptr;
        const auto size = static_cast<std::size_t>((open ? at_ : p.to) - p.from);
        if (n < size) {
            p.from += n;
            if (p.referenced) {
                pool_.unrefer(n);
            }
            break;
        }
        n -= size;
        drop_front();
    }
    // The list is short; what was sent is removed once it outweighs the rest.
    if (first_ > 64 && first_ > pieces_.size() / 2) {
        pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
}

void output::clear() noexcept {
    while (first_ < pieces_.size()) {
        drop_front();
    }
    pieces_.clear();
    if (pieces_.capacity() > 16) {
        pieces_.shrink_to_fit();
    }
    first_ = 0;
    at_ = end_ = nullptr;
    pending_ = 0;
}

}  // namespace linnet::session
