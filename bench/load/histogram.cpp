#include "bench/load/histogram.hpp"

#include <cmath>

namespace linnet::load {

void histogram::add(const histogram& other) noexcept {
    if (other.empty())
        return;
    for (std::size_t i = index_of(other.min_); i <= index_of(other.max_); ++i)
        counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
}

void histogram::reset() noexcept {
    if (empty())
        return;
    std::fill(&counts_[index_of(min_)], &counts_[index_of(max_)] + 1, 0);
    count_ = 0;
    sum_ = 0;
    min_ = std::numeric_limits<std::uint64_t>::max();
    max_ = 0;
}

double histogram::mean() const noexcept {
    return empty() ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

double histogram::stddev() const noexcept {
    if (empty())
        return 0.0;
    const double middle = mean();
    double squares = 0.0;
    for_each([&](std::uint64_t highest, std::uint64_t count) {
        const std::uint64_t lowest = lowest_in(index_of(highest));
        const double distance = (static_cast<double>(lowest) + static_cast<double>(highest)) / 2.0 - middle;
        squares += distance * distance * static_cast<double>(count);
    });
    return std::sqrt(squares / static_cast<double>(count_));
}

std::uint64_t histogram::percentile(double percent) const noexcept {
    if (empty())
        return 0;
    // One step down first, as HdrHistogram does: 99.9 % of 1000 is 999, not the 1000 that rounding makes of it.
    const double share = std::nextafter(std::clamp(percent, 0.0, 100.0), 0.0);
    const double wanted = share * static_cast<double>(count_) / 100.0;
    const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(wanted)));
    std::uint64_t seen = 0;
    for (std::size_t i = index_of(min_); i <= index_of(max_); ++i) {
        seen += counts_[i];
        // The bucket of the greatest value ends where that value is: it is known exactly.
        if (seen >= rank)
            return std::min(highest_in(i), max_);
    }
    return max_;
}

}  // namespace linnet::load
