// The report for the terminal: a line an interval as perf-test prints it, and a summary.
#pragma once

#include "bench/load/options.hpp"
#include "bench/load/report.hpp"

#include <string>

namespace linnet::load {

[[nodiscard]] std::string interval_line(const options& o, const interval& each);
[[nodiscard]] std::string summary(const options& o, const report& r);
[[nodiscard]] std::string summary(const options& o, const connection_report& r);

}  // namespace linnet::load
