#include "clients/cli/arguments.hpp"

#include <charconv>

namespace linnet::cli {

json_value value_of_text(const std::string& text) {
    auto value = json_value::parse(text, nullptr, false);
    return value.is_discarded() ? json_value(text) : value;
}

result<json_value> arguments_of(const std::vector<std::string>& given, std::string_view option) {
    auto out = json_value::object();
    for (const auto& each : given) {
        const auto equals = each.find('=');
        if (equals == std::string::npos || equals == 0) {
            return fail(exit_code::usage, fmt::format("--{} \"{}\" is not NAME=VALUE", option, each));
        }
        out[each.substr(0, equals)] = value_of_text(each.substr(equals + 1));
    }
    return out;
}

result<std::uint64_t> number_of(const std::string& text, std::string_view option) {
    auto number = std::uint64_t{0};
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || rest != end) {
        return fail(exit_code::usage, fmt::format("--{} \"{}\" is not a whole number", option, text));
    }
    return number;
}

}  // namespace linnet::cli
