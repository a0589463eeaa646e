#include "clients/cli/output.hpp"
#include "clients/cli/version.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace linnet::cli {
namespace {

const facts found{{"name", std::string{"a \"b\" \\"}}, {"count", std::int64_t{-5}}, {"time_ms", 1.5}, {"good", true}};

TEST(Output, IsATableForPeople) {
    EXPECT_EQ(render(found, output_form::table), "name     a \"b\" \\\ncount    -5\ntime_ms  1.500\ngood     yes\n");
    EXPECT_EQ(render({}, output_form::table), "");
}

TEST(Output, IsJsonForPrograms) {
    const auto text = render(found, output_form::json);
    const auto parsed = nlohmann::json::parse(text);
    EXPECT_EQ(parsed["name"], "a \"b\" \\");
    EXPECT_EQ(parsed["count"], -5);
    EXPECT_EQ(parsed["time_ms"], 1.5);
    EXPECT_EQ(parsed["good"], true);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
    EXPECT_EQ(render({}, output_form::json), "{}\n");
}

TEST(Output, LetsNoServerDriveTheTerminal) {
    EXPECT_EQ(render({{"x", std::string{"\x1b[2J\nfake"}}}, output_form::table), "x  \\x1b[2J\\x0afake\n");
}

TEST(Output, IsValidJsonWhateverTheBytes) {
    for (int byte = 0; byte < 256; ++byte) {
        EXPECT_TRUE(nlohmann::json::accept(json_string({reinterpret_cast<const char*>(&byte), 1}))) << byte;
    }
    EXPECT_EQ(json_string("Grüße"), "\"Grüße\"");
}

TEST(Version, IsOneLine) {
    EXPECT_THAT(version_line(),
                ::testing::MatchesRegex("linnet [0-9]+\\.[0-9]+\\.[0-9]+ \\([0-9a-z-]+, (gcc|clang) [0-9.]+\\)"));
}

}  // namespace
}  // namespace linnet::cli
