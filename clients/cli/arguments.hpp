// NAME=VALUE options as JSON: numbers, truth values and JSON by their looks, everything else as text.
#pragma once

#include "clients/cli/failure.hpp"
#include "clients/cli/management.hpp"

namespace linnet::cli {

[[nodiscard]] json_value value_of_text(const std::string& text);
// `option`: for the failure's sentence.
[[nodiscard]] result<json_value> arguments_of(const std::vector<std::string>& given, std::string_view option);
// A whole number, or a failure that names the option.
[[nodiscard]] result<std::uint64_t> number_of(const std::string& text, std::string_view option);

}  // namespace linnet::cli
