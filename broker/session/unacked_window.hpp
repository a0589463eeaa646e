#pragma once

#include "broker/base/assert.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/queue_settings.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace linnet::session {

// What a channel has delivered and its peer has not acknowledged, by delivery tag.
//
// A ring indexed by (tag - base): a look-up is a subtraction, an ack in order pops the front, one out of
// order leaves a hole that is passed over when the front reaches it. Tags that need no ack (no_ack
// consumers) are holes from the start.
//
// A ring that is full of holes begins anew behind them, and what stands between them moves to a list, which is
// searched: one delivery that is never acknowledged must not keep a slot for each that came after it.
//
// Threads: one shard's.
// Owns:    the deliveries in it.
// Bounds:  64 bytes a slot; at most 1024 slots and four times as many as are not settled, and as many again while
//          they are moved; nothing while empty (a large ring is given back when it empties).
class unacked_window {
public:
    unacked_window() = default;
    unacked_window(const unacked_window&) = delete;
    unacked_window& operator=(const unacked_window&) = delete;
    ~unacked_window() { note_old(-static_cast<std::int64_t>(old_.size())); }

    enum class state : std::uint8_t {
        hole,  // settled already, or never to be
        live,
        reserved,  // settled in a transaction that has not been committed
    };
    struct slot {
        core::delivery d;
        std::uint32_t delivered_s = 0;  // on the session's coarse clock
        state is = state::hole;
        core::queue_type from = core::queue_type::classic;  // of the queue: figures tell them apart
    };

    // The tag that the next delivery gets; tags count from 1 and never repeat.
    [[nodiscard]] std::uint64_t next_tag() const noexcept { return base_ + size_; }

    void push(core::delivery&& d, std::uint32_t now_s, core::queue_type from = core::queue_type::classic) {
        auto& s = grow_one();
        s.d = std::move(d);
        s.delivered_s = now_s;
        s.is = state::live;
        s.from = from;
        ++live_;
    }
    // A delivery that nobody will acknowledge.
    void push_hole() {
        if (size_ == 0) {
            ++base_;
            return;
        }
        grow_one().is = state::hole;
    }

    // Null unless that tag is live.
    [[nodiscard]] slot* find(std::uint64_t tag) noexcept {
        if (tag - base_ >= size_) [[unlikely]] {  // an older tag wraps around to a large number
            const auto found = from_old(tag);
            return found != old_.end() && found->tag == tag && found->s.is == state::live ? &found->s : nullptr;
        }
        auto& s = in_ring(tag);
        return s.is == state::live ? &s : nullptr;
    }
    // Any tag that is not settled.
    [[nodiscard]] slot& at(std::uint64_t tag) noexcept { return tag < base_ ? from_old(tag)->s : in_ring(tag); }
    // Of the tags from `first` to `last` that are not settled, in order: pred(tag, slot), until one says yes. It may
    // settle what it is shown, and nothing else.
    template <class Predicate>
    bool any_of(std::uint64_t first, std::uint64_t last, Predicate&& pred) {
        if (!old_.empty()) [[unlikely]] {
            for (auto o = from_old(first); o != old_.end() && o->tag <= last; ++o) {
                if (o->s.is != state::hole && pred(o->tag, o->s)) {
                    return true;
                }
            }
        }
        const auto end = std::min(last + 1, next_tag());
        for (auto tag = std::max(first, base_); tag < end; ++tag) {
            if (auto& s = in_ring(tag); s.is != state::hole && pred(tag, s)) {
                return true;
            }
        }
        return false;
    }

    // The delivery leaves; its slot becomes a hole.
    [[nodiscard]] core::delivery take(slot& s) noexcept {
        live_ -= s.is == state::live ? 1 : 0;
        s.is = state::hole;
        return std::move(s.d);
    }
    // The same without a need for it: only its message lets go.
    void drop(slot& s) noexcept {
        live_ -= s.is == state::live ? 1 : 0;
        s.is = state::hole;
        s.d.msg.reset();
    }
    void reserve(slot& s) noexcept {
        s.is = state::reserved;
        --live_;
    }
    void unreserve(slot& s) noexcept {
        s.is = state::live;
        ++live_;
    }

    // Passes over what is settled at the front. Call after a take().
    void trim() noexcept {
        if (!old_.empty()) [[unlikely]] {
            trim_old();
        }
        while (size_ != 0 && slots_[head_].is == state::hole) {
            head_ = (head_ + 1) & (capacity_ - 1);
            ++base_;
            --size_;
        }
        if (size_ == 0 && capacity_ > keep_max) {
            slots_.reset();
            capacity_ = head_ = 0;
        }
    }

    [[nodiscard]] std::uint64_t live() const noexcept { return live_; }
    // Slots that it has memory for.
    [[nodiscard]] std::uint64_t slots() const noexcept { return capacity_ + old_.size(); }

private:
    static constexpr std::uint64_t first_capacity = 8;
    static constexpr std::uint64_t keep_max = 1024;
    struct give_back {
        std::uint64_t capacity;
        void operator()(slot* slots) const noexcept {
            delete[] slots;
            core::message_pool::note_beside(-static_cast<std::int64_t>(capacity * sizeof(slot)));
        }
    };

    struct old_one {
        std::uint64_t tag;
        slot s;
    };

    [[nodiscard]] slot& in_ring(std::uint64_t tag) noexcept {
        return slots_[(head_ + (tag - base_)) & (capacity_ - 1)];
    }
    // The first of that tag or a later one.
    [[nodiscard]] std::vector<old_one>::iterator from_old(std::uint64_t tag) noexcept {
        return std::ranges::lower_bound(old_, tag, {}, &old_one::tag);
    }
    slot& grow_one() {
        if (size_ == capacity_) [[unlikely]] {
            if (capacity_ < keep_max || !begin_anew()) {
                enlarge();
            }
        }
        return slots_[(head_ + size_++) & (capacity_ - 1)];
    }
    // Unless more than a quarter is not settled.
    bool begin_anew() {
        std::uint64_t kept = 0;
        for (std::uint64_t i = 0; i < size_; ++i) {
            kept += slots_[i].is != state::hole ? 1 : 0;
        }
        if (kept > size_ / 4) {
            return false;
        }
        drop_settled_old();
        for (std::uint64_t i = 0; i < size_; ++i) {
            auto& s = slots_[(head_ + i) & (capacity_ - 1)];
            if (s.is != state::hole) {
                old_.push_back({base_ + i, std::move(s)});
                s.is = state::hole;
            }
        }
        note_old(static_cast<std::int64_t>(kept));
        base_ += std::exchange(size_, 0);
        return true;
    }
    // The settled ones leave from time to time, all together.
    void trim_old() noexcept {
        if (++trims_ <= old_.size()) {
            return;
        }
        drop_settled_old();
    }
    void drop_settled_old() noexcept {
        trims_ = 0;
        note_old(
            -static_cast<std::int64_t>(std::erase_if(old_, [](const old_one& o) { return o.s.is == state::hole; })));
        if (old_.empty()) {
            std::vector<old_one>().swap(old_);
        }
    }
    static void note_old(std::int64_t more) noexcept {
        if (more != 0) {
            core::message_pool::note_beside(more * static_cast<std::int64_t>(sizeof(old_one)));
        }
    }
    void enlarge() {
        const auto larger = capacity_ == 0 ? first_capacity : capacity_ * 2;
        std::unique_ptr<slot[], give_back> slots(new slot[larger], {larger});
        core::message_pool::note_beside(static_cast<std::int64_t>(larger * sizeof(slot)));
        for (std::uint64_t i = 0; i < size_; ++i) {
            slots[i] = std::move(slots_[(head_ + i) & (capacity_ - 1)]);
        }
        slots_ = std::move(slots);
        capacity_ = larger;
        head_ = 0;
    }

    std::unique_ptr<slot[], give_back> slots_;
    std::uint64_t capacity_ = 0;  // a power of two, or 0
    std::uint64_t head_ = 0;
    std::uint64_t size_ = 0;
    std::uint64_t base_ = 1;
    std::uint64_t live_ = 0;
    std::vector<old_one> old_;  // tags below base_, ascending
    std::uint64_t trims_ = 0;   // since all of them were looked at
};

}  // namespace linnet::session
