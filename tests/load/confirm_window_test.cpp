#include "bench/load/confirm_window.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace {

using linnet::load::confirm_window;

class ConfirmWindow : public ::testing::Test {
protected:
    void open(int count) {
        for (int i = 0; i < count; ++i)
            window.open(++opened);
    }
    std::vector<std::int64_t> settle(std::uint64_t number, bool multiple) {
        std::vector<std::int64_t> out;
        window.settle(number, multiple, [&](std::int64_t intended) { out.push_back(intended); });
        return out;
    }

    confirm_window window{4};
    std::int64_t opened = 0;  // the n-th message is stamped n
};

using times = std::vector<std::int64_t>;

TEST_F(ConfirmWindow, SettlesOneOrAllUpToOne) {
    open(4);
    EXPECT_EQ(window.room(), 0U);
    EXPECT_EQ(settle(1, false), times{1});
    EXPECT_EQ(settle(3, true), (times{2, 3}));
    EXPECT_EQ(window.room(), 3U);
    EXPECT_EQ(settle(0, true), times{4});
    EXPECT_TRUE(window.empty());
}

TEST_F(ConfirmWindow, TakesConfirmsInAnyOrderOnceEach) {
    open(4);
    EXPECT_EQ(settle(3, false), times{3});
    EXPECT_EQ(settle(3, false), times{});
    // The oldest is still open: the ring must not wrap into it.
    EXPECT_EQ(window.room(), 0U);
    EXPECT_EQ(settle(4, true), (times{1, 2, 4}));
    EXPECT_EQ(window.room(), 4U);
}

TEST_F(ConfirmWindow, IgnoresNumbersThatAreNotOpen) {
    open(2);
    EXPECT_EQ(settle(3, false), times{});
    EXPECT_EQ(settle(99, true), times{});
    EXPECT_EQ(settle(2, true), (times{1, 2}));
    EXPECT_EQ(settle(1, true), times{});
}

TEST_F(ConfirmWindow, GoesRoundManyTimes) {
    for (std::uint64_t n = 1; n <= 1000; ++n) {
        open(1);
        ASSERT_EQ(settle(n, n % 2 == 0), times{static_cast<std::int64_t>(n)});
        ASSERT_EQ(window.room(), 4U);
    }
}

}  // namespace
