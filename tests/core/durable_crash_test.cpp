// Crashes at any moment: brokers over simulated disks carry random traffic, and what each moment's crash would leave
// is opened and held against what had been promised.
//
//     LINNET_SEED=<seed>             the same run again
//     LINNET_CRASH_POINTS=1000000    more of them
#include "tests/core/crash_run.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace linnet::core {
namespace {

using crash_test::crash_run;

constexpr std::uint64_t points_a_run = 100;

[[nodiscard]] std::uint64_t points_wanted() {
    const char* given = std::getenv("LINNET_CRASH_POINTS");
    return given == nullptr ? 10'000 : std::strtoull(given, nullptr, 10);
}

TEST(DurableCrash, KeepsItsPromisesWhereverItStops) {
    const auto first = test::fresh_seed();
    const std::uint64_t runs = (points_wanted() + points_a_run - 1) / points_a_run;
    std::uint64_t copied = 0;
    for (std::uint64_t i = 0; i < runs; ++i) {
        LINNET_TRACE_SEED(first + i);
        crash_run run(first + i);
        for (std::uint64_t n = 0; n < points_a_run && run.broken().empty(); ++n) {
            run.crash_point();
        }
        for (const auto& what : run.broken()) {
            ADD_FAILURE() << what;
        }
        if (HasFailure()) {
            return;
        }
        copied += run.copied_bytes();
    }
    // A few runs may be too short for it.
    if (runs >= 50) {
        EXPECT_GT(copied, runs * 2 * 1024) << "segments were cleaned all the while";
    }
}

// The checker must be able to fail: a disk that loses what it said it had is to be noticed.
TEST(DurableCrash, NoticesADiskThatLies) {
    const auto first = test::fresh_seed();
    LINNET_TRACE_SEED(first);
    for (std::uint64_t i = 0; i < 20; ++i) {
        // A lie may also cost what recovery takes for damage: then opening fails, which is noticing as well.
        try {
            crash_run run(first + i, {.lie = store::disk_lie::writes});
            for (std::uint64_t n = 0; n < points_a_run; ++n) {
                run.crash_point();
                if (!run.broken().empty()) {
                    return;
                }
            }
        } catch (const unreadable_log&) {
            return;
        }
    }
    FAIL() << "nothing was missed of what the disk had lost";
}

// Groups are what keeps a delayed message, or a dead letter, from being there twice: without them that is to be
// noticed.
TEST(DurableCrash, NoticesALogWithoutGroups) {
    const auto first = test::fresh_seed();
    LINNET_TRACE_SEED(first);
    bool late = false;
    bool dead = false;
    for (std::uint64_t i = 0; i < 1000 && !(late && dead); ++i) {
        crash_run run(first + i, {.groups = false});
        for (std::uint64_t n = 0; n < points_a_run && run.broken().empty(); ++n) {
            run.crash_point();
        }
        for (const std::string& what : run.broken()) {
            late |= what.find("delivered twice after its delay") != std::string::npos;
            dead |= what.find("is dead and alive") != std::string::npos;
        }
    }
    EXPECT_TRUE(late) << "no delayed message was there twice";
    EXPECT_TRUE(dead) << "no dead letter was there twice";
}

}  // namespace
}  // namespace linnet::core
