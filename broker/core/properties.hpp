#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/reply_handle.hpp"
#include "broker/core/value.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace linnet::core {

// What a publisher said about a message, in nobody's protocol: the meeting point of two property blocks. Cold: a
// message that stays within its protocol is delivered with its own bytes. Only a crossing is translated, once for each
// block.
//
// Texts are as the publisher wrote them, valid UTF-8 where the protocol demands it of them. Nothing that can be
// carried is dropped: what the other protocol has no property for travels as a header of the same name.
struct neutral_properties {
    std::optional<std::string> content_type;
    std::optional<std::string> content_encoding;
    value_table headers;  // in order; a name may come more than once
    std::optional<std::uint8_t> priority;
    bool persistent = false;
    std::optional<std::string> correlation_id;  // any bytes
    std::optional<std::string> reply_to;        // in the publisher's own words: an AMQP queue name, an MQTT topic
    std::optional<reply_token> reply_handle;    // lent by the broker (reply_handle.hpp): stands for reply_to
    std::optional<std::string> message_id;
    std::optional<std::uint64_t> timestamp_s;
    std::optional<std::string> type;
    std::optional<std::string> user_id;
    std::optional<std::string> app_id;
    mono_ns time_to_live = -1;  // -1: none. Renderings in whole seconds round up and are never 0
    bool utf8_text = false;     // the payload is known to be UTF-8 (MQTT's payload format indicator)
};

}  // namespace linnet::core
