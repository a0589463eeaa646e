// Times as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT`. The clock is the caller's.
#pragma once

#include <cstdint>
#include <string>

namespace linnet::http {

// Seconds since 1970, not before and not after the year 9999. Worth keeping for a second, not for a response.
[[nodiscard]] std::string http_date(std::int64_t unix_seconds);

}  // namespace linnet::http
