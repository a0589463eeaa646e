// One typed value of a field table or array, seen in place.
//
// The letters and widths are RabbitMQ's reading of 0-9-1, where it differs from the specification's
// table ('s' is a signed 16-bit integer, 'L' is signed as 'l' is, 'x' is a byte array).
//
// Owns:     nothing. Only made from bytes that table_view::parse or array_view's table has checked.
#pragma once

#include "protocol/wire/bytes.hpp"

#include <optional>
#include <string_view>

namespace linnet::amqp {

class table_view;
class array_view;

enum class field_type : std::uint8_t {
    boolean = 't',
    int8 = 'b',
    uint8 = 'B',
    int16 = 's',
    uint16 = 'u',
    int32 = 'I',
    uint32 = 'i',
    int64 = 'l',
    int64_too = 'L',
    float32 = 'f',
    float64 = 'd',
    decimal = 'D',
    long_string = 'S',
    array = 'A',
    timestamp = 'T',
    table = 'F',
    nothing = 'V',
    byte_array = 'x',
};

// `value` / 10^scale. RabbitMQ reads the value as unsigned.
struct decimal_value {
    std::uint8_t scale = 0;
    std::uint32_t value = 0;

    bool operator==(const decimal_value&) const = default;
};

class field_value {
public:
    field_value() noexcept = default;
    // `encoded` starts with the type's letter and ends with the value's last byte.
    explicit field_value(wire::bytes_view encoded) noexcept : encoded_{encoded} {}

    [[nodiscard]] field_type type() const noexcept { return static_cast<field_type>(encoded_[0]); }
    // Letter and value: what a table_builder copies.
    [[nodiscard]] wire::bytes_view encoded() const noexcept { return encoded_; }

    // Each answers nothing if the value is of another kind; as_int64 takes every integer type. To loop over
    // a table or an array, name the answer first: `for (... : *value.as_array())` would outlive it.
    [[nodiscard]] std::optional<bool> as_bool() const noexcept;
    [[nodiscard]] std::optional<std::int64_t> as_int64() const noexcept;
    [[nodiscard]] std::optional<double> as_double() const noexcept;
    [[nodiscard]] std::optional<decimal_value> as_decimal() const noexcept;
    [[nodiscard]] std::optional<std::uint64_t> as_timestamp() const noexcept;
    [[nodiscard]] std::optional<std::string_view> as_string() const noexcept;  // 'S' and 'x'
    [[nodiscard]] std::optional<table_view> as_table() const noexcept;
    [[nodiscard]] std::optional<array_view> as_array() const noexcept;

private:
    [[nodiscard]] wire::bytes_view value() const noexcept { return encoded_.subspan(1); }
    [[nodiscard]] wire::bytes_view after_length() const noexcept { return encoded_.subspan(5); }

    wire::bytes_view encoded_;
};

// Whether a re-declaration with `b` is equivalent to a declaration with `a`. As in RabbitMQ, what counts
// is the value: all integer types and timestamps are one kind, so are both floats, so are strings and byte
// arrays; 1 is not 1.0. Nested tables and arrays must be alike byte for byte, their inner types included.
[[nodiscard]] bool equivalent(const field_value& a, const field_value& b) noexcept;

}  // namespace linnet::amqp
