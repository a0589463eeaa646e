#include "broker/core/value.hpp"

#include <algorithm>

namespace linnet::core {

namespace {

[[nodiscard]] bool is_real(value_type t) noexcept { return t == value_type::float32 || t == value_type::float64; }

// A table says the same whatever the order of its entries.
[[nodiscard]] bool same_table(const value_table& a, const value_table& b) {
    return a.size() == b.size() && std::ranges::all_of(a, [&](const auto& entry) {
               const value* other = find(b, entry.first);
               return other != nullptr && *other == entry.second;
           });
}

}  // namespace

bool value::operator==(const value& other) const {
    const bool comparable = type == other.type || (is_integer() && other.is_integer()) ||
                            (is_real(type) && is_real(other.type));
    if (!comparable || decimal_scale != other.decimal_scale) {
        return false;
    }
    if (type == value_type::table) {
        return same_table(std::get<value_table>(data), std::get<value_table>(other.data));
    }
    return data == other.data;
}

value make_string(std::string_view text) { return {value_type::string, std::string(text), 0}; }
value make_int64(std::int64_t number) { return {value_type::int64, number, 0}; }
value make_bool(bool truth) { return {value_type::boolean, truth, 0}; }

const value* find(const value_table& table, std::string_view key) noexcept {
    const auto at = std::ranges::find(table, key, &value_table::value_type::first);
    return at == table.end() ? nullptr : &at->second;
}

}  // namespace linnet::core
