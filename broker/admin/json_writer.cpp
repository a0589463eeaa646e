#include "broker/admin/json_writer.hpp"

#include "protocol/http/json_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace linnet::admin {

// A path is wanted when a column names it, something within it, or something that it lies within.
bool json_writer::wanted() const noexcept {
    if (columns_ == nullptr || columns_->empty()) {
        return true;
    }
    return std::ranges::any_of(*columns_, [this](const std::string& c) {
        const auto n = std::min(c.size(), path_.size());
        if (std::string_view(c).substr(0, n) != std::string_view(path_).substr(0, n)) {
            return false;
        }
        return c.size() == path_.size() || (c.size() > n ? c[n] : path_[n]) == '.';
    });
}

json_writer& json_writer::key(std::string_view name) {
    if (left_out_ != 0) {
        return *this;
    }
    path_.resize(levels_.back().path_bytes);
    if (!path_.empty()) {
        path_ += '.';
    }
    path_ += name;
    if (!wanted()) {
        skip_next_ = true;
        return *this;
    }
    if (!std::exchange(levels_.back().empty, false)) {
        out_ += ',';
    }
    http::append_json_string(out_, name);
    out_ += ':';
    after_key_ = true;
    return *this;
}

bool json_writer::begin_value() {
    if (left_out_ != 0 || std::exchange(skip_next_, false)) {
        return false;
    }
    if (!std::exchange(after_key_, false) && !levels_.empty() && !std::exchange(levels_.back().empty, false)) {
        out_ += ',';
    }
    return true;
}

void json_writer::begin(bool is_object) {
    if (!begin_value()) {
        ++left_out_;
        return;
    }
    out_ += is_object ? '{' : '[';
    levels_.push_back({is_object, true, path_.size()});
}

json_writer& json_writer::object() {
    begin(true);
    return *this;
}

json_writer& json_writer::array() {
    begin(false);
    return *this;
}

json_writer& json_writer::end() {
    if (left_out_ != 0) {
        --left_out_;
        return *this;
    }
    out_ += levels_.back().is_object ? '}' : ']';
    levels_.pop_back();
    path_.resize(levels_.empty() ? 0 : levels_.back().path_bytes);
    return *this;
}

json_writer& json_writer::text(std::string_view value) {
    if (begin_value()) {
        http::append_json_string(out_, value);
    }
    return *this;
}

json_writer& json_writer::number(std::uint64_t value) {
    if (begin_value()) {
        fmt::format_to(std::back_inserter(out_), "{}", value);
    }
    return *this;
}

json_writer& json_writer::number(std::int64_t value) {
    if (begin_value()) {
        fmt::format_to(std::back_inserter(out_), "{}", value);
    }
    return *this;
}

// With a point, always: some clients tell floats from integers by it.
json_writer& json_writer::number(double value) {
    if (!begin_value()) {
        return *this;
    }
    if (!std::isfinite(value)) {
        out_ += "0.0";
        return *this;
    }
    const auto from = out_.size();
    fmt::format_to(std::back_inserter(out_), "{}", value);
    if (out_.find_first_of(".e", from) == std::string::npos) {
        out_ += ".0";
    }
    return *this;
}

json_writer& json_writer::flag(bool value) { return raw(value ? "true" : "false"); }
json_writer& json_writer::null() { return raw("null"); }

json_writer& json_writer::raw(std::string_view json) {
    if (begin_value()) {
        out_ += json;
    }
    return *this;
}

json_writer& json_writer::value(const core::value_table& t) {
    object();
    for (const auto& [name, v] : t) {
        key(name).value(v);
    }
    return end();
}

json_writer& json_writer::value(const core::value& v) {
    if (const auto* t = std::get_if<core::value_table>(&v.data)) {
        return value(*t);
    }
    if (const auto* items = std::get_if<core::value_array>(&v.data)) {
        array();
        for (const auto& item : *items) {
            value(item);
        }
        return end();
    }
    if (const auto* s = std::get_if<std::string>(&v.data)) {
        return text(*s);
    }
    if (const auto* n = std::get_if<std::int64_t>(&v.data)) {
        return v.type == core::value_type::uint64 ? number(static_cast<std::uint64_t>(*n)) : number(*n);
    }
    if (const auto* d = std::get_if<double>(&v.data)) {
        return number(*d);
    }
    if (const auto* b = std::get_if<bool>(&v.data)) {
        return flag(*b);
    }
    return null();
}

}  // namespace linnet::admin
