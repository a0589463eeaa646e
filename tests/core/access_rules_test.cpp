#include "broker/core/address.hpp"
#include "broker/core/regex.hpp"
#include "tests/core/random_seed.hpp"
#include "tests/core/topology_fixture.hpp"

#include <chrono>
#include <random>
#include <regex>

namespace linnet::core {
namespace {

class Rights : public topology_fixture {
protected:
    void permit(std::string_view user, permission_patterns p) {
        const auto done = editor.set_permissions(user, vhost, std::move(p));
        ASSERT_TRUE(done.has_value()) << done.error().text;
    }
    [[nodiscard]] const access_rules* rules(std::string_view user) const { return editor.view().rules_of(user, vhost); }
};

TEST_F(Rights, AUserWithoutPermissionsHasNoRules) {
    EXPECT_EQ(rules("ann"), nullptr);
    permit("ann", {".*", ".*", ".*"});
    EXPECT_NE(rules("ann"), nullptr);
    EXPECT_EQ(editor.view().rules_of("ann", vhost_id{99}), nullptr);
    editor.clear_permissions("ann", vhost);
    EXPECT_EQ(rules("ann"), nullptr);
}

TEST_F(Rights, PatternsAreSearchedNotAnchored) {
    permit("ann", {"^ann-", "log", "^(a|b)$"});
    const auto* r = rules("ann");
    EXPECT_TRUE(r->allowed(right::configure, "ann-queue"));
    EXPECT_FALSE(r->allowed(right::configure, "joann-queue"));
    EXPECT_TRUE(r->allowed(right::write, "a.log.b"));
    EXPECT_TRUE(r->allowed(right::read, "b"));
    EXPECT_FALSE(r->allowed(right::read, "ab"));
}

TEST_F(Rights, EmptyPatternsAllowOnlyTheEmptyNameWhichNothingHas) {
    permit("ann", {"", "^$", ".*"});
    const auto* r = rules("ann");
    EXPECT_FALSE(r->allowed(right::configure, "q"));
    EXPECT_FALSE(r->allowed(right::write, "q"));
    EXPECT_FALSE(r->allowed(right::write, "")) << "the default exchange is called amq.default";
    EXPECT_TRUE(r->allowed(right::read, "q"));
    permit("bob", {"", "^amq\\.default$", ""});
    EXPECT_TRUE(rules("bob")->allowed(right::write, ""));
    EXPECT_FALSE(rules("bob")->allowed(right::write, "q"));
}

TEST_F(Rights, APatternThatIsNoneIsRefusedAndChangesNothing) {
    permit("ann", {".*", "", ""});
    const auto bad = editor.set_permissions("ann", vhost, {"", "(", ""});
    ASSERT_FALSE(bad.has_value());
    EXPECT_EQ(bad.error().kind, error_kind::precondition_failed);
    EXPECT_EQ(bad.error().text, "invalid regular expression '(': missing closing parenthesis at position 1");
    EXPECT_TRUE(rules("ann")->allowed(right::configure, "q"));
}

TEST_F(Rights, TopicRulesApplyToTheirExchangeOnly) {
    permit("ann", {".*", ".*", ".*"});
    EXPECT_FALSE(rules("ann")->has_topic_rules());
    ASSERT_TRUE(editor.set_topic_permissions("ann", vhost, "amq.topic", {"^{username}\\.", "^x$"}).has_value());
    const auto* r = rules("ann");
    EXPECT_TRUE(r->has_topic_rules());
    EXPECT_TRUE(r->topic_allowed(right::write, "amq.topic", "ann.temperature"));
    EXPECT_FALSE(r->topic_allowed(right::write, "amq.topic", "bob.temperature"));
    EXPECT_TRUE(r->topic_allowed(right::write, "other", "bob.temperature"));
    EXPECT_FALSE(r->topic_allowed(right::read, "amq.topic", "y"));
    editor.clear_topic_permissions("ann", vhost, "amq.topic");
    EXPECT_TRUE(rules("ann")->topic_allowed(right::write, "amq.topic", "bob.temperature"));
}

TEST_F(Rights, NamesOfUsersAreNoPatterns) {
    for (const std::string user : {".*", "a|b", "x)(", "\\E.*", "{vhost}", "[a", "ü*"}) {
        permit(user, {".*", ".*", ".*"});
        ASSERT_TRUE(editor.set_topic_permissions(user, vhost, "amq.topic", {"^{username}\\.t$", ""}).has_value())
            << user;
        EXPECT_FALSE(rules(user)->topic_allowed(right::write, "amq.topic", "victim.t")) << user;
        EXPECT_TRUE(rules(user)->topic_allowed(right::write, "amq.topic", user + ".t")) << user;
    }
}

// What a client calls itself is its own choice (reliability.md, A11).
TEST_F(Rights, NamesOfClientsAreOneLevelWhateverTheyHold) {
    for (const std::string client :
         {"dev1", ".*", "a.b", "#", "*", "+/#", "a|b", "x)(", "\\E.*", "%2E", "{username}"}) {
        for (const auto* pattern : {"^%c\\.t$", "^{client_id}\\.t$"}) {
            permit("ann", {".*", ".*", ".*"});
            ASSERT_TRUE(editor.set_topic_permissions("ann", vhost, "amq.topic", {pattern, pattern}).has_value());
            const auto* r = rules("ann");
            EXPECT_TRUE(r->topic_allowed(right::write, "amq.topic", level_text(client) + ".t", client)) << client;
            EXPECT_FALSE(r->topic_allowed(right::write, "amq.topic", "victim.t", client)) << client;
            EXPECT_FALSE(r->topic_allowed(right::write, "amq.topic", "ann.t", client)) << client;
            EXPECT_FALSE(r->topic_allowed(right::read, "amq.topic", "a.b.t", client)) << client;
            EXPECT_FALSE(r->topic_allowed(right::read, "amq.topic", ".t", client)) << client;
            EXPECT_FALSE(r->topic_allowed(right::write, "amq.topic", level_text(client) + ".t")) << "no client";
        }
    }
}

TEST_F(Rights, AUsersNameIsOneLevelToo) {
    permit("a.b", {".*", ".*", ".*"});
    ASSERT_TRUE(editor.set_topic_permissions("a.b", vhost, "amq.topic", {"^%u\\.t$", "^%u\\.%c$"}).has_value());
    const auto* r = rules("a.b");
    EXPECT_TRUE(r->topic_allowed(right::write, "amq.topic", "a%2Eb.t"));
    EXPECT_FALSE(r->topic_allowed(right::write, "amq.topic", "a.b.t"));
    EXPECT_TRUE(r->topic_allowed(right::read, "amq.topic", "a%2Eb.c1", "c1"));
    EXPECT_FALSE(r->topic_allowed(right::read, "amq.topic", "a%2Eb.c2", "c1"));
    EXPECT_FALSE(editor.set_topic_permissions("a.b", vhost, "amq.topic", {"(%c", ""}).has_value());
}

TEST_F(Rights, ARemovedUserLosesThemEverywhere) {
    const vhost_id second = editor.add_vhost("second");
    permit("ann", {".*", ".*", ".*"});
    ASSERT_TRUE(editor.set_permissions("ann", second, {".*", "", ""}).has_value());
    const auto* before = editor.commit();
    editor.remove_user("ann");
    EXPECT_EQ(rules("ann"), nullptr);
    EXPECT_EQ(editor.view().rules_of("ann", second), nullptr);
    EXPECT_NE(topology_view(before).rules_of("ann", second), nullptr) << "a version that stands does not change";
    release_topology(before);
}

// std::regex's ECMAScript says the same as Perl for what is made of these pieces.
TEST_F(Rights, AgreeWithAnotherEngineOnTenThousandPolicies) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    constexpr std::array<std::string_view, 14> pieces{"a",    "b",    "c",     ".",     "a*",  "b+", "c?",
                                                      "[ab]", "[^a]", "(a|b)", "(bc)*", "\\.", "",   "ab"};
    const auto pattern_text = [&] {
        std::string p = random() % 3 == 0 ? "^" : "";
        for (auto n = random() % 5; n > 0; --n) {
            p += pieces[random() % pieces.size()];
        }
        return p + (random() % 3 == 0 ? "$" : "");
    };
    const auto name = [&] {
        std::string n;
        for (auto left = 1 + random() % 6; left > 0; --left) {
            n += "abc."[random() % 4];
        }
        return n;
    };
    const auto oracle = [](const std::string& p, const std::string& n) {
        return p.empty() ? n.empty() : std::regex_search(n, std::regex(p));
    };
    std::size_t granted = 0;
    for (int i = 0; i < 10'000; ++i) {
        const permission_patterns p{pattern_text(), pattern_text(), pattern_text()};
        permit("u", p);
        const std::string n = name();
        for (const auto& [r, text] :
             {std::pair{right::configure, p.configure}, {right::write, p.write}, {right::read, p.read}}) {
            const bool expected = oracle(text, n);
            granted += expected ? 1 : 0;
            ASSERT_EQ(rules("u")->allowed(r, n), expected) << "pattern '" << text << "', name '" << n << "'";
        }
    }
    EXPECT_GT(granted, 1'000U) << "the policies decide nothing";
    EXPECT_LT(granted, 29'000U);
}

TEST(Regex, APatternMeantToHangIsCutShortAndRefuses) {
    const auto evil = regex::compile("^(a+)+$");
    ASSERT_TRUE(evil.has_value());
    EXPECT_TRUE(evil->matches("aaaa"));
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(evil->matches(std::string(200, 'a') + "!"));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace linnet::core
