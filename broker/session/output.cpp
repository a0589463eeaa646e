#include "broker/session/output.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>

namespace linnet::session {

block_pool::~block_pool() {
    for (auto* block : free_) {
        ::operator delete(block);
    }
}

std::uint8_t* block_pool::take() {
    ++lent_;
    if (!free_.empty()) {
        auto* block = free_.back();
        free_.pop_back();
        return block;
    }
    return static_cast<std::uint8_t*>(::operator new(block_bytes));
}

void block_pool::give_back(std::uint8_t* block) noexcept {
    --lent_;
    if (free_.size() < kept_max) {
        free_.push_back(block);
    } else {
        ::operator delete(block);
    }
}

void output::close_piece() noexcept {
    if (at_ != nullptr) {
        pieces_.back().to = at_;
        at_ = end_ = nullptr;
    }
}

void output::next_block() {
    close_piece();
    auto* block = pool_.take();
    pieces_.push_back({block, {}, block, nullptr});
    at_ = block;
    end_ = block + block_pool::block_bytes;
}

void output::append(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        if (at_ == end_) {
            next_block();
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
    pieces_.push_back({nullptr, std::move(m), part.data(), part.data() + part.size()});
    pending_ += part.size();
    if (static_cast<std::size_t>(end - at) >= tail_worth_keeping) {
        // The block changes hands to its last piece, which gives it back. Taken out first: the vector may move.
        auto* const block = std::exchange(pieces_[pieces_.size() - 2].block, nullptr);
        pieces_.push_back({block, {}, at, nullptr});
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
    if (p.block != nullptr) {
        pool_.give_back(std::exchange(p.block, nullptr));
    }
    p.referenced.reset();
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
