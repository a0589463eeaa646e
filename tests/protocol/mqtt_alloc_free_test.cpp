// The codec's part of a message's way allocates nothing. A program of its own: it replaces operator new.
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/publish_image.hpp"
#include "protocol/mqtt/topic_key.hpp"
#include "tests/support/counted_new.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

namespace linnet::mqtt {
namespace {

using test::allocations;

constexpr dialect client{version::v5, role::client};

// In from a publisher, out to a receiver, and its acknowledgement back in.
std::size_t pass_on(wire::bytes_view in, std::uint8_t* out, std::string& properties, std::string& key) {
    const auto frame = decode_frame(in, client);
    const auto p = decode<publish>(*frame, client);
    properties.clear();
    append_forwardable(properties, p->properties);
    topic_to_key(p->topic, name_mode::exact, key);
    publish forwarded = *p;
    forwarded.properties = property_block::trusted(wire::as_bytes(properties));
    std::uint8_t image_bytes[256];
    const publish_image image = make_image(image_bytes, forwarded, version::v5);
    std::uint8_t* const end = put_image(out, image, 7);
    set_message_expiry(out, image, p->properties.get<property::message_expiry_interval>().value_or(0) - 1);
    std::uint8_t* const behind = encode(end, puback{.packet_id = p->packet_id}, version::v5);
    const wire::bytes_view ack{end, behind};
    if (!decode<puback>(*decode_frame(ack, client), client))
        std::abort();
    return static_cast<std::size_t>(behind - out);
}

TEST(MqttCodec, AllocatesNothingAMessage) {
    std::string block;
    append_property<property::topic_alias>(block, std::uint16_t{3});
    append_user_property(block, "region", "eu");
    append_property<property::message_expiry_interval>(block, 60U);
    const publish p{.topic = "v1.2/plant 4/line/7/temperature",
                    .payload = wire::as_bytes("sixteen bytes .."),
                    .properties = property_block::trusted(wire::as_bytes(block)),
                    .packet_id = 9,
                    .qos = qos::at_least_once};
    std::string in;
    append_packet(in, p, version::v5);
    std::array<std::uint8_t, 512> out{};
    std::string properties;
    std::string key;
    std::size_t written = pass_on(wire::as_bytes(in), out.data(), properties, key);  // the strings grow once
    const std::size_t before = allocations.load();
    for (int i = 0; i < 1000; ++i)
        written += pass_on(wire::as_bytes(in), out.data(), properties, key);
    EXPECT_EQ(allocations.load() - before, 0U);
    EXPECT_GT(written, 0U);
    EXPECT_EQ(key, "v1%2E2.plant 4.line.7.temperature");
    // The counter itself works. Called by name, since a new expression may be optimised away.
    ::operator delete(::operator new(1));
    EXPECT_GT(allocations.load(), before);
}

}  // namespace
}  // namespace linnet::mqtt
