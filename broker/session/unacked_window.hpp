#pragma once

#include "broker/base/assert.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/queue_settings.hpp"

#include <cstdint>
#include <memory>
#include <utility>

namespace linnet::session {

// What a channel has delivered and its peer has not acknowledged, by delivery tag.
//
// A ring indexed by (tag - base): a look-up is a subtraction, an ack in order pops the front, one out of
// order leaves a hole that is passed over when the front reaches it. Tags that need no ack (no_ack
// consumers) are holes from the start.
//
// Threads: one shard's.
// Owns:    the deliveries in it.
// Bounds:  64 bytes a tag between the oldest unacknowledged one and the newest; nothing while empty
//          (a large ring is given back when it empties).
class unacked_window {
public:
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
        if (tag - base_ >= size_) {  // an older tag wraps around to a large number
            return nullptr;
        }
        auto& s = at(tag);
        return s.is == state::live ? &s : nullptr;
    }
    // Any tag within the window.
    [[nodiscard]] slot& at(std::uint64_t tag) noexcept { return slots_[(head_ + (tag - base_)) & (capacity_ - 1)]; }
    [[nodiscard]] std::uint64_t first_tag() const noexcept { return base_; }

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
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

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

    slot& grow_one() {
        if (size_ == capacity_) [[unlikely]] {
            enlarge();
        }
        return slots_[(head_ + size_++) & (capacity_ - 1)];
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
};

}  // namespace linnet::session
