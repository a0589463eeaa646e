#pragma once

#include <cstdint>
#include <cstdlib>

namespace linnet::test {

// How many failing syncs a run of T6 tries: LINNET_SYNC_FAILURES, or what every change is tested with.
[[nodiscard]] inline std::uint64_t sync_failures_wanted() {
    const char* given = std::getenv("LINNET_SYNC_FAILURES");
    return given == nullptr ? 200 : std::strtoull(given, nullptr, 10);
}

}  // namespace linnet::test
