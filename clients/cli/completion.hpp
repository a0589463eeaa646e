#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace linnet::cli {

// A command as far as a shell must know it: what may follow, and what for.
struct option_description {
    std::vector<std::string> names;    // "-o", "--output"
    std::vector<std::string> choices;  // of its value; empty: free
    bool takes_value = false;
    std::string help;
    std::string placeholder{};  // of its value
};

struct command_description {
    std::string name;
    std::string help;
    std::vector<option_description> options;
    std::vector<std::string> words;  // choices of a positional argument
    std::vector<command_description> commands;
    std::vector<std::string> arguments{};  // names of the positional ones
};

enum class shell : std::uint8_t { bash, zsh, fish };

// A script that completes the command's subcommands, options and choices.
[[nodiscard]] std::string completion_script(shell kind, const command_description& root);

}  // namespace linnet::cli
