#pragma once

#include <cstdint>
#include <memory>

namespace linnet::session {

// The publisher confirms that a channel owes, in order of sequence number.
//
// Publishes settled on the spot, the usual case, only move a counter; from the first one that waits for another
// shard on, a ring of one byte a publish keeps the outcomes until the front is settled. Confirms go out in
// order, so that one cumulative ack covers a whole batch.
//
// Threads: one shard's.
// Bounds:  a byte for each publish from the oldest unsettled one on.
class confirm_window {
public:
    // The number of this publish, from 1.
    [[nodiscard]] std::uint64_t begin() noexcept { return next_++; }

    void accepted_now(std::uint64_t sequence) { settle(sequence, outcome::accepted); }
    void refused_now(std::uint64_t sequence) { settle(sequence, outcome::refused); }
    // The outcome comes later, through settled().
    void pending(std::uint64_t sequence) { keep(sequence, outcome::open); }
    void settled(std::uint64_t sequence, bool accepted) {
        if (sequence - base_ >= size_) {
            return;
        }
        auto& of = ring_[(head_ + (sequence - base_)) & (capacity_ - 1)];
        if (of == outcome::open) {  // one refusal is final
            --open_;
            of = accepted ? outcome::accepted : outcome::refused;
        }
    }

    // Says what can be said now: ack(sequence, multiple) and nack(sequence), in order.
    template <class Ack, class Nack>
    void flush(Ack&& ack, Nack&& nack) {
        while (size_ != 0 && ring_[head_] != outcome::open) {
            if (ring_[head_] == outcome::refused) {
                say_acks(ack);
                nack(base_);
                said_ = base_;
            }
            head_ = (head_ + 1) & (capacity_ - 1);
            ++base_;
            --size_;
        }
        if (size_ == 0) {
            base_ = next_;
            if (capacity_ > keep_max) {
                ring_.reset();
                capacity_ = head_ = 0;
            }
        }
        say_acks(ack);
    }
    [[nodiscard]] bool anything_to_say() const noexcept {
        return size_ == 0 ? said_ + 1 != next_ : ring_[head_] != outcome::open || said_ + 1 != base_;
    }

    // Everything up to here has been confirmed or refused to the peer; everything below next() was begun.
    [[nodiscard]] std::uint64_t said() const noexcept { return said_; }
    [[nodiscard]] std::uint64_t next() const noexcept { return next_; }

    // Nothing waits for another shard.
    [[nodiscard]] bool all_settled() const noexcept { return open_ == 0; }

private:
    enum class outcome : std::uint8_t { open, accepted, refused };
    static constexpr std::uint64_t keep_max = 4096;

    // Everything below base_ is settled, and what was not accepted has been said.
    template <class Ack>
    void say_acks(Ack& ack) {
        if (base_ - 1 > said_) {
            ack(base_ - 1, base_ - 1 - said_ > 1);
            said_ = base_ - 1;
        }
    }
    void settle(std::uint64_t sequence, outcome how) {
        if (size_ == 0 && how == outcome::accepted) [[likely]] {
            base_ = sequence + 1;
            return;
        }
        keep(sequence, how);
    }
    void keep(std::uint64_t sequence, outcome how) {
        open_ += how == outcome::open ? 1 : 0;
        if (size_ == 0) {
            base_ = sequence;
        }
        if (size_ == capacity_) {
            enlarge();
        }
        ring_[(head_ + size_++) & (capacity_ - 1)] = how;
    }
    void enlarge() {
        const auto larger = capacity_ == 0 ? 64 : capacity_ * 2;
        auto ring = std::make_unique<outcome[]>(larger);
        for (std::uint64_t i = 0; i < size_; ++i) {
            ring[i] = ring_[(head_ + i) & (capacity_ - 1)];
        }
        ring_ = std::move(ring);
        capacity_ = larger;
        head_ = 0;
    }

    std::unique_ptr<outcome[]> ring_;
    std::uint64_t capacity_ = 0;
    std::uint64_t head_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t open_ = 0;
    std::uint64_t base_ = 1;  // the oldest in the ring; without one, behind the last settled
    std::uint64_t said_ = 0;  // everything up to here has been confirmed to the peer
    std::uint64_t next_ = 1;
};

}  // namespace linnet::session
