// Why bytes that a peer has sent are not MQTT, which clause says so, and what to tell the peer.
//
// Clauses are MQTT 5's; where 3.1.1 numbers the same rule differently, or alone has it, that is said.
#pragma once

#include "protocol/mqtt/reason_code.hpp"
#include "protocol/wire/decoded.hpp"

namespace linnet::mqtt {

enum class fault : std::uint8_t {
    // The fixed header.
    connect_expected,
    packet_type_reserved,
    packet_type_unexpected,
    flags_reserved,
    qos_invalid,
    dup_without_qos,
    remaining_length_too_long,
    varint_not_minimal,
    packet_too_large,
    // Any body.
    packet_truncated,
    packet_overlong,
    string_not_utf8,
    string_has_nul,
    varint_too_long,
    packet_id_zero,
    reason_code_illegal,
    reason_codes_missing,
    // Properties.
    property_length_wrong,
    property_unknown,
    property_not_allowed,
    property_repeated,
    property_value_illegal,
    subscription_id_from_client,
    session_expiry_from_server,
    response_topic_invalid,
    authentication_data_without_method,
    authentication_method_missing,
    // CONNECT and CONNACK.
    protocol_name_unknown,
    protocol_version_unsupported,
    connect_flag_reserved,
    will_flags_without_will,
    will_qos_invalid,
    password_without_user_name,
    connack_flags_reserved,
    session_present_with_failure,
    // Topics and filters.
    topic_name_missing,
    topic_name_has_wildcard,
    topic_filter_empty,
    topic_filter_wildcard_misplaced,
    share_name_invalid,
    shared_filter_missing,
    topic_filters_missing,
    subscription_options_reserved,
    subscription_qos_invalid,
    retain_handling_invalid,
    no_local_on_shared,
};

template <class Value>
using decoded = wire::decoded<Value, fault>;

using refused = wire::malformed<fault>;

// For CONNACK or DISCONNECT. MQTT 3 just closes, except that CONNECT's refusals may have a return code.
[[nodiscard]] reason_code reason_code_of(fault why) noexcept;

// In the specification's words, with the clause in brackets.
[[nodiscard]] std::string_view describe(fault why) noexcept;

inline constexpr fault last_fault = fault::no_local_on_shared;

}  // namespace linnet::mqtt
