#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "tests/protocol/amqp_random.hpp"
#include "tests/protocol/hex.hpp"

#include <gtest/gtest.h>

namespace linnet::amqp {
namespace {

using linnet::test::bytes;
using linnet::test::to_hex;

TEST(Encode, WritesADeliveryOfThreeFrames) {
    bytes out;
    const basic_deliver deliver{
        .consumer_tag = "ctag", .delivery_tag = 3, .redelivered = true, .exchange = "", .routing_key = "q"};
    append_content(out, 1, deliver, linnet::test::from_hex("1000 02"), wire::as_bytes("hello"), 131072);
    EXPECT_EQ(to_hex(out), "01"
                           "0001"
                           "00000015"
                           "003c003c"
                           "0463746167"
                           "0000000000000003"
                           "01"
                           "00"
                           "0171"
                           "ce"
                           "02"
                           "0001"
                           "0000000f"
                           "003c0000"
                           "0000000000000005"
                           "100002"
                           "ce"
                           "03"
                           "0001"
                           "00000005"
                           "68656c6c6f"
                           "ce");
}

TEST(Encode, WritesAHeartbeat) {
    bytes out(heartbeat_size);
    EXPECT_EQ(put_heartbeat(out.data()), out.data() + out.size());
    EXPECT_EQ(to_hex(out), "08000000000000ce");
}

// Puts the frames of one content together again.
struct reassembled {
    std::size_t frames = 0;
    std::uint64_t announced = 0;
    bytes properties;
    bytes body;
};

reassembled reassemble(wire::bytes_view stream, std::uint32_t frame_max, std::uint16_t channel) {
    reassembled found;
    while (!stream.empty()) {
        const auto frame = decode_frame(stream, frame_max);
        EXPECT_TRUE(frame);
        if (!frame)
            break;
        EXPECT_EQ(frame->channel, channel);
        if (frame->type == frame_type::header) {
            const auto header = decode_content_header(frame->payload);
            EXPECT_EQ(header->class_number, 60);
            found.announced = header->body_size;
            found.properties.assign(header->properties.begin(), header->properties.end());
        } else if (frame->type == frame_type::body) {
            EXPECT_FALSE(frame->payload.empty());
            found.body.insert(found.body.end(), frame->payload.begin(), frame->payload.end());
        }
        stream = stream.subspan(frame->size());
        ++found.frames;
    }
    return found;
}

// Exact size, nothing written beyond it, and the receiver sees what was sent.
template <method Method>
void check_content(test::random_source& random, std::size_t body_bytes, std::uint32_t frame_max) {
    const auto m = random.make<Method>();
    const auto properties = random.properties();
    bytes body(body_bytes);
    for (auto& octet : body)
        octet = random.integer<std::uint8_t>();
    const std::size_t size = content_size(m, properties, body.size(), frame_max);
    bytes out(size + 1, 0xA5);
    ASSERT_EQ(put_content(out.data(), 9, m, properties, body, frame_max), out.data() + size);
    ASSERT_EQ(out.back(), 0xA5);
    out.pop_back();

    const auto method_frame = decode_frame(out, 0);
    ASSERT_TRUE(method_frame);
    ASSERT_EQ(method_frame->size(), method_frame_size(m));
    const auto back = decode<Method>(method_frame->payload.subspan(4));
    ASSERT_TRUE(back);
    EXPECT_TRUE(test::same(*back, m));

    // The head may be larger than a small frame_max of ours; the bodies may not.
    const auto found = reassemble(out, 0, 9);
    EXPECT_EQ(found.announced, body_bytes);
    EXPECT_EQ(found.body, body);
    EXPECT_EQ(to_hex(found.properties), to_hex(properties));
    const std::size_t most = body_bytes_max(frame_max);
    EXPECT_EQ(found.frames, 2 + (body_bytes + most - 1) / most);
    const std::size_t head = content_head_size(m, properties);
    EXPECT_EQ(reassemble(wire::bytes_view{out}.subspan(head), frame_max, 9).body, body);
}

TEST(Encode, SplitsBodiesAtFrameMax) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("LINNET_TEST_SEED=" + std::to_string(seed));
    test::random_source random{seed};
    constexpr std::size_t most = frame_min_size - frame_overhead_bytes;
    for (const std::size_t body : {std::size_t{0}, std::size_t{1}, std::size_t{16}, most - 1, most, most + 1, 2 * most,
                                   2 * most + 1, 10 * most + 7}) {
        check_content<basic_deliver>(random, body, frame_min_size);
        check_content<basic_get_ok>(random, body, frame_min_size);
        check_content<basic_return>(random, body, frame_min_size);
        check_content<basic_publish>(random, body, frame_min_size);
        check_content<basic_deliver>(random, body, 131072);
        check_content<basic_deliver>(random, body, 0);
    }
    for (std::size_t body = 0; body < 40; ++body)
        check_content<basic_deliver>(random, body, 13);  // 5 a frame
}

TEST(Encode, WritesEveryMethodFrameInItsExactSize) {
    const std::uint64_t seed = test::test_seed();
    SCOPED_TRACE("LINNET_TEST_SEED=" + std::to_string(seed));
    test::random_source random{seed};
    test::for_each_method([&]<method Method>() {
        const auto m = random.make<Method>();
        bytes out(method_frame_size(m) + 1, 0xA5);
        ASSERT_EQ(put_method_frame(out.data(), 65535, m), &out.back()) << Method::name;
        ASSERT_EQ(out.back(), 0xA5) << Method::name;
        const auto frame = decode_frame(out, 0);
        ASSERT_TRUE(frame) << Method::name;
        ASSERT_EQ(frame->channel, 65535);
        ASSERT_EQ(decode_method_id(frame->payload).has_value() ? *decode_method_id(frame->payload) : 0, Method::id);
        ASSERT_EQ(frame->size(), out.size() - 1);
    });
}

}  // namespace
}  // namespace linnet::amqp
