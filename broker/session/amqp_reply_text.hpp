#pragma once

#include "broker/core/error.hpp"
#include "broker/core/value.hpp"
#include "protocol/amqp/constants.hpp"
#include "protocol/wire/bytes.hpp"

#include <string>
#include <string_view>

namespace linnet::session {

// RabbitMQ's words, which clients' test suites match on.

// "NOT_FOUND - no queue ...", cut to a short string's 255 bytes as RabbitMQ cuts: bytes, not characters.
[[nodiscard]] std::string reply_text(amqp::reply_code code, std::string_view text);

[[nodiscard]] amqp::reply_code reply_code_of(core::error_kind kind) noexcept;

// <<1,2,3>> or <<"text">>.
[[nodiscard]] std::string erlang_binary(wire::bytes_view bytes);

// What texts call a value's type: "longstr", "signedint", ...
[[nodiscard]] std::string_view erlang_type(core::value_type type) noexcept;

}  // namespace linnet::session
