#include "broker/core/rabbit_text.hpp"

#include <algorithm>

namespace linnet::core {

std::string_view rabbit_type_name(value_type t) noexcept {
    switch (t) {
        case value_type::nothing: return "void";
        case value_type::boolean: return "bool";
        case value_type::int8: return "byte";
        case value_type::uint8: return "unsignedbyte";
        case value_type::int16: return "short";
        case value_type::uint16: return "unsignedshort";
        case value_type::int32: return "signedint";
        case value_type::uint32: return "unsignedint";
        case value_type::int64:
        case value_type::uint64: return "long";  // RabbitMQ reads both as signed
        case value_type::float32: return "float";
        case value_type::float64: return "double";
        case value_type::decimal: return "decimal";
        case value_type::string: return "longstr";
        case value_type::bytes: return "binary";
        case value_type::timestamp: return "timestamp";
        case value_type::array: return "array";
        case value_type::table: return "table";
    }
    return {};
}

std::string erlang_binary(std::string_view text) {
    std::string out = "<<\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
        }
        out += c;
    }
    return out + "\">>";
}

std::string erlang_atom(std::string_view name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '@';
    };
    const bool bare = !name.empty() && name.front() >= 'a' && name.front() <= 'z' && std::ranges::all_of(name, plain);
    return bare ? std::string(name) : fmt::format("'{}'", name);
}

namespace {

[[nodiscard]] std::string real_term(double number) {
    // Erlang always writes a point: 1.0, 1.0e22.
    std::string text = fmt::format("{}", number);
    const auto exponent = text.find('e');
    if (text.find('.') == std::string::npos && text.find('n') == std::string::npos) {
        text.insert(exponent == std::string::npos ? text.size() : exponent, ".0");
    }
    return text;
}

template <class Range, class F>
[[nodiscard]] std::string list_term(const Range& entries, F&& write) {
    std::string out = "[";
    for (const auto& e : entries) {
        out += out.size() > 1 ? "," : "";
        out += write(e);
    }
    return out + "]";
}

struct term_writer {
    const value& v;
    std::string operator()(std::monostate) const { return "undefined"; }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
    std::string operator()(std::int64_t number) const {
        return v.type == value_type::decimal ? fmt::format("{{{},{}}}", v.decimal_scale, number)
                                             : fmt::format("{}", number);
    }
    std::string operator()(double number) const { return real_term(number); }
    std::string operator()(const std::string& text) const { return erlang_binary(text); }
    std::string operator()(const value_array& entries) const {
        return list_term(
            entries, [](const value& e) { return fmt::format("{{{},{}}}", rabbit_type_name(e.type), erlang_term(e)); });
    }
    std::string operator()(const value_table& entries) const {
        return list_term(entries, [](const auto& e) {
            return fmt::format("{{{},{},{}}}", erlang_binary(e.first), rabbit_type_name(e.second.type),
                               erlang_term(e.second));
        });
    }
};

}  // namespace

std::string erlang_term(const value& v) { return std::visit(term_writer{v}, v.data); }

std::string erlang_value(const value& v) {
    const auto* text = std::get_if<std::string>(&v.data);
    return text == nullptr ? erlang_term(v) : *text;
}

std::string queue_text(std::string_view name, std::string_view vhost) {
    return fmt::format("queue '{}' in vhost '{}'", name, vhost);
}
std::string exchange_text(std::string_view name, std::string_view vhost) {
    return fmt::format("exchange '{}' in vhost '{}'", name, vhost);
}

}  // namespace linnet::core
