// The header fields of a message, in the order in which they came.
//
// A message has a dozen: a walk that compares lengths first beats any index.
//
// Owns:     the list. Names and values view the message's head.
#pragma once

#include "protocol/http/syntax.hpp"

#include <vector>

namespace linnet::http {

struct field {
    std::string_view name;   // as it was written
    std::string_view value;  // trimmed, no control character but the tab
};

class field_list {
public:
    // The first of that name; case does not matter.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
    // Likewise, empty when there is none.
    [[nodiscard]] std::string_view get(std::string_view name) const noexcept { return find(name).value_or(""); }
    [[nodiscard]] bool has(std::string_view name) const noexcept { return find(name).has_value(); }
    [[nodiscard]] std::size_t count(std::string_view name) const noexcept;
    // Whether `token` is an item of the comma-separated lists of that name, parameters aside; case does not matter.
    [[nodiscard]] bool lists(std::string_view name, std::string_view token) const noexcept;
    // All values of that name, a line each, in their order.
    [[nodiscard]] std::vector<std::string_view> lines(std::string_view name) const;
    // The same as the one list that they are.
    [[nodiscard]] std::string joined(std::string_view name) const;

    [[nodiscard]] auto begin() const noexcept { return fields_.begin(); }
    [[nodiscard]] auto end() const noexcept { return fields_.end(); }
    [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }
    [[nodiscard]] bool empty() const noexcept { return fields_.empty(); }

    void add(field f) { fields_.push_back(f); }
    void clear() noexcept { fields_.clear(); }

private:
    std::vector<field> fields_;
};

}  // namespace linnet::http
