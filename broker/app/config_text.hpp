#pragma once

#include <optional>
#include <string>
#include <string_view>

// The table of keys as text for people; nothing here knows a key by name.

namespace linnet::app {

// A TOML file of every key at its default, commented out and described: config/linnet.toml.
[[nodiscard]] std::string default_config_text();

// "limits.connections" -> type, default, bounds, environment name, description; or the description of a table.
// Nothing when there is no such key.
[[nodiscard]] std::optional<std::string> explain_key(std::string_view path);

// The names that explain_key() knows and `path` may have meant; empty when none is near.
[[nodiscard]] std::string nearest_key(std::string_view path);

// NAME=default for every key that the environment can set, one a line.
[[nodiscard]] std::string environment_text();

}  // namespace linnet::app
