#pragma once

#include "broker/core/death_log.hpp"
#include "broker/core/message.hpp"
#include "broker/core/properties.hpp"
#include "broker/core/reply_handle.hpp"
#include "broker/core/text_hash.hpp"
#include "broker/core/value.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// How the core looks into a property block whose bytes it does not understand: one implementation a
// protocol, given at start-up. Only cold paths call it: headers exchanges, dead-lettering, delays.
//
// Threads: stateless; callable from any.
// Fails:   cannot: a block was validated when it was published.
class property_reader {
public:
    property_reader() = default;
    property_reader(const property_reader&) = delete;
    property_reader& operator=(const property_reader&) = delete;
    virtual ~property_reader() = default;

    using block = std::span<const std::uint8_t>;

    // Every header, in order. Nested tables and arrays included.
    [[nodiscard]] virtual value_table headers(block b) const = 0;
    [[nodiscard]] virtual std::optional<value> header(block b, std::string_view name) const = 0;
    // The history that a client copied back in (AMQP: an x-death header it received and republished).
    [[nodiscard]] virtual std::optional<death_log> deaths(block b) const = 0;
    // The publisher's own expiration text, empty without one.
    [[nodiscard]] virtual std::string expiration(block b) const = 0;
    // Additional routing keys that travel with the message (AMQP: CC).
    [[nodiscard]] virtual std::vector<std::string> carbon_copies(block b) const = 0;
    [[nodiscard]] virtual std::string message_id(block b) const = 0;
    // Asked for every step of a message that has one: without a copy where that can be.
    [[nodiscard]] virtual std::uint64_t message_id_hash(block b, std::uint64_t seed) const {
        return stable_hash(message_id(b), seed);
    }
    // All of it, for a consumer of another protocol. Unless a protocol knows better: its headers.
    [[nodiscard]] virtual neutral_properties read(block b, const message_traits& t) const {
        neutral_properties all;
        all.headers = headers(b);
        all.persistent = t.persistent;
        all.time_to_live = t.time_to_live;
        return all;
    }
    // Where its publisher wants answers to be published, in the core's words. Asked only of what is answerable.
    [[nodiscard]] virtual std::optional<requested_answers> answers_to(block) const { return std::nullopt; }
    // The block with these bytes in place of its own correlation.
    [[nodiscard]] virtual std::string with_correlation(block b, std::string_view correlation) const {
        static_cast<void>(correlation);
        return {b.begin(), b.end()};
    }
    // Empty where the protocol has none; for exchanges that hash them.
    [[nodiscard]] virtual std::string correlation_id(block) const { return {}; }
    [[nodiscard]] virtual std::string timestamp(block) const { return {}; }
};

// Which reader understands which block; null where a protocol is not built in.
using property_readers = std::array<const property_reader*, protocol_tags>;

}  // namespace linnet::core
