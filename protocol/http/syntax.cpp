#include "protocol/http/syntax.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace linnet::http {
namespace {

constexpr std::array<bool, 256> token_table = [] {
    std::array<bool, 256> table{};
    for (const char c :
         std::string_view{"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"})
        table[static_cast<unsigned char>(c)] = true;
    return table;
}();

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

}  // namespace

bool is_token_char(char c) noexcept { return token_table[static_cast<unsigned char>(c)]; }

bool is_token(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool starts_ignoring_case(std::string_view text, std::string_view prefix) noexcept {
    return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back()))
        text.remove_suffix(1);
    return text;
}

std::optional<std::string_view> take_item(std::string_view& rest, char separator) noexcept {
    while (!rest.empty()) {
        std::size_t at = 0;
        for (bool quoted = false; at < rest.size() && (quoted || rest[at] != separator); ++at) {
            if (rest[at] == '"')
                quoted = !quoted;
            else if (quoted && rest[at] == '\\' && at + 1 < rest.size())
                ++at;
        }
        const std::string_view item = trimmed(rest.substr(0, at));
        rest.remove_prefix(std::min(at + 1, rest.size()));
        if (!item.empty())
            return item;
    }
    return std::nullopt;
}

std::optional<std::string> unquoted(std::string_view text) {
    if (is_token(text))
        return std::string{text};
    if (text.size() < 2 || text.front() != '"' || text.back() != '"')
        return std::nullopt;
    std::string said;
    const std::string_view inner = text.substr(1, text.size() - 2);
    for (std::size_t i = 0; i < inner.size(); ++i) {
        if (inner[i] == '"' || (inner[i] == '\\' && ++i == inner.size()))
            return std::nullopt;  // the string ended before its end, or its end is escaped
        said += inner[i];
    }
    return said;
}

std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept {
    if (text.empty())
        return std::nullopt;
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9')
            return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / 10)
            return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

bool is_field_value(std::string_view text) noexcept {
    return std::none_of(text.begin(), text.end(), [](char c) { return is_control(c) && c != '\t'; });
}

}  // namespace linnet::http
