// Tells whether bytes are well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include "protocol/wire/bytes.hpp"

namespace linnet::wire {

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

// The longest prefix of at most `bytes_max` bytes that does not cut a character in two.
[[nodiscard]] std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) noexcept;

}  // namespace linnet::wire
