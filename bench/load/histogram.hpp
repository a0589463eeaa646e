// Counts of durations, in nanoseconds, exact to three decimal digits over 1 ns to an hour.
//
// The bucket layout is HdrHistogram's with unit 1 and three significant digits: below 2048 each value has its
// own count, above that every power of two is split into 1024 equal steps. So recording is a shift and an
// increment, histograms add up, and the percentiles equal those of every HdrHistogram implementation.
//
// Threads:  one at a time.
// Bounds:   counts_max counts (264 KiB), whatever is recorded. Longer durations count as value_max.
// Fails:    cannot.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

namespace linnet::load {

class histogram {
public:
    static constexpr std::uint64_t sub_bucket_count = 2048;
    static constexpr std::uint64_t sub_bucket_half = sub_bucket_count / 2;
    // The first power of two above an hour.
    static constexpr unsigned value_bits = 42;
    static constexpr std::uint64_t value_max = (std::uint64_t{1} << value_bits) - 1;
    static constexpr std::size_t counts_max = (value_bits - 10 + 1) * sub_bucket_half;

    histogram() : counts_{std::make_unique<std::uint64_t[]>(counts_max)} {}

    void record(std::uint64_t value, std::uint64_t count = 1) noexcept {
        value = std::min(value, value_max);
        counts_[index_of(value)] += count;
        count_ += count;
        sum_ += value * count;
        min_ = std::min(min_, value);
        max_ = std::max(max_, value);
    }

    void add(const histogram& other) noexcept;
    void reset() noexcept;

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    // Exact; 0 while nothing is recorded.
    [[nodiscard]] std::uint64_t min() const noexcept { return empty() ? 0 : min_; }
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
    [[nodiscard]] double mean() const noexcept;
    // From the middles of the buckets, as HdrHistogram computes it.
    [[nodiscard]] double stddev() const noexcept;

    // The smallest recorded value (rounded up to the end of its bucket) that `percent` of all values do not
    // exceed.
    [[nodiscard]] std::uint64_t percentile(double percent) const noexcept;

    // Calls visit(highest value of the bucket, count) for each bucket that holds something, in order.
    template <class Visit>
    void for_each(Visit visit) const {
        if (empty())
            return;
        for (std::size_t i = index_of(min_); i <= index_of(max_); ++i) {
            if (counts_[i] != 0)
                visit(highest_in(i), counts_[i]);
        }
    }

    [[nodiscard]] static constexpr std::size_t index_of(std::uint64_t value) noexcept {
        const auto bits = static_cast<unsigned>(std::bit_width(value | (sub_bucket_count - 1)));
        const unsigned shift = bits - 11;
        return shift * sub_bucket_half + (value >> shift);
    }
    [[nodiscard]] static constexpr std::uint64_t lowest_in(std::size_t index) noexcept {
        const unsigned shift = shift_of(index);
        return (index - shift * sub_bucket_half) << shift;
    }
    [[nodiscard]] static constexpr std::uint64_t highest_in(std::size_t index) noexcept {
        return lowest_in(index) + (std::uint64_t{1} << shift_of(index)) - 1;
    }

private:
    [[nodiscard]] static constexpr unsigned shift_of(std::size_t index) noexcept {
        return index < sub_bucket_count ? 0 : static_cast<unsigned>(index / sub_bucket_half - 1);
    }

    std::unique_ptr<std::uint64_t[]> counts_;
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t max_ = 0;
};

}  // namespace linnet::load
