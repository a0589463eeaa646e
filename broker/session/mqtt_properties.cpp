#include "broker/session/mqtt_properties.hpp"

#include "broker/session/mqtt_topic.hpp"
#include "broker/session/value_text.hpp"
#include "protocol/mqtt/property_writing.hpp"
#include "protocol/mqtt/publish_image.hpp"
#include "protocol/wire/writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace linnet::session {
namespace {

using core::value;
using core::value_type;
using mqtt::property;

constexpr std::size_t head_bytes = 1 + 8;
constexpr std::uint8_t qos_bits = 3;
constexpr std::uint8_t answers_bit = 4;
constexpr std::size_t answer_bytes_min = 1 + 2;

// Properties that AMQP has and MQTT has not travel as user properties of these names.
constexpr std::string_view content_encoding_name = "content-encoding";
constexpr std::string_view message_id_name = "message-id";
constexpr std::string_view timestamp_name = "timestamp";
constexpr std::string_view type_name = "type";
constexpr std::string_view user_id_name = "user-id";
constexpr std::string_view app_id_name = "app-id";
constexpr std::string_view priority_name = "priority";

template <class Number>
std::optional<Number> number_in(std::string_view text) noexcept {
    Number n{};
    const auto done = std::from_chars(text.data(), text.data() + text.size(), n);
    return done.ec == std::errc{} && done.ptr == text.data() + text.size() ? std::optional(n) : std::nullopt;
}

mqtt::property_block properties_in(core::property_reader::block b) noexcept {
    return mqtt::property_block::trusted(read_block(b).properties);
}

template <property Id>
std::string text_in(core::property_reader::block b) {
    const auto block = properties_in(b);
    if constexpr (std::is_same_v<mqtt::value_of<Id>, wire::bytes_view>) {
        return std::string(wire::as_text(block.template get<Id>().value_or(wire::bytes_view{})));
    } else {
        return std::string(block.template get<Id>().value_or(std::string_view{}));
    }
}

std::optional<std::string> user_property(core::property_reader::block b, std::string_view name) {
    for (const auto& p : properties_in(b)) {
        if (p.id == property::user_property && p.text == name) {
            return std::string(p.value);
        }
    }
    return std::nullopt;
}

// ---- Writing -------------------------------------------------------------------------------------

bool is_sayable(std::string_view text) noexcept {
    return text.size() <= mqtt::string_bytes_max && !mqtt::judge_string(text);
}

void append_user(std::string& out, std::string_view name, std::string_view text) {
    if (is_sayable(name) && is_sayable(text)) {
        mqtt::append_user_property(out, name, text);
    }
}
void append_optional(std::string& out, std::string_view name, const std::optional<std::string>& text) {
    if (text) {
        append_user(out, name, *text);
    }
}

}  // namespace

namespace {

void write_head(std::string& out, std::uint8_t qos, std::uint64_t publisher) {
    out.resize(head_bytes);
    auto* at = reinterpret_cast<std::uint8_t*>(out.data());
    *at = qos;
    wire::store(at + 1, publisher);
}

void append_answers(std::string& out, std::string_view exchange, std::string_view key) {
    out[0] = static_cast<char>(out[0] | answers_bit);
    out += static_cast<char>(exchange.size());
    out += exchange;
    out += static_cast<char>(key.size() >> 8);
    out += static_cast<char>(key.size() & 0xff);
    out += key;
}

// False: the bytes make no sense.
bool take_answers(mqtt_block& b) noexcept {
    const auto text = wire::as_text(b.properties);
    if (text.size() < answer_bytes_min) {
        return false;
    }
    const std::size_t exchange = b.properties[0];
    if (text.size() < answer_bytes_min + exchange) {
        return false;
    }
    const auto key = wire::load<std::uint16_t>(&b.properties[1 + exchange]);
    if (text.size() < answer_bytes_min + exchange + key) {
        return false;
    }
    b.answer_exchange = text.substr(1, exchange);
    b.answer_key = text.substr(answer_bytes_min + exchange, key);
    b.properties = b.properties.subspan(answer_bytes_min + exchange + key);
    b.answerable = true;
    return true;
}

}  // namespace

void write_block(std::string& out, std::uint8_t qos, std::uint64_t publisher, const mqtt::property_block& properties,
                 const mqtt_address* answers) {
    write_head(out, qos, publisher);
    if (properties.empty()) [[likely]] {
        return;
    }
    if (answers != nullptr) {
        append_answers(out, answers->exchange, answers->key);
    }
    const auto properties_at = out.size();
    mqtt::append_forwardable(out, properties);
    if (properties.contains(property::message_expiry_interval)) {
        out.erase(properties_at, mqtt::message_expiry_bytes);
    }
}

mqtt_block read_block(core::property_reader::block b) noexcept {
    if (b.size() < head_bytes) {
        return {};
    }
    mqtt_block read;
    read.qos = static_cast<std::uint8_t>(b[0] & qos_bits);
    read.publisher = wire::load<std::uint64_t>(&b[1]);
    read.properties = b.subspan(head_bytes);
    if ((b[0] & answers_bit) != 0 && !take_answers(read)) [[unlikely]] {
        return {};
    }
    return read;
}

std::uint8_t qos_of(const core::message& m) noexcept {
    if (m.properties_of() == core::protocol_tag::mqtt) [[likely]] {
        return m.properties().empty() ? 0 : m.properties()[0] & qos_bits;
    }
    return m.persistent() ? 1 : 0;
}

// ---- Reading -------------------------------------------------------------------------------------

namespace {

// A user property that stands for one of AMQP's. The first of a name: a second is one header among others.
bool take_named(const mqtt::property_value& p, core::neutral_properties& out) {
    const auto take = [&](std::optional<std::string>& to) {
        if (to) {
            return false;
        }
        to = p.value;
        return true;
    };
    if (p.text == content_encoding_name) {
        return take(out.content_encoding);
    }
    if (p.text == message_id_name) {
        return take(out.message_id);
    }
    if (p.text == type_name) {
        return take(out.type);
    }
    if (p.text == app_id_name) {
        return take(out.app_id);
    }
    if (p.text == timestamp_name && !out.timestamp_s) {
        out.timestamp_s = number_in<std::uint64_t>(p.value);
        return out.timestamp_s.has_value();
    }
    if (p.text == priority_name && !out.priority) {
        out.priority = number_in<std::uint8_t>(p.value);
        return out.priority.has_value();
    }
    return false;
}

}  // namespace

bool names_message(const mqtt::property_block& p) noexcept {
    return p.contains(property::user_property) && std::any_of(p.begin(), p.end(), [](const mqtt::property_value& each) {
               return each.id == property::user_property && each.text == message_id_name;
           });
}

core::value_table mqtt_property_reader::headers(block b) const {
    core::value_table all;
    for (const auto& p : properties_in(b)) {
        if (p.id == property::user_property) {
            all.emplace_back(std::string(p.text), core::make_string(p.value));
        }
    }
    return all;
}

std::optional<core::value> mqtt_property_reader::header(block b, std::string_view name) const {
    const auto text = user_property(b, name);
    return text ? std::optional(core::make_string(*text)) : std::nullopt;
}

std::optional<core::death_log> mqtt_property_reader::deaths(block) const { return std::nullopt; }
// Kept as the message's time to live: nothing for dead-lettering to take out.
std::string mqtt_property_reader::expiration(block) const { return {}; }
std::vector<std::string> mqtt_property_reader::carbon_copies(block) const { return {}; }

std::string mqtt_property_reader::message_id(block b) const { return user_property(b, message_id_name).value_or(""); }
std::string mqtt_property_reader::correlation_id(block b) const { return text_in<property::correlation_data>(b); }

std::optional<core::requested_answers> mqtt_property_reader::answers_to(block b) const {
    const auto whole = read_block(b);
    if (!whole.answerable) {
        return std::nullopt;
    }
    if (whole.answer_exchange.empty()) {
        if (const auto token = core::reply_token_of(whole.answer_key)) {
            return *token;
        }
    }
    return core::answer_address{std::string(whole.answer_exchange), std::string(whole.answer_key)};
}

namespace {

// The block without those of its properties.
template <class Unwanted>
std::string without(core::property_reader::block b, Unwanted unwanted) {
    const auto whole = read_block(b);
    std::string out;
    write_head(out, whole.qos, whole.publisher);
    if (whole.answerable) {
        append_answers(out, whole.answer_exchange, whole.answer_key);
    }
    for (const auto& p : mqtt::property_block::trusted(whole.properties)) {
        if (!unwanted(p)) {
            mqtt::append_property(out, p);
        }
    }
    return out;
}

}  // namespace

std::string with_user_property(core::property_reader::block b, std::string_view name, std::string_view text) {
    auto out = without(
        b, [name](const mqtt::property_value& p) { return p.id == property::user_property && p.text == name; });
    mqtt::append_user_property(out, name, text);
    return out;
}

std::string mqtt_property_reader::with_correlation(block b, std::string_view correlation) const {
    auto out = without(b, [](const mqtt::property_value& p) { return p.id == property::correlation_data; });
    if (correlation.size() <= mqtt::string_bytes_max) {
        mqtt::append_property<property::correlation_data>(out, wire::as_bytes(correlation));
    }
    return out;
}

core::neutral_properties mqtt_property_reader::read(block b, const core::message_traits& traits) const {
    core::neutral_properties out;
    out.persistent = traits.persistent;
    out.time_to_live = traits.time_to_live;
    if (const auto whole = read_block(b); whole.answerable && !whole.answer_exchange.empty()) {
        // What clients that know RabbitMQ's crossings look for.
        out.headers.emplace_back(std::string(reply_topic_header), core::make_string(whole.answer_key));
    }
    for (const auto& p : properties_in(b)) {
        if (p.id == property::payload_format_indicator) {
            out.utf8_text = p.number == 1;
        } else if (p.id == property::content_type) {
            out.content_type = p.text;
        } else if (p.id == property::response_topic) {
            // What another protocol's client can publish to as it is: a queue by its name.
            out.reply_to = p.text.starts_with(queue_prefix) ? p.text.substr(queue_prefix.size()) : p.text;
        } else if (p.id == property::correlation_data) {
            out.correlation_id = p.text;
        } else if (p.id == property::user_property && !take_named(p, out)) {
            // A user id among them: only the broker says who somebody is.
            out.headers.emplace_back(std::string(p.text), core::make_string(p.value));
        }
    }
    return out;
}

namespace {
constinit const mqtt_property_reader the_reader;
}  // namespace

const mqtt_property_reader& mqtt_reader() noexcept { return the_reader; }

namespace {

std::string response_topic_of(const core::neutral_properties& p, const core::value* key, mqtt::name_mode mode) {
    std::string topic;
    const auto* text = key == nullptr ? nullptr : key->as_string();
    if (text != nullptr && mqtt::key_to_topic(*text, mode, topic)) {
        return topic;
    }
    if (p.reply_handle) {
        return std::string(answer_prefix) + p.reply_handle->text();
    }
    return p.reply_to && !p.reply_to->empty() ? std::string(queue_prefix) + *p.reply_to : std::string();
}

}  // namespace

void append_properties(std::string& out, const core::neutral_properties& p, mqtt::name_mode mode) {
    if (p.utf8_text) {
        mqtt::append_property<property::payload_format_indicator>(out, 1);
    }
    if (p.content_type && is_sayable(*p.content_type)) {
        mqtt::append_property<property::content_type>(out, *p.content_type);
    }
    const auto* reply_topic = core::find(p.headers, reply_topic_header);
    const auto response_topic = response_topic_of(p, reply_topic, mode);
    if (!response_topic.empty() && response_topic.size() <= mqtt::string_bytes_max &&
        !mqtt::judge_topic_name(response_topic)) {
        mqtt::append_property<property::response_topic>(out, response_topic);
    }
    if (p.correlation_id && p.correlation_id->size() <= mqtt::string_bytes_max) {
        mqtt::append_property<property::correlation_data>(out, wire::as_bytes(*p.correlation_id));
    }
    append_optional(out, content_encoding_name, p.content_encoding);
    append_optional(out, message_id_name, p.message_id);
    append_optional(out, type_name, p.type);
    append_optional(out, user_id_name, p.user_id);
    append_optional(out, app_id_name, p.app_id);
    if (p.timestamp_s) {
        append_user(out, timestamp_name, fmt::format("{}", *p.timestamp_s));
    }
    if (p.priority) {
        append_user(out, priority_name, fmt::format("{}", *p.priority));
    }
    for (const auto& [name, what] : p.headers) {
        if (&what != reply_topic) {
            append_user(out, name, text_of(what));
        }
    }
}

}  // namespace linnet::session
