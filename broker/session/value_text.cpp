#include "broker/session/value_text.hpp"

#include "protocol/http/json_text.hpp"

#include <fmt/format.h>

#include <cmath>

namespace linnet::session {
namespace {

using core::value;
using core::value_type;

// Exactly: unscaled digits with a point put in.
std::string decimal_text(std::int64_t unscaled, std::uint8_t scale) {
    auto digits = fmt::format("{}", unscaled < 0 ? -static_cast<std::uint64_t>(unscaled)
                                                 : static_cast<std::uint64_t>(unscaled));
    if (scale != 0) {
        if (digits.size() <= scale) {
            digits.insert(0, scale + 1 - digits.size(), '0');
        }
        digits.insert(digits.size() - scale, ".");
    }
    return (unscaled < 0 ? "-" : "") + digits;
}

std::string scalar_text(const value& v) {
    if (const auto* b = std::get_if<bool>(&v.data)) {
        return *b ? "true" : "false";
    }
    if (const auto* i = std::get_if<std::int64_t>(&v.data)) {
        if (v.type == value_type::decimal) {
            return decimal_text(*i, v.decimal_scale);
        }
        return v.type == value_type::uint64 ? fmt::format("{}", static_cast<std::uint64_t>(*i)) : fmt::format("{}", *i);
    }
    if (const auto* d = std::get_if<double>(&v.data)) {
        return v.type == value_type::float32 ? fmt::format("{}", static_cast<float>(*d)) : fmt::format("{}", *d);
    }
    if (const auto* s = std::get_if<std::string>(&v.data)) {
        return *s;
    }
    return {};
}

}  // namespace

void append_json(std::string& out, const value& v) {
    if (const auto* list = std::get_if<core::value_array>(&v.data)) {
        out += '[';
        for (std::size_t i = 0; i < list->size(); ++i) {
            out += i == 0 ? "" : ",";
            append_json(out, (*list)[i]);
        }
        out += ']';
    } else if (const auto* table = std::get_if<core::value_table>(&v.data)) {
        out += '{';
        for (std::size_t i = 0; i < table->size(); ++i) {
            out += i == 0 ? "" : ",";
            http::append_json_string(out, (*table)[i].first);
            out += ':';
            append_json(out, (*table)[i].second);
        }
        out += '}';
    } else if (std::holds_alternative<std::string>(v.data)) {
        http::append_json_string(out, std::get<std::string>(v.data));
    } else if (std::holds_alternative<std::monostate>(v.data)) {
        out += "null";
    } else if (const auto* d = std::get_if<double>(&v.data); d != nullptr && !std::isfinite(*d)) {
        http::append_json_string(out, scalar_text(v));
    } else {
        out += scalar_text(v);
    }
}

std::string text_of(const value& v) {
    if (std::holds_alternative<core::value_array>(v.data) || std::holds_alternative<core::value_table>(v.data)) {
        std::string json;
        append_json(json, v);
        return json;
    }
    return scalar_text(v);
}

}  // namespace linnet::session
