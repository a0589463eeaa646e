#include "clients/cli/config.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace linnet::cli {

exit_code ask_daemon(const std::vector<std::string>& arguments) {
    auto error = std::error_code{};
    const auto beside = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "linnetd";
    const auto program = std::filesystem::exists(beside, error) ? beside.string() : std::string{"linnetd"};
    auto owned = arguments;
    owned.insert(owned.begin(), program);
    auto pointers = std::vector<char*>{};
    for (auto& argument : owned) {
        pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    std::fflush(nullptr);
    ::execvp(program.c_str(), pointers.data());
    fmt::print(stderr, "linnet: {} cannot be run: {}\n", program, std::strerror(errno));
    return exit_code::failure;
}

}  // namespace linnet::cli
