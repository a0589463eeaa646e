#include "bench/load/stamp.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using namespace linnet::load;

std::string written(const stamp& s, std::size_t size) {
    std::vector<std::uint8_t> payload(size, 'x');
    write_stamp(payload.data(), payload.size(), s, stamp_form::text);
    return {payload.begin(), payload.end()};
}

TEST(Stamp, AsTextIsDigits) {
    const stamp s{.sequence = 0xDEADBEEF, .stream = 7, .time_ns = 0x0123456789ABCDEF};
    EXPECT_EQ(written(s, 34), "deadbeef0123456789abcdef00000007xx");
    EXPECT_EQ(written(s, 31), "deadbeef0123456789abcdefxxxxxxx");
    EXPECT_EQ(written(s, 23), std::string(23, 'x'));
}

TEST(Stamp, IsReadBackAsFarAsItFits) {
    const stamp s{.sequence = 4'000'000'000, .stream = 70'000, .time_ns = 1'234'567'890'123'456'789};
    const auto whole = read_text_stamp(written(s, 100));
    ASSERT_TRUE(whole);
    EXPECT_EQ(whole->sequence, s.sequence);
    EXPECT_EQ(whole->stream, s.stream);
    EXPECT_EQ(whole->time_ns, s.time_ns);
    const auto short_one = read_text_stamp(written(s, 24));
    ASSERT_TRUE(short_one);
    EXPECT_EQ(short_one->time_ns, s.time_ns);
    EXPECT_EQ(short_one->stream, 0U);
}

TEST(Stamp, IsNotSeenInOtherTexts) {
    EXPECT_FALSE(read_text_stamp(""));
    EXPECT_FALSE(read_text_stamp("deadbeef0123456789abcde"));
    EXPECT_FALSE(read_text_stamp("{\"dropped\":3, \"and\": \"more than that\"}"));
    EXPECT_FALSE(read_text_stamp("deadbeef 123456789abcdef00000007"));
}

}  // namespace
