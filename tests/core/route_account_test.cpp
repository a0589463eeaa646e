#include "broker/core/route_account.hpp"

#include "broker/core/property_reader.hpp"
#include "broker/core/publish_access.hpp"
#include "broker/core/topology_walk.hpp"
#include "tests/core/random_seed.hpp"
#include "tests/core/topology_fixture.hpp"

#include <array>
#include <random>
#include <set>

namespace linnet::core {
namespace {

// One line a step: "name why", what matched, and where it went from there.
class RouteAccount : public topology_fixture {
protected:
    [[nodiscard]] route_account explain(std::string_view exchange, std::string_view key) {
        const auto* x = topology_view::find_exchange(node(), exchange);
        EXPECT_NE(x, nullptr) << exchange;
        route_input in;
        in.routing_key = key;
        return explain_route(node(), *x, {&key, 1}, in);
    }
    static std::string text_of(const route_step& s) {
        std::string out(topology_view::spec_of(*s.exchange).name);
        out += s.why == step_reason::published ? " published" : s.why == step_reason::binding ? " bound" : " alternate";
        for (const auto* b : s.bindings) {
            out += " " + std::string(b->key()) + ">" + std::string(b->destination());
        }
        for (const auto* q : s.queues) {
            out += " >" + q->info->entry.spec.name;
        }
        if (!s.alternate.empty()) {
            out += " else " + std::string(s.alternate);
        }
        return out + (s.held ? " held" : "");
    }
    [[nodiscard]] std::vector<std::string> steps(std::string_view exchange, std::string_view key) {
        std::vector<std::string> out;
        for (const auto& s : explain(exchange, key).steps) {
            out.push_back(text_of(s));
        }
        return out;
    }
};

using lines = std::vector<std::string>;

TEST_F(RouteAccount, NamesTheBindingsThatMatchAndNoOthers) {
    queue("a");
    queue("b");
    bind("amq.direct", "a", "k");
    bind("amq.direct", "b", "other");
    EXPECT_EQ(steps("amq.direct", "k"), lines{"amq.direct published k>a"});
    EXPECT_EQ(steps("amq.direct", "none"), lines{"amq.direct published"});
    EXPECT_EQ(steps("", "b"), lines{" published >b"});
}

TEST_F(RouteAccount, FollowsExchangesAndAlternates) {
    exchange("x", "topic", {{"alternate-exchange", make_string("rest")}});
    exchange("y", "fanout");
    exchange("rest", "direct", {{"alternate-exchange", make_string("gone")}});
    queue("q");
    bind_exchange("x", "y", "a.#");
    bind("y", "q", "");
    EXPECT_EQ(steps("x", "a.b"), (lines{"x published a.#>y", "y bound >q"}));
    EXPECT_EQ(steps("x", "b"), (lines{"x published else rest", "rest alternate else gone"}));
}

TEST_F(RouteAccount, AnExchangeThatSeveralLeadToIsAskedOnce) {
    for (const auto name : {"x", "y", "z"}) {
        exchange(name, "fanout");
    }
    bind_exchange("x", "y", "");
    bind_exchange("x", "z", "");
    bind_exchange("y", "z", "");
    bind_exchange("z", "x", "");
    const auto account = explain("x", "");
    std::set<const exchange_node*> asked;
    for (const auto& s : account.steps) {
        EXPECT_TRUE(asked.insert(s.exchange).second) << text_of(s);
    }
    EXPECT_EQ(asked.size(), 3U);
}

TEST_F(RouteAccount, OneBindingThatSeveralKeysMatchIsNamedOnce) {
    queue("q");
    bind("amq.topic", "q", "#");
    const auto* x = topology_view::find_exchange(node(), "amq.topic");
    const std::array<std::string_view, 2> keys{"a", "b"};
    const auto account = explain_route(node(), *x, keys, {});
    ASSERT_EQ(account.steps.size(), 1U);
    EXPECT_EQ(account.steps.front().bindings.size(), 1U);
}

struct delaying final : property_reader {
    [[nodiscard]] value_table headers(block) const override { return {}; }
    [[nodiscard]] std::optional<value> header(block, std::string_view name) const override {
        return name == "x-delay" ? std::optional(make_int64(5)) : std::nullopt;
    }
    [[nodiscard]] std::optional<death_log> deaths(block) const override { return std::nullopt; }
    [[nodiscard]] std::string expiration(block) const override { return {}; }
    [[nodiscard]] std::vector<std::string> carbon_copies(block) const override { return {}; }
    [[nodiscard]] std::string message_id(block) const override { return {}; }
};

TEST_F(RouteAccount, ADelayedExchangeHoldsWhatAsksForIt) {
    exchange("d", "x-delayed-message", {{"x-delayed-type", make_string("fanout")}});
    queue("q");
    bind("d", "q", "");
    const delaying reader;
    route_input in;
    in.reader = &reader;
    const std::string_view key;
    const auto* x = topology_view::find_exchange(node(), "d");
    const auto now = explain_route(node(), *x, {&key, 1}, in);
    ASSERT_EQ(now.steps.size(), 1U);
    EXPECT_EQ(text_of(now.steps[0]), "d published held");
    EXPECT_TRUE(now.targets.empty());
    in.delays_over = true;
    EXPECT_EQ(explain_route(node(), *x, {&key, 1}, in).targets.size(), 1U);
}

// What is told is what happens: over random topologies the targets are those of a message's route, and exactly what the
// bindings that are named lead to.
TEST_F(RouteAccount, AgreesWithTheRouteOfAMessage) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const std::array types{"direct", "topic", "fanout", "x-modulus-hash", "x-consistent-hash"};
    const std::array patterns{"a", "b", "a.b", "#", "*", "a.#", "1", "2"};
    const auto any = [&](std::size_t n) { return random() % n; };
    for (int i = 0; i < 12; ++i) {
        value_table arguments;
        if (any(2) == 0) {
            arguments.emplace_back("alternate-exchange", make_string("x" + std::to_string(any(14))));
        }
        exchange("x" + std::to_string(i), types[any(types.size())], std::move(arguments));
        queue("q" + std::to_string(i));
    }
    for (int i = 0; i < 60; ++i) {
        const auto from = "x" + std::to_string(any(12));
        const bool weighs = topology_view::spec_of(*topology_view::find_exchange(node(), from)).type ==
                            exchange_type::consistent_hash;
        const auto* const key = weighs ? patterns[6 + any(2)] : patterns[any(6)];
        any(3) == 0 ? bind_exchange(from, "x" + std::to_string(any(12)), key)
                    : bind(from, "q" + std::to_string(any(12)), key);
    }
    for (int i = 0; i < 12; ++i) {
        for (const auto* key : {"a", "b", "a.b", "c", ""}) {
            const auto from = "x" + std::to_string(i);
            const auto expected = route(from, key);
            const auto account = explain(from, key);
            const auto in_route = topology_view::targets_of(*scratch);
            EXPECT_EQ(account.targets, (std::vector<queue_handle>(in_route.begin(), in_route.end()))) << from << key;
            std::set<std::string> named;
            for (const auto& s : account.steps) {
                for (const auto* b : s.bindings) {
                    if (b->kind == bind_destination::queue) {
                        named.emplace(b->destination());
                    }
                }
            }
            EXPECT_EQ(names_of_queues(named.begin(), named.end()), expected) << from << " " << key;
        }
    }
}

// ---- Who may -------------------------------------------------------------------------------------

class PublishAccess : public topology_fixture {
protected:
    [[nodiscard]] std::optional<publish_bar> bar(std::string_view exchange, std::string_view key = "k",
                                                 std::string_view client = {}) const {
        return bar_to_publishing(node(), editor.view().rules_of("ann", vhost), exchange, key, client);
    }
    void permit_writing(std::string pattern) {
        ASSERT_TRUE(editor.set_permissions("ann", vhost, {"", std::move(pattern), ""}).has_value());
    }
};

TEST_F(PublishAccess, TellsTheFirstThingThatIsWrong) {
    EXPECT_EQ(bar("amq.topic"), publish_bar::no_rights);
    permit_writing("^amq\\.topic$|^missing$|^amq\\.rabbitmq\\.trace$");
    EXPECT_EQ(bar("amq.topic"), std::nullopt);
    EXPECT_EQ(bar("amq.direct"), publish_bar::exchange);
    EXPECT_EQ(bar("hidden"), publish_bar::exchange) << "who may not write there is not told whether it is there";
    EXPECT_EQ(bar("missing"), publish_bar::no_exchange);
    EXPECT_EQ(bar("amq.rabbitmq.trace"), publish_bar::internal);
    EXPECT_EQ(bar(""), publish_bar::exchange) << "the default exchange is called amq.default";
}

TEST_F(PublishAccess, LooksAtTheKeyWhereTopicsAreLimited) {
    permit_writing(".*");
    ASSERT_TRUE(editor.set_topic_permissions("ann", vhost, "amq.topic", {"^{client_id}\\.", ""}).has_value());
    EXPECT_EQ(bar("amq.topic", "c1.x", "c1"), std::nullopt);
    EXPECT_EQ(bar("amq.topic", "c2.x", "c1"), publish_bar::topic);
    EXPECT_EQ(bar("amq.topic", "c1.x"), publish_bar::topic) << "who is no MQTT client has no name for it";
    EXPECT_EQ(bar("amq.direct", "c2.x", "c1"), std::nullopt);
}

TEST_F(PublishAccess, ATokenIsARightOfItsOwn) {
    const auto key = reply_key(reply_token::make(shard_id{0}, 1));
    EXPECT_EQ(bar("", key), std::nullopt);
    EXPECT_EQ(bar("amq.direct", key), publish_bar::no_rights);
}

}  // namespace
}  // namespace linnet::core
