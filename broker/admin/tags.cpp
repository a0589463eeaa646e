#include "broker/admin/tags.hpp"

#include <algorithm>
#include <string_view>

namespace linnet::admin {

std::optional<std::vector<std::string>> read_tags(const core::value& v) {
    std::vector<std::string> tags;
    const auto add = [&](std::string_view tag) {
        const auto from = tag.find_first_not_of(' ');
        if (from != std::string_view::npos) {
            tags.emplace_back(tag.substr(from, tag.find_last_not_of(' ') - from + 1));
        }
    };
    if (const auto* joined = v.as_string()) {
        for (std::string_view left = *joined; !left.empty();) {
            const auto one = left.substr(0, left.find(','));
            left.remove_prefix(std::min(one.size() + 1, left.size()));
            add(one);
        }
        return tags;
    }
    const auto* items = std::get_if<core::value_array>(&v.data);
    if (items == nullptr) {
        return std::nullopt;
    }
    for (const auto& item : *items) {
        if (item.as_string() == nullptr) {
            return std::nullopt;
        }
        add(*item.as_string());
    }
    return tags;
}

}  // namespace linnet::admin
