#pragma once

#include "clients/cli/exit_code.hpp"
#include "clients/cli/output.hpp"

#include <string>

namespace linnet::cli {

// "linnet 0.1.0 (1da8596, gcc 12.2.0)"
[[nodiscard]] std::string version_line();

// `linnet version`
[[nodiscard]] exit_code show_version(output_form form);

}  // namespace linnet::cli
