#include "broker/app/memory_watch.hpp"
#include "broker/core/broker.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace linnet::app {
namespace {

constexpr std::uint64_t MiB = 1 << 20;

class MemoryWatch : public testing::Test {
protected:
    MemoryWatch() {
        parts.publish_topology();
        watch.begin();
    }
    static core::broker_options options() {
        core::broker_options o;
        o.memory_high_bytes = 1024 * MiB;
        return o;
    }
    [[nodiscard]] std::uint64_t program() const { return parts.bytes_of(core::memory_use::program); }
    void look() { watch.look(clock.now()); }

    manual_clock_source clock;
    core::broker parts{options(), clock};
    memory_watch watch{parts};
};

TEST_F(MemoryWatch, CountsWhatNobodyElseDoes) {
    const auto at_start = program();
    EXPECT_GT(at_start, 0U);
    EXPECT_LE(at_start, 128 * MiB) << "an eighth at most";
    look();
    EXPECT_LT(program(), at_start + 16 * MiB);
    EXPECT_FALSE(watch.is_pressing());
    std::vector<std::uint8_t> unseen(64 * MiB, 1);
    look();
    EXPECT_GE(program(), at_start + 48 * MiB);
    EXPECT_LE(program(), at_start + 96 * MiB);
    // Now it is somebody's.
    parts.set_bytes(core::control_shard, core::memory_use::retained, 64 * MiB);
    look();
    EXPECT_LT(program(), at_start + 16 * MiB);
    EXPECT_EQ(unseen.back(), 1U);
}

TEST_F(MemoryWatch, CountsNoMoreThanAQuarterOfTheBudget) {
    const auto at_start = program();
    std::vector<std::uint8_t> unseen(400 * MiB, 1);
    look();
    EXPECT_EQ(program(), at_start + 256 * MiB);
    EXPECT_TRUE(watch.is_pressing());
    EXPECT_EQ(unseen.back(), 1U);
}

TEST_F(MemoryWatch, WhatIsCountedWithoutBeingThereTakesNothingFromTheProgram) {
    const auto at_start = program();
    parts.set_bytes(core::control_shard, core::memory_use::retained, 900 * MiB);
    look();
    EXPECT_EQ(program(), at_start);
    EXPECT_TRUE(watch.is_pressing());
}

}  // namespace
}  // namespace linnet::app
