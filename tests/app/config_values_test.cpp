#include "broker/app/config_values.hpp"
#include "broker/app/edit_distance.hpp"

#include <gtest/gtest.h>

#include <array>

namespace linnet::app {
namespace {

using namespace std::string_view_literals;

TEST(Duration, ReadsEveryUnitAndTheirSums) {
    EXPECT_EQ(parse_duration_ms("0"), 0);
    EXPECT_EQ(parse_duration_ms("0s"), 0);
    EXPECT_EQ(parse_duration_ms("500ms"), 500);
    EXPECT_EQ(parse_duration_ms("30s"), 30'000);
    EXPECT_EQ(parse_duration_ms("5m"), 300'000);
    EXPECT_EQ(parse_duration_ms("2h"), 7'200'000);
    EXPECT_EQ(parse_duration_ms("1d"), 86'400'000);
    EXPECT_EQ(parse_duration_ms("1h30m"), 5'400'000);
    EXPECT_EQ(parse_duration_ms("1m1ms"), 60'001);
}

TEST(Duration, RefusesWhatHasNoUnitOrMoreThanOneReading) {
    for (auto text : {"", "s", "30", "-1s", "+1s", "1.5s", "30 s", "30x", "30S", "1h30", "ms", "1min", " 1s",
                      "9223372036854775807s", "9223372036854775808ms", "9223372036854775807ms1ms"}) {
        EXPECT_EQ(parse_duration_ms(text), std::nullopt) << text;
    }
}

TEST(Size, ReadsBothKindsOfPrefixes) {
    EXPECT_EQ(parse_size_bytes("0"), 0);
    EXPECT_EQ(parse_size_bytes("131072"), 131'072);
    EXPECT_EQ(parse_size_bytes("512B"), 512);
    EXPECT_EQ(parse_size_bytes("64KiB"), 65'536);
    EXPECT_EQ(parse_size_bytes("64MiB"), 67'108'864);
    EXPECT_EQ(parse_size_bytes("2GiB"), 2'147'483'648);
    EXPECT_EQ(parse_size_bytes("64kB"), 64'000);
    EXPECT_EQ(parse_size_bytes("10MB"), 10'000'000);
}

TEST(Size, RefusesTheRest) {
    for (auto text : {"", "B", "-1", "1.5MiB", "1 MiB", "64MiBB", "64mib", "64K", "9223372036854775807KiB",
                      "9223372036854775808"}) {
        EXPECT_EQ(parse_size_bytes(text), std::nullopt) << text;
    }
}

TEST(Percentage, IsAWholeNumberUpTo100) {
    EXPECT_EQ(parse_percentage("0%"), 0);
    EXPECT_EQ(parse_percentage("60%"), 60);
    EXPECT_EQ(parse_percentage("100%"), 100);
    for (auto text : {"", "%", "60", "101%", "-1%", "6.5%", "60 %", "60%%"}) {
        EXPECT_EQ(parse_percentage(text), std::nullopt) << text;
    }
}

TEST(BindAddress, IsNumeric) {
    EXPECT_EQ(parse_bind_address("0.0.0.0:5672"), (bind_address{"0.0.0.0", 5672}));
    EXPECT_EQ(parse_bind_address("127.0.0.1:0"), (bind_address{"127.0.0.1", 0}));
    EXPECT_EQ(parse_bind_address("[::]:5672"), (bind_address{"::", 5672}));
    EXPECT_EQ(parse_bind_address("[fe80::1]:65535"), (bind_address{"fe80::1", 65535}));
    for (auto text : {"", "5672", ":5672", "localhost:5672", "0.0.0.0", "0.0.0.0:", "0.0.0.0:65536", "0.0.0.0:-1",
                      "::1:5672", "[127.0.0.1]:1", "[]:1", "1.2.3:1", "0.0.0.0:5672x", "0.0.0.0: 1"}) {
        EXPECT_EQ(parse_bind_address(text), std::nullopt) << text;
    }
}

TEST(BindAddress, IsWrittenAsItIsRead) {
    for (auto text : {"0.0.0.0:5672", "[::]:5672"}) {
        EXPECT_EQ(format_bind_address(*parse_bind_address(text)), text);
    }
}

TEST(Values, AreWrittenInTheLargestUnitThatFits) {
    EXPECT_EQ(format_duration(0), "0ms");
    EXPECT_EQ(format_duration(1'500), "1500ms");
    EXPECT_EQ(format_duration(3'600'000), "1h");
    EXPECT_EQ(format_size(4'096), "4KiB");
    EXPECT_EQ(format_size(4'097), "4097B");
    EXPECT_EQ(format_size(10'000'000), "10000000B");
}

TEST(EditDistance, CountsInsertionsRemovalsChangesAndSwaps) {
    EXPECT_EQ(edit_distance("", ""), 0U);
    EXPECT_EQ(edit_distance("abc", ""), 3U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("listener", "listner"), 1U);
    EXPECT_EQ(edit_distance("listener", "lisetner"), 1U);
    EXPECT_EQ(edit_distance("queues", "queue"), 1U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Closest, SuggestsOnlyWhatIsNear) {
    static constexpr auto names = std::array{"listener"sv, "limits"sv, "log"sv, "tls"sv};
    EXPECT_EQ(closest("listners", names), "listener");
    EXPECT_EQ(closest("limit", names), "limits");
    EXPECT_EQ(closest("lgo", names), "log");
    EXPECT_EQ(closest("tsl", names), "tls");
    EXPECT_EQ(closest("wholly_different", names), "");
    EXPECT_EQ(closest("tl", names), "");
    EXPECT_EQ(closest("", names), "");
}

}  // namespace
}  // namespace linnet::app
