#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/text_hash.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

namespace linnet::core {

// What can happen to a message that has an id.
enum class flight_step : std::uint8_t {
    text,  // not a step: what the publication before it says, in words
    // -- of a session, with exchange and key
    published,
    dead_lettered,  // published anew by the broker
    returned,       // no queue wanted it: back to its publisher
    dropped,        // ... or it went no further
    passed_on,      // of a session alone: handed to a subscriber, with no queue between
    // -- of a queue
    queued,
    appended,   // to a stream
    refused,    // the queue is full
    duplicate,  // within its deduplication window
    delivered,
    redelivered,
    sent,  // delivered, and settled by that
    acknowledged,
    requeued,
    rejected,
    expired,
    overflowed,  // dropped for the queue's length
    exhausted,   // its last attempt has failed
};

// In a queue.
struct flight_place {
    std::uint64_t pos : 40;       // the low bits of the message's position
    std::uint64_t consumer : 24;  // and of its consumer's generation; 0: a get, or nobody
};
struct flight_publication {
    std::uint64_t routed : 32;  // to so many queues
    std::uint64_t exchange_bytes : 8;
    std::uint64_t text_bytes : 8;  // exchange and key, in the slots behind it
    std::uint64_t cut : 8;         // they were longer
    std::uint64_t delayed : 8;     // an exchange holds it back
};

// One step of one message. What it names it names by numbers that its shard has at hand; whoever reads asks what they
// stand for, and what has gone meanwhile has no name any more.
struct flight_event {
    std::uint64_t id;          // flight_id() of the message
    std::uint64_t at_us : 52;  // since 1970
    std::uint64_t step : 6;    // a flight_step
    std::uint64_t shard : 6;   // of the queue or session
    std::uint32_t slot;        // and its place there
    std::uint32_t generation;
    union {
        flight_place queue;
        flight_publication publication;
    };

    [[nodiscard]] flight_step what() const noexcept { return static_cast<flight_step>(step); }
    [[nodiscard]] bool of_queue() const noexcept { return what() >= flight_step::queued; }
    [[nodiscard]] queue_handle queue_at() const noexcept {
        return {slot, generation, shard_id{static_cast<std::uint16_t>(shard)}};
    }
    [[nodiscard]] session_handle session_at() const noexcept {
        return {slot, generation, shard_id{static_cast<std::uint16_t>(shard)}};
    }
};
static_assert(sizeof(flight_event) == 32);

inline constexpr position flight_position_mask = (position{1} << 40) - 1;
[[nodiscard]] constexpr std::uint64_t flight_consumer(consumer_id c) noexcept { return (c.value >> 32) & 0xff'ffff; }

// Of a message id within a vhost: hash of the text, seeded with this. Tenants do not find each other's messages.
[[nodiscard]] inline std::uint64_t flight_seed(vhost_id v) noexcept {
    return detail::mix(process_seed ^ v.value, detail::odd_a);
}
[[nodiscard]] inline std::uint64_t flight_id(vhost_id v, std::string_view message_id) noexcept {
    return stable_hash(message_id, flight_seed(v));
}

// What has happened lately on one shard to messages that have an id: a ring, the newest over the oldest.
//
// A message without an id costs the one branch on its trait (message_traits::identified). One with an id pays a hash of
// it and 32 bytes a step; a publication, which names its exchange and key in full because nothing keeps them, up to
// four slots of text more.
//
// Threads: its shard's.
// Bounds:  its capacity, fixed at construction; the memory comes with the first event.
class flight_recorder {
public:
    // So many slots at least, or none at all.
    static constexpr std::size_t events_min = 64;
    static constexpr std::size_t text_bytes_a_slot = 24;
    static constexpr std::size_t text_bytes_max = 4 * text_bytes_a_slot;

    // 0: nothing is recorded.
    explicit flight_recorder(std::size_t events_max) noexcept
        : capacity_(events_max == 0 ? 0 : std::max(events_max, events_min)) {}

    [[nodiscard]] bool on() const noexcept { return capacity_ != 0; }
    [[nodiscard]] std::size_t bytes() const noexcept {
        return slots_ == nullptr ? 0 : capacity_ * sizeof(flight_event);
    }

    // Precondition of both: on().
    void write(const flight_event& e) {
        if (slots_ == nullptr) [[unlikely]] {
            slots_ = std::make_unique_for_overwrite<flight_event[]>(capacity_);
        }
        slots_[next_] = e;
        next_ = next_ + 1 == capacity_ ? 0 : next_ + 1;
        ++written_;
    }
    void write(flight_event e, std::string_view exchange, std::string_view key);

    // ---- Reading -------------------------------------------------------------------------------
    // Slots are numbered as they are written; the first that is still there, and the one behind the last.
    [[nodiscard]] std::uint64_t first() const noexcept {
        return written_ - std::min<std::uint64_t>(written_, capacity_);
    }
    [[nodiscard]] std::uint64_t end() const noexcept { return written_; }
    // Some have been written over.
    [[nodiscard]] bool wrapped() const noexcept { return written_ > capacity_; }
    // When the oldest was written; 0: there is none.
    [[nodiscard]] std::uint64_t since_us() const noexcept;

    struct words {
        std::string exchange;
        std::string key;
    };
    // Calls f(event, words) for those of that id among at most so many slots from number `from` on; the words are of
    // publications. Returns where to go on: end() when that was all.
    template <class F>
    std::uint64_t read(std::uint64_t from, std::uint64_t most, std::uint64_t id, F&& f) const {
        from = std::max(from, first());
        const std::uint64_t to = from + std::min(most, end() - from);
        for (std::uint64_t n = from; n < to; ++n) {
            const flight_event& e = at(n);
            if (e.id == id && e.what() != flight_step::text) {
                f(e, e.what() < flight_step::passed_on ? words_of(n) : words{});
            }
        }
        return to;
    }

private:
    [[nodiscard]] const flight_event& at(std::uint64_t number) const noexcept { return slots_[number % capacity_]; }
    [[nodiscard]] words words_of(std::uint64_t number) const;

    const std::size_t capacity_;
    std::unique_ptr<flight_event[]> slots_;
    std::size_t next_ = 0;
    std::uint64_t written_ = 0;
};

// What a queue knows of a position.
enum class whereabouts : std::uint8_t {
    ready,
    waiting,  // for its next attempt
    lent,     // and the log has it; of others that are lent the queue keeps a count alone
    nowhere,
    unknown,  // too many to look through
};

}  // namespace linnet::core
