#pragma once

#include "broker/app/config.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The small languages inside configuration strings. Each reads the whole text or nothing.

namespace linnet::app {

[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text);

// "500ms", "30s", "5m", "2h", "1d", "0"; several may follow one another: "1h30m". In milliseconds.
[[nodiscard]] std::optional<std::int64_t> parse_duration_ms(std::string_view text);

// "64MiB", "10MB", "4KiB", "1GiB", "512B", "131072". In bytes.
[[nodiscard]] std::optional<std::int64_t> parse_size_bytes(std::string_view text);

// "60%": 0 to 100.
[[nodiscard]] std::optional<std::uint32_t> parse_percentage(std::string_view text);

// "0.0.0.0:5672", "[::]:5672"; addresses are numeric, so that a name server cannot decide where we listen.
[[nodiscard]] std::optional<bind_address> parse_bind_address(std::string_view text);

[[nodiscard]] std::string format_duration(std::int64_t ms);
[[nodiscard]] std::string format_size(std::int64_t bytes);
[[nodiscard]] std::string format_bind_address(const bind_address& address);

}  // namespace linnet::app
