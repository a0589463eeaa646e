// Topic names and filters of MQTT as the broker's routing keys and patterns, and back.
//
// An address is a list of levels. MQTT joins them by '/', a routing key by '.'; what a level holds beyond that and
// would be misread on the other side is percent-encoded. Two ways to do it:
//
// `exact`: each side writes the separator and the wildcards that stand within a level as an escape: "%2F", "%2B"
// and "%23" in a topic, "%2E", "%2A" and "%23" in a key. A literal text that looks like one of its own side's
// escapes gets a "25" behind its '%', one that looks like that gets another: "%2F" as three characters is
// "%252F" in a topic. So every list of levels has exactly one spelling on each side, no two names ever meet in
// one key, and whoever publishes by MQTT gives MQTT subscribers its own bytes. All other "%xx" are just text.
//
//     topic          levels              key
//     v1.2/temp      "v1.2" "temp"       v1%2E2.temp
//     a/*            "a" "*"             a.%2A
//     a%2Fb          "a/b"               a/b
//     50%25          "50%25"             50%25
//
// `rabbitmq`: '/' and '.' change places with each other's role and nothing else is looked at, as RabbitMQ does
// it: "a.b" and "a/b" are one key. For those who migrate.
//
// Routing keys that clients of other protocols wrote may hold a bare '*' or '#'. Both mean the character, as
// "%2A" and "%23" do, and in this direction alone two keys can lead to one topic.
//
// Owns:     nothing. The results replace what is in the string handed in; kept and used again it allocates nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::mqtt {

enum class name_mode : std::uint8_t { exact, rabbitmq };

// A topic name that judge_topic_name() let pass, not empty.
void topic_to_key(std::string_view topic, name_mode mode, std::string& key);

// False: MQTT cannot say that name. It is empty, holds U+0000, is not UTF-8, or has more than 65535 bytes.
[[nodiscard]] bool key_to_topic(std::string_view key, name_mode mode, std::string& topic);

// A filter that parse_topic_filter() let pass, without "$share/<group>/". '+' becomes '*'. That it hides names
// with '$' in front if it begins with a wildcard (hides_dollar) the pattern does not say.
void filter_to_pattern(std::string_view filter, name_mode mode, std::string& pattern);

[[nodiscard]] inline std::string topic_to_key(std::string_view topic, name_mode mode = name_mode::exact) {
    std::string key;
    topic_to_key(topic, mode, key);
    return key;
}

[[nodiscard]] inline std::optional<std::string> key_to_topic(std::string_view key, name_mode mode = name_mode::exact) {
    std::string topic;
    return key_to_topic(key, mode, topic) ? std::optional{std::move(topic)} : std::nullopt;
}

[[nodiscard]] inline std::string filter_to_pattern(std::string_view filter, name_mode mode = name_mode::exact) {
    std::string pattern;
    filter_to_pattern(filter, mode, pattern);
    return pattern;
}

}  // namespace linnet::mqtt
