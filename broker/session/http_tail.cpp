#include "broker/session/http_tail.hpp"

#include "broker/core/message_builder.hpp"
#include "broker/core/text_hash.hpp"
#include "broker/session/amqp_names.hpp"
#include "broker/session/http_words.hpp"
#include "protocol/http/sse.hpp"
#include "protocol/wire/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace linnet::session {

// ---- Places --------------------------------------------------------------------------------------

std::string event_place::text() const { return fmt::format("{}:{}", epoch, offset); }

std::optional<event_place> event_place::parse(std::string_view text) noexcept {
    event_place p;
    const auto colon = text.find(':');
    const auto read = [](std::string_view digits, std::uint64_t& into) {
        const auto end = digits.data() + digits.size();
        const auto done = std::from_chars(digits.data(), end, into);
        return done.ec == std::errc{} && done.ptr == end && into < INT64_MAX;
    };
    const bool good = colon == std::string_view::npos
                          ? read(text, p.offset)
                          : read(text.substr(0, colon), p.epoch) && read(text.substr(colon + 1), p.offset);
    return good ? std::optional(p) : std::nullopt;
}

std::string tail_wish::key() const {
    auto all = fmt::format("{}:{}:{}", vhost.value, name.size(), name);
    for (const auto& p : patterns) {
        all += fmt::format("{}:{}", p.size(), p);
    }
    return all;
}

// ---- The history ---------------------------------------------------------------------------------

http_tail_feed::http_tail_feed(http_messaging& home, std::string key, tail_wish wish)
    : http_consumer(home, wish.vhost), key_(std::move(key)), wish_(std::move(wish)), sender_(*this) {}

void http_tail_feed::start() {
    queue_name_ = make_queue_name();
    // No other history has it: the name is random. Ids are numbers that JSON and AMQP can hold, and never 0.
    epoch_ = (core::stable_hash(queue_name_) & INT64_MAX) | 1;
    ask(
        core::declare_queue{
            .name = queue_name_, .exclusive = true, .auto_delete = true, .arguments = {}, .server_named = true},
        [this](core::reply&& r) {
            if (!r.result) {
                refused(r.result.error());
            } else if (!ended()) {
                bind_next();
            }
        });
}

void http_tail_feed::bind_next() {
    if (bound_ == wish_.patterns.size()) {
        consume({.queue = queue_name_, .label = "http", .no_ack = true, .arguments = {}});
        return;
    }
    ask(core::bind{.source = home().settings().topic_exchange,
                   .destination = queue_name_,
                   .routing_key = wish_.patterns[bound_],
                   .arguments = {},
                   .syntax = core::pattern_syntax::mqtt},
        [this](core::reply&& r) {
            ++bound_;
            if (!r.result) {
                refused(r.result.error());
            } else if (!ended()) {
                bind_next();
            }
        });
}

void http_tail_feed::started(const core::consumer_info&) {
    live_ = true;
    // Those of this shard may leave at once.
    const auto all = followers_;
    for (const auto& f : all) {
        tell(f, [epoch = epoch_, last = last_](http_tail& t) { t.began(epoch, last); });
    }
    if (followers_.empty() && !ended()) {
        linger();
    }
}

void http_tail_feed::take(core::delivery&& d) {
    text_.clear();
    const auto id = event_place{epoch_, ++last_}.text();
    append_message_event(text_, id, wish_.name, *d.msg, home().reader_of(*d.msg));
    shared_event e{last_, core::make_message(shard().pool(), {}, {}, {}, wire::as_bytes(text_), {})};
    bool elsewhere = false;
    for (const auto& f : followers_) {
        if (f.here != nullptr) {
            f.here->add(e.number, e.said);
        } else {
            elsewhere = true;
        }
    }
    if (elsewhere) {
        if (unsent_.empty()) {
            shard().timers().start(sender_, shard().now());
        }
        unsent_.push_back({e.number, text_});
    }
    keep(std::move(e));
}

void http_tail_feed::keep(shared_event e) {
    kept_bytes_ += e.said->body_bytes();
    kept_.push_back(std::move(e));
    while (kept_.size() > kept_events_max || kept_bytes_ > kept_bytes_max) {
        kept_bytes_ -= kept_.front().said->body_bytes();
        kept_.pop_front();
    }
}

void http_tail_feed::send() {
    sender_.stop();
    if (unsent_.empty()) {
        return;
    }
    const auto all = std::make_shared<const tail_events>(std::exchange(unsent_, {}));
    for (const auto& f : followers_) {
        if (f.here == nullptr) {
            tell(f, [all](http_tail& t) { t.add(*all); });
        }
    }
}

void http_tail_feed::tell(const follower_entry& f, std::function<void(http_tail&)> what) {
    if (f.here != nullptr) {
        what(*f.here);
        return;
    }
    home().at(f.who.shard, [key = key_, number = f.who.number, what = std::move(what)](http_messaging& m) {
        if (auto* const t = m.tail(key, number)) {
            what(*t);
        }
    });
}

void http_tail_feed::join(const tail_follower& f) {
    send();
    stop();
    followers_.push_back({f, f.shard == shard().id() ? home().tail(key_, f.number) : nullptr});
    if (live_) {
        tell(followers_.back(), [epoch = epoch_, last = last_](http_tail& t) { t.began(epoch, last); });
    }
}

void http_tail_feed::leave(const tail_follower& f) {
    std::erase_if(followers_, [&](const follower_entry& one) { return one.who == f; });
    if (followers_.empty() && live_ && !ended()) {
        linger();
    }
}

void http_tail_feed::look_back(const tail_follower& f, std::uint64_t ticket, const event_place& after) {
    const auto who = std::ranges::find(followers_, f, &follower_entry::who);
    if (who == followers_.end()) {
        return;
    }
    send();
    tail_look_back back;
    const std::uint64_t first = last_ + 1 - kept_.size();  // that is kept
    if (after.epoch != epoch_ || after.offset > last_) {
        back.gap = true;
        back.gap_end = last_;
    } else {
        if (after.offset + 1 < first) {
            back.gap = true;
            back.gap_end = first - 1;
            back.missed = first - 1 - after.offset;
        }
        for (const auto& e : kept_) {
            if (e.number > after.offset && who->here != nullptr) {
                back.here.push_back({e.number, e.said.share()});
            } else if (e.number > after.offset) {
                back.events.push_back({e.number, std::string(wire::as_text(e.said->body()))});
            }
        }
    }
    if (who->here != nullptr) {
        who->here->resumed(ticket, back);
        return;
    }
    tell(*who, [ticket, all = std::make_shared<const tail_look_back>(std::move(back))](http_tail& t) {
        t.resumed(ticket, *all);
    });
}

void http_tail_feed::linger() {
    if (home().feed_count() > lingering_max) {
        on_timer(shard().now());
    } else {
        shard().timers().start(*this, shard().now() + linger_ns);
    }
}

// Nobody has come back: it goes, and with its only consumer its queue.
void http_tail_feed::on_timer(mono_ns /*now*/) {
    home().forget(*this);
    end();
}

void http_tail_feed::refused(const core::error& why) { lose_all(why); }

void http_tail_feed::cancelled() { lose_all({core::error_kind::not_found, "the queue of these topics has gone"}); }

void http_tail_feed::lose_all(const core::error& why) {
    for (const auto& f : std::exchange(followers_, {})) {
        tell(f, [why](http_tail& t) { t.lost(why); });
    }
    unsent_.clear();
    sender_.stop();
    stop();
    home().forget(*this);
    end();
}

// ---- A shard's readers ---------------------------------------------------------------------------

http_tail::http_tail(http_messaging& home, std::string key, std::uint64_t number, tail_wish wish)
    : home_(home), key_(std::move(key)), number_(number), wish_(std::move(wish)), feed_at_(home.feed_shard(key_)) {}

void http_tail::start() {
    home_.at(feed_at_, [key = key_, wish = wish_, f = tail_follower{home_.shard().id(), number_}](http_messaging& m) {
        m.follow(key, wish, f);
    });
}

void http_tail::ask_feed(std::function<void(http_tail_feed&)> what) {
    home_.at(feed_at_, [key = key_, what = std::move(what)](http_messaging& m) {
        if (auto* const feed = m.feed(key)) {
            what(*feed);
        }
    });
}

void http_tail::welcome(http_responder to, std::optional<event_place> after) {
    guest g{std::move(to), after};
    if (live_) {
        open(std::move(g));
    } else {
        waiting_.push_back(std::move(g));
    }
}

void http_tail::began(std::uint64_t epoch, std::uint64_t last) {
    live_ = true;
    epoch_ = epoch;
    last_ = last;
    for (auto& g : std::exchange(waiting_, {})) {
        open(std::move(g));
    }
    end_if_unused();
}

void http_tail::open(guest g) {
    if (g.to.gone()) {
        return;
    }
    if (!g.after) {
        auto events = std::make_unique<http_tail_source>(*this, epoch_);
        events->tell_place(last_);
        stream(std::move(g.to), std::move(events));
        return;
    }
    const auto ticket = ++last_ticket_;
    resuming_.emplace(ticket, std::move(g.to));
    ask_feed([ticket, after = *g.after, f = tail_follower{home_.shard().id(), number_}](http_tail_feed& feed) {
        feed.look_back(f, ticket, after);
    });
}

void http_tail::resumed(std::uint64_t ticket, const tail_look_back& back) {
    auto found = resuming_.extract(ticket);
    if (!found) {
        return;
    }
    if (!found.mapped().gone()) {
        auto events = std::make_unique<http_tail_source>(*this, epoch_);
        if (back.gap) {
            events->tell_gap(back.gap_end, back.missed);
        }
        for (const auto& e : back.here) {
            events->add(e.number, e.said);
        }
        for (const auto& e : back.events) {
            events->add(e.number, message_of(e.text));
        }
        stream(std::move(found.mapped()), std::move(events));
    }
    end_if_unused();
}

void http_tail::stream(http_responder to, std::unique_ptr<http_tail_source> events) {
    auto* const s = events.get();
    auto begun = std::move(to).stream(event_stream_head(), std::move(events));
    if (!begun.ended()) {
        s->begin(std::move(begun));
    }
}

core::message_ptr http_tail::message_of(std::string_view text) {
    return core::make_message(home_.shard().pool(), {}, {}, {}, wire::as_bytes(text), {});
}

void http_tail::add(std::uint64_t number, const core::message_ptr& said) {
    last_ = number;
    for (auto* const reader : readers_) {
        reader->add(number, said);
    }
}

void http_tail::add(const tail_events& events) {
    for (const auto& e : events) {
        add(e.number, message_of(e.text));
    }
}

void http_tail::leave(const http_tail_source& s) {
    std::erase(readers_, &s);
    end_if_unused();
}

void http_tail::end_if_unused() {
    if (ended_ || !live_ || !readers_.empty() || !waiting_.empty() || !resuming_.empty()) {
        return;
    }
    ended_ = true;
    ask_feed([f = tail_follower{home_.shard().id(), number_}](http_tail_feed& feed) { feed.leave(f); });
    home_.drop(*this);
}

void http_tail::lost(const core::error& why) {
    if (std::exchange(ended_, true)) {
        return;
    }
    for (auto& g : std::exchange(waiting_, {})) {
        std::move(g.to).answer(refusal_of(why));
    }
    for (auto& [ticket, to] : std::exchange(resuming_, {})) {
        std::move(to).answer(refusal_of(why));
    }
    for (auto* const reader : std::exchange(readers_, {})) {
        reader->lose_tail();
    }
    home_.drop(*this);
}

// ---- One reader ----------------------------------------------------------------------------------

http_tail_source::~http_tail_source() {
    if (tail_ != nullptr) {
        tail_->leave(*this);
    }
}

void http_tail_source::add(std::uint64_t number, const core::message_ptr& said) {
    const auto bytes = said->body_bytes();
    while (!waiting_.empty() && (waiting_.size() >= events_max || bytes_ + bytes > bytes_max)) {
        bytes_ -= waiting_.front().said->body_bytes();
        dropped_last_ = waiting_.front().number;
        waiting_.pop_front();
        ++dropped_;
    }
    bytes_ += bytes;
    waiting_.push_back({number, said.share()});
    wake();
}

void http_tail_source::tell_place(std::uint64_t last) {
    said() += fmt::format("id: {}\n\n", event_place{epoch_, last}.text());
}

void http_tail_source::tell_gap(std::uint64_t last, std::optional<std::uint64_t> missed) {
    const auto id = event_place{epoch_, last}.text();
    const auto data = missed ? fmt::format("{{\"dropped\":{}}}", *missed) : std::string("{\"dropped\":null}");
    http::append_event(said(), {.id = id, .name = "gap", .data = data});
    wake();
}

void http_tail_source::lose_tail() {
    tail_ = nullptr;
    finish();
}

void http_tail_source::write_next(http_body& to) {
    if (dropped_ != 0) {
        std::string gap;
        const auto id = event_place{epoch_, dropped_last_}.text();
        const auto data = fmt::format("{{\"dropped\":{}}}", std::exchange(dropped_, 0));
        http::append_event(gap, {.id = id, .name = "gap", .data = data});
        to.append(gap);
    }
    const auto event = std::move(waiting_.front().said);
    waiting_.pop_front();
    bytes_ -= event->body_bytes();
    to.append_shared(event, event->body());
}

// ---- What messaging has of them ------------------------------------------------------------------

core::shard_id http_messaging::feed_shard(std::string_view key) const noexcept {
    return core::shard_id{static_cast<std::uint16_t>(core::stable_hash(key) % peers_.size())};
}

void http_messaging::at(core::shard_id where, std::function<void(http_messaging&)> f) {
    if (where == shard_.id()) {
        f(*this);
    } else {
        post_(where, [this, where, f = std::move(f)] { f(*peers_[where.value]); });
    }
}

http_tail* http_messaging::tail(const std::string& key, std::uint64_t number) {
    const auto at = tails_.find(key);
    return at == tails_.end() || at->second->number() != number ? nullptr : at->second.get();
}

http_tail_feed* http_messaging::feed(const std::string& key) {
    const auto at = feeds_.find(key);
    return at == feeds_.end() ? nullptr : at->second;
}

void http_messaging::follow(const std::string& key, const tail_wish& wish, const tail_follower& f) {
    if (stopped_) {
        return;
    }
    if (auto* const there = feed(key)) {
        there->join(f);
        return;
    }
    auto made = std::make_unique<http_tail_feed>(*this, key, wish);
    auto& fresh = *made;
    feeds_.emplace(key, &fresh);
    adopt(std::move(made));
    fresh.join(f);
    fresh.start();
}

void http_messaging::forget(const http_tail_feed& f) {
    const auto at = feeds_.find(f.key());
    if (at != feeds_.end() && at->second == &f) {
        feeds_.erase(at);
    }
}

// It may be in the middle of a call to itself, or in that of a reader.
void http_messaging::drop(const http_tail& t) {
    if (auto found = tails_.extract(t.key())) {
        dropped_tails_.push_back(std::move(found.mapped()));
        shard_.timers().start(cleaner_, shard_.now());
    }
}

}  // namespace linnet::session
