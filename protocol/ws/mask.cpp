#include "protocol/ws/mask.hpp"

namespace linnet::ws {
namespace {

// memcpy, since nothing here is aligned; compilers turn each into one move.
template <class Word>
void flip(std::uint8_t* at, Word pattern) noexcept {
    Word word;
    std::memcpy(&word, at, sizeof word);
    word ^= pattern;
    std::memcpy(at, &word, sizeof word);
}

}  // namespace

void apply_mask(std::span<std::uint8_t> bytes, mask_key key) noexcept {
    std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    const std::uint64_t pattern = std::uint64_t{key.bits} << 32 | key.bits;
    // Four words a turn become SSE moves of 16 bytes without a word of intrinsics (bench_ws_codec, unmask).
    for (; left >= 32; at += 32, left -= 32) {
        std::uint64_t words[4];
        std::memcpy(words, at, sizeof words);
        for (std::uint64_t& word : words)
            word ^= pattern;
        std::memcpy(at, words, sizeof words);
    }
    for (; left >= 8; at += 8, left -= 8)
        flip(at, pattern);
    // Fewer than eight are left; whole words were taken from the front, so the key still begins with its first byte.
    if (left >= 4) {
        flip(at, key.bits);
        at += 4;
        left -= 4;
    }
    for (std::size_t i = 0; i < left; ++i)
        at[i] = static_cast<std::uint8_t>(at[i] ^ reinterpret_cast<const std::uint8_t*>(&key.bits)[i]);
}

}  // namespace linnet::ws
