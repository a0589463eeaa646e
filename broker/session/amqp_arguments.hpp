#pragma once

#include "broker/core/value.hpp"
#include "protocol/amqp/table_builder.hpp"

namespace linnet::session {

// Between AMQP's field tables and the core's values. The wire type survives the way there and back, except
// that 'l' and 'L' become one, which are alike.
//
// Bounds:  recursion as deep as the table, which its parser has bounded (table_depth_max).
[[nodiscard]] core::value to_value(const amqp::field_value& field);
[[nodiscard]] core::value_table to_values(amqp::table_view table);

void put_value(amqp::table_builder& to, std::string_view name, const core::value& v);

}  // namespace linnet::session
