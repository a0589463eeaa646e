// Decompresses the messages of one connection (RFC 7692).
//
// Output is bounded by the room that the caller gives, a piece at a time: who inflates a bomb does so piece by
// piece and stops when it likes. The library's header stays in the .cpp.
//
// Owns:     some 7 KiB, and the window of at most 32 KiB once there was output.
// Fails:    a value for what the peer sent; std::bad_alloc without memory, as any container.
#pragma once

#include "protocol/wire/bytes.hpp"

#include <memory>
#include <span>

namespace linnet::ws {

class inflater {
public:
    struct progress {
        std::size_t consumed = 0;
        std::size_t produced = 0;
        bool valid = true;  // false: an error behind what was produced; every further call says so, too
    };

    // 8 to 15: no message refers further back than 2^window_bits bytes.
    explicit inflater(int window_bits);
    inflater(const inflater&) = delete;
    inflater& operator=(const inflater&) = delete;
    ~inflater();

    // Goes on until `in` is used up or `out` is full. In the latter case there may be more to come, even of empty
    // input.
    [[nodiscard]] progress inflate(wire::bytes_view in, std::span<std::uint8_t> out);
    // Whether all input ended with a whole block, as it must where a message ends.
    [[nodiscard]] bool at_block_end() const noexcept;

private:
    struct stream;
    std::unique_ptr<stream> stream_;
};

}  // namespace linnet::ws
