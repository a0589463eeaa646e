#pragma once

#include "broker/core/access_grant.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/message.hpp"
#include "broker/core/vhost_limits.hpp"
#include "broker/session/session.hpp"
#include "protocol/http/problem.hpp"
#include "protocol/http/request.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What stands between an HTTP connection and whoever answers a request: messaging (/v1/), management (/api/), metrics.
//
// A handler is one object a shard, chosen by the first segments of the path. It gets a request whole: the head parsed,
// who asks known, the body there. It answers through a responder, at once or later, with a whole answer or with a
// stream that it is asked for piece by piece:
//
//     void on_request(const http_request& r, http_responder to) override {
//         if (r.method() != http::method::get) {
//             std::move(to).answer(method_not_allowed("GET"));
//             return;
//         }
//         std::move(to).answer({.fields = {{"Content-Type", "application/json"}}, .body = describe(r)});
//     }
//
// Answering later: move the responder to wherever the answer will be known, and back to this shard's thread to answer.
// To ask other shards, post_to_shard runs a function on a shard's thread, within its turn; the responder may travel in
// it, but only its own shard's thread may do anything with it, destroying it included.
//
// A connection carries one request at a time; what is pipelined behind it waits in the socket, so answers leave in
// order and a request stays valid until it has been answered.

namespace linnet::session {

class http_session;

// Runs `f` on that shard's thread, in its turn; in order for one sender. Kept by app, which knows the reactors.
using post_to_shard = std::function<void(core::shard_id, std::function<void()>)>;

struct http_user {
    std::string name;  // empty: the handler asked for no login
    std::vector<std::string> tags;
    core::grant_ptr grant{};  // its rights, if a token has brought them along
    [[nodiscard]] bool has_tag(std::string_view tag) const noexcept;
    [[nodiscard]] core::held_rules rules_in(core::topology_view view, const core::vhost_node& v) const {
        return {view, name, grant, v};
    }
};

// A request, whole. What it views is good until it has been answered, or its connection has gone: a handler that
// answers from elsewhere takes with it what it will need.
struct http_request {
    const http::request& head;  // the path's segments percent-decoded one by one, the query, all fields
    std::string_view body;
    const http_user& user;
    const peer_info& peer;

    [[nodiscard]] http::method method() const noexcept { return head.method; }
    [[nodiscard]] std::span<const std::string_view> segments() const noexcept { return head.target.segments(); }
    [[nodiscard]] std::string_view field(std::string_view name) const noexcept { return head.fields.get(name); }
    [[nodiscard]] std::optional<std::string> query(std::string_view name) const {
        return head.target.query().find(name);
    }
};

// Status, fields and, unless it is streamed, the body. Date, length, connection, CORS and gzip (of text from 1 KiB on,
// for those who take it) are the session's business; HEAD gets the head of what GET would.
struct http_answer {
    http::status code = http::status::ok;
    std::vector<std::pair<std::string, std::string>> fields{};
    std::string body{};
};

// application/problem+json (RFC 9457).
[[nodiscard]] http_answer problem_answer(const http::problem& p,
                                         std::vector<std::pair<std::string, std::string>> more = {});
// 405 with what is allowed, a list as Allow has it.
[[nodiscard]] http_answer method_not_allowed(std::string_view allowed);

// Where a stream's pieces go.
class http_body {
public:
    http_body() = default;
    http_body(const http_body&) = delete;
    http_body& operator=(const http_body&) = delete;
    virtual ~http_body() = default;
    virtual void append(std::string_view text) = 0;
    // A part of m's body, sent from there when it is worth it: what goes to many is encoded once.
    virtual void append_shared(const core::message_ptr& m, std::span<const std::uint8_t> part) = 0;
    // What waits for the socket now.
    [[nodiscard]] virtual std::size_t pending() const noexcept = 0;
};

// A body that is made as it is wanted: while its reader keeps up, and not otherwise.
//
// Owned by the session from stream() on, and destroyed when it is done or the connection has gone: the destructor is
// how it hears of that.
class http_source {
public:
    enum class progress : std::uint8_t {
        more,    // ask again as soon as there is room
        waits,   // ask again when http_stream::wake() has been called
        done,    // the body is whole
        broken,  // it cannot be made whole: the connection ends in a way that the client can tell from `done`
    };
    http_source() = default;
    http_source(const http_source&) = delete;
    http_source& operator=(const http_source&) = delete;
    virtual ~http_source() = default;
    // Some 16 to 64 KiB at a time, so that others of the thread get their turn.
    virtual progress write(http_body& to) = 0;
};

struct http_call;  // what a session and whoever answers have in common

// Of a stream that has begun: good for ever, without effect once the stream has ended.
class http_stream {
public:
    http_stream() = default;
    explicit http_stream(std::shared_ptr<http_call> c) noexcept : call_(std::move(c)) {}
    // There is something to say: write() is called at the turn's end, once however often this is. Never from within.
    void wake();
    [[nodiscard]] bool ended() const noexcept;

private:
    std::shared_ptr<http_call> call_;
};

// The right to answer one request, once. Moves; answering uses it up; one that is dropped unused answers 500.
//
// Threads: travels between them; used and destroyed only on the session's shard.
// Fails:   never: an answer to a connection that has gone goes nowhere.
class http_responder {
public:
    explicit http_responder(std::shared_ptr<http_call> c) noexcept : call_(std::move(c)) {}
    http_responder(http_responder&&) noexcept = default;
    http_responder& operator=(http_responder&& other) noexcept;
    ~http_responder();

    void answer(http_answer a) &&;
    // `head`'s body comes first, then the source's. For HEAD the source is let go of at once.
    http_stream stream(http_answer head, std::unique_ptr<http_source> body) &&;
    // Called once if the connection goes before the answer: not after it, nor from within any call of the handler.
    void on_gone(std::function<void()> f);
    [[nodiscard]] bool gone() const noexcept;
    // Kept until the answer is complete, a streamed one too, or the connection has gone.
    void hold(core::vhost_seat s) noexcept;

private:
    std::shared_ptr<http_call> call_;  // null: used
};

// Threads: one shard's. Outlives the shard's sessions.
class http_handler {
public:
    http_handler() = default;
    http_handler(const http_handler&) = delete;
    http_handler& operator=(const http_handler&) = delete;
    virtual ~http_handler() = default;

    virtual void on_request(const http_request& r, http_responder to) = 0;

    // A longer body is answered 413 before any of it is read.
    [[nodiscard]] virtual std::uint64_t body_bytes_max() const noexcept { return std::uint64_t{1} << 20; }
    // Asked when who asks is known and before a body is read; `body` is empty then. An answer ends it here.
    [[nodiscard]] virtual std::optional<http_answer> before_body(const http_request& r) {
        static_cast<void>(r);
        return std::nullopt;
    }
    // A GET that does more than show something: pages of origins that are not let in may not have a browser ask for it.
    [[nodiscard]] virtual bool takes_by_get(std::span<const std::string_view> segments) const noexcept {
        static_cast<void>(segments);
        return false;
    }
    // What the session itself refuses (401, 403), in the handler's words. WWW-Authenticate is added.
    [[nodiscard]] virtual http_answer refusal(const http::problem& p) { return problem_answer(p); }
    // The last call, on its shard's thread, when all sessions have ended.
    virtual void stop() {}
};

// A responder for whoever wants to see what a handler says without a connection: a test, a benchmark.
struct http_answer_port {
    http_answer_port() = default;
    http_answer_port(const http_answer_port&) = delete;
    http_answer_port& operator=(const http_answer_port&) = delete;
    virtual ~http_answer_port() = default;
    virtual void answered(http_answer a) = 0;
    virtual void streamed(http_answer head, std::unique_ptr<http_source> body) = 0;
    virtual void woken() = 0;
};

// Shared by the session and its responder or stream, because either may go first; the count is the only thing in it
// that another thread ever touches.
struct http_call {
    http_answer_port* port = nullptr;  // null: the connection has gone, or the answer is complete
    std::function<void()> gone{};
    core::vhost_seat seat{};  // the session's, which gives it back
};

}  // namespace linnet::session
