#include "broker/core/address.hpp"
#include "broker/core/pattern_syntax.hpp"

#include <gtest/gtest.h>

#include <string>

namespace linnet::core {
namespace {

[[nodiscard]] std::string shown(const pattern& p) {
    std::string out;
    for (const auto& l : p.levels) {
        switch (l.kind) {
            case edge::literal: out += "[" + std::string(l.text) + "]"; break;
            case edge::one: out += "1"; break;
            case edge::many0: out += "#"; break;
            case edge::many1: out += ">"; break;
        }
    }
    return out;
}
[[nodiscard]] std::string parsed(std::string_view text) {
    const auto p = parse_pattern(text);
    return p ? shown(*p) : "none";
}

TEST(Pattern, TakesEmptyWordsAsLevels) {
    EXPECT_EQ(parsed(""), "");
    EXPECT_EQ(parsed("."), "[][]");
    EXPECT_EQ(parsed("a..b"), "[a][][b]");
    EXPECT_EQ(parsed("a.b."), "[a][b][]");
}

TEST(Pattern, KnowsWildcardsOnlyAsWholeWords) {
    EXPECT_EQ(parsed("a.*.b"), "[a]1[b]");
    EXPECT_EQ(parsed("*a.#b.**"), "[*a][#b][**]");
    EXPECT_EQ(parsed("#.a"), "#[a]");
}

TEST(Pattern, BringsRunsOfWildcardsIntoOneForm) {
    EXPECT_EQ(parsed("#.#.#.#"), "#");
    EXPECT_EQ(parsed("#.*"), ">");
    EXPECT_EQ(parsed("*.#"), ">");
    EXPECT_EQ(parsed("*.#.*"), "1>");
    EXPECT_EQ(parsed("a.#.*.#.b"), "[a]1#[b]");
    EXPECT_EQ(parsed("a.#.#.b.#"), "[a]#[b]#");
}

TEST(Pattern, RefusesMoreLevelsThanAnyNameNeeds) {
    std::string text = "a";
    for (std::size_t i = 1; i < pattern_levels_max; ++i) {
        text += ".a";
    }
    EXPECT_TRUE(parse_pattern(text).has_value());
    EXPECT_FALSE(parse_pattern(text + ".a").has_value());
}

TEST(LevelText, IsOneLevelWhateverItHolds) {
    EXPECT_EQ(level_text("ann"), "ann");
    EXPECT_EQ(level_text("v1.2/x"), "v1%2E2/x");
    EXPECT_EQ(level_text("*.#"), "%2A%2E%23");
    EXPECT_EQ(level_text("100%"), "100%");
    EXPECT_EQ(level_text("a%2Eb"), "a%252Eb");  // no name can pass for another's escape
    EXPECT_EQ(level_text("a%252Eb"), "a%25252Eb");
    EXPECT_EQ(level_text("a%25b"), "a%25b");
}

TEST(HidesDollar, IsForMqttsWildcardsInFirstPlace) {
    EXPECT_TRUE(hides_dollar(pattern_syntax::mqtt, "#"));
    EXPECT_TRUE(hides_dollar(pattern_syntax::mqtt, "*.x"));
    EXPECT_FALSE(hides_dollar(pattern_syntax::mqtt, "$SYS.#"));
    EXPECT_FALSE(hides_dollar(pattern_syntax::mqtt, "%2A.#"));
    EXPECT_FALSE(hides_dollar(pattern_syntax::amqp, "#"));
}

}  // namespace
}  // namespace linnet::core
