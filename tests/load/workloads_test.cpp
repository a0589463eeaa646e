// Every file in bench/workloads is one that the generator accepts.
#include "bench/load/option_table.hpp"
#include "bench/load/plan.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace {

using namespace linnet::load;

TEST(Workloads, AllOfThemAreUnderstood) {
    int count = 0;
    for (const auto& file : std::filesystem::directory_iterator{LINNET_WORKLOADS}) {
        const std::vector<std::string> arguments{"--workload", file.path().string()};
        const auto o = parse_options(arguments);
        ASSERT_TRUE(o) << o.error();
        EXPECT_FALSE(make_plan(*o).connections.empty());
        ++count;
    }
    EXPECT_GE(count, 12);
}

}  // namespace
