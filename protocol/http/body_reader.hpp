// Where a body ends, and what of the bytes is body: by length, by chunks, or until the peer closes.
//
// Chunks are read byte by byte where they are not body, by a machine of a few states, so nothing is buffered and
// the cuts of the input cannot matter. It is stricter than RFC 9112 where that costs nobody: no blanks around a
// chunk's size, at most sixteen digits, extensions and trailers are bounded, checked for their bytes and dropped.
//
// Owns:     nothing; pieces view the input.
// Bounds:   body bytes by the limit, extensions and trailers by constants.
#pragma once

#include "protocol/http/fault.hpp"
#include "protocol/wire/bytes.hpp"

namespace linnet::http {

class body_reader {
public:
    static constexpr std::uint64_t unlimited = ~std::uint64_t{0};
    static constexpr std::size_t extension_bytes_max = 4096;  // of one body, all chunks together
    static constexpr std::size_t trailer_bytes_max = 8192;

    enum class kind : std::uint8_t { empty, length, chunked, until_close };
    enum class outcome : std::uint8_t { need_more, piece, end, refused };
    struct step {
        outcome what;
        std::size_t taken;
        wire::bytes_view piece{};  // of the input, not empty
        fault why{};               // of `refused`
    };

    // `length` is of kind::length alone.
    void start(kind how, std::uint64_t length, std::uint64_t limit) noexcept;
    // One piece of body at most. After `end` and `refused` there is nothing to be asked.
    [[nodiscard]] step next(wire::bytes_view input) noexcept;
    // The peer has closed: whether the body is whole.
    [[nodiscard]] bool ends_here() const noexcept { return kind_ == kind::until_close || kind_ == kind::empty; }
    // What no length allows: known before a byte of the body has come.
    [[nodiscard]] bool over_limit() const noexcept { return kind_ == kind::length && left_ > limit_; }

private:
    enum class at : std::uint8_t {
        size_first,   // the first digit of a chunk's size
        size,         // further ones
        extension,    // behind its semicolon
        size_feed,    // the line feed that ends the size's line
        data,         // the chunk itself
        data_return,  // CR LF behind it
        data_feed,
        trailer_first,  // the first byte of a trailer's line, or of the last one
        trailer_name,
        trailer_value,
        trailer_feed,
        last_feed,  // of the empty line
    };

    [[nodiscard]] step plain(wire::bytes_view input) noexcept;
    [[nodiscard]] step chunked(wire::bytes_view input) noexcept;
    [[nodiscard]] bool take_byte(char c) noexcept;  // false: refused, why_ says why
    [[nodiscard]] bool take_size(char c) noexcept;
    [[nodiscard]] bool take_trailer(char c) noexcept;
    [[nodiscard]] bool begin_chunk() noexcept;
    [[nodiscard]] bool expect(char c, char wanted, at then) noexcept;
    [[nodiscard]] bool refuse(fault why) noexcept {
        why_ = why;
        return false;
    }

    std::uint64_t left_ = 0;   // of the body, or of the chunk
    std::uint64_t limit_ = 0;  // what the body may still have
    std::size_t extension_bytes_ = 0;
    std::size_t trailer_bytes_ = 0;
    unsigned digits_ = 0;
    kind kind_ = kind::empty;
    at at_ = at::size_first;
    bool done_ = false;
    fault why_{};
};

}  // namespace linnet::http
