// Ways into messaging: who may, and what the path means.

#include "broker/session/http_messaging.hpp"

#include "broker/base/assert.hpp"
#include "broker/core/broker.hpp"
#include "broker/session/http_call.hpp"
#include "broker/session/http_consumer.hpp"
#include "broker/session/http_tail.hpp"
#include "broker/session/http_words.hpp"
#include "broker/session/mqtt_topic.hpp"
#include "broker/session/reject_reason.hpp"
#include "protocol/http/sse.hpp"

#include <fmt/format.h>

#include <utility>

namespace linnet::session {
namespace {

using core::right;
using core::topology_view;
using http::method;
using http::status;

// The default exchange, where a name is wanted for it.
constexpr std::string_view default_exchange = "amq.default";
constexpr std::string_view alarm_pause_s = "5";

bool publishes(method m) { return m == method::post || m == method::put; }

bool is_read(method m) { return m == method::get || m == method::head; }

// What ends another's work: a lease, or a call that waits for just this answer.
bool ends_work(method m, std::span<const std::string_view> path) {
    if (path.size() <= 2) {
        return false;
    }
    const bool answers = path[2] == "q" && path.size() == 4 && m == method::post && core::reply_token_of(path[3]);
    return path[2] == "leases" || path[2] == "replies" || answers;
}

}  // namespace

http_messaging::http_messaging(core::shard& s, const http_messaging_settings& settings, const peers& all,
                               post_to_shard post)
    : shard_(s), settings_(settings), peers_(all), post_(std::move(post)), cleaner_(*this), leases_(s) {}

http_messaging::~http_messaging() = default;

// On the shard's own thread, which alone may know it.
core::session_handle http_messaging::handle() {
    if (!handle_) {
        handle_ = shard_.add_session(*this);
    }
    return handle_;
}

void http_messaging::stop() {
    leases_.end();
    stopped_ = true;
    std::vector<http_tail*> tails;
    for (const auto& [key, t] : tails_) {
        tails.push_back(t.get());
    }
    for (auto* const t : tails) {
        t->lost({core::error_kind::not_found, "the service ends"});
    }
    // While the shard goes on, no queue is to know a sink that is no more: a feed, for one, outlives its readers.
    std::vector<http_consumer*> all;
    for (const auto& [key, c] : consumers_) {
        all.push_back(c.get());
    }
    for (auto* const c : all) {
        c->close();
    }
    cleaner_.stop();
    if (handle_) {
        shard_.remove_session(std::exchange(handle_, {}));
    }
    asked_.clear();
    publishing_.clear();
    answering_.clear();
    shard_.note_connection_bytes(-static_cast<std::int64_t>(std::exchange(repeated_bytes_, 0)));
    repeated_.clear();
    repeated_order_.clear();
    feeds_.clear();
    dropped_tails_.clear();
    consumers_.clear();
    dropped_.clear();
    watches_.clear();
    dropped_watches_.clear();
}

const core::property_reader* http_messaging::reader_of(const core::message& m) const noexcept {
    return shard_.parts().reader_of(m.properties_of());
}

// ---- Ways in -------------------------------------------------------------------------------------

// Before a body is read: while memory or disk is short nobody publishes. To give a message back is no publish.
std::optional<http_answer> http_messaging::before_body(const http_request& r) {
    if (!publishes(r.method())) {
        return std::nullopt;
    }
    const auto alarms = shard_.active_alarms();
    if (!alarms && !shard_.congested()) {
        return std::nullopt;
    }
    if (const auto path = r.segments(); path.size() > 2 && path[2] == "leases") {
        return std::nullopt;
    }
    if (alarms) {
        return problem_answer(
            {.code = status::service_unavailable, .detail = alarms.disk ? "the disk is full" : "memory is short"},
            {{"Retry-After", std::string(alarm_pause_s)}});
    }
    return problem_answer({.code = status::too_many_requests, .detail = "more is under way than can be worked on"},
                          {{"Retry-After", "1"}});
}

// To read a queue, as messages or as events, takes from it; a group has a queue, too.
bool http_messaging::takes_by_get(std::span<const std::string_view> segments) const noexcept {
    return segments.size() > 2 && (segments[2] == "q" || segments[2] == "events");
}

void http_messaging::on_request(const http_request& r, http_responder to) {
    const auto path = r.segments();
    if (path.size() == 2 && path[1] == "openapi.json") {
        say_openapi(r, std::move(to));
        return;
    }
    place at;
    if (auto no = enter(r, at)) {
        std::move(to).answer(std::move(*no));
        return;
    }
    // A request is a connection to its vhost as long as it lasts. What ends another's work never finds the vhost full.
    if (!ends_work(r.method(), path)) {
        auto seat = topology_view::take_seat(*at.vhost, r.user.name);
        if (!seat) {
            std::move(to).answer(problem_answer({.code = status::too_many_requests, .detail = seat.error().text},
                                                {{"Retry-After", "1"}}));
            return;
        }
        to.hold(std::move(*seat));
    }
    route(r, at, path.subspan(2), std::move(to));
    shard_.pump();
}

std::optional<http_answer> http_messaging::enter(const http_request& r, place& into) const {
    const auto path = r.segments();
    const auto name = path.size() < 2 ? std::string_view{} : path[1];
    const auto view = shard_.topology();
    into.vhost = view.find_vhost(name);
    if (into.vhost == nullptr) {
        return problem_answer({.code = status::not_found, .detail = fmt::format("there is no vhost '{}'", name)});
    }
    into.rules = r.user.rules_in(view, *into.vhost);
    if (!into.rules) {
        return forbidden(fmt::format("'{}' may not use vhost '{}'", r.user.name, name));
    }
    return std::nullopt;
}

void http_messaging::route(const http_request& r, const place& at, segments rest, http_responder to) {
    const auto what = rest.empty() ? std::string_view{} : rest.front();
    const auto more = rest.empty() ? rest : rest.subspan(1);
    if (what == "t" && !more.empty()) {
        on_topic(r, at, more, std::move(to));
    } else if (what == "x") {
        on_exchange(r, at, more, std::move(to));
    } else if (what == "q") {
        on_queue(r, at, more, std::move(to));
    } else if (what == "leases" && !more.empty()) {
        on_lease(r, at, more, std::move(to));
    } else if (what == "rpc" && (more.size() == 1 || more.size() == 2)) {
        call(r, at, more, std::move(to));
    } else if (what == "replies" && !more.empty()) {
        on_replies(r, at, more, std::move(to));
    } else if (what == "events" && more.empty()) {
        std::vector<std::string> filters;
        for (auto& [name, value] : r.head.target.query().pairs(http::plus::is_plus)) {
            if (name == "topic") {
                filters.push_back(std::move(value));
            }
        }
        listen_to_topics(r, at, std::move(filters), std::move(to));
    } else {
        std::move(to).answer(problem_answer({.code = status::not_found, .detail = "nothing is served at this path"}));
    }
}

// A topic is its levels; a slash within one (%2F) belongs to no topic that MQTT could name.
void http_messaging::on_topic(const http_request& r, const place& at, segments levels, http_responder to) {
    std::string topic;
    for (const auto& level : levels) {
        if (level.find_first_of("/+#") != std::string_view::npos) {
            std::move(to).answer(bad_request("a level of a topic holds no '/', '+' or '#'"));
            return;
        }
        topic += (&level == levels.data() ? "" : "/") + std::string(level);
    }
    if (r.method() == method::post) {
        publish_to(r, at, settings_.topic_exchange, key_of_topic(topic), publish_kind::message, std::move(to));
    } else if (r.method() == method::put) {
        publish_to(r, at, settings_.topic_exchange, key_of_topic(topic), publish_kind::last_value, std::move(to));
    } else if (r.method() == method::delete_) {
        publish_to(r, at, settings_.topic_exchange, key_of_topic(topic), publish_kind::no_value, std::move(to));
    } else if (is_read(r.method()) && r.field("Accept").starts_with(http::event_stream_type)) {
        listen_to_topics(r, at, {std::move(topic)}, std::move(to));
    } else if (is_read(r.method())) {
        read_last_value(r, at, std::move(topic), std::move(to));
    } else {
        std::move(to).answer(method_not_allowed("GET, HEAD, POST, PUT, DELETE"));
    }
}

void http_messaging::on_exchange(const http_request& r, const place& at, segments rest, http_responder to) {
    if (rest.empty() && is_read(r.method())) {
        list_exchanges(at, std::move(to));
    } else if (r.method() != method::post || rest.empty() || rest.size() > 2) {
        std::move(to).answer(rest.size() > 2
                                 ? problem_answer({.code = status::not_found, .detail = "a routing key is one segment"})
                                 : method_not_allowed(rest.empty() ? "GET, HEAD" : "POST"));
    } else {
        publish_to(r, at, exchange_named(rest[0]), rest.size() == 2 ? std::string(rest[1]) : std::string{},
                   publish_kind::message, std::move(to));
    }
}

void http_messaging::on_queue(const http_request& r, const place& at, segments rest, http_responder to) {
    if (rest.empty()) {
        if (is_read(r.method())) {
            list_queues(at, std::move(to));
        } else {
            std::move(to).answer(method_not_allowed("GET, HEAD"));
        }
        return;
    }
    const std::string name(rest[0]);
    if (r.method() == method::post && rest.size() == 1 && core::reply_token_of(name)) {
        publish_to(r, at, {}, name, publish_kind::message, std::move(to));  // an answer to whoever asked
        return;
    }
    const auto* q = topology_view::find_queue(*at.vhost, name);
    if (q == nullptr || rest.size() > 2 || (rest.size() == 2 && rest[1] != "events")) {
        std::move(to).answer(problem_answer(
            {.code = status::not_found,
             .detail = q == nullptr ? fmt::format("there is no queue '{}'", name) : "nothing is served at this path"}));
    } else if (rest.size() == 2) {
        if (r.method() == method::get) {
            listen_to_queue(r, at, *q, std::move(to));
        } else {
            std::move(to).answer(method_not_allowed("GET"));
        }
    } else if (r.method() == method::post) {
        publish_to(r, at, {}, name, publish_kind::message, std::move(to));
    } else if (r.method() == method::get) {
        take(r, at, *q, std::move(to));
    } else {
        std::move(to).answer(method_not_allowed("GET, POST"));
    }
}

void http_messaging::on_lease(const http_request& r, const place& at, segments rest, http_responder to) {
    const auto id = http_lease_id::parse(rest[0]);
    const bool nack = rest.size() == 2 && rest[1] == "nack" && r.method() == method::post;
    const bool plain = rest.size() == 1 && (r.method() == method::delete_ || r.method() == method::patch);
    if (!nack && !plain) {
        std::move(to).answer(method_not_allowed(rest.size() == 1 ? "DELETE, PATCH" : "POST"));
        return;
    }
    if (!id || id->shard >= peers_.size()) {
        std::move(to).answer(no_such_lease());
        return;
    }
    std::optional<mono_ns> lasts;
    if (r.method() == method::patch) {
        lasts = lease_asked(r);
        if (!lasts || *lasts == 0) {
            std::move(to).answer(bad_request("lease is a number of seconds, 1 to 43200"));
            return;
        }
    }
    const bool rejects = nack && r.query("requeue") == "false";
    const auto reason = nack ? r.body : std::string_view{};
    if (!reason.empty() && (!rejects || !is_reject_reason(reason))) {
        std::move(to).answer(bad_request(
            rejects ? fmt::format("a reason is one line of UTF-8 text, {} bytes at most", reject_reason_bytes_max)
                    : "a reason is for who reads the dead letter: requeue=false"));
        return;
    }
    const auto how = nack ? core::settlement::requeued : core::settlement::accepted;
    on_shard(
        core::shard_id{id->shard},
        [id = *id, user = r.user.name, vhost = topology_view::id_of(*at.vhost), lasts, how, rejects,
         reason = std::string(reason)](http_messaging& m, const answer_later& then) {
            const bool done = lasts     ? m.leases_.extend(id, user, vhost, *lasts)
                              : rejects ? m.leases_.reject(id, user, vhost, reason)
                                        : m.leases_.settle(id, user, vhost, how);
            m.shard_.pump();
            then(done ? http_answer{.code = status::no_content} : no_such_lease());
        },
        std::move(to));
}

std::string http_messaging::exchange_named(std::string_view segment) {
    return segment == default_exchange ? std::string{} : std::string(segment);
}

bool http_messaging::may(const place& at, right what, std::string_view resource) {
    return at.rules->allowed(what, core::exchange_in_rules(resource));
}

bool http_messaging::may_topic(const place& at, right what, std::string_view exchange, std::string_view key) {
    const auto* x = topology_view::find_exchange(*at.vhost, exchange);
    return x == nullptr ? may(at, what, exchange) : core::may_use_exchange(*at.rules.get(), what, *x, key);
}

// ---- Other shards --------------------------------------------------------------------------------

void http_messaging::on_shard(core::shard_id where, std::function<void(http_messaging&, answer_later)> f,
                              http_responder to, on_told then) {
    const auto ticket = ++last_ticket_;
    answering_.emplace(ticket, asker{std::move(to), std::move(then)});
    if (where == shard_.id()) {
        f(*this, [this, ticket](http_answer a) { give(ticket, std::move(a)); });
        return;
    }
    // Only numbers and functions travel: the responder stays at home.
    post_(where, [f = std::move(f), where, home = shard_.id(), ticket, this] {
        f(*peers_[where.value], [this, home, ticket](http_answer a) {
            post_(home, [this, ticket, a = std::move(a)]() mutable { give(ticket, std::move(a)); });
        });
    });
}

void http_messaging::give(std::uint64_t ticket, http_answer a) {
    const auto at = answering_.find(ticket);
    if (at != answering_.end()) {
        auto [to, then] = std::move(at->second);
        answering_.erase(at);
        if (then) {
            then(std::move(to), std::move(a));
        } else {
            std::move(to).answer(std::move(a));
        }
    }
}

http_messaging::answer_later http_messaging::later(http_responder to) {
    const auto ticket = ++last_ticket_;
    answering_.emplace(ticket, asker{std::move(to), {}});
    return [this, ticket](http_answer a) { give(ticket, std::move(a)); };
}

// ---- The core ------------------------------------------------------------------------------------

void http_messaging::ask(core::vhost_id vhost, core::request_body what, on_answer then) {
    const auto cookie = ++last_cookie_;
    auto now = shard_.submit({.vhost = vhost, .from = handle(), .cookie = cookie, .body = std::move(what)});
    if (now) {
        then(std::move(*now));
    } else {
        asked_.emplace(cookie, std::move(then));
    }
}

void http_messaging::on_reply(core::reply&& r) {
    const auto at = asked_.find(r.cookie);
    if (at == asked_.end()) {
        return;  // it has been stopped
    }
    const auto then = std::move(at->second);
    asked_.erase(at);
    then(std::move(r));
}

void http_messaging::on_publish_settled(std::uint64_t, std::uint64_t sequence, bool accepted) {
    const auto at = publishing_.find(sequence);
    if (at == publishing_.end()) {
        return;
    }
    const auto p = std::move(at->second);
    publishing_.erase(at);
    p.then({.what = accepted ? fate::confirmed : fate::refused, .stored = p.stored});
}

// Of an answer to a reply handle.
void http_messaging::on_publish_unrouted(std::uint64_t, std::uint64_t sequence) {
    if (const auto p = publishing_.extract(sequence)) {
        p.mapped().then({.what = fate::unroutable});
    }
}

void http_messaging::adopt(std::unique_ptr<http_consumer> c) {
    const auto* key = c.get();
    consumers_.emplace(key, std::move(c));
}

// The core may be in the middle of a call to it.
void http_messaging::drop(const http_consumer& c) {
    const auto at = consumers_.find(&c);
    if (at != consumers_.end()) {
        dropped_.push_back(std::move(at->second));
        consumers_.erase(at);
        shard_.timers().start(cleaner_, shard_.now());
    }
}

void http_messaging::cleaner::on_timer(mono_ns) {
    home_.dropped_.clear();
    home_.dropped_tails_.clear();
    home_.dropped_watches_.clear();
}

}  // namespace linnet::session
