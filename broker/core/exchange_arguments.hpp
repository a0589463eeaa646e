#pragma once

#include "broker/core/binding_node.hpp"
#include "broker/core/error.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/topology_nodes.hpp"

#include <optional>
#include <string_view>

// What declarations of exchanges and bindings may say.

namespace linnet::core {

[[nodiscard]] std::optional<exchange_type> exchange_type_from(std::string_view name) noexcept;

// "unknown exchange type 'x'" when there is none of that name.
[[nodiscard]] outcome<exchange_type> check_exchange_type(std::string_view name);

// The checked exchange, ready to become a node: how it routes and what it hashes are worked out.
[[nodiscard]] outcome<node_ref<exchange_record>> check_exchange(const declare_exchange& what, exchange_type type,
                                                                std::string_view vhost);

// What its exchange makes of a binding.
struct binding_terms {
    header_match match = header_match::all;
    std::uint32_t weight = 1;
};
[[nodiscard]] outcome<binding_terms> check_binding(exchange_type type, std::string_view key,
                                                   const value_table& arguments);

}  // namespace linnet::core
