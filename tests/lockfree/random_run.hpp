#pragma once

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

// What the random tests here share: a seed that is printed and can be given again, and a length.

namespace linnet::lockfree::testing {

// LINNET_TEST_SEED repeats a run; otherwise every run is a new one.
inline std::uint64_t seed_of_this_run(const char* test) {
    const char* given = std::getenv("LINNET_TEST_SEED");
    const std::uint64_t seed = given != nullptr ? std::stoull(given) : std::random_device{}();
    std::cout << "    " << test << ": LINNET_TEST_SEED=" << seed << '\n';
    return seed;
}

// LINNET_STRESS_SECONDS lengthens the stress tests (60 in a nightly run); without it they run a
// bounded number of rounds instead, about a second's work, or a few under ThreadSanitizer.
inline std::uint64_t stress_rounds(std::uint64_t rounds_a_second) {
#ifdef __SANITIZE_THREAD__
    rounds_a_second /= 4;
#endif
    const char* given = std::getenv("LINNET_STRESS_SECONDS");
    return given == nullptr ? rounds_a_second : rounds_a_second * std::stoull(given);
}

// Small, fast and the same everywhere: the seed must mean the same run on every machine.
class dice {
public:
    explicit dice(std::uint64_t seed) : state_(seed * 2 + 1) {}

    // Evenly from 0 to sides - 1, near enough.
    std::uint32_t roll(std::uint32_t sides) {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<std::uint32_t>(((state_ >> 33) * sides) >> 31);
    }

private:
    std::uint64_t state_;
};

}  // namespace linnet::lockfree::testing
