// A cursor over a buffer that the caller has made large enough.
//
// Encoders compute their exact size first, so there is nothing to report here: running past the end is
// our own bug, which debug builds catch. Release builds carry a bare pointer.
//
// Owns:     nothing.
#pragma once

#include "protocol/wire/bytes.hpp"
#include "protocol/wire/check.hpp"

#include <string_view>

namespace linnet::wire {

class writer {
public:
    explicit writer(std::span<std::uint8_t> buffer) noexcept
        : begin_{buffer.data()}, at_{buffer.data()}, end_{buffer.data() + buffer.size()} {}

    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
    [[nodiscard]] std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - at_); }
    [[nodiscard]] std::uint8_t* position() const noexcept { return at_; }

    void u8(std::uint8_t value) noexcept { integer(value); }
    void u16(std::uint16_t value) noexcept { integer(value); }
    void u32(std::uint32_t value) noexcept { integer(value); }
    void u64(std::uint64_t value) noexcept { integer(value); }

    void bytes(bytes_view bytes) noexcept {
        LINNET_WIRE_CHECK(bytes.size() <= remaining());
        at_ = put_bytes(at_, bytes.data(), bytes.size());
    }

    // A length of one or four bytes, then the bytes. The caller has kept to the length's range.
    void bytes_after_u8(bytes_view view) noexcept {
        LINNET_WIRE_CHECK(view.size() <= 0xFF);
        u8(static_cast<std::uint8_t>(view.size()));
        bytes(view);
    }
    void bytes_after_u32(bytes_view view) noexcept {
        LINNET_WIRE_CHECK(view.size() <= 0xFFFF'FFFF);
        u32(static_cast<std::uint32_t>(view.size()));
        bytes(view);
    }

private:
    template <class Int>
    void integer(Int value) noexcept {
        LINNET_WIRE_CHECK(sizeof(Int) <= remaining());
        at_ = store(at_, value);
    }

    std::uint8_t* begin_;
    std::uint8_t* at_;
    std::uint8_t* end_;
};

}  // namespace linnet::wire
