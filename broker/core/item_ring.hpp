#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"

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
};

// A growing ring of queue items in the order of their positions, cheap at both ends.
//
// Threads: the queue's.
// Bounds:  grows by doubling; gives its memory back when it has become empty.
class item_ring {
public:
    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(tail_ - head_); }
    [[nodiscard]] queue_item& front() noexcept { return slots_[index(head_)]; }
    [[nodiscard]] queue_item& operator[](std::size_t i) noexcept { return slots_[index(head_ + i)]; }

    void push_back(queue_item&& item) {
        grow_if_full();
        slots_[index(tail_++)] = std::move(item);
    }
    [[nodiscard]] queue_item pop_front() noexcept {
        queue_item item = std::move(slots_[index(head_++)]);
        if (head_ == tail_ && capacity_ > kept_when_empty) [[unlikely]] {
            release();
        }
        return item;
    }
    // Puts a requeued item back where it stood. Usually that is the front; else the items before it move.
    void insert(queue_item&& item) {
        grow_if_full();
        std::size_t before = 0;  // how many items stand before it
        std::size_t after = size();
        while (before < after) {
            const std::size_t middle = (before + after) / 2;
            if ((*this)[middle].pos < item.pos) {
                before = middle + 1;
            } else {
                after = middle;
            }
        }
        --head_;
        for (std::size_t i = 0; i < before; ++i) {
            slots_[index(head_ + i)] = std::move(slots_[index(head_ + i + 1)]);
        }
        slots_[index(head_ + before)] = std::move(item);
    }

private:
    static constexpr std::size_t kept_when_empty = 1024;

    [[nodiscard]] std::size_t index(std::uint64_t at) const noexcept {
        return static_cast<std::size_t>(at) & (capacity_ - 1);
    }
    void grow_if_full() {
        if (size() < capacity_) [[likely]] {
            return;
        }
        const std::size_t larger = capacity_ == 0 ? 8 : capacity_ * 2;
        auto slots = std::make_unique<queue_item[]>(larger);
        const std::size_t n = size();
        for (std::size_t i = 0; i < n; ++i) {
            slots[i] = std::move((*this)[i]);
        }
        slots_ = std::move(slots);
        capacity_ = larger;
        // Away from zero, so that a front insertion into a fresh ring does not wrap below it.
        head_ = larger;
        tail_ = head_ + n;
    }
    void release() noexcept {
        slots_.reset();
        capacity_ = 0;
        head_ = tail_ = 0;
    }

    std::unique_ptr<queue_item[]> slots_;
    std::size_t capacity_ = 0;
    std::uint64_t head_ = 0;
    std::uint64_t tail_ = 0;
};

}  // namespace linnet::core
