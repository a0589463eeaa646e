// Sessions log what strangers do wrong; here that is the point of the tests and would drown their results.

#include "broker/base/log.hpp"

#include <gtest/gtest.h>

namespace {

class quiet_log final : public testing::Environment {
public:
    void SetUp() override {
        linnet::log::options o;
        o.threshold = linnet::log::level::off;
        EXPECT_EQ(linnet::log::configure(o), "");
    }
};

[[maybe_unused]] const auto* const quiet = testing::AddGlobalTestEnvironment(new quiet_log);

}  // namespace
