#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace linnet::cli {

enum class output_form : std::uint8_t { table, json };

// What a command has found out, in the order in which people want to read it.
using fact = std::variant<std::string, std::int64_t, double, bool>;
using facts = std::vector<std::pair<std::string, fact>>;

// table: "name  value" lines with aligned values. json: one object on one line.
[[nodiscard]] std::string render(const facts& found, output_form form);

// Control characters from a server must not reach a terminal: they are written as \x1b.
[[nodiscard]] std::string for_terminal(std::string_view text);

// A string as JSON, with quotes; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace linnet::cli
