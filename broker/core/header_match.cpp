#include "broker/core/header_match.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::core {

namespace {

[[nodiscard]] bool is_text(const value& v) noexcept {
    return v.type == value_type::string || v.type == value_type::bytes;
}
[[nodiscard]] bool is_whole(const value& v) noexcept { return v.is_integer() || v.type == value_type::timestamp; }
[[nodiscard]] bool is_real(const value& v) noexcept {
    return v.type == value_type::float32 || v.type == value_type::float64;
}

[[nodiscard]] bool whole_equals_real(const value& whole, const value& real) noexcept {
    return static_cast<double>(std::get<std::int64_t>(whole.data)) == std::get<double>(real.data);
}

[[nodiscard]] bool counts(std::string_view key, header_match how) noexcept {
    switch (how) {
        case header_match::all:
        case header_match::any: return !key.starts_with("x-");
        case header_match::all_with_x:
        case header_match::any_with_x: break;
    }
    return key != "x-match";
}

[[nodiscard]] bool satisfied(const value& asked, const value* found) {
    return found != nullptr && (asked.type == value_type::nothing || loosely_equal(asked, *found));
}

}  // namespace

bool loosely_equal(const value& a, const value& b) {
    if ((is_text(a) && is_text(b)) || (is_whole(a) && is_whole(b)) || (is_real(a) && is_real(b))) {
        return a.data == b.data;
    }
    if (is_whole(a) && is_real(b)) {
        return whole_equals_real(a, b);
    }
    return is_real(a) && is_whole(b) ? whole_equals_real(b, a) : a == b;
}

bool headers_match(const value_table& asked, header_match how, const value_table& headers) {
    const bool any = how == header_match::any || how == header_match::any_with_x;
    for (const auto& [key, wanted] : asked) {
        if (counts(key, how) && satisfied(wanted, find(headers, key)) == any) {
            return any;  // "any": one that holds decides; "all": one that fails
        }
    }
    return !any;
}

std::string hash_text_of(const value& v) {
    if (is_text(v)) {
        return std::get<std::string>(v.data);
    }
    if (is_whole(v)) {
        return fmt::format("{}", std::get<std::int64_t>(v.data));
    }
    if (is_real(v)) {
        return fmt::format("{}", std::get<double>(v.data));
    }
    const bool* truth = v.as_bool();
    return truth == nullptr ? std::string{} : std::string(*truth ? "true" : "false");
}

}  // namespace linnet::core
