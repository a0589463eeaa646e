#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"
#include "broker/session/mqtt_subscriptions.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace linnet::session {

// What the core keeps of an MQTT session for the next connection (core/client.hpp): what has been subscribed, and how
// far the deliveries under way had come.
struct mqtt_state {
    enum class stage : std::uint8_t { sent_qos_1 = 1, sent_qos_2 = 2, released = 3 };
    // A delivery under way of a message that lies in no queue of the session's: it was retained, or a group's.
    struct exchange {
        std::uint16_t id = 0;
        stage at = stage::sent_qos_1;
        bool retain = false;
        std::uint32_t identifier = 0;
        std::string to{};  // the exchange
        std::string key{};
        core::protocol_tag properties_of{};
        std::string properties{};
        std::string body{};

        bool operator==(const exchange&) const = default;
    };

    bool has_queue = false;
    std::vector<mqtt_subscription> subscriptions;  // of its own queue, or of the connection
    std::vector<mqtt_subscription> sources;        // shared ones, and queues: a consumer each
    std::map<core::position, stage> flights;
    std::vector<exchange> exchanges;

    bool operator==(const mqtt_state&) const = default;
};

// What a SUBSCRIBE or an UNSUBSCRIBE makes of a state: its bytes may follow those of the state, or of earlier changes.
struct mqtt_state_changes {
    bool has_queue = false;
    std::vector<mqtt_subscription> subscriptions;  // new ones, and those that are another now
    std::vector<mqtt_subscription> sources;
    std::vector<std::string> gone_subscriptions;  // filters
    std::vector<std::string> gone_sources;
};

[[nodiscard]] std::vector<std::uint8_t> encode(const mqtt_state& s);
[[nodiscard]] std::vector<std::uint8_t> encode(const mqtt_state_changes& c);
// With all changes that follow it. None: not what encode() writes.
[[nodiscard]] std::optional<mqtt_state> decode_state(std::span<const std::uint8_t> bytes);

}  // namespace linnet::session
