#include "protocol/http/prefer.hpp"

#include "protocol/http/syntax.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

constexpr std::uint64_t wait_seconds_max = 0xFFFF'FFFF;

void apply(std::string_view name, std::string_view value, preferences& to) {
    if (equal_ignoring_case(name, "wait")) {
        const auto seconds = parse_decimal(value);
        if (seconds && !to.wait_seconds)
            to.wait_seconds = static_cast<std::uint32_t>(std::min(*seconds, wait_seconds_max));
    } else if (equal_ignoring_case(name, "respond-async")) {
        to.respond_async = true;
    } else if (equal_ignoring_case(name, "return")) {
        to.return_minimal = to.return_minimal || equal_ignoring_case(value, "minimal");
    }
}

}  // namespace

preferences parse_prefer(std::string_view value) {
    preferences found;
    while (auto item = take_item(value)) {
        const auto word = take_item(*item, ';');  // what follows are the preference's parameters
        if (!word)
            continue;
        const std::size_t equals = std::min(word->find('='), word->size());
        const auto said = unquoted(trimmed(word->substr(std::min(equals + 1, word->size()))));
        apply(trimmed(word->substr(0, equals)), said.value_or(""), found);
    }
    return found;
}

}  // namespace linnet::http
