// Which options cannot work together, and what follows from those that can.
#pragma once

#include "bench/load/options.hpp"
#include "bench/load/outcome.hpp"

namespace linnet::load {

// What cannot work together.
[[nodiscard]] outcome<void> check(const options& o);
// What is confirmed whether one asks for it or not.
void settle(options& o);

}  // namespace linnet::load
