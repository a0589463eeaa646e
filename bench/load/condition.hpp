// --fail-if: a bar that a run must not break, as 'p99>5ms' or 'received<100000'.
//
//     METRIC OPERATOR NUMBER [UNIT]      operator: > < >= <=; unit: ns us ms s; several joined by commas
#pragma once

#include "bench/load/outcome.hpp"
#include "bench/load/report.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace linnet::load {

struct condition {
    enum class comparison : std::uint8_t { above, below, at_least, at_most };

    std::string metric;
    comparison how = comparison::above;
    double bar = 0;  // times in nanoseconds

    // Of a finished run; check_metric() has accepted the name.
    [[nodiscard]] bool holds(const report& r) const;
};

[[nodiscard]] outcome<std::vector<condition>> parse_conditions(std::string_view text);

// p50, p99.9, min, avg, max (confirm.p50 ... for confirms), sent, received, confirmed (a second), cpu (seconds a
// million), rss (bytes), missing, duplicates, out-of-order, lost, nacked, returned.
[[nodiscard]] outcome<double> metric_of(const report& r, std::string_view name);

}  // namespace linnet::load
