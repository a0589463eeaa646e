#include "protocol/wire/utf8.hpp"
#include "protocol/ws/frame.hpp"
#include "protocol/ws/mask.hpp"
#include "protocol/ws/utf8_stream.hpp"
#include "tests/protocol/hex.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace linnet::ws {
namespace {

using linnet::test::bytes;
using linnet::test::from_hex;
using linnet::test::to_hex;

bytes encoded(const frame_header& header) {
    bytes out(header.size());
    EXPECT_EQ(put_frame_header(out.data(), header), out.data() + out.size());
    return out;
}

// RFC 6455, 5.7.
TEST(WsFrame, ReadsTheSpecificationsExamples) {
    const frame_rules of_client{.self = role::client};
    const auto unmasked = decode_frame_header(from_hex("8105 48656c6c6f"), of_client);
    ASSERT_TRUE(unmasked);
    EXPECT_EQ(*unmasked, (frame_header{.payload_bytes = 5, .code = opcode::text}));

    bytes masked = from_hex("8185 37fa213d 7f9f4d5158");
    const auto header = decode_frame_header(masked, {});
    ASSERT_TRUE(header);
    EXPECT_EQ(header->size(), 6U);
    apply_mask(std::span{masked}.subspan(6), header->mask);
    EXPECT_EQ(wire::as_text(wire::bytes_view{masked}.subspan(6)), "Hello");

    EXPECT_EQ(*decode_frame_header(from_hex("0103"), of_client),
              (frame_header{.payload_bytes = 3, .code = opcode::text, .final = false}));
    EXPECT_EQ(*decode_frame_header(from_hex("827e0100"), of_client), frame_header{.payload_bytes = 256});
    EXPECT_EQ(*decode_frame_header(from_hex("827f0000000000010000"), of_client), frame_header{.payload_bytes = 65536});
}

TEST(WsFrame, EveryHeaderSurvivesTheWireAndEveryPrefixWantsMore) {
    for (const role self : {role::server, role::client}) {
        for (const opcode code : {opcode::continuation, opcode::text, opcode::binary}) {
            for (const std::uint64_t size :
                 {0ULL, 1ULL, 125ULL, 126ULL, 127ULL, 65535ULL, 65536ULL, (1ULL << 63) - 1}) {
                for (const bool final : {true, false}) {
                    frame_header header{.payload_bytes = size, .code = code, .final = final};
                    header.masked = self == role::server;
                    header.mask = {header.masked ? 0x12345678U : 0U};
                    header.compressed = code != opcode::continuation && final;
                    const frame_rules rules{
                        .self = self, .deflate = true, .message_open = code == opcode::continuation};
                    const bytes wire_form = encoded(header);
                    for (std::size_t length = 0; length < wire_form.size(); ++length) {
                        const auto part = decode_frame_header(wire::bytes_view{wire_form}.first(length), rules);
                        ASSERT_TRUE(part.needs_more());
                        EXPECT_GT(part.bytes_needed(), length);
                        EXPECT_LE(part.bytes_needed(), wire_form.size());
                    }
                    const auto whole = decode_frame_header(wire_form, rules);
                    ASSERT_TRUE(whole);
                    EXPECT_EQ(*whole, header);
                }
            }
        }
    }
}

TEST(WsFrame, RefusesWithTheFirstOctetWhatItCan) {
    // By hand from RFC 6455, 5.2 and RFC 7692, 6: RSV before all, then the opcode, then what may come where.
    for (const bool deflate : {false, true}) {
        for (const bool open : {false, true}) {
            for (unsigned octet = 0; octet < 256; ++octet) {
                const unsigned code = octet & 15;
                const bool final = octet >= 128;
                std::optional<fault> expected;
                if ((octet & 0x30) != 0 || ((octet & 0x40) != 0 && !(deflate && (code == 1 || code == 2))))
                    expected = fault::reserved_bits;
                else if ((code >= 3 && code <= 7) || code >= 11)
                    expected = fault::opcode_reserved;
                else if (code >= 8 && !final)
                    expected = fault::control_fragmented;
                else if (code == 0 && !open)
                    expected = fault::continuation_unexpected;
                else if ((code == 1 || code == 2) && open)
                    expected = fault::message_interrupted;
                const bytes input{static_cast<std::uint8_t>(octet)};
                const auto got = decode_frame_header(input, {.deflate = deflate, .message_open = open});
                ASSERT_EQ(got.is_malformed(), expected.has_value()) << octet;
                if (expected) {
                    EXPECT_EQ(got.reason(), *expected) << octet;
                }
            }
        }
    }
    EXPECT_EQ(decode_frame_header(from_hex("81"), {.takes_text = false}).reason(), fault::text_refused);
    EXPECT_TRUE(decode_frame_header(from_hex("82"), {.takes_text = false}).needs_more());
}

TEST(WsFrame, RefusesMasksByRoleAndLengthsByForm) {
    const auto refusal = [](std::string_view hex, role self) {
        return decode_frame_header(from_hex(hex), {.self = self}).reason();
    };
    EXPECT_EQ(refusal("8205", role::server), fault::mask_missing);
    EXPECT_EQ(refusal("8285", role::client), fault::mask_unexpected);
    EXPECT_EQ(refusal("89fe", role::server), fault::control_too_large);
    EXPECT_EQ(refusal("88ff", role::server), fault::control_too_large);
    EXPECT_EQ(refusal("827e007d", role::client), fault::length_not_minimal);
    EXPECT_EQ(refusal("827f000000000000ffff", role::client), fault::length_not_minimal);
    EXPECT_EQ(refusal("827f8000000000000000", role::client), fault::length_too_large);
    EXPECT_EQ(refusal("82ffffffffffffffffff", role::server), fault::length_too_large);
}

TEST(WsFrame, EveryFaultHasACodeThatMayBeSentAndAShortText) {
    for (unsigned i = 0; i <= static_cast<unsigned>(fault::close_code_invalid); ++i) {
        const auto why = static_cast<fault>(i);
        EXPECT_TRUE(may_be_sent(close_code_of(why))) << i;
        EXPECT_NE(close_code_of(why), close_code::internal_error) << i;
        EXPECT_NE(describe(why), "unknown fault") << i;
        EXPECT_LE(describe(why).size(), control_payload_bytes_max - 2) << i;
    }
}

// ---- Masks -------------------------------------------------------------------------------------

TEST(WsMask, MeetsThePlainLoopAtEveryLengthAndOffset) {
    const bytes key = from_hex("37fa213d");
    for (std::size_t offset = 0; offset < 9; ++offset) {
        for (std::size_t size = 0; size < 150; ++size) {
            bytes buffer(offset + size + 8);
            for (std::size_t i = 0; i < buffer.size(); ++i)
                buffer[i] = static_cast<std::uint8_t>(i * 7);
            bytes expected = buffer;
            for (std::size_t i = 0; i < size; ++i)
                expected[offset + i] ^= key[i % 4];
            apply_mask(std::span{buffer}.subspan(offset, size), mask_key::at(key.data()));
            ASSERT_EQ(to_hex(buffer), to_hex(expected)) << offset << " + " << size;
        }
    }
}

TEST(WsMask, GoesOnWhereItStopped) {
    const mask_key key = mask_key::at(from_hex("37fa213d").data());
    const bytes clear(37, 0x5A);
    bytes whole = clear;
    apply_mask(whole, key);
    for (std::size_t cut = 0; cut <= clear.size(); ++cut) {
        bytes parts = clear;
        apply_mask(std::span{parts}.first(cut), key);
        apply_mask(std::span{parts}.subspan(cut), key.after(cut));
        EXPECT_EQ(parts, whole) << cut;
    }
}

// ---- UTF-8 in pieces ---------------------------------------------------------------------------

bool valid_in_pieces(std::string_view text, std::size_t cut) {
    utf8_stream check;
    return check.feed(wire::as_bytes(text.substr(0, cut))) && check.feed(wire::as_bytes(text.substr(cut))) &&
           check.complete();
}

// Can `prefix` still become UTF-8? By the definition: some character continues it.
bool can_go_on(std::string_view prefix) {
    for (const char* end :
         {"", "\x80", "\xBF", "\x80\x80", "\xBF\xBF", "\x80\x80\x80", "\xBF\x80\x80", "\x90\x80\x80"}) {
        if (wire::is_utf8(std::string{prefix}.append(end)))
            return true;
    }
    return false;
}

TEST(WsUtf8, AgreesWithTheWholeTextCheckAtEveryCutAndFailsFast) {
    const auto seed = std::random_device{}();
    RecordProperty("seed", std::to_string(seed));
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random{seed};
    constexpr std::string_view telling{
        "aaaaaaaa\x7F\x80\x8F\x90\x9F\xA0\xBF\xC1\xC2\xDF\xE0\xE1\xED\xEF\xF0\xF1\xF4\xF5", 27};
    for (int round = 0; round < 20'000; ++round) {
        std::string text;
        for (std::size_t size = random() % 12; size > 0; --size)
            text.push_back(telling[random() % telling.size()]);
        const bool valid = wire::is_utf8(text);
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            ASSERT_EQ(valid_in_pieces(text, cut), valid) << to_hex(wire::as_bytes(text)) << " at " << cut;
            const auto prefix = std::string_view{text}.substr(0, cut);
            ASSERT_EQ(utf8_stream{}.feed(wire::as_bytes(prefix)), can_go_on(prefix)) << to_hex(wire::as_bytes(prefix));
        }
    }
}

}  // namespace
}  // namespace linnet::ws
