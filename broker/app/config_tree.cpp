#include "broker/app/config_tree.hpp"

#include <algorithm>

namespace linnet::app {

std::string position::text() const {
    if (line == 0) {
        return source;
    }
    return source + ':' + std::to_string(line) + ':' + std::to_string(column);
}

std::string_view node::kind_name() const noexcept {
    static constexpr std::string_view names[] = {"a boolean", "an integer", "a float",         "a string",
                                                 "an array",  "a table",    "a date or a time"};
    static_assert(std::size(names) == std::variant_size_v<decltype(value)>);
    return names[value.index()];
}

const entry* find(const node::table& t, std::string_view key) noexcept {
    auto it = std::find_if(t.begin(), t.end(), [&](const entry& e) { return e.key == key; });
    return it == t.end() ? nullptr : &*it;
}

entry* find(node::table& t, std::string_view key) noexcept {
    auto it = std::find_if(t.begin(), t.end(), [&](const entry& e) { return e.key == key; });
    return it == t.end() ? nullptr : &*it;
}

}  // namespace linnet::app
