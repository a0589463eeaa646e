#include "protocol/amqp/field_table.hpp"
#include "protocol/amqp/table_builder.hpp"
#include "tests/protocol/amqp_random.hpp"
#include "tests/protocol/hex.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <deque>
#include <map>
#include <set>

namespace linnet::amqp {
namespace {

using linnet::test::bytes;
using linnet::test::from_hex;
using linnet::test::to_hex;

// One field of every type, as rabbit_binary_parser of RabbitMQ 3.10 reads them.
const bytes every_type = from_hex("0174 74 07"                    // t = true, any octet but 0
                                  "0162 62 ff"                    // b = -1
                                  "0142 42 ff"                    // B = 255
                                  "0173 73 fffe"                  // s = -2, a short integer and no string
                                  "0175 75 fffe"                  // u = 65534
                                  "0149 49 fffffffd"              // I = -3
                                  "0169 69 fffffffd"              // i = 4294967293
                                  "016c 6c fffffffffffffffc"      // l = -4
                                  "014c 4c fffffffffffffffb"      // L = -5
                                  "0166 66 3fc00000"              // f = 1.5
                                  "0164 64 bff8000000000000"      // d = -1.5
                                  "0144 44 02 000004d2"           // D = 12.34
                                  "0153 53 00000002 6869"         // S = "hi"
                                  "0141 41 00000005 49 00000007"  // A = [7]
                                  "0154 54 ffffffffffffffff"      // T
                                  "0146 46 00000004 0161 74 00"   // F = {a: false}
                                  "0156 56"                       // V
                                  "0178 78 00000003 00ff41");     // x

table_view parsed(const bytes& contents) {
    const auto table = table_view::parse(contents);
    EXPECT_TRUE(table) << to_hex(contents);
    return table ? *table : table_view{};
}

fault refusal(const bytes& contents) {
    const auto table = table_view::parse(contents);
    EXPECT_TRUE(table.is_malformed()) << to_hex(contents);
    return table.is_malformed() ? table.reason() : fault{};
}

TEST(FieldTable, ReadsEveryTypeAsRabbitDoes) {
    const table_view table = parsed(every_type);
    EXPECT_EQ(std::distance(table.begin(), table.end()), 18);
    EXPECT_EQ(table.find("t")->as_bool(), true);
    EXPECT_EQ(table.find("b")->as_int64(), -1);
    EXPECT_EQ(table.find("B")->as_int64(), 255);
    EXPECT_EQ(table.find("s")->as_int64(), -2);
    EXPECT_EQ(table.find("u")->as_int64(), 65534);
    EXPECT_EQ(table.find("I")->as_int64(), -3);
    EXPECT_EQ(table.find("i")->as_int64(), 4294967293);
    EXPECT_EQ(table.find("l")->as_int64(), -4);
    EXPECT_EQ(table.find("L")->as_int64(), -5);
    EXPECT_EQ(table.find("f")->as_double(), 1.5);
    EXPECT_EQ(table.find("d")->as_double(), -1.5);
    EXPECT_EQ(table.find("D")->as_decimal(), (decimal_value{2, 1234}));
    EXPECT_EQ(table.find("S")->as_string(), "hi");
    EXPECT_EQ((*table.find("A")->as_array()->begin()).as_int64(), 7);
    EXPECT_EQ(table.find("T")->as_timestamp(), ~std::uint64_t{0});
    EXPECT_EQ(table.find("F")->as_table()->find("a")->as_bool(), false);
    EXPECT_EQ(table.find("V")->type(), field_type::nothing);
    EXPECT_EQ(table.find("x")->as_string(), std::string_view("\0\xff"
                                                             "A",
                                                             3));
    EXPECT_FALSE(table.contains("y"));
}

TEST(FieldTable, GivesNothingForAnotherType) {
    const table_view table = parsed(every_type);
    const std::map<std::string_view, std::string_view> accessor_of{
        {"t", "bool"},   {"b", "int"},   {"B", "int"},       {"s", "int"},    {"u", "int"},    {"I", "int"},
        {"i", "int"},    {"l", "int"},   {"L", "int"},       {"f", "double"}, {"d", "double"}, {"D", "decimal"},
        {"S", "string"}, {"A", "array"}, {"T", "timestamp"}, {"F", "table"},  {"V", ""},       {"x", "string"}};
    for (const field& each : table) {
        const std::string_view own = accessor_of.at(each.name);
        EXPECT_EQ(each.value.as_bool().has_value(), own == "bool") << each.name;
        EXPECT_EQ(each.value.as_int64().has_value(), own == "int") << each.name;
        EXPECT_EQ(each.value.as_double().has_value(), own == "double") << each.name;
        EXPECT_EQ(each.value.as_decimal().has_value(), own == "decimal") << each.name;
        EXPECT_EQ(each.value.as_string().has_value(), own == "string") << each.name;
        EXPECT_EQ(each.value.as_array().has_value(), own == "array") << each.name;
        EXPECT_EQ(each.value.as_timestamp().has_value(), own == "timestamp") << each.name;
        EXPECT_EQ(each.value.as_table().has_value(), own == "table") << each.name;
    }
}

TEST(FieldTable, RefusesEveryOtherTypeLetter) {
    const std::string_view known = "tbBsuIilLfdDSATFVx";
    for (unsigned letter = 0; letter < 256; ++letter) {
        if (known.find(static_cast<char>(letter)) != std::string_view::npos)
            continue;
        bytes contents = from_hex("0161");
        contents.push_back(static_cast<std::uint8_t>(letter));
        contents.resize(contents.size() + 16);
        EXPECT_EQ(refusal(contents), fault::field_type_unknown) << letter;
    }
}

TEST(FieldTable, IsTruncatedAtEveryOctet) {
    // Where a prefix ends behind a whole field it is a table, too; everywhere else it is not.
    std::set<std::size_t> whole{0};
    const table_view table = parsed(every_type);
    for (const field& each : table) {
        whole.insert(static_cast<std::size_t>(each.value.encoded().data() - every_type.data()) +
                     each.value.encoded().size());
    }
    for (std::size_t size = 0; size < every_type.size(); ++size) {
        const bytes prefix(every_type.begin(), every_type.begin() + static_cast<std::ptrdiff_t>(size));
        const auto result = table_view::parse(prefix);
        ASSERT_EQ(result.has_value(), whole.contains(size)) << size;
        if (!result) {
            EXPECT_EQ(result.reason(), fault::table_truncated) << size;
        }
    }
}

TEST(FieldTable, RefusesLengthsThatReachOutOfTheContainer) {
    for (const char* contents :
         {"0161 53 00000005 31323334", "0161 53 ffffffff", "0161 53 80000000 00", "0161 46 00000001",
          "0161 41 ffffffff 00", "0161 78 7fffffff 00", "ff 61", "0161",
          // The inner table's field is longer than the inner table, not than the outer one.
          "0161 46 00000004 0162 49 00 000000", "0161 41 00000002 49 00 000000", "0161 46 00000001 05 6162636465 56"}) {
        EXPECT_EQ(refusal(from_hex(contents)), fault::table_truncated) << contents;
    }
}

TEST(FieldTable, KnowsEmptyAndRepeatedNames) {
    const bytes contents = from_hex("00 49 00000001  00 49 00000002  0161 49 00000003  0161 56");
    const table_view table = parsed(contents);
    EXPECT_EQ(table.find("")->as_int64(), 1);
    EXPECT_EQ(table.find("a")->as_int64(), 3);
    EXPECT_EQ(std::distance(table.begin(), table.end()), 4);
}

TEST(FieldTable, KnowsEmptyTablesAndArrays) {
    EXPECT_TRUE(parsed({}).empty());
    EXPECT_FALSE(table_view{}.contains(""));
    EXPECT_EQ(table_view{}.begin(), table_view{}.end());
    const bytes contents = from_hex("0161 46 00000000 0162 41 00000000");
    const table_view table = parsed(contents);
    EXPECT_TRUE(table.find("a")->as_table()->empty());
    EXPECT_TRUE(table.find("b")->as_array()->empty());
}

// `depth` containers, one in the other.
bytes nested(std::size_t depth, char letter) {
    bytes contents;
    for (std::size_t level = depth; level-- > 0;) {
        bytes outer;
        if (letter == 'F' || level == 0)
            outer = {1, 'n'};
        outer.push_back(static_cast<std::uint8_t>(letter));
        outer.resize(outer.size() + 4);
        wire::store(&outer[outer.size() - 4], static_cast<std::uint32_t>(contents.size()));
        outer.insert(outer.end(), contents.begin(), contents.end());
        contents = std::move(outer);
    }
    return contents;
}

TEST(FieldTable, IsNestedAtMostSixtyFourDeep) {
    for (const char letter : {'F', 'A'}) {
        parsed(nested(table_depth_max - 1, letter));  // the outermost table is the first level
        EXPECT_EQ(refusal(nested(table_depth_max, letter)), fault::table_too_deep);
        EXPECT_EQ(refusal(nested(1000, letter)), fault::table_too_deep);
        EXPECT_EQ(refusal(nested(10'000, letter)), fault::table_too_deep);
    }
}

TEST(FieldTable, WalksTenThousandFields) {
    table_builder builder;
    for (std::int32_t i = 0; i < 10'000; ++i)
        builder.put("key-" + std::to_string(i), i);
    const std::string contents = builder.take();
    const auto table = table_view::parse(wire::as_bytes(contents));
    ASSERT_TRUE(table);
    std::int64_t sum = 0;
    for (const field& each : *table)
        sum += *each.value.as_int64();
    EXPECT_EQ(sum, 49'995'000);
    EXPECT_EQ(table->find("key-9999")->as_int64(), 9999);
}

TEST(TableBuilder, MakesWhatTheViewReads) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("LINNET_TEST_SEED=" + std::to_string(seed));
    test::random_source random{seed};
    for (int i = 0; i < 500; ++i) {
        const table_view table = random.table(12, 5);
        const auto checked = table_view::parse(table.contents());
        ASSERT_TRUE(checked) << to_hex(table.contents());
        // Field by field, the copy is the same.
        table_builder copy;
        for (const field& each : *checked)
            copy.put(each.name, each.value);
        ASSERT_EQ(to_hex(copy.view().contents()), to_hex(table.contents()));
    }
}

TEST(TableBuilder, EncodesEveryType) {
    table_builder built;
    const bytes x = from_hex("00ff41");
    built.put("t", true).put("b", std::int8_t{-1}).put("B", std::uint8_t{255}).put("s", std::int16_t{-2});
    built.put("u", std::uint16_t{65534}).put("I", std::int32_t{-3}).put("i", std::uint32_t{4294967293});
    built.put("l", std::int64_t{-4}).put("f", 1.5F).put("d", -1.5).put("D", decimal_value{2, 1234}).put("S", "hi");
    built.begin_array("A").add(std::int32_t{7}).end().put("T", timestamp_value{~std::uint64_t{0}});
    built.begin_table("F").put("a", false).end().put("V", nothing_value{}).put("x", byte_array_value{x});
    // All but what only a peer sends: a true that is not 1, and the second letter for int64.
    table_builder expected;
    expected.put("t", true).put_all_but(parsed(every_type), {"L", "t"});
    EXPECT_EQ(to_hex(built.view().contents()), to_hex(expected.view().contents()));
}

TEST(TableBuilder, ReplacesAndRemovesFields) {
    table_builder table{parsed(every_type)};
    table.remove("A").remove("absent").replace("S", "ho").replace("new", std::int64_t{1});
    EXPECT_FALSE(table.view().contains("A"));
    EXPECT_EQ(table.view().find("S")->as_string(), "ho");
    EXPECT_EQ(table.view().find("new")->as_int64(), 1);
    EXPECT_EQ(std::distance(table.view().begin(), table.view().end()), 18);
    EXPECT_TRUE(table_view::parse(table.view().contents()));

    const bytes repeated = from_hex("0161 56 0162 56 0161 56");
    table_builder without{parsed(repeated)};
    without.remove("a");
    EXPECT_EQ(to_hex(without.view().contents()), "016256");
}

TEST(TableBuilder, NestsAsXDeathDoes) {
    table_builder table;
    table.begin_array("x-death").begin_table().put("count", std::int64_t{1}).put("queue", "q");
    table.begin_array("routing-keys").add("k1").add("k2").end().end().end().put("after", true);
    const std::string contents = table.take();
    EXPECT_TRUE(table.empty());
    const auto view = table_view::parse(wire::as_bytes(contents));
    ASSERT_TRUE(view);
    const auto deaths = view->find("x-death")->as_array();
    const table_view death = *(*deaths->begin()).as_table();
    EXPECT_EQ(death.find("count")->as_int64(), 1);
    std::vector<std::string_view> keys;
    const auto routing_keys = death.find("routing-keys")->as_array();
    for (const field_value& key : *routing_keys)
        keys.push_back(*key.as_string());
    EXPECT_EQ(keys, (std::vector<std::string_view>{"k1", "k2"}));
    EXPECT_EQ(view->find("after")->as_bool(), true);
}

// The pairs were put to assert_args_equivalence of RabbitMQ 3.10.
TEST(FieldValue, IsEquivalentByValueAsInRabbit) {
    const auto value = [](const auto& v) {
        static std::deque<std::string> kept;
        const std::string& contents = kept.emplace_back(table_builder{}.put("k", v).take());
        return *table_view::trusted(wire::as_bytes(contents)).find("k");
    };
    EXPECT_TRUE(equivalent(value(std::int64_t{5}), value(std::int8_t{5})));
    EXPECT_TRUE(equivalent(value(std::int64_t{5}), value(std::uint32_t{5})));
    EXPECT_TRUE(equivalent(value(std::int64_t{5}), value(timestamp_value{5})));
    EXPECT_TRUE(equivalent(value(1.0F), value(1.0)));
    EXPECT_TRUE(equivalent(value("a"), value(byte_array_value{wire::as_bytes("a")})));
    EXPECT_TRUE(equivalent(value(true), value(true)));
    EXPECT_TRUE(equivalent(value(nothing_value{}), value(nothing_value{})));
    EXPECT_TRUE(equivalent(value(decimal_value{1, 2}), value(decimal_value{1, 2})));
    const bytes other_true = from_hex("0174 74 01");
    EXPECT_TRUE(equivalent(*parsed(other_true).find("t"), *parsed(every_type).find("t")));

    EXPECT_FALSE(equivalent(value(std::int64_t{5}), value(std::int64_t{6})));
    EXPECT_FALSE(equivalent(value(std::int64_t{-1}), value(timestamp_value{~std::uint64_t{0}})));
    EXPECT_FALSE(equivalent(value(std::int64_t{1}), value(1.0)));
    EXPECT_FALSE(equivalent(value(std::int64_t{1}), value(true)));
    EXPECT_FALSE(equivalent(value("1"), value(std::int64_t{1})));
    EXPECT_FALSE(equivalent(value("a"), value("b")));
    EXPECT_FALSE(equivalent(value(true), value(false)));
    EXPECT_FALSE(equivalent(value(nothing_value{}), value(false)));
    EXPECT_FALSE(equivalent(value(std::nan("")), value(std::nan(""))));

    const std::string wide = table_builder{}.put("n", std::int64_t{1}).take();
    const std::string narrow = table_builder{}.put("n", std::int32_t{1}).take();
    const auto as_table = [](const std::string& contents) { return table_view::trusted(wire::as_bytes(contents)); };
    EXPECT_TRUE(equivalent(value(as_table(wide)), value(as_table(wide))));
    EXPECT_FALSE(equivalent(value(as_table(wide)), value(as_table(narrow))));
}

}  // namespace
}  // namespace linnet::amqp
