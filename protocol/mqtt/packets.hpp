// The control packets, as values that view the bytes they were decoded from (decode.hpp) or that they will be
// written from (encode.hpp). Properties are MQTT 5's; in MQTT 3 they are empty, and not written.
//
// Owns:     nothing.
#pragma once

#include "protocol/mqtt/property_block.hpp"
#include "protocol/mqtt/subscription_list.hpp"

namespace linnet::mqtt {

struct will {
    std::string_view topic{};
    wire::bytes_view payload{};
    mqtt::qos qos = qos::at_most_once;
    bool retain = false;
    property_block properties{};
};

struct connect {
    static constexpr packet_type type = packet_type::connect;

    version spoken = version::v5;
    bool clean_start = true;  // "clean session" in MQTT 3
    std::uint16_t keep_alive_s = 0;
    property_block properties{};
    std::string_view client_id{};
    std::optional<mqtt::will> will{};
    std::optional<std::string_view> user_name{};
    std::optional<wire::bytes_view> password{};
};

// A client id that must be refused with client_identifier_not_valid: empty where the server could not find
// the session again. 3.1.1 [MQTT-3.1.3-7], [MQTT-3.1.3-8]; in MQTT 3.1 it may never be empty.
[[nodiscard]] constexpr bool client_id_is_missing(const connect& c) noexcept {
    if (!c.client_id.empty() || c.spoken == version::v5)
        return false;
    return c.spoken == version::v3_1 || !c.clean_start;
}

// In MQTT 3 the reason is what the return code means; see return_code_of() for those that have none.
struct connack {
    static constexpr packet_type type = packet_type::connack;

    bool session_present = false;
    reason_code reason = reason_code::success;
    property_block properties{};
};

struct publish {
    static constexpr packet_type type = packet_type::publish;

    std::string_view topic{};  // empty: properties have a topic alias
    wire::bytes_view payload{};
    property_block properties{};
    std::uint16_t packet_id = 0;  // QoS 0 has none
    mqtt::qos qos = qos::at_most_once;
    bool dup = false;
    bool retain = false;

    [[nodiscard]] constexpr std::uint8_t flags() const noexcept {
        return static_cast<std::uint8_t>((dup ? 8U : 0U) | static_cast<unsigned>(qos) << 1 | (retain ? 1U : 0U));
    }
};

// PUBACK, PUBREC, PUBREL and PUBCOMP. MQTT 3 has no reason: what would be a failure is a success there.
template <packet_type Type>
struct acknowledgement {
    static constexpr packet_type type = Type;

    std::uint16_t packet_id = 0;
    reason_code reason = reason_code::success;
    property_block properties{};
};

using puback = acknowledgement<packet_type::puback>;
using pubrec = acknowledgement<packet_type::pubrec>;
using pubrel = acknowledgement<packet_type::pubrel>;
using pubcomp = acknowledgement<packet_type::pubcomp>;

struct subscribe {
    static constexpr packet_type type = packet_type::subscribe;

    std::uint16_t packet_id = 0;
    property_block properties{};
    subscription_list subscriptions{};
};

struct unsubscribe {
    static constexpr packet_type type = packet_type::unsubscribe;

    std::uint16_t packet_id = 0;
    property_block properties{};
    filter_list filters{};
};

// A reason code for each filter, a byte each, in their order. MQTT 3.1.1 has 0x80 for all failures: the
// encoder sees to it. MQTT 3's UNSUBACK has no codes.
struct suback {
    static constexpr packet_type type = packet_type::suback;

    std::uint16_t packet_id = 0;
    property_block properties{};
    wire::bytes_view reasons{};
};

struct unsuback {
    static constexpr packet_type type = packet_type::unsuback;

    std::uint16_t packet_id = 0;
    property_block properties{};
    wire::bytes_view reasons{};
};

struct pingreq {
    static constexpr packet_type type = packet_type::pingreq;
};

struct pingresp {
    static constexpr packet_type type = packet_type::pingresp;
};

struct disconnect {
    static constexpr packet_type type = packet_type::disconnect;

    reason_code reason = reason_code::success;
    property_block properties{};
};

struct auth {
    static constexpr packet_type type = packet_type::auth;

    reason_code reason = reason_code::success;
    property_block properties{};
};

template <class T>
concept packet = requires {
    { T::type } -> std::convertible_to<packet_type>;
};

}  // namespace linnet::mqtt
