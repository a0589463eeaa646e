#include "broker/core/journal.hpp"

#include "broker/base/assert.hpp"
#include "broker/base/log.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/record_codec.hpp"
#include "broker/core/segment_account.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <list>
#include <set>
#include <utility>

namespace linnet::core {

namespace {

// Cleaning: begins when the log is longer than twice what is alive and these segments more ...
constexpr std::uint64_t spare_segments = 3;
// ... reads so much at a time ...
constexpr std::uint32_t piece_bytes = 256 * 1024;
// ... and writes one byte for three of others, or as much as it can once the log is longer still.
constexpr std::int64_t others_per_copied = 3;
constexpr std::uint64_t damage_lines_max = 16;
constexpr log_position at_group_end = std::numeric_limits<log_position>::max();
constexpr std::int64_t allowance_max = 4 * std::int64_t{piece_bytes};

[[nodiscard]] std::uint32_t share_of(std::uint32_t bytes, std::size_t places) noexcept {
    const auto n = static_cast<std::uint32_t>(places);
    return bytes / n + (bytes % n != 0 ? 1 : 0);
}

}  // namespace

// Records on their way back to one owner.
//
// Between asking and reading, cleaning may have moved a record and let its old place go: what is not found there is
// asked for again where it lies now, and all behind it, since owners hear of them in order.
struct journal::fetching final : log_reader {
    fetching(state& s, owner_uid owner, std::span<const wanted> which) : s_(s), owner_(owner) {
        for (const auto& w : which) {
            positions_.push_back(w.pos);
            ranges.push_back({w.where.at, w.where.bytes});
        }
    }
    void on_record(std::size_t index, const log_record& r) override;
    void on_done() override { done = true; }
    [[nodiscard]] owner_uid owner() const noexcept { return owner_; }

    std::vector<record_range> ranges;
    std::vector<wanted> again;
    bool done = false;

private:
    state& s_;
    owner_uid owner_;
    std::vector<position> positions_;
};

// Copies what is alive of the oldest segment to the end of the log, piece by piece.
//
// An owner hears of a copy when that is durable, and only if it still holds the message then: until that moment its
// record is the old one. The copy precedes in the log whatever is recorded of the message afterwards, so that
// recovery, which takes the later place, sees all that happened to it.
struct journal::cleaner final : log_reader {
    explicit cleaner(state& s) noexcept : s_(s) {}

    enum class phase : std::uint8_t { idle, waiting, ready, reading, copied };
    [[nodiscard]] bool idle() const noexcept { return phase_ == phase::idle; }
    void begin(log_position from, log_position end);
    // Goes on as far as it can at once. True when the segment is through.
    [[nodiscard]] bool step();

    void on_record(std::size_t index, const log_record& r) override;
    void on_done() override;

private:
    struct copy {
        owner_uid owner;
        position pos;
        stored_ref from;
        stored_ref to;
    };
    void hand_over();

    state& s_;
    phase phase_ = phase::idle;
    log_position next_ = 0;
    log_position end_ = 0;
    log_position durable_at_ = 0;  // what has to be durable before it goes on
    std::vector<copy> copies_;
    std::vector<message_place> kept_;
};

struct journal::state {
    state(message_pool& p, owner_finder f) : pool(p), find(std::move(f)), clean(*this) {}

    [[nodiscard]] record_owner* owner_of(owner_uid uid) const {
        return (uid & fleeting_owner) != 0 && log == nullptr ? nullptr : find(uid);
    }
    stored_ref append_message(durable_log::parts parts, std::size_t places);
    durable_log::appended append(record_kind kind, durable_log::parts parts);
    void append_own(record_kind kind);
    void replay_message(const log_record& r);
    void replay_settled(const log_record& r);
    void replay_attempts(const log_record& r);
    void replay_doubt(const log_record& r);
    void replay_keys(const log_record& r);
    void note_damage(log_position at);
    [[nodiscard]] bool wants_cleaning(std::uint64_t factor, std::uint64_t segments) const noexcept;
    [[nodiscard]] bool may_copy() const noexcept;
    [[nodiscard]] bool save_keys();
    [[nodiscard]] log_position whole_below();
    void tidy();

    message_pool& pool;
    owner_finder find;
    durable_log* log = nullptr;
    segment_account live;

    // Reused from record to record.
    record_bytes scratch;
    message_record message_read;
    settled_record settled_read;

    struct waiting {
        log_position at;
        durable_waiter who;
    };
    std::deque<waiting> waiters;
    std::list<fetching> fetches;
    cleaner clean;
    log_position drop_to = 0;     // everything below is dead ...
    log_position drop_after = 0;  // ... for good once this is durable; 0: nothing to drop yet
    bool saving = false;          // keys that lie below, for that
    std::vector<owner_uid> unsaved;
    std::int64_t allowance = 0;  // what cleaning may write now, in bytes
    std::uint64_t copied_bytes = 0;
    std::uint64_t damaged = 0;
    std::uint64_t recorded_messages = 0;
    std::set<owner_uid> keepers;  // of keys
    bool in_group = false;
    bool group_has_records = false;
    log_position group_begin = 0;
    struct group_span {
        log_position begin;
        log_position end;
    };
    std::deque<group_span> groups;  // those that are not durable yet
};

// ---- Recording ---------------------------------------------------------------------------------

durable_log::appended journal::state::append(record_kind kind, durable_log::parts parts) {
    group_has_records |= in_group;
    const auto done = log->append(static_cast<std::uint8_t>(kind), in_group ? record_flags::more : std::uint8_t{0},
                                  parts);
    allowance = std::min(allowance + done.bytes / others_per_copied, allowance_max);
    return done;
}

void journal::state::append_own(record_kind kind) {
    const std::span<const std::uint8_t> part(scratch);
    static_cast<void>(append(kind, {&part, 1}));
}

stored_ref journal::state::append_message(durable_log::parts parts, std::size_t places) {
    const auto done = append(record_kind::message, parts);
    const stored_ref ref{done.at, done.bytes, share_of(done.bytes, places)};
    live.add(ref.at, std::uint64_t{ref.share} * places);
    return ref;
}

journal::journal(message_pool& pool, owner_finder find) : state_(std::make_unique<state>(pool, std::move(find))) {}

journal::journal(durable_log& log, message_pool& pool, owner_finder find) : journal(pool, std::move(find)) {
    open(log);
}

journal::~journal() = default;

void journal::begin_group() noexcept {
    LINNET_DEBUG_ASSERT(!state_->in_group, "groups do not nest");
    state_->in_group = true;
    state_->group_has_records = false;
    state_->group_begin = state_->log->end();
}

bool journal::end_group() {
    auto& s = *state_;
    s.in_group = false;
    if (s.group_has_records) {
        encode_group_end(s.scratch);
        s.append_own(record_kind::group_end);
        s.groups.push_back({s.group_begin, s.log->end()});
    }
    // A part of a group is durable when all of it is.
    for (auto w = s.waiters.rbegin(); w != s.waiters.rend() && w->at == at_group_end; ++w) {
        w->at = s.log->end();
    }
    return s.group_has_records;
}

stored_ref journal::record_message(const message& m, wall_ns now, std::span<const message_place> places, wall_ns due) {
    owner_.check();
    auto& s = *state_;
    encode_places(s.scratch, places);
    append_head(s.scratch, m, now, due);
    const std::array<std::span<const std::uint8_t>, 2> parts{s.scratch, content_of(m)};
    ++s.recorded_messages;
    return s.append_message(parts, places.size());
}

std::uint64_t journal::recorded_messages() const noexcept { return state_->recorded_messages; }

void journal::record_settled(owner_uid owner, std::span<const run> runs) {
    owner_.check();
    encode_settled(state_->scratch, owner, runs);
    state_->append_own(record_kind::settled);
}

void journal::record_attempts(owner_uid owner, position pos, std::uint32_t attempts) {
    owner_.check();
    encode_attempts(state_->scratch, owner, pos, attempts);
    state_->append_own(record_kind::attempts);
}

void journal::record_doubt(owner_uid owner, position below) {
    owner_.check();
    encode_doubt(state_->scratch, owner, below);
    state_->append_own(record_kind::doubt);
}

log_position journal::record_keys(owner_uid owner, std::span<const std::uint8_t> keys) {
    owner_.check();
    encode_keys(state_->scratch, owner, keys);
    const std::span<const std::uint8_t> part(state_->scratch);
    state_->keepers.insert(owner);
    return state_->append(record_kind::keys, {&part, 1}).at;
}

void journal::release(const stored_ref& ref) noexcept { state_->live.remove(ref.at, ref.share); }

// ---- Durability --------------------------------------------------------------------------------

void journal::wait(const durable_waiter& w) {
    owner_.check();
    state_->waiters.push_back({state_->in_group ? at_group_end : state_->log->end(), w});
}

bool journal::waiting() const noexcept { return !state_->waiters.empty(); }

bool journal::poll(const std::function<void(const durable_waiter&)>& on_durable) {
    owner_.check();
    auto& s = *state_;
    bool any = s.log->poll();
    for (auto f = s.fetches.begin(); f != s.fetches.end();) {
        if (!f->done) {
            ++f;
            continue;
        }
        if (!f->again.empty()) {
            fetch(f->owner(), f->again);
            any = true;
        }
        f = s.fetches.erase(f);
    }
    while (!s.waiters.empty() && s.waiters.front().at <= s.log->durable()) {
        // By value: who is called may wait again.
        const durable_waiter who = s.waiters.front().who;
        s.waiters.pop_front();
        on_durable(who);
        any = true;
    }
    return any;
}

void journal::flush() {
    owner_.check();
    state_->tidy();
    state_->log->flush();
}

bool journal::congested() const noexcept { return state_->log->congested(); }

durable_log& journal::log() noexcept { return *state_->log; }

// ---- Reading back ------------------------------------------------------------------------------

void journal::fetch(owner_uid owner, std::span<const wanted> which) {
    owner_.check();
    auto& f = state_->fetches.emplace_back(*state_, owner, which);
    state_->log->read(f.ranges, f);
}

void journal::fetching::on_record(std::size_t index, const log_record& r) {
    const position pos = positions_[index];
    auto& m = s_.message_read;
    // A durable queue may have recorded a transient message under its fleeting name.
    const auto is_it = [&](const message_place& p) {
        return ((p.owner ^ owner_) & ~fleeting_owner) == 0 && p.pos == pos;
    };
    message_ptr built;
    if (r.kind == static_cast<std::uint8_t>(record_kind::message) && decode(r.payload, m) &&
        std::ranges::any_of(m.places, is_it)) {
        built = rebuild(s_.pool, m);
    }
    record_owner* owner = s_.find(owner_);
    if (owner == nullptr) {
        return;
    }
    if (!built || !again.empty()) {
        const record_range now = owner->place_of(pos);
        const bool moved = now.at != 0 && now.at != ranges[index].at;
        if (moved || !again.empty()) {
            const record_range& from = moved ? now : ranges[index];
            again.push_back({pos, {from.at, from.bytes, 0}});
            return;
        }
        if (now.at != 0) {
            s_.note_damage(now.at);
        }
    }
    owner->on_fetched(pos, std::move(built));
}

void journal::state::note_damage(log_position at) {
    if (++damaged > damage_lines_max) {
        return;
    }
    linnet::log::error({.domain = "store"}, "the record at {} of the log is damaged: a message is lost", at);
}

// ---- Space -------------------------------------------------------------------------------------

bool journal::state::wants_cleaning(std::uint64_t factor, std::uint64_t segments) const noexcept {
    return log->end() - std::max(log->begin(), live.first_position()) >
           factor * live.total() + segments * live.segment_bytes();
}

bool journal::state::may_copy() const noexcept {
    const bool nothing_else_to_do = waiters.empty() && log->durable() == log->end();
    return !log->congested() &&
           (allowance > 0 || nothing_else_to_do || wants_cleaning(others_per_copied, 2 * spare_segments));
}

// Keys weigh nothing in the account of segments: their owners record them again when theirs is to go, those that have
// many over some turns. What they record meanwhile lies above. True: all of them have.
bool journal::state::save_keys() {
    std::erase_if(unsaved, [this](owner_uid uid) {
        record_owner* owner = find(uid);
        return owner == nullptr || owner->on_dropping(drop_to);
    });
    return unsaved.empty();
}

// What lies below is durable, and so is the whole of each group that it belongs to: part of one says nothing.
log_position journal::state::whole_below() {
    while (!groups.empty() && groups.front().end <= log->durable()) {
        groups.pop_front();
    }
    return groups.empty() ? log->durable() : std::min(log->durable(), groups.front().begin);
}

// Lets dead segments go, cleans the oldest when there is need.
void journal::state::tidy() {
    if (!clean.idle() && !clean.step()) {
        return;
    }
    // What made a segment dead has to be durable before it goes: a transaction that is lost gives its messages back.
    if (!saving && drop_after == 0 && !in_group && live.drop_dead(whole_below())) {
        drop_to = live.first_position();
        std::erase_if(keepers, [this](owner_uid uid) { return find(uid) == nullptr; });
        unsaved.assign(keepers.begin(), keepers.end());
        saving = true;
    }
    if (saving && !in_group && save_keys()) {
        drop_after = log->end();
        saving = false;
    }
    if (drop_after != 0 && log->durable() >= drop_after) {
        log->drop_before(drop_to);
        drop_after = 0;
    }
    if (!in_group && wants_cleaning(2, spare_segments) && live.segment_end() <= log->durable()) {
        clean.begin(std::max(live.first_position(), log->begin()), live.segment_end());
    }
}

void journal::cleaner::begin(log_position from, log_position end) {
    next_ = from;
    end_ = end;
    // A group that begins in this segment has to be whole before parts of it are copied out of it.
    durable_at_ = s_.log->end();
    phase_ = phase::waiting;
}

bool journal::cleaner::step() {
    if (phase_ == phase::waiting && s_.log->durable() >= durable_at_) {
        phase_ = phase::ready;
    }
    if (phase_ == phase::copied && s_.log->durable() >= durable_at_) {
        hand_over();
        phase_ = phase::ready;
    }
    if (phase_ == phase::ready && next_ >= end_) {
        // What is left by now could not be read: it is lost either way, and must not hold up the rest for ever.
        s_.live.forget_first();
        phase_ = phase::idle;
        return true;
    }
    if (phase_ == phase::ready && s_.may_copy()) {
        phase_ = phase::reading;
        const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_bytes, end_ - next_));
        s_.log->read_on(std::exchange(next_, next_ + bytes), bytes, *this);
    }
    return false;
}

void journal::cleaner::on_record(std::size_t, const log_record& r) {
    if (r.kind == 0) {
        s_.note_damage(r.at);
        return;
    }
    auto& m = s_.message_read;
    if (r.kind != static_cast<std::uint8_t>(record_kind::message) || !decode(r.payload, m)) {
        return;
    }
    kept_.clear();
    for (const auto& p : m.places) {
        const record_owner* owner = s_.find(p.owner);
        if (owner != nullptr && owner->holds(p.pos, r.at)) {
            kept_.push_back({p.owner, p.pos, std::max(p.attempts, owner->attempts(p.pos))});
        }
    }
    if (kept_.empty()) {
        return;
    }
    encode_places(s_.scratch, kept_);
    const std::array<std::span<const std::uint8_t>, 2> parts{s_.scratch, m.rest};
    const stored_ref from{r.at, r.bytes, share_of(r.bytes, m.places.size())};
    const stored_ref to = s_.append_message(parts, kept_.size());
    s_.allowance -= to.bytes;
    s_.copied_bytes += to.bytes;
    for (const auto& p : kept_) {
        copies_.push_back({p.owner, p.pos, from, to});
    }
}

void journal::cleaner::on_done() {
    durable_at_ = s_.log->end();
    phase_ = phase::copied;
}

void journal::cleaner::hand_over() {
    for (const auto& c : copies_) {
        record_owner* owner = s_.find(c.owner);
        if (owner != nullptr && owner->holds(c.pos, c.from.at)) {
            s_.live.remove(c.from.at, c.from.share);
            owner->on_moved(c.pos, c.to);
        } else {
            s_.live.remove(c.to.at, c.to.share);
        }
    }
    copies_.clear();
}

// ---- Recovery ----------------------------------------------------------------------------------

void journal::replay(const log_record& r) {
    auto& s = *state_;
    switch (static_cast<record_kind>(r.kind)) {
        case record_kind::message: s.replay_message(r); return;
        case record_kind::settled: s.replay_settled(r); return;
        case record_kind::attempts: s.replay_attempts(r); return;
        case record_kind::doubt: s.replay_doubt(r); return;
        case record_kind::keys: s.replay_keys(r); return;
        case record_kind::group_end: return;
    }
    s.note_damage(r.at);
}

void journal::state::replay_message(const log_record& r) {
    auto& m = message_read;
    if (!decode(r.payload, m)) {
        note_damage(r.at);
        return;
    }
    const std::uint32_t share = m.places.empty() ? 0 : share_of(r.bytes, m.places.size());
    for (const auto& p : m.places) {
        record_owner* owner = owner_of(p.owner);
        if (owner == nullptr) {
            continue;
        }
        live.add(r.at, share);
        recovered_message told;
        told.pos = p.pos;
        told.where = {r.at, r.bytes, share};
        told.stored_at = m.stored_at;
        told.time_to_live = m.traits.time_to_live;
        told.due = m.due;
        told.body_bytes = static_cast<std::uint32_t>(m.body.size());
        told.attempts = p.attempts;
        told.priority = m.traits.priority;
        told.repeated = m.traits.repeated;
        told.key = m.key;
        told.properties = m.properties;
        told.body = m.body;
        owner->on_recovered(told);
    }
}

void journal::state::replay_settled(const log_record& r) {
    if (!decode(r.payload, settled_read)) {
        note_damage(r.at);
        return;
    }
    if (record_owner* owner = owner_of(settled_read.owner)) {
        for (const auto& one : settled_read.runs) {
            owner->on_recovered_settled(one.first, one.count);
        }
    }
}

void journal::state::replay_attempts(const log_record& r) {
    attempts_record a;
    if (!decode(r.payload, a)) {
        note_damage(r.at);
        return;
    }
    if (record_owner* owner = owner_of(a.owner)) {
        owner->on_recovered_attempts(a.pos, a.attempts);
    }
}

void journal::state::replay_doubt(const log_record& r) {
    doubt_record d;
    if (!decode(r.payload, d)) {
        note_damage(r.at);
        return;
    }
    if (record_owner* owner = owner_of(d.owner)) {
        owner->on_recovered_doubt(d.below);
    }
}

void journal::state::replay_keys(const log_record& r) {
    keys_record k;
    if (!decode(r.payload, k)) {
        note_damage(r.at);
        return;
    }
    if (record_owner* owner = owner_of(k.owner)) {
        keepers.insert(k.owner);
        if (!owner->on_recovered_keys(k.keys, r.at)) {
            note_damage(r.at);
        }
    }
}

void journal::open(durable_log& log) {
    state_->log = &log;
    state_->live.open(log.begin(), log.capabilities().segment_bytes);
}

void journal::release_owner() const noexcept { owner_.release(); }

journal::figures journal::look() const noexcept {
    const auto& s = *state_;
    return {s.live.total(), s.log->end() - s.log->begin(), s.copied_bytes, s.damaged};
}

}  // namespace linnet::core
