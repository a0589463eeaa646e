// Turns arguments and workload files into options, and prints the help.
//
// Not CLI11: perf-test's letters include words behind a single dash (-qp, -qpf, -ms), which
// getopt-like parsers read as bundled letters.
#pragma once

#include "bench/load/options.hpp"
#include "bench/load/outcome.hpp"

#include <span>
#include <string>
#include <string_view>

namespace linnet::load {

// SCENARIO [options]. Later settings win, so options behind --workload override the file.
[[nodiscard]] outcome<options> parse_options(std::span<const std::string> arguments);

// One option by its long name, as a workload file and the command line both set it.
[[nodiscard]] outcome<void> set_option(options& o, std::string_view long_name, std::string_view value);

// A file with `scenario` and any long option names; dashes may be underscores.
[[nodiscard]] outcome<void> load_workload(options& o, const std::string& path);

// A scenario's defaults; what the user sets comes after them.
[[nodiscard]] outcome<void> choose_scenario(options& o, std::string_view name);

[[nodiscard]] std::string help_text();
[[nodiscard]] std::string_view name_of(scenario s) noexcept;

}  // namespace linnet::load
