#include "bench/load/process_usage.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace linnet::load {
namespace {

// The main thread's counts alone are in /proc/PID/status; the others' are each in their own file.
std::uint64_t switches_of_threads(int pid) {
    std::uint64_t sum = 0;
    std::error_code error;
    for (const auto& thread : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
        std::ifstream status{thread.path() / "status"};
        for (std::string line; std::getline(status, line);) {
            if (line.find("ctxt_switches:") != std::string::npos) {
                sum += std::strtoull(line.c_str() + line.find(':') + 1, nullptr, 10);
            }
        }
    }
    return sum;
}

}  // namespace

std::optional<process_usage> read_usage(int pid) {
    std::ifstream stat{fmt::format("/proc/{}/stat", pid)};
    std::string text{std::istreambuf_iterator<char>{stat}, {}};
    // The name, field 2, may hold blanks and parentheses; what follows its last one is regular.
    const std::size_t name_end = text.rfind(')');
    if (name_end == text.npos)
        return {};
    std::istringstream fields{text.substr(name_end + 1)};
    std::string skipped;
    for (int field = 3; field < 14; ++field)
        fields >> skipped;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    fields >> user >> system;
    for (int field = 16; field < 20; ++field)
        fields >> skipped;
    process_usage usage;
    fields >> usage.threads;
    usage.cpu_seconds = static_cast<double>(user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    std::ifstream memory{fmt::format("/proc/{}/statm", pid)};
    std::uint64_t pages = 0;
    memory >> pages >> pages;
    usage.rss_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    usage.context_switches = switches_of_threads(pid);
    return usage;
}

}  // namespace linnet::load
