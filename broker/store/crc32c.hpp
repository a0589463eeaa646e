#pragma once

#include <cstdint>
#include <span>

// CRC-32C (Castagnoli), the checksum of the log: x86 has an instruction for it.

namespace linnet::store {

// Of `bytes`, going on from the checksum of what lies before (0: nothing does): crc(crc(0, a), b) == crc(0, ab).
[[nodiscard]] std::uint32_t crc32c(std::uint32_t before, std::span<const std::uint8_t> bytes) noexcept;

// The same from a table, for processors without the instruction; in the open so that tests can compare the two.
[[nodiscard]] std::uint32_t crc32c_portable(std::uint32_t before, std::span<const std::uint8_t> bytes) noexcept;

}  // namespace linnet::store
