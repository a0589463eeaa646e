// The hybrid call: a request that any worker answers, in time for the caller who waits, or later for one who comes
// back.

#include "broker/session/http_call.hpp"

#include "broker/core/message_builder.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/http_event_source.hpp"
#include "broker/session/http_properties.hpp"
#include "broker/session/http_words.hpp"
#include "protocol/http/percent.hpp"
#include "protocol/http/prefer.hpp"
#include "protocol/http/sse.hpp"
#include "protocol/wire/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

namespace linnet::session {
namespace {

using core::topology_view;
using http::method;
using http::status;

constexpr std::uint64_t wait_s_max = 60;
constexpr std::uint64_t within_s = 60 * 60;
constexpr std::uint64_t within_s_max = 7 * 24 * 60 * 60;
constexpr mono_ns kept_for = 60 * 60 * ns_per_s;
// The id of the last event: who comes back with it is told that there is nothing more.
constexpr std::string_view last_id = "end";

std::string location_of(std::string_view vhost, const core::reply_token& t) {
    std::string path = "/v1/";
    http::append_percent_encoded(path, vhost);
    return path + "/replies/" + t.text();
}

// The other way round, of an answer that has a Location.
std::optional<core::reply_token> token_in(const http_answer& a) {
    const auto at = std::ranges::find(a.fields, "Location", &std::pair<std::string, std::string>::first);
    return at == a.fields.end()
               ? std::nullopt
               : core::reply_token::parse(std::string_view(at->second).substr(at->second.rfind('/') + 1));
}

mono_ns wait_asked(const http_request& r) {
    const auto s = http::parse_prefer(r.head.fields.joined("Prefer")).wait_seconds.value_or(0);
    return static_cast<mono_ns>(std::min<std::uint64_t>(s, wait_s_max)) * ns_per_s;
}

http_answer nobody_consumes() {
    return problem_answer({.code = status::service_unavailable, .detail = "nobody is there who would answer"},
                          {{"Retry-After", "5"}});
}

http_answer reply_gone() {
    return problem_answer({.code = status::gone, .detail = "there is no such reply (any more)"});
}

http_answer still_pending(std::string location) {
    return {.code = status::accepted,
            .fields = {{"Location", std::move(location)},
                       {"Retry-After", "1"},
                       {"Cache-Control", "no-store"},
                       {"Content-Type", "application/json"}},
            .body = "{\"status\":\"pending\"}\n"};
}

http_answer answer_from(const core::message_ptr& m, const core::property_reader* reader) {
    if (!m) {
        return problem_answer({.code = status::internal_error, .detail = "the answer was damaged"});
    }
    http_answer a{.fields = {{"Cache-Control", "no-store"}}};
    append_properties(a, properties_of(*m, reader));
    a.body = wire::as_text(m->body());
    return a;
}

// One who waits for the answer: the caller, or whoever asks for it later.
class answer_wait final : public http_reply_watch, private core::timer {
public:
    // What becomes of the handle when the answer has been told, or nobody is there any more whom to tell.
    enum class then : std::uint8_t { keep, close };

    answer_wait(http_messaging& home, core::vhost_id vhost, core::reply_token token, std::string user,
                std::uint64_t tag, std::string location, then t)
        : http_reply_watch(home, vhost, token, std::move(user), tag), location_(std::move(location)), then_(t) {}

    void start(http_responder to, mono_ns wait) {
        if (to.gone()) {
            desert();
            return;
        }
        to_ = std::move(to);
        to_->on_gone([this] { desert(); });
        waits_ = wait > 0;
        if (waits_) {
            home().shard().timers().start(*this, home().shard().now() + wait);
        }
        begin();
    }

private:
    void on_answer(const core::message_ptr& m) override {
        if (then_ == then::close) {
            close_reply();
        }
        say(answer_from(m, m ? home().reader_of(*m) : nullptr));
    }
    void on_gone() override { say(reply_gone()); }
    void on_refused(const core::error& why) override {
        say(why.kind == core::error_kind::not_found ? reply_gone() : refusal_of(why));
    }
    void on_pending() override {
        if (!waits_) {
            say(still_pending(location_));
        }
    }
    void on_timer(mono_ns) override { say(still_pending(location_)); }

    void say(http_answer a) {
        auto to = std::exchange(to_, std::nullopt);
        leave();
        std::move(*to).answer(std::move(a));
    }
    void leave() {
        stop();
        end();
    }
    void desert() {
        if (then_ == then::close) {
            close_reply();
        }
        leave();
    }

    const std::string location_;
    const then then_;
    bool waits_ = false;
    std::optional<http_responder> to_;
};

class reply_source;

class reply_reader final : public http_reply_watch {
public:
    using http_reply_watch::home;
    using http_reply_watch::http_reply_watch;

    void start(http_responder to, std::uint64_t known) {
        to_ = std::move(to);
        to_->on_gone([this] { end(); });
        known_ = known;
        begin();
    }
    void lose_source() {
        source_ = nullptr;
        end();
    }

private:
    void open();
    void on_progress(const core::reply_progress& p) override;
    void on_answer(const core::message_ptr& m) override;
    void on_gone() override;
    void on_refused(const core::error& why) override;
    void on_pending() override { open(); }

    std::optional<http_responder> to_;
    std::uint64_t known_ = 0;  // progress that the reader has seen before
    reply_source* source_ = nullptr;
};

// Bounds: events_max events and bytes_max bytes wait for the socket. Beyond that the oldest goes, and its number is
//         missed; never the result, behind which nothing comes.
class reply_source final : public http_event_source {
public:
    explicit reply_source(reply_reader& r) : http_event_source(r.home()), pool_(r.home().shard().pool()), reader_(&r) {}
    ~reply_source() override {
        if (reader_ != nullptr) {
            reader_->lose_source();
        }
    }
    void add(std::string_view event) {
        while (!events_.empty() && (events_.size() >= events_max || bytes_ + event.size() > bytes_max)) {
            static_cast<void>(take_front());
        }
        bytes_ += event.size();
        // As a message it counts towards the memory budget.
        events_.push_back(core::make_message(pool_, {}, {}, {}, wire::as_bytes(event), {}));
        wake();
    }
    void over() {
        std::exchange(reader_, nullptr)->lose_source();
        finish();
    }

private:
    // As many as the registry keeps for those who come later.
    static constexpr std::size_t events_max = 64;
    static constexpr std::size_t bytes_max = std::size_t{1} << 20;

    [[nodiscard]] bool has_next() const noexcept override { return !events_.empty(); }
    void write_next(http_body& to) override {
        const auto event = take_front();
        to.append_shared(event, event->body());
    }
    core::message_ptr take_front() {
        auto event = std::move(events_.front());
        events_.pop_front();
        bytes_ -= event->body_bytes();
        return event;
    }

    core::message_pool& pool_;
    reply_reader* reader_;
    std::deque<core::message_ptr> events_;
    std::size_t bytes_ = 0;
};

void reply_reader::open() {
    if (to_) {
        auto to = std::exchange(to_, std::nullopt);
        auto made = std::make_unique<reply_source>(*this);
        source_ = made.get();
        auto stream = std::move(*to).stream(event_stream_head(), std::move(made));
        if (source_ != nullptr) {
            source_->begin(std::move(stream));
        }
    }
}

void reply_reader::on_progress(const core::reply_progress& p) {
    open();
    if (source_ != nullptr && p.number > known_ && p.what) {
        std::string event;
        append_message_event(event, std::to_string(p.number), "progress", *p.what, home().reader_of(*p.what));
        source_->add(event);
    }
}

void reply_reader::on_answer(const core::message_ptr& m) {
    open();
    if (source_ != nullptr) {
        std::string event;
        if (m) {
            append_message_event(event, last_id, "result", *m, home().reader_of(*m));
        } else {
            http::append_event(event, {.id = last_id, .name = "gone", .data = "the answer was damaged"});
        }
        source_->add(event);
        source_->over();
    }
}

void reply_reader::on_gone() {
    if (to_) {
        auto to = std::exchange(to_, std::nullopt);
        end();
        std::move(*to).answer(reply_gone());
    } else if (source_ != nullptr) {
        std::string event;
        http::append_event(event, {.id = last_id, .name = "gone", .data = "nobody has answered"});
        source_->add(event);
        source_->over();
    }
}

void reply_reader::on_refused(const core::error& why) {
    if (to_) {
        auto to = std::exchange(to_, std::nullopt);
        end();
        std::move(*to).answer(why.kind == core::error_kind::not_found ? reply_gone() : refusal_of(why));
    }
}

}  // namespace

// ---- Watching ------------------------------------------------------------------------------------

void http_reply_watch::begin() {
    asking_ = true;
    home_.ask(vhost_, core::watch_reply{.token = token_, .user = user_, .tag = tag_}, [this](core::reply&& r) {
        asking_ = false;
        watching_ = r.result.has_value();
        if (!ended_) {
            began(std::move(r));
        } else {
            if (watching_) {
                home_.shard().unwatch_reply(token_, home_.handle(), tag_);
            }
            home_.drop(*this);
        }
    });
}

void http_reply_watch::began(core::reply&& r) {
    if (!r.result) {
        on_refused(r.result.error());
        return;
    }
    auto& now = std::get<core::kept_reply>(*r.result);
    for (auto& p : now.progress) {
        if (!ended_ && p.number > told_) {
            told_ = p.number;
            on_progress(p);
        }
    }
    if (ended_) {
        return;
    }
    switch (now.now) {
        case core::kept_reply::phase::pending: on_pending(); break;
        case core::kept_reply::phase::answered: on_answer(now.answer); return;
        case core::kept_reply::phase::gone: on_gone(); return;
    }
    for (auto& news : std::exchange(before_, {})) {
        take(std::move(news));
    }
}

void http_reply_watch::take(core::reply_news&& news) {
    if (ended_) {
        return;
    }
    if (asking_) {
        before_.push_back(std::move(news));
    } else if (news.number > told_) {
        told_ = news.number;
        on_progress({news.number, std::move(news.what)});
    } else if (news.number == 0 && news.what) {
        on_answer(news.what);
    } else if (news.number == 0) {
        on_gone();
    }
}

void http_reply_watch::end() {
    if (std::exchange(ended_, true)) {
        return;
    }
    if (std::exchange(watching_, false)) {
        home_.shard().unwatch_reply(token_, home_.handle(), tag_);
    }
    if (!asking_) {
        home_.drop(*this);
    }
}

void http_reply_watch::close_reply() {
    home_.ask(vhost_, core::close_reply{.token = token_, .user = user_}, [](core::reply&&) {});
}

void http_messaging::on_reply_news(core::reply_news&& news) {
    const auto at = watches_.find(news.tag);
    if (at != watches_.end()) {
        at->second->take(std::move(news));
    }
}

void http_messaging::drop(const http_reply_watch& w) {
    const auto at = watches_.find(w.tag());
    if (at != watches_.end()) {
        dropped_watches_.push_back(std::move(at->second));
        watches_.erase(at);
        shard_.timers().start(cleaner_, shard_.now());
    }
}

// ---- Calling -------------------------------------------------------------------------------------

struct http_messaging::pending_call {
    order what;
    core::neutral_properties said;
    std::string body;
    std::string user;
    mono_ns within = 0;
    on_called made;
    std::function<bool()> deserted;  // nobody could ever come for the answer; none: by its key somebody can
    core::reply_token token{};
};

void http_messaging::call(const http_request& r, const place& at, segments rest, http_responder to) {
    if (r.method() != method::post) {
        std::move(to).answer(method_not_allowed("POST"));
        return;
    }
    order o{.vhost = topology_view::id_of(*at.vhost), .exchange = exchange_named(rest[0])};
    if (rest.size() == 2) {
        o.key = rest[1];
    }
    if (o.key.size() > UINT16_MAX || o.exchange.size() > UINT8_MAX) {
        std::move(to).answer(bad_request("that name is too long"));
        return;
    }
    core::neutral_properties said;
    auto no = admit(at, o.exchange, o.key);
    if (!no) {
        no = make_order(r, o, said);
    }
    const auto within = number_asked(r, "within", within_s, within_s_max);
    if (!no && (!within || *within == 0)) {
        no = bad_request(fmt::format("within is a number of seconds, 1 to {}", within_s_max));
    }
    if (no) {
        std::move(to).answer(std::move(*no));
        return;
    }
    reply_wish wish{.vhost = o.vhost,
                    .vhost_name = std::string(topology_view::name_of(*at.vhost)),
                    .user = r.user.name,
                    .wait = wait_asked(r)};
    auto c = std::make_shared<pending_call>();
    c->what = std::move(o);
    c->said = std::move(said);
    c->body = r.body;
    c->user = r.user.name;
    c->within = static_cast<mono_ns>(*within) * ns_per_s;
    if (!r.field("Idempotency-Key").empty()) {
        call_once(r, std::move(c), std::move(wish), std::move(to));
        return;
    }
    wish.after = reply_wish::handle::goes;
    const auto asks = std::make_shared<http_responder>(std::move(to));
    c->deserted = [asks] { return asks->gone(); };
    c->made = [this, asks, wish = std::move(wish)](result<core::reply_token, http_answer> opened) {
        if (opened) {
            wait_for_reply(wish, *opened, std::move(*asks));
        } else {
            std::move(*asks).answer(std::move(opened.error()));
        }
    };
    make_call(c);
}

// What is known of a call by its key is its Location. Whoever repeats it waits there, as the first one does.
void http_messaging::call_once(const http_request& r, std::shared_ptr<pending_call> c, reply_wish wish,
                               http_responder to) {
    auto work = [c = std::move(c), vhost = wish.vhost_name](http_messaging& m, answer_once then) {
        c->made = [vhost, then = std::move(then)](result<core::reply_token, http_answer> opened) {
            if (opened) {
                then(still_pending(location_of(vhost, *opened)), repetition::same);
            } else {
                then(std::move(opened.error()), repetition::tried);
            }
        };
        m.make_call(c);
    };
    do_once(r, std::move(work), std::move(to), [this, wish = std::move(wish)](http_responder asks, http_answer a) {
        if (const auto token = token_in(a)) {
            wait_for_reply(wish, *token, std::move(asks));
        } else {
            std::move(asks).answer(std::move(a));
        }
    });
}

void http_messaging::make_call(const std::shared_ptr<pending_call>& c) {
    const auto& o = c->what;
    const auto* v = shard_.topology().find_vhost(o.vhost);
    const auto where =
        v == nullptr
            ? core::targets{}
            : shard_.find_route(*v, o.exchange, o.key, &amqp_reader(), wire::as_bytes(o.properties), memo_).where;
    if (where.empty()) {
        c->made(fail(nobody_consumes()));
        return;
    }
    const auto cookie = ++last_cookie_;
    auto then = [this, c](core::reply&& there) {
        if (there.result) {
            open_call(c);
        } else {
            c->made(fail(nobody_consumes()));
        }
    };
    if (auto now = shard_.find_consumer(handle(), cookie, where)) {
        then(std::move(*now));
    } else {
        asked_.emplace(cookie, std::move(then));
    }
}

// The handle is kept before the request is anywhere: no answer can come too early.
void http_messaging::open_call(const std::shared_ptr<pending_call>& c) {
    const auto sequence = ++last_sequence_;
    auto opened = shard_.open_reply(
        c->what.vhost,
        {.user = c->user, .answer_within = c->within, .keep_for = kept_for, .durable = c->said.persistent}, handle(), 0,
        sequence);
    if (!opened) {
        c->made(fail(refusal_of(opened.error())));
        return;
    }
    c->token = opened->token;
    if (opened->pending) {
        publishing_.emplace(sequence, pending_publish{[this, c](published p) {
                                                          if (p.what == fate::confirmed) {
                                                              send_call(c);
                                                          } else {
                                                              c->made(fail(nobody_consumes()));
                                                          }
                                                      },
                                                      false});
    } else {
        send_call(c);
    }
}

void http_messaging::send_call(const std::shared_ptr<pending_call>& c) {
    const auto forget = [this, c] {
        ask(c->what.vhost, core::close_reply{.token = c->token, .user = c->user}, [](core::reply&&) {});
    };
    if (c->deserted && c->deserted()) {
        forget();
        return;
    }
    c->said.reply_to = core::reply_key(c->token);
    if (!c->said.correlation_id) {
        c->said.correlation_id = c->token.text();
    }
    c->what.properties = to_block(c->said);
    c->what.traits.answerable = true;
    carry_out(c->what, c->body, [c, forget](published p) {
        if (p.what != fate::confirmed) {
            forget();
            c->made(fail(p.what == fate::refused ? answer_of(c->what.id, p) : nobody_consumes()));
            return;
        }
        c->made(c->token);
    });
}

void http_messaging::wait_for_reply(const reply_wish& w, const core::reply_token& token, http_responder to) {
    const auto tag = ++last_cookie_;
    auto made = std::make_unique<answer_wait>(*this, w.vhost, token, w.user, tag, location_of(w.vhost_name, token),
                                              w.after == reply_wish::handle::goes ? answer_wait::then::close
                                                                                  : answer_wait::then::keep);
    auto& waits = *made;
    watches_.emplace(tag, std::move(made));
    waits.start(std::move(to), w.wait);
}

// ---- Coming back ---------------------------------------------------------------------------------

void http_messaging::on_replies(const http_request& r, const place& at, segments rest, http_responder to) {
    const bool reads = r.method() == method::get || r.method() == method::head;
    if (!reads && r.method() != method::delete_) {
        std::move(to).answer(method_not_allowed("GET, HEAD, DELETE"));
        return;
    }
    const auto token = core::reply_token::parse(rest[0]);
    if (!token || rest.size() != 1) {
        std::move(to).answer(reply_gone());
        return;
    }
    const auto vhost = topology_view::id_of(*at.vhost);
    if (r.method() == method::delete_) {
        auto then = later(std::move(to));
        ask(vhost, core::close_reply{.token = *token, .user = r.user.name},
            [then = std::move(then)](core::reply&& done) {
                then(done.result                                               ? http_answer{.code = status::no_content}
                     : done.result.error().kind == core::error_kind::not_found ? reply_gone()
                                                                               : refusal_of(done.result.error()));
            });
    } else if (r.method() == method::get && r.field("Accept").starts_with(http::event_stream_type)) {
        const auto last = r.field("Last-Event-ID");
        if (last == last_id) {
            std::move(to).answer({.code = status::no_content});
            return;
        }
        std::uint64_t known = 0;
        for (const char c : last.substr(0, 18)) {
            known = c >= '0' && c <= '9' ? known * 10 + static_cast<std::uint64_t>(c - '0') : 0;
        }
        const auto tag = ++last_cookie_;
        auto made = std::make_unique<reply_reader>(*this, vhost, *token, r.user.name, tag);
        auto& reader = *made;
        watches_.emplace(tag, std::move(made));
        reader.start(std::move(to), known);
    } else {
        wait_for_reply({.vhost = vhost,
                        .vhost_name = std::string(topology_view::name_of(*at.vhost)),
                        .user = r.user.name,
                        .wait = wait_asked(r)},
                       *token, std::move(to));
    }
}

}  // namespace linnet::session
