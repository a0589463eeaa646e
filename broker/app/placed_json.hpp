#pragma once

#include "broker/app/config_merge.hpp"
#include "broker/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace linnet::app {

// JSON that remembers where each value stood, so that what is wrong with its meaning can be shown in the file.
struct placed_json {
    using list = std::vector<placed_json>;
    struct member;
    using object = std::vector<member>;  // in the order of the file; no name twice

    // Where they are defined `member` is complete.
    placed_json();
    placed_json(const placed_json&);
    placed_json(placed_json&&) noexcept;
    placed_json& operator=(const placed_json&);
    placed_json& operator=(placed_json&&) noexcept;
    ~placed_json();

    std::uint32_t line = 1;
    std::uint32_t column = 1;
    std::variant<std::monostate, bool, std::int64_t, double, std::string, list, object> value;

    template <class T>
    [[nodiscard]] const T* as() const noexcept {
        return std::get_if<T>(&value);
    }
    // "a string", "an object" ...
    [[nodiscard]] std::string_view kind() const noexcept;
    // Null when this is no object, or has no such member.
    [[nodiscard]] const placed_json* find(std::string_view name) const noexcept;
};
// Its name and its value. (A type of its own, since a pair would have to be complete before placed_json is.)
struct placed_json::member : std::pair<std::string, placed_json> {
    using pair::pair;
};

// Columns count bytes, from 1. A byte order mark is passed over.
//
// Bounds:  nested at most 64 deep.
// Fails:   at the first thing that is not JSON, with its place; integers beyond 64 bits are such a thing.
[[nodiscard]] result<placed_json, placed_error> parse_json(std::string_view text, const std::string& source);

// One line, members in the order in which they stand.
[[nodiscard]] std::string to_text(const placed_json& v);

}  // namespace linnet::app
