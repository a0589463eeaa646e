#include "broker/core/topology_record.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace linnet::core {
namespace {

[[nodiscard]] value_table every_value() {
    value_table t;
    t.emplace_back("nothing", value{});
    t.emplace_back("yes", make_bool(true));
    t.emplace_back("byte", value{value_type::int8, std::int64_t{-7}, 0});
    t.emplace_back("long", make_int64(-1));
    t.emplace_back("float", value{value_type::float32, 1.5, 0});
    t.emplace_back("double", value{value_type::float64, -2.25, 0});
    t.emplace_back("decimal", value{value_type::decimal, std::int64_t{314}, 2});
    t.emplace_back("text", make_string("x\0y"));
    t.emplace_back("bytes", value{value_type::bytes, std::string("\xff\x00", 2), 0});
    t.emplace_back("when", value{value_type::timestamp, std::int64_t{1'700'000'000}, 0});
    value_array list{make_string("a"), make_int64(2), value{value_type::array, value_array{}, 0}};
    value_table inner{{"deep", value{value_type::array, list, 0}}};
    t.emplace_back("list", value{value_type::array, std::move(list), 0});
    t.emplace_back("table", value{value_type::table, std::move(inner), 0});
    return t;
}

[[nodiscard]] std::vector<definition> one_of_each() {
    return {vhost_definition{"/", 7},
            user_definition{"guest", "$argon2id$v=19$...", {"administrator", "a b"}, true},
            permission_definition{"/", "guest", {".*", "^$", ""}},
            topic_permission_definition{"/", "guest", "amq.topic", {"^{username}\\.", ".*"}},
            policy_definition{"/", policy_kind::operators, {"cap", "^q", policy_scope::queues, -3, every_value()}},
            parameter_definition{"/", "federation-upstream", "east", R"({"uri":"amqp://"})"},
            exchange_definition{"v", "x", "x-delayed-message", true, true, true, every_value()},
            queue_definition{"v", "q", true, true, every_value(), 0x1234'5678'9abc'def0, 513},
            binding_definition{"v", "x", "q", bind_destination::exchange, "a.*.#", true, true, every_value()},
            note_definition{"definitions", "sha256:..."},
            vhost_limits_definition{"v", {.connections_max = std::nullopt, .queues_max = -1}}};
}

[[nodiscard]] std::vector<std::uint8_t> encoded(topology_change change, const definition& d) {
    byte_writer out;
    encode(out, change, d);
    return {out.bytes().begin(), out.bytes().end()};
}
[[nodiscard]] std::uint8_t kind_number(const definition& d) { return static_cast<std::uint8_t>(kind_of(d)); }

TEST(TopologyRecord, ReadsBackWhatItWrote) {
    for (const auto& d : one_of_each()) {
        const auto bytes = encoded(topology_change::defined, d);
        const auto back = decode_definition(kind_number(d), bytes);
        ASSERT_TRUE(back.has_value()) << int{kind_number(d)};
        EXPECT_EQ(back->change, topology_change::defined);
        EXPECT_EQ(back->what, d) << int{kind_number(d)};
    }
}

TEST(TopologyRecord, AVhostOnceHadNoNumber) {
    auto bytes = encoded(topology_change::defined, vhost_definition{"/", 7});
    bytes.resize(bytes.size() - sizeof(std::uint32_t));
    const auto back = decode_definition(1, bytes);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->what, definition(vhost_definition{"/"}));
}

TEST(TopologyRecord, ARemovalNamesTheSameThing) {
    for (const auto& d : one_of_each()) {
        const auto back = decode_definition(kind_number(d), encoded(topology_change::removed, d));
        ASSERT_TRUE(back.has_value()) << int{kind_number(d)};
        EXPECT_EQ(back->change, topology_change::removed);
        EXPECT_EQ(key_of(back->what), key_of(d)) << int{kind_number(d)};
    }
}

TEST(TopologyRecord, NoPrefixIsARecordAndNothingMayFollow) {
    for (const auto& d : one_of_each()) {
        auto bytes = encoded(topology_change::defined, d);
        // A vhost's number came later.
        const std::size_t older = std::holds_alternative<vhost_definition>(d) ? bytes.size() - sizeof(std::uint32_t)
                                                                              : 0;
        for (std::size_t n = 0; n < bytes.size(); ++n) {
            if (n != 0 && n == older) {
                continue;
            }
            EXPECT_FALSE(decode_definition(kind_number(d), std::span(bytes).first(n)).has_value())
                << int{kind_number(d)} << " at " << n;
        }
        bytes.push_back(0);
        EXPECT_FALSE(decode_definition(kind_number(d), bytes).has_value()) << int{kind_number(d)};
    }
}

// The format on disk: these bytes must be readable for ever.
TEST(TopologyRecord, IsWrittenAsEver) {
    queue_definition q{"/", "q1", true, false, {{"x-max-length", {value_type::int32, std::int64_t{5}, 0}}}, 3, 1};
    const std::vector<std::uint8_t> golden{1,                              // format
                                           1,                              // defined
                                           1,  0, 0, 0, '/',               // vhost
                                           2,  0, 0, 0, 'q', '1',          // name
                                           0,                              // auto-delete
                                           3,  0, 0, 0, 0,   0,   0,   0,  // uid
                                           1,  0,                          // log
                                           1,  0, 0, 0,                    // arguments
                                           12, 0, 0, 0, 'x', '-', 'm', 'a', 'x', '-', 'l', 'e', 'n', 'g', 't', 'h',  //
                                           6,  5, 0, 0, 0,   0,   0,   0,   0};
    EXPECT_EQ(encoded(topology_change::defined, q), golden);
    EXPECT_EQ(kind_number(q), 8);
}

TEST(TopologyRecord, RefusesAnotherFormatAndUnknownKinds) {
    auto bytes = encoded(topology_change::defined, vhost_definition{"/"});
    EXPECT_FALSE(decode_definition(0, bytes).has_value());
    EXPECT_FALSE(decode_definition(11, bytes).has_value());
    bytes[0] = 2;
    EXPECT_FALSE(decode_definition(1, bytes).has_value());
}

TEST(TopologyRecord, DoesNotFollowTablesWithoutEnd) {
    byte_writer out;
    encode(out, topology_change::defined, exchange_definition{"v", "x", "direct", true, false, false, {}});
    std::vector<std::uint8_t> bytes(out.bytes().begin(), out.bytes().end());
    bytes.resize(bytes.size() - 4);  // the count of arguments
    const std::vector<std::uint8_t> level{1, 0, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(value_type::table)};
    for (int i = 0; i < 100'000; ++i) {
        bytes.insert(bytes.end(), level.begin(), level.end());
    }
    EXPECT_FALSE(decode_definition(7, bytes).has_value());
}

}  // namespace
}  // namespace linnet::core
