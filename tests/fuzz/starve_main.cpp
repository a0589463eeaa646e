// Runs a fuzz target over its corpus with every allocation failing in turn: once, and from then on for ever.
//
// What decodes must either succeed or throw std::bad_alloc, leave nothing behind, and read the same input as ever
// afterwards. Usage:
//
//     starve CORPUS_DIRECTORY
//
//     LINNET_ALLOCATION_POINTS=100000   of an input with more than 500 allocations as many as that; 0: all
#include "tests/support/failing_new.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using linnet::test::shortage;
using linnet::test::starvation;

using bytes = std::vector<std::uint8_t>;

struct figures {
    std::uint64_t failed = 0;
    std::uint64_t thrown = 0;
};

// Allocations of one reading.
std::uint64_t read(const bytes& input) {
    const auto before = linnet::test::allocations_so_far();
    LLVMFuzzerTestOneInput(input.data(), input.size());
    return linnet::test::allocations_so_far() - before;
}

// What was wrong.
std::optional<std::string> starve_once(const bytes& input, std::uint64_t nth, shortage how_long, figures& sum) {
    const auto before = linnet::test::blocks_alive();
    starvation s(nth, how_long);
    bool thrown = false;
    try {
        LLVMFuzzerTestOneInput(input.data(), input.size());
    } catch (const std::bad_alloc&) {
        thrown = true;
    }
    s.end();
    const auto left = linnet::test::blocks_alive() - before;
    sum.failed += s.fired() ? 1 : 0;
    sum.thrown += thrown ? 1 : 0;
    if (left != 0) {
        return std::to_string(left) + " blocks are left over";
    }
    return thrown && !s.fired() ? std::optional<std::string>("std::bad_alloc without a reason") : std::nullopt;
}

bool starve(const std::filesystem::path& file, std::uint64_t points_max, figures& sum) {
    std::ifstream in{file, std::ios::binary};
    const bytes input{std::istreambuf_iterator<char>{in}, {}};
    static_cast<void>(read(input));  // what is made once for the whole program, is there
    const auto count = read(input);
    const auto step = points_max == 0 ? 1 : std::max<std::uint64_t>(1, count / points_max);
    for (const auto how_long : {shortage::once, shortage::for_ever}) {
        for (std::uint64_t nth = 1; nth <= count; nth += step) {
            if (const auto wrong = starve_once(input, nth, how_long, sum)) {
                std::printf("%s: allocation %llu of %llu %s: %s\n", file.c_str(), static_cast<unsigned long long>(nth),
                            static_cast<unsigned long long>(count),
                            how_long == shortage::once ? "fails" : "and all after fail", wrong->c_str());
                return false;
            }
        }
    }
    if (const auto again = read(input); again != count) {
        std::printf("%s: %llu allocations, and %llu after the shortage\n", file.c_str(),
                    static_cast<unsigned long long>(count), static_cast<unsigned long long>(again));
        return false;
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY\n", argv[0]);
        return 2;
    }
    const char* const given = std::getenv("LINNET_ALLOCATION_POINTS");
    const std::uint64_t points_max = given == nullptr ? 500 : std::strtoull(given, nullptr, 10);
    figures sum;
    std::size_t files = 0;
    std::size_t wrong = 0;
    for (const auto& entry : std::filesystem::directory_iterator{argv[1]}) {
        wrong += starve(entry.path(), points_max, sum) ? 0 : 1;
        ++files;
    }
    std::printf("%zu files, %llu allocations failed, %llu of them thrown\n", files,
                static_cast<unsigned long long>(sum.failed), static_cast<unsigned long long>(sum.thrown));
    return files == 0 || wrong != 0 ? 1 : 0;  // an empty corpus is a mistake
}
