#pragma once

#include "broker/base/result.hpp"
#include "broker/core/properties.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session {

// Messages as lines of JSON (application/x-ndjson), an object a line:
//
//     {"body":"text"}  or  {"base64":"..."}, and beside it content_type, content_encoding, message_id, correlation_id,
//     reply_to, type, app_id (texts), ttl (seconds), priority, timestamp (numbers), headers (an object of texts,
//     numbers and truth values), key (another routing key than the path's)
struct batch_item {
    std::string body;
    std::optional<std::string> key;
    core::neutral_properties said;
};

inline constexpr std::size_t batch_lines_max = 10'000;

// The complaint names the line.
[[nodiscard]] result<std::vector<batch_item>, std::string> read_batch(std::string_view text);

}  // namespace linnet::session
