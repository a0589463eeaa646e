#pragma once

#include "broker/app/config.hpp"
#include "broker/app/config_tree.hpp"
#include "broker/base/result.hpp"

#include <string_view>

namespace linnet::app {

// Parses TOML 1.0; `source` names the text in positions. The result is always a table.
// toml++ takes seconds to compile and is confined to this function.
[[nodiscard]] result<node, config_error> read_toml(std::string_view text, std::string_view source);

}  // namespace linnet::app
