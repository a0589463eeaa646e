#pragma once

#include "clients/cli/exit_code.hpp"

#include <string>
#include <vector>

namespace linnet::cli {

// What only the daemon can answer or do, as it alone knows its keys and its store: replaces this process by
// `linnetd` (beside this program, else on $PATH) with these arguments. Returns only if that is not possible.
[[nodiscard]] exit_code ask_daemon(const std::vector<std::string>& arguments);

}  // namespace linnet::cli
