#pragma once

#include "broker/core/error.hpp"
#include "broker/core/queue_settings.hpp"
#include "broker/core/value.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

// What the arguments of a queue's declaration may say, and what they mean together with policies.

namespace linnet::core {

// Ten years, in milliseconds: RabbitMQ's limit for everything that is a time, in policies as well.
inline constexpr std::int64_t duration_max_ms = 315'360'000'000;

struct queue_declaration {
    std::string_view resource;  // as queue_text() writes it
    bool durable = false;
    bool exclusive = false;
    bool auto_delete = false;
    const value_table& arguments;
};

// Every argument has its type and range; nothing is clamped. RabbitMQ's texts, in its order.
[[nodiscard]] outcome<queue_type> check_queue_arguments(const queue_declaration& d);

// The type that declared arguments name; classic when they name none.
[[nodiscard]] queue_type queue_type_of(const value_table& arguments) noexcept;

// The arguments that a redeclaration of such a queue must repeat.
[[nodiscard]] std::span<const std::string_view> arguments_of(queue_type type) noexcept;

// Both tables checked before. Of two limits the smaller counts; of two choices the declaration's.
// `policy` is effective_definition() of the policies that apply.
[[nodiscard]] queue_settings settings_from(const value_table& arguments, const value_table& policy);

}  // namespace linnet::core
