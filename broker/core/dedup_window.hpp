#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/keyed_hash.hpp"
#include "broker/core/log.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string_view>
#include <vector>

namespace linnet::core {

// The keys of the messages that a queue took lately: what is published again with one of them within the window is
// a duplicate.
//
// A ring of fingerprints in the order of their arrival, and a table of ring places beside it: the oldest go at the
// front when their time or their number is up, exactly.
//
// A durable queue's keys are recorded in its journal, in the group of the message that brought them, and again when the
// segment with their record goes (before_drop()): a duplicate is still one when the message that was first has long
// been consumed.
//
// Threads: its queue's.
// Bounds:  `length_max` keys, each 20 bytes in the ring and 4.6 to 9.2 in the table.
class dedup_window {
public:
    static constexpr mono_ns window_max = std::int64_t{0x7fff'ffff} * ns_per_ms;  // 24 days
    static constexpr std::size_t length_default = 1'000'000;

    struct limits {
        mono_ns window = 0;
        std::size_t length_max = length_default;
    };
    explicit dedup_window(const limits& l);

    // A policy changed.
    void set_limits(const limits& l, mono_ns now);

    [[nodiscard]] fingerprint hash(std::string_view key) const noexcept { return keyed_hash(salt_, key); }
    [[nodiscard]] bool contains(const fingerprint& f, mono_ns now);
    // Of a key that contains() has just denied. `recorded_at`: where the log has it; 0: nowhere.
    void add(const fingerprint& f, mono_ns now, log_position recorded_at = 0);

    [[nodiscard]] std::size_t size() const noexcept { return ring_.size(); }
    [[nodiscard]] const limits& bounds() const noexcept { return limits_; }
    [[nodiscard]] std::size_t footprint() const noexcept;

    // ---- Durability ----------------------------------------------------------------------------
    // A record of keys: the salt, then fingerprints with the wall-clock time of each.
    static constexpr std::size_t record_head = 16;
    static constexpr std::size_t record_entry = 24;
    static constexpr std::size_t record_entries_max = 4096;
    // The record of one key that is about to be add()ed.
    void write_record(const fingerprint& f, wall_ns now, std::vector<std::uint8_t>& out) const;
    // Records of all keys whose own record lies below `keep`, to be appended before what lies there is dropped;
    // `append` returns where. Those recorded there already are not recorded again.
    template <class Append>
    void before_drop(log_position keep, mono_ns now, wall_ns wall_now, Append&& append) {
        expire(now);
        for (std::vector<std::uint8_t> out; collect(keep, now, wall_now, out);) {
            note_recorded(append(std::span<const std::uint8_t>(out)));
        }
    }
    // Recovery: every such record in the order of the log, then recovered(). False: not a record of keys.
    [[nodiscard]] bool on_record(std::span<const std::uint8_t> record, log_position at);
    void recovered(mono_ns now, wall_ns wall_now);

private:
    // 32-bit words: with 64-bit ones an entry would be padded to 24 bytes.
    struct entry {
        std::uint32_t words[4];
        // Milliseconds, wrapping: unambiguous, because no key that is kept is older than twice window_max.
        std::uint32_t time_ms;
        [[nodiscard]] fingerprint print() const noexcept;
    };
    // From ring sequence `first` on, until the next range, keys are recorded at or above `at`; 0: not at all.
    struct recorded_range {
        std::uint64_t first;
        log_position at;
    };
    struct recovering {
        fingerprint print;
        wall_ns when;
        log_position at;
    };

    static constexpr std::uint32_t empty_place = 0xffff'ffff;
    static constexpr std::size_t keys_a_range = 1024;

    void expire(mono_ns now);
    void clear();
    void pop_oldest();
    void push(const fingerprint& f, std::uint32_t time_ms, log_position recorded_at);
    void file(std::uint32_t sequence, const fingerprint& f) noexcept;
    void rebuild_table(std::size_t places);
    [[nodiscard]] std::uint64_t end() const noexcept { return first_ + ring_.size(); }
    [[nodiscard]] std::size_t home_of(const fingerprint& f) const noexcept {
        return static_cast<std::size_t>(f.low) & (table_.size() - 1);
    }
    [[nodiscard]] const entry& entry_of(std::uint32_t sequence) const noexcept {
        return ring_[sequence - static_cast<std::uint32_t>(first_)];
    }
    void unfile(std::uint32_t sequence) noexcept;
    [[nodiscard]] bool collect(log_position keep, mono_ns now, wall_ns wall_now, std::vector<std::uint8_t>& out);
    void note_recorded(log_position where);
    void write_head(std::vector<std::uint8_t>& out) const;

    limits limits_;
    hash_key salt_;
    std::deque<entry> ring_;
    std::uint64_t first_ = 0;  // sequence of ring_.front()
    mono_ns last_add_ = 0;
    std::vector<std::uint32_t> table_;     // low halves of sequences; a power of two, open addressing
    std::deque<recorded_range> recorded_;  // by sequence
    std::uint64_t collected_first_ = 0;    // what collect() has just gathered
    std::uint64_t collected_end_ = 0;
    std::vector<recovering> recovering_;
};

}  // namespace linnet::core
