#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// Answers across protocols. A requester says in its own protocol's words where it wants its answer, and a responder of
// another protocol could neither say that nor may publish there. What it is shown instead is a token: a *reply handle*
// knows what the token stands for. Requests that stay within their protocol keep their bytes and have no handle.
//
// A handle grants one right: to publish to its token, in its vhost, until its time is over or (single) the first answer
// has come. No entry of an access list is needed for it. A message whose headers have x-progress is on the way to an
// answer and is none.
//
// Where an answer goes, as the requester said it:
//   inbox    a sink of a session, with no queue between (AMQP's direct reply-to)
//   address  an exchange and a key; a queue's name is a key of the default exchange
//   kept     it stays under the token, for one who comes for it (HTTP)
// What the requester said to know its answer by (correlation) is the handle's to tell: an answer has it again, whatever
// became of it at the responder.
//
// A handle lives on the shard that opened it, whose number its token leads to; a kept one in that shard's log, if it is
// durable. Then its answer is a record beside it, and whoever published that is told once it is stored.

namespace linnet::core {

struct reply_token {
    std::array<std::uint8_t, 16> bytes{};  // random but for what `home()` needs

    auto operator<=>(const reply_token&) const = default;
    // Which of so many shards it was made on.
    [[nodiscard]] std::uint16_t home(std::uint16_t shards) const noexcept {
        return static_cast<std::uint16_t>(number() % shards);
    }
    [[nodiscard]] std::uint64_t number() const noexcept;
    [[nodiscard]] std::string text() const;  // 32 digits of base 16
    [[nodiscard]] static std::optional<reply_token> parse(std::string_view text) noexcept;
    // That nobody can guess.
    [[nodiscard]] static reply_token make(shard_id here, std::uint16_t shards);
};
struct reply_token_hash {
    // Tables hold only tokens that we made.
    std::size_t operator()(const reply_token& t) const noexcept {
        std::size_t h = 0;
        std::memcpy(&h, &t.bytes[8], sizeof h);
        return h;
    }
};

// A token as a key of the default exchange, where answers are published. Nobody can declare a queue of that name.
inline constexpr std::string_view reply_key_prefix = "amq.reply.";
[[nodiscard]] std::string reply_key(const reply_token& t);
// None: the key is no token's.
[[nodiscard]] std::optional<reply_token> reply_token_of(std::string_view key) noexcept;

// ---- What a handle knows -------------------------------------------------------------------------

struct answer_inbox {
    session_handle session;
    std::uint64_t sink_tag = 0;
    std::string key;  // what the session expects there (delivery_sink::on_direct)
    bool operator==(const answer_inbox&) const = default;
};
struct answer_address {
    std::string exchange;
    std::string key;
    bool operator==(const answer_address&) const = default;
};
struct answer_kept {
    std::string user;      // who may come for it
    mono_ns keep_for = 0;  // at least so long after it has come
    bool durable = false;
};
// What a request says: one of these, or a token that it passes on.
using requested_answers = std::variant<reply_token, answer_inbox, answer_address>;

enum class answer_count : std::uint8_t { single, multiple };

// ---- Kept answers, for their requesters ----------------------------------------------------------
// The requester opens a handle (shard::open_reply), publishes its request (message_traits::answerable, and a property
// block whose reader says the token: property_reader::answers_to), and then watches, or comes back later: from any
// session of its user, also after a restart where the handle is durable. Tokens of others are refused (access_refused),
// those that nobody knows (any more) are not_found.

struct kept_terms {
    std::string user;
    mono_ns answer_within = 0;
    mono_ns keep_for = 0;
    bool durable = false;  // without a store nothing is
};
struct opened_reply {
    reply_token token;
    bool pending = false;  // on_publish_settled() follows, with the sequence that was given, once it is durable
};

// Requests (operation.hpp), answered by a kept_reply.
struct read_reply {
    reply_token token;
    std::string user;
};
// From now on session_port::on_reply_news() brings what comes; what had come before is in the answer to this, which may
// arrive after the first news. Until unwatch_reply(), the end of the session or of the handle. The same session and tag
// replace each other; of others there may be `watchers_max`: resource_error.
struct watch_reply {
    reply_token token;
    std::string user;
    std::uint64_t tag = 0;
};
// It is not wanted any more: an answer finds nobody, the token is gone. Answered when that is durable.
struct close_reply {
    reply_token token;
    std::string user;
};

struct reply_progress {
    std::uint64_t number = 0;  // from 1 on, without gaps
    message_ptr what;
};
struct kept_reply {
    enum class phase : std::uint8_t { pending, answered, gone };
    phase now = phase::pending;
    message_ptr answer;                    // answered; null: it was damaged
    std::vector<reply_progress> progress;  // the newest of it
    std::uint32_t left_s = 0;              // pending: for the answer to come; answered: before it is gone
};
struct reply_news {
    reply_token token;
    std::uint64_t tag = 0;     // as given to watch_reply
    std::uint64_t number = 0;  // of progress; 0: that was the answer, or with no message: it is gone
    message_ptr what;
};

// ---- Bounds --------------------------------------------------------------------------------------
// All are a shard's. A new handle is refused (resource_error) rather than an old one given up.
struct reply_limits {
    std::uint32_t handles_max = 100'000;
    std::uint32_t handles_a_vhost_max = 50'000;
    // How long the handle of a request lives whose publisher is not asked (lend_reply), or as long as the request.
    mono_ns lent_for = 10 * 60 * ns_per_s;
    // How long a kept one's token is known to be gone.
    mono_ns gone_for = 60 * 60 * ns_per_s;
};

}  // namespace linnet::core
