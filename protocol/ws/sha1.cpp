#include "protocol/ws/sha1.hpp"

#include <algorithm>
#include <bit>

namespace linnet::ws {
namespace {

constexpr std::size_t block_bytes = 64;

using state = std::array<std::uint32_t, 5>;

struct round {
    std::uint32_t mix;
    std::uint32_t constant;
};

constexpr round round_of(std::size_t t, std::uint32_t b, std::uint32_t c, std::uint32_t d) noexcept {
    if (t < 20)
        return {(b & c) | (~b & d), 0x5A827999};
    if (t < 40)
        return {b ^ c ^ d, 0x6ED9EBA1};
    if (t < 60)
        return {(b & c) | (b & d) | (c & d), 0x8F1BBCDC};
    return {b ^ c ^ d, 0xCA62C1D6};
}

void add_block(state& sum, const std::uint8_t* block) noexcept {
    std::array<std::uint32_t, 80> words;
    for (std::size_t t = 0; t < 16; ++t)
        words[t] = wire::load<std::uint32_t>(block + 4 * t);
    for (std::size_t t = 16; t < words.size(); ++t)
        words[t] = std::rotl(words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16], 1);

    auto [a, b, c, d, e] = sum;
    for (std::size_t t = 0; t < words.size(); ++t) {
        const round r = round_of(t, b, c, d);
        const std::uint32_t next = std::rotl(a, 5) + r.mix + e + r.constant + words[t];
        e = d;
        d = c;
        c = std::rotl(b, 30);
        b = a;
        a = next;
    }
    sum[0] += a;
    sum[1] += b;
    sum[2] += c;
    sum[3] += d;
    sum[4] += e;
}

}  // namespace

sha1_digest sha1(wire::bytes_view message) noexcept {
    state sum{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const std::uint64_t bits = std::uint64_t{message.size()} * 8;
    for (; message.size() >= block_bytes; message = message.subspan(block_bytes))
        add_block(sum, message.data());

    // The rest, a set bit, zeros, and the length in the last eight octets: one block, or two if that does not fit.
    std::array<std::uint8_t, 2 * block_bytes> last{};
    std::copy(message.begin(), message.end(), last.begin());
    last[message.size()] = 0x80;
    const std::size_t last_bytes = message.size() + 9 <= block_bytes ? block_bytes : 2 * block_bytes;
    wire::store(&last[last_bytes - 8], bits);
    for (std::size_t at = 0; at < last_bytes; at += block_bytes)
        add_block(sum, &last[at]);

    sha1_digest digest;
    std::uint8_t* to = digest.data();
    for (const std::uint32_t word : sum)
        to = wire::store(to, word);
    return digest;
}

}  // namespace linnet::ws
