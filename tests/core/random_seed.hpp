#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <random>

namespace linnet::test {

// A new seed a run, printed so that a failure can be run again: LINNET_SEED=<seed>.
[[nodiscard]] inline std::uint64_t fresh_seed() {
    const char* given = std::getenv("LINNET_SEED");
    const std::uint64_t seed = given == nullptr ? std::random_device{}() : std::strtoull(given, nullptr, 10);
    testing::Test::RecordProperty("seed", std::to_string(seed));
    return seed;
}

}  // namespace linnet::test

#define LINNET_TRACE_SEED(seed) SCOPED_TRACE(testing::Message() << "LINNET_SEED=" << (seed))
