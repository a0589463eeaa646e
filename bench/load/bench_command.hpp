// `linnet bench`: the whole command, from its arguments to its exit code.
//
// The arguments are those behind "bench"; the command-line library of the caller must hand them over untouched
// (with CLI11: prefix_command() and no help flag on the subcommand).
#pragma once

#include <span>
#include <string>

namespace linnet::load {

enum class exit_code : int { done = 0, failed = 1, usage = 64, unreachable = 69 };

[[nodiscard]] int bench_main(std::span<const std::string> arguments);

}  // namespace linnet::load
