#include "protocol/http/query.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

struct raw_pair {
    std::string_view name;
    std::string_view value;
};

// Takes the next pair off the front; two ampersands in a row have none between them.
std::optional<raw_pair> take_pair(std::string_view& rest) {
    while (!rest.empty()) {
        const std::string_view part = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(part.size() + 1, rest.size()));
        if (part.empty())
            continue;
        const std::size_t equals = std::min(part.find('='), part.size());
        return raw_pair{part.substr(0, equals), part.substr(std::min(equals + 1, part.size()))};
    }
    return std::nullopt;
}

std::string decoded(std::string_view text, plus meaning) {
    std::string out;
    out.reserve(text.size());
    append_percent_decoded(out, text, meaning);
    return out;
}

}  // namespace

std::optional<std::string> query_view::find(std::string_view name, plus meaning) const {
    std::string_view rest = text_;
    while (const auto each = take_pair(rest)) {
        if (each->name == name || decoded(each->name, meaning) == name)
            return decoded(each->value, meaning);
    }
    return std::nullopt;
}

std::vector<query_view::pair> query_view::pairs(plus meaning) const {
    std::vector<pair> all;
    std::string_view rest = text_;
    while (const auto each = take_pair(rest))
        all.push_back({decoded(each->name, meaning), decoded(each->value, meaning)});
    return all;
}

}  // namespace linnet::http
