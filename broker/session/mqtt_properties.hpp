#pragma once

#include "broker/core/message.hpp"
#include "broker/core/properties.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/session/mqtt_topic.hpp"
#include "protocol/mqtt/property_block.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace linnet::session {

// What the core keeps of an MQTT publish beside topic and payload, in a block of our own:
//
//     flags (1: quality of service; bit 2: answers) | publisher (8: who it was, for No Local)
//     | where answers go, as its topic was understood {exchange behind a byte, key behind two} | properties
//
// The properties are MQTT 5's as they came, but for those that are the connection's (the topic alias) and the message
// expiry, which is kept as the message's time to live.
struct mqtt_block {
    std::uint8_t qos = 0;
    std::uint64_t publisher = 0;
    wire::bytes_view properties{};
    bool answerable = false;  // then:
    std::string_view answer_exchange{};
    std::string_view answer_key{};
};

// Replaces what `out` held. `answers`: where the response topic leads, if its publisher may publish there; null: none.
void write_block(std::string& out, std::uint8_t qos, std::uint64_t publisher, const mqtt::property_block& properties,
                 const mqtt_address* answers = nullptr);
// Of a block that write_block() made; one that is too short reads as empty.
[[nodiscard]] mqtt_block read_block(core::property_reader::block b) noexcept;

// The quality of service that a message of whatever protocol is published with: what is persistent is worth an ack.
[[nodiscard]] std::uint8_t qos_of(const core::message& m) noexcept;

class mqtt_property_reader final : public core::property_reader {
public:
    [[nodiscard]] core::value_table headers(block b) const override;
    [[nodiscard]] std::optional<core::value> header(block b, std::string_view name) const override;
    [[nodiscard]] std::optional<core::death_log> deaths(block b) const override;
    [[nodiscard]] std::string expiration(block b) const override;
    [[nodiscard]] std::vector<std::string> carbon_copies(block b) const override;
    [[nodiscard]] std::string message_id(block b) const override;
    [[nodiscard]] std::string correlation_id(block b) const override;
    [[nodiscard]] std::optional<core::requested_answers> answers_to(block b) const override;
    [[nodiscard]] std::string with_correlation(block b, std::string_view correlation) const override;
    [[nodiscard]] core::neutral_properties read(block b, const core::message_traits& traits) const override;
};

// The one instance, stateless.
[[nodiscard]] const mqtt_property_reader& mqtt_reader() noexcept;

// Among these is the user property that stands for a message id (message_traits::identified).
[[nodiscard]] bool names_message(const mqtt::property_block& p) noexcept;

// The block with this user property in place of those of its name. Precondition: MQTT can say both texts.
[[nodiscard]] std::string with_user_property(core::property_reader::block b, std::string_view name,
                                             std::string_view text);

// Another protocol's properties as MQTT 5's. What has no property there is a user property of the same name, a typed
// value as its text, tables and lists as JSON; what MQTT cannot hold (a text that is not UTF-8) is left out.
//
// The response topic is the first of these that there is: the header x-reply-to-topic (a key; `mode` says how it is
// written as a topic), the reply handle, a queue.
void append_properties(std::string& out, const core::neutral_properties& p,
                       mqtt::name_mode mode = mqtt::name_mode::exact);
// A header of RabbitMQ's: a response topic in AMQP's words.
inline constexpr std::string_view reply_topic_header = "x-reply-to-topic";

}  // namespace linnet::session
