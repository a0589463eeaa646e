#include "protocol/mqtt/fault.hpp"

namespace linnet::mqtt {

reason_code reason_code_of(fault why) noexcept {
    switch (why) {
        case fault::packet_type_reserved:
        case fault::flags_reserved:
        case fault::qos_invalid:
        case fault::remaining_length_too_long:
        case fault::varint_not_minimal:
        case fault::packet_truncated:
        case fault::packet_overlong:
        case fault::string_not_utf8:
        case fault::string_has_nul:
        case fault::varint_too_long:
        case fault::property_length_wrong:
        case fault::property_unknown:
        case fault::property_not_allowed:
        case fault::connect_flag_reserved:
        case fault::will_flags_without_will:
        case fault::will_qos_invalid:
        case fault::password_without_user_name:
        case fault::connack_flags_reserved:
        case fault::subscription_options_reserved: return reason_code::malformed_packet;
        case fault::connect_expected:
        case fault::packet_type_unexpected:
        case fault::dup_without_qos:
        case fault::packet_id_zero:
        case fault::reason_code_illegal:
        case fault::reason_codes_missing:
        case fault::property_repeated:
        case fault::property_value_illegal:
        case fault::subscription_id_from_client:
        case fault::session_expiry_from_server:
        case fault::response_topic_invalid:
        case fault::authentication_data_without_method:
        case fault::authentication_method_missing:
        case fault::session_present_with_failure:
        case fault::topic_name_missing:
        case fault::topic_filters_missing:
        case fault::subscription_qos_invalid:
        case fault::retain_handling_invalid:
        case fault::no_local_on_shared: return reason_code::protocol_error;
        case fault::protocol_name_unknown:
        case fault::protocol_version_unsupported: return reason_code::unsupported_protocol_version;
        case fault::topic_name_has_wildcard: return reason_code::topic_name_invalid;
        case fault::topic_filter_empty:
        case fault::topic_filter_wildcard_misplaced:
        case fault::share_name_invalid:
        case fault::shared_filter_missing: return reason_code::topic_filter_invalid;
        case fault::packet_too_large: return reason_code::packet_too_large;
    }
    return reason_code::unspecified_error;
}

std::string_view describe(fault why) noexcept {
    switch (why) {
        case fault::connect_expected: return "the first packet is not CONNECT [MQTT-3.1.0-1]";
        case fault::packet_type_reserved: return "reserved packet type [2.1.2]";
        case fault::packet_type_unexpected: return "this side does not send such a packet [2.1.2]";
        case fault::flags_reserved: return "reserved flags of the fixed header [MQTT-2.1.3-1] (3.1.1: [MQTT-2.2.2-2])";
        case fault::qos_invalid: return "both QoS bits are set [MQTT-3.3.1-4]";
        case fault::dup_without_qos: return "DUP is set with QoS 0 [MQTT-3.3.1-2]";
        case fault::remaining_length_too_long: return "remaining length of more than four bytes [2.1.4]";
        case fault::varint_not_minimal: return "variable byte integer longer than need be [MQTT-1.5.5-1]";
        case fault::packet_too_large: return "packet exceeds the maximum packet size [MQTT-3.2.2-15]";
        case fault::packet_truncated: return "packet shorter than its fields";
        case fault::packet_overlong: return "bytes behind the packet's last field";
        case fault::string_not_utf8: return "string is not well-formed UTF-8 [MQTT-1.5.4-1]";
        case fault::string_has_nul: return "string holds U+0000 [MQTT-1.5.4-2]";
        case fault::varint_too_long: return "variable byte integer of more than four bytes [1.5.5]";
        case fault::packet_id_zero: return "packet identifier is 0 [MQTT-2.2.1-3] (3.1.1: [MQTT-2.3.1-1])";
        case fault::reason_code_illegal: return "reason code that this packet does not have [2.4]";
        case fault::reason_codes_missing: return "no reason code [MQTT-3.8.4-6]";
        case fault::property_length_wrong: return "properties reach beyond their length [2.2.2.1]";
        case fault::property_unknown: return "unknown property [2.2.2.2]";
        case fault::property_not_allowed: return "property that this packet does not have [2.2.2.2]";
        case fault::property_repeated: return "property occurs more than once [2.2.2.2]";
        case fault::property_value_illegal: return "value that this property may not have [2.2.2.2]";
        case fault::subscription_id_from_client: return "PUBLISH by a client with a subscription id [MQTT-3.3.4-6]";
        case fault::session_expiry_from_server: return "DISCONNECT by a server with a session expiry [MQTT-3.14.2-2]";
        case fault::response_topic_invalid: return "response topic is empty or has wildcards [MQTT-3.3.2-14]";
        case fault::authentication_data_without_method: return "authentication data without a method [3.1.2.11.10]";
        case fault::authentication_method_missing: return "AUTH without an authentication method [3.15.2.2.2]";
        case fault::protocol_name_unknown: return "unknown protocol name [MQTT-3.1.2-1]";
        case fault::protocol_version_unsupported: return "unsupported protocol version [MQTT-3.1.2-2]";
        case fault::connect_flag_reserved: return "CONNECT's reserved flag is set [MQTT-3.1.2-3]";
        case fault::will_flags_without_will:
            return "will QoS or retain without a will [MQTT-3.1.2-11], [MQTT-3.1.2-13]";
        case fault::will_qos_invalid: return "will QoS is 3 [MQTT-3.1.2-12]";
        case fault::password_without_user_name: return "password without a user name (3.1.1: [MQTT-3.1.2-22])";
        case fault::connack_flags_reserved: return "reserved CONNACK flags are set [MQTT-3.2.2-1]";
        case fault::session_present_with_failure: return "session present in a refusal [MQTT-3.2.2-6]";
        case fault::topic_name_missing: return "empty topic name [MQTT-4.7.3-1] without a topic alias [3.3.2.1]";
        case fault::topic_name_has_wildcard: return "topic name has wildcards [MQTT-3.3.2-2]";
        case fault::topic_filter_empty: return "empty topic filter [MQTT-4.7.3-1]";
        case fault::topic_filter_wildcard_misplaced:
            return "wildcard that is no level of its own, or # before the end [MQTT-4.7.1-1], [MQTT-4.7.1-2]";
        case fault::share_name_invalid: return "share name is empty or has wildcards [MQTT-4.8.2-1], [MQTT-4.8.2-2]";
        case fault::shared_filter_missing: return "share name without a topic filter [MQTT-4.8.2-2]";
        case fault::topic_filters_missing:
            return "no topic filter [MQTT-3.8.3-2], [MQTT-3.10.3-2] (3.1.1: [MQTT-3.8.3-3])";
        case fault::subscription_options_reserved:
            return "reserved subscription options [MQTT-3.8.3-5] (3.1.1: [MQTT-3-8.3-4])";
        case fault::subscription_qos_invalid: return "maximum QoS is 3 [3.8.3.1] (3.1.1: [MQTT-3-8.3-4])";
        case fault::retain_handling_invalid: return "retain handling is 3 [3.8.3.1]";
        case fault::no_local_on_shared: return "no local on a shared subscription [MQTT-3.8.3-4]";
    }
    return "unknown fault";
}

}  // namespace linnet::mqtt
