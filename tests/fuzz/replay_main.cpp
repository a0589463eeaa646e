// Runs a fuzz target without libFuzzer: over its corpus, and over cheap mutations of it.
//
// So every build, with any compiler and sanitizer, gives the target a smoke run in the test command. Usage:
//
//     replay CORPUS_DIRECTORY MUTATIONS_OF_EACH [SEED]
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using bytes = std::vector<std::uint8_t>;

void run(const bytes& input) {
    // Of the exact size, so that AddressSanitizer sees the first octet beyond it.
    const bytes exact(input.begin(), input.end());
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

bytes mutated(bytes input, std::mt19937_64& random) {
    const auto below = [&](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
    for (std::size_t change = 1 + below(3); change > 0 && !input.empty(); --change) {
        const std::size_t at = below(input.size());
        constexpr std::uint8_t telling[] = {0x00, 0x01, 0x7F, 0x80, 0xCE, 0xFF};
        switch (below(4)) {
            case 0: input[at] = telling[below(std::size(telling))]; break;
            case 1: input[at] = static_cast<std::uint8_t>(input[at] ^ 1U << below(8)); break;
            case 2: input.resize(at); break;
            case 3: {
                const bytes front(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(below(input.size())));
                input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), front.begin(), front.end());
                break;
            }
        }
    }
    return input;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY MUTATIONS_OF_EACH [SEED]\n", argv[0]);
        return 2;
    }
    const std::uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 0) : std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::fflush(stdout);  // before a crash can swallow it
    std::mt19937_64 random{seed};
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator{argv[1]}) {
        std::ifstream file{entry.path(), std::ios::binary};
        const bytes input{std::istreambuf_iterator<char>{file}, {}};
        run(input);
        for (long i = std::strtol(argv[2], nullptr, 10); i > 0; --i)
            run(mutated(input, random));
        ++files;
    }
    std::printf("%zu files\n", files);
    return files == 0 ? 1 : 0;  // an empty corpus is a mistake
}
