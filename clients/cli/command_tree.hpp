#pragma once

#include "clients/cli/exit_code.hpp"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace linnet::cli {

// A command that parses its arguments itself (`linnet bench`).
struct foreign_command {
    std::string name;
    std::string help;
    std::function<int(std::span<const std::string> arguments)> run;
};

// `linnet NOUN VERB ...`: parses the arguments and does what they say; the result is the exit code.
// CLI11 is confined to this function's file.
[[nodiscard]] int run_command_line(int argc, const char* const* argv, const std::vector<foreign_command>& foreign);

}  // namespace linnet::cli
