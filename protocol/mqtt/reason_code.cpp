#include "protocol/mqtt/reason_code.hpp"

#include <array>

namespace linnet::mqtt {
namespace {

using enum reason_code;

// The packets that may carry a code, a bit a type; DISCONNECT by who sends it, and AUTH.
enum carrier : std::uint16_t {
    connack = 1U << 0,
    puback = 1U << 1,
    pubrec = 1U << 2,
    pubrel = 1U << 3,
    pubcomp = 1U << 4,
    suback = 1U << 5,
    unsuback = 1U << 6,
    client_disconnect = 1U << 7,
    server_disconnect = 1U << 8,
    client_auth = 1U << 9,
    server_auth = 1U << 10,
    received = puback | pubrec,
    released = pubrel | pubcomp,
    subscribed = suback | unsuback,
    disconnect = client_disconnect | server_disconnect,
    auth = client_auth | server_auth,
};

struct entry {
    reason_code code;
    unsigned carriers;
    std::string_view name;
};

constexpr std::array<entry, 43> entries{{
    {success, connack | received | released | subscribed | disconnect | server_auth, "Success"},
    {granted_qos_1, suback, "Granted QoS 1"},
    {granted_qos_2, suback, "Granted QoS 2"},
    {disconnect_with_will, client_disconnect, "Disconnect with Will Message"},
    {no_matching_subscribers, received, "No matching subscribers"},
    {no_subscription_existed, unsuback, "No subscription existed"},
    {continue_authentication, auth, "Continue authentication"},
    {reauthenticate, client_auth, "Re-authenticate"},
    {unspecified_error, connack | received | subscribed | disconnect, "Unspecified error"},
    {malformed_packet, connack | disconnect, "Malformed Packet"},
    {protocol_error, connack | disconnect, "Protocol Error"},
    {implementation_specific_error, connack | received | subscribed | disconnect, "Implementation specific error"},
    {unsupported_protocol_version, connack, "Unsupported Protocol Version"},
    {client_identifier_not_valid, connack, "Client Identifier not valid"},
    {bad_user_name_or_password, connack, "Bad User Name or Password"},
    {not_authorized, connack | received | subscribed | server_disconnect, "Not authorized"},
    {server_unavailable, connack, "Server unavailable"},
    {server_busy, connack | server_disconnect, "Server busy"},
    {banned, connack, "Banned"},
    {server_shutting_down, server_disconnect, "Server shutting down"},
    {bad_authentication_method, connack | server_disconnect, "Bad authentication method"},
    {keep_alive_timeout, server_disconnect, "Keep Alive timeout"},
    {session_taken_over, server_disconnect, "Session taken over"},
    {topic_filter_invalid, subscribed | server_disconnect, "Topic Filter invalid"},
    {topic_name_invalid, connack | received | disconnect, "Topic Name invalid"},
    {packet_identifier_in_use, received | subscribed, "Packet Identifier in use"},
    {packet_identifier_not_found, released, "Packet Identifier not found"},
    {receive_maximum_exceeded, disconnect, "Receive Maximum exceeded"},
    {topic_alias_invalid, disconnect, "Topic Alias invalid"},
    {packet_too_large, connack | disconnect, "Packet too large"},
    {message_rate_too_high, disconnect, "Message rate too high"},
    {quota_exceeded, connack | received | suback | disconnect, "Quota exceeded"},
    {administrative_action, disconnect, "Administrative action"},
    {payload_format_invalid, connack | received | disconnect, "Payload format invalid"},
    {retain_not_supported, connack | server_disconnect, "Retain not supported"},
    {qos_not_supported, connack | server_disconnect, "QoS not supported"},
    {use_another_server, connack | server_disconnect, "Use another server"},
    {server_moved, connack | server_disconnect, "Server moved"},
    {shared_subscriptions_not_supported, suback | server_disconnect, "Shared Subscriptions not supported"},
    {connection_rate_exceeded, connack | server_disconnect, "Connection rate exceeded"},
    {maximum_connect_time, server_disconnect, "Maximum connect time"},
    {subscription_identifiers_not_supported, suback | server_disconnect, "Subscription Identifiers not supported"},
    {wildcard_subscriptions_not_supported, suback | server_disconnect, "Wildcard Subscriptions not supported"},
}};

constexpr auto index_of = [] {
    std::array<std::uint8_t, 256> index{};  // 0: none, else one more than the place
    for (std::size_t i = 0; i < entries.size(); ++i)
        index[static_cast<std::uint8_t>(entries[i].code)] = static_cast<std::uint8_t>(i + 1);
    return index;
}();

const entry* find(reason_code code) noexcept {
    const std::size_t place = index_of[static_cast<std::uint8_t>(code)];
    return place == 0 ? nullptr : &entries[place - 1];
}

unsigned carrier_of(packet_type type, role sender) noexcept {
    const bool client = sender == role::client;
    switch (type) {
        case packet_type::connack: return connack;
        case packet_type::puback: return puback;
        case packet_type::pubrec: return pubrec;
        case packet_type::pubrel: return pubrel;
        case packet_type::pubcomp: return pubcomp;
        case packet_type::suback: return suback;
        case packet_type::unsuback: return unsuback;
        case packet_type::disconnect: return client ? client_disconnect : server_disconnect;
        case packet_type::auth: return client ? client_auth : server_auth;
        case packet_type::connect:
        case packet_type::publish:
        case packet_type::subscribe:
        case packet_type::unsubscribe:
        case packet_type::pingreq:
        case packet_type::pingresp: return 0;
    }
    return 0;
}

}  // namespace

std::string_view reason_name(reason_code code) noexcept {
    const entry* known = find(code);
    return known == nullptr ? std::string_view{} : known->name;
}

bool is_legal(reason_code code, packet_type type, role sender) noexcept {
    const entry* known = find(code);
    return known != nullptr && (known->carriers & carrier_of(type, sender)) != 0;
}

std::optional<std::uint8_t> return_code_of(reason_code code) noexcept {
    switch (code) {
        case success: return std::uint8_t{0};
        case unsupported_protocol_version: return std::uint8_t{1};
        case client_identifier_not_valid: return std::uint8_t{2};
        case unspecified_error:
        case implementation_specific_error:
        case server_unavailable:
        case server_busy:
        case server_shutting_down:
        case use_another_server:
        case server_moved:
        case connection_rate_exceeded: return std::uint8_t{3};
        case bad_user_name_or_password:
        case bad_authentication_method: return std::uint8_t{4};
        case not_authorized:
        case banned:
        case quota_exceeded: return std::uint8_t{5};  // as RabbitMQ
        case granted_qos_1:
        case granted_qos_2:
        case disconnect_with_will:
        case no_matching_subscribers:
        case no_subscription_existed:
        case continue_authentication:
        case reauthenticate:
        case malformed_packet:
        case protocol_error:
        case keep_alive_timeout:
        case session_taken_over:
        case topic_filter_invalid:
        case topic_name_invalid:
        case packet_identifier_in_use:
        case packet_identifier_not_found:
        case receive_maximum_exceeded:
        case topic_alias_invalid:
        case packet_too_large:
        case message_rate_too_high:
        case administrative_action:
        case payload_format_invalid:
        case retain_not_supported:
        case qos_not_supported:
        case shared_subscriptions_not_supported:
        case maximum_connect_time:
        case subscription_identifiers_not_supported:
        case wildcard_subscriptions_not_supported: return std::nullopt;
    }
    return std::nullopt;
}

std::optional<reason_code> reason_of_return_code(std::uint8_t code) noexcept {
    constexpr std::array reasons{success,
                                 unsupported_protocol_version,
                                 client_identifier_not_valid,
                                 server_unavailable,
                                 bad_user_name_or_password,
                                 not_authorized};
    return code < reasons.size() ? std::optional{reasons[code]} : std::nullopt;
}

}  // namespace linnet::mqtt
