#include "broker/core/keyed_hash.hpp"

#include "broker/core/text_hash.hpp"

#include <bit>
#include <cstring>

namespace linnet::core {

namespace {

struct sip_state {
    std::uint64_t v0, v1, v2, v3;

    void round() noexcept {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    }
    void absorb(std::uint64_t word) noexcept {
        v3 ^= word;
        round();
        round();
        v0 ^= word;
    }
    [[nodiscard]] std::uint64_t squeeze() noexcept {
        for (int i = 0; i < 4; ++i) {
            round();
        }
        return v0 ^ v1 ^ v2 ^ v3;
    }
};

// Little-endian, so that a log moves between machines.
[[nodiscard]] std::uint64_t word_at(const char* at, std::size_t bytes) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
        word |= std::uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
    }
    return word;
}

}  // namespace

hash_key random_hash_key() { return {random_seed(), random_seed()}; }

fingerprint keyed_hash(const hash_key& key, std::string_view text) noexcept {
    // "somepseudorandomlygeneratedbytes", the constants of the paper; 0xee marks the long output.
    sip_state s{key.low ^ 0x736f'6d65'7073'6575U, key.high ^ 0x646f'7261'6e64'6f6dU ^ 0xeeU,
                key.low ^ 0x6c79'6765'6e65'7261U, key.high ^ 0x7465'6462'7974'6573U};
    const std::size_t whole = text.size() / 8 * 8;
    for (std::size_t i = 0; i < whole; i += 8) {
        s.absorb(word_at(text.data() + i, 8));
    }
    s.absorb(word_at(text.data() + whole, text.size() - whole) | std::uint64_t{text.size() & 0xff} << 56);
    s.v2 ^= 0xee;
    const std::uint64_t low = s.squeeze();
    s.v1 ^= 0xdd;
    return {low, s.squeeze()};
}

}  // namespace linnet::core
