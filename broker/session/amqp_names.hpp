#pragma once

#include "broker/base/random.hpp"
#include "broker/core/ids.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace linnet::session {

[[nodiscard]] std::string to_base64url(std::span<const std::uint8_t> bytes);
// Empty when `text` is not the encoding of exactly `bytes.size()` bytes; else true and `bytes` filled.
[[nodiscard]] bool from_base64url(std::string_view text, std::span<std::uint8_t> bytes) noexcept;

// "amq.gen-" or "amq.ctag-" and 128 random bits.
[[nodiscard]] std::string make_queue_name();
[[nodiscard]] std::string make_consumer_tag();

// Direct reply-to: a client consumes from the pseudo queue, and each request that names it as reply_to
// leaves with the real address instead, which only those who got a request can know.
inline constexpr std::string_view reply_queue = "amq.rabbitmq.reply-to";
inline constexpr std::string_view reply_prefix = "amq.rabbitmq.reply-to.";

struct reply_address {
    core::session_handle session;
    std::uint16_t channel = 0;
    std::array<std::uint8_t, 16> secret{};

    [[nodiscard]] std::string text() const;
    [[nodiscard]] static std::optional<reply_address> parse(std::string_view key) noexcept;
};

}  // namespace linnet::session
