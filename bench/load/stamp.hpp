// What a payload begins with: perf-test's 4-byte sequence number and 8-byte time, both big-endian, and
// behind them, where it fits, the number of the stream that the sequence belongs to.
//
// A stream is one producer's messages to one routing key: within a stream a broker must keep the order, so a
// consumer can tell gaps, duplicates and reordering apart. perf-test writes no stream and ignores ours.
#pragma once

#include "protocol/wire/bytes.hpp"

namespace linnet::load {

inline constexpr std::size_t stamp_time_bytes = 12;
inline constexpr std::size_t stamp_bytes = 16;

struct stamp {
    std::uint32_t sequence = 0;
    std::uint32_t stream = 0;
    std::int64_t time_ns = 0;
};

// `size` is the payload's; what does not fit is left out, and read back as 0.
inline void write_stamp(std::uint8_t* payload, std::size_t size, const stamp& s) noexcept {
    if (size < stamp_time_bytes)
        return;
    wire::store(payload, s.sequence);
    wire::store(payload + 4, static_cast<std::uint64_t>(s.time_ns));
    if (size >= stamp_bytes)
        wire::store(payload + 12, s.stream);
}

[[nodiscard]] inline stamp read_stamp(const std::uint8_t* payload, std::size_t size) noexcept {
    if (size < stamp_time_bytes)
        return {};
    return {wire::load<std::uint32_t>(payload), size >= stamp_bytes ? wire::load<std::uint32_t>(payload + 12) : 0,
            static_cast<std::int64_t>(wire::load<std::uint64_t>(payload + 4))};
}

}  // namespace linnet::load
