// The messages of one producer that the broker has not yet confirmed, by their publishing number from 1.
//
// Brokers confirm singly or "all up to here", in order or not; each number is settled once, whatever comes.
//
// Threads:  one at a time.
// Bounds:   at most `size` open numbers; the caller asks room() first.
// Fails:    numbers that are not open are ignored.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace linnet::load {

class confirm_window {
public:
    explicit confirm_window(std::uint32_t size) : size_{size}, intended_(std::bit_ceil(std::uint64_t{size} + 1), 0) {}

    // Counted from the oldest open number: one slow confirm must not let the ring run into itself.
    [[nodiscard]] std::uint64_t room() const noexcept { return size_ - (next_ - oldest_); }

    void open(std::int64_t intended_ns) noexcept { intended_[slot(next_++)] = intended_ns; }

    // Calls settled(intended_ns) for each number that `number` (and, with multiple, all below) settles.
    template <class Settled>
    void settle(std::uint64_t number, bool multiple, Settled settled) {
        // Number 0 with multiple means all that there are.
        if (multiple && number == 0)
            number = next_ - 1;
        if (number < oldest_ || number >= next_)
            return;
        for (std::uint64_t n = multiple ? oldest_ : number; n <= number; ++n) {
            std::int64_t& at = intended_[slot(n)];
            if (at == 0)
                continue;
            settled(at);
            at = 0;
        }
        while (oldest_ < next_ && intended_[slot(oldest_)] == 0)
            ++oldest_;
    }

    [[nodiscard]] bool empty() const noexcept { return oldest_ == next_; }
    // The lowest open number; the next one to open, if none is.
    [[nodiscard]] std::uint64_t oldest() const noexcept { return oldest_; }

private:
    [[nodiscard]] std::size_t slot(std::uint64_t number) const noexcept { return number & (intended_.size() - 1); }

    std::uint32_t size_;
    std::uint64_t next_ = 1;
    std::uint64_t oldest_ = 1;
    std::vector<std::int64_t> intended_;  // 0: settled
};

}  // namespace linnet::load
