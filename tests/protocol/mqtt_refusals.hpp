// MQTT packets that are wrong, each in its own way.
#pragma once

#include "protocol/mqtt/fault.hpp"
#include "tests/protocol/mqtt_support.hpp"

#include <string_view>

namespace linnet::mqtt::test {

struct refusal {
    std::string_view hex;
    dialect spoken;
    fault why;
};

// Whatever can be wrong in a body, packet by packet. Properties have a table of their own.
inline constexpr refusal refusals[] = {
    // [MQTT-3.1.2-1] "MQTt", "MQIsd"
    {"10 0d 00 04 4d 51 54 74 05 02 00 00 00 00 00", nobody, fault::protocol_name_unknown},
    {"10 0e 00 05 4d 51 49 73 64 03 02 00 00 00 01 61", nobody, fault::protocol_name_unknown},
    // [MQTT-3.1.2-2] levels that do not go with the name, or with anything
    {"10 0c 00 04 4d 51 54 54 03 02 00 00 00 00", nobody, fault::protocol_version_unsupported},
    {"10 0d 00 04 4d 51 54 54 06 02 00 00 00 00 00", nobody, fault::protocol_version_unsupported},
    {"10 0e 00 06 4d 51 49 73 64 70 04 02 00 00 00 00", nobody, fault::protocol_version_unsupported},
    // [MQTT-3.1.2-3]
    {"10 0d 00 04 4d 51 54 54 05 03 00 00 00 00 00", nobody, fault::connect_flag_reserved},
    {"10 0c 00 04 4d 51 54 54 04 01 00 00 00 00", nobody, fault::connect_flag_reserved},
    // [MQTT-2.1.3-1]; 3.1.1: [MQTT-2.2.2-2]
    {"12 0d 00 04 4d 51 54 54 05 02 00 00 00 00 00", nobody, fault::flags_reserved},
    {"11 0c 00 04 4d 51 54 54 04 02 00 00 00 00", nobody, fault::flags_reserved},
    // [MQTT-3.1.2-11] [MQTT-3.1.2-13]
    {"10 0d 00 04 4d 51 54 54 05 0a 00 00 00 00 00", nobody, fault::will_flags_without_will},
    {"10 0d 00 04 4d 51 54 54 05 22 00 00 00 00 00", nobody, fault::will_flags_without_will},
    {"10 0c 00 04 4d 51 54 54 04 10 00 00 00 00", nobody, fault::will_flags_without_will},
    {"10 0c 00 04 4d 51 54 54 04 22 00 00 00 00", nobody, fault::will_flags_without_will},
    // [MQTT-3.1.2-12]; 3.1.1: [MQTT-3.1.2-14]
    {"10 14 00 04 4d 51 54 54 05 1e 00 00 00 00 00 00 00 01 77 00 01 78", nobody, fault::will_qos_invalid},
    {"10 12 00 04 4d 51 54 54 04 1e 00 00 00 00 00 01 77 00 01 78", nobody, fault::will_qos_invalid},
    // 3.1.1: [MQTT-3.1.2-22]; in MQTT 5 it is allowed.
    {"10 0f 00 04 4d 51 54 54 04 42 00 00 00 00 00 01 70", nobody, fault::password_without_user_name},
    // [MQTT-3.1.3-4] [MQTT-1.5.4-1] [MQTT-1.5.4-2]
    {"10 0e 00 04 4d 51 54 54 05 02 00 00 00 00 01 ff", nobody, fault::string_not_utf8},
    {"10 0e 00 04 4d 51 54 54 05 02 00 00 00 00 01 00", nobody, fault::string_has_nul},
    {"10 0d 00 04 4d 51 54 54 04 02 00 00 00 01 ff", nobody, fault::string_not_utf8},
    {"10 10 00 04 4d 51 54 54 05 82 00 00 00 00 00 00 01 ff", nobody, fault::string_not_utf8},  // [MQTT-3.1.3-12]
    {"10 0f 00 04 4d 51 54 54 04 82 00 00 00 00 00 01 ff", nobody, fault::string_not_utf8},  // 3.1.1: [MQTT-3.1.3-11]
    // [MQTT-3.1.3-11] [MQTT-3.3.2-2] [MQTT-4.7.3-1] The will's topic is a name like any other.
    {"10 14 00 04 4d 51 54 54 05 06 00 00 00 00 00 00 00 01 23 00 01 78", nobody, fault::topic_name_has_wildcard},
    {"10 13 00 04 4d 51 54 54 05 06 00 00 00 00 00 00 00 00 00 01 78", nobody, fault::topic_name_missing},
    {"10 14 00 04 4d 51 54 54 05 06 00 00 00 00 00 00 00 01 80 00 01 78", nobody, fault::string_not_utf8},
    {"10 12 00 04 4d 51 54 54 04 06 00 00 00 00 00 01 ff 00 01 78", nobody, fault::string_not_utf8},
    // [MQTT-3.1.2-17] [MQTT-3.1.2-19] announced, and not there
    {"10 0d 00 04 4d 51 54 54 05 82 00 00 00 00 00", nobody, fault::packet_truncated},
    {"10 0c 00 04 4d 51 54 54 04 82 00 00 00 00", nobody, fault::packet_truncated},
    {"10 0d 00 04 4d 51 54 54 05 42 00 00 00 00 00", nobody, fault::packet_truncated},
    {"10 0f 00 04 4d 51 54 54 04 c2 00 00 00 00 00 01 75", nobody, fault::packet_truncated},
    // [MQTT-3.1.2-9]
    {"10 0d 00 04 4d 51 54 54 05 06 00 00 00 00 00", nobody, fault::packet_truncated},
    {"10 0c 00 04 4d 51 54 54 04 06 00 00 00 00", nobody, fault::packet_truncated},
    // [MQTT-3.1.2-16] [MQTT-3.1.2-18] not announced, and there
    {"10 10 00 04 4d 51 54 54 05 02 00 00 00 00 00 00 01 75", nobody, fault::packet_overlong},
    {"10 0f 00 04 4d 51 54 54 04 02 00 00 00 00 00 01 75", nobody, fault::packet_overlong},
    {"10 13 00 04 4d 51 54 54 05 82 00 00 00 00 00 00 01 75 00 01 70", nobody, fault::packet_overlong},
    {"10 12 00 04 4d 51 54 54 04 82 00 00 00 00 00 01 75 00 01 70", nobody, fault::packet_overlong},
    {"10 00", nobody, fault::packet_truncated},
    // [MQTT-3.2.2-1]
    {"20 03 02 00 00", server_5, fault::connack_flags_reserved},
    {"20 02 80 00", server_3_1_1, fault::connack_flags_reserved},
    // [MQTT-3.2.2-6]
    {"20 03 01 87 00", server_5, fault::session_present_with_failure},
    {"20 02 01 05", server_3_1_1, fault::session_present_with_failure},
    // [MQTT-3.2.2-8]
    {"20 03 00 01 00", server_5, fault::reason_code_illegal},
    {"20 02 00 06", server_3_1_1, fault::reason_code_illegal},
    {"20 02 00 00", server_5, fault::packet_truncated},
    // [MQTT-3.3.2-2]
    {"30 06 00 03 61 2f 2b 00", client_5, fault::topic_name_has_wildcard},
    {"30 06 00 03 61 2f 23 00", server_5, fault::topic_name_has_wildcard},
    {"30 05 00 03 61 2f 23", client_3_1, fault::topic_name_has_wildcard},
    // [MQTT-3.3.2-1]
    {"30 04 00 01 c0 00", client_5, fault::string_not_utf8},
    {"30 03 00 01 c0", client_3_1_1, fault::string_not_utf8},
    {"30 05 00 03 61 2f 23", client_3_1_1, fault::topic_name_has_wildcard},
    {"30 04 00 01 00 00", client_5, fault::string_has_nul},
    {"30 03 00 02 61", client_5, fault::packet_truncated},
    {"30 01 00", client_5, fault::packet_truncated},
    {"30 03 00 01 61", client_5, fault::packet_truncated},  // [MQTT-2.2.2-1] no property length
    // [MQTT-4.7.3-1] and 3.3.2.1
    {"30 03 00 00 00", client_5, fault::topic_name_missing},
    {"30 02 00 00", client_3_1_1, fault::topic_name_missing},
    // [MQTT-2.2.1-3] [MQTT-2.2.1-4]; 3.1.1: [MQTT-2.3.1-1]
    {"32 06 00 01 61 00 00 00", client_5, fault::packet_id_zero},
    {"34 05 00 01 61 00 00", server_3_1_1, fault::packet_id_zero},
    {"32 04 00 01 61 00", client_3_1_1, fault::packet_truncated},
    {"40 02 00 00", client_5, fault::packet_id_zero},
    {"82 07 00 00 00 00 01 61 00", client_5, fault::packet_id_zero},
    {"a2 06 00 00 00 00 01 61", client_5, fault::packet_id_zero},
    {"90 04 00 00 00 00", server_5, fault::packet_id_zero},
    // [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
    {"40 03 00 01 92", client_5, fault::reason_code_illegal},
    {"50 03 00 01 01", client_5, fault::reason_code_illegal},
    {"62 03 00 01 10", client_5, fault::reason_code_illegal},
    {"70 03 00 01 ff", client_5, fault::reason_code_illegal},
    {"40 01 00", client_5, fault::packet_truncated},
    {"40 05 00 01 00 01 26", client_5, fault::property_length_wrong},
    {"40 04 00 01 00 05", client_5, fault::property_length_wrong},
    // [MQTT-3.8.3-2]; 3.1.1: [MQTT-3.8.3-3]
    {"82 03 00 01 00", client_5, fault::topic_filters_missing},
    {"82 02 00 01", client_3_1_1, fault::topic_filters_missing},
    // [MQTT-3.8.3-1]
    {"82 07 00 01 00 00 01 ff 00", client_5, fault::string_not_utf8},
    {"82 06 00 01 00 01 ff 00", client_3_1_1, fault::string_not_utf8},
    {"82 07 00 01 00 00 01 00 00", client_5, fault::string_has_nul},
    {"82 06 00 01 00 00 01 61", client_5, fault::packet_truncated},
    {"82 08 00 01 00 00 01 61 00 00", client_5, fault::packet_truncated},
    // [MQTT-3.8.3-5]; 3.1.1: [MQTT-3-8.3-4]
    {"82 07 00 01 00 00 01 61 40", client_5, fault::subscription_options_reserved},
    {"82 07 00 01 00 00 01 61 80", client_5, fault::subscription_options_reserved},
    {"82 06 00 01 00 01 61 04", client_3_1_1, fault::subscription_options_reserved},
    {"82 07 00 01 00 00 01 61 03", client_5, fault::subscription_qos_invalid},
    {"82 06 00 01 00 01 61 03", client_3_1_1, fault::subscription_qos_invalid},
    {"82 06 00 01 00 01 61 03", client_3_1, fault::subscription_qos_invalid},
    {"82 07 00 01 00 00 01 61 30", client_5, fault::retain_handling_invalid},
    // [MQTT-3.8.3-4] "$share/g/a"
    {"82 10 00 01 00 00 0a 24 73 68 61 72 65 2f 67 2f 61 04", client_5, fault::no_local_on_shared},
    // [MQTT-4.7.3-1] [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.8.2-1] [MQTT-4.8.2-2]
    {"82 06 00 01 00 00 00 00", client_5, fault::topic_filter_empty},
    {"82 09 00 01 00 00 03 23 2f 61 00", client_5, fault::topic_filter_wildcard_misplaced},
    {"82 08 00 01 00 00 02 61 2b 00", client_5, fault::topic_filter_wildcard_misplaced},
    {"82 0f 00 01 00 00 09 24 73 68 61 72 65 2f 2f 61 00", client_5, fault::share_name_invalid},
    {"82 0e 00 01 00 00 08 24 73 68 61 72 65 2f 67 00", client_5, fault::shared_filter_missing},
    // [MQTT-3.9.3-2] [MQTT-3.8.4-6]
    {"90 04 00 01 00 03", server_5, fault::reason_code_illegal},
    {"90 03 00 01 03", server_3_1_1, fault::reason_code_illegal},
    {"90 03 00 01 00", server_5, fault::reason_codes_missing},
    // [MQTT-3.10.3-1] [MQTT-3.10.3-2]
    {"a2 06 00 01 00 00 01 ff", client_5, fault::string_not_utf8},
    {"a2 05 00 01 00 01 ff", client_3_1_1, fault::string_not_utf8},
    {"a2 03 00 01 00", client_5, fault::topic_filters_missing},
    {"a2 02 00 01", client_3_1_1, fault::topic_filters_missing},
    // [MQTT-3.11.3-2]
    {"b0 04 00 01 00 01", server_5, fault::reason_code_illegal},
    {"b0 03 00 01 00", server_5, fault::reason_codes_missing},
    {"b0 03 00 01 00", server_3_1_1, fault::packet_overlong},
    // [MQTT-3.14.2-1]
    {"e0 01 01", client_5, fault::reason_code_illegal},
    {"e0 01 8b", client_5, fault::reason_code_illegal},
    {"e0 01 04", server_5, fault::reason_code_illegal},
    // [MQTT-3.14.2-2]
    {"e0 07 00 05 11 00 00 00 01", server_5, fault::session_expiry_from_server},
    // [MQTT-3.15.2-1]
    {"f0 00", client_5, fault::reason_code_illegal},
    {"f0 06 19 04 15 00 01 61", server_5, fault::reason_code_illegal},
    {"f0 02 18 00", client_5, fault::authentication_method_missing},
    {"f0 01 18", client_5, fault::packet_truncated},
};

}  // namespace linnet::mqtt::test
