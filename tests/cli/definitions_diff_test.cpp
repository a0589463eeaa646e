#include "clients/cli/definitions_diff.hpp"

#include <gtest/gtest.h>

namespace linnet::cli {
namespace {

using kind = definition_change::kind;

json_value queue(const char* name, json_value arguments) {
    return {
        {"name", name}, {"vhost", "/"}, {"durable", true}, {"auto_delete", false}, {"arguments", std::move(arguments)}};
}

const json_value here{
    {"users", json_value::array({{{"name", "guest"}, {"tags", "administrator"}}})},
    {"exchanges", json_value::array({{{"name", "old"}, {"vhost", "/"}, {"type", "fanout"}}})},
    {"queues", json_value::array({queue("a", json_value::object()), queue("b", {{"x-max-length", 5}})})},
    {"bindings", json_value::array({{{"source", "old"},
                                     {"vhost", "/"},
                                     {"destination", "a"},
                                     {"destination_type", "queue"},
                                     {"routing_key", "k"},
                                     {"arguments", json_value::object()}}})},
};

TEST(DefinitionsDiff, FindsNothingBetweenTheSame) {
    EXPECT_TRUE(difference(here, here).empty());
    // Empty arguments are written in several ways, and tags as a list or as a text.
    auto other = here;
    other["queues"][0]["arguments"] = json_value::array();
    other["users"][0]["tags"] = json_value::array({"administrator"});
    EXPECT_TRUE(difference(here, other).empty());
}

TEST(DefinitionsDiff, LeavesSectionsAloneThatAreNotThere) {
    EXPECT_TRUE(difference(here, json_value::object()).empty());
}

TEST(DefinitionsDiff, TakesForGrantedWhatTheBrokerDoes) {
    // An export of one vhost names none, and people leave out what need not be said.
    auto exported = here;
    for (const auto* section : {"exchanges", "queues", "bindings"}) {
        for (auto& each : exported[section]) {
            each.erase("vhost");
        }
    }
    EXPECT_TRUE(difference(exported, here).empty());
    EXPECT_TRUE(difference(here, exported).empty());
    EXPECT_EQ(difference(exported, here, "other").size(), 8U);

    const auto bound = [](json_value binding) {
        return json_value{{"bindings", json_value::array({std::move(binding)})}};
    };
    const auto plain = bound({{"source", "x"}, {"destination", "q"}});
    const auto whole = bound({{"source", "x"},
                              {"vhost", "/"},
                              {"destination", "q"},
                              {"destination_type", "queue"},
                              {"routing_key", ""},
                              {"arguments", json_value::object()}});
    EXPECT_TRUE(difference(whole, plain).empty());
    EXPECT_TRUE(difference(plain, whole).empty());
}

TEST(DefinitionsDiff, NamesWhatIsOutsideOfAVhost) {
    EXPECT_EQ(first_outside(here, "/"), "");
    EXPECT_EQ(first_outside(here, "b"), "exchange old in /");
}

TEST(DefinitionsDiff, AddsInTheOrderOfAnImportAndRemovesAgainstIt) {
    const auto wanted = json_value{{"exchanges", json_value::array()},
                                   {"queues", json_value::array({queue("b", {{"x-max-length", 6}}), queue("c", {})})},
                                   {"bindings", json_value::array()}};
    const auto changes = difference(here, wanted);
    auto seen = std::vector<std::pair<kind, std::string>>{};
    for (const auto& each : changes) {
        seen.emplace_back(each.what, text_of(each));
    }
    EXPECT_EQ(seen, (std::vector<std::pair<kind, std::string>>{{kind::change, "queue b in /"},
                                                               {kind::add, "queue c in /"},
                                                               {kind::remove, "binding old -> a (k) in /"},
                                                               {kind::remove, "queue a in /"},
                                                               {kind::remove, "exchange old in /"}}));
    EXPECT_EQ(changes[0].before["arguments"]["x-max-length"], 5);
}

}  // namespace
}  // namespace linnet::cli
