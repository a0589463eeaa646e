#include "protocol/amqp/table_builder.hpp"

#include "protocol/wire/check.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace linnet::amqp {

table_builder& table_builder::remove(std::string_view name) {
    LINNET_WIRE_CHECK(open_.empty());
    std::string kept;
    for (const field& each : view()) {
        if (each.name == name)
            continue;
        kept.push_back(static_cast<char>(each.name.size()));
        kept.append(each.name).append(wire::as_text(each.value.encoded()));
    }
    out_ = std::move(kept);
    return *this;
}

table_builder& table_builder::put_all(table_view table) {
    out_.append(wire::as_text(table.contents()));
    return *this;
}

table_builder& table_builder::put_all_but(table_view table, std::initializer_list<std::string_view> names) {
    for (const field& each : table) {
        if (std::ranges::find(names, each.name) == names.end())
            put(each.name, each.value);
    }
    return *this;
}

table_builder& table_builder::begin_table(std::string_view name) {
    begin_field(name);
    return open(field_type::table);
}

table_builder& table_builder::begin_array(std::string_view name) {
    begin_field(name);
    return open(field_type::array);
}

table_builder& table_builder::begin_table() {
    begin_item();
    return open(field_type::table);
}

table_builder& table_builder::begin_array() {
    begin_item();
    return open(field_type::array);
}

table_builder& table_builder::end() {
    LINNET_WIRE_CHECK(!open_.empty());
    const std::size_t contents = open_.back().contents;
    const auto size = static_cast<std::uint32_t>(out_.size() - contents);
    wire::store(reinterpret_cast<std::uint8_t*>(out_.data()) + contents - sizeof size, size);
    open_.pop_back();
    return *this;
}

table_view table_builder::view() const noexcept {
    LINNET_WIRE_CHECK(open_.empty());
    return table_view::trusted(wire::as_bytes(out_));
}

std::string table_builder::take() noexcept {
    LINNET_WIRE_CHECK(open_.empty());
    return std::exchange(out_, {});
}

void table_builder::begin_field(std::string_view name) {
    LINNET_WIRE_CHECK(open_.empty() || open_.back().type == field_type::table);
    LINNET_WIRE_CHECK(name.size() <= 0xFF);
    out_.push_back(static_cast<char>(name.size()));
    out_.append(name);
}

void table_builder::begin_item() { LINNET_WIRE_CHECK(!open_.empty() && open_.back().type == field_type::array); }

table_builder& table_builder::open(field_type type) {
    // +1: the outermost table is a level, too.
    LINNET_WIRE_CHECK(open_.size() + 1 < table_depth_max);
    letter(type);
    integer(std::uint32_t{0});  // end() writes the size
    open_.push_back({out_.size(), type});
    return *this;
}

void table_builder::encode(float value) {
    letter(field_type::float32);
    integer(std::bit_cast<std::uint32_t>(value));
}

void table_builder::encode(double value) {
    letter(field_type::float64);
    integer(std::bit_cast<std::uint64_t>(value));
}

void table_builder::encode(decimal_value value) {
    letter(field_type::decimal);
    integer(value.scale);
    integer(value.value);
}

void table_builder::after_length(wire::bytes_view bytes) {
    integer(static_cast<std::uint32_t>(bytes.size()));
    out_.append(wire::as_text(bytes));
}

}  // namespace linnet::amqp
