#include "broker/core/scope_grant.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {
namespace {

[[nodiscard]] bool matches(std::string_view pattern, std::string_view subject) {
    return scope_pattern(pattern).matches(subject);
}

TEST(ScopePattern, AnAsteriskStandsForAnyBytes) {
    EXPECT_TRUE(matches("a", "a"));
    EXPECT_FALSE(matches("a", "ab"));
    EXPECT_FALSE(matches("a", ""));
    EXPECT_TRUE(matches("", ""));
    EXPECT_FALSE(matches("", "a"));
    EXPECT_TRUE(matches("*", ""));
    EXPECT_TRUE(matches("*", "a/b.c"));
    EXPECT_TRUE(matches("a*", "a"));
    EXPECT_TRUE(matches("*c", "abc"));
    EXPECT_TRUE(matches("*ab", "abab"));
    EXPECT_TRUE(matches("a*b*c", "a-b-b-c"));
    EXPECT_FALSE(matches("a*b*c", "a-c-b"));
    EXPECT_FALSE(matches("ab*ba", "aba")) << "no byte is used twice";
    EXPECT_TRUE(matches("a**b", "ab"));
    EXPECT_FALSE(matches("A", "a"));
}

TEST(ScopePattern, IsPercentDecodedBetweenAsterisks) {
    EXPECT_TRUE(matches("%2F", "/"));
    EXPECT_TRUE(matches("a%2Ab", "a*b"));
    EXPECT_FALSE(matches("a%2Ab", "axb"));
    EXPECT_TRUE(matches("a+b", "a b"));
    EXPECT_TRUE(matches("%00", std::string_view("\0", 1)));
    for (const auto* bad : {"%", "%2", "%zz", "a%2*", "*%"}) {
        EXPECT_FALSE(matches(bad, bad)) << bad;
        EXPECT_FALSE(matches(bad, "a")) << bad;
    }
}

TEST(ScopePattern, TakesNoTimeOverWhatIsMeantToTakeLong) {
    std::string pattern;
    for (int i = 0; i < 2000; ++i) {
        pattern += "*a";
    }
    EXPECT_FALSE(matches(pattern + "b", std::string(60'000, 'a')));
}

// Everything that these scopes let somebody do in the vhost, of some questions.
[[nodiscard]] std::string rights(const std::vector<std::string>& scopes, std::string_view vhost) {
    const auto rules = scope_grant::make(scopes, 7)->rules_in(vhost);
    if (rules == nullptr) {
        return "nothing at all";
    }
    std::string all;
    constexpr std::array<std::pair<right, std::string_view>, 3> verbs{
        {{right::configure, "configure"}, {right::write, "write"}, {right::read, "read"}}};
    for (const auto& [r, verb] : verbs) {
        for (const std::string_view name : {"a", "b"}) {
            if (rules->allowed(r, name)) {
                all += std::string(verb) + " " + std::string(name) + ", ";
            }
            for (const std::string_view key : {"k", "l"}) {
                if (rules->topic_allowed(r, name, key)) {
                    all += std::string(verb) + " " + std::string(name) + " " + std::string(key) + ", ";
                }
            }
        }
    }
    return all;
}

TEST(ScopeGrant, GivesWhatRabbitmqsPluginReadsFromScopes) {
    EXPECT_EQ(rights({"read:v/a"}, "v"), "read a, ");
    EXPECT_EQ(rights({"read:v/a"}, "w"), "nothing at all");
    EXPECT_EQ(rights({"read:v/a", "write:*/b", "configure:w/*"}, "v"), "write b, read a, ");
    EXPECT_EQ(rights({"write:v/a/k"}, "v"), "write a, write a k, ");
    EXPECT_EQ(rights({"write:*/*/*"}, "v"), "write a, write a k, write a l, write b, write b k, write b l, ");
    EXPECT_EQ(rights({"write:*/*"}, "v"), "write a, write b, ") << "keys of topic exchanges need a third part";
    EXPECT_EQ(rights({"read:%2F/a"}, "/"), "read a, ");
}

TEST(ScopeGrant, GivesNothingForWhatItDoesNotUnderstand) {
    for (const auto* scope : {"", "read:", "read:v", "read:v/a/k/more", "READ:v/a", "tag:administrator", "openid",
                              "read v/a", "readv/a", " read:v/a"}) {
        EXPECT_EQ(rights({scope}, "v"), "nothing at all") << scope;
    }
    EXPECT_EQ(rights({}, "v"), "nothing at all");
}

TEST(ScopeGrant, RulesOutliveTheGrantThatTheyComeFrom) {
    auto grant = scope_grant::make(std::vector<std::string>{"read:v/a"}, 7);
    const auto rules = grant->rules_in("v");
    EXPECT_EQ(grant->ends_at(), 7);
    grant.reset();
    EXPECT_TRUE(rules->allowed(right::read, "a"));
}

}  // namespace
}  // namespace linnet::core
