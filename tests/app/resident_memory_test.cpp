#include "broker/app/resident_memory.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

namespace linnet::app {
namespace {

std::uint64_t status_kib(const std::string& field) {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(field + ":")) {
            return std::stoull(line.substr(field.size() + 1));
        }
    }
    return 0;
}

TEST(ResidentMemory, GoesDownAndEverythingStillRuns) {
    const auto file_before = status_kib("RssFile");
    ASSERT_GT(file_before, 0U);
    release_start_memory();
    EXPECT_LT(status_kib("RssFile"), file_before);
    EXPECT_THROW(static_cast<void>(std::stoull("none")), std::invalid_argument);  // unwinding reads what was let go of
}

}  // namespace
}  // namespace linnet::app
