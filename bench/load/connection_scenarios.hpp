// Loads that are about connections, not messages.
//
// hold_connections opens --connections, in AMQP with one channel each, keeps them idle for --time and tells what a
// connection costs the broker. churn opens and closes one thing after the other for --time.
//
// Threads:  the caller's alone. One after the other: what is measured is the broker's cost and the time of one
//           opening, and a generator that waits for a reply never overruns the broker's accept queue.
// Fails:    at the first connection that cannot be opened, with the broker's words and how many were open.
#pragma once

#include "bench/load/options.hpp"
#include "bench/load/outcome.hpp"
#include "bench/load/report.hpp"

namespace linnet::load {

[[nodiscard]] outcome<connection_report> hold_connections(const options& o);
[[nodiscard]] outcome<connection_report> churn(const options& o);

}  // namespace linnet::load
