#include "broker/store/crc32c.hpp"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace linnet::store {
namespace {

constexpr std::uint32_t polynomial = 0x82F63B78;  // reversed: the lowest bit is the highest power

using byte_table = std::array<std::uint32_t, 256>;

constexpr byte_table make_byte_table() {
    byte_table t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? polynomial : 0);
        t[i] = crc;
    }
    return t;
}

// steps[k][b]: what byte b does to the checksum k zero bytes later, so that eight bytes are looked up at once.
constexpr std::array<byte_table, 8> make_steps() {
    std::array<byte_table, 8> steps{};
    steps[0] = make_byte_table();
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t b = 0; b < 256; ++b)
            steps[k][b] = steps[k - 1][b] >> 8 ^ steps[0][steps[k - 1][b] & 0xFF];
    return steps;
}

constexpr std::array<byte_table, 8> steps = make_steps();

std::uint64_t word_at(const std::uint8_t* p) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, p, sizeof word);
    return word;
}

#if defined(__x86_64__)

// What `bytes` zeros behind it make of a checksum. That is linear, so it is looked up for each of its four bytes.
using shift_table = std::array<byte_table, 4>;

constexpr shift_table make_shift(std::size_t bytes) {
    std::array<std::uint32_t, 32> of_bit{};
    for (std::size_t bit = 0; bit < 32; ++bit) {
        std::uint32_t crc = std::uint32_t{1} << bit;
        for (std::size_t i = 0; i < bytes; ++i)
            crc = crc >> 8 ^ steps[0][crc & 0xFF];
        of_bit[bit] = crc;
    }
    shift_table t{};
    for (std::size_t part = 0; part < 4; ++part)
        for (std::size_t b = 0; b < 256; ++b)
            for (std::size_t bit = 0; bit < 8; ++bit)
                if ((b >> bit & 1) != 0)
                    t[part][b] ^= of_bit[part * 8 + bit];
    return t;
}

constexpr std::size_t long_lane = 1024;
constexpr std::size_t short_lane = 128;
constexpr shift_table shift_long = make_shift(long_lane);
constexpr shift_table shift_short = make_shift(short_lane);

std::uint64_t shifted(const shift_table& t, std::uint64_t crc) noexcept {
    return t[0][crc & 0xFF] ^ t[1][crc >> 8 & 0xFF] ^ t[2][crc >> 16 & 0xFF] ^ t[3][crc >> 24 & 0xFF];
}

// The instruction answers after three cycles but can be begun in each: three lanes keep it busy.
__attribute__((target("sse4.2"))) std::uint64_t three_lanes(std::uint64_t crc, const std::uint8_t* p, std::size_t lane,
                                                            const shift_table& shift) noexcept {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (const std::uint8_t* const end = p + lane; p != end; p += 8) {
        crc = _mm_crc32_u64(crc, word_at(p));
        second = _mm_crc32_u64(second, word_at(p + lane));
        third = _mm_crc32_u64(third, word_at(p + 2 * lane));
    }
    return shifted(shift, shifted(shift, crc) ^ second) ^ third;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::uint32_t before,
                                                             std::span<const std::uint8_t> bytes) noexcept {
    std::uint64_t crc = ~before;
    const std::uint8_t* p = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 3 * long_lane; p += 3 * long_lane, left -= 3 * long_lane)
        crc = three_lanes(crc, p, long_lane, shift_long);
    for (; left >= 3 * short_lane; p += 3 * short_lane, left -= 3 * short_lane)
        crc = three_lanes(crc, p, short_lane, shift_short);
    for (; left >= 8; p += 8, left -= 8)
        crc = _mm_crc32_u64(crc, word_at(p));
    auto rest = static_cast<std::uint32_t>(crc);
    for (; left > 0; ++p, --left)
        rest = _mm_crc32_u8(rest, *p);
    return ~rest;
}

#endif

using implementation = std::uint32_t (*)(std::uint32_t, std::span<const std::uint8_t>) noexcept;

implementation fastest() noexcept {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2") != 0)
        return crc32c_sse42;
#endif
    return crc32c_portable;
}

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t before, std::span<const std::uint8_t> bytes) noexcept {
    std::uint32_t crc = ~before;
    const std::uint8_t* p = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; p += 8, left -= 8) {
        const std::uint64_t word = word_at(p) ^ crc;
        crc = 0;
        for (std::size_t k = 0; k < 8; ++k)
            crc ^= steps[7 - k][word >> 8 * k & 0xFF];
    }
    for (; left > 0; ++p, --left)
        crc = crc >> 8 ^ steps[0][(crc ^ *p) & 0xFF];
    return ~crc;
}

std::uint32_t crc32c(std::uint32_t before, std::span<const std::uint8_t> bytes) noexcept {
    static const implementation chosen = fastest();
    return chosen(before, bytes);
}

}  // namespace linnet::store
