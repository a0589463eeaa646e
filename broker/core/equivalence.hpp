#pragma once

#include "broker/core/error.hpp"
#include "broker/core/value.hpp"

#include <span>
#include <string>
#include <string_view>

// Is a second declaration the same as the first? RabbitMQ's comparisons and texts.

namespace linnet::core {

// `resource` as queue_text() or exchange_text() writes it.
[[nodiscard]] outcome<void> same_flag(bool current, bool received, std::string_view attribute,
                                      std::string_view resource);
[[nodiscard]] outcome<void> same_type(std::string_view current, std::string_view received, std::string_view resource);
// Of the arguments, only these keys count.
[[nodiscard]] outcome<void> same_arguments(const value_table& current, const value_table& received,
                                           std::span<const std::string_view> keys, std::string_view resource);

}  // namespace linnet::core
