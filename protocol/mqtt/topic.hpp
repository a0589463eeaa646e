// The strings of MQTT: what may stand in one, in a topic name, and in a topic filter.
//
// All of these look at each byte of each PUBLISH's topic, so they read eight at a time and look closer only
// where something in the eight is not plain ASCII.
#pragma once

#include "protocol/mqtt/fault.hpp"
#include "protocol/wire/bytes.hpp"

#include <optional>
#include <string_view>

namespace linnet::mqtt {

// Nothing: the text is good.
using verdict = std::optional<fault>;

// [MQTT-1.5.4-1] Well-formed UTF-8, [MQTT-1.5.4-2] without U+0000. Control and non-characters are advised
// against, not forbidden; [MQTT-1.5.4-3] a byte order mark is a character like any other.
[[nodiscard]] verdict judge_string(std::string_view text) noexcept;

// [MQTT-3.3.2-2] A topic name has no wildcards. Whether it may be empty is the packet's to say.
[[nodiscard]] verdict judge_topic_name(std::string_view topic) noexcept;

// A filter, and the group that shares it if it is "$share/<group>/<filter>".
struct topic_filter {
    std::string_view group{};
    std::string_view filter{};

    [[nodiscard]] bool is_shared() const noexcept { return !group.empty(); }
    bool operator==(const topic_filter&) const = default;
};

// [MQTT-4.7.1-1] to [MQTT-4.7.3-1], [MQTT-4.8.2-1], [MQTT-4.8.2-2]. MQTT 3 has no shared subscriptions, but
// brokers and clients give them to it in the same words, so we do.
[[nodiscard]] decoded<topic_filter> parse_topic_filter(std::string_view text) noexcept;

[[nodiscard]] constexpr bool has_wildcards(std::string_view filter) noexcept {
    return filter.find_first_of("+#") != std::string_view::npos;
}

// [MQTT-4.7.2-1] A filter that begins with a wildcard does not match names that begin with '$'.
[[nodiscard]] constexpr bool hides_dollar(std::string_view filter) noexcept {
    return filter.starts_with('+') || filter.starts_with('#');
}

// Whether a good filter (without $share and group) matches a good name. For the few: routing has a tree.
[[nodiscard]] bool filter_matches(std::string_view filter, std::string_view topic) noexcept;

}  // namespace linnet::mqtt
