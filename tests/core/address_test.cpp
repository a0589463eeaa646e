#include "broker/core/address.hpp"

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

TEST(BindingKey, IsWhatAnMqttFilterMeans) {
    const auto key = [](std::string_view f) { return binding_key_from(pattern_syntax::mqtt, f).value_or("none"); };
    EXPECT_EQ(key("a/+/b"), "a.*.b");
    EXPECT_EQ(key("a/#"), "a.#");
    EXPECT_EQ(key("/a"), ".a");
    EXPECT_EQ(key("a.b/c"), "a%2Eb.c");
    EXPECT_EQ(key("*/x#y"), "none");
    EXPECT_EQ(key("*/>"), "%2A.>");
    EXPECT_EQ(key("#/a"), "none");
    EXPECT_EQ(key("a+/b"), "none");
    EXPECT_EQ(key(""), "none");
}

TEST(BindingKey, IsWhatANatsSubjectMeans) {
    const auto key = [](std::string_view f) { return binding_key_from(pattern_syntax::nats, f).value_or("none"); };
    EXPECT_EQ(key("a.*.b"), "a.*.b");
    EXPECT_EQ(key("a.>"), "a.*.#");
    EXPECT_EQ(key(">"), "*.#");
    EXPECT_EQ(key("a.>.b"), "none");
    EXPECT_EQ(key("a..b"), "none");
    EXPECT_EQ(key("a.#"), "a.%23");
}

TEST(RoutingKey, NeverHoldsAWildcardOrAForeignSeparator) {
    EXPECT_EQ(key_from_mqtt("a/*/#x"), "a.%2A.%23x");
    EXPECT_EQ(key_from_mqtt("a.b"), "a%2Eb");
    EXPECT_EQ(key_from_mqtt("100%"), "100%");
    EXPECT_EQ(key_from_mqtt("a%2Eb"), "a%252Eb");  // no name can pass for another's escape
    EXPECT_EQ(key_from_nats("a.b"), "a.b");
    EXPECT_NE(key_from_mqtt("a%2Eb"), key_from_mqtt("a.b"));
}

}  // namespace
}  // namespace linnet::core
