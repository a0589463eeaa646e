#pragma once

#include "broker/base/clock.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace linnet::core {

// How long writes of logs take until they are durable: what a confirm waits for at least.
struct sync_histogram {
    static constexpr std::array<mono_ns, 9> bounds{50 * ns_per_us,  100 * ns_per_us, 250 * ns_per_us,
                                                   500 * ns_per_us, ns_per_ms,       5 * ns_per_ms,
                                                   20 * ns_per_ms,  100 * ns_per_ms, ns_per_s};
    std::array<std::uint64_t, bounds.size() + 1> counts{};
    mono_ns sum = 0;

    // Which of the counts is of a write that took so long.
    [[nodiscard]] static constexpr std::size_t place_of(mono_ns took) noexcept {
        std::size_t i = 0;
        while (i < bounds.size() && took > bounds[i]) {
            ++i;
        }
        return i;
    }
    bool operator==(const sync_histogram&) const = default;
};

}  // namespace linnet::core
