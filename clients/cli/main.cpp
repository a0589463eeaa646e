#include "clients/cli/command_tree.hpp"

#if defined(LINNET_WITH_LOAD)
#include "bench/load/bench_command.hpp"
#endif

#include <cstdio>
#include <exception>

int main(int argc, char** argv) {
    auto foreign = std::vector<linnet::cli::foreign_command>{};
#if defined(LINNET_WITH_LOAD)
    foreign.push_back(
        {"bench", "Put load on a broker and measure it; `linnet bench --help` says how", linnet::load::bench_main});
#endif
    try {
        return linnet::cli::run_command_line(argc, argv, foreign);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "linnet: %s\n", e.what());
        return static_cast<int>(linnet::cli::exit_code::bug);
    }
}
