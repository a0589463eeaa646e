// The manual page, from the same tables as --help.
#pragma once

#include "clients/cli/completion.hpp"

#include <string>

namespace linnet::cli {

// troff, for man(1). `version`: as in the page's foot.
[[nodiscard]] std::string man_page(const command_description& root, const std::string& version);

}  // namespace linnet::cli
