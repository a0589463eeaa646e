#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"
#include "broker/core/message_pool.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace linnet::core {

// A message in its place in a queue.
struct queue_item {
    message_ptr msg;
    position pos = 0;
    mono_ns deadline = 0;  // 0: never
    std::uint32_t delivery_count = 0;
    bool redelivered = false;
    bool stored = false;    // the queue's index knows where its record lies
    bool received = false;  // as delivery has it
};

// A growing ring of queue items in the order of their positions, cheap at both ends.
//
// An item taken from the middle leaves its slot behind, without a message, until it comes to an end or half of the
// slots are such. The front and the back are never such slots.
//
// What comes back into the middle makes a gap for more than itself, which moves along as further ones come: two
// consumers that give back a hundred thousand messages each, every other one, cost a few moves a message and not half
// of the ring. The positions in the gap's slots mean nothing: it is left out of every search.
//
// Threads: the queue's.
// Bounds:  grows by doubling; gives its memory back when it has become empty, or fit() is called.
class item_ring {
public:
    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    // Slots, left behind ones included.
    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(tail_ - head_); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return capacity_ * sizeof(queue_item); }
    [[nodiscard]] queue_item& front() noexcept { return slots_[index(head_)]; }
    [[nodiscard]] const queue_item& front() const noexcept { return slots_[index(head_)]; }
    [[nodiscard]] queue_item& back() noexcept { return slots_[index(tail_ - 1)]; }
    [[nodiscard]] queue_item& operator[](std::size_t i) noexcept { return slots_[index(head_ + i)]; }

    void push_back(queue_item&& item) {
        grow_if_full();
        slots_[index(tail_++)] = std::move(item);
    }
    [[nodiscard]] queue_item pop_front() noexcept {
        queue_item item = std::move(slots_[index(head_++)]);
        if (left_behind_ != 0) [[unlikely]] {
            skip_front();
        }
        if (head_ == tail_ && capacity_ > kept_when_empty) [[unlikely]] {
            release();
        }
        return item;
    }
    [[nodiscard]] queue_item pop_back() noexcept {
        queue_item item = std::move(slots_[index(--tail_)]);
        while (left_behind_ != 0 && head_ != tail_ && !slots_[index(tail_ - 1)].msg) {
            --tail_;
            --left_behind_;
        }
        forget_gap_passed();
        if (head_ == tail_ && capacity_ > kept_when_empty) {
            release();
        }
        return item;
    }
    [[nodiscard]] bool has(position pos) const noexcept {
        const std::size_t at = lower_bound(pos);
        return at != size() && slots_[index(head_ + at)].pos == pos && slots_[index(head_ + at)].msg;
    }
    // Takes the item of that position from wherever it stands. No message: it is not here.
    [[nodiscard]] queue_item take(position pos) {
        const std::size_t at = lower_bound(pos);
        if (at == size() || (*this)[at].pos != pos || !(*this)[at].msg) {
            return {};
        }
        if (at == 0) {
            return pop_front();
        }
        if (at + 1 == size()) {
            return pop_back();
        }
        queue_item item = std::move((*this)[at]);
        (*this)[at].pos = pos;
        if (++left_behind_ > size() / 2) {
            close_gaps();
        }
        return item;
    }
    // Gives back most of what it does not need.
    void fit() {
        if (capacity_ / 4 > size() && capacity_ > smallest) {
            resize(std::max(std::bit_ceil(size() * 2), smallest));
        }
    }
    void clear() noexcept {
        while (!empty()) {
            static_cast<void>(pop_front());
        }
    }
    // Puts a requeued item back where it stood. Usually that is the front.
    void insert(queue_item&& item) {
        grow_if_full();
        const std::size_t before = lower_bound(item.pos);
        if (before == 0) {
            slots_[index(--head_)] = std::move(item);
            return;
        }
        if (before == size()) {
            slots_[index(tail_++)] = std::move(item);
            return;
        }
        if (is_gap_near(before)) {
            move_gap(before);
        } else if (std::min(before, size() - before) < near_end) {
            slots_[shift_one(before)] = std::move(item);
            return;
        } else {
            open_gap(before, item.pos);
        }
        --left_behind_;
        slots_[index(gap_at_ + --gap_)] = std::move(item);
    }

private:
    static constexpr std::size_t kept_when_empty = 1024;
    static constexpr std::size_t smallest = 8;
    static constexpr std::size_t near_end = 32;
    struct give_back {
        std::size_t capacity;
        void operator()(queue_item* slots) const noexcept {
            delete[] slots;
            message_pool::note_beside(-static_cast<std::int64_t>(capacity * sizeof(queue_item)));
        }
    };

    [[nodiscard]] std::size_t index(std::uint64_t at) const noexcept {
        return static_cast<std::size_t>(at) & (capacity_ - 1);
    }
    // How many slots stand before that position, the gap's included if that is where it is.
    [[nodiscard]] std::size_t lower_bound(position pos) const noexcept {
        if (gap_ == 0) [[likely]] {
            return lower_bound(pos, 0, size());
        }
        const auto behind = static_cast<std::size_t>(gap_at_ + gap_ - head_);
        if (slots_[index(head_ + behind)].pos < pos) {
            return lower_bound(pos, behind + 1, size());
        }
        const std::size_t before = lower_bound(pos, 0, behind - gap_);
        return before == behind - gap_ ? behind : before;
    }
    [[nodiscard]] std::size_t lower_bound(position pos, std::size_t before, std::size_t after) const noexcept {
        while (before < after) {
            const std::size_t middle = (before + after) / 2;
            if (slots_[index(head_ + middle)].pos < pos) {
                before = middle + 1;
            } else {
                after = middle;
            }
        }
        return before;
    }
    void skip_front() noexcept {
        while (head_ != tail_ && !slots_[index(head_)].msg) {
            ++head_;
            --left_behind_;
        }
        forget_gap_passed();
    }

    // ---- The gap -------------------------------------------------------------------------------
    void forget_gap_passed() noexcept {
        if (gap_at_ - head_ >= size()) {
            gap_ = 0;
        }
    }
    // Would fewer items have to move than from the nearer end?
    [[nodiscard]] bool is_gap_near(std::size_t before) const noexcept {
        if (gap_ == 0) {
            return false;
        }
        const auto from = static_cast<std::size_t>(gap_at_ - head_);
        const std::size_t moving = before <= from ? from - before : before - (from + gap_);
        return moving <= std::min(before, size() - before);
    }
    // To end where the `before`th slot begins.
    void move_gap(std::size_t before) noexcept {
        const std::uint64_t at = head_ + before;
        if (before > static_cast<std::size_t>(gap_at_ - head_)) {
            for (std::uint64_t from = gap_at_ + gap_; from != at; ++from) {
                slots_[index(gap_at_++)] = std::move(slots_[index(from)]);
            }
            return;
        }
        while (gap_at_ != at) {
            --gap_at_;
            slots_[index(gap_at_ + gap_)] = std::move(slots_[index(gap_at_)]);
        }
    }
    // What lies towards the nearer end moves by one, among which the gap is not: it would be near. Where there is room.
    std::size_t shift_one(std::size_t before) noexcept {
        if (before <= size() - before) {
            --head_;
            for (std::size_t i = 0; i < before; ++i) {
                slots_[index(head_ + i)] = std::move(slots_[index(head_ + i + 1)]);
            }
        } else {
            for (std::size_t i = size(); i-- > before;) {
                slots_[index(head_ + i + 1)] = std::move(slots_[index(head_ + i)]);
            }
            ++tail_;
        }
        return index(head_ + before);
    }
    // Where that position belongs, `before` slots from the front: of half as many slots as items have to move for it.
    void open_gap(std::size_t before, position pos) {
        leave_gap();
        const std::size_t wanted = std::min(before, size() - before) / 2;
        if (left_behind_ + wanted > size() / 2) {
            close_gaps();
            before = lower_bound(pos);
        }
        while (size() + wanted > capacity_) {
            resize(capacity_ * 2);
        }
        if (before <= size() - before) {
            for (std::size_t i = 0; i < before; ++i) {
                slots_[index(head_ + i - wanted)] = std::move(slots_[index(head_ + i)]);
            }
            head_ -= wanted;
        } else {
            for (std::size_t i = size(); i-- > before;) {
                slots_[index(head_ + i + wanted)] = std::move(slots_[index(head_ + i)]);
            }
            tail_ += wanted;
        }
        gap_at_ = head_ + before;
        gap_ = wanted;
        left_behind_ += wanted;
    }
    // Its slots are like others that were left behind.
    void leave_gap() noexcept {
        for (; gap_ != 0; --gap_, ++gap_at_) {
            slots_[index(gap_at_)].pos = slots_[index(gap_at_ - 1)].pos;
        }
    }

    void close_gaps() noexcept {
        std::uint64_t to = head_;
        for (std::uint64_t from = head_; from != tail_; ++from) {
            if (slots_[index(from)].msg) {
                if (to != from) {
                    slots_[index(to)] = std::move(slots_[index(from)]);
                }
                ++to;
            }
        }
        tail_ = to;
        left_behind_ = 0;
        gap_ = 0;
    }
    void grow_if_full() {
        if (size() < capacity_) [[likely]] {
            return;
        }
        resize(capacity_ == 0 ? smallest : capacity_ * 2);
    }
    void resize(std::size_t capacity) {
        std::unique_ptr<queue_item[], give_back> slots(new queue_item[capacity], {capacity});
        message_pool::note_beside(static_cast<std::int64_t>(capacity * sizeof(queue_item)));
        const std::size_t n = size();
        for (std::size_t i = 0; i < n; ++i) {
            slots[i] = std::move((*this)[i]);
        }
        slots_ = std::move(slots);
        capacity_ = capacity;
        gap_at_ += capacity - head_;
        // Away from zero, so that a front insertion into a fresh ring does not wrap below it.
        head_ = capacity;
        tail_ = head_ + n;
    }
    void release() noexcept {
        slots_.reset();
        capacity_ = 0;
        head_ = tail_ = 0;
        gap_ = 0;
    }

    std::unique_ptr<queue_item[], give_back> slots_;
    std::size_t capacity_ = 0;
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0;
    std::size_t left_behind_ = 0;  // the gap's included
    std::uint64_t gap_at_ = 0;
    std::size_t gap_ = 0;  // slots
};

}  // namespace linnet::core
