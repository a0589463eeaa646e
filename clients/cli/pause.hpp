#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace linnet::cli {

// Sleeps so long, or until a signal comes. (A program of one thread has no use for <thread>.)
inline void pause(std::chrono::nanoseconds time) {
    constexpr auto second = std::chrono::nanoseconds::period::den;
    const auto ns = std::max<std::int64_t>(time.count(), 0);
    const auto wish = timespec{ns / second, ns % second};
    ::nanosleep(&wish, nullptr);
}

}  // namespace linnet::cli
