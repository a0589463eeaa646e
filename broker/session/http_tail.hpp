#pragma once

#include "broker/session/http_consumer.hpp"
#include "broker/session/http_event_source.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session {

class http_tail_source;

// Where in a history an event stands: its id, as readers send it back.
struct event_place {
    std::uint64_t epoch = 0;  // of the history; 0: of whatever history there is
    std::uint64_t offset = 0;

    [[nodiscard]] std::string text() const;
    [[nodiscard]] static std::optional<event_place> parse(std::string_view text) noexcept;
};

// What is published to some topics from now on, for all of a shard's readers who asked for the same: one queue, and
// each message is made into an event once.
//
// The latest events stay, and the tail outlives its last reader by a while: who was cut off and comes back with the id
// of the last event that it has seen goes on behind it, or is told that some are gone. Another shard's tail is another
// history.
//
// Threads: its shard's.
// Owns:    its queue, which ends with it. Borrows its readers, each of which leaves before it goes.
// Bounds:  kept_events_max events and kept_bytes_max bytes stay. Without a reader it stays for linger_ns, and not at
//          all where its shard has more than lingering_max tails.
class http_tail final : public http_consumer, private core::timer {
public:
    static constexpr std::size_t kept_events_max = 1024;
    static constexpr std::size_t kept_bytes_max = std::size_t{1} << 20;
    static constexpr mono_ns linger_ns = 10 * ns_per_s;  // a reader waits for two before it comes back
    static constexpr std::size_t lingering_max = 256;

    // `name`: of all events; empty: each message's own.
    http_tail(http_messaging& home, core::vhost_id vhost, std::string key, std::vector<std::string> patterns,
              std::string name)
        : http_consumer(home, vhost), key_(std::move(key)), patterns_(std::move(patterns)), name_(std::move(name)) {}

    void start();
    [[nodiscard]] const std::string& key() const noexcept { return key_; }
    // Answered once what is published reaches it. `after`: what it has seen.
    void welcome(http_responder to, std::optional<event_place> after);
    void join(http_tail_source& s);
    void leave(const http_tail_source& s);

    struct event {
        std::uint64_t number = 0;
        core::message_ptr said;  // its body
    };

private:
    struct guest {
        http_responder to;
        std::optional<event_place> after;
    };

    void bind_next();
    void open(guest g);
    void resume(http_tail_source& s, const event_place& after) const;
    void keep(event e);
    void linger();
    void on_timer(mono_ns now) override;
    void started(const core::consumer_info&) override;
    void refused(const core::error& why) override;
    void take(core::delivery&& d) override;
    void cancelled() override;

    const std::string key_;
    const std::vector<std::string> patterns_;
    const std::string name_;
    std::string queue_name_;
    std::size_t bound_ = 0;
    bool live_ = false;
    std::vector<guest> waiting_;  // until it is live
    std::vector<http_tail_source*> readers_;
    std::uint64_t epoch_ = 0;
    std::uint64_t last_ = 0;  // event there was; the first one is 1
    std::deque<event> kept_;
    std::size_t kept_bytes_ = 0;
    std::string text_;  // reused
};

// One reader of a tail. Who reads too slowly misses the oldest, and is told how many (event gap).
//
// Bounds: events_max events and bytes_max bytes wait for the socket.
class http_tail_source final : public http_event_source {
public:
    static constexpr std::size_t events_max = 4096;
    static constexpr std::size_t bytes_max = std::size_t{1} << 20;

    explicit http_tail_source(http_tail& t, std::uint64_t epoch)
        : http_event_source(t.home()), tail_(&t), epoch_(epoch) {
        t.join(*this);
    }
    ~http_tail_source() override;

    void add(const http_tail::event& e);
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
    std::deque<http_tail::event> waiting_;
    std::size_t bytes_ = 0;
    std::uint64_t dropped_ = 0;
    std::uint64_t dropped_last_ = 0;  // the latest of them
};

}  // namespace linnet::session
