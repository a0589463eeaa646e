// SHA-1 (FIPS 180-4), for the one thing that WebSocket's handshake wants it for: to show that the server read the key.
//
// Not for secrets. OpenSSL has it, too, but stays out of the codecs, which a page of arithmetic is not worth ending.
#pragma once

#include "protocol/wire/bytes.hpp"

#include <array>

namespace linnet::ws {

using sha1_digest = std::array<std::uint8_t, 20>;

[[nodiscard]] sha1_digest sha1(wire::bytes_view message) noexcept;

}  // namespace linnet::ws
