#include "protocol/wire/decoded.hpp"
#include "protocol/wire/reader.hpp"
#include "protocol/wire/utf8.hpp"
#include "protocol/wire/writer.hpp"
#include "tests/protocol/hex.hpp"

#include <gtest/gtest.h>

namespace linnet::wire {
namespace {

using test::from_hex;
using test::to_hex;

TEST(Reader, ReadsBigEndianIntegersAtAnyAlignment) {
    const auto input = from_hex("ff 01 0203 04050607 08090a0b0c0d0e0f");
    reader from{bytes_view{input}.subspan(1)};
    EXPECT_EQ(from.u8(), 0x01);
    EXPECT_EQ(from.u16(), 0x0203);
    EXPECT_EQ(from.u32(), 0x04050607U);
    EXPECT_EQ(from.u64(), 0x08090a0b0c0d0e0fU);
    EXPECT_TRUE(from.ok());
    EXPECT_TRUE(from.at_end());
}

TEST(Reader, GivesZerosForEverAfterReadingBeyondTheEnd) {
    const auto input = from_hex("ffffff");
    reader from{input};
    EXPECT_EQ(from.u32(), 0U);
    EXPECT_FALSE(from.ok());
    EXPECT_EQ(from.u8(), 0);
    EXPECT_EQ(from.bytes(1).size(), 0U);
    EXPECT_EQ(from.text_after_u8(), "");
    EXPECT_FALSE(from.ok());
}

TEST(Reader, RefusesLengthsBeyondTheEnd) {
    for (const char* input : {"03 6162", "ff", "05 61626364"}) {
        const auto bytes = from_hex(input);
        reader from{bytes};
        EXPECT_EQ(from.text_after_u8(), "");
        EXPECT_FALSE(from.ok()) << input;
    }
    for (const char* input : {"00000003 6162", "ffffffff 61", "80000000", "000000"}) {
        const auto bytes = from_hex(input);
        reader from{bytes};
        EXPECT_EQ(from.text_after_u32(), "");
        EXPECT_FALSE(from.ok()) << input;
    }
}

TEST(Reader, ReadsAnEmptyInput) {
    reader from{{}};
    EXPECT_TRUE(from.ok());
    EXPECT_TRUE(from.at_end());
    EXPECT_EQ(from.bytes(0).size(), 0U);
    EXPECT_TRUE(from.ok());
}

TEST(Writer, WritesWhatTheReaderReads) {
    std::vector<std::uint8_t> out(1 + 2 + 4 + 8 + 3 + 7);
    writer to{out};
    to.u8(1);
    to.u16(0x0203);
    to.u32(0x04050607);
    to.u64(0x08090a0b0c0d0e0f);
    to.bytes_after_u8(as_bytes("ab"));
    to.bytes_after_u32(as_bytes("xyz"));
    EXPECT_EQ(to.remaining(), 0U);
    EXPECT_EQ(to_hex(out), "0102030405060708090a0b0c0d0e0f0261620000000378797a");
}

// The plain version of put_bytes is memcpy.
TEST(PutBytes, CopiesEverySizeAndTouchesNothingElse) {
    std::vector<std::uint8_t> source(80);
    for (std::size_t i = 0; i < source.size(); ++i)
        source[i] = static_cast<std::uint8_t>(i + 1);
    for (std::size_t size = 0; size <= source.size(); ++size) {
        std::vector<std::uint8_t> out(82, 0xEE);
        EXPECT_EQ(put_bytes(&out[1], source.data(), size), &out[1] + size);
        std::vector<std::uint8_t> expected(82, 0xEE);
        std::copy_n(source.begin(), size, expected.begin() + 1);
        EXPECT_EQ(out, expected) << size;
    }
}

TEST(Decoded, IsOneOfThree) {
    enum class reason : std::uint8_t { broken };
    using number = decoded<int, reason>;
    const number value{7};
    EXPECT_TRUE(value && value.has_value() && !value.needs_more() && !value.is_malformed());
    EXPECT_EQ(*value, 7);
    const number wish{need_more{12}};
    EXPECT_TRUE(!wish && wish.needs_more());
    EXPECT_EQ(wish.bytes_needed(), 12U);
    const number refusal{malformed{reason::broken}};
    EXPECT_TRUE(!refusal && refusal.is_malformed());
    EXPECT_EQ(refusal.reason(), reason::broken);
}

TEST(Utf8, AcceptsWellFormedText) {
    for (const std::string_view text : {"", "a", "plain ascii, longer than eight", "z\u00fcrich", "\u20ac",
                                        "\U0001F426", "\u07ff\u0800\uffff\U00010000\U0010ffff", "\ud7ff\ue000"}) {
        EXPECT_TRUE(is_utf8(text)) << text;
    }
    EXPECT_TRUE(is_utf8(std::string_view{"\0", 1}));
}

TEST(Utf8, RefusesEveryKindOfIllFormedText) {
    for (const char* bytes :
         {"80", "bf", "c0 80", "c1 bf", "c3", "e0 9f bf", "ed a0 80", "ed bf bf", "e2 82", "e2 82 41", "f0 8f bf bf",
          "f4 90 80 80", "f5 80 80 80", "f0 9f 90", "ff", "fe", "c3 41"}) {
        const auto text = from_hex(bytes);
        EXPECT_FALSE(is_utf8(as_text(text))) << bytes;
        // Nor may the eight-byte steps hide it.
        for (std::size_t before = 1; before < 18; ++before) {
            EXPECT_FALSE(is_utf8(std::string(before, 'a') + std::string{as_text(text)} + "tail of ascii")) << bytes;
        }
    }
}

// The model: a code point is well-formed if encoding what was decoded gives the same bytes.
TEST(Utf8, AgreesWithAModelOnEveryThreeByteSequence) {
    const auto model = [](const std::array<std::uint8_t, 3>& s) {
        const auto tail = [](std::uint8_t b) { return b >= 0x80 && b <= 0xBF; };
        std::size_t at = 0;
        while (at < 3) {
            if (s[at] < 0x80) {
                at += 1;
            } else if (at + 1 < 3 && s[at] >= 0xC2 && s[at] <= 0xDF && tail(s[at + 1])) {
                at += 2;
            } else if (at == 0 && (s[0] & 0xF0) == 0xE0 && tail(s[1]) && tail(s[2])) {
                const int point = (s[0] & 0x0F) << 12 | (s[1] & 0x3F) << 6 | (s[2] & 0x3F);
                if (point < 0x800 || (point >= 0xD800 && point <= 0xDFFF))
                    return false;
                at += 3;
            } else {
                return false;
            }
        }
        return true;
    };
    for (unsigned n = 0; n < 1U << 24; n += 3) {
        const std::array<std::uint8_t, 3> s{static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8),
                                            static_cast<std::uint8_t>(n)};
        ASSERT_EQ(is_utf8(as_text(s)), model(s)) << to_hex(s);
    }
}

TEST(Utf8, CutsAtACharacter) {
    EXPECT_EQ(utf8_prefix("abc", 3), "abc");
    EXPECT_EQ(utf8_prefix("abcd", 3), "abc");
    EXPECT_EQ(utf8_prefix("ab\u20ac", 4), "ab");
    EXPECT_EQ(utf8_prefix("ab\u20ac", 5), "ab\u20ac");
    EXPECT_EQ(utf8_prefix("\u20ac", 0), "");
}

}  // namespace
}  // namespace linnet::wire
