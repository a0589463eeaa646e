#include "broker/app/config_merge.hpp"

#include <fmt/format.h>

namespace linnet::app {
namespace {

constexpr int depth_max = 8;

result<std::string, std::string> expand(std::string_view text, const environment& variables, int depth);

// The index of the brace that closes the one before `text`, or npos.
std::size_t closing_brace(std::string_view text) {
    auto open = 1;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i).starts_with("${")) {
            ++open;
        } else if (text[i] == '}' && --open == 0) {
            return i;
        }
    }
    return std::string_view::npos;
}

// `inside` is what stands between the braces: VAR or VAR:-default.
result<std::string, std::string> value_of(std::string_view inside, const environment& variables, int depth) {
    const auto separator = inside.find(":-");
    const auto name = inside.substr(0, separator);
    if (const auto it = variables.find(name); it != variables.end() && !it->second.empty()) {
        return it->second;
    }
    if (separator == std::string_view::npos) {
        return fail(fmt::format("environment variable \"{0}\" is not set; ${{{0}:-default}} gives a default", name));
    }
    return expand(inside.substr(separator + 2), variables, depth + 1);
}

result<std::string, std::string> expand(std::string_view text, const environment& variables, int depth) {
    if (depth > depth_max) {
        return fail(std::string{"${...} is nested too deeply"});
    }
    auto out = std::string{};
    while (!text.empty()) {
        if (text.starts_with("$${")) {
            out += "${";
            text.remove_prefix(3);
            continue;
        }
        if (!text.starts_with("${")) {
            out += text.front();
            text.remove_prefix(1);
            continue;
        }
        text.remove_prefix(2);
        const auto end = closing_brace(text);
        if (end == std::string_view::npos) {
            return fail(std::string{"\"${\" without \"}\"; $${ stands for a literal one"});
        }
        auto value = value_of(text.substr(0, end), variables, depth);
        if (!value) {
            return value;
        }
        out += *value;
        text.remove_prefix(end + 1);
    }
    return out;
}

}  // namespace

result<std::string, std::string> interpolate(std::string_view text, const environment& variables) {
    return expand(text, variables, 0);
}

}  // namespace linnet::app
