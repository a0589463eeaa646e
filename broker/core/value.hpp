#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace linnet::core {

// A typed value of an argument or header table, neutral between protocols.
//
// The wire type is kept beside the value because users see it: an inequivalent redeclaration names both
// types, and a header goes out as it came in. Equality is by value: an integer equals the same integer
// of another width.
enum class value_type : std::uint8_t {
    nothing,
    boolean,
    int8,
    uint8,
    int16,
    uint16,
    int32,
    uint32,
    int64,
    uint64,
    float32,
    float64,
    decimal,
    string,
    bytes,
    timestamp,
    array,
    table,
};

struct value;
using value_array = std::vector<value>;
struct table_entry;
using value_table = std::vector<table_entry>;  // ordered as sent

struct value {
    value_type type = value_type::nothing;
    // int64 holds every integer (uint64 by bit pattern), timestamp (seconds) and decimal's unscaled part.
    std::variant<std::monostate, bool, std::int64_t, double, std::string, value_array, value_table> data;
    std::uint8_t decimal_scale = 0;

    bool operator==(const value& other) const;

    [[nodiscard]] bool is_integer() const noexcept { return type >= value_type::int8 && type <= value_type::uint64; }
    [[nodiscard]] const std::int64_t* as_integer() const noexcept {
        return is_integer() ? std::get_if<std::int64_t>(&data) : nullptr;
    }
    [[nodiscard]] const std::string* as_string() const noexcept {
        return type == value_type::string ? std::get_if<std::string>(&data) : nullptr;
    }
    [[nodiscard]] const bool* as_bool() const noexcept { return std::get_if<bool>(&data); }
};

// Not a std::pair: that would have to be complete where value's own members are declared (clang insists).
struct table_entry {
    table_entry() = default;
    table_entry(std::string k, value v) : first(std::move(k)), second(std::move(v)) {}

    bool operator==(const table_entry&) const = default;

    std::string first;  // the key
    value second;
};

// Makers for tests and for code that builds tables.
[[nodiscard]] value make_string(std::string_view text);
[[nodiscard]] value make_int64(std::int64_t number);
[[nodiscard]] value make_bool(bool truth);

// The arguments of a declaration. Small: a linear search is the fastest look-up.
[[nodiscard]] const value* find(const value_table& table, std::string_view key) noexcept;

}  // namespace linnet::core
