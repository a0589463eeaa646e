#pragma once

#include "broker/core/value.hpp"

#include <optional>
#include <string>
#include <vector>

namespace linnet::admin {

// Tags of users and vhosts, as people send them: a list, or a text with commas. None: it is neither.
[[nodiscard]] std::optional<std::vector<std::string>> read_tags(const core::value& v);

}  // namespace linnet::admin
