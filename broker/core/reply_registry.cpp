#include "broker/core/reply_registry.hpp"

#include "broker/base/log.hpp"
#include "broker/core/message_builder.hpp"

#include <algorithm>
#include <utility>

namespace linnet::core {

namespace {

constexpr std::string_view progress_header = "x-progress";
// A requester's wish that more than one answer may come.
constexpr std::string_view multiple_header = "x-reply-multiple";
// So much progress has a place among a handle's records.
constexpr std::uint64_t progress_numbers_max = 65'000;
constexpr mono_ns complaint_period = 60 * ns_per_s;

[[nodiscard]] error unknown() { return {error_kind::not_found, "no such reply"}; }

[[nodiscard]] answer_count wished_count(const neutral_properties& said) {
    const value* v = find(said.headers, multiple_header);
    const bool* flag = v == nullptr ? nullptr : v->as_bool();
    const std::string* text = v == nullptr ? nullptr : v->as_string();
    const bool many = (flag != nullptr && *flag) || (text != nullptr && *text == "true");
    return many ? answer_count::multiple : answer_count::single;
}

}  // namespace

std::size_t reply_registry::request_place_hash::operator()(const request_place& p) const noexcept {
    const std::uint64_t queue = std::uint64_t{p.queue.slot} << 32 | p.queue.generation;
    return (queue ^ std::uint64_t{p.queue.shard.value} << 58 ^ p.reader.value) * 0x9e37'79b9'7f4a'7c15 ^ p.pos;
}

// ---- Opening -----------------------------------------------------------------------------------

reply_registry::entry* reply_registry::find(const reply_token& t) noexcept {
    const auto at = by_token_.find(t);
    return at == by_token_.end() ? nullptr : at->second.get();
}

bool reply_registry::has_room(vhost_id v) {
    const auto& limits = context_.limits();
    const auto of_vhost = by_vhost_.find(v.value);
    const std::uint32_t theirs = of_vhost == by_vhost_.end() ? 0 : of_vhost->second;
    if (live_ < limits.handles_max && theirs < limits.handles_a_vhost_max) [[likely]] {
        return true;
    }
    ++refused_;
    if (complained_ == 0 || context_.now() - complained_ >= complaint_period) {
        complained_ = context_.now();
        linnet::log::warning({.domain = "core"},
                             "vhost '{}' has {} reply handles open on shard {} ({} in all): no more",
                             context_.name_of(v), theirs, context_.here().value, live_);
    }
    return false;
}

reply_registry::entry& reply_registry::make(vhost_id v, mono_ns lasts) {
    const auto t = reply_token::make(context_.here(), context_.shards());
    auto& place = by_token_[t];
    place = std::make_unique<entry>(*this, t);
    entry& e = *place;
    e.vhost = v;
    e.lasts = std::min(lasts, wait_max);
    e.ends = context_.now() + e.lasts;
    e.ends_at = context_.wall_now() + e.lasts;
    ++live_;
    ++by_vhost_[v.value];
    context_.timers().start(e, e.ends);
    return e;
}

outcome<opened_reply> reply_registry::open(vhost_id v, kept_terms&& terms, const durable_waiter& w) {
    owner_.check();
    if (!has_room(v)) {
        return fail(error{error_kind::resource_error, "too many replies are waited for"});
    }
    entry& e = make(v, terms.answer_within);
    e.target = answer_kept{std::move(terms.user), std::min(terms.keep_for, wait_max), terms.durable && log_ != nullptr};
    record(e);
    const bool pending = e.where && w.sequence != 0;
    if (pending) {
        log_->wait(w);
    }
    return opened_reply{e.token, pending};
}

std::optional<reply_token> reply_registry::lend(vhost_id v, const delivery& request, const requested_answers& wanted,
                                                const neutral_properties& said) {
    owner_.check();
    if (const auto* known = std::get_if<reply_token>(&wanted)) {
        return *known;
    }
    std::optional<request_place> place;
    if (request.queue) {
        place = {request.queue, is_stream(request.queue) ? request.consumer : consumer_id{}, request.pos};
        if (const auto at = by_request_.find(*place); at != by_request_.end()) {
            return at->second;
        }
    }
    if (!has_room(v)) {
        return std::nullopt;
    }
    entry& e = make(v, std::max(context_.limits().lent_for, request.msg->time_to_live()));
    e.count = wished_count(said);
    e.correlation = said.correlation_id;
    if (const auto* inbox = std::get_if<answer_inbox>(&wanted)) {
        e.target = *inbox;
    } else {
        e.target = std::get<answer_address>(wanted);
    }
    if (place) {
        e.request = place;
        by_request_.emplace(*place, e.token);
    }
    return e.token;
}

// ---- The end -----------------------------------------------------------------------------------

void reply_registry::erase(entry& e) {
    if (e.request) {
        by_request_.erase(*e.request);
    }
    if (e.id != 0) {
        by_id_.erase(e.id);
    }
    if (e.now == phase::gone) {
        gone_.erase(e.among_gone);
    } else {
        --live_;
        if (const auto of = by_vhost_.find(e.vhost.value); --of->second == 0) {
            by_vhost_.erase(of);
        }
    }
    by_token_.erase(e.token);
}

void reply_registry::on_time(entry& e) {
    if (!std::holds_alternative<answer_kept>(e.target)) {
        erase(e);
    } else if (e.now == phase::gone) {
        leave(e);
    } else {
        end(e);
    }
}

// Its time is over, or nobody wants it: known as gone from now on.
void reply_registry::end(entry& e) {
    if (!e.answer.told) {  // an answer that is not stored yet is none to whoever waits
        tell(e, 0, {});
    }
    --live_;
    if (const auto of = by_vhost_.find(e.vhost.value); --of->second == 0) {
        by_vhost_.erase(of);
    }
    e.now = phase::gone;
    e.gone_at = context_.wall_now();
    e.ends = context_.now() + context_.limits().gone_for;
    e.among_gone = gone_.insert(gone_.end(), &e);
    record(e);
    forget_record(e, 1, e.answer.where);
    for (auto& p : e.progress) {
        forget_record(e, 1 + p.number, p.where);
    }
    e.answer = {};
    e.progress.clear();
    e.watchers.clear();
    context_.timers().start(e, e.ends);
    if (gone_.size() > context_.limits().handles_max) {
        leave(*gone_.front());
    }
}

void reply_registry::leave(entry& e) {
    forget_all_records(e);
    erase(e);
}

// ---- Answering ---------------------------------------------------------------------------------

publish_result reply_registry::answer(const reply_token& t, vhost_id v, message_ptr m, const durable_waiter& w) {
    owner_.check();
    entry* e = find(t);
    if (e == nullptr || e->vhost != v || e->now != phase::pending || e->ends <= context_.now()) {
        return {};
    }
    const auto* reader = context_.reader_of(m->properties_of());
    const bool is_progress = reader != nullptr && reader->header(m->properties(), progress_header).has_value();
    if (is_progress && e->last_progress == progress_numbers_max) {
        return {};
    }
    answers_ += is_progress ? 0 : 1;
    publish_result done = take(*e, std::move(m), is_progress, w);
    if (!is_progress && e->count == answer_count::single && !std::holds_alternative<answer_kept>(e->target) &&
        !done.rejected) {
        erase(*e);
    }
    return done;
}

publish_result reply_registry::take(entry& e, message_ptr m, bool is_progress, const durable_waiter& w) {
    publish_result done;
    done.routed = 1;
    if (const auto* inbox = std::get_if<answer_inbox>(&e.target)) {
        done.routed = context_.deliver(*inbox, rendered(e, *m, {}, inbox->key)) ? 1 : 0;
        return done;
    }
    if (const auto* to = std::get_if<answer_address>(&e.target)) {
        return context_.publish(e.vhost, rendered(e, *m, to->exchange, to->key), w);
    }
    const kept_message& k = keep(e, std::move(m), is_progress);
    const bool later = when_durable(e, [this, t = e.token, number = k.number, w] {
        tell_of(t, number);
        if (w.sequence != 0) {
            context_.settle(w);
        }
    });
    if (!later) {
        context_.later([this, t = e.token, number = k.number] { tell_of(t, number); });
    }
    done.pending = later && w.sequence != 0;
    return done;
}

// As the requester expects it: where it asked for it, and with what it knows it by.
message_ptr reply_registry::rendered(const entry& e, const message& m, std::string_view exchange,
                                     std::string_view key) const {
    message_traits traits = m.traits();
    traits.retain = false;
    const auto* reader = context_.reader_of(m.properties_of());
    if (reader == nullptr || !e.correlation || reader->read(m.properties(), traits).correlation_id == e.correlation) {
        return make_message(context_.pool(), exchange, key, m.properties(), m.body(), traits);
    }
    const std::string block = reader->with_correlation(m.properties(), *e.correlation);
    return make_message(context_.pool(), exchange, key,
                        {reinterpret_cast<const std::uint8_t*>(block.data()), block.size()}, m.body(), traits);
}

reply_registry::kept_message& reply_registry::keep(entry& e, message_ptr m, bool is_progress) {
    if (is_progress) {
        // What has not been told yet is not given up for what is newer.
        while (e.progress.size() >= progress_max && e.progress.front().told) {
            forget_record(e, 1 + e.progress.front().number, e.progress.front().where);
            e.progress.pop_front();
        }
        auto& k = e.progress.emplace_back();
        k.number = ++e.last_progress;
        k.msg = std::move(m);
        record(e, k, true);
        return k;
    }
    const auto keep_for = std::get<answer_kept>(e.target).keep_for;
    e.now = phase::answered;
    e.ends = std::max(e.ends, context_.now() + keep_for);
    context_.timers().start(e, e.ends);
    e.answer.msg = std::move(m);
    record(e, e.answer, false);
    return e.answer;
}

// ---- Telling -----------------------------------------------------------------------------------

void reply_registry::tell_of(const reply_token& t, std::uint64_t number) {
    entry* e = find(t);
    if (e == nullptr || e->now == phase::gone) {
        return;
    }
    kept_message* k = &e->answer;
    if (number != 0) {
        const auto at = std::ranges::find(e->progress, number, &kept_message::number);
        if (at == e->progress.end()) {
            return;
        }
        k = &*at;
    }
    k->told = true;
    tell(*e, number, k->msg);
    if (k->where) {
        k->msg.reset();
    }
}

void reply_registry::tell(const entry& e, std::uint64_t number, const message_ptr& m) {
    for (const auto& w : e.watchers) {
        if (m) {
            m.get()->mark_shared();
        }
        context_.tell(w.session, {e.token, w.tag, number, m ? m.share() : message_ptr{}});
    }
}

reply_registry::entry* reply_registry::find_for(vhost_id v, session_handle from, std::uint64_t cookie,
                                                const reply_token& t, std::string_view user) {
    owner_.check();
    entry* e = find(t);
    const auto* kept = e == nullptr ? nullptr : std::get_if<answer_kept>(&e->target);
    if (kept == nullptr || e->vhost != v) {
        context_.answer(from, {cookie, fail(unknown())});
        return nullptr;
    }
    if (kept->user != user) {
        context_.answer(from, {cookie, fail(error{error_kind::access_refused, "the reply is another user's"})});
        return nullptr;
    }
    if (e->now != phase::gone && e->ends <= context_.now()) {
        end(*e);  // a little before its timer
    }
    return e;
}

void reply_registry::read(vhost_id v, session_handle from, std::uint64_t cookie, const read_reply& r) {
    if (const entry* e = find_for(v, from, cookie, r.token, r.user)) {
        show(*e, from, cookie);
    }
}

void reply_registry::watch(vhost_id v, session_handle from, std::uint64_t cookie, const watch_reply& r) {
    entry* e = find_for(v, from, cookie, r.token, r.user);
    if (e == nullptr) {
        return;
    }
    unwatch(r.token, from, r.tag);
    if (e->watchers.size() >= watchers_max) {
        context_.answer(from, {cookie, fail(error{error_kind::resource_error, "too many wait for the same reply"})});
        return;
    }
    if (e->now != phase::gone) {
        e->watchers.push_back({from, r.tag});
    }
    show(*e, from, cookie);
}

void reply_registry::unwatch(const reply_token& t, session_handle from, std::uint64_t tag) {
    owner_.check();
    if (entry* e = find(t)) {
        std::erase_if(e->watchers, [&](const watcher& w) { return w.session == from && w.tag == tag; });
    }
}

void reply_registry::close(vhost_id v, session_handle from, std::uint64_t cookie, const close_reply& r) {
    entry* e = find_for(v, from, cookie, r.token, r.user);
    if (e == nullptr) {
        return;
    }
    if (e->now != phase::gone) {
        end(*e);
    }
    const auto done = [this, from, cookie] {
        kept_reply gone;
        gone.now = kept_reply::phase::gone;
        context_.answer(from, {cookie, std::move(gone)});
    };
    if (!when_durable(*e, done)) {
        done();
    }
}

// ---- Showing what there is -----------------------------------------------------------------------

void reply_registry::show(const entry& e, session_handle to, std::uint64_t cookie) {
    const std::uint64_t id = ++last_reading_;
    reading& r = readings_[id];
    r.to = to;
    r.cookie = cookie;
    // Before it is stored it has been told to nobody, and is not here either.
    const bool answered = e.now == phase::answered && e.answer.told;
    r.what.now = e.now == phase::gone ? kept_reply::phase::gone
                 : answered           ? kept_reply::phase::answered
                                      : kept_reply::phase::pending;
    const mono_ns left = std::clamp<mono_ns>(e.ends - context_.now(), 1, wait_max);
    r.what.left_s = e.now == phase::gone ? 0 : static_cast<std::uint32_t>((left + ns_per_s - 1) / ns_per_s);
    std::vector<journal::wanted> wanted;
    for (const auto& k : e.progress) {
        if (k.told) {
            r.what.progress.push_back({k.number, {}});
            show_message(r, id, r.what.progress.size() - 1, e, k, wanted);
        }
    }
    if (answered) {
        show_message(r, id, the_answer, e, e.answer, wanted);
    }
    if (r.missing == 0) {
        finish(id);
    } else if (!wanted.empty()) {
        log_->fetch(replies_of(number_), wanted);
    }
}

void reply_registry::show_message(reading& r, std::uint64_t id, std::size_t index, const entry& e,
                                  const kept_message& k, std::vector<journal::wanted>& wanted) {
    if (k.msg) {
        (index == the_answer ? r.what.answer : r.what.progress[index].what) = k.msg.share();
        return;
    }
    const position pos = e.id << part_bits | (index == the_answer ? 1 : 1 + k.number);
    ++r.missing;
    auto& wishes = wishes_[pos];
    if (wishes.empty()) {
        wanted.push_back({pos, k.where});
    }
    wishes.push_back({id, index});
}

void reply_registry::on_fetched(position pos, message_ptr m) {
    owner_.check();
    for (const wish& w : std::exchange(wishes_[pos], {})) {
        reading& r = readings_.at(w.reading);
        if (m) {
            (w.index == the_answer ? r.what.answer : r.what.progress[w.index].what) = m.share();
        }
        if (--r.missing == 0) {
            finish(w.reading);
        }
    }
    wishes_.erase(pos);
}

void reply_registry::finish(std::uint64_t id) {
    reading r = std::move(readings_.extract(id).mapped());
    std::erase_if(r.what.progress, [](const reply_progress& p) { return !p.what; });
    for (const auto& p : r.what.progress) {
        p.what.get()->mark_shared();
    }
    if (r.what.answer) {
        r.what.answer.get()->mark_shared();
    }
    context_.answer(r.to, {r.cookie, std::move(r.what)});
}

}  // namespace linnet::core
