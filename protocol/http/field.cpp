#include "protocol/http/field.hpp"

#include <algorithm>

namespace linnet::http {

std::optional<std::string_view> field_list::find(std::string_view name) const noexcept {
    for (const field& each : fields_) {
        if (equal_ignoring_case(each.name, name))
            return each.value;
    }
    return std::nullopt;
}

std::size_t field_list::count(std::string_view name) const noexcept {
    return static_cast<std::size_t>(std::count_if(
        fields_.begin(), fields_.end(), [&](const field& each) { return equal_ignoring_case(each.name, name); }));
}

bool field_list::lists(std::string_view name, std::string_view token) const noexcept {
    for (const field& each : fields_) {
        if (!equal_ignoring_case(each.name, name))
            continue;
        std::string_view rest = each.value;
        while (const auto item = take_item(rest)) {
            if (equal_ignoring_case(trimmed(item->substr(0, item->find(';'))), token))
                return true;
        }
    }
    return false;
}

std::vector<std::string_view> field_list::lines(std::string_view name) const {
    std::vector<std::string_view> all;
    for (const field& each : fields_) {
        if (equal_ignoring_case(each.name, name))
            all.push_back(each.value);
    }
    return all;
}

std::string field_list::joined(std::string_view name) const {
    std::string all;
    for (const field& each : fields_) {
        if (!equal_ignoring_case(each.name, name))
            continue;
        if (!all.empty())
            all += ", ";
        all += each.value;
    }
    return all;
}

}  // namespace linnet::http
