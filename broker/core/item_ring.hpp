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
    // Puts a requeued item back where it stood. Usually that is the front; else the items before it move.
    void insert(queue_item&& item) {
        grow_if_full();
        const std::size_t before = lower_bound(item.pos);
        --head_;
        for (std::size_t i = 0; i < before; ++i) {
            slots_[index(head_ + i)] = std::move(slots_[index(head_ + i + 1)]);
        }
        slots_[index(head_ + before)] = std::move(item);
    }

private:
    static constexpr std::size_t kept_when_empty = 1024;
    static constexpr std::size_t smallest = 8;
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
    // How many slots stand before that position.
    [[nodiscard]] std::size_t lower_bound(position pos) const noexcept {
        std::size_t before = 0;
        std::size_t after = size();
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
        // Away from zero, so that a front insertion into a fresh ring does not wrap below it.
        head_ = capacity;
        tail_ = head_ + n;
    }
    void release() noexcept {
        slots_.reset();
        capacity_ = 0;
        head_ = tail_ = 0;
    }

    std::unique_ptr<queue_item[], give_back> slots_;
    std::size_t capacity_ = 0;
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0;
    std::size_t left_behind_ = 0;
};

}  // namespace linnet::core
