#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/message.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace linnet::core {

class property_reader;

// The value of a header as a text, alike whatever protocol it came by: numbers in decimal, tables and the like not at
// all. `reader` may be null: no headers.
[[nodiscard]] std::optional<std::string> header_text(const message& m, std::string_view header,
                                                     const property_reader* reader);

// What makes two messages the same (x-deduplication-header): the header's value, or the message id where no header is
// named. None: never a duplicate.
[[nodiscard]] std::optional<std::string> dedup_key(const message& m, std::string_view header,
                                                   const property_reader* reader);

// What messages are grouped by (x-group-by): "routing-key", "correlation-id" or a header's name. None: a message that
// belongs to no group.
[[nodiscard]] std::optional<std::string> group_key(const message& m, std::string_view by,
                                                   const property_reader* reader);

// The delay that a message asks of delayed-message exchanges (x-delay, in milliseconds: an integer, or a text or real
// number that is one). As RabbitMQ's plug-in has it, one that is not positive or beyond 2^32 - 1 is none.
[[nodiscard]] mono_ns delay_asked(const property_reader* reader, std::span<const std::uint8_t> properties);

}  // namespace linnet::core
