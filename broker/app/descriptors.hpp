#pragma once

#include <cstddef>
#include <cstdint>

// File descriptors of this process: most are for connections, some for what must go on beside them.

namespace linnet::app {

// As many as we may have.
void raise_descriptor_limit() noexcept;
[[nodiscard]] std::uint64_t descriptors_max() noexcept;
[[nodiscard]] std::uint64_t descriptors_open();
// Of those, what connections leave: so many logs, which must find their segments, and files that are read again; where
// there are few at all, a quarter. Streams take theirs beside it.
[[nodiscard]] std::uint64_t descriptors_kept(std::size_t logs) noexcept;

}  // namespace linnet::app
