#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace linnet::store {

// The files are little-endian, and so is every machine that we are built for.
static_assert(std::endian::native == std::endian::little);

template <class T>
[[nodiscard]] T load(const std::uint8_t* from) noexcept {
    T value{};
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
void store(std::uint8_t* to, T value) noexcept {
    std::memcpy(to, &value, sizeof value);
}

}  // namespace linnet::store
