#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "tests/protocol/amqp_golden.hpp"
#include "tests/protocol/amqp_random.hpp"
#include "tests/protocol/hex.hpp"

#include <gtest/gtest.h>

namespace linnet::amqp {
namespace {

using linnet::test::bytes;
using linnet::test::from_hex;
using linnet::test::to_hex;

// One frame of every method, a few contents and a heartbeat, as one stream.
bytes long_conversation() {
    bytes stream;
    test::for_each_golden_method([&](const auto& m, std::string_view) { append_method(stream, 7, m); });
    for (const std::size_t size : {0, 1, 300}) {
        const bytes body(size, 0x5A);
        append_content(stream, 7, basic_publish{.exchange = "e", .routing_key = "k"}, no_properties, body, 108);
    }
    stream.resize(stream.size() + heartbeat_size);
    put_heartbeat(&*stream.end() - heartbeat_size);
    return stream;
}

struct packet {
    frame_type type;
    std::uint16_t channel;
    bytes payload;

    bool operator==(const packet&) const = default;
};

// What a connection does: keeps what is left, appends what arrives, takes the frames that are whole.
class receiver {
public:
    void receive(wire::bytes_view arrived) {
        held_.insert(held_.end(), arrived.begin(), arrived.end());
        wire::bytes_view rest = held_;
        for (;;) {
            const auto found = decode_frame(rest, 4096);
            if (!found) {
                ASSERT_TRUE(found.needs_more());
                ASSERT_GT(found.bytes_needed(), rest.size());
                break;
            }
            packets.push_back({found->type, found->channel, bytes(found->payload.begin(), found->payload.end())});
            rest = rest.subspan(found->size());
        }
        held_.erase(held_.begin(), held_.end() - static_cast<std::ptrdiff_t>(rest.size()));
    }

    std::vector<packet> packets;

private:
    bytes held_;
};

TEST(AmqpFrame, NeedsMoreAtEveryPrefixOfEveryFrame) {
    const bytes stream = long_conversation();
    wire::bytes_view rest = stream;
    std::size_t frames = 0;
    while (!rest.empty()) {
        const auto whole = decode_frame(rest, 4096);
        ASSERT_TRUE(whole);
        for (std::size_t size = 0; size < whole->size(); ++size) {
            const bytes prefix(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(size));
            const auto result = decode_frame(prefix, 4096);
            ASSERT_TRUE(result.needs_more()) << to_hex(prefix);
            // Exact as soon as the size is there, before that the least that a frame has.
            EXPECT_EQ(result.bytes_needed(), size < frame_header_bytes ? frame_overhead_bytes : whole->size());
        }
        rest = rest.subspan(whole->size());
        ++frames;
    }
    EXPECT_EQ(frames, 64 + 2 + 3 + (2 + 3) + 1U);  // 300 bytes in frames of 100: three bodies
}

TEST(AmqpFrame, GivesTheSamePacketsAtEverySplitPoint) {
    const bytes stream = long_conversation();
    receiver at_once;
    at_once.receive(stream);
    ASSERT_EQ(at_once.packets.size(), 75U);
    for (std::size_t split = 1; split < stream.size(); ++split) {
        receiver in_two;
        in_two.receive(wire::bytes_view{stream}.first(split));
        in_two.receive(wire::bytes_view{stream}.subspan(split));
        ASSERT_EQ(in_two.packets, at_once.packets) << "split at " << split;
    }
    receiver octet_by_octet;
    for (const std::uint8_t octet : stream)
        octet_by_octet.receive({&octet, 1});
    EXPECT_EQ(octet_by_octet.packets, at_once.packets);
}

TEST(AmqpFrame, RefusesAnUnknownTypeWithItsFirstOctet) {
    for (unsigned type = 0; type < 256; ++type) {
        const bytes input{static_cast<std::uint8_t>(type)};
        const auto result = decode_frame(input, 4096);
        if (type == 1 || type == 2 || type == 3 || type == 8) {
            EXPECT_TRUE(result.needs_more()) << type;
        } else {
            ASSERT_TRUE(result.is_malformed()) << type;
            EXPECT_EQ(result.reason(), fault::frame_type_unknown);
        }
    }
    EXPECT_EQ(reply_code_of(fault::frame_type_unknown), reply_code::frame_error);
}

TEST(AmqpFrame, RefusesWhatIsLargerThanFrameMaxWithItsHeader) {
    // 4096 in all: 4088 of payload.
    EXPECT_TRUE(decode_frame(from_hex("03 0001 00000ff8"), 4096).needs_more());
    EXPECT_EQ(decode_frame(from_hex("03 0001 00000ff8"), 4096).bytes_needed(), 4096U);
    EXPECT_EQ(decode_frame(from_hex("03 0001 00000ff9"), 4096).reason(), fault::frame_too_large);
    EXPECT_EQ(decode_frame(from_hex("03 0001 ffffffff"), 4096).reason(), fault::frame_too_large);
    EXPECT_EQ(decode_frame(from_hex("03 0001 80000000"), 131072).reason(), fault::frame_too_large);
    EXPECT_EQ(reply_code_of(fault::frame_too_large), reply_code::frame_error);
    // Without a limit, the size is taken at its word and does not overflow.
    EXPECT_EQ(decode_frame(from_hex("03 0001 ffffffff"), 0).bytes_needed(), 0xFFFFFFFFULL + 8);
}

TEST(AmqpFrame, RefusesAWrongEndOctet) {
    for (unsigned octet = 0; octet < 256; ++octet) {
        bytes input = from_hex("08 0000 00000000");
        input.push_back(static_cast<std::uint8_t>(octet));
        const auto result = decode_frame(input, 4096);
        if (octet == 0xCE) {
            EXPECT_TRUE(result);
        } else {
            EXPECT_EQ(result.reason(), fault::frame_end_missing);
        }
    }
    EXPECT_EQ(reply_code_of(fault::frame_end_missing), reply_code::frame_error);
}

TEST(AmqpFrame, LeavesWhatFollowsAlone) {
    const bytes input = from_hex("08 0000 00000000 ce ffff");
    const auto found = decode_frame(input, 4096);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->type, frame_type::heartbeat);
    EXPECT_EQ(found->size(), 8U);
    EXPECT_TRUE(found->payload.empty());
}

TEST(AmqpProtocolHeader, IsToldFromEverythingElseAsEarlyAsPossible) {
    const bytes good = from_hex("414d5150 00000901");
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_EQ(match_protocol_header(wire::bytes_view{good}.first(size)), protocol_match::need_more);
        for (unsigned other = 0; other < 256; ++other) {
            if (other == good[size])
                continue;
            bytes bad(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
            bad.push_back(static_cast<std::uint8_t>(other));
            EXPECT_EQ(match_protocol_header(bad), protocol_match::mismatch);
        }
    }
    EXPECT_EQ(match_protocol_header(good), protocol_match::complete);
    EXPECT_EQ(match_protocol_header(from_hex("414d5150 00000901 01")), protocol_match::complete);
    EXPECT_EQ(match_protocol_header(from_hex("414d5150 01010009")), protocol_match::mismatch);  // 0-9
    EXPECT_EQ(match_protocol_header(wire::as_bytes("GET / HTTP/1.1")), protocol_match::mismatch);
}

}  // namespace
}  // namespace linnet::amqp
