// Properties, written where the caller has made room, or appended to a container of bytes that it owns.
//
//     std::string bytes;
//     append_property<property::receive_maximum>(bytes, 100);
//     append_user_property(bytes, "region", "eu");
//     connack.properties = property_block::trusted(wire::as_bytes(bytes));
//
// A container that is cleared and used again soon allocates nothing.
//
// Bounds:   texts and binary data of at most 65535 bytes, subscription ids within varint_max: the caller's duty.
#pragma once

#include "protocol/mqtt/property_block.hpp"
#include "protocol/mqtt/varint.hpp"

namespace linnet::mqtt {

namespace detail {

inline std::uint8_t* put_string(std::uint8_t* to, std::string_view text) noexcept {
    LINNET_WIRE_CHECK(text.size() <= string_bytes_max);
    to = wire::store(to, static_cast<std::uint16_t>(text.size()));
    return wire::put_bytes(to, text.data(), text.size());
}

}  // namespace detail

[[nodiscard]] constexpr std::size_t property_size(const property_value& p) noexcept {
    switch (type_of(p.id)) {
        case property_type::byte: return 1 + 1;
        case property_type::u16: return 1 + 2;
        case property_type::u32: return 1 + 4;
        case property_type::varint: return 1 + varint_size(p.number);
        case property_type::text:
        case property_type::binary: return 1 + 2 + p.text.size();
        case property_type::text_pair: return 1 + 2 + p.text.size() + 2 + p.value.size();
        case property_type::none: break;
    }
    return 0;
}

inline std::uint8_t* put_property(std::uint8_t* to, const property_value& p) noexcept {
    *to++ = static_cast<std::uint8_t>(p.id);
    switch (type_of(p.id)) {
        case property_type::byte: return wire::store(to, static_cast<std::uint8_t>(p.number));
        case property_type::u16: return wire::store(to, static_cast<std::uint16_t>(p.number));
        case property_type::u32: return wire::store(to, p.number);
        case property_type::varint: return put_varint(to, p.number);
        case property_type::text:
        case property_type::binary: return detail::put_string(to, p.text);
        case property_type::text_pair: return detail::put_string(detail::put_string(to, p.text), p.value);
        case property_type::none: break;
    }
    LINNET_WIRE_CHECK(!"a property");
    return to;
}

template <property Id>
[[nodiscard]] property_value make_property(value_of<Id> value) noexcept {
    if constexpr (std::is_same_v<value_of<Id>, std::string_view>)
        return {.id = Id, .text = value};
    else if constexpr (std::is_same_v<value_of<Id>, wire::bytes_view>)
        return {.id = Id, .text = wire::as_text(value)};
    else
        return {.id = Id, .number = value};
}

template <class Bytes>
void append_property(Bytes& out, const property_value& p) {
    const std::size_t before = out.size();
    out.resize(before + property_size(p));
    put_property(reinterpret_cast<std::uint8_t*>(out.data()) + before, p);
}

template <property Id, class Bytes>
void append_property(Bytes& out, value_of<Id> value) {
    append_property(out, make_property<Id>(value));
}

template <class Bytes>
void append_user_property(Bytes& out, std::string_view name, std::string_view value) {
    append_property(out, property_value{.id = property::user_property, .text = name, .value = value});
}

}  // namespace linnet::mqtt
