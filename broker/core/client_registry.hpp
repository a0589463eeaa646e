#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/client.hpp"
#include "broker/core/client_names.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/record_owner.hpp"
#include "broker/core/timer_wheel.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace linnet::core {

class client_registry;
class message_pool;

// In whose name a last will is published.
struct will_speaker {
    vhost_id vhost{};
    std::string user;
    std::string client;
    grant_ptr grant{};  // null: by the user's rights
};

// What a registry of clients needs of its shard. Nothing here calls back before it returns.
class client_context {
public:
    client_context() = default;
    client_context(const client_context&) = delete;
    client_context& operator=(const client_context&) = delete;
    virtual ~client_context() = default;

    [[nodiscard]] virtual shard_id here() const noexcept = 0;
    [[nodiscard]] virtual mono_ns now() const noexcept = 0;
    [[nodiscard]] virtual wall_ns wall_now() const noexcept = 0;
    [[nodiscard]] virtual timer_wheel& timers() noexcept = 0;
    [[nodiscard]] virtual message_pool& pool() noexcept = 0;
    [[nodiscard]] virtual std::string name_of(vhost_id v) const = 0;
    [[nodiscard]] virtual std::optional<vhost_id> find_vhost(std::string_view name) const = 0;
    [[nodiscard]] virtual bool lists_user(std::string_view name) const = 0;

    virtual void later(std::function<void()> f) = 0;  // in the next turn
    virtual void answer(session_handle to, reply&& r) = 0;
    virtual void take_over(session_handle from, client_ticket t) = 0;
    // A mark is noted and there is nothing to wait for; else the journal's waiter says it.
    virtual void settle(const durable_waiter& w) = 0;
    // Tells client_registry::on_queue_gone(id), once that is durable.
    virtual void delete_queue(client_registry& of, position id, vhost_id v, const std::string& name) = 0;
    // If the user may; tells client_registry::on_will_settled(id) once it is durable wherever it went.
    virtual void publish_will(client_registry& of, position id, const will_speaker& who, message_ptr m) = 0;
    // Recovered here, which need not be where its name would put it by now.
    virtual void found(const client_registry& at, vhost_id v, std::string_view name) = 0;
};

// The owner of the clients' records in each log.
inline constexpr owner_uid clients_owner = owner_uid{1} << 61;
[[nodiscard]] constexpr owner_uid clients_of(std::uint16_t log) noexcept { return clients_owner | log; }

// The named clients of one log (client.hpp).
//
// A durable entry is a record of the journal like a message: cleaning copies it and its bytes count. Its position
// stays the same as long as it lives; each version replaces the one before, and has a number of its own, so that a copy
// of one is not taken for news. Marks, and what is added to a state, are small records beside it: a version holds those
// that came before it, and one is written when they are about to go with their segment. A will is a record of its own.
//
// To let go of an entry its end is recorded first, then its queue deleted, then it is forgotten: a crash in between is
// made good by doing the rest again.
//
// Threads: its shard's.
// Bounds:  some 220 bytes a client and its names; 200 more with its state, its marks and its wills, once it has any or
//          is kept.
class client_registry final : public record_owner {
public:
    // Without a log (null) nothing survives the process. `clients_max` may be known at once; 0: no limit.
    client_registry(client_context& context, journal* log, std::uint16_t number, std::uint64_t clients_max = 0);
    ~client_registry() override;

    void attach(vhost_id v, session_handle from, std::uint64_t cookie, attach_client&& a);
    void keep(session_handle from, std::uint64_t cookie, keep_client&& k);
    void detach(detach_client&& d);
    // `w` names the one who wants to hear of it.
    void mark(client_ticket ticket, std::uint32_t number, bool set, const durable_waiter& w);

    // ---- Marks that come with a publish --------------------------------------------------------
    // One is under way: until it has ended nobody else gets the client's name. The entry may have gone.
    void expect_mark(position entry);
    // Recorded, in the group that is open in the log.
    void note_mark(position entry, std::uint32_t number);
    // The publish has been taken by all that it is for, and so has its mark.
    void end_mark(position entry, std::uint32_t number);
    // It was refused before it had one.
    void drop_mark(position entry);
    // It was refused: its mark, if it has left one, goes again. Then `w` is told.
    void withdraw_mark(position entry, std::uint32_t number, const durable_waiter& w);

    // ---- Ends ----------------------------------------------------------------------------------
    // Those vhosts and users are no more: their clients are not kept, now or when they leave.
    void forget(std::span<const vhost_id> vhosts, std::span<const std::string> users);

    // ---- What was asked of the shard or the journal --------------------------------------------
    void on_queue_gone(position id);
    void on_will_settled(position id);
    void on_durable(std::uint64_t sequence);

    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }
    [[nodiscard]] std::size_t size() const noexcept { return by_name_.size(); }
    // Memory: entries with what they keep, and wills without their messages.
    [[nodiscard]] std::uint64_t bytes() const noexcept {
        return entry_bytes_ + wills_.size() * will_bytes + changed_.size() * changed_bytes;
    }
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
    struct newcomer {
        session_handle from;
        std::uint64_t cookie;
        attach_client what;
    };
    enum class phase : std::uint8_t { detached, attached, ending };
    struct entry;
    // What is kept of a client, or is to be done when its time has come. Most of those that are connected have nothing.
    struct remains final : timer {
        remains(client_registry& r, entry& e) : registry(r), of(e) {}
        void on_timer(mono_ns) override { registry.on_time(of); }

        client_registry& registry;
        entry& of;
        std::vector<std::uint8_t> state;
        std::vector<std::uint32_t> marks;  // sorted
        mono_ns expires = 0;               // detached; 0: never
        wall_ns detached_at = 0;           // 0: it is not
        position will = 0;                 // waits for its time

        std::uint64_t version = 0;
        stored_ref where{};
        log_position changed_at = 0;  // its first mark, or addition, since `where` was written; 0: none
    };
    struct entry {
        entry(position p, vhost_id v, std::string_view name) : id(p), vhost(v) { names.set(name, {}, {}); }

        const position id;
        client_names names;
        const vhost_id vhost;
        phase now = phase::detached;
        bool present = false;  // somebody had it before
        bool durable = false;
        bool listed = false;         // its user has to be
        bool doomed = false;         // it ends when it leaves
        bool told = false;           // whoever has it
        std::uint32_t expected = 0;  // publishes under way that come with a mark
        std::uint32_t expiry_s = 0;
        session_handle owner{};
        std::uint64_t ticket = 0;  // its number; 0: nobody has it
        std::unique_ptr<newcomer> next;
        std::unique_ptr<remains> kept;  // from the first that there is to keep on
        log_position recorded_end = 0;  // what it has recorded lies below
        std::uint64_t weight = 0;       // in entry_bytes_

        [[nodiscard]] bool is_recorded() const noexcept { return kept != nullptr && kept->where; }
        [[nodiscard]] position will() const noexcept { return kept == nullptr ? 0 : kept->will; }
    };
    // Entries by vhost and name, which they know themselves.
    struct client_key {
        vhost_id vhost;
        std::string_view name;

        explicit client_key(const entry* e) noexcept : vhost(e->vhost), name(e->names.name()) {}
        client_key(vhost_id v, std::string_view n) noexcept : vhost(v), name(n) {}
        bool operator==(const client_key&) const = default;
    };
    struct key_hash {
        using is_transparent = void;
        // Not noexcept, so that the table keeps what comes out and does not ask every entry again when it grows.
        [[nodiscard]] std::size_t operator()(const client_key& k) const {
            return std::hash<std::string_view>{}(k.name) ^ k.vhost.value * 0x9e37'79b9'7f4a'7c15U;
        }
        [[nodiscard]] std::size_t operator()(const entry* e) const { return (*this)(client_key(e)); }
    };
    struct same_key {
        using is_transparent = void;
        [[nodiscard]] bool operator()(const entry* a, const entry* b) const noexcept { return a == b; }
        [[nodiscard]] bool operator()(const client_key& a, const entry* b) const noexcept { return a == client_key(b); }
        [[nodiscard]] bool operator()(const entry* a, const client_key& b) const noexcept { return client_key(a) == b; }
    };
    struct will {
        will_speaker who;
        message_ptr what;  // null: in the log
        stored_ref where{};
        mono_ns due = 0;
    };
    struct recovered_client;
    struct recovered_words;
    struct recovered_change;
    struct recovering;

    // Tables' nodes included.
    static constexpr std::uint64_t will_bytes = 256;
    static constexpr std::uint64_t changed_bytes = 64;

    // ---- The life of an entry ------------------------------------------------------------------
    [[nodiscard]] entry* find(const client_ticket& t) noexcept;
    void weigh(entry& e) noexcept;
    [[nodiscard]] entry* find(position id) noexcept;
    [[nodiscard]] client_ticket ticket_of(const entry& e) const noexcept { return {e.ticket, e.id, number_}; }
    [[nodiscard]] remains& kept_of(entry& e);
    [[nodiscard]] entry& make(vhost_id v, std::string_view name);
    void erase(entry& e);
    void refuse(const newcomer& n, error why);
    void admit(entry& e);
    void admit_next(entry& e);
    void end(entry& e);
    void end_idle(position id);
    void finish_end(entry& e);
    void on_time(entry& e);
    void arm(entry& e);
    [[nodiscard]] bool may_keep(const entry& e, std::size_t state_bytes) const;
    void leave_words(entry& e, last_words&& words);
    void publish_will(entry& e);
    void cancel_will(entry& e);
    void forget_will(position id);

    // ---- The journal ---------------------------------------------------------------------------
    void record(entry& e);
    void forget_record(entry& e);
    // False: it has no version in the log that they could belong to.
    [[nodiscard]] bool record_mark(entry& e, std::uint32_t number, bool set);
    [[nodiscard]] bool record_addition(entry& e, std::span<const std::uint8_t> bytes);
    void record_change(entry& e, std::span<const std::uint8_t> bytes);
    void note_change(entry& e, log_position at);
    void set_mark(entry& e, std::uint32_t number, bool set);
    void end_expected(entry& e);
    void record_will(position id, will& w, const entry& of);
    void when_durable(const entry& e, std::function<void()> then);
    [[nodiscard]] position next_id() noexcept { return last_id_ += 2; }
    [[nodiscard]] recovering& replay();
    void revive(position id, recovered_client& c, const std::vector<recovered_change>& changes);
    void revive(position id, recovered_words& w);
    void fetch_will(position id);

    client_context& context_;
    journal* log_;
    std::uint16_t number_;
    std::uint64_t clients_max_;
    std::unordered_map<position, entry> by_id_;
    std::unordered_set<entry*, key_hash, same_key> by_name_;
    std::map<position, will> wills_;
    std::map<log_position, position> changed_;  // who has a `changed_at`, by it
    std::uint64_t entry_bytes_ = 0;
    // Entries have even ids, the wills odd ones.
    position last_id_ = 0;
    std::uint64_t last_ticket_ = 0;
    std::uint64_t last_promise_ = 0;
    std::unordered_map<std::uint64_t, std::function<void()>> promises_;
    std::unique_ptr<recovering> recovering_;
    thread_owner owner_;
};

}  // namespace linnet::core
