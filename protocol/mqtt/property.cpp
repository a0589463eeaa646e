#include "protocol/mqtt/property.hpp"

namespace linnet::mqtt {
namespace {

using enum property;

constexpr property_rules connect_rules{{session_expiry_interval, receive_maximum, maximum_packet_size,
                                        topic_alias_maximum, request_response_information, request_problem_information,
                                        user_property, authentication_method, authentication_data}};
constexpr property_rules connack_rules{
    {session_expiry_interval, receive_maximum, maximum_qos, retain_available, maximum_packet_size,
     assigned_client_identifier, topic_alias_maximum, reason_string, user_property, wildcard_subscription_available,
     subscription_identifier_available, shared_subscription_available, server_keep_alive, response_information,
     server_reference, authentication_method, authentication_data}};
constexpr property_rules publish_rules{{payload_format_indicator, message_expiry_interval, topic_alias, response_topic,
                                        correlation_data, user_property, subscription_identifier, content_type},
                                       {user_property, subscription_identifier}};
constexpr property_rules acknowledgement_rules{{reason_string, user_property}};
constexpr property_rules subscribe_rules{{subscription_identifier, user_property}};
constexpr property_rules unsubscribe_rules{{user_property}};
constexpr property_rules disconnect_rules{{session_expiry_interval, reason_string, user_property, server_reference}};
constexpr property_rules auth_rules{{authentication_method, authentication_data, reason_string, user_property}};
constexpr property_rules of_will{{will_delay_interval, payload_format_indicator, message_expiry_interval, content_type,
                                  response_topic, correlation_data, user_property}};
constexpr property_rules no_rules{{}, {}};

}  // namespace

const property_rules& rules_of(packet_type type) noexcept {
    switch (type) {
        case packet_type::connect: return connect_rules;
        case packet_type::connack: return connack_rules;
        case packet_type::publish: return publish_rules;
        case packet_type::puback:
        case packet_type::pubrec:
        case packet_type::pubrel:
        case packet_type::pubcomp:
        case packet_type::suback:
        case packet_type::unsuback: return acknowledgement_rules;
        case packet_type::subscribe: return subscribe_rules;
        case packet_type::unsubscribe: return unsubscribe_rules;
        case packet_type::disconnect: return disconnect_rules;
        case packet_type::auth: return auth_rules;
        case packet_type::pingreq:
        case packet_type::pingresp: return no_rules;
    }
    return no_rules;
}

const property_rules& will_rules() noexcept { return of_will; }

std::string_view property_name(property id) noexcept {
    switch (id) {
        case payload_format_indicator: return "Payload Format Indicator";
        case message_expiry_interval: return "Message Expiry Interval";
        case content_type: return "Content Type";
        case response_topic: return "Response Topic";
        case correlation_data: return "Correlation Data";
        case subscription_identifier: return "Subscription Identifier";
        case session_expiry_interval: return "Session Expiry Interval";
        case assigned_client_identifier: return "Assigned Client Identifier";
        case server_keep_alive: return "Server Keep Alive";
        case authentication_method: return "Authentication Method";
        case authentication_data: return "Authentication Data";
        case request_problem_information: return "Request Problem Information";
        case will_delay_interval: return "Will Delay Interval";
        case request_response_information: return "Request Response Information";
        case response_information: return "Response Information";
        case server_reference: return "Server Reference";
        case reason_string: return "Reason String";
        case receive_maximum: return "Receive Maximum";
        case topic_alias_maximum: return "Topic Alias Maximum";
        case topic_alias: return "Topic Alias";
        case maximum_qos: return "Maximum QoS";
        case retain_available: return "Retain Available";
        case user_property: return "User Property";
        case maximum_packet_size: return "Maximum Packet Size";
        case wildcard_subscription_available: return "Wildcard Subscription Available";
        case subscription_identifier_available: return "Subscription Identifier Available";
        case shared_subscription_available: return "Shared Subscription Available";
    }
    return {};
}

}  // namespace linnet::mqtt
