#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/log.hpp"
#include "broker/core/message.hpp"

#include <cstdint>
#include <span>
#include <string_view>

namespace linnet::core {

// Where a message's record lies, as its owner notes it.
struct stored_ref {
    log_position at = 0;      // 0: it is not in the log
    std::uint32_t bytes = 0;  // of the record
    std::uint32_t share = 0;  // of those, what this owner accounts for: a record may have several

    [[nodiscard]] explicit operator bool() const noexcept { return at != 0; }
};

// In what is recorded of a message's attempts, beside their number: its consumer has it (delivery::received).
inline constexpr std::uint32_t received_bit = 0x8000'0000;
// ... or somebody had it, whatever became of that.
inline constexpr std::uint32_t had_bit = 0x4000'0000;
inline constexpr std::uint32_t attempts_mask = had_bit - 1;

// What recovery tells of a message without reading its body into memory.
struct recovered_message {
    position pos = 0;
    stored_ref where;
    wall_ns stored_at = 0;
    mono_ns time_to_live = -1;  // the message's own; -1: none
    wall_ns due = 0;            // of a delayed message; 0: none
    std::uint32_t body_bytes = 0;
    std::uint32_t attempts = 0;  // as record_owner::attempts() has it
    std::uint8_t priority = 0;
    bool repeated = false;  // as message_traits has it
    // Good during the call only.
    std::string_view key{};
    std::span<const std::uint8_t> properties{};
    std::span<const std::uint8_t> body{};
};

// A queue, or a shard's delayed messages: something that knows which of a journal's records still matter.
//
// Threads: its shard's; during recovery, the thread that opens the store.
class record_owner {
public:
    record_owner() = default;
    record_owner(const record_owner&) = delete;
    record_owner& operator=(const record_owner&) = delete;
    virtual ~record_owner() = default;

    // Where the record of `pos` lies now; at 0: it is no longer wanted.
    [[nodiscard]] virtual record_range place_of(position pos) const = 0;
    // Does the record at that place still stand for `pos`? Asked when its segment is to be cleaned.
    [[nodiscard]] bool holds(position pos, log_position at) const { return place_of(pos).at == at; }
    // How often that message has been tried, and those bits, as far as it was recorded (journal::record_attempts):
    // goes into the copy, since the record that said so may be dropped with its segment.
    [[nodiscard]] virtual std::uint32_t attempts(position pos) const {
        static_cast<void>(pos);
        return 0;
    }
    // It has been copied there; what it accounts for has moved along: the owner releases nothing.
    virtual void on_moved(position pos, const stored_ref& to) = 0;
    // A message asked back with journal::fetch(): exactly one call for each that was asked for, in that order, never
    // within fetch(). Null when its bytes are damaged.
    virtual void on_fetched(position pos, message_ptr m) = 0;

    // Recovery, in the order of the log. A message may come twice (it was moved): the later place counts. Each place
    // is accounted for before the call; the owner releases what is replaced or settled. A settled run may name
    // positions that the owner never had.
    virtual void on_recovered(const recovered_message& m) = 0;
    virtual void on_recovered_settled(position first, std::uint64_t count) = 0;
    virtual void on_recovered_attempts(position pos, std::uint32_t attempts) = 0;
    // What lies below may have been delivered before an earlier end (journal::record_doubt).
    virtual void on_recovered_doubt(position below) { static_cast<void>(below); }
    // Keys that it had recorded (journal::record_keys). False: they make no sense.
    [[nodiscard]] virtual bool on_recovered_keys(std::span<const std::uint8_t> keys, log_position at) {
        static_cast<void>(keys);
        static_cast<void>(at);
        return false;
    }
    // Everything below is about to be dropped: what is still wanted of its keys there is to be recorded again. False:
    // that is too much for a turn, and it wants to be asked again in the next one.
    [[nodiscard]] virtual bool on_dropping(log_position keep) {
        static_cast<void>(keep);
        return true;
    }
    // That was all. After an unclean end (`clean` false) any of it may have been delivered before.
    virtual void on_recovery_end(bool clean) { static_cast<void>(clean); }
};

}  // namespace linnet::core
