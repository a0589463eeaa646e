// What a local process has used so far, as /proc shows it.
#pragma once

#include <cstdint>
#include <optional>

namespace linnet::load {

struct process_usage {
    double cpu_seconds = 0;  // user and system, all threads, the ended ones too; in steps of 10 ms
    std::uint64_t rss_bytes = 0;
    std::uint64_t threads = 0;
    std::uint64_t context_switches = 0;
};

// Nothing if there is no such process.
[[nodiscard]] std::optional<process_usage> read_usage(int pid);

}  // namespace linnet::load
