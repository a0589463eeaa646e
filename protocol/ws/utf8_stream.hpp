// Tells of text that comes in pieces whether it is UTF-8, at the first byte that can no longer be (RFC 3629).
//
// wire::is_utf8 wants all of a text at once; a message may have any number of fragments, cut within a character.
//
// Owns:     what it knows of a character begun: three bytes.
#pragma once

#include "protocol/wire/bytes.hpp"

namespace linnet::ws {

class utf8_stream {
public:
    // False: some byte cannot stand where it does, and no continuation mends that. Further calls mean nothing.
    [[nodiscard]] bool feed(wire::bytes_view bytes) noexcept;
    // Whether the text may end here.
    [[nodiscard]] bool complete() const noexcept { return wanted_ == 0; }
    void reset() noexcept { *this = {}; }

private:
    [[nodiscard]] bool begin_character(std::uint8_t first) noexcept;

    std::uint8_t wanted_ = 0;  // continuation bytes that the character still needs
    // The range of the next one. Only a character's second byte has another than this.
    std::uint8_t low_ = 0x80;
    std::uint8_t high_ = 0xBF;
};

}  // namespace linnet::ws
