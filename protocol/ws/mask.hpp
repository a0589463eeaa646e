// The mask that a client lays over its payload, which is also how it is taken off (RFC 6455, 5.3).
#pragma once

#include "protocol/wire/bytes.hpp"

#include <bit>
#include <cstdint>
#include <span>

namespace linnet::ws {

// Its four bytes, as they lie in memory.
struct mask_key {
    std::uint32_t bits = 0;

    [[nodiscard]] static mask_key at(const std::uint8_t* from) noexcept {
        mask_key key;
        std::memcpy(&key.bits, from, sizeof key.bits);
        return key;
    }
    std::uint8_t* put(std::uint8_t* to) const noexcept {
        std::memcpy(to, &bits, sizeof bits);
        return to + sizeof bits;
    }
    // The key for what follows `bytes` bytes of payload.
    [[nodiscard]] constexpr mask_key after(std::size_t bytes) const noexcept {
        const int shift = static_cast<int>(bytes % 4) * 8;
        return {std::endian::native == std::endian::little ? std::rotr(bits, shift) : std::rotl(bits, shift)};
    }

    bool operator==(const mask_key&) const = default;
};

// In place; the key's first byte meets the first one of `bytes`, wherever that lies.
void apply_mask(std::span<std::uint8_t> bytes, mask_key key) noexcept;

}  // namespace linnet::ws
