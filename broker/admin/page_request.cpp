#include "broker/admin/page_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace linnet::admin {
namespace {

std::optional<std::uint64_t> positive(std::string_view text) {
    std::uint64_t n = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), n);
    return read.ec == std::errc{} && read.ptr == text.data() + text.size() && n != 0 ? std::optional(n) : std::nullopt;
}

column_list split(std::string_view text) {
    column_list all;
    while (!text.empty()) {
        const auto one = text.substr(0, text.find(','));
        text.remove_prefix(std::min(one.size() + 1, text.size()));
        if (!one.empty()) {
            all.emplace_back(one);
        }
    }
    return all;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

result<page_request, std::string> page_request::read(const call& c) {
    page_request p;
    if (const auto page = c.find("page")) {
        const auto n = positive(*page);
        if (!n) {
            return fail(std::string("page must be a positive integer"));
        }
        p.page = *n;
        p.paged = true;  // whatever `pagination` says: scalers send both
    }
    if (const auto size = c.find("page_size")) {
        const auto n = positive(*size);
        if (!n || *n > page_size_max) {
            return fail(fmt::format("page_size must be an integer from 1 to {}", page_size_max));
        }
        p.page_size = *n;
    }
    p.name = c.find("name").value_or("");
    if (!p.name.empty() && c.is_set("use_regex")) {
        auto compiled = core::regex::compile(p.name);
        if (!compiled) {
            return fail(fmt::format("name is no regular expression: {}", compiled.error()));
        }
        p.pattern = std::move(*compiled);
    }
    p.sort = c.find("sort").value_or("");
    p.reverse = c.is_set("sort_reverse");
    p.columns = split(c.find("columns").value_or(""));
    return p;
}

bool page_request::finds(std::string_view text) const {
    if (name.empty()) {
        return true;
    }
    if (pattern) {
        return pattern->matches(text);
    }
    const auto same = [](char a, char b) { return lower(a) == lower(b); };
    return std::search(text.begin(), text.end(), name.begin(), name.end(), same) != text.end();
}

}  // namespace linnet::admin
