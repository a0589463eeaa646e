#include "broker/app/memory_limit.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string_view>

namespace linnet::app {
namespace {

constexpr auto unlimited = std::numeric_limits<std::uint64_t>::max();

std::uint64_t number_in(std::string_view text) {
    auto number = std::uint64_t{0};
    const auto begin = text.find_first_of("0123456789");
    if (begin == std::string_view::npos) {
        return unlimited;  // "max"
    }
    const auto [rest, error] = std::from_chars(text.data() + begin, text.data() + text.size(), number);
    return error == std::errc{} ? number : unlimited;
}

std::uint64_t first_number(const std::string& file) {
    auto line = std::string{};
    auto stream = std::ifstream{file};
    return std::getline(stream, line) ? number_in(line) : unlimited;
}

std::uint64_t machine_bytes(const std::string& root) {
    auto stream = std::ifstream{root + "/proc/meminfo"};
    for (auto line = std::string{}; std::getline(stream, line);) {
        if (line.starts_with("MemTotal:")) {
            const auto kib = number_in(line);
            return kib == unlimited ? unlimited : kib * 1024;
        }
    }
    return unlimited;
}

// The least limit from our group up to the top of the hierarchy: each one binds.
std::uint64_t least_up_from(const std::string& mount, std::string group, const std::string& file) {
    auto least = unlimited;
    for (;;) {
        least = std::min(least, first_number(mount + group + "/" + file));
        const auto slash = group.rfind('/');
        if (slash == std::string::npos) {
            return least;
        }
        group.resize(slash);
    }
}

// Lines of /proc/self/cgroup: "0::/a/b" (version 2), "7:memory:/a/b" (version 1). Inside a container the path may
// be one of the host that is not mounted here; then the files at the mount's top are ours.
std::uint64_t cgroup_bytes(const std::string& root) {
    auto least = std::min(first_number(root + "/sys/fs/cgroup/memory.max"),
                          first_number(root + "/sys/fs/cgroup/memory/memory.limit_in_bytes"));
    auto stream = std::ifstream{root + "/proc/self/cgroup"};
    for (auto line = std::string{}; std::getline(stream, line);) {
        const auto first = line.find(':');
        const auto second = line.find(':', first == std::string::npos ? first : first + 1);
        if (second == std::string::npos) {
            continue;
        }
        const auto controllers = "," + line.substr(first + 1, second - first - 1) + ",";
        const auto group = line.substr(second + 1);
        if (controllers == ",,") {
            least = std::min(least, least_up_from(root + "/sys/fs/cgroup", group, "memory.max"));
        } else if (controllers.find(",memory,") != std::string::npos) {
            least = std::min(least, least_up_from(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
        }
    }
    return least;
}

}  // namespace

std::uint64_t memory_available_bytes(const std::string& root) {
    const auto base = root == "/" ? std::string{} : root;
    const auto least = std::min(machine_bytes(base), cgroup_bytes(base));
    return least == unlimited ? 0 : least;
}

std::uint64_t resolve(const memory_amount& amount, std::uint64_t available_bytes) noexcept {
    if (amount.percent == 0) {
        return amount.bytes;
    }
    return available_bytes / 100 * amount.percent;
}

}  // namespace linnet::app
