#pragma once

#include "broker/core/error.hpp"
#include "broker/core/value.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

// RabbitMQ's sentences, which clients' suites compare: its names of types, its way of writing resources and
// Erlang terms.

namespace linnet::core {

// "signedint", "longstr": what RabbitMQ calls the type of a field.
[[nodiscard]] std::string_view rabbit_type_name(value_type t) noexcept;

// As "~p" prints it: strings as <<"text">>.
[[nodiscard]] std::string erlang_term(const value& v);
// As inside "the value '...'": text bare, everything else as a term.
[[nodiscard]] std::string erlang_value(const value& v);
[[nodiscard]] std::string erlang_binary(std::string_view text);
// A name without quotes where Erlang needs none.
[[nodiscard]] std::string erlang_atom(std::string_view name);

[[nodiscard]] std::string queue_text(std::string_view name, std::string_view vhost);
[[nodiscard]] std::string exchange_text(std::string_view name, std::string_view vhost);

template <class... Args>
[[nodiscard]] error make_error(error_kind kind, fmt::format_string<Args...> text, Args&&... args) {
    return {kind, fmt::format(text, std::forward<Args>(args)...)};
}

}  // namespace linnet::core
