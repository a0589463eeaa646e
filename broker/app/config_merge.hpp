#pragma once

#include "broker/app/config.hpp"
#include "broker/app/config_tree.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::app {

// An error that still knows its place in the order of things.
struct placed_error {
    position at;
    std::string what;
};

using environment = std::map<std::string, std::string, std::less<>>;

[[nodiscard]] environment read_environment(const std::vector<std::string>& assignments);

// Everything that was said, in one tree; later sources have won.
struct merged_sources {
    node::table tree;
    std::vector<std::string> files;
    std::vector<std::string> warnings;
    std::string digest;
};

// Reads the files and lays flags and environment over them. A file that cannot be read or parsed is an
// error and the rest goes on, so that one run shows every mistake.
//
// Tables are merged key by key. Elements of arrays of tables are merged with the element of an earlier
// source that has the same identity (a [[user]] of that name), else added.
[[nodiscard]] merged_sources merge(const config_sources& sources, std::vector<placed_error>& errors);

// Replaces ${VAR} and ${VAR:-default} (defaults may hold further ones); $${ stands for ${.
[[nodiscard]] result<std::string, std::string> interpolate(std::string_view text, const environment& variables);

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

[[nodiscard]] std::optional<std::string> read_file(const std::string& path, std::string& why);

// The file's text without the line break that editors put at its end.
[[nodiscard]] std::optional<std::string> read_secret_file(const std::string& path, std::string& why);

}  // namespace linnet::app
