#include "broker/session/amqp_arguments.hpp"

namespace linnet::session {
namespace {

using amqp::field_type;
using core::value;
using core::value_type;

value_type type_of(field_type letter) noexcept {
    switch (letter) {
        case field_type::boolean: return value_type::boolean;
        case field_type::int8: return value_type::int8;
        case field_type::uint8: return value_type::uint8;
        case field_type::int16: return value_type::int16;
        case field_type::uint16: return value_type::uint16;
        case field_type::int32: return value_type::int32;
        case field_type::uint32: return value_type::uint32;
        case field_type::int64:
        case field_type::int64_too: return value_type::int64;
        case field_type::float32: return value_type::float32;
        case field_type::float64: return value_type::float64;
        case field_type::decimal: return value_type::decimal;
        case field_type::long_string: return value_type::string;
        case field_type::array: return value_type::array;
        case field_type::timestamp: return value_type::timestamp;
        case field_type::table: return value_type::table;
        case field_type::nothing: return value_type::nothing;
        case field_type::byte_array: return value_type::bytes;
    }
    return value_type::nothing;
}

template <class Number>
Number number_of(const value& v) {
    const auto* n = std::get_if<std::int64_t>(&v.data);
    return n == nullptr ? Number{} : static_cast<Number>(*n);
}

std::string_view text_of(const value& v) {
    const auto* s = std::get_if<std::string>(&v.data);
    return s == nullptr ? std::string_view{} : std::string_view{*s};
}

double real_of(const value& v) {
    const auto* d = std::get_if<double>(&v.data);
    return d == nullptr ? 0.0 : *d;
}

// Calls write(x) with x of the C++ type that the builder encodes as v's type; false for the two containers.
template <class Write>
bool write_scalar(const value& v, Write&& write) {
    switch (v.type) {
        case value_type::nothing: write(amqp::nothing_value{}); return true;
        case value_type::boolean: write(v.as_bool() != nullptr && *v.as_bool()); return true;
        case value_type::int8: write(number_of<std::int8_t>(v)); return true;
        case value_type::uint8: write(number_of<std::uint8_t>(v)); return true;
        case value_type::int16: write(number_of<std::int16_t>(v)); return true;
        case value_type::uint16: write(number_of<std::uint16_t>(v)); return true;
        case value_type::int32: write(number_of<std::int32_t>(v)); return true;
        case value_type::uint32: write(number_of<std::uint32_t>(v)); return true;
        case value_type::int64:
        case value_type::uint64: write(number_of<std::int64_t>(v)); return true;
        case value_type::float32: write(static_cast<float>(real_of(v))); return true;
        case value_type::float64: write(real_of(v)); return true;
        case value_type::decimal: write(amqp::decimal_value{v.decimal_scale, number_of<std::uint32_t>(v)}); return true;
        case value_type::string: write(text_of(v)); return true;
        case value_type::bytes: write(amqp::byte_array_value{wire::as_bytes(text_of(v))}); return true;
        case value_type::timestamp: write(amqp::timestamp_value{number_of<std::uint64_t>(v)}); return true;
        case value_type::array:
        case value_type::table: return false;
    }
    return false;
}

void put_contents(amqp::table_builder& to, const value& v);

void add_value(amqp::table_builder& to, const value& v) {
    if (write_scalar(v, [&](const auto& x) { to.add(x); })) {
        return;
    }
    v.type == value_type::table ? to.begin_table() : to.begin_array();
    put_contents(to, v);
    to.end();
}

void put_contents(amqp::table_builder& to, const value& v) {
    if (const auto* items = std::get_if<core::value_array>(&v.data)) {
        for (const auto& item : *items) {
            add_value(to, item);
        }
    }
    if (const auto* fields = std::get_if<core::value_table>(&v.data)) {
        for (const auto& [name, inner] : *fields) {
            if (name.size() <= core::name_bytes_max) {  // AMQP cannot say a longer one
                put_value(to, name, inner);
            }
        }
    }
}

}  // namespace

core::value to_value(const amqp::field_value& field) {
    value v{.type = type_of(field.type()), .data = {}, .decimal_scale = 0};
    if (const auto b = field.as_bool()) {
        v.data = *b;
    } else if (const auto n = field.as_int64()) {
        v.data = *n;
    } else if (const auto d = field.as_double()) {
        v.data = *d;
    } else if (const auto dec = field.as_decimal()) {
        v.data = std::int64_t{dec->value};
        v.decimal_scale = dec->scale;
    } else if (const auto t = field.as_timestamp()) {
        v.data = static_cast<std::int64_t>(*t);
    } else if (const auto s = field.as_string()) {
        v.data = std::string(*s);
    } else if (const auto table = field.as_table()) {
        v.data = to_values(*table);
    } else if (const auto array = field.as_array()) {
        core::value_array items;
        for (const auto& item : *array) {
            items.push_back(to_value(item));
        }
        v.data = std::move(items);
    }
    return v;
}

core::value_table to_values(amqp::table_view table) {
    core::value_table values;
    for (const auto& [name, v] : table) {
        values.emplace_back(std::string(name), to_value(v));
    }
    return values;
}

void put_value(amqp::table_builder& to, std::string_view name, const core::value& v) {
    if (write_scalar(v, [&](const auto& x) { to.put(name, x); })) {
        return;
    }
    v.type == value_type::table ? to.begin_table(name) : to.begin_array(name);
    put_contents(to, v);
    to.end();
}

}  // namespace linnet::session
