// decode, encoded_size and encode for every method; by hand for the three that each message needs.
//
// The generic code checks the bounds of one field after the other; for publish, deliver and ack the
// positions of all fields follow from two or three length octets, so a handful of comparisons does. Measured
// in instructions at -O3: publish is decoded in 37 instead of 64, deliver encoded in 60 instead of 78. The
// tests hold the two ways against each other (amqp_methods_test); bench/micro/amqp_codec times them.
//
// Owns:     nothing; a decoded method views the bytes that it was decoded from.
// Fails:    as decode_fields.
#pragma once

#include "protocol/amqp/basic_methods.hpp"
#include "protocol/amqp/method_codec.hpp"
#include "protocol/wire/check.hpp"

namespace linnet::amqp {

// `arguments`: the payload of a method frame behind the four bytes of its id.
template <method Method>
[[nodiscard]] decoded<Method> decode(wire::bytes_view arguments) noexcept {
    return decode_fields<Method>(arguments);
}

// Without the four bytes of the id.
template <method Method>
[[nodiscard]] std::size_t encoded_size(const Method& m) noexcept {
    return fields_size(m);
}

// Writes exactly encoded_size(m) bytes and returns the place behind them. Short strings have at most
// 255 bytes: the caller's duty.
template <method Method>
std::uint8_t* encode(std::uint8_t* to, const Method& m) noexcept {
    return encode_fields(to, m);
}

namespace detail {

inline std::string_view text_at(const std::uint8_t* length) noexcept { return wire::as_text({length + 1, *length}); }

inline std::uint8_t* put_short_string(std::uint8_t* to, std::string_view text) noexcept {
    LINNET_WIRE_CHECK(text.size() <= 0xFF);
    *to = static_cast<std::uint8_t>(text.size());
    return wire::put_bytes(to + 1, text.data(), text.size());
}

// Too short and too long are told apart only once it is known that something is wrong.
template <method Method>
[[nodiscard, gnu::noinline, gnu::cold]] decoded<Method> refuse_size(wire::bytes_view arguments, std::size_t expected) {
    return refused{arguments.size() < expected ? fault::method_truncated : fault::method_overlong};
}

}  // namespace detail

// reserved_1 (2) | exchange (1 + n) | routing_key (1 + n) | bits (1)
template <>
[[nodiscard]] inline decoded<basic_publish> decode<basic_publish>(wire::bytes_view arguments) noexcept {
    constexpr std::size_t fixed = 2 + 1 + 1 + 1;
    const std::uint8_t* at = arguments.data();
    std::size_t expected = fixed;
    if (arguments.size() < expected) [[unlikely]]
        return refused{fault::method_truncated};
    expected += at[2];
    if (arguments.size() < expected) [[unlikely]]
        return refused{fault::method_truncated};
    const std::uint8_t* key_length = at + 3 + at[2];
    expected += *key_length;
    if (arguments.size() != expected) [[unlikely]] {
        return detail::refuse_size<basic_publish>(arguments, expected);
    }
    const std::uint8_t bits = at[expected - 1];
    return basic_publish{.reserved_1 = wire::load<std::uint16_t>(at),
                         .exchange = detail::text_at(at + 2),
                         .routing_key = detail::text_at(key_length),
                         .mandatory = (bits & 1) != 0,
                         .immediate = (bits & 2) != 0};
}

template <>
[[nodiscard]] inline std::size_t encoded_size(const basic_publish& m) noexcept {
    return 2 + 1 + m.exchange.size() + 1 + m.routing_key.size() + 1;
}

template <>
inline std::uint8_t* encode(std::uint8_t* to, const basic_publish& m) noexcept {
    to = wire::store(to, m.reserved_1);
    to = detail::put_short_string(to, m.exchange);
    to = detail::put_short_string(to, m.routing_key);
    *to = static_cast<std::uint8_t>((m.mandatory ? 1 : 0) | (m.immediate ? 2 : 0));
    return to + 1;
}

// consumer_tag (1 + n) | delivery_tag (8) | bits (1) | exchange (1 + n) | routing_key (1 + n)
template <>
[[nodiscard]] inline decoded<basic_deliver> decode<basic_deliver>(wire::bytes_view arguments) noexcept {
    constexpr std::size_t fixed = 1 + 8 + 1 + 1 + 1;
    const std::uint8_t* at = arguments.data();
    std::size_t expected = fixed;
    if (arguments.size() < expected) [[unlikely]]
        return refused{fault::method_truncated};
    expected += at[0];
    if (arguments.size() < expected) [[unlikely]]
        return refused{fault::method_truncated};
    const std::uint8_t* tag = at + 1 + at[0];
    const std::uint8_t* exchange_length = tag + 9;
    expected += *exchange_length;
    if (arguments.size() < expected) [[unlikely]]
        return refused{fault::method_truncated};
    const std::uint8_t* key_length = exchange_length + 1 + *exchange_length;
    expected += *key_length;
    if (arguments.size() != expected) [[unlikely]] {
        return detail::refuse_size<basic_deliver>(arguments, expected);
    }
    return basic_deliver{.consumer_tag = detail::text_at(at),
                         .delivery_tag = wire::load<std::uint64_t>(tag),
                         .redelivered = (tag[8] & 1) != 0,
                         .exchange = detail::text_at(exchange_length),
                         .routing_key = detail::text_at(key_length)};
}

template <>
[[nodiscard]] inline std::size_t encoded_size(const basic_deliver& m) noexcept {
    return 1 + m.consumer_tag.size() + 8 + 1 + 1 + m.exchange.size() + 1 + m.routing_key.size();
}

template <>
inline std::uint8_t* encode(std::uint8_t* to, const basic_deliver& m) noexcept {
    to = detail::put_short_string(to, m.consumer_tag);
    to = wire::store(to, m.delivery_tag);
    *to++ = m.redelivered ? 1 : 0;
    to = detail::put_short_string(to, m.exchange);
    return detail::put_short_string(to, m.routing_key);
}

// delivery_tag (8) | bits (1)
template <>
[[nodiscard]] inline decoded<basic_ack> decode<basic_ack>(wire::bytes_view arguments) noexcept {
    if (arguments.size() != 9) [[unlikely]]
        return detail::refuse_size<basic_ack>(arguments, 9);
    return basic_ack{.delivery_tag = wire::load<std::uint64_t>(arguments.data()), .multiple = (arguments[8] & 1) != 0};
}

template <>
[[nodiscard]] inline std::size_t encoded_size(const basic_ack&) noexcept {
    return 9;
}

template <>
inline std::uint8_t* encode(std::uint8_t* to, const basic_ack& m) noexcept {
    to = wire::store(to, m.delivery_tag);
    *to = m.multiple ? 1 : 0;
    return to + 1;
}

}  // namespace linnet::amqp
