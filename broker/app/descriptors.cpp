#include "broker/app/descriptors.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace linnet::app {

void raise_descriptor_limit() noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
    }
}

std::uint64_t descriptors_max() noexcept {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::uint64_t descriptors_open() {
    std::uint64_t n = 0;
    std::error_code failed;
    for (std::filesystem::directory_iterator at("/proc/self/fd", failed), end; !failed && at != end;
         at.increment(failed)) {
        ++n;
    }
    return n;
}

std::uint64_t descriptors_kept(std::size_t logs) noexcept {
    constexpr std::uint64_t files_read_again = 16;
    constexpr std::uint64_t files_of_a_log = 24;
    return std::min(files_read_again + files_of_a_log * logs, descriptors_max() / 4);
}

}  // namespace linnet::app
