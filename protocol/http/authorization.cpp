#include "protocol/http/authorization.hpp"

#include "protocol/http/base64.hpp"
#include "protocol/http/syntax.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

// RFC 9110, section 11.2: token68.
bool is_token68(std::string_view text) {
    while (!text.empty() && text.back() == '=')
        text.remove_suffix(1);
    constexpr std::string_view marks = "-._~+/";
    const auto fits = [&](char c) {
        const char lower = to_lower(c);
        return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos;
    };
    return !text.empty() && std::all_of(text.begin(), text.end(), fits);
}

std::optional<credentials> parse_basic(std::string_view text) {
    const auto pair = base64_decoded(text);
    if (!pair || std::any_of(pair->begin(), pair->end(), is_control))
        return std::nullopt;
    const std::size_t colon = pair->find(':');
    if (colon == std::string::npos)
        return std::nullopt;
    return basic_credentials{pair->substr(0, colon), pair->substr(colon + 1)};
}

}  // namespace

std::optional<credentials> parse_authorization(std::string_view value) {
    const std::size_t space = value.find(' ');
    if (space == std::string_view::npos)
        return std::nullopt;
    const std::string_view scheme = value.substr(0, space);
    const std::string_view rest = trimmed(value.substr(space));
    if (equal_ignoring_case(scheme, "Basic"))
        return parse_basic(rest);
    if (equal_ignoring_case(scheme, "Bearer") && is_token68(rest))
        return bearer_token{std::string{rest}};
    return std::nullopt;
}

}  // namespace linnet::http
