#include "broker/core/delay_store.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace linnet::core {

namespace {

constexpr unsigned sequence_bits = 20;  // so many may be due in one millisecond; the rest moves on to the next
constexpr std::uint32_t sequence_mask = (1U << sequence_bits) - 1;
constexpr unsigned tries_max = 64;
constexpr wall_ns jump_min = ns_per_s;  // less is drift, and makes no time line of its own

// In delay_entry::bytes: its record does not outlive the process.
constexpr std::uint32_t fleeting_bit = std::uint32_t{1} << 31;

[[nodiscard]] position make_id(wall_ns due, std::uint32_t sequence) noexcept {
    // Rounded up: never early.
    const auto ms = static_cast<std::uint64_t>((std::max<wall_ns>(due, 0) + ns_per_ms - 1) / ns_per_ms);
    return ms << sequence_bits | (sequence & sequence_mask);
}
[[nodiscard]] wall_ns time_in(position id) noexcept { return static_cast<wall_ns>(id >> sequence_bits) * ns_per_ms; }

[[nodiscard]] bool in_memory(const delay_entry& e) noexcept { return e.bytes == 0; }
[[nodiscard]] bool lasting(const delay_entry& e) noexcept { return e.bytes != 0 && (e.bytes & fleeting_bit) == 0; }
[[nodiscard]] std::uint32_t stored_bytes(const delay_entry& e) noexcept { return e.bytes & ~fleeting_bit; }
[[nodiscard]] stored_ref ref_of(const delay_entry& e) noexcept {
    return {e.where, stored_bytes(e), stored_bytes(e)};  // a delayed message has one owner
}
[[nodiscard]] std::uint64_t pack(message_ptr m) noexcept { return reinterpret_cast<std::uintptr_t>(m.detach()); }
[[nodiscard]] message_ptr unpack(std::uint64_t where) noexcept {
    return message_ptr::adopt(reinterpret_cast<message*>(static_cast<std::uintptr_t>(where)));
}

}  // namespace

delay_store::delay_store(delay_context& context, journal* log, owner_uid uid)
    : context_(context), log_(log), uid_(uid) {}

delay_store::~delay_store() {
    for (const time_line& l : lines_) {
        l.tree.for_each(0, [](const delay_entry& e) {
            if (in_memory(e)) {
                unpack(e.where).reset();
            }
            return true;
        });
    }
}

// ---- Time lines --------------------------------------------------------------------------------

mono_ns delay_store::due_of(const time_line& l, position id) noexcept { return time_in(id) - l.offset; }

// The one that agrees with the wall clock. The more there are, the larger a jump must be to begin another: a clock
// that is stepped for ever costs a few dozen.
delay_store::time_line& delay_store::line_for_new() {
    const wall_ns offset = context_.delay_wall_now() - context_.delay_now();
    if (!lines_.empty()) {
        time_line& last = lines_.back();
        if (last.tree.empty()) {
            last.offset = offset;
        }
        const auto shift = std::min<std::size_t>(lines_.size() - 1, 32);
        const wall_ns off = offset > last.offset ? offset - last.offset : last.offset - offset;
        if (off < jump_min << shift) {
            return last;
        }
    }
    lines_.emplace_back().offset = offset;
    return lines_.back();
}

const delay_store::time_line* delay_store::line_of(position id) const noexcept {
    const auto at = std::ranges::find_if(lines_, [id](const time_line& l) { return l.tree.find(id).has_value(); });
    return at == lines_.end() ? nullptr : &*at;
}
delay_store::time_line* delay_store::line_of(position id) noexcept {
    return const_cast<time_line*>(std::as_const(*this).line_of(id));
}

delay_store::time_line* delay_store::next_line() noexcept {
    time_line* next = nullptr;
    mono_ns least = 0;
    for (time_line& l : lines_) {
        if (const auto head = l.tree.first()) {
            const mono_ns due = due_of(l, head->id);
            if (next == nullptr || due < least) {
                next = &l;
                least = due;
            }
        }
    }
    return next;
}

void delay_store::drop_empty_lines() {
    if (lines_.size() > 1) {
        lines_.remove_if([this](const time_line& l) { return l.tree.empty() && &l != &lines_.back(); });
    }
}

// ---- In and out --------------------------------------------------------------------------------

stored_ref delay_store::record(const message& m, position id, wall_ns due, bool lasts) {
    const message_place place{lasts ? uid_ : uid_ | fleeting_owner, id, 0};
    return log_->record_message(m, context_.delay_wall_now(), {&place, 1}, due);
}

position delay_store::add(message_ptr m, mono_ns delay) {
    owner_.check();
    time_line& line = line_for_new();
    const mono_ns now = context_.delay_now();
    const mono_ns due = delay > std::numeric_limits<mono_ns>::max() / 4 - now ? std::numeric_limits<mono_ns>::max() / 4
                                                                              : now + delay;
    delay_entry e{make_id(due + line.offset, 0), 0, 0};
    // Ids of one millisecond differ by a counter, and no two that wait are the same, on whatever line.
    const position asked = e.id;
    position base = asked == crowded_.asked ? crowded_.given : asked;
    unsigned tries = 0;
    do {
        // Who meets so many has met a full millisecond: all that is asked of it goes on to the next.
        if (++tries > tries_max) {
            tries = 0;
            base += position{1} << sequence_bits;
            crowded_ = {asked, base};
        }
        e.id = base + (sequence_++ & sequence_mask);
    } while (line_of(e.id) != nullptr || publishing_.contains(e.id));
    const bool recorded = log_ != nullptr && m->persistent();
    if (recorded) {
        const stored_ref ref = record(*m, e.id, time_in(e.id), true);
        e.where = ref.at;
        e.bytes = ref.bytes;
        if (delay <= fetch_ahead && near_.size() < fetch_count && near_bytes_ < fetch_bytes) {
            near_bytes_ += m->footprint();
            near_.emplace(e.id, std::move(m));
        }
    } else {
        in_memory_bytes_ += m->footprint();
        e.where = pack(std::move(m));
    }
    line.tree.insert(e);
    ++waiting_;
    if (!running() || deadline() > due) {
        arm();
    }
    return e.id;
}

bool delay_store::cancel(position id) {
    owner_.check();
    time_line* line = line_of(id);
    if (line == nullptr) {
        return false;
    }
    forget(*line->tree.erase(id));
    --waiting_;
    drop_empty_lines();
    arm();
    return true;
}

// Its message is not wanted any more, wherever it is.
void delay_store::forget(const delay_entry& e) {
    if (const auto at = near_.find(e.id); at != near_.end()) {
        near_bytes_ -= at->second ? at->second->footprint() : stored_bytes(e);
        near_.erase(at);
    }
    if (in_memory(e)) {
        message_ptr m = unpack(e.where);
        in_memory_bytes_ -= m->footprint();
        return;
    }
    if (lasting(e)) {
        const journal::run one{e.id, 1};
        log_->record_settled(uid_, {&one, 1});
    }
    log_->release(ref_of(e));
}

void delay_store::settled(position id) {
    owner_.check();
    if (const auto at = publishing_.find(id); at != publishing_.end()) {
        const delay_entry e = at->second;
        publishing_.erase(at);
        forget(e);
    }
}

std::uint64_t delay_store::shrink(std::uint64_t bytes) {
    owner_.check();
    if (log_ == nullptr) {
        return 0;
    }
    if (in_memory_bytes_ == 0) {
        return 0;
    }
    const mono_ns keep_until = context_.delay_now() + fetch_ahead;
    std::vector<delay_entry> chosen;
    std::uint64_t found = 0;
    std::size_t looked = 0;
    position last = 0;
    for (const time_line& l : lines_) {
        l.tree.for_each(shrunk_to_, [&](const delay_entry& e) {
            if (found >= bytes || looked == looked_a_turn) {
                return false;
            }
            ++looked;
            last = std::max(last, e.id);
            if (in_memory(e) && due_of(l, e.id) > keep_until) {
                auto m = unpack(e.where);
                found += m->footprint();
                static_cast<void>(m.detach());  // the entry has it
                chosen.push_back(e);
            }
            return true;
        });
    }
    // Next time from there on; from the beginning when that was the end.
    shrunk_to_ = looked == 0 ? 0 : last + 1;
    std::uint64_t freed = 0;
    for (const auto& e : chosen) {
        const message_ptr m = unpack(e.where);
        const stored_ref ref = record(*m, e.id, time_in(e.id), false);
        freed += m->footprint();
        in_memory_bytes_ -= m->footprint();
        line_of(e.id)->tree.update({e.id, ref.at, ref.bytes | fleeting_bit});
    }
    return freed;
}

// ---- Time --------------------------------------------------------------------------------------

void delay_store::arm() noexcept {
    const time_line* l = next_line();
    if (l == nullptr) {
        stop();
        return;
    }
    const auto head = *l->tree.first();
    mono_ns next = due_of(*l, head.id);
    if (!in_memory(head)) {
        const auto at = near_.find(head.id);
        if (at == near_.end()) {
            next -= fetch_ahead;
        } else if (!at->second && next <= context_.delay_now()) {
            stop();  // on_fetched() goes on
            return;
        }
    }
    if (!running() || deadline() != next) {
        context_.delay_timers().start(*this, next);
    }
}

void delay_store::on_timer(mono_ns /*now*/) {
    const bool more = publish_due();
    fetch_soon_due();
    drop_empty_lines();
    if (more) {
        context_.delay_timers().start(*this, context_.delay_now() + ns_per_ms);  // the next turn
    } else {
        arm();
    }
}

// In the order they are due; one that is not back from the log yet holds up those behind it. True: there are more.
bool delay_store::publish_due() {
    const mono_ns now = context_.delay_now();
    for (std::size_t n = 0; n < due_a_turn; ++n) {
        time_line* l = next_line();
        if (l == nullptr) {
            return false;
        }
        const delay_entry head = *l->tree.first();
        if (due_of(*l, head.id) > now) {
            return false;
        }
        message_ptr m;
        if (in_memory(head)) {
            m = unpack(head.where);
            in_memory_bytes_ -= m->footprint();
        } else {
            const auto at = near_.find(head.id);
            if (at == near_.end() || !at->second) {
                return false;
            }
            m = std::move(at->second);
            near_bytes_ -= m->footprint();
            near_.erase(at);
            publishing_.emplace(head.id, head);
        }
        l->tree.erase(head.id);
        --waiting_;
        context_.on_due(*this, head.id, std::move(m));
    }
    return true;
}

void delay_store::fetch_soon_due() {
    const mono_ns now = context_.delay_now();
    const time_line* next = next_line();
    if (log_ == nullptr || next == nullptr) {
        return;
    }
    const mono_ns until = now + fetch_ahead;
    std::vector<journal::wanted> which[2];  // by whether they last
    const auto want = [&](const delay_entry& e) {
        if (in_memory(e) || !near_.emplace(e.id, message_ptr{}).second) {
            return false;
        }
        which[lasting(e) ? 1 : 0].push_back({e.id, ref_of(e)});
        near_bytes_ += stored_bytes(e);
        return true;
    };
    // What everything behind it waits for is read however full of later ones it is here.
    const delay_entry head = *next->tree.first();
    const bool missing = due_of(*next, head.id) <= until && want(head);
    if ((missing || now >= look_again_) && near_.size() <= fetch_count / 2 && near_bytes_ <= fetch_bytes / 2) {
        bool room = true;
        for (const time_line& l : lines_) {
            l.tree.for_each(0, [&](const delay_entry& e) {
                room = room && near_.size() < fetch_count && near_bytes_ < fetch_bytes;
                if (!room || due_of(l, e.id) > until) {
                    return false;
                }
                static_cast<void>(want(e));
                return true;
            });
        }
        // Where there was no room for all, as soon as there is some.
        look_again_ = room ? now + fetch_ahead / 4 : now;
    }
    for (const bool lasts : {true, false}) {
        if (!which[lasts ? 1 : 0].empty()) {
            log_->fetch(lasts ? uid_ : uid_ | fleeting_owner, which[lasts ? 1 : 0]);
        }
    }
}

void delay_store::on_fetched(position pos, message_ptr m) {
    const auto at = near_.find(pos);
    time_line* line = line_of(pos);
    if (at == near_.end() || line == nullptr) {
        return;  // cancelled meanwhile
    }
    const delay_entry e = *line->tree.find(pos);
    if (!m) {
        ++damaged_;
        line->tree.erase(pos);
        --waiting_;
        forget(e);
    } else {
        near_bytes_ += m->footprint();
        near_bytes_ -= stored_bytes(e);
        at->second = std::move(m);
    }
    // The next turn publishes what was waiting for it: this one may be in the middle of the journal.
    arm();
}

// ---- The journal -------------------------------------------------------------------------------

record_range delay_store::place_of(position pos) const {
    if (const auto p = publishing_.find(pos); p != publishing_.end()) {
        return {p->second.where, stored_bytes(p->second)};
    }
    const time_line* line = line_of(pos);
    if (line == nullptr) {
        return {};
    }
    const auto e = line->tree.find(pos);
    return in_memory(*e) ? record_range{} : record_range{e->where, stored_bytes(*e)};
}

void delay_store::on_moved(position pos, const stored_ref& to) {
    if (const auto p = publishing_.find(pos); p != publishing_.end()) {
        p->second.where = to.at;
        p->second.bytes = to.bytes | (p->second.bytes & fleeting_bit);
    } else if (time_line* line = line_of(pos)) {
        delay_entry e = *line->tree.find(pos);
        e.where = to.at;
        e.bytes = to.bytes | (e.bytes & fleeting_bit);
        line->tree.update(e);
    }
}

void delay_store::on_recovered(const recovered_message& m) {
    if (lines_.empty()) {
        lines_.emplace_back().offset = context_.delay_wall_now() - context_.delay_now();
    }
    const delay_entry e{m.pos, m.where.at, m.where.bytes};
    delay_tree& tree = lines_.front().tree;
    if (const auto before = tree.find(m.pos)) {
        log_->release(ref_of(*before));
        tree.update(e);
    } else {
        tree.insert(e);
        ++waiting_;
    }
}

void delay_store::on_recovered_settled(position first, std::uint64_t count) {
    if (lines_.empty()) {
        return;
    }
    std::vector<position> gone;
    lines_.front().tree.for_each(first, [&](const delay_entry& e) {
        const bool in = e.id - first < count;
        if (in) {
            gone.push_back(e.id);
        }
        return in;
    });
    for (const position id : gone) {
        log_->release(ref_of(*lines_.front().tree.erase(id)));
        --waiting_;
    }
}

// As of a queue's: what was done just before the end, and is not on the disk, may have been seen all the same.
void delay_store::on_recovery_end(bool clean) {
    in_doubt_below_ = clean ? in_doubt_below_ : make_id(context_.delay_wall_now() + 1, 0);
    arm();
}

// What is published and not settled yet comes a second time as well.
void delay_store::on_clean_end() {
    position below = in_doubt_below_;
    for (const auto& [id, entry] : publishing_) {
        below = std::max(below, id + 1);
    }
    if (log_ != nullptr && below != 0 && !empty()) {
        log_->record_doubt(uid_, below);
    }
}

// ---- Looking -----------------------------------------------------------------------------------

std::vector<delay_store::pending> delay_store::browse(const pending& after, std::size_t most) const {
    std::vector<pending> found;
    const auto order = [](const pending& a, const pending& b) { return a.due != b.due ? a.due < b.due : a.id < b.id; };
    for (const time_line& l : lines_) {
        std::size_t taken = 0;
        const position from = after.id == 0 ? 0 : make_id(after.due + l.offset, 0);
        l.tree.for_each(from, [&](const delay_entry& e) {
            const pending p{e.id, due_of(l, e.id), time_in(e.id), stored_bytes(e)};
            if (after.id == 0 || order(after, p)) {
                found.push_back(p);
                ++taken;
            }
            return taken < most;
        });
    }
    std::ranges::sort(found, order);
    found.resize(std::min(found.size(), most));
    return found;
}

delay_store::figures delay_store::look() const noexcept {
    figures f{waiting_, 0, in_memory_bytes_ + near_bytes_, damaged_};
    for (const time_line& l : lines_) {
        f.index_bytes += l.tree.footprint();
    }
    return f;
}

}  // namespace linnet::core
