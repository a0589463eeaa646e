#pragma once

#include <cstdint>
#include <span>

namespace linnet {

// From the kernel: what must not be guessed.
void fill_random(std::span<std::uint8_t> bytes);

}  // namespace linnet
