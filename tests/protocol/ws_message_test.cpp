#include "tests/protocol/ws_peer.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <random>

namespace linnet::ws::test {
namespace {

std::optional<fault> refusal_of(const bytes& stream, const reader_settings& settings) {
    listener one{settings};
    bytes whole = stream;
    (void)one.hear(whole, [](const event&, wire::bytes_view) {});
    // Octet by octet there is the same verdict.
    listener two{settings};
    bool going = true;
    for (std::size_t i = 0; going && i < stream.size(); ++i) {
        bytes octet{stream[i]};
        going = two.hear(octet, [](const event&, wire::bytes_view) {});
    }
    EXPECT_EQ(one.why(), two.why());
    EXPECT_FALSE(one.broken_promise() || two.broken_promise());
    return one.why();
}

transcript heard_by_server(bytes stream, const reader_settings& settings) {
    transcript lines;
    listener server{settings};
    if (!server.hear(stream,
                     [&](const event& told, wire::bytes_view payload) { lines.push_back(line_of(told, payload)); }))
        lines.push_back("FAULT " + std::string{describe(*server.why())});
    EXPECT_FALSE(server.broken_promise());
    return lines;
}

bytes compressed_message(std::string_view deflated, unsigned code = 2) { return frame(code, deflated, true, 4); }

// ---- In place ----------------------------------------------------------------------------------

TEST(WsMessageReader, ShowsPlainPayloadWhereItLies) {
    bytes stream = binary("sixteen bytes ..") + ping("are you there") + binary("next");
    std::span<std::uint8_t> input{stream};
    message_reader reader{{}};
    const auto first = reader.next(input);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->payload.data(), stream.data() + 6);
    EXPECT_EQ(wire::as_text(first->payload), "sixteen bytes ..");
    const auto second = reader.next(input);
    EXPECT_EQ(second->what, event::kind::ping);
    EXPECT_EQ(second->payload.data(), stream.data() + 22 + 6);
    EXPECT_EQ(wire::as_text(reader.next(input)->payload), "next");
    EXPECT_TRUE(reader.next(input).needs_more());
}

TEST(WsMessageReader, TellsEachPieceOfAMessageAtOnce) {
    bytes stream = binary("abcdef");
    message_reader reader{{}};
    std::span<std::uint8_t> input = std::span{stream}.first(8);
    const auto front = reader.next(input);
    ASSERT_TRUE(front);
    EXPECT_TRUE(front->first && !front->last);
    EXPECT_EQ(wire::as_text(front->payload), "ab");
    const auto wish = reader.next(input);
    EXPECT_EQ(wish.bytes_needed(), 4U);
    input = std::span{stream}.subspan(8);
    const auto back = reader.next(input);
    EXPECT_TRUE(!back->first && back->last);
    EXPECT_EQ(wire::as_text(back->payload), "cdef");
}

TEST(WsMessageReader, AFaultIsForEver) {
    message_reader reader{{}};
    bytes bad = frame(3, "");
    bytes good = binary("x");
    std::span<std::uint8_t> input{bad};
    EXPECT_EQ(reader.next(input).reason(), fault::opcode_reserved);
    input = good;
    EXPECT_EQ(reader.next(input).reason(), fault::opcode_reserved);
}

TEST(WsMessageReader, ABinaryConversationRefusesText) {
    EXPECT_EQ(refusal_of(text("x"), {.takes_text = false}), fault::text_refused);
    EXPECT_EQ(close_code_of(fault::text_refused), close_code::unsupported_data);
    EXPECT_EQ(heard_by_server(binary("x"), {.takes_text = false}), transcript{"binary x"});
}

// ---- Limits ------------------------------------------------------------------------------------

TEST(WsMessageReader, LimitsFramesAndMessagesBeforeTheirPayloadArrives) {
    const reader_settings settings{.frame_bytes_max = 10, .message_bytes_max = 20};
    const std::string ten(10, 'x');
    EXPECT_EQ(refusal_of(binary(ten), settings), std::nullopt);
    bytes only_header = binary(ten + "x");
    only_header.resize(6);
    EXPECT_EQ(refusal_of(only_header, settings), fault::frame_too_large);
    const bytes twenty = binary(ten, not_final) + more(ten, not_final);
    EXPECT_EQ(refusal_of(twenty + more(""), settings), std::nullopt);
    EXPECT_EQ(refusal_of(twenty + more("x"), settings), fault::message_too_large);
    // Each message counts for itself, and control frames not at all.
    EXPECT_EQ(refusal_of(twenty + ping(std::string(100, 'p')) + more("") + binary(ten), settings), std::nullopt);
    EXPECT_EQ(close_code_of(fault::message_too_large), close_code::message_too_big);
    // No sum of announced lengths overflows.
    bytes huge = binary("", not_final) + from_hex("80ff 7fffffffffffffff 00000000");
    EXPECT_EQ(refusal_of(huge, {}), std::nullopt);
    huge = binary("x", not_final) + from_hex("80ff 7fffffffffffffff 00000000");
    EXPECT_EQ(refusal_of(huge, {.message_bytes_max = (1ULL << 63) - 1}), fault::message_too_large);
}

// ---- Compressed messages -----------------------------------------------------------------------

constexpr reader_settings with_deflate{.deflate = true};

std::string deflated(deflater& compressor, std::string_view payload) {
    return std::string{wire::as_text(compressor.compress(wire::as_bytes(payload)))};
}

// RFC 7692, 7.2.3.
TEST(WsDeflate, ReadsTheSpecificationsExamples) {
    const auto unmasked = [](std::string_view hex) { return heard_by_client(from_hex(hex), {.deflate = true}); };
    EXPECT_EQ(unmasked("c107 f248cdc9c90700"), transcript{"text Hello"});
    EXPECT_EQ(unmasked("4103 f248cd 8004 c9c90700"), transcript{"text Hello"});
    // A shared window: the second message refers to the first.
    EXPECT_EQ(unmasked("c107 f248cdc9c90700 c105 f200110000"), (transcript{"text Hello", "text Hello"}));
    EXPECT_EQ(unmasked("c10b 000500faff48656c6c6f00"), transcript{"text Hello"}) << "a stored block";
    EXPECT_EQ(unmasked("c108 f348cdc9c9070000"), transcript{"text Hello"}) << "a block with BFINAL";
    EXPECT_EQ(unmasked("c10d f24805000000ffffcac9c90700"), transcript{"text Hello"}) << "two blocks";
    EXPECT_EQ(unmasked("c101 00"), transcript{"text "});
    // Without the window, the second one refers to nothing.
    EXPECT_EQ(heard_by_client(from_hex("c107 f248cdc9c90700 c105 f200110000"),
                              {.deflate = true, .peer_keeps_context = false}),
              (transcript{"text Hello", "FAULT invalid compressed data"}));
}

TEST(WsDeflate, KeepsTheWindowAcrossABlockWithBfinal) {
    EXPECT_EQ(heard_by_client(from_hex("c108 f348cdc9c9070000 c105 f200110000"), {.deflate = true}),
              (transcript{"text Hello", "text Hello"}));
}

TEST(WsDeflate, TakesNothingAtAllForAnEmptyMessage) {
    // zlib gives nothing for a second flush in a row, and some peers send that.
    EXPECT_EQ(heard_by_server(compressed_message("") + compressed_message(""), with_deflate),
              (transcript{"binary ", "binary "}));
}

TEST(WsDeflate, RefusesDataThatIsNone) {
    deflater compressor{{}};
    const std::string whole = deflated(compressor, std::string(300, 'a') + "the end of it");
    EXPECT_EQ(refusal_of(compressed_message(whole), with_deflate), std::nullopt);
    for (std::size_t size = 1; size < whole.size(); ++size)
        EXPECT_EQ(refusal_of(compressed_message(whole.substr(0, size)), with_deflate), fault::deflate_invalid) << size;
    EXPECT_EQ(refusal_of(compressed_message("\x07"), with_deflate), fault::deflate_invalid) << "block type 3";
    EXPECT_EQ(close_code_of(fault::deflate_invalid), close_code::invalid_payload);
    // Unasked for, it is a reserved bit.
    EXPECT_EQ(refusal_of(compressed_message(whole), {}), fault::reserved_bits);
    EXPECT_EQ(refusal_of(frame(2, "", not_final, 4) + frame(0, whole, true, 4), with_deflate), fault::reserved_bits);
    EXPECT_EQ(refusal_of(frame(9, "", true, 4), with_deflate), fault::reserved_bits);
}

TEST(WsDeflate, ChecksInflatedTextForUtf8) {
    deflater compressor{{}};
    EXPECT_EQ(refusal_of(compressed_message(deflated(compressor, "\xC3\xA4"), 1), with_deflate), std::nullopt);
    EXPECT_EQ(refusal_of(compressed_message(deflated(compressor, "a\xFF"), 1), with_deflate), fault::utf8_invalid);
    EXPECT_EQ(refusal_of(compressed_message(deflated(compressor, "a\xC3"), 1), with_deflate), fault::utf8_invalid);
    EXPECT_EQ(refusal_of(compressed_message(deflated(compressor, "a\xFF"), 2), with_deflate), std::nullopt);
}

TEST(WsDeflate, StopsABombInItsMiddle) {
    constexpr std::size_t limit = 100'000;
    deflater compressor{{.level = 9}};
    const reader_settings settings{.message_bytes_max = limit, .deflate = true};
    const std::string at_limit = deflated(compressor, std::string(limit, '0'));
    EXPECT_EQ(refusal_of(compressed_message(at_limit), settings), std::nullopt);
    EXPECT_EQ(refusal_of(compressed_message(deflated(compressor, std::string(limit + 1, '0'))), settings),
              fault::message_too_large);

    bytes bomb = compressed_message(deflated(compressor, std::string(64 << 20, '0')));
    ASSERT_LT(bomb.size(), 100'000U);
    bytes space(4096);
    message_reader reader{settings, space};
    std::span<std::uint8_t> input{bomb};
    std::size_t inflated = 0;
    auto told = reader.next(input);
    for (; told; told = reader.next(input)) {
        EXPECT_LE(told->payload.size(), space.size());
        inflated += told->payload.size();
    }
    EXPECT_EQ(told.reason(), fault::message_too_large);
    EXPECT_LE(inflated, limit);
    EXPECT_GT(input.size(), bomb.size() / 2) << "the rest was not even looked at";
}

TEST(WsDeflate, HoldsAnySplitAnySpaceAndControlFramesBetween) {
    const auto seed = std::random_device{}();
    RecordProperty("seed", std::to_string(seed));
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    for (int round = 0; round < 60; ++round) {
        const bool keeps = random() % 2 == 0;
        const int bits = 8 + static_cast<int>(random() % 8);
        deflater compressor{{.window_bits = bits,
                             .level = 1 + static_cast<int>(random() % 9),
                             .context = keeps ? deflate_context::kept : deflate_context::reset_each_message}};
        bytes stream;
        transcript expected;
        for (int i = 0; i < 6; ++i) {
            std::string payload;
            for (std::size_t size = random() % 3000; payload.size() < size;)
                payload += "abcabcd"[random() % 7];
            bytes frames = fragmented(2, deflated(compressor, payload), 1 + random() % 700);
            frames[0] |= 0x40;
            stream = std::move(stream) + frames + ping();
            expected.push_back("binary " + shown(payload));
            expected.push_back("ping ");
        }
        listener server{{.deflate = true, .peer_keeps_context = keeps, .peer_window_bits = bits}, 1 + random() % 600};
        transcript heard;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t size = std::min<std::size_t>(1 + random() % 200, stream.size() - at);
            bytes piece(stream.begin() + static_cast<std::ptrdiff_t>(at),
                        stream.begin() + static_cast<std::ptrdiff_t>(at + size));
            ASSERT_TRUE(server.hear(piece, [&](const event& told, wire::bytes_view payload) {
                heard.push_back(line_of(told, payload));
            })) << describe(*server.why());
            at += size;
        }
        ASSERT_EQ(heard, expected);
        ASSERT_FALSE(server.broken_promise());
    }
}

// zlib's own decompressor with the window given, whose output leaves octet by octet: it remembers no more than that.
std::optional<std::string> inflated_strictly(wire::bytes_view packed, int window_bits) {
    z_stream z{};
    EXPECT_EQ(inflateInit2(&z, -window_bits), Z_OK);
    z.next_in = const_cast<Bytef*>(packed.data());
    z.avail_in = static_cast<uInt>(packed.size());
    std::string out;
    int status = Z_OK;
    while (status == Z_OK) {
        Bytef octet = 0;
        z.next_out = &octet;
        z.avail_out = 1;
        status = inflate(&z, Z_SYNC_FLUSH);
        if (z.avail_out == 0)
            out.push_back(static_cast<char>(octet));
    }
    inflateEnd(&z);
    return status == Z_BUF_ERROR ? std::optional{out} : std::nullopt;
}

// zlib has no raw compressor with 256 bytes of window, but ours promises one.
TEST(WsDeflate, NeverRefersFurtherBackThanItsWindow) {
    std::mt19937 random{1};
    std::string payload;
    while (payload.size() < 20'000)
        payload.append(1 + random() % 300, static_cast<char>('a' + random() % 3)).append("some words to find again");
    for (const int bits : {8, 9, 10, 15}) {
        for (const int level : {1, 6, 9}) {
            deflater compressor{{.window_bits = bits, .level = level}};
            const auto packed = compressor.compress(wire::as_bytes(payload));
            EXPECT_EQ(inflated_strictly(packed, bits), payload) << bits << " bits, level " << level;
            if (bits == 15) {
                EXPECT_EQ(inflated_strictly(packed, 8), std::nullopt) << "the check can fail";
            }
        }
    }
}

// ---- Writing -----------------------------------------------------------------------------------

TEST(WsMessageWriter, CompressesWhereItPaysAndWhereItMust) {
    const std::string words(1000, 'w');
    std::string noise;
    std::mt19937 random{1};
    while (noise.size() < 1000)
        noise.push_back(static_cast<char>(random()));
    deflater shared{{}};
    const message_writer writer{shared};
    const auto packed = writer.message(message_type::text, wire::as_bytes(words));
    EXPECT_TRUE(packed.header.compressed);
    EXPECT_LT(packed.size(), 50U);
    EXPECT_FALSE(writer.message(message_type::text, wire::as_bytes(words.substr(0, 255))).header.compressed);
    const auto plain = writer.message(message_type::binary, wire::as_bytes(noise));
    EXPECT_FALSE(plain.header.compressed);
    EXPECT_EQ(plain.payload.data(), wire::as_bytes(noise).data()) << "not copied";

    deflater own{{.context = deflate_context::kept}};
    EXPECT_TRUE(message_writer{own}.message(message_type::binary, wire::as_bytes(noise)).header.compressed);
    EXPECT_FALSE(message_writer{}.compresses(1 << 30));
}

TEST(WsMessageWriter, SharesADeflaterAmongConnections) {
    deflater shared{{}};
    const message_writer one{shared, 0};
    const message_writer two{shared, 0};
    bytes to_one;
    bytes to_two;
    for (int i = 0; i < 3; ++i) {
        append(to_one, one.message(message_type::text, wire::as_bytes("the same words for one")));
        append(to_two, two.message(message_type::text, wire::as_bytes("the same words for two")));
    }
    EXPECT_EQ(heard_by_client(to_one, {.deflate = true, .peer_keeps_context = false}),
              transcript(3, "text the same words for one"));
    EXPECT_EQ(heard_by_client(to_two, {.deflate = true, .peer_keeps_context = false}),
              transcript(3, "text the same words for two"));
}

TEST(WsMessageWriter, DeflatesPiecesAsOneMessage) {
    deflater compressor{{}};
    const std::string large(300'000, 'x');
    compressor.begin();
    compressor.add(wire::as_bytes("first, "));
    compressor.add({});
    compressor.add(wire::as_bytes(large));
    const auto packed = compressor.finish();
    EXPECT_EQ(heard_by_server(compressed_message(wire::as_text(packed)), with_deflate),
              transcript{"binary " + shown("first, " + large)});
    // Incompressible data beyond what is kept between messages.
    std::string noise;
    std::mt19937_64 random{1};
    while (noise.size() < 2 * deflater::kept_bytes_max)
        noise.push_back(static_cast<char>(random()));
    EXPECT_EQ(heard_by_server(compressed_message(deflated(compressor, noise)), with_deflate),
              transcript{"binary " + shown(noise)});
    EXPECT_EQ(heard_by_server(compressed_message(deflated(compressor, "small")), with_deflate),
              transcript{"binary small"});
}

TEST(WsMessageWriter, PutsTheHeadOfAStreamsBytes) {
    EXPECT_EQ(to_hex(head_of_message(message_type::binary, 5).view()), "8205");
    EXPECT_EQ(to_hex(head_of_message(message_type::text, 126).view()), "817e007e");
    EXPECT_EQ(to_hex(head_of_message(message_type::binary, 1 << 20).view()), "827f0000000000100000");
}

TEST(WsMessageWriter, WritesControlFrames) {
    EXPECT_EQ(to_hex(control_frame::ping().view()), "8900");
    EXPECT_EQ(to_hex(control_frame::pong(wire::as_bytes("Hello")).view()), "8a0548656c6c6f");
    EXPECT_EQ(to_hex(control_frame::close(close_code::no_status).view()), "8800");
    EXPECT_EQ(to_hex(control_frame::close(close_code::going_away, "bye").view()), "880503e9627965");
    EXPECT_EQ(to_hex(control_frame::pong(wire::as_bytes("Hello"), mask_key::at(from_hex("37fa213d").data())).view()),
              "8a8537fa213d7f9f4d5158");
    // A long reason is cut before the character that does not fit.
    const std::string reason = std::string(122, 'r') + "ß and more";
    const auto cut = control_frame::close(close_code::normal, reason);
    EXPECT_EQ(cut.view().size(), 2U + 2 + 122);
    const auto refusal = control_frame::close(fault::message_too_large);
    EXPECT_EQ(heard_by_client(bytes(refusal.view().begin(), refusal.view().end()), {}),
              transcript{"close 1009 message too large"});
}

}  // namespace
}  // namespace linnet::ws::test
