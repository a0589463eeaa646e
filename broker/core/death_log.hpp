#pragma once

#include "broker/base/clock.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace linnet::core {

enum class death_reason : std::uint8_t { rejected, expired, maxlen, delivery_limit };

[[nodiscard]] constexpr const char* to_text(death_reason reason) noexcept {
    switch (reason) {
        case death_reason::rejected: return "rejected";
        case death_reason::expired: return "expired";
        case death_reason::maxlen: return "maxlen";
        case death_reason::delivery_limit: return "delivery_limit";
    }
    return "";
}

// One row of what AMQP calls x-death: how often a message died in one queue for one reason.
struct death {
    std::string queue;
    death_reason reason = death_reason::rejected;
    std::string exchange;                   // where it had been published before it reached that queue
    std::vector<std::string> routing_keys;  // its key, then its CC keys
    std::uint64_t count = 1;
    wall_ns first_time = 0;
    std::string original_expiration;  // the publisher's expiration (text, ms), when that was taken away
};

// The history that a dead-lettered message carries beside its property block, which stays the
// publisher's own bytes. Sessions render it: AMQP as x-death and x-first-death-*.
struct death_log {
    std::vector<death> rows;  // newest first
    std::string first_queue;
    std::string first_exchange;
    death_reason first_reason = death_reason::rejected;
    std::vector<std::string> routing_keys_override;  // keys beyond routing_key() it was dead-lettered with
    bool expiration_taken = false;                   // the property block still shows one that no longer applies
    bool copies_taken = false;  // likewise its carbon copies: the queue names its own dead-letter key
};

}  // namespace linnet::core
