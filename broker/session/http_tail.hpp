#pragma once

#include "broker/session/http_consumer.hpp"
#include "broker/session/http_event_source.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

// Topics as server-sent events: what is published from now on, to all who asked for the same.
//
//     a queue --> http_tail_feed, on the shard that the topics lead to: numbers events, keeps the latest
//                     |            |
//                 http_tail    http_tail, one a shard that has readers
//                  |  |  |        |  |
//                 http_tail_source, one a reader
//
// One history for the whole broker: who was cut off goes on exactly where it was, whichever shard it comes back to.
// What goes to another shard goes as text, once, and becomes a message there that all of its readers share.

namespace linnet::session {

class http_tail;
class http_tail_source;

// Where in a history an event stands: its id, as readers send it back.
struct event_place {
    std::uint64_t epoch = 0;  // of the history; 0: of whatever history there is
    std::uint64_t offset = 0;

    [[nodiscard]] std::string text() const;
    [[nodiscard]] static std::optional<event_place> parse(std::string_view text) noexcept;
};

// What a history is of: all who ask for the same share it.
struct tail_wish {
    core::vhost_id vhost{};
    std::vector<std::string> patterns;
    std::string name;  // of all events; empty: each message's own

    [[nodiscard]] std::string key() const;
};

struct tail_event {
    std::uint64_t number = 0;
    std::string text;
};
using tail_events = std::vector<tail_event>;
// An event as readers of one shard share it: the body of a message.
struct shared_event {
    std::uint64_t number = 0;
    core::message_ptr said;
};

// What has come behind a place in a history.
struct tail_look_back {
    bool gap = false;                     // events are gone:
    std::uint64_t gap_end = 0;            // up to there,
    std::optional<std::uint64_t> missed;  // so many; without a number nobody knows how many
    std::vector<shared_event> here;       // to a reader on the feed's shard,
    tail_events events;                   // to another
};

// A shard's tail, by what that shard calls it.
struct tail_follower {
    core::shard_id shard{};
    std::uint64_t number = 0;
    bool operator==(const tail_follower&) const = default;
};

// A history. It outlives its last reader by a while, so that one that comes back finds what it has missed.
//
// Threads: its shard's.
// Owns:    its queue, which ends with it. Followers on this shard leave before they go.
// Bounds:  kept_events_max events and kept_bytes_max bytes stay. Without a follower it stays for linger_ns, and not at
//          all where its shard has more than lingering_max of them.
class http_tail_feed final : public http_consumer, private core::timer {
public:
    static constexpr std::size_t kept_events_max = 1024;
    static constexpr std::size_t kept_bytes_max = std::size_t{1} << 20;
    static constexpr mono_ns linger_ns = 10 * ns_per_s;  // a reader waits for two before it comes back
    static constexpr std::size_t lingering_max = 256;

    http_tail_feed(http_messaging& home, std::string key, tail_wish wish);

    void start();
    [[nodiscard]] const std::string& key() const noexcept { return key_; }

    // ---- By its followers ------------------------------------------------------------------------
    // It hears began() once what is published comes here, then all that does; or lost().
    void join(const tail_follower& f);
    void leave(const tail_follower& f);
    // It hears resumed() with what has come behind that place, and nothing in between.
    void look_back(const tail_follower& f, std::uint64_t ticket, const event_place& after);

private:
    struct follower_entry {
        tail_follower who;
        http_tail* here = nullptr;  // on this shard
    };
    // What waits goes to other shards once a turn.
    struct sender final : core::timer {
        explicit sender(http_tail_feed& f) noexcept : feed(f) {}
        void on_timer(mono_ns) override { feed.send(); }
        http_tail_feed& feed;
    };

    void bind_next();
    void keep(shared_event e);
    void send();
    void tell(const follower_entry& f, std::function<void(http_tail&)> what);
    void lose_all(const core::error& why);
    void linger();
    void on_timer(mono_ns now) override;
    void started(const core::consumer_info&) override;
    void refused(const core::error& why) override;
    void take(core::delivery&& d) override;
    void cancelled() override;

    const std::string key_;
    const tail_wish wish_;
    std::string queue_name_;
    std::size_t bound_ = 0;
    bool live_ = false;
    std::vector<follower_entry> followers_;
    std::uint64_t epoch_ = 0;
    std::uint64_t last_ = 0;  // event there was; the first one is 1
    std::deque<shared_event> kept_;
    std::size_t kept_bytes_ = 0;
    tail_events unsent_;  // to other shards
    sender sender_;
    std::string text_;  // reused
};

// A shard's readers of a history.
//
// Threads: its shard's.
// Owns:    nothing of its readers, each of which leaves before it goes. Goes when it has none.
class http_tail {
public:
    http_tail(http_messaging& home, std::string key, std::uint64_t number, tail_wish wish);
    http_tail(const http_tail&) = delete;
    http_tail& operator=(const http_tail&) = delete;

    void start();
    [[nodiscard]] const std::string& key() const noexcept { return key_; }
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] http_messaging& home() noexcept { return home_; }
    // Answered once what is published reaches it. `after`: what it has seen.
    void welcome(http_responder to, std::optional<event_place> after);
    void join(http_tail_source& s) { readers_.push_back(&s); }
    void leave(const http_tail_source& s);

    // ---- By its feed -----------------------------------------------------------------------------
    void began(std::uint64_t epoch, std::uint64_t last);
    void add(std::uint64_t number, const core::message_ptr& said);
    void add(const tail_events& events);
    void resumed(std::uint64_t ticket, const tail_look_back& back);
    void lost(const core::error& why);

private:
    struct guest {
        http_responder to;
        std::optional<event_place> after;
    };

    void open(guest g);
    void stream(http_responder to, std::unique_ptr<http_tail_source> events);
    void end_if_unused();
    [[nodiscard]] core::message_ptr message_of(std::string_view text);
    void ask_feed(std::function<void(http_tail_feed&)> what);

    http_messaging& home_;
    const std::string key_;
    const std::uint64_t number_;
    const tail_wish wish_;
    const core::shard_id feed_at_;
    bool live_ = false;
    bool ended_ = false;
    std::vector<guest> waiting_;  // until it is live
    std::uint64_t last_ticket_ = 0;
    std::unordered_map<std::uint64_t, http_responder> resuming_;
    std::vector<http_tail_source*> readers_;
    std::uint64_t epoch_ = 0;
    std::uint64_t last_ = 0;
};

// One reader of a tail. Who reads too slowly misses the oldest, and is told how many (event gap).
//
// Bounds: events_max events and bytes_max bytes wait for the socket.
class http_tail_source final : public http_event_source {
public:
    static constexpr std::size_t events_max = 4096;
    static constexpr std::size_t bytes_max = std::size_t{1} << 20;

    http_tail_source(http_tail& t, std::uint64_t epoch) : http_event_source(t.home()), tail_(&t), epoch_(epoch) {
        t.join(*this);
    }
    ~http_tail_source() override;

    void add(std::uint64_t number, const core::message_ptr& said);
    // It has seen all up to that one: where to go on, should it be cut off before the next.
    void tell_place(std::uint64_t last);
    // Before what is added next, `missed` events are gone; nullopt: nobody knows how many.
    void tell_gap(std::uint64_t last, std::optional<std::uint64_t> missed);
    // The tail has gone: nothing more comes.
    void lose_tail();

private:
    [[nodiscard]] bool has_next() const noexcept override { return !waiting_.empty(); }
    void write_next(http_body& to) override;

    http_tail* tail_;
    const std::uint64_t epoch_;
    std::deque<shared_event> waiting_;
    std::size_t bytes_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t dropped_last_ = 0;  // the latest of them
};

}  // namespace linnet::session
