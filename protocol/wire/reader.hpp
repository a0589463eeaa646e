// A cursor over bytes that a peer has sent; it never reads past their end.
//
// Failure is sticky: a read beyond the end returns zeros, and every later read does, too. So a decoder
// reads a whole structure in straight code and asks ok() once. A decoder that has checked a length by
// itself uses rest() and wire::load.
//
// Owns:     nothing. Views that it returns live as long as the bytes.
// Fails:    ok() turns false; nothing else happens.
#pragma once

#include "protocol/wire/bytes.hpp"

#include <bit>
#include <string_view>

namespace linnet::wire {

class reader {
public:
    explicit reader(bytes_view bytes) noexcept : at_{bytes.data()}, end_{bytes.data() + bytes.size()} {}

    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }
    [[nodiscard]] std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - at_); }
    [[nodiscard]] bytes_view rest() const noexcept { return {at_, remaining()}; }

    std::uint8_t u8() noexcept { return integer<std::uint8_t>(); }
    std::uint16_t u16() noexcept { return integer<std::uint16_t>(); }
    std::uint32_t u32() noexcept { return integer<std::uint32_t>(); }
    std::uint64_t u64() noexcept { return integer<std::uint64_t>(); }

    bytes_view bytes(std::size_t size) noexcept {
        if (size > remaining()) [[unlikely]] {
            fail();
            return {};
        }
        const bytes_view taken{at_, size};
        at_ += size;
        return taken;
    }

    // A length of one or four bytes, then that many bytes.
    bytes_view bytes_after_u8() noexcept { return bytes(u8()); }
    bytes_view bytes_after_u32() noexcept { return bytes(u32()); }
    std::string_view text_after_u8() noexcept { return as_text(bytes_after_u8()); }
    std::string_view text_after_u32() noexcept { return as_text(bytes_after_u32()); }

    void fail() noexcept {
        ok_ = false;
        at_ = end_;
    }

private:
    template <class Int>
    Int integer() noexcept {
        if (remaining() < sizeof(Int)) [[unlikely]] {
            fail();
            return 0;
        }
        const Int value = load<Int>(at_);
        at_ += sizeof(Int);
        return value;
    }

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    bool ok_ = true;
};

}  // namespace linnet::wire
