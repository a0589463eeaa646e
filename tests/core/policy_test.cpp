#include "tests/core/topology_fixture.hpp"

namespace linnet::core {
namespace {

class Policies : public topology_fixture {
protected:
    [[nodiscard]] static policy make(std::string_view name, std::string_view pattern, std::int64_t priority,
                                     value_table definition, policy_scope scope = policy_scope::all) {
        return {std::string(name), std::string(pattern), scope, priority, std::move(definition)};
    }
    std::vector<std::string> set(policy p) {
        const auto done = editor.set_policy(vhost, std::move(p));
        return changed(done);
    }
    std::vector<std::string> set_operator(policy p) {
        const auto done = editor.set_operator_policy(vhost, std::move(p));
        return changed(done);
    }
    [[nodiscard]] const queue_spec& spec(std::string_view name) const {
        return topology_view::find_queue(node(), name)->spec;
    }
    [[nodiscard]] static std::vector<std::string> changed(const outcome<std::vector<queue_entry>>& done) {
        std::vector<std::string> out;
        if (!done) {
            ADD_FAILURE() << done.error().text;
            return out;
        }
        for (const auto& q : *done) {
            out.push_back(q.spec.name);
        }
        std::ranges::sort(out);
        return out;
    }
    [[nodiscard]] std::string refusal(policy p) {
        const auto done = editor.set_policy(vhost, std::move(p));
        return done ? "ok" : done.error().text;
    }
};

TEST_F(Policies, ChangeTheQueuesTheyMatchAndSayWhich) {
    queue("log-a");
    queue("log-b", {{"x-max-length", integer(5)}});
    queue("other");
    EXPECT_EQ(set(make("p", "^log-", 0, {{"max-length", integer(10)}})), names_of_queues{"log-a"});
    EXPECT_EQ(spec("log-a").settings.max_length, 10U);
    EXPECT_EQ(spec("log-a").policy, "p");
    EXPECT_EQ(spec("log-b").settings.max_length, 5U) << "of two limits the smaller";
    EXPECT_EQ(spec("log-b").policy, "p");
    EXPECT_FALSE(spec("other").settings.max_length.has_value());
    EXPECT_EQ(changed(editor.remove_policy(vhost, "p")), names_of_queues{"log-a"});
    EXPECT_FALSE(spec("log-a").settings.max_length.has_value());
    EXPECT_EQ(spec("log-b").policy, "");
}

TEST_F(Policies, SetRetriesAndDeduplication) {
    queue("work");
    queue("own", {{"x-retry-base", integer(7)}, {"x-retry-limit", integer(9)}});
    set(make("p", ".*", 0,
             {{"retry-base", integer(100)},
              {"retry-factor", integer(3)},
              {"retry-limit", integer(4)},
              {"deduplication-window", integer(60'000)}}));
    EXPECT_EQ(spec("work").settings.retry, (retry_policy{100 * ns_per_ms, 3, retry_policy::max_default, 4}));
    EXPECT_EQ(spec("work").settings.dedup, (dedup_settings{60 * ns_per_s, 1'000'000, ""}));
    EXPECT_EQ(spec("own").settings.retry->base, 7 * ns_per_ms) << "of two choices the declaration's";
    EXPECT_EQ(spec("own").settings.retry->limit, 4U) << "of two limits the smaller";
    EXPECT_EQ(refusal(make("bad", "", 0, {{"retry-factor", make_string("x")}})),
              "<<\"x\">> is not a valid retry factor");
    EXPECT_EQ(refusal(make("bad", "", 0, {{"retry-limit", integer(0)}})), "0 is not a valid retry limit");
    EXPECT_EQ(refusal(make("bad", "", 0, {{"deduplication-window", integer(2'147'483'648)}})),
              "2147483648 is not a valid deduplication window");
    EXPECT_EQ(refusal(make("bad", "", 0, {{"group-by", make_string("k")}})),
              "[<<\"group-by\">>] are not recognised policy settings");
}

TEST_F(Policies, ApplyToQueuesDeclaredLater) {
    set(make("p", "^log-", 0, {{"message-ttl", integer(60)}, {"overflow", make_string("reject-publish")}}));
    queue("log-a");
    EXPECT_EQ(spec("log-a").settings.message_ttl, 60 * ns_per_ms);
    EXPECT_EQ(spec("log-a").settings.overflow, overflow_policy::reject_publish);
    EXPECT_EQ(spec("log-a").policy, "p");
}

TEST_F(Policies, TheHighestPriorityAppliesAlone) {
    queue("q");
    set(make("low", ".*", 1, {{"max-length", integer(1)}, {"message-ttl", integer(1)}}));
    set(make("high", "q", 2, {{"max-length", integer(2)}}));
    EXPECT_EQ(spec("q").policy, "high");
    EXPECT_EQ(spec("q").settings.max_length, 2U);
    EXPECT_FALSE(spec("q").settings.message_ttl.has_value()) << "policies do not add up";
}

TEST_F(Policies, AnOperatorsLimitIsACeiling) {
    queue("q");
    set(make("p", ".*", 0, {{"max-length", integer(100)}, {"dead-letter-exchange", make_string("dlx")}}));
    set_operator(make("cap", ".*", 0, {{"max-length", integer(10)}, {"message-ttl", integer(7)}}));
    EXPECT_EQ(spec("q").settings.max_length, 10U);
    EXPECT_EQ(spec("q").settings.message_ttl, 7 * ns_per_ms);
    EXPECT_EQ(spec("q").settings.dead_letter_exchange, "dlx");
    EXPECT_EQ(spec("q").operator_policy, "cap");
    set_operator(make("cap", ".*", 0, {{"max-length", integer(1'000)}}));
    EXPECT_EQ(spec("q").settings.max_length, 100U);
    const auto refused = editor.set_operator_policy(vhost,
                                                    make("dlx", ".*", 0, {{"overflow", make_string("drop-head")}}));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().text, "[<<\"overflow\">>] are not recognised policy settings");
}

TEST_F(Policies, TheDeclarationsChoiceGoesFirst) {
    queue("q", {{"x-dead-letter-exchange", make_string("mine")}, {"x-overflow", make_string("drop-head")}});
    set(make("p", ".*", 0,
             {{"dead-letter-exchange", make_string("theirs")}, {"overflow", make_string("reject-publish")}}));
    EXPECT_EQ(spec("q").settings.dead_letter_exchange, "mine");
    EXPECT_EQ(spec("q").settings.overflow, overflow_policy::drop_head);
}

TEST_F(Policies, GiveExchangesAnAlternate) {
    exchange("x", "direct");
    exchange("own", "direct", {{"alternate-exchange", make_string("amq.direct")}});
    queue("rest");
    bind("amq.fanout", "rest", "");
    set(make("ae", "^(x|own)$", 0, {{"alternate-exchange", make_string("amq.fanout")}}, policy_scope::exchanges));
    EXPECT_EQ(route("x", "k"), names_of_queues{"rest"});
    EXPECT_EQ(route("own", "k"), names_of_queues{}) << "the declaration's own goes first";
    ASSERT_TRUE(editor.remove_policy(vhost, "ae").has_value());
    EXPECT_EQ(route("x", "k"), names_of_queues{});
}

TEST_F(Policies, ScopesAreKept) {
    queue("q");
    set(make("p", ".*", 0, {{"max-length", integer(1)}}, policy_scope::exchanges));
    EXPECT_EQ(spec("q").policy, "");
    set(make("p", ".*", 0, {{"max-length", integer(1)}}, policy_scope::quorum_queues));
    EXPECT_EQ(spec("q").policy, "");
    set(make("p", ".*", 0, {{"max-length", integer(1)}}, policy_scope::classic_queues));
    EXPECT_EQ(spec("q").policy, "p");
}

TEST_F(Policies, AreCheckedBeforeTheyCount) {
    queue("q");
    EXPECT_EQ(refusal(make("p", ".*", 0, {})), "no policy provided");
    EXPECT_EQ(refusal(make("p", ".*", 0, {{"max-len", integer(1)}})),
              "[<<\"max-len\">>] are not recognised policy settings");
    EXPECT_EQ(refusal(make("p", ".*", 0, {{"max-length", integer(-1)}})), "-1 is not a valid maximum length");
    EXPECT_EQ(refusal(make("p", ".*", 0, {{"max-length", make_string("1")}})),
              "<<\"1\">> is not a valid maximum length");
    EXPECT_EQ(refusal(make("p", ".*", 0, {{"expires", integer(0)}})), "0 is not a valid queue expiry");
    EXPECT_EQ(refusal(make("p", ".*", 0, {{"message-ttl", make_int64(INT64_MAX)}})),
              "9223372036854775807 is not a valid message TTL");
    EXPECT_EQ(refusal(make("p", ".*", 0, {{"overflow", make_string("x")}})), "<<\"x\">> is not a valid overflow value");
    EXPECT_EQ(refusal(make("p", "(", 0, {{"max-length", integer(1)}})),
              "pattern should be regular expression but is invalid: missing closing parenthesis at position 1");
    EXPECT_EQ(spec("q").policy, "");
    const auto none = editor.remove_policy(vhost, "p");
    ASSERT_FALSE(none.has_value());
    EXPECT_EQ(none.error().kind, error_kind::not_found);
}

}  // namespace
}  // namespace linnet::core
