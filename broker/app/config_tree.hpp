#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

// A configuration as written, before anyone has asked whether it makes sense: values with their places.
// It keeps the TOML library out of every file but toml_reader.cpp, and lets flags and the environment
// be merged with files.

namespace linnet::app {

// Where a value was written: a file with line and column, or the name of a variable or flag (line 0).
struct position {
    std::string source;
    std::uint32_t line = 0;
    std::uint32_t column = 0;

    [[nodiscard]] std::string text() const;
};

struct node;
struct entry;

struct date_or_time {};  // TOML has them, we have no use for them

struct node {
    using array = std::vector<node>;
    using table = std::vector<entry>;

    std::variant<bool, std::int64_t, double, std::string, array, table, date_or_time> value;
    position at;
    // A text that did not come typed (environment, --set, or one that held ${...}): any scalar may hide in it.
    bool untyped = false;

    [[nodiscard]] const table* as_table() const noexcept { return std::get_if<table>(&value); }
    [[nodiscard]] table* as_table() noexcept { return std::get_if<table>(&value); }
    [[nodiscard]] const array* as_array() const noexcept { return std::get_if<array>(&value); }
    [[nodiscard]] array* as_array() noexcept { return std::get_if<array>(&value); }
    [[nodiscard]] const std::string* as_text() const noexcept { return std::get_if<std::string>(&value); }

    // "a string", "an integer", ... for messages.
    [[nodiscard]] std::string_view kind_name() const noexcept;
};

struct entry {
    std::string key;
    position at;
    node value;
};

[[nodiscard]] const entry* find(const node::table& t, std::string_view key) noexcept;
[[nodiscard]] entry* find(node::table& t, std::string_view key) noexcept;

}  // namespace linnet::app
