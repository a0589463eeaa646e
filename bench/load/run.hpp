// One run from the first declaration to the last message.
//
//     set-up | warm-up | measured time, in intervals | drain | clean-up
//
// Rates and CPU figures come from the measured time alone, taken by one thread at its two ends; latencies include
// what was sent in it and arrived during the drain, or slow messages would be cut off.
//
// Threads:  the caller's, plus the workers while it runs.
// Fails:    a broker that refuses, or breaks, ends the run with its words.
#pragma once

#include "bench/load/driver.hpp"
#include "bench/load/options.hpp"
#include "bench/load/outcome.hpp"
#include "bench/load/report.hpp"

#include <functional>

namespace linnet::load {

using on_interval = std::function<void(const interval&)>;

// `o.rate` must not be a percentage any more; see measure().
[[nodiscard]] outcome<report> run_load(const options& o, driver& with, const on_interval& tell);

}  // namespace linnet::load
