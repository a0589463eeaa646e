#include "broker/session/mqtt_topic.hpp"

#include "broker/core/reply_handle.hpp"
#include "broker/core/topology.hpp"
#include "protocol/mqtt/topic.hpp"

#include <fmt/format.h>

namespace linnet::session {
namespace {

constexpr std::size_t key_bytes_max = 65'535;  // the core's

bool is_name(std::string_view name) noexcept { return !name.empty() && name.size() <= core::name_bytes_max; }

std::optional<mqtt_address> in_exchange(std::string_view exchange, std::string_view levels, mqtt::name_mode mode) {
    mqtt_address a;
    a.exchange = exchange;
    if (!levels.empty()) {
        mqtt::topic_to_key(levels, mode, a.key);
    }
    return a.key.size() <= key_bytes_max ? std::optional(std::move(a)) : std::nullopt;
}

}  // namespace

std::optional<mqtt_address> address_of_topic(std::string_view topic, const mqtt_naming& names) {
    if (!topic.starts_with('$')) [[likely]] {
        return in_exchange(names.exchange, topic, names.mode);
    }
    if (topic.starts_with(queue_prefix)) {
        const auto name = topic.substr(queue_prefix.size());
        return is_name(name) ? std::optional(mqtt_address{{}, std::string(name)}) : std::nullopt;
    }
    if (topic.starts_with(exchange_prefix)) {
        const auto rest = topic.substr(exchange_prefix.size());
        const auto end = rest.find('/');
        const auto name = rest.substr(0, end);
        const auto levels = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        return is_name(name) ? in_exchange(name, levels, names.mode) : std::nullopt;
    }
    if (topic.starts_with(answer_prefix)) {
        const auto token = core::reply_token::parse(topic.substr(answer_prefix.size()));
        return token ? std::optional(mqtt_address{{}, core::reply_key(*token)}) : std::nullopt;
    }
    // [MQTT-4.7.2-1] What begins with '$' is no place for clients' purposes; what is the broker's is closed to them.
    if (topic.starts_with(broker_prefix) || topic.starts_with("$share/")) {
        return std::nullopt;
    }
    return in_exchange(names.exchange, topic, names.mode);
}

std::optional<mqtt_address> address_of_text(std::string_view topic, const mqtt_naming& names) {
    const bool good = !topic.empty() && topic.size() <= mqtt::string_bytes_max && !mqtt::judge_topic_name(topic);
    return good ? address_of_topic(topic, names) : std::nullopt;
}

bool topic_of(std::string_view exchange, std::string_view key, const mqtt_naming& names, std::string& topic) {
    if (exchange == names.exchange) [[likely]] {
        return mqtt::key_to_topic(key, names.mode, topic);
    }
    if (exchange.empty()) {
        const auto token = core::reply_token_of(key);
        topic = token ? answer_prefix : queue_prefix;
        topic += token ? key.substr(core::reply_key_prefix.size()) : key;
    } else {
        std::string levels;
        if (!key.empty() && !mqtt::key_to_topic(key, names.mode, levels)) {
            return false;
        }
        topic = exchange_prefix;
        topic += exchange;
        topic += key.empty() ? "" : "/";
        topic += levels;
    }
    return topic.size() <= mqtt::string_bytes_max && !mqtt::judge_topic_name(topic);
}

std::string key_of_topic(std::string_view topic) { return mqtt::topic_to_key(topic); }

std::optional<std::string> pattern_of_filter(std::string_view filter) {
    const auto parsed = mqtt::parse_topic_filter(filter);
    return parsed && !parsed->is_shared() ? std::optional(mqtt::filter_to_pattern(filter)) : std::nullopt;
}

std::optional<std::string> session_queue_name(std::string_view client) {
    auto name = fmt::format("{}{}", session_queue_prefix, client);
    return name.size() <= core::name_bytes_max ? std::optional(std::move(name)) : std::nullopt;
}

std::optional<std::string> shared_queue_name(std::string_view group, std::string_view filter) {
    auto name = fmt::format("mqtt-shared-{}/{}", group, filter);
    return name.size() <= core::name_bytes_max ? std::optional(std::move(name)) : std::nullopt;
}

}  // namespace linnet::session
