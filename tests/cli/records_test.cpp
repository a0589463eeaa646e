#include "clients/cli/records.hpp"

#include <gtest/gtest.h>

namespace linnet::cli {
namespace {

const json_value rows = json_value::parse(R"([
    {"name": "orders", "durable": true, "messages": 12, "message_stats": {"publish_details": {"rate": 3.5}},
     "arguments": {"x-max-length": 5}, "tags": ["a", "b"]},
    {"name": "b, \"2\"", "durable": false, "messages": 7, "arguments": {}},
    {"name": "Grüße", "durable": true, "messages": 300}
])");

const std::vector<column> columns{{"name", "name"},
                                  {"durable", "durable"},
                                  {"messages", "messages"},
                                  {"in/s", "message_stats.publish_details.rate"},
                                  {"arguments", "arguments", true}};

std::string rendered(record_view view) { return render(rows, columns, view); }

json_value filtered(std::vector<std::string> filters) {
    auto some = chosen(rows, columns, {.filters = std::move(filters)});
    EXPECT_TRUE(some);
    return some.value_or(json_value::array());
}

std::string names(const json_value& some) { return render(some, columns, {.form = record_form::name}); }

TEST(Records, AreATableForPeople) {
    EXPECT_EQ(rendered({}), "name    durable  messages  in/s\n"
                            "orders  yes            12   3.5\n"
                            "b, \"2\"  no              7\n"
                            "Grüße   yes           300\n");
    EXPECT_EQ(rendered({.headers = false}), "orders  yes   12  3.5\n"
                                            "b, \"2\"  no     7\n"
                                            "Grüße   yes  300\n");
}

TEST(Records, AreWiderOnDemand) {
    EXPECT_EQ(rendered({.form = record_form::wide, .columns = {"name", "arguments"}}), "name    arguments\n"
                                                                                       "orders  {\"x-max-length\":5}\n"
                                                                                       "b, \"2\"\n"
                                                                                       "Grüße\n");
    EXPECT_NE(rendered({.form = record_form::wide}).find("arguments"), std::string::npos);
}

TEST(Records, AreJsonForPrograms) {
    EXPECT_EQ(json_value::parse(rendered({.form = record_form::json})), rows);
    EXPECT_EQ(rendered({.form = record_form::jsonl, .columns = {"name", "in/s"}}),
              "{\"name\":\"orders\",\"in/s\":3.5}\n"
              "{\"name\":\"b, \\\"2\\\"\",\"in/s\":null}\n"
              "{\"name\":\"Grüße\",\"in/s\":null}\n");
}

TEST(Records, AreCsvAsRfc4180WantsIt) {
    EXPECT_EQ(rendered({.form = record_form::csv}), "name,durable,messages,in/s,arguments\r\n"
                                                    "orders,true,12,3.5,\"{\"\"x-max-length\"\":5}\"\r\n"
                                                    "\"b, \"\"2\"\"\",false,7,,\r\n"
                                                    "Grüße,true,300,,\r\n");
}

TEST(Records, AreYaml) {
    EXPECT_EQ(rendered({.form = record_form::yaml}), "- name: orders\n"
                                                     "  durable: true\n"
                                                     "  messages: 12\n"
                                                     "  message_stats:\n"
                                                     "    publish_details:\n"
                                                     "      rate: 3.5\n"
                                                     "  arguments:\n"
                                                     "    x-max-length: 5\n"
                                                     "  tags:\n"
                                                     "    - a\n"
                                                     "    - b\n"
                                                     "- name: \"b, \\\"2\\\"\"\n"
                                                     "  durable: false\n"
                                                     "  messages: 7\n"
                                                     "  arguments: {}\n"
                                                     "- name: \"Grüße\"\n"
                                                     "  durable: true\n"
                                                     "  messages: 300\n");
}

TEST(Records, AreNamesForScripts) { EXPECT_EQ(rendered({.form = record_form::name}), "orders\nb, \"2\"\nGrüße\n"); }

TEST(Records, LetNoServerDriveTheTerminal) {
    EXPECT_EQ(render(json_value::array({{{"name", "\x1b[2J"}}}), {{"name", "name"}}, {.headers = false}), "\\x1b[2J\n");
}

TEST(Records, AreSortedByAllKeys) {
    const auto order = [](std::vector<std::string> keys) {
        return names(chosen(rows, columns, {.sort = std::move(keys)}).value_or(json_value{}));
    };
    EXPECT_EQ(order({"messages"}), "b, \"2\"\norders\nGrüße\n");
    EXPECT_EQ(order({"-messages"}), "Grüße\norders\nb, \"2\"\n");
    EXPECT_EQ(order({"-durable", "-name"}), "orders\nGrüße\nb, \"2\"\n");
}

TEST(Records, AreFilteredByAllConditions) {
    EXPECT_EQ(names(filtered({"durable=yes"})), "orders\nGrüße\n");
    EXPECT_EQ(names(filtered({"durable=true", "messages>12"})), "Grüße\n");
    EXPECT_EQ(names(filtered({"messages<12"})), "b, \"2\"\n");
    EXPECT_EQ(names(filtered({"name!=orders"})), "b, \"2\"\nGrüße\n");
    EXPECT_EQ(names(filtered({"name~r"})), "orders\nGrüße\n");
    EXPECT_EQ(names(filtered({"arguments.x-max-length=5"})), "orders\n");
    for (const char* wrong : {"durable", "=x", "a!b"}) {
        const auto some = chosen(rows, columns, {.filters = {wrong}});
        ASSERT_FALSE(some) << wrong;
        EXPECT_EQ(some.error().code, exit_code::usage);
    }
}

TEST(Records, ShowOneObjectLineByLine) {
    EXPECT_EQ(render_object(rows[0], columns, {}), "name      orders\ndurable   yes\nmessages  12\nin/s      3.5\n");
    EXPECT_EQ(json_value::parse(render_object(rows[0], columns, {.form = record_form::json})), rows[0]);
}

}  // namespace
}  // namespace linnet::cli
