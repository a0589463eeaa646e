#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/record_owner.hpp"
#include "broker/core/retained_tree.hpp"
#include "broker/core/timer_wheel.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace linnet::core {

class retained_store;

// What a store of last values needs of its shard. Nothing here calls back.
class retained_context {
public:
    retained_context() = default;
    retained_context(const retained_context&) = delete;
    retained_context& operator=(const retained_context&) = delete;
    virtual ~retained_context() = default;

    [[nodiscard]] virtual mono_ns now() const noexcept = 0;
    [[nodiscard]] virtual wall_ns wall_now() const noexcept = 0;
    [[nodiscard]] virtual timer_wheel& timers() noexcept = 0;
    [[nodiscard]] virtual std::string name_of(vhost_id v) const = 0;
    [[nodiscard]] virtual std::optional<vhost_id> find_vhost(std::string_view name) const = 0;
    virtual void later(std::function<void()> f) = 0;  // in the next turn
    virtual void answer(session_handle to, reply&& r) = 0;
    // Recovered here, which need not be where its name would put it by now.
    virtual void found(const retained_store& at, vhost_id v) = 0;
};

// The owner of the last values in each log.
inline constexpr owner_uid retaining_owner = owner_uid{1} << 60;
[[nodiscard]] constexpr owner_uid retained_of(std::uint16_t log) noexcept { return retaining_owner | log; }

// The last values of one log's vhosts (retained.hpp).
//
// A value is a message of the journal. Its position begins with a number that stands for its vhost, whose name is
// recorded once beside them. A newer value of the same key replaces the older one by being there, after a crash, too;
// only what is taken away is settled.
//
// With a log, messages stay in memory as far as a small cache goes and are read back when somebody asks; recovery notes
// where they lie.
//
// The broker's own words (broker_keys) are said anew by the next broker: they stay in memory.
//
// Threads: its shard's.
// Bounds:  some 200 bytes a key beside the key; `cached_bytes_max` of messages, without a log all of them. An answer:
//          `looks_max` keys looked at, `answer_bytes_max` and a message.
// Fails:   a value whose record is damaged is given up; the journal reports it.
class retained_store final : public record_owner, private timer {
public:
    static constexpr std::uint64_t cached_bytes_max = 8 * 1024 * 1024;
    static constexpr std::uint64_t answer_bytes_max = 1024 * 1024;
    static constexpr std::uint64_t looks_max = 20'000;

    // Without a log (null) nothing survives the process. `values_max` of a vhost; 0: no limit.
    retained_store(retained_context& context, journal* log, std::uint16_t number, std::uint64_t values_max = 0);
    ~retained_store() override;

    enum class outcome : std::uint8_t {
        done,
        recorded,  // and has to become durable
        refused,   // there are as many values as there may be, and its key has none yet
    };
    // It becomes its key's last value, or without a body takes that away.
    outcome retain(vhost_id v, message_ptr m);
    void read(vhost_id v, session_handle from, std::uint64_t cookie, const read_retained& asked);
    // The vhost is no more.
    void forget(vhost_id v);

    struct figures {
        std::uint64_t values = 0;
        std::uint64_t cached_bytes = 0;  // of messages in memory
        std::uint64_t looks = 0;         // keys looked at by read(), so far
    };
    [[nodiscard]] figures look() const noexcept { return {places_.size(), cached_bytes_, looks_}; }
    // Memory, beside messages.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return places_.size() * value_bytes + key_bytes_; }
    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }
    [[nodiscard]] const journal* log() const noexcept { return log_; }
    // For the next thread: recovery runs on another than the shard.
    void release_owner() const noexcept { owner_.release(); }

    // ---- record_owner --------------------------------------------------------------------------
    [[nodiscard]] record_range place_of(position pos) const override;
    void on_moved(position pos, const stored_ref& to) override;
    void on_fetched(position pos, message_ptr m) override;
    void on_recovered(const recovered_message& m) override;
    void on_recovered_settled(position first, std::uint64_t count) override;
    void on_recovered_attempts(position, std::uint32_t) override {}
    [[nodiscard]] bool on_recovered_keys(std::span<const std::uint8_t> keys, log_position at) override;
    [[nodiscard]] bool on_dropping(log_position keep) override;
    void on_recovery_end(bool clean) override;

private:
    // A vhost's values.
    struct values {
        vhost_id vhost{};
        std::string name;  // as recorded
        retained_map by_key;
        log_position named_at = 0;  // where the log has its name; 0: nowhere
    };
    struct place {
        values* of;
        retained_map::iterator at;
        std::list<position>::iterator cached;  // good while the message is in memory and there is a log
    };
    // An answer that waits for messages to be read back.
    struct answering {
        session_handle to;
        std::uint64_t cookie = 0;
        retained_messages what;
        std::size_t missing = 0;
    };
    struct wish {
        std::uint64_t answer;
        std::size_t index;
    };

    static constexpr std::uint64_t value_bytes = 200;  // its nodes in the tables

    void on_timer(mono_ns now) override;
    [[nodiscard]] values* find(vhost_id v) noexcept;
    [[nodiscard]] values& make(vhost_id v);
    void name(values& v, std::uint32_t number);
    [[nodiscard]] place* find_place(position pos) noexcept;
    void put(values& of, std::string_view key, retained_item&& item);
    void drop(values& of, retained_map::iterator at);
    void take_away(values& of, retained_map::iterator at);
    void cache(place& p);
    void uncache(place& p);
    void arm() noexcept;
    [[nodiscard]] std::uint32_t left_s(const retained_item& item) const noexcept;
    void take(answering& a, retained_item& item, std::vector<journal::wanted>& wanted, std::uint64_t id);
    void finish(std::uint64_t id);
    void fill(const wish& w, const message_ptr& m);

    retained_context& context_;
    journal* log_;
    std::uint16_t number_;
    std::uint64_t values_max_;
    std::map<std::uint32_t, values> vhosts_;  // by number
    std::uint32_t last_vhost_ = 0;
    std::uint64_t last_value_ = 0;
    std::unordered_map<position, place> places_;
    std::set<std::pair<mono_ns, position>> expiries_;
    std::list<position> cached_;  // the oldest first
    std::uint64_t cached_bytes_ = 0;
    std::uint64_t key_bytes_ = 0;
    std::unordered_map<std::uint64_t, answering> answers_;
    std::uint64_t last_answer_ = 0;
    std::unordered_map<position, std::vector<wish>> wishes_;
    std::uint64_t looks_ = 0;
    thread_owner owner_;
};

}  // namespace linnet::core
