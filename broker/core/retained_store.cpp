#include "broker/core/retained_store.hpp"

#include "broker/core/address.hpp"
#include "broker/core/byte_codec.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace linnet::core {

namespace {

// A position: the vhost's number, then the value's.
constexpr unsigned vhost_shift = 40;
[[nodiscard]] constexpr std::uint32_t vhost_of(position pos) noexcept {
    return static_cast<std::uint32_t>(pos >> vhost_shift);
}
[[nodiscard]] constexpr std::uint64_t value_of(position pos) noexcept {
    return pos & ((std::uint64_t{1} << vhost_shift) - 1);
}

constexpr std::uint8_t retained_record_version = 1;

}  // namespace

retained_store::retained_store(retained_context& context, journal* log, std::uint16_t number, std::uint64_t values_max)
    : context_(context), log_(log), number_(number), values_max_(values_max) {}

retained_store::~retained_store() = default;

retained_store::values* retained_store::find(vhost_id v) noexcept {
    const auto at = std::ranges::find_if(vhosts_, [&](const auto& one) { return one.second.vhost == v; });
    return at == vhosts_.end() ? nullptr : &at->second;
}

retained_store::values& retained_store::make(vhost_id v) {
    if (values* known = find(v)) {
        return *known;
    }
    values& made = vhosts_[++last_vhost_];
    made.vhost = v;
    made.name = context_.name_of(v);
    return made;
}

retained_store::place* retained_store::find_place(position pos) noexcept {
    const auto at = places_.find(pos);
    return at == places_.end() ? nullptr : &at->second;
}

// ---- In ----------------------------------------------------------------------------------------

retained_store::outcome retained_store::retain(vhost_id v, message_ptr m) {
    owner_.check();
    if (m->body_bytes() == 0) {
        values* of = find(v);
        const auto at = of == nullptr ? retained_map::iterator{} : of->by_key.find(m->routing_key());
        if (of == nullptr || at == of->by_key.end()) {
            // What took it away before need not be durable yet.
            return log_ != nullptr && log_->log().durable() < log_->log().end() ? outcome::recorded : outcome::done;
        }
        const bool stored = static_cast<bool>(at->second.where);
        take_away(*of, at);
        return stored ? outcome::recorded : outcome::done;
    }
    if (find(v) == nullptr && context_.name_of(v).empty()) {
        return outcome::done;  // the vhost has gone while it was under way
    }
    values& of = make(v);
    if (values_max_ != 0 && of.by_key.size() >= values_max_ && of.by_key.find(m->routing_key()) == of.by_key.end()) {
        return outcome::refused;
    }
    const auto number = std::ranges::find_if(vhosts_, [&](const auto& one) { return &one.second == &of; })->first;
    retained_item item;
    item.pos = position{number} << vhost_shift | ++last_value_;
    const bool stored = log_ != nullptr && !m->routing_key().starts_with(broker_keys);
    if (stored) {
        name(of, number);
        const message_place at{retained_of(number_), item.pos, 0};
        item.where = log_->record_message(*m, context_.wall_now(), {&at, 1});
    }
    if (m->time_to_live() >= 0) {
        constexpr mono_ns never = std::numeric_limits<mono_ns>::max();
        item.expires = context_.now() + std::min(m->time_to_live(), never - context_.now());
    }
    const std::string key(m->routing_key());
    item.msg = std::move(m);
    put(of, key, std::move(item));
    arm();
    return stored ? outcome::recorded : outcome::done;
}

// Its name precedes in the log whatever is recorded of it.
void retained_store::name(values& v, std::uint32_t number) {
    if (v.named_at != 0) {
        return;
    }
    byte_writer out;
    out.put(retained_record_version);
    out.put(number);
    out.put_text(v.name);
    v.named_at = log_->record_keys(retained_of(number_), out.bytes());
}

void retained_store::put(values& of, std::string_view key, retained_item&& item) {
    auto at = of.by_key.find(key);
    if (at != of.by_key.end()) {
        drop(of, at);
    }
    at = of.by_key.emplace(std::string(key), std::move(item)).first;
    key_bytes_ += key.size();
    auto& p = places_[at->second.pos];
    p = {&of, at, cached_.end()};
    if (at->second.expires != 0) {
        expiries_.emplace(at->second.expires, at->second.pos);
    }
    cache(p);
}

void retained_store::drop(values& of, retained_map::iterator at) {
    const retained_item& item = at->second;
    if (const auto p = places_.find(item.pos); p != places_.end()) {
        uncache(p->second);
        places_.erase(p);
    }
    if (item.expires != 0) {
        expiries_.erase({item.expires, item.pos});
    }
    if (item.where) {
        log_->release(item.where);
    }
    key_bytes_ -= at->first.size();
    of.by_key.erase(at);
}

// For good: after a crash, too.
void retained_store::take_away(values& of, retained_map::iterator at) {
    if (at->second.where) {
        const journal::run gone{at->second.pos, 1};
        log_->record_settled(retained_of(number_), {&gone, 1});
    }
    drop(of, at);
}

void retained_store::forget(vhost_id v) {
    owner_.check();
    for (auto at = vhosts_.begin(); at != vhosts_.end(); ++at) {
        values& of = at->second;
        if (of.vhost != v) {
            continue;
        }
        while (!of.by_key.empty()) {
            take_away(of, of.by_key.begin());
        }
        vhosts_.erase(at);
        return;
    }
}

// ---- In memory ---------------------------------------------------------------------------------

void retained_store::cache(place& p) {
    retained_item& item = p.at->second;
    if (!item.msg) {
        return;
    }
    cached_bytes_ += item.msg->footprint();
    if (!item.where) {
        return;  // it is nowhere else
    }
    p.cached = cached_.insert(cached_.end(), item.pos);
    while (cached_bytes_ > cached_bytes_max && cached_.size() > 1) {
        place& oldest = places_.at(cached_.front());
        uncache(oldest);
        oldest.at->second.msg.reset();
    }
}

void retained_store::uncache(place& p) {
    const retained_item& item = p.at->second;
    if (!item.msg) {
        return;
    }
    cached_bytes_ -= item.msg->footprint();
    if (item.where) {
        cached_.erase(p.cached);
    }
}

// ---- Expiry ------------------------------------------------------------------------------------

void retained_store::arm() noexcept {
    if (expiries_.empty()) {
        stop();
    } else if (!running() || deadline() > expiries_.begin()->first) {
        context_.timers().start(*this, expiries_.begin()->first);
    }
}

void retained_store::on_timer(mono_ns now) {
    while (!expiries_.empty() && expiries_.begin()->first <= now) {
        const place& p = places_.at(expiries_.begin()->second);
        // No record: it says itself when it ends, to recovery as well.
        drop(*p.of, p.at);
    }
    arm();
}

std::uint32_t retained_store::left_s(const retained_item& item) const noexcept {
    if (item.expires == 0) {
        return 0;
    }
    const mono_ns left = std::max<mono_ns>(item.expires - context_.now(), 1);
    return static_cast<std::uint32_t>(std::min<mono_ns>((left + ns_per_s - 1) / ns_per_s, 0xffff'ffff));
}

// ---- Out ---------------------------------------------------------------------------------------

void retained_store::read(vhost_id v, session_handle from, std::uint64_t cookie, const read_retained& asked) {
    owner_.check();
    retained_search search(asked.pattern, asked.syntax == pattern_syntax::mqtt);
    if (!search.good()) {
        context_.answer(from, {cookie, fail(error{error_kind::precondition_failed, "no pattern that could match"})});
        return;
    }
    const std::uint64_t id = ++last_answer_;
    answering a{from, cookie, {}, 0};
    std::vector<journal::wanted> wanted;
    if (values* of = find(v)) {
        std::uint64_t bytes = 0;
        const auto done = search.run(of->by_key, asked.after, looks_max, [&](retained_map::iterator at) {
            retained_item& item = at->second;
            if (item.expires != 0 && item.expires <= context_.now()) {
                return true;
            }
            bytes += item.msg ? item.msg->footprint() : item.where.bytes;
            take(a, item, wanted, id);
            return bytes < answer_bytes_max && a.what.messages.size() < std::max(asked.count_max, 1U);
        });
        looks_ += done.looks;
        if (done.more) {
            a.what.after = done.last;
        }
    }
    const bool whole = a.missing == 0;
    answers_.emplace(id, std::move(a));
    if (whole) {
        finish(id);
    } else {
        log_->fetch(retained_of(number_), wanted);
    }
}

void retained_store::take(answering& a, retained_item& item, std::vector<journal::wanted>& wanted, std::uint64_t id) {
    a.what.messages.push_back({item.msg ? item.msg.share() : message_ptr{}, left_s(item)});
    if (item.msg) {
        return;
    }
    ++a.missing;
    auto& wishes = wishes_[item.pos];
    if (wishes.empty()) {
        wanted.push_back({item.pos, item.where});
    }
    wishes.push_back({id, a.what.messages.size() - 1});
}

void retained_store::on_fetched(position pos, message_ptr m) {
    owner_.check();
    if (place* p = find_place(pos); p != nullptr && m && !p->at->second.msg) {
        p->at->second.msg = m.share();
        cache(*p);
    } else if (p != nullptr && !m) {
        drop(*p->of, p->at);
    }
    for (const wish& w : std::exchange(wishes_[pos], {})) {
        fill(w, m);
    }
    wishes_.erase(pos);
}

void retained_store::fill(const wish& w, const message_ptr& m) {
    answering& a = answers_.at(w.answer);
    if (m) {
        a.what.messages[w.index].message = m.share();
    }
    if (--a.missing == 0) {
        finish(w.answer);
    }
}

void retained_store::finish(std::uint64_t id) {
    answering a = std::move(answers_.extract(id).mapped());
    // Lost, or replaced while it was being read.
    std::erase_if(a.what.messages, [](const auto& e) { return !e.message; });
    for (const auto& e : a.what.messages) {
        e.message.get()->mark_shared();
    }
    context_.answer(a.to, {a.cookie, std::move(a.what)});
}

// ---- The journal -------------------------------------------------------------------------------

record_range retained_store::place_of(position pos) const {
    const auto at = places_.find(pos);
    return at == places_.end() ? record_range{}
                               : record_range{at->second.at->second.where.at, at->second.at->second.where.bytes};
}

void retained_store::on_moved(position pos, const stored_ref& to) {
    if (place* p = find_place(pos)) {
        p->at->second.where = to;
    }
}

void retained_store::on_recovered(const recovered_message& m) {
    values& of = vhosts_[vhost_of(m.pos)];
    last_vhost_ = std::max(last_vhost_, vhost_of(m.pos));
    last_value_ = std::max(last_value_, value_of(m.pos));
    if (place* known = find_place(m.pos)) {
        log_->release(std::exchange(known->at->second.where, m.where));
        return;
    }
    retained_item item{m.pos, m.where, {}, 0};
    if (m.time_to_live >= 0) {
        const mono_ns gone_by = std::max<wall_ns>(context_.wall_now() - m.stored_at, 0);
        item.expires = context_.now() + std::max<mono_ns>(m.time_to_live - gone_by, 1);
    }
    put(of, m.key, std::move(item));
}

void retained_store::on_recovered_settled(position first, std::uint64_t count) {
    for (position pos = first; pos < first + count; ++pos) {
        if (const place* p = find_place(pos)) {
            drop(*p->of, p->at);
        }
    }
}

bool retained_store::on_recovered_keys(std::span<const std::uint8_t> keys, log_position at) {
    byte_reader in(keys);
    const bool known = in.get<std::uint8_t>() == retained_record_version;
    const auto number = in.get<std::uint32_t>();
    const auto name = in.get_text();
    if (!known || !in.ok() || !in.at_end()) {
        return false;
    }
    values& of = vhosts_[number];
    of.name = name;
    of.named_at = at;
    last_vhost_ = std::max(last_vhost_, number);
    return true;
}

bool retained_store::on_dropping(log_position keep) {
    for (auto& [number, of] : vhosts_) {
        if (of.named_at == 0 || of.named_at >= keep) {
            continue;
        }
        of.named_at = 0;
        if (!of.by_key.empty()) {
            name(of, number);
        }
    }
    return true;
}

void retained_store::on_recovery_end(bool) {
    std::vector<vhost_id> gone;
    std::uint32_t stray = std::numeric_limits<std::uint32_t>::max();
    for (auto& [number, of] : vhosts_) {
        const auto v = context_.find_vhost(of.name);
        // One that is no more gets an id that nothing has.
        of.vhost = v.value_or(vhost_id{stray--});
        if (!v) {
            gone.push_back(of.vhost);
        } else if (!of.by_key.empty()) {
            context_.found(*this, *v);
        }
    }
    for (const auto v : gone) {
        context_.later([this, v] { forget(v); });
    }
    arm();
}

}  // namespace linnet::core
