#pragma once

#include "broker/admin/json_writer.hpp"
#include "broker/core/counts.hpp"

#include <cstdint>
#include <span>
#include <string_view>

// message_stats and rates, as RabbitMQ has them: each number with a "_details" beside it.

namespace linnet::admin {

// "key": n, "key_details": {"rate": r}.
void add_counted(json_writer& w, std::string_view name, std::uint64_t now, double rate);

struct counted_member {
    std::string_view name;
    std::uint64_t core::message_counts::*member;
};
// Of a queue; of a channel, a connection or the broker: those and what publishers hear.
[[nodiscard]] std::span<const counted_member> queue_members() noexcept;
[[nodiscard]] std::span<const counted_member> client_members() noexcept;

// Always there, whatever has happened: some readers take its absence for a refusal.
void add_message_stats(json_writer& w, const core::message_counts& now,
                       const core::rate_window<core::message_counts>::seen& seen,
                       std::span<const counted_member> members);

// 2026-11-28T19:42:17.000+00:00
[[nodiscard]] std::string time_text(std::int64_t wall_ns);

}  // namespace linnet::admin
