// Watches the sequence numbers of one stream as one consumer receives it.
//
// The numbers rise by one. A jump leaves that many missing; a missing number that turns up later was out of
// order; a number seen before is a duplicate. A bitmap remembers which of the last window_size numbers came,
// so that late and twice can be told apart; what is older than that counts as a duplicate, since a broker
// redelivers far more often than it delays one message past a thousand others.
//
// Numbers wrap at 2^32. The first number seen begins the count: a consumer may join late.
#pragma once

#include <array>
#include <cstdint>

namespace linnet::load {

struct sequence_faults {
    std::uint64_t missing = 0;
    std::uint64_t duplicates = 0;
    std::uint64_t out_of_order = 0;

    sequence_faults& operator+=(const sequence_faults& other) noexcept {
        missing += other.missing;
        duplicates += other.duplicates;
        out_of_order += other.out_of_order;
        return *this;
    }
    [[nodiscard]] bool any() const noexcept { return (missing | duplicates | out_of_order) != 0; }
};

class sequence_check {
public:
    static constexpr std::uint32_t window_size = 1024;

    void saw(std::uint32_t sequence) noexcept {
        if (sequence == next_ && started_) [[likely]] {
            seen_[word(sequence)] |= bit(sequence);
            // Entering a word of the bitmap: what it still holds is window_size numbers old.
            if (sequence % 64 == 63)
                seen_[word(sequence + 1)] = 0;
            ++next_;
            return;
        }
        unexpected(sequence);
    }

    [[nodiscard]] const sequence_faults& faults() const noexcept { return faults_; }

private:
    static constexpr std::uint32_t words = window_size / 64;

    static constexpr std::uint32_t word(std::uint32_t sequence) noexcept { return sequence / 64 % words; }
    static constexpr std::uint64_t bit(std::uint32_t sequence) noexcept { return std::uint64_t{1} << (sequence % 64); }

    void unexpected(std::uint32_t sequence) noexcept {
        if (!started_) {
            started_ = true;
            first_ = next_ = sequence;
            saw(sequence);
            return;
        }
        const auto ahead = static_cast<std::int32_t>(sequence - next_);
        if (ahead > 0) {
            skip_to(sequence);
            saw(sequence);
            return;
        }
        late(sequence, next_ - sequence);
    }

    void skip_to(std::uint32_t sequence) noexcept {
        const std::uint32_t skipped = sequence - next_;
        faults_.missing += skipped;
        if (skipped >= window_size) {
            seen_.fill(0);
        } else {
            for (std::uint32_t s = next_; s != sequence; ++s) {
                if (s % 64 == 63)
                    seen_[word(s + 1)] = 0;
            }
        }
        next_ = sequence;
    }

    void late(std::uint32_t sequence, std::uint32_t behind) noexcept {
        // One word of the bitmap is always in part ahead of next_, so the window is a word shorter.
        const bool remembered = behind <= window_size - 64;
        const bool before_first = static_cast<std::int32_t>(sequence - first_) < 0;
        if (before_first) {
            ++faults_.out_of_order;
        } else if (!remembered || (seen_[word(sequence)] & bit(sequence)) != 0) {
            ++faults_.duplicates;
        } else {
            seen_[word(sequence)] |= bit(sequence);
            ++faults_.out_of_order;
            --faults_.missing;
        }
    }

    std::array<std::uint64_t, words> seen_{};
    sequence_faults faults_{};
    std::uint32_t next_ = 0;
    std::uint32_t first_ = 0;
    bool started_ = false;
};

}  // namespace linnet::load
