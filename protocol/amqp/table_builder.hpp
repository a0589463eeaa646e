// Makes a field table: encodes values one after the other, nested as deep as wanted.
//
//     table_builder table;
//     table.put("product", "Linnet").begin_table("capabilities").put("basic.nack", true).end();
//
// Inside begin_array() ... end() values have no names: add() them.
//
// Owns:     the encoded bytes; view() borrows them until the next change.
// Bounds:   names of at most 255 bytes; nesting of at most table_depth_max, so that the result parses.
// Fails:    cannot; misuse (a name in an array, an end() too many) is asserted.
#pragma once

#include "protocol/amqp/field_table.hpp"

#include <concepts>
#include <initializer_list>
#include <string>
#include <vector>

namespace linnet::amqp {

// What has no C++ type of its own.
struct timestamp_value {
    std::uint64_t seconds = 0;
};
struct nothing_value {};
struct byte_array_value {
    wire::bytes_view bytes;
};

class table_builder {
public:
    table_builder() = default;
    // Starts with a copy of an existing table.
    explicit table_builder(table_view base) { put_all(base); }

    template <class Value>
    table_builder& put(std::string_view name, const Value& value) {
        begin_field(name);
        encode(value);
        return *this;
    }
    // Without its former namesakes; only at the outermost level.
    template <class Value>
    table_builder& replace(std::string_view name, const Value& value) {
        remove(name);
        return put(name, value);
    }
    // Removes every field of that name; only at the outermost level.
    table_builder& remove(std::string_view name);

    // Verbatim copies.
    table_builder& put_all(table_view table);
    table_builder& put_all_but(table_view table, std::initializer_list<std::string_view> names);

    template <class Value>
    table_builder& add(const Value& value) {
        begin_item();
        encode(value);
        return *this;
    }

    table_builder& begin_table(std::string_view name);
    table_builder& begin_array(std::string_view name);
    // In an array.
    table_builder& begin_table();
    table_builder& begin_array();
    table_builder& end();

    [[nodiscard]] table_view view() const noexcept;
    [[nodiscard]] bool empty() const noexcept { return out_.empty(); }
    // The table's contents, without its length.
    [[nodiscard]] std::string take() noexcept;

private:
    struct container {
        std::size_t contents;  // where they begin in out_
        field_type type;
    };

    void begin_field(std::string_view name);
    void begin_item();
    table_builder& open(field_type type);

    // One overload a type. Exact types only: a pointer must not become a bool, nor an int64 an int32.
    void encode(std::same_as<bool> auto value) { letter(field_type::boolean), integer<std::uint8_t>(value ? 1 : 0); }
    void encode(std::int8_t value) { letter(field_type::int8), integer(static_cast<std::uint8_t>(value)); }
    void encode(std::uint8_t value) { letter(field_type::uint8), integer(value); }
    void encode(std::int16_t value) { letter(field_type::int16), integer(static_cast<std::uint16_t>(value)); }
    void encode(std::uint16_t value) { letter(field_type::uint16), integer(value); }
    void encode(std::int32_t value) { letter(field_type::int32), integer(static_cast<std::uint32_t>(value)); }
    void encode(std::uint32_t value) { letter(field_type::uint32), integer(value); }
    void encode(std::int64_t value) { letter(field_type::int64), integer(static_cast<std::uint64_t>(value)); }
    void encode(float value);
    void encode(double value);
    void encode(decimal_value value);
    void encode(timestamp_value value) { letter(field_type::timestamp), integer(value.seconds); }
    void encode(nothing_value) { letter(field_type::nothing); }
    void encode(std::string_view value) { letter(field_type::long_string), after_length(wire::as_bytes(value)); }
    void encode(byte_array_value value) { letter(field_type::byte_array), after_length(value.bytes); }
    void encode(table_view value) { letter(field_type::table), after_length(value.contents()); }
    void encode(array_view value) { letter(field_type::array), after_length(value.contents()); }
    void encode(const field_value& value) { out_.append(wire::as_text(value.encoded())); }

    void letter(field_type type) { out_.push_back(static_cast<char>(type)); }
    void after_length(wire::bytes_view bytes);

    template <std::unsigned_integral Int>
    void integer(Int value) {
        std::uint8_t encoded[sizeof(Int)];
        wire::store(encoded, value);
        out_.append(wire::as_text(encoded));
    }

    std::string out_;
    std::vector<container> open_;
};

}  // namespace linnet::amqp
