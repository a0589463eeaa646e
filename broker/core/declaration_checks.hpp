#pragma once

#include "broker/core/address.hpp"
#include "broker/core/error.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/topology.hpp"
#include "broker/core/topology_editor.hpp"

#include <cstdint>
#include <string_view>

// What a declaration must satisfy beside what is there already, and why it does not: in RabbitMQ's words.

namespace linnet::core {

[[nodiscard]] error no_exchange(std::string_view name, std::string_view vhost);
[[nodiscard]] error no_queue(std::string_view name, std::string_view vhost);
[[nodiscard]] error no_vhost();
[[nodiscard]] error default_exchange_refused();
[[nodiscard]] error reserved_name(std::string_view kind, std::string_view name);
[[nodiscard]] error too_many_levels();

[[nodiscard]] outcome<void> check_name_length(std::string_view kind, std::string_view name);

// Lax: a shared queue is anybody's. Strict, for redeclaration: shared stays shared.
enum class match { lax, strict };
[[nodiscard]] outcome<void> check_exclusive(const queue_spec& q, session_handle from, match how,
                                            std::string_view vhost);

[[nodiscard]] outcome<void> same_exchange(const exchange_spec& current, const declare_exchange& received,
                                          std::string_view vhost);
[[nodiscard]] outcome<void> same_queue(const queue_spec& current, const declare_queue& received, session_handle from,
                                       std::string_view vhost);
// A server-named queue is one client's, which a replicated one cannot be.
[[nodiscard]] outcome<void> check_queue_name(const declare_queue& what);
// One more, where so many are there already (in the whole broker; of those that every vhost has).
[[nodiscard]] outcome<void> check_room_for_queue(std::string_view name, const vhost_node& v,
                                                 const topology_limits& limits, std::uint64_t queues);
// One more binding by that pattern.
[[nodiscard]] outcome<void> check_room_for_pattern(const exchange_node& x, const pattern& p,
                                                   const topology_limits& limits);
[[nodiscard]] outcome<void> check_room_for_exchange(std::string_view name, const vhost_node& v,
                                                    const topology_limits& limits, std::uint64_t standard);
[[nodiscard]] outcome<void> check_dead_letter_type(const declare_queue& what, std::string_view resource);

}  // namespace linnet::core
