#include "broker/store/crc32c.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <random>
#include <string_view>
#include <vector>

namespace linnet::store {
namespace {

// RFC 3720, B.4.
TEST(Crc32c, AnswersTheKnownValues) {
    constexpr std::string_view digits = "123456789";
    const std::span<const std::uint8_t> text{reinterpret_cast<const std::uint8_t*>(digits.data()), digits.size()};
    EXPECT_EQ(crc32c(0, text), 0xE3069283U);
    EXPECT_EQ(crc32c_portable(0, text), 0xE3069283U);
    EXPECT_EQ(crc32c(0, std::vector<std::uint8_t>(32)), 0x8A9136AAU);
    EXPECT_EQ(crc32c(0, std::vector<std::uint8_t>(32, 0xFF)), 0x62A8AB43U);
    std::vector<std::uint8_t> rising(32);
    std::iota(rising.begin(), rising.end(), std::uint8_t{0});
    EXPECT_EQ(crc32c(0, rising), 0x46DD794EU);
}

TEST(Crc32c, IsTheSameByInstructionAndByTable) {
    std::mt19937_64 random{11};
    std::vector<std::uint8_t> bytes(20'000);
    for (std::uint8_t& b : bytes)
        b = static_cast<std::uint8_t>(random());
    for (std::size_t length = 0; length < bytes.size(); length += 1 + length / 7) {
        const auto seed = static_cast<std::uint32_t>(random());
        const auto some = std::span<const std::uint8_t>{bytes}.subspan(random() % (bytes.size() - length), length);
        ASSERT_EQ(crc32c(seed, some), crc32c_portable(seed, some)) << length;
    }
}

TEST(Crc32c, GoesOnWhereItStopped) {
    std::vector<std::uint8_t> bytes(5'000);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{3});
    const std::span<const std::uint8_t> all{bytes};
    for (std::size_t cut = 0; cut <= bytes.size(); cut += 97)
        ASSERT_EQ(crc32c(crc32c(9, all.first(cut)), all.subspan(cut)), crc32c(9, all));
}

}  // namespace
}  // namespace linnet::store
