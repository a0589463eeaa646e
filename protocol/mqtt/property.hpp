// The 27 properties of MQTT 5: their numbers, the types of their values, and which packet may have which.
#pragma once

#include "protocol/mqtt/constants.hpp"
#include "protocol/wire/bytes.hpp"

#include <array>
#include <initializer_list>
#include <string_view>

namespace linnet::mqtt {

enum class property : std::uint8_t {
    payload_format_indicator = 0x01,
    message_expiry_interval = 0x02,
    content_type = 0x03,
    response_topic = 0x08,
    correlation_data = 0x09,
    subscription_identifier = 0x0B,
    session_expiry_interval = 0x11,
    assigned_client_identifier = 0x12,
    server_keep_alive = 0x13,
    authentication_method = 0x15,
    authentication_data = 0x16,
    request_problem_information = 0x17,
    will_delay_interval = 0x18,
    request_response_information = 0x19,
    response_information = 0x1A,
    server_reference = 0x1C,
    reason_string = 0x1F,
    receive_maximum = 0x21,
    topic_alias_maximum = 0x22,
    topic_alias = 0x23,
    maximum_qos = 0x24,
    retain_available = 0x25,
    user_property = 0x26,
    maximum_packet_size = 0x27,
    wildcard_subscription_available = 0x28,
    subscription_identifier_available = 0x29,
    shared_subscription_available = 0x2A,
};

inline constexpr std::size_t property_count = 27;
inline constexpr std::uint8_t property_id_max = 0x2A;

enum class property_type : std::uint8_t { none, byte, u16, u32, varint, text, binary, text_pair };

namespace detail {

inline constexpr auto property_types = [] {
    std::array<property_type, property_id_max + 1> types{};
    const auto set = [&](property_type type, std::initializer_list<property> ids) {
        for (const property id : ids)
            types[static_cast<std::size_t>(id)] = type;
    };
    using enum property;
    set(property_type::byte, {payload_format_indicator, request_problem_information, request_response_information,
                              maximum_qos, retain_available, wildcard_subscription_available,
                              subscription_identifier_available, shared_subscription_available});
    set(property_type::u16, {server_keep_alive, receive_maximum, topic_alias_maximum, topic_alias});
    set(property_type::u32,
        {message_expiry_interval, session_expiry_interval, will_delay_interval, maximum_packet_size});
    set(property_type::varint, {subscription_identifier});
    set(property_type::text, {content_type, response_topic, assigned_client_identifier, authentication_method,
                              response_information, server_reference, reason_string});
    set(property_type::binary, {correlation_data, authentication_data});
    set(property_type::text_pair, {user_property});
    return types;
}();

}  // namespace detail

// `none` for numbers that are no property.
constexpr property_type type_of(property id) noexcept {
    const auto number = static_cast<std::size_t>(id);
    return number < detail::property_types.size() ? detail::property_types[number] : property_type::none;
}

// The specification's name of it (table 2-4); empty for what is none.
[[nodiscard]] std::string_view property_name(property id) noexcept;

// A set of properties, a bit each.
class property_set {
public:
    constexpr property_set() noexcept = default;
    constexpr property_set(std::initializer_list<property> ids) noexcept {
        for (const property id : ids)
            add(id);
    }

    constexpr void add(property id) noexcept { bits_ |= bit(id); }
    [[nodiscard]] constexpr bool contains(property id) const noexcept { return (bits_ & bit(id)) != 0; }
    [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
    [[nodiscard]] constexpr bool overlaps(property_set other) const noexcept { return (bits_ & other.bits_) != 0; }
    constexpr bool operator==(const property_set&) const = default;

private:
    static constexpr std::uint64_t bit(property id) noexcept {
        return std::uint64_t{1} << (static_cast<unsigned>(id) & 63U);
    }

    std::uint64_t bits_ = 0;
};

// What a block of properties may hold. A will has a block of its own within CONNECT.
struct property_rules {
    property_set allowed{};
    property_set repeatable{property::user_property};
};

[[nodiscard]] const property_rules& rules_of(packet_type type) noexcept;
[[nodiscard]] const property_rules& will_rules() noexcept;

}  // namespace linnet::mqtt
