#include "protocol/http/media_type.hpp"

#include "protocol/http/syntax.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

struct parameter_text {
    std::string_view name;
    std::string_view value;  // as written
};

std::optional<parameter_text> split(std::string_view item) {
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos || !is_token(item.substr(0, equals)))
        return std::nullopt;
    return parameter_text{item.substr(0, equals), item.substr(equals + 1)};
}

bool are_parameters(std::string_view rest) {
    while (const auto item = take_item(rest, ';')) {
        const auto found = split(*item);
        if (!found || !unquoted(found->value))
            return false;
    }
    return true;
}

}  // namespace

std::optional<media_type> media_type::parse(std::string_view value) {
    const std::size_t end = std::min(value.find(';'), value.size());
    const std::string_view essence = trimmed(value.substr(0, end));
    const std::size_t slash = std::min(essence.find('/'), essence.size());
    media_type found{essence.substr(0, slash), essence.substr(std::min(slash + 1, essence.size())), value.substr(end)};
    if (!is_token(found.type) || !is_token(found.subtype) || !are_parameters(found.parameters))
        return std::nullopt;
    return found;
}

bool media_type::is(std::string_view wanted_type, std::string_view wanted_subtype) const noexcept {
    return equal_ignoring_case(type, wanted_type) && equal_ignoring_case(subtype, wanted_subtype);
}

bool media_type::has_syntax(std::string_view syntax) const noexcept {
    const std::size_t sign = subtype.rfind('+');
    return equal_ignoring_case(sign == std::string_view::npos ? subtype : subtype.substr(sign + 1), syntax);
}

std::optional<std::string> media_type::parameter(std::string_view name) const {
    std::string_view rest = parameters;
    while (const auto item = take_item(rest, ';')) {
        if (const auto found = split(*item); found && equal_ignoring_case(found->name, name))
            return unquoted(found->value);
    }
    return std::nullopt;
}

bool is_text_type(std::string_view content_type) {
    const auto found = media_type::parse(content_type);
    if (!found)
        return false;
    if (equal_ignoring_case(found->type, "text"))
        return true;
    constexpr std::string_view syntaxes[] = {"json", "xml", "yaml", "javascript", "x-ndjson", "x-www-form-urlencoded"};
    return equal_ignoring_case(found->type, "application") &&
           std::any_of(std::begin(syntaxes), std::end(syntaxes),
                       [&](std::string_view syntax) { return found->has_syntax(syntax); });
}

}  // namespace linnet::http
