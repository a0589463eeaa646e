#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/error.hpp"
#include "broker/session/http_handler.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What messaging says again and again, and what it reads from queries.

namespace linnet::session {

[[nodiscard]] http_answer bad_request(std::string_view why);
[[nodiscard]] http_answer forbidden(std::string_view why);
[[nodiscard]] http_answer no_such_lease();
// The core's refusals.
[[nodiscard]] http_answer refusal_of(const core::error& e);

// A whole number from the query; `otherwise` when it is not there, none when it is no number up to `most`.
[[nodiscard]] std::optional<std::uint64_t> number_asked(const http_request& r, std::string_view name,
                                                        std::uint64_t otherwise, std::uint64_t most);
// ?lease= in seconds, from 0 (no lease: taken is done) to twelve hours; half a minute when nothing is said.
[[nodiscard]] std::optional<mono_ns> lease_asked(const http_request& r);

}  // namespace linnet::session
