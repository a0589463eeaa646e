#include "broker/app/toml_reader.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace linnet::app {
namespace {

position place(const toml::source_region& region, std::string_view source) {
    return {std::string{source}, region.begin.line, region.begin.column};
}

node convert(const toml::node& from, std::string_view source);

node::table convert_table(const toml::table& from, std::string_view source) {
    auto result = node::table{};
    result.reserve(from.size());
    for (const auto& [key, value] : from) {
        result.push_back({std::string{key.str()}, place(key.source(), source), convert(value, source)});
    }
    // toml++ sorts by name; the order of the file is what a reader of our errors expects.
    std::stable_sort(result.begin(), result.end(), [](const entry& a, const entry& b) {
        return std::pair{a.at.line, a.at.column} < std::pair{b.at.line, b.at.column};
    });
    return result;
}

node::array convert_array(const toml::array& from, std::string_view source) {
    auto result = node::array{};
    result.reserve(from.size());
    for (const auto& value : from) {
        result.push_back(convert(value, source));
    }
    return result;
}

// Recursion is bounded: the parser refuses values nested deeper than 256.
node convert(const toml::node& from, std::string_view source) {
    auto result = node{date_or_time{}, place(from.source(), source)};
    if (const auto* table = from.as_table()) {
        result.value = convert_table(*table, source);
    } else if (const auto* array = from.as_array()) {
        result.value = convert_array(*array, source);
    } else if (const auto* text = from.as_string()) {
        result.value = text->get();
    } else if (const auto* integer = from.as_integer()) {
        result.value = integer->get();
    } else if (const auto* real = from.as_floating_point()) {
        result.value = real->get();
    } else if (const auto* boolean = from.as_boolean()) {
        result.value = boolean->get();
    }
    return result;
}

}  // namespace

result<node, config_error> read_toml(std::string_view text, std::string_view source) {
    const auto parsed = toml::parse(text, source);
    if (!parsed) {
        const auto& error = parsed.error();
        return fail(config_error{place(error.source(), source).text(), std::string{error.description()}});
    }
    return node{convert_table(parsed.table(), source), {std::string{source}, 1, 1}};
}

}  // namespace linnet::app
