#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/record_owner.hpp"
#include "broker/core/reply_handle.hpp"
#include "broker/core/shard.hpp"
#include "broker/core/timer_wheel.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linnet::core {

class reply_registry;
class message_pool;

// What a registry of reply handles needs of its shard. Nothing here calls back before it returns.
class reply_context {
public:
    reply_context() = default;
    reply_context(const reply_context&) = delete;
    reply_context& operator=(const reply_context&) = delete;
    virtual ~reply_context() = default;

    [[nodiscard]] virtual shard_id here() const noexcept = 0;
    [[nodiscard]] virtual std::uint16_t shards() const noexcept = 0;
    [[nodiscard]] virtual const reply_limits& limits() const noexcept = 0;
    [[nodiscard]] virtual mono_ns now() const noexcept = 0;
    [[nodiscard]] virtual wall_ns wall_now() const noexcept = 0;
    [[nodiscard]] virtual timer_wheel& timers() noexcept = 0;
    [[nodiscard]] virtual message_pool& pool() noexcept = 0;
    [[nodiscard]] virtual const property_reader* reader_of(protocol_tag tag) const noexcept = 0;
    [[nodiscard]] virtual std::string name_of(vhost_id v) const = 0;
    [[nodiscard]] virtual std::optional<vhost_id> find_vhost(std::string_view name) const = 0;

    virtual void later(std::function<void()> f) = 0;  // in the next turn
    virtual void answer(session_handle to, reply&& r) = 0;
    virtual void tell(session_handle watcher, reply_news&& news) = 0;
    // To a sink. False: known to be gone.
    [[nodiscard]] virtual bool deliver(const answer_inbox& to, message_ptr m) = 0;
    // As an ordinary message of that vhost; whoever waits hears of it as of any publish.
    [[nodiscard]] virtual publish_result publish(vhost_id v, message_ptr m, const durable_waiter& w) = 0;
    virtual void settle(const durable_waiter& w) = 0;
    // Recovered here, which need not be where its token would put it by now.
    virtual void found(const reply_registry& at, const reply_token& t) = 0;
};

// The owner of the kept answers in each log.
inline constexpr owner_uid replying_owner = owner_uid{1} << 58;
[[nodiscard]] constexpr owner_uid replies_of(std::uint16_t log) noexcept { return replying_owner | log; }

// The reply handles of one log, or of a shard without one (reply_handle.hpp).
//
// A durable kept handle is a record of the journal, as is each message that came for it: what is told of an answer, to
// its publisher and its requester, is told once that is stored, and then it is read back from the log whenever somebody
// comes. When its time is over a handle stays known as gone for a while; then its records are settled, all in one run
// of positions.
//
// The handle of a request remembers which delivery it was made for, so that a request that is delivered again and again
// has one.
//
// Threads: its shard's.
// Bounds:  some 500 bytes a handle and what its requester said; handles by reply_limits, as many again that are gone;
//          progress_max messages of progress a handle, and watchers_max watchers. What is kept without a log stays in
//          memory, like the messages of a queue.
// Fails:   an answer whose record is damaged is told as one without a message; the journal reports it.
class reply_registry final : public record_owner {
public:
    static constexpr std::size_t progress_max = 64;
    static constexpr std::size_t watchers_max = 16;
    static constexpr mono_ns wait_max = 366 * 24 * 60 * 60 * ns_per_s;  // longer is cut to this
    static constexpr unsigned part_bits = 16;                           // of a record's position

    // Without a log (null) nothing survives the process.
    reply_registry(reply_context& context, journal* log, std::uint16_t number);
    ~reply_registry() override;

    // ---- Opening -------------------------------------------------------------------------------
    // `w` hears of it (context.settle) if the result is pending.
    [[nodiscard]] outcome<opened_reply> open(vhost_id v, kept_terms&& terms, const durable_waiter& w);
    [[nodiscard]] std::optional<reply_token> lend(vhost_id v, const delivery& request, const requested_answers& wanted,
                                                  const neutral_properties& said);

    // ---- Answering -----------------------------------------------------------------------------
    // As shard::answer(): nothing of `w` is told unless the result is pending.
    [[nodiscard]] publish_result answer(const reply_token& t, vhost_id v, message_ptr m, const durable_waiter& w);

    // ---- For requesters ------------------------------------------------------------------------
    void read(vhost_id v, session_handle from, std::uint64_t cookie, const read_reply& r);
    void watch(vhost_id v, session_handle from, std::uint64_t cookie, const watch_reply& r);
    void close(vhost_id v, session_handle from, std::uint64_t cookie, const close_reply& r);
    void unwatch(const reply_token& t, session_handle from, std::uint64_t tag);

    void on_durable(std::uint64_t sequence);

    struct figures {
        std::uint64_t handles = 0;
        std::uint64_t gone = 0;  // and still known
        std::uint64_t refused = 0;
        std::uint64_t answers = 0;
    };
    [[nodiscard]] figures look() const noexcept { return {live_, gone_.size(), refused_, answers_}; }
    // Memory, beside messages.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return by_token_.size() * handle_bytes; }
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
    void on_recovery_end(bool clean) override;

private:
    // Which delivery a handle was made for.
    struct request_place {
        queue_handle queue;
        consumer_id reader{};  // of a stream, whose readers all see the same position
        position pos = 0;
        bool operator==(const request_place&) const = default;
    };
    struct request_place_hash {
        std::size_t operator()(const request_place& p) const noexcept;
    };
    enum class phase : std::uint8_t { pending, answered, gone };
    // A message that came for a kept handle.
    struct kept_message {
        std::uint64_t number = 0;  // of progress
        message_ptr msg;           // null: in the log
        stored_ref where;
        bool told = false;  // it is stored, as far as it is to be
    };
    struct watcher {
        session_handle session;
        std::uint64_t tag = 0;
    };
    struct entry final : timer {
        entry(reply_registry& r, const reply_token& t) : registry(r), token(t) {}
        void on_timer(mono_ns) override { registry.on_time(*this); }

        reply_registry& registry;
        const reply_token token;
        vhost_id vhost{};
        phase now = phase::pending;
        answer_count count = answer_count::single;
        std::variant<answer_kept, answer_inbox, answer_address> target;
        std::optional<std::string> correlation;
        mono_ns ends = 0;  // the phase
        std::optional<request_place> request;

        // Kept.
        position id = 0;  // of its records; 0: it has none
        stored_ref where{};
        wall_ns ends_at = 0;  // as `ends`, for the record
        wall_ns gone_at = 0;  // 0: it is not
        mono_ns lasts = 0;    // as it was opened
        kept_message answer{};
        std::deque<kept_message> progress;
        std::uint64_t last_progress = 0;
        std::vector<watcher> watchers;
        std::list<entry*>::iterator among_gone{};
    };
    struct recovered_reply;
    struct recovering;
    // An answer to a requester that waits for messages to be read back.
    struct reading {
        session_handle to;
        std::uint64_t cookie = 0;
        kept_reply what;
        std::size_t missing = 0;
    };
    // With its nodes in the tables, and names as long as they usually are.
    static constexpr std::uint64_t handle_bytes = sizeof(entry) + 320;
    static constexpr std::size_t the_answer = SIZE_MAX;
    struct wish {
        std::uint64_t reading;
        std::size_t index;  // of progress, or the_answer
    };

    // ---- The life of an entry ------------------------------------------------------------------
    [[nodiscard]] entry* find(const reply_token& t) noexcept;
    [[nodiscard]] bool has_room(vhost_id v);
    [[nodiscard]] entry& make(vhost_id v, mono_ns lasts);
    void erase(entry& e);
    void on_time(entry& e);
    void end(entry& e);
    void leave(entry& e);
    [[nodiscard]] message_ptr rendered(const entry& e, const message& m, std::string_view exchange,
                                       std::string_view key) const;
    [[nodiscard]] publish_result take(entry& e, message_ptr m, bool is_progress, const durable_waiter& w);
    [[nodiscard]] kept_message& keep(entry& e, message_ptr m, bool is_progress);
    void tell_of(const reply_token& t, std::uint64_t number);
    void tell(const entry& e, std::uint64_t number, const message_ptr& m);
    // The one that may be told about it; else the complaint is answered.
    [[nodiscard]] entry* find_for(vhost_id v, session_handle from, std::uint64_t cookie, const reply_token& t,
                                  std::string_view user);
    void show(const entry& e, session_handle to, std::uint64_t cookie);
    void show_message(reading& r, std::uint64_t id, std::size_t index, const entry& e, const kept_message& k,
                      std::vector<journal::wanted>& wanted);
    void finish(std::uint64_t id);

    // ---- The journal ---------------------------------------------------------------------------
    void record(entry& e);
    void record(entry& e, kept_message& k, bool is_progress);
    void forget_record(entry& e, std::uint64_t part, stored_ref& where);
    void forget_all_records(entry& e);
    // True when that is later.
    bool when_durable(const entry& e, std::function<void()> then);
    [[nodiscard]] stored_ref* ref_of(position pos) noexcept;
    [[nodiscard]] recovering& replay();
    void revive(position id, recovered_reply& r);

    reply_context& context_;
    journal* log_;
    std::uint16_t number_;
    std::unordered_map<reply_token, std::unique_ptr<entry>, reply_token_hash> by_token_;
    std::unordered_map<position, entry*> by_id_;
    std::unordered_map<request_place, reply_token, request_place_hash> by_request_;
    std::unordered_map<std::uint32_t, std::uint32_t> by_vhost_;  // how many live
    std::list<entry*> gone_;                                     // the oldest first
    std::uint64_t live_ = 0;
    position last_id_ = 0;
    std::uint64_t last_promise_ = 0;
    std::unordered_map<std::uint64_t, std::function<void()>> promises_;
    std::unordered_map<std::uint64_t, reading> readings_;
    std::uint64_t last_reading_ = 0;
    std::unordered_map<position, std::vector<wish>> wishes_;
    std::unique_ptr<recovering> recovering_;
    std::uint64_t refused_ = 0;
    std::uint64_t answers_ = 0;
    mono_ns complained_ = 0;
    thread_owner owner_;
};

}  // namespace linnet::core
