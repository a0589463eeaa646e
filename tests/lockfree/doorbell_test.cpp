#include "broker/lockfree/doorbell.hpp"

#include <gtest/gtest.h>

namespace linnet::lockfree {
namespace {

TEST(Doorbell, IsSilentWhileTheShardIsAwake) {
    doorbell bell;
    EXPECT_FALSE(bell.must_wake());
    bell.prepare_to_sleep();
    bell.awake();
    EXPECT_FALSE(bell.must_wake());
    EXPECT_FALSE(bell.sleeping());
}

TEST(Doorbell, RingsOnceASleep) {
    doorbell bell;
    for (int sleep = 0; sleep < 3; ++sleep) {
        bell.prepare_to_sleep();
        EXPECT_TRUE(bell.sleeping());
        EXPECT_TRUE(bell.must_wake());
        EXPECT_FALSE(bell.must_wake());
        EXPECT_FALSE(bell.must_wake());
        bell.awake();
        EXPECT_FALSE(bell.must_wake());
    }
}

TEST(Doorbell, KeepsTheFlagOnALineOfItsOwn) {
    EXPECT_EQ(alignof(doorbell), cacheline_bytes);
    EXPECT_GE(sizeof(doorbell), cacheline_bytes);
}

}  // namespace
}  // namespace linnet::lockfree
