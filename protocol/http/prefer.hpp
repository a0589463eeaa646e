// The Prefer field (RFC 7240): how long a client waits, and whether it need wait at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace linnet::http {

struct preferences {
    std::optional<std::uint32_t> wait_seconds;  // as asked: the session has its own limit
    bool respond_async = false;
    bool return_minimal = false;
};

// `value`: all Prefer fields as one list. What is malformed or unknown is passed over, as the RFC has it; of a
// preference that stands twice the first counts.
[[nodiscard]] preferences parse_prefer(std::string_view value);

}  // namespace linnet::http
