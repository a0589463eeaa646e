#include "broker/core/errands.hpp"

#include "broker/base/log.hpp"
#include "broker/core/byte_codec.hpp"

#include <utility>

namespace linnet::core {

namespace {

// The keys of our records begin with a version and what they say.
constexpr std::uint8_t version = 1;
constexpr std::uint8_t says_given = 1;
constexpr std::uint8_t says_run = 2;
constexpr std::size_t target_bytes = sizeof(owner_uid) + sizeof(std::uint16_t);

void give_up(std::uint16_t log, position number) {
    log::error({.domain = "store"},
               "log {}: errand {} of a transaction is damaged: what it was to do elsewhere is lost", log, number);
}

}  // namespace

// ---- Marks -------------------------------------------------------------------------------------

std::vector<std::uint8_t> errand_marks::encode(const errand_name& e) {
    byte_writer out;
    out.put(version);
    out.put(says_run);
    out.put(e.log);
    out.put(e.number);
    return {out.bytes().begin(), out.bytes().end()};
}

bool errand_marks::decode(std::span<const std::uint8_t> keys, errand_name& out) {
    byte_reader in(keys);
    const bool known = in.get<std::uint8_t>() == version && in.get<std::uint8_t>() == says_run;
    out.log = in.get<std::uint16_t>();
    out.number = in.get<position>();
    return known && in.ok() && in.at_end();
}

// ---- Given out ---------------------------------------------------------------------------------

errands::errands(journal& log, std::uint16_t number) : log_(log), number_(number) {}

position errands::add(errand e, wall_ns now) {
    owner_.check();
    const position number = log_.log().end();
    errand& kept = given_.emplace(number, std::move(e)).first->second;
    note(number, kept);
    if (kept.msg) {
        const message_place place{errands_of(number_), number, 0};
        kept.where = log_.record_message(*kept.msg, now, {&place, 1});
    }
    return number;
}

void errands::note(position number, errand& e) {
    byte_writer out;
    out.put(version);
    out.put(says_given);
    out.put(number);
    out.put(static_cast<std::uint32_t>(e.to.size()));
    for (const errand_target& t : e.to) {
        out.put(t.name.uid);
        out.put(t.name.log);
    }
    out.put(static_cast<std::uint32_t>(e.settled.size()));
    for (const position pos : e.settled) {
        out.put(pos);
    }
    out.put(e.mark.entry);
    out.put(e.mark.number);
    out.put_text(e.vhost);
    e.noted_at = log_.record_keys(errands_of(number_), out.bytes());
}

errand* errands::find(position number) noexcept {
    const auto at = given_.find(number);
    return at == given_.end() ? nullptr : &at->second;
}

void errands::done(position number) {
    owner_.check();
    const auto gone = given_.extract(number);
    if (!gone) {
        return;
    }
    if (gone.mapped().where) {
        log_.release(gone.mapped().where);
    }
    const journal::run one{number, 1};
    log_.record_settled(errands_of(number_), {&one, 1});
}

std::vector<position> errands::left() const {
    std::vector<position> all;
    for (const auto& [number, e] : given_) {
        all.push_back(number);
    }
    return all;
}

void errands::fetch(std::span<const position> which) {
    std::vector<journal::wanted> wanted;
    for (const position number : which) {
        if (const errand* e = find(number); e != nullptr && !ready(*e)) {
            wanted.push_back({number, e->where});
        }
    }
    if (!wanted.empty()) {
        log_.fetch(errands_of(number_), wanted);
    }
}

// ---- Run here ----------------------------------------------------------------------------------

void errands::note_run(std::uint16_t of, position number) {
    owner_.check();
    marks_.note({of, number}, log_.record_keys(errands_of(number_), errand_marks::encode({of, number})));
}

// ---- record_owner ------------------------------------------------------------------------------

record_range errands::place_of(position pos) const {
    const auto at = given_.find(pos);
    return at == given_.end() ? record_range{} : record_range{at->second.where.at, at->second.where.bytes};
}

void errands::on_moved(position pos, const stored_ref& to) {
    if (errand* e = find(pos)) {
        e->where = to;
    }
}

void errands::on_fetched(position pos, message_ptr m) {
    owner_.check();
    errand* e = find(pos);
    if (e == nullptr) {
        return;
    }
    e->msg = std::move(m);
    if (!e->msg) {
        give_up(number_, pos);
        done(pos);
    }
}

void errands::on_recovered(const recovered_message& m) {
    errand& e = given_[m.pos];
    if (e.where) {
        log_.release(e.where);
    }
    e.where = m.where;
}

void errands::on_recovered_settled(position first, std::uint64_t count) {
    const auto begin = given_.lower_bound(first);
    const auto end = given_.lower_bound(first + count);
    for (auto at = begin; at != end; ++at) {
        if (at->second.where) {
            log_.release(at->second.where);
        }
    }
    given_.erase(begin, end);
}

bool errands::on_recovered_keys(std::span<const std::uint8_t> keys, log_position at) {
    errand_name run;
    if (errand_marks::decode(keys, run)) {
        marks_.note(run, at);
        return true;
    }
    return read_note(keys, at);
}

bool errands::read_note(std::span<const std::uint8_t> keys, log_position at) {
    byte_reader in(keys);
    if (in.get<std::uint8_t>() != version || in.get<std::uint8_t>() != says_given) {
        return false;
    }
    const auto number = in.get<position>();
    std::vector<errand_target> to;
    for (auto n = in.get_count(target_bytes); n != 0; --n) {
        errand_target t;
        t.name.uid = in.get<owner_uid>();
        t.name.log = in.get<std::uint16_t>();
        to.push_back(t);
    }
    std::vector<position> settled;
    for (auto n = in.get_count(sizeof(position)); n != 0; --n) {
        settled.push_back(in.get<position>());
    }
    client_mark mark;
    mark.entry = in.get<position>();
    mark.number = in.get<std::uint32_t>();
    const auto vhost = in.get_text();
    if (!in.ok() || !in.at_end() || to.empty()) {
        return false;
    }
    errand& e = given_[number];
    e.to = std::move(to);
    e.settled = std::move(settled);
    e.mark = mark;
    e.vhost = vhost;
    e.noted_at = at;
    return true;
}

bool errands::on_dropping(log_position keep) {
    for (auto& [number, e] : given_) {
        if (e.noted_at < keep) {
            note(number, e);
        }
    }
    static_cast<void>(marks_.renew(
        keep, [this](std::span<const std::uint8_t> keys) { return log_.record_keys(errands_of(number_), keys); }));
    return true;
}

void errands::on_recovery_end(bool) {
    for (auto at = given_.begin(); at != given_.end();) {
        const bool whole = !at->second.to.empty() && (at->second.where || has_no_message(at->second));
        if (whole) {
            ++at;
            continue;
        }
        give_up(number_, at->first);
        if (at->second.where) {
            log_.release(at->second.where);
        }
        at = given_.erase(at);
    }
}

}  // namespace linnet::core
