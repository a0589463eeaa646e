#pragma once

#include "broker/core/value.hpp"

#include <string>

namespace linnet::session {

// A typed value for a protocol that has only texts: what it says, tables and lists as JSON.
[[nodiscard]] std::string text_of(const core::value& v);
void append_json(std::string& out, const core::value& v);

}  // namespace linnet::session
