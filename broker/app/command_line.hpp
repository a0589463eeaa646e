#pragma once

#include "broker/app/config.hpp"
#include "broker/base/out_of_memory.hpp"
#include "broker/base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace linnet::app {

// As sysexits.h; the numbers are part of the interface (unit files and scripts match on them).
enum class exit_code : int {
    ok = 0,
    failure = 1,
    usage = 64,
    bad_data = 65,
    unreachable = 69,
    bug = 70,
    out_of_memory = out_of_memory_exit_code,
    cannot_create = 73,
    io_error = 74,
    config = 78,
};

enum class action : std::uint8_t {
    run,
    check_config,
    print_version,
    print_build_info,
    print_default_config,
    print_environment,
    explain,
    back_up,
    restore,
    hash_password,
};

struct command_line {
    action what = action::run;
    config_sources sources;  // the process's environment and search path, with the flags laid over
    std::string key;         // for explain
    bool salvage = false;    // go on where the store is damaged
    std::string folder;      // the backup's
    bool quiet = false;      // no progress
    bool json = false;       // what has become of it, as JSON
    std::string hash_form;   // for hash_password
};

// What to print, and the code to leave with: the help that was asked for, a usage error, an answer.
struct answer {
    exit_code code = exit_code::ok;
    std::string out;  // for stdout
    std::string err;  // for stderr
};

// `sources` is what the flags are added to. CLI11 is confined to this function's file.
[[nodiscard]] result<command_line, answer> parse_command_line(int argc, const char* const* argv,
                                                              config_sources sources);

// Does what needs no broker and takes no time; nothing for the others.
[[nodiscard]] std::optional<answer> answer_at_once(const command_line& line);

// One error a line, as people and editors read them.
[[nodiscard]] std::string errors_text(const std::vector<config_error>& errors);

}  // namespace linnet::app
