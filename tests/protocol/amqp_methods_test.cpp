#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"
#include "tests/protocol/amqp_golden.hpp"
#include "tests/protocol/amqp_random.hpp"
#include "tests/protocol/hex.hpp"

#include <gtest/gtest.h>

#include <set>

namespace linnet::amqp {
namespace {

using linnet::test::from_hex;
using linnet::test::to_hex;

// What was read, and its bytes written anew. One visitor for all methods: one for each of them, told of each, takes
// four minutes to compile under the sanitizers.
struct read_back {
    std::string_view name;
    std::string frame;
    int calls = 0;

    template <method Method>
    void operator()(const Method& m) {
        ++calls;
        name = Method::name;
        append_method(frame, test::golden_channel, m);
    }
};

template <method Method>
void check_golden(const Method& m, std::string_view hex) {
    std::string frame_bytes;
    append_method(frame_bytes, test::golden_channel, m);
    EXPECT_EQ(to_hex(wire::as_bytes(frame_bytes)), hex) << Method::name;

    const auto bytes = from_hex(hex);
    const auto found = decode_frame(bytes, 0);
    ASSERT_TRUE(found) << Method::name;
    EXPECT_EQ(found->channel, test::golden_channel);
    read_back read;
    EXPECT_EQ(visit_method(found->payload, read), std::nullopt) << Method::name;
    EXPECT_EQ(read.calls, 1);
    EXPECT_EQ(read.name, Method::name);
    EXPECT_EQ(to_hex(wire::as_bytes(read.frame)), hex) << Method::name;
}

TEST(AmqpMethods, LookAsPikaMakesThem) {
    std::set<method_id> seen;
    test::for_each_golden_method([&](const auto& m, std::string_view hex) {
        seen.insert(m.id);
        check_golden(m, hex);
    });
    // pika knows all but this pair of RabbitMQ's: short 10, short 70, longstr, shortstr.
    EXPECT_EQ(seen.size() + 2, all_methods::size);
    check_golden(connection_update_secret{.new_secret = {"jwt"}, .reason = "soon"},
                 "01020100000010000a0046000000036a777404736f6f6ece");
    check_golden(connection_update_secret_ok{}, "01020100000004000a0047ce");
}

TEST(AmqpMethods, HaveDistinctIdsAndNames) {
    std::set<method_id> ids;
    std::set<std::string_view> names;
    test::for_each_method([&]<method Method>() {
        ids.insert(Method::id);
        names.insert(Method::name);
        EXPECT_EQ(method_name(Method::id), Method::name);
    });
    EXPECT_EQ(ids.size(), all_methods::size);
    EXPECT_EQ(names.size(), all_methods::size);
    EXPECT_EQ(method_name(make_method_id(60, 41)), "");
}

TEST(AmqpMethods, SurviveARoundTripWithRandomFields) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("LINNET_TEST_SEED=" + std::to_string(seed));
    test::random_source random{seed};
    test::for_each_method([&]<method Method>() {
        for (int i = 0; i < 100; ++i) {
            const auto m = random.make<Method>();
            const auto bytes = test::encoded(m);
            const auto back = decode<Method>(bytes);
            ASSERT_TRUE(back) << Method::name << ": " << to_hex(bytes);
            ASSERT_TRUE(test::same(*back, m)) << Method::name << ": " << to_hex(bytes);
        }
    });
}

TEST(AmqpMethods, AreTruncatedAtEveryPrefixAndOverlongWithAByteMore) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("LINNET_TEST_SEED=" + std::to_string(seed));
    test::random_source random{seed};
    test::for_each_method([&]<method Method>() {
        auto bytes = test::encoded(random.make<Method>());
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            // A copy of the exact size, so that AddressSanitizer sees a read beyond it.
            const std::vector<std::uint8_t> prefix(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
            const auto result = decode<Method>(prefix);
            ASSERT_TRUE(result.is_malformed()) << Method::name << " cut to " << size;
            ASSERT_EQ(result.reason(), fault::method_truncated) << Method::name << " cut to " << size;
        }
        bytes.push_back(0);
        const auto result = decode<Method>(bytes);
        ASSERT_TRUE(result.is_malformed()) << Method::name;
        EXPECT_EQ(result.reason(), fault::method_overlong) << Method::name;
    });
}

// The hand-written codecs against the generic ones, which are their model.
template <method Method>
void check_hot_equals_generic(test::random_source& random) {
    for (int i = 0; i < 2000; ++i) {
        const auto m = random.make<Method>();
        auto bytes = test::encoded(m);
        ASSERT_EQ(bytes.size(), fields_size(m));
        std::vector<std::uint8_t> model(fields_size(m));
        encode_fields(model.data(), m);
        ASSERT_EQ(to_hex(bytes), to_hex(model));

        // Well-formed, then with a random octet, then cut or grown.
        if (random.coin() && !bytes.empty())
            bytes[random.below(bytes.size())] = random.integer<std::uint8_t>();
        if (random.coin())
            bytes.resize(random.below(bytes.size() + 4));
        const auto hot = decode<Method>(bytes);
        const auto generic = decode_fields<Method>(bytes);
        ASSERT_EQ(hot.has_value(), generic.has_value()) << to_hex(bytes);
        if (hot) {
            ASSERT_TRUE(test::same(*hot, *generic)) << to_hex(bytes);
        } else {
            ASSERT_EQ(hot.reason(), generic.reason()) << to_hex(bytes);
        }
    }
}

TEST(AmqpMethods, AreTheSameByHandAndByTheGenericCodec) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("LINNET_TEST_SEED=" + std::to_string(seed));
    test::random_source random{seed};
    check_hot_equals_generic<basic_publish>(random);
    check_hot_equals_generic<basic_deliver>(random);
    check_hot_equals_generic<basic_ack>(random);
}

TEST(AmqpMethods, PackAdjacentBitsLowestFirst) {
    const queue_declare m{.queue = "", .passive = true, .exclusive = true, .no_wait = true};
    EXPECT_EQ(to_hex(test::encoded(m)), "0000"
                                        "00"
                                        "15"
                                        "00000000");
    // The upper bits of the octet mean nothing.
    const auto decoded = decode<queue_declare>(from_hex("0000 00 ea 00000000"));
    ASSERT_TRUE(decoded);
    EXPECT_TRUE(!decoded->passive && decoded->durable && !decoded->exclusive && decoded->auto_delete &&
                !decoded->no_wait);
}

// No method of the specification has bits in two places, or more than eight in one.
struct bits_everywhere {
    static constexpr method_id id = 0;
    static constexpr std::string_view name = "test.bits";

    bool a = false, b = false;
    std::uint8_t octet = 0;
    bool c = false, d = false, e = false, f = false, g = false, h = false, i = false, j = false, k = false;

    static constexpr auto fields = std::tuple{&bits_everywhere::a, &bits_everywhere::b, &bits_everywhere::octet,
                                              &bits_everywhere::c, &bits_everywhere::d, &bits_everywhere::e,
                                              &bits_everywhere::f, &bits_everywhere::g, &bits_everywhere::h,
                                              &bits_everywhere::i, &bits_everywhere::j, &bits_everywhere::k};
};

TEST(AmqpMethods, BeginANewOctetOfBitsAfterAnotherFieldAndAfterEight) {
    const bits_everywhere m{.b = true, .octet = 0x7F, .d = true, .k = true};
    const auto bytes = test::encoded(m);
    EXPECT_EQ(to_hex(bytes), "02"
                             "7f"
                             "02"
                             "01");
    const auto back = decode<bits_everywhere>(bytes);
    ASSERT_TRUE(back);
    EXPECT_TRUE(test::same(*back, m));
    EXPECT_EQ(decode<bits_everywhere>(from_hex("027f02")).reason(), fault::method_truncated);
}

TEST(AmqpMethods, KeepBytesThatAreNotText) {
    const auto bytes = from_hex("0000 02 00ff 03 c32800 00");
    const auto decoded = decode<basic_publish>(bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(decoded->exchange, std::string_view("\0\xff", 2));
    EXPECT_EQ(decoded->routing_key, std::string_view("\xc3(\0", 3));
}

struct refuse_any {
    template <method Method>
    void operator()(const Method&) const {
        ADD_FAILURE() << Method::name;
    }
};

TEST(AmqpMethods, RefuseUnknownIdsByClassAndMethod) {
    EXPECT_EQ(visit_method(from_hex("003c 0029"), refuse_any{}), fault::method_unknown);
    EXPECT_EQ(visit_method(from_hex("0028 0029"), refuse_any{}), fault::method_unknown);  // unbind-ok is 51
    EXPECT_EQ(visit_method(from_hex("003d 0001"), refuse_any{}), fault::class_unknown);
    EXPECT_EQ(visit_method(from_hex("0000 0000"), refuse_any{}), fault::class_unknown);
    EXPECT_EQ(visit_method(from_hex("ffff ffff"), refuse_any{}), fault::class_unknown);
    for (const char* cut : {"", "00", "003c", "003c00"}) {
        EXPECT_EQ(visit_method(from_hex(cut), refuse_any{}), fault::method_truncated) << cut;
    }
    test::for_each_method([]<method Method>() { EXPECT_TRUE(is_known_class(class_of(Method::id))) << Method::name; });
}

TEST(AmqpMethods, PassOnWhatIsWrongWithATable) {
    const auto declare = [](std::string_view table) {
        return decode<queue_declare>(from_hex("0000 0171 00" + std::string{table}));
    };
    EXPECT_TRUE(declare("00000004 0161 74 01"));
    EXPECT_EQ(declare("00000005 0161 74 01").reason(), fault::method_truncated);
    EXPECT_EQ(declare("00000003 0161 74").reason(), fault::table_truncated);
    EXPECT_EQ(declare("00000004 0161 71 01").reason(), fault::field_type_unknown);
    EXPECT_EQ(declare("ffffffff 0161 74 01").reason(), fault::method_truncated);
    EXPECT_EQ(declare("80000004 0161 74 01").reason(), fault::method_truncated);
    EXPECT_EQ(declare("00000004 0161 74 01 00").reason(), fault::method_overlong);
}

TEST(AmqpReplies, HaveRabbitsNamesAndTheSpecificationsSeverity) {
    EXPECT_EQ(reply_name(reply_code::not_found), "NOT_FOUND");
    EXPECT_EQ(reply_name(reply_code::precondition_failed), "PRECONDITION_FAILED");
    for (const auto soft :
         {reply_code::content_too_large, reply_code::no_route, reply_code::no_consumers, reply_code::access_refused,
          reply_code::not_found, reply_code::resource_locked, reply_code::precondition_failed}) {
        EXPECT_FALSE(ends_connection(soft)) << reply_name(soft);
    }
    for (const auto hard : {reply_code::connection_forced, reply_code::invalid_path, reply_code::frame_error,
                            reply_code::syntax_error, reply_code::command_invalid, reply_code::channel_error,
                            reply_code::unexpected_frame, reply_code::resource_error, reply_code::not_allowed,
                            reply_code::not_implemented, reply_code::internal_error}) {
        EXPECT_TRUE(ends_connection(hard)) << reply_name(hard);
    }
}

}  // namespace
}  // namespace linnet::amqp
