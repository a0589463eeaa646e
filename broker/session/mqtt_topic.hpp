#pragma once

#include "protocol/mqtt/topic_key.hpp"

#include <optional>
#include <string>
#include <string_view>

// Where MQTT's topics lie in the core. A topic is a key of one exchange (protocol/mqtt/topic_key.hpp); two prefixes
// reach the rest:
//
//     $queue/<name>               the queue itself: published through the default exchange, or consumed
//     $exchange/<name>/<levels>   a key of another exchange, published only
//     $reply/<token>              a reply handle (core/reply_handle.hpp), published only

namespace linnet::session {

inline constexpr std::string_view queue_prefix = "$queue/";
inline constexpr std::string_view exchange_prefix = "$exchange/";
inline constexpr std::string_view answer_prefix = "$reply/";
inline constexpr std::string_view broker_prefix = "$SYS/";
inline constexpr std::string_view session_queue_prefix = "mqtt-subscription-";  // of a session's queue; its client

// How topics are written in this place, and the exchange that they belong to.
struct mqtt_naming {
    std::string_view exchange;
    mqtt::name_mode mode = mqtt::name_mode::exact;
};

struct mqtt_address {
    std::string exchange;
    std::string key;
    bool operator==(const mqtt_address&) const = default;
};

// None: nothing may be published there ($SYS), or there is no such address. A topic that is well formed.
[[nodiscard]] std::optional<mqtt_address> address_of_topic(std::string_view topic, const mqtt_naming& names);
// The same of a text that nobody has looked at yet: none, too, if it is no topic.
[[nodiscard]] std::optional<mqtt_address> address_of_text(std::string_view topic, const mqtt_naming& names);

// The topic of a message, which leads back to where it was published. Replaces what `topic` held. False: MQTT cannot
// say it.
[[nodiscard]] bool topic_of(std::string_view exchange, std::string_view key, const mqtt_naming& names,
                            std::string& topic);

// For whoever else writes topics and filters as MQTT does. No pattern: the filter is not well formed.
[[nodiscard]] std::string key_of_topic(std::string_view topic);
[[nodiscard]] std::optional<std::string> pattern_of_filter(std::string_view filter);

// The queue of a session, and of a group that shares a filter (a group's name holds no '/', so that two groups never
// mean the same queue). None where that is too long for a name: a hash could be met by somebody else's on purpose.
[[nodiscard]] std::optional<std::string> session_queue_name(std::string_view client);
[[nodiscard]] std::optional<std::string> shared_queue_name(std::string_view group, std::string_view filter);

}  // namespace linnet::session
