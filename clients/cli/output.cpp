#include "clients/cli/output.hpp"

#include "protocol/wire/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::cli {
namespace {

struct as_text {
    std::string operator()(const std::string& value) const { return for_terminal(value); }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return fmt::format("{:.3f}", value); }
    std::string operator()(bool value) const { return value ? "yes" : "no"; }
};

struct as_json {
    std::string operator()(const std::string& value) const { return json_string(value); }
    std::string operator()(std::int64_t value) const { return std::to_string(value); }
    std::string operator()(double value) const { return fmt::format("{:.3f}", value); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
};

std::string render_table(const facts& found) {
    auto width = std::size_t{0};
    for (const auto& [name, value] : found) {
        width = std::max(width, name.size());
    }
    auto out = std::string{};
    for (const auto& [name, value] : found) {
        out += fmt::format("{:<{}}  {}\n", name, width, std::visit(as_text{}, value));
    }
    return out;
}

std::string render_json(const facts& found) {
    auto out = std::string{"{"};
    for (const auto& [name, value] : found) {
        out += fmt::format("{}{}:{}", out.size() > 1 ? "," : "", json_string(name), std::visit(as_json{}, value));
    }
    return out + "}\n";
}

}  // namespace

std::string for_terminal(std::string_view text) {
    auto out = std::string{};
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte < 0x20 || byte == 0x7F ? fmt::format("\\x{:02x}", byte) : std::string{c};
    }
    return out;
}

std::string render(const facts& found, output_form form) {
    switch (form) {
        case output_form::table: return render_table(found);
        case output_form::json: return render_json(found);
    }
    return {};
}

std::string json_string(std::string_view text) {
    const bool valid = wire::is_utf8(text);
    auto out = std::string{"\""};
    for (char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += {'\\', c};
        } else if (byte < 0x20) {
            out += fmt::format("\\u{:04x}", byte);
        } else if (byte >= 0x80 && !valid) {
            out += "\\ufffd";
        } else {
            out += c;
        }
    }
    return out + '"';
}

}  // namespace linnet::cli
