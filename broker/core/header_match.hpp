#pragma once

#include "broker/core/binding_node.hpp"
#include "broker/core/value.hpp"

#include <string>

namespace linnet::core {

// Does a message with these headers satisfy a headers exchange's binding? RabbitMQ's rules: x-match itself
// never counts, other "x-" keys only for the "-with-x" kinds; a key without value (void) asks for presence.
[[nodiscard]] bool headers_match(const value_table& asked, header_match how, const value_table& headers);

// Equality between what different clients write for the same thing: numbers by value whatever their width
// or kind, text whether sent as string or bytes.
[[nodiscard]] bool loosely_equal(const value& a, const value& b);

// What a consistent-hash exchange hashes of a header.
[[nodiscard]] std::string hash_text_of(const value& v);

}  // namespace linnet::core
