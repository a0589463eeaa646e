// The reports for machines and for pages. Each is a whole file as text.
#pragma once

#include "bench/load/options.hpp"
#include "bench/load/outcome.hpp"
#include "bench/load/report.hpp"

#include <string>

namespace linnet::load {

// Everything: the machine, the settings, the intervals, the totals and the raw histograms.
[[nodiscard]] std::string json_report(const options& o, const report& r);
[[nodiscard]] std::string json_report(const options& o, const connection_report& r);
// A line an interval, columns as perf-test's; latencies in microseconds.
[[nodiscard]] std::string csv_report(const report& r);
// HdrHistogram's percentile distribution, in microseconds, for its plotter.
[[nodiscard]] std::string hgrm_report(const histogram& h);
// Two charts: latency by percentile (both axes logarithmic) and messages a second by time.
[[nodiscard]] std::string svg_report(const options& o, const report& r);

// To a file, or to standard output for "-".
[[nodiscard]] outcome<void> write_report(const std::string& path, const std::string& text);

}  // namespace linnet::load
