// How far a long command is: a bar with rate and remaining time on a terminal, nothing elsewhere.
//
//     moved  [##########----------]  12,000 of 24,000  50 %  8,010/s  1 s left
//
// Threads:  one.
// Bounds:   draws ten times a second at most.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace linnet::cli {

class progress {
public:
    // `total` 0: not known. Silent unless standard error is a terminal.
    progress(std::string verb, std::uint64_t total, bool quiet);
    ~progress();
    progress(const progress&) = delete;
    progress& operator=(const progress&) = delete;

    void show(std::uint64_t done);

    // The line for so many seconds, as it is drawn.
    [[nodiscard]] static std::string line(const std::string& verb, std::uint64_t done, std::uint64_t total,
                                          double seconds);

private:
    using clock = std::chrono::steady_clock;

    std::string verb_;
    std::uint64_t total_;
    bool drawing_;
    bool drawn_ = false;
    clock::time_point began_ = clock::now();
    clock::time_point last_{};
};

}  // namespace linnet::cli
