#include "broker/core/byte_codec.hpp"
#include "broker/core/command.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/reply_registry.hpp"

#include <algorithm>
#include <utility>

// What a registry of reply handles keeps in its log.

namespace linnet::core {

namespace {

constexpr std::uint8_t reply_record_version = 1;

// A record's position: the handle's number, then which of its records it is: 0 the handle itself, 1 the answer, from 2
// on progress, by its number.
constexpr std::uint64_t parts = std::uint64_t{1} << reply_registry::part_bits;
[[nodiscard]] constexpr std::uint64_t part_of(position pos) noexcept { return pos & (parts - 1); }
[[nodiscard]] constexpr position id_of(position pos) noexcept { return pos >> reply_registry::part_bits; }

}  // namespace

reply_registry::reply_registry(reply_context& context, journal* log, std::uint16_t number)
    : context_(context), log_(log), number_(number) {}

reply_registry::~reply_registry() = default;

// ---- Recording ---------------------------------------------------------------------------------

// Anew, where it has one already.
void reply_registry::record(entry& e) {
    const auto* kept = std::get_if<answer_kept>(&e.target);
    if (kept == nullptr || !kept->durable) {
        return;
    }
    if (e.id == 0) {
        e.id = ++last_id_;
        by_id_.emplace(e.id, &e);
    }
    byte_writer out;
    out.put(reply_record_version);
    out.put(e.ends_at);
    out.put(e.lasts);
    out.put(kept->keep_for);
    out.put(e.gone_at);
    out.put_text(context_.name_of(e.vhost));
    out.put_text(kept->user);
    const auto whole = make_message(context_.pool(), {}, e.token.text(), {}, out.bytes(), {});
    const message_place at{replies_of(number_), e.id << part_bits, 0};
    const stored_ref where = log_->record_message(*whole, context_.wall_now(), {&at, 1});
    if (e.where) {
        log_->release(e.where);
    }
    e.where = where;
}

void reply_registry::record(entry& e, kept_message& k, bool is_progress) {
    if (e.id == 0) {
        return;
    }
    const message_place at{replies_of(number_), e.id << part_bits | (is_progress ? 1 + k.number : 1), 0};
    k.where = log_->record_message(*k.msg, context_.wall_now(), {&at, 1});
}

void reply_registry::forget_record(entry& e, std::uint64_t part, stored_ref& where) {
    if (where) {
        const journal::run gone{e.id << part_bits | part, 1};
        log_->record_settled(replies_of(number_), {&gone, 1});
        log_->release(std::exchange(where, {}));
    }
}

void reply_registry::forget_all_records(entry& e) {
    if (e.id == 0) {
        return;
    }
    const journal::run gone{e.id << part_bits, parts};
    log_->record_settled(replies_of(number_), {&gone, 1});
    const auto release = [this](stored_ref& at) {
        if (at) {
            log_->release(std::exchange(at, {}));
        }
    };
    release(e.where);
    release(e.answer.where);
    for (auto& p : e.progress) {
        release(p.where);
    }
}

bool reply_registry::when_durable(const entry& e, std::function<void()> then) {
    if (e.id == 0) {
        return false;
    }
    const std::uint64_t promise = ++last_promise_;
    promises_.emplace(promise, std::move(then));
    durable_waiter w;
    w.sequence = promise << 16 | number_;
    w.slot = static_cast<std::uint32_t>(own_waiter::answer);
    w.publisher = context_.here();
    log_->wait(w);
    return true;
}

void reply_registry::on_durable(std::uint64_t sequence) {
    owner_.check();
    if (const auto kept = promises_.extract(sequence >> 16)) {
        kept.mapped()();
    }
}

// ---- Places ------------------------------------------------------------------------------------

stored_ref* reply_registry::ref_of(position pos) noexcept {
    const auto at = by_id_.find(id_of(pos));
    if (at == by_id_.end()) {
        return nullptr;
    }
    entry& e = *at->second;
    if (part_of(pos) == 0) {
        return &e.where;
    }
    if (part_of(pos) == 1) {
        return &e.answer.where;
    }
    const auto p = std::ranges::find(e.progress, part_of(pos) - 1, &kept_message::number);
    return p == e.progress.end() ? nullptr : &p->where;
}

record_range reply_registry::place_of(position pos) const {
    const stored_ref* at = const_cast<reply_registry*>(this)->ref_of(pos);
    return at == nullptr ? record_range{} : record_range{at->at, at->bytes};
}

void reply_registry::on_moved(position pos, const stored_ref& to) {
    if (stored_ref* at = ref_of(pos)) {
        *at = to;
    }
}

// ---- Recovery ----------------------------------------------------------------------------------

struct reply_registry::recovered_reply {
    stored_ref where;
    std::optional<reply_token> token;
    wall_ns ends_at = 0;
    mono_ns lasts = 0;
    mono_ns keep_for = 0;
    wall_ns gone_at = 0;
    std::string vhost;
    std::string user;
    stored_ref answer;
    wall_ns answered_at = 0;
    std::map<std::uint64_t, stored_ref> progress;

    [[nodiscard]] bool read(const recovered_message& m);
    template <class F>
    void for_each_ref(F&& f) const {
        f(where);
        f(answer);
        for (const auto& [number, at] : progress) {
            f(at);
        }
    }
};
struct reply_registry::recovering {
    std::map<position, recovered_reply> replies;
};

bool reply_registry::recovered_reply::read(const recovered_message& m) {
    byte_reader in(m.body);
    const bool known = in.get<std::uint8_t>() == reply_record_version;
    ends_at = in.get<wall_ns>();
    lasts = in.get<mono_ns>();
    keep_for = in.get<mono_ns>();
    gone_at = in.get<wall_ns>();
    vhost = in.get_text();
    user = in.get_text();
    token = reply_token::parse(m.key);
    const bool sane = lasts >= 0 && lasts <= wait_max && keep_for >= 0 && keep_for <= wait_max;
    return known && in.ok() && in.at_end() && token && sane;
}

reply_registry::recovering& reply_registry::replay() {
    if (recovering_ == nullptr) {
        recovering_ = std::make_unique<recovering>();
    }
    return *recovering_;
}

// Cleaning may have put a handle behind what came for it.
void reply_registry::on_recovered(const recovered_message& m) {
    last_id_ = std::max(last_id_, id_of(m.pos));
    recovered_reply& r = replay().replies[id_of(m.pos)];
    const std::uint64_t part = part_of(m.pos);
    stored_ref& at = part == 0 ? r.where : part == 1 ? r.answer : r.progress[part - 1];
    if (at) {
        log_->release(at);
    }
    at = m.where;
    if (part == 1) {
        r.answered_at = m.stored_at;
    }
    if (part == 0 && !r.read(m)) {
        r.token.reset();
    }
}

void reply_registry::on_recovered_settled(position first, std::uint64_t count) {
    auto& all = replay().replies;
    const auto settled = [&](position pos) { return pos >= first && pos - first < count; };
    const auto drop = [&](stored_ref& at) {
        if (at) {
            log_->release(std::exchange(at, {}));
        }
    };
    for (auto at = all.lower_bound(id_of(first)); at != all.end() && (at->first << part_bits) < first + count;) {
        const position base = at->first << part_bits;
        recovered_reply& r = at->second;
        if (settled(base)) {
            drop(r.where);
        }
        if (settled(base | 1)) {
            drop(r.answer);
        }
        for (auto p = r.progress.begin(); p != r.progress.end();) {
            if (settled(base | (1 + p->first))) {
                drop(p->second);
                p = r.progress.erase(p);
            } else {
                ++p;
            }
        }
        at = !r.where && !r.answer && r.progress.empty() ? all.erase(at) : std::next(at);
    }
}

void reply_registry::on_recovery_end(bool) {
    if (recovering_ == nullptr) {
        return;
    }
    const auto all = std::exchange(recovering_, nullptr);
    for (auto& [id, r] : all->replies) {
        revive(id, r);
    }
}

void reply_registry::revive(position id, recovered_reply& r) {
    const auto v = context_.find_vhost(r.vhost);
    if (!r.where || !r.token || !v || by_token_.contains(*r.token)) {
        r.for_each_ref([this](const stored_ref& at) {
            if (at) {
                log_->release(at);
            }
        });
        context_.later([this, id] {
            const journal::run gone{id << part_bits, parts};
            log_->record_settled(replies_of(number_), {&gone, 1});
        });
        return;
    }
    auto& place = by_token_[*r.token];
    place = std::make_unique<entry>(*this, *r.token);
    entry& e = *place;
    by_id_.emplace(id, &e);
    e.vhost = *v;
    e.target = answer_kept{std::move(r.user), r.keep_for, true};
    e.id = id;
    e.where = r.where;
    e.ends_at = r.ends_at;
    e.lasts = r.lasts;
    e.gone_at = r.gone_at;
    e.answer.where = r.answer;
    e.answer.told = static_cast<bool>(r.answer);
    for (const auto& [number, at] : r.progress) {
        e.progress.push_back({number, {}, at, true});
        e.last_progress = number;
    }
    context_.found(*this, e.token);
    // What is left of the phase that it was in. A clock that was set back adds nothing.
    const auto left = [now = context_.wall_now()](wall_ns end, mono_ns whole) {
        return std::clamp<mono_ns>(end - now, 0, whole);
    };
    mono_ns rest = left(r.ends_at, r.lasts);
    if (r.gone_at != 0) {
        e.now = phase::gone;  // and what had come for it, if that is still there, goes with its records
        e.among_gone = gone_.insert(gone_.end(), &e);
        rest = left(r.gone_at + context_.limits().gone_for, context_.limits().gone_for);
    } else {
        ++live_;
        ++by_vhost_[v->value];
        if (r.answer) {
            e.now = phase::answered;
            rest = std::max(rest, left(r.answered_at + r.keep_for, r.keep_for));
        }
    }
    e.ends = context_.now() + rest;
    context_.timers().start(e, std::max<mono_ns>(e.ends, 1));
}

}  // namespace linnet::core
