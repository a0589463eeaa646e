#pragma once

#include "broker/core/access_grant.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// Clients that have a name, unique in their vhost, and a state that may outlive their connection: MQTT's client
// identifiers today. What the state means is their protocol's business: the core keeps it as bytes.
//
// A client lives on the shard of the log that its vhost and name hash to, whatever shard its connection is on. There
// its registry entry says who has it now, what has been kept, when it expires, and what is to be said when it is gone.
//
// The life of an entry:
//   attach    the connection takes the name over: whoever had it is told (session_port::on_taken_over), gives it back,
//             and only then the reply goes out. With `clean`, or when it has expired, what was kept is let go of first:
//             its queue deleted, its state and marks forgotten. Of several that wait, the last one gets it; the others'
//             requests fail with resource_locked.
//   keep      the state, as it is to be found again, or what is to be added to its bytes: a large state changes at the
//             cost of the change. The reply comes once it is durable.
//   mark      a number (MQTT: the packet id of a QoS 2 publish that has been taken) noted or forgotten, durable. A mark
//             can be noted with a publish, as one thing (shard::publish_once): whoever comes next is let in when no
//             such publish is under way any more, so what it is told of marks is the whole truth.
//   detach    the connection lets go: with what was in flight, how long the entry is to be kept, and a last message
//             that is to be published after a delay, unless the client is back before. A connection that breaks
//             detaches in the same way: its session does it from on_peer_closed().
// An entry whose time has come is let go of like with `clean`. After a restart every durable entry is detached.
//
// A session that is gone when the reply to its attach arrives has detached, with nothing said.

namespace linnet::core {

// Names one attachment: what an earlier one still has to say comes to nothing.
struct client_ticket {
    std::uint64_t number = 0;  // unique for as long as the broker runs; 0: none
    position entry = 0;        // what its home knows the client by, after a restart too; another one once it has ended
    std::uint32_t home = 0;    // the log that the client lives with
};

inline constexpr std::uint32_t never_expires_s = 0xffff'ffff;
// A state is one record of a log. Protocols bound what their clients can make of it far below this; what is larger all
// the same is not kept, in place of what was kept before.
inline constexpr std::size_t client_state_bytes_max = std::size_t{64} << 20;

// A number at a client, as its home's log knows it.
struct client_mark {
    position entry = 0;  // 0: none
    std::uint32_t number = 0;
};

struct attach_client {
    std::string name;
    std::string queue;  // the client's own, which ends with its entry; need not exist
    std::string user;   // an entry of another user is not taken over: access_refused
    bool clean = false;
    bool durable = false;  // what keep and mark note is to survive a restart
    bool listed = false;   // its user is one of topology_journal::users(): found again without it, the entry ends
    std::uint32_t expiry_s = 0;
};
struct attached_client {
    client_ticket ticket;
    bool present = false;  // there was something to go on with
    std::vector<std::uint8_t> state;
    std::vector<std::uint32_t> marks;  // sorted
};
enum class kept_as : std::uint8_t { whole, addition };
struct keep_client {
    client_ticket ticket;             // of one who has been taken over: resource_locked
    std::vector<std::uint8_t> state;  // above client_state_bytes_max, with what it is added to: resource_error
    bool durable = false;             // from now on, and how long:
    std::uint32_t expiry_s = 0;
    kept_as as = kept_as::whole;  // an addition follows the bytes that are kept already
};

// A will: published by the client's home shard, in the name of the entry's user, if that may still do so then; when the
// delay is over or the entry ends, whichever comes first.
struct last_words {
    message_ptr what;  // null: nothing to say
    std::uint32_t delay_s = 0;
    // By whose rights, if the user has come with some; that lasts no longer than they, nor than the process.
    grant_ptr grant{};
};
struct detach_client {
    client_ticket ticket;
    std::optional<std::vector<std::uint8_t>> state{};  // none, or too large: as it was kept
    std::optional<std::uint32_t> expiry_s{};           // 0: it ends now; none: as it was said before
    last_words words{};
    bool has_queue = true;  // false: the queue of its attach_client has never been made
};

}  // namespace linnet::core
