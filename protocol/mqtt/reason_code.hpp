// MQTT 5's reason codes, which of them each packet may carry, and what MQTT 3 has in their place.
#pragma once

#include "protocol/mqtt/constants.hpp"

#include <optional>

namespace linnet::mqtt {

// 0x00 is also "normal disconnection" and "granted QoS 0": one number, one name.
enum class reason_code : std::uint8_t {
    success = 0x00,
    granted_qos_1 = 0x01,
    granted_qos_2 = 0x02,
    disconnect_with_will = 0x04,
    no_matching_subscribers = 0x10,
    no_subscription_existed = 0x11,
    continue_authentication = 0x18,
    reauthenticate = 0x19,
    unspecified_error = 0x80,
    malformed_packet = 0x81,
    protocol_error = 0x82,
    implementation_specific_error = 0x83,
    unsupported_protocol_version = 0x84,
    client_identifier_not_valid = 0x85,
    bad_user_name_or_password = 0x86,
    not_authorized = 0x87,
    server_unavailable = 0x88,
    server_busy = 0x89,
    banned = 0x8A,
    server_shutting_down = 0x8B,
    bad_authentication_method = 0x8C,
    keep_alive_timeout = 0x8D,
    session_taken_over = 0x8E,
    topic_filter_invalid = 0x8F,
    topic_name_invalid = 0x90,
    packet_identifier_in_use = 0x91,
    packet_identifier_not_found = 0x92,
    receive_maximum_exceeded = 0x93,
    topic_alias_invalid = 0x94,
    packet_too_large = 0x95,
    message_rate_too_high = 0x96,
    quota_exceeded = 0x97,
    administrative_action = 0x98,
    payload_format_invalid = 0x99,
    retain_not_supported = 0x9A,
    qos_not_supported = 0x9B,
    use_another_server = 0x9C,
    server_moved = 0x9D,
    shared_subscriptions_not_supported = 0x9E,
    connection_rate_exceeded = 0x9F,
    maximum_connect_time = 0xA0,
    subscription_identifiers_not_supported = 0xA1,
    wildcard_subscriptions_not_supported = 0xA2,
};

// The specification's name of it (table 2-6); empty for a number that is none.
[[nodiscard]] std::string_view reason_name(reason_code code) noexcept;

constexpr bool is_failure(reason_code code) noexcept { return static_cast<std::uint8_t>(code) >= 0x80; }

// Whether a packet of that type, from that side, may carry the code in MQTT 5: the tables of its section.
// A server's DISCONNECT with 0x00 is let pass: table 3-10 gives it to clients only, and servers send it.
[[nodiscard]] bool is_legal(reason_code code, packet_type type, role sender) noexcept;

// CONNACK's code in MQTT 3 (table 3.1 of 3.1.1); none where it has no word for the reason, and the
// server closes without one.
[[nodiscard]] std::optional<std::uint8_t> return_code_of(reason_code code) noexcept;
// And back; none for the numbers that are reserved.
[[nodiscard]] std::optional<reason_code> reason_of_return_code(std::uint8_t code) noexcept;

}  // namespace linnet::mqtt
