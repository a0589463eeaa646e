#include "broker/admin/json_writer.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace linnet::admin {
namespace {

void write_row(json_writer& w) {
    w.object()
        .member("name", "q\"1")
        .member("messages", std::uint64_t{3})
        .key("message_stats")
        .object()
        .member("publish", std::uint64_t{7})
        .key("publish_details")
        .object()
        .member("rate", 0.5)
        .end()
        .end()
        .key("tags")
        .array()
        .text("a")
        .null()
        .end()
        .member("durable", true)
        .end();
}

std::string row_text(const column_list& columns) {
    std::string out;
    json_writer w(out, &columns);
    write_row(w);
    return out;
}

TEST(JsonWriter, WritesEverythingWithoutColumns) {
    EXPECT_EQ(row_text({}),
              R"({"name":"q\"1","messages":3,"message_stats":{"publish":7,"publish_details":{"rate":0.5}},)"
              R"("tags":["a",null],"durable":true})");
}

TEST(JsonWriter, WritesWhatColumnsNameAndWhatLiesWithin) {
    EXPECT_EQ(row_text({"messages"}), R"({"messages":3})");
    EXPECT_EQ(row_text({"message_stats.publish_details.rate", "name"}),
              R"({"name":"q\"1","message_stats":{"publish_details":{"rate":0.5}}})");
    EXPECT_EQ(row_text({"message_stats.publish"}), R"({"message_stats":{"publish":7}})");
    EXPECT_EQ(row_text({"tags", "durable"}), R"({"tags":["a",null],"durable":true})");
    EXPECT_EQ(row_text({"mess", "messages.more"}), R"({"messages":3})")
        << "a scalar has nothing within: it is what is meant";
    EXPECT_EQ(row_text({"nothing"}), "{}");
}

TEST(JsonWriter, KeepsFloatsApartFromIntegers) {
    std::string out;
    json_writer w(out);
    w.array().number(2.0).number(1e300).number(std::numeric_limits<double>::quiet_NaN()).number(std::int64_t{-5}).end();
    EXPECT_EQ(out, "[2.0,1e+300,0.0,-5]");
}

TEST(JsonWriter, WritesTablesAsObjects) {
    core::value_table t;
    t.emplace_back("n", core::make_int64(-1));
    t.emplace_back("b", core::make_bool(false));
    t.emplace_back("none", core::value{});
    t.emplace_back("list", core::value{core::value_type::array, core::value_array{core::make_string("x")}, 0});
    std::string out;
    json_writer(out).value(t);
    EXPECT_EQ(out, R"({"n":-1,"b":false,"none":null,"list":["x"]})");
}

}  // namespace
}  // namespace linnet::admin
