#pragma once

#include "broker/core/looks.hpp"
#include "broker/core/operation.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace linnet::core {

// Why publishers are held back, all of them.
struct alarms {
    bool memory = false;  // above the high watermark
    bool disk = false;    // a log has no room left
    [[nodiscard]] explicit operator bool() const noexcept { return memory || disk; }
    bool operator==(const alarms&) const = default;
};

// The core's side of a session: what may happen to it that it did not ask for in this very call.
//
// Threads: all calls on the session's shard, never from within a call of the session into the core, but for
//          deliveries, which may come during pump(), settle() and publish().
class session_port {
public:
    session_port() = default;
    session_port(const session_port&) = delete;
    session_port& operator=(const session_port&) = delete;
    virtual ~session_port() = default;

    // The answer to a submit() that could not be answered at once.
    virtual void on_reply(reply&& r) = 0;
    // A publish with confirm has been taken (or refused) by all its targets; sink_tag is what publish() got.
    virtual void on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) = 0;
    // The last of a batch of on_publish_settled(): what one answer can cover together may go out now.
    virtual void on_settled_batch() = 0;
    // The sink that a deliver_direct() names; null when it is gone.
    [[nodiscard]] virtual delivery_sink* find_sink(std::uint64_t sink_tag) = 0;
    // Whether a deliver_direct() with this routing key would find a sink that takes it (shard::find_direct).
    [[nodiscard]] virtual bool takes_direct(std::string_view key) const {
        static_cast<void>(key);
        return false;
    }
    // What was published for a reply handle, with that sequence, found none: instead of on_publish_settled().
    virtual void on_publish_unrouted(std::uint64_t sink_tag, std::uint64_t sequence) {
        on_publish_settled(sink_tag, sequence, true);
    }
    // Of a handle that it watches (watch_reply).
    virtual void on_reply_news(reply_news&& news) { static_cast<void>(news); }
    // Another connection wants the client's name: this one must detach (shard::detach_client), now or after its last
    // words; the newcomer waits for it.
    virtual void on_taken_over(client_ticket t) { static_cast<void>(t); }
    // Alarms began or ended (AMQP: connection.blocked, connection.unblocked).
    virtual void on_alarms(alarms now) = 0;
    // Rights of its user have changed. What it reads by one that it has no longer, it ends, in the protocol's words.
    virtual void on_rights_changed() {}
    // For people. False: it is nobody's connection, or not open yet.
    [[nodiscard]] virtual bool describe(connection_look& into) {
        static_cast<void>(into);
        return false;
    }
    virtual void describe_channels(std::vector<channel_look>& into) { static_cast<void>(into); }
    // The broker goes down or an operator ends the session: say so in the protocol's words (320) and end.
    virtual void on_shutdown(std::string_view reason) = 0;
};

}  // namespace linnet::core
