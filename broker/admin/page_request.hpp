#pragma once

#include "broker/admin/call.hpp"
#include "broker/admin/json_writer.hpp"
#include "broker/base/result.hpp"
#include "broker/core/regex.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::admin {

// What of a list is wanted and in which form: page, page_size, name, use_regex, sort, sort_reverse, columns,
// pagination.
struct page_request {
    std::uint64_t page = 1;
    std::uint64_t page_size = 100;
    bool paged = false;  // the answer is an object with a page in it; else the list, whole
    std::string name{};  // part of it, whatever the case; or
    std::optional<core::regex> pattern{};
    std::string sort{};  // a path to a member; empty: by vhost and name
    bool reverse = false;
    column_list columns{};

    static constexpr std::uint64_t page_size_max = 500;

    [[nodiscard]] static result<page_request, std::string> read(const call& c);
    [[nodiscard]] bool finds(std::string_view name) const;
};

}  // namespace linnet::admin
