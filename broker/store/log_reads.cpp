#include "broker/store/log_reads.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace linnet::store {

log_reads::log_reads(disk& d, const segment_geometry& g, segment_chain& chain, const batch_queue& batches)
    : disk_{d}, geometry_{g}, chain_{chain}, batches_{batches} {}

void log_reads::add(std::span<const core::record_range> which, core::log_reader& into) {
    auto r = std::make_unique<request>();
    r->into = &into;
    r->which.assign(which.begin(), which.end());
    requests_.push_back(std::move(r));
}

void log_reads::add(core::log_position from, std::uint32_t bytes_max, core::log_reader& into) {
    auto r = std::make_unique<request>();
    r->into = &into;
    r->from = from;
    r->until = from + bytes_max;
    requests_.push_back(std::move(r));
}

bool log_reads::run(core::log_position begin, core::log_position durable) {
    begin_ = begin;
    durable_ = durable;
    shown_any_ = false;
    // By index, and only those there were: a reader may ask for more.
    const std::size_t count = requests_.size();
    for (std::size_t i = 0; i < count; ++i) {
        request& r = *requests_[i];
        if (r.into == nullptr || !(r.reads_on() ? run_on(r) : run_ranges(r)))
            continue;
        shown_any_ = true;
        std::exchange(r.into, nullptr)->on_done();
    }
    // What was read for nothing has its buffer in the disk's hands until it is there.
    std::erase_if(requests_, [](const auto& r) {
        return r->into == nullptr && std::ranges::none_of(r->pieces, &piece::under_way);
    });
    return shown_any_;
}

bool log_reads::run_ranges(request& r) {
    while (r.shown < r.which.size()) {
        const core::log_position wanted = r.which[r.shown].at;
        if (r.at == 0) {
            r.assembler.reset();
            r.at = wanted;
        }
        const look l = wanted >= begin_ && wanted < batches_.end() ? look_at(r) : look{};
        if (l.what == found::elsewhere) {
            stretch near = neighbours(r, r.shown, r.at);
            near.bytes = std::max(near.bytes, l.bytes);
            begin_read(r, near);
        }
        if (l.what == found::elsewhere || l.what == found::under_way) {
            read_ahead(r);
            return false;
        }
        if (l.what == found::unreadable && ask_for_less(r, r.which[r.shown].bytes))
            return false;
        // The first look is at the record itself; the log's own may lie between its parts.
        const bool begins = !l.record.own() && (l.record.header.flags & stored_flags::part_of_before) == 0;
        if (l.what != found::record || (r.at == wanted && !begins)) {
            show_damage(r, wanted);
            continue;
        }
        const auto whole = r.assembler.feed(r.at, l.record);
        r.at = l.next;
        if (whole)
            show(r, *whole);
    }
    return true;
}

bool log_reads::run_on(request& r) {
    if (r.at == 0)
        r.at = first_place(std::max(r.from, begin_));
    while (r.at < durable_ && (r.at < r.until || r.assembler.unfinished() != 0)) {
        const look l = look_at(r);
        if (l.what == found::under_way)
            return false;
        if (l.what == found::elsewhere) {
            const core::log_position end = std::min(r.until, durable_);
            const std::uint64_t rest = end > r.at ? end - r.at : 0;
            const auto wanted = static_cast<std::uint32_t>(std::min<std::uint64_t>(rest, read_bytes_max));
            if (!r.pieces.empty())
                drop_piece(r, r.pieces.begin());
            const std::uint32_t bytes = r.retried == r.at ? l.bytes : std::max(l.bytes, wanted);
            begin_read(r, {.from = r.at, .bytes = bytes, .first = 0, .last = 0});
            return false;
        }
        if (l.what == found::nothing)
            return true;
        if (l.what == found::unreadable && ask_for_less(r, record_header_bytes))
            return false;
        if (l.what == found::damage || l.what == found::unreadable) {
            const std::uint32_t step = l.what == found::damage ? record_alignment : pass_unreadable(r);
            r.assembler.reset();
            if (!std::exchange(r.passing_damage, true))
                show_damage(r, r.at);
            r.at = geometry_.behind(geometry_.number(r.at), geometry_.offset(r.at) + step);
            continue;
        }
        r.passing_damage = false;
        const auto whole = r.assembler.feed(r.at, l.record);
        r.at = l.next;
        if (!whole)
            continue;
        const core::log_position next = r.at;
        if (whole->at >= r.from && whole->at < r.until)
            show(r, *whole);
        r.at = next;
    }
    return true;
}

// Where reading on may begin: at a record known to begin there or before, at the next segment's first, or nowhere.
core::log_position log_reads::first_place(core::log_position from) const {
    const segment* const s = chain_.find(geometry_.number(from));
    if (s == nullptr)
        return durable_;
    const auto offset = std::max<std::uint32_t>(geometry_.offset(from), segment_header_bytes);
    const auto mark = mark_before(*s, geometry_, offset);
    return mark ? geometry_.at(s->number, *mark) : geometry_.first_of(s->number + 1);
}

log_reads::look log_reads::look_at(request& r) const {
    if (r.at >= batches_.begin()) {
        const batch_queue::seen s = batches_.look(r.at);
        if (s.next == 0)
            return {.what = found::nothing, .record = {}};
        if (s.record)
            return {.what = found::record, .record = *s.record, .next = s.next};
        // A commit that is not yet completed.
        r.at = s.next;
        return look_at(r);
    }
    const segment* const s = chain_.find(geometry_.number(r.at));
    if (s == nullptr)
        return {};
    look best = look_in(nullptr, r.at, *s);
    // Stretches are rounded to blocks: two of them may hold the same place, and only one the whole record.
    for (const piece& p : r.pieces) {
        if (!p.covers(r.at))
            continue;
        if (p.under_way || p.error != 0) {
            best.what = p.under_way ? found::under_way : found::unreadable;
            continue;
        }
        const look here = look_in(&p, r.at, *s);
        if (here.what != found::elsewhere)
            return here;
        best.bytes = here.bytes;
    }
    return best;
}

log_reads::look log_reads::look_in(const piece* p, core::log_position at, const segment& s) const {
    const std::uint64_t rest = geometry_.bytes - geometry_.offset(at);
    const auto bytes = p == nullptr ? std::span<const std::uint8_t>{} : p->buffer.first(p->bytes).subspan(at - p->from);
    std::uint32_t needed = record_header_bytes;
    if (bytes.size() >= needed) {
        needed = claimed_bytes(bytes);
        if (needed == 0)
            return {};
    }
    if (needed > rest)
        return {};
    if (needed > bytes.size())
        return {.what = found::elsewhere, .record = {}, .next = 0, .bytes = needed};
    const auto record = record_in(s, geometry_, geometry_.offset(at), bytes);
    if (!record)
        return {};
    const core::log_position next = position_behind(s, geometry_, geometry_.offset(at), *record);
    return {.what = found::record, .record = *record, .next = next};
}

// ---- Reading -----------------------------------------------------------------------------------

log_reads::stretch log_reads::neighbours(const request& r, std::size_t first, core::log_position from) const {
    core::log_position end = r.which[first].at + r.which[first].bytes;
    const core::log_position end_max = std::min(from + read_bytes_max, geometry_.at(geometry_.number(from) + 1, 0));
    // Those that have a piece need no other.
    std::size_t behind = r.which.size();
    for (const piece& p : r.pieces)
        behind = p.first > first ? std::min(behind, p.first) : behind;
    std::size_t last = first;
    for (std::size_t i = first + 1; i < behind; ++i) {
        const core::record_range& next = r.which[i];
        if (next.at < end || next.at > end + gap_max || next.at + next.bytes > end_max)
            break;
        end = next.at + next.bytes;
        last = i;
    }
    const std::uint64_t bytes = end > from ? end - from : 0;
    return {from, static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, read_bytes_max)), first, last};
}

bool log_reads::may_read_ahead(const request& r) const noexcept {
    if (r.planned >= r.which.size() || r.pieces.size() >= pieces_max || under_way_ >= reads_ahead_max || waits_)
        return false;
    std::size_t held = 0;
    for (const piece& p : r.pieces)
        held += p.bytes;
    return held < 2 * read_bytes_max - disk::block;
}

void log_reads::read_ahead(request& r) {
    r.planned = std::max(r.planned, r.shown + 1);
    while (may_read_ahead(r)) {
        const core::record_range& next = r.which[r.planned];
        // What is not on the disk, no longer or not yet, needs no read.
        const bool there = next.at >= begin_ && next.at + next.bytes <= batches_.begin();
        if (there && chain_.find(geometry_.number(next.at)) != nullptr) {
            begin_read(r, neighbours(r, r.planned, next.at));
        } else {
            ++r.planned;
        }
    }
}

void log_reads::begin_read(request& r, const stretch& what) {
    if (under_way_ >= reads_max || waits_)
        return;
    segment& s = *chain_.find(geometry_.number(what.from));
    const std::uint32_t offset = geometry_.offset(what.from);
    const std::uint32_t base = offset / disk::block * disk::block;
    const std::uint64_t end = std::min<std::uint64_t>(std::uint64_t{offset} + what.bytes, geometry_.bytes);
    const std::size_t length = (end - base + disk::block - 1) / disk::block * disk::block;
    piece p;
    p.buffer = r.spare.size() >= length ? std::exchange(r.spare, {}) : aligned_buffer{length};
    p.from = geometry_.at(s.number, base);
    // What lies behind in the last block is not there yet: by the time it is asked for it may be, but not here.
    p.bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(length, batches_.begin() - p.from));
    p.first = what.first;
    p.last = what.last;
    p.tag = tag_bit | next_tag_++;
    ++under_way_;
    ++s.reads;
    disk_.read(s.file, base, p.buffer.first(length), p.tag);
    r.planned = std::max(r.planned, what.last + 1);
    r.pieces.insert(std::ranges::upper_bound(r.pieces, what.last, {}, &piece::last), std::move(p));
}

void log_reads::on_read(std::uint64_t tag, int error) {
    for (const auto& r : requests_) {
        const auto p = std::ranges::find(r->pieces, tag, &piece::tag);
        if (p == r->pieces.end())
            continue;
        --chain_.find(geometry_.number(p->from))->reads;
        --under_way_;
        p->under_way = false;
        p->error = error;
        if (lacks_means(error)) {
            waits_ = true;
            if (p->covers(r->retried))
                r->retried = 0;
            drop_piece(*r, p);
        }
        drop_shown(*r);
        return;
    }
    LINNET_ASSERT(false, "nobody asked for {}", tag);
}

void log_reads::drop_piece(request& r, std::vector<piece>::iterator p) {
    r.spare = std::move(p->buffer);
    r.pieces.erase(p);
}

// All that it was read for has been shown.
void log_reads::drop_shown(request& r) {
    while (!r.reads_on() && !r.pieces.empty() && r.pieces.front().last < r.shown && !r.pieces.front().under_way)
        drop_piece(r, r.pieces.begin());
}

// A read of many records fails with the worst of its sectors, or for a reason that passes: what is wanted now is asked
// for once more, and alone. False: that has been done.
bool log_reads::ask_for_less(request& r, std::uint32_t bytes) {
    if (r.retried == r.at)
        return false;
    if (under_way_ < reads_max && !waits_) {
        r.retried = r.at;
        drop_refused(r);
        const std::size_t index = r.reads_on() ? 0 : r.shown;
        begin_read(r, {.from = r.at, .bytes = bytes, .first = index, .last = index});
    }
    return true;
}

// How far to go on from what cannot be read: to the next block, or only on by the least, where its beginning can be.
std::uint32_t log_reads::pass_unreadable(request& r) {
    const std::uint32_t bytes = drop_refused(r);
    return bytes > 2 * disk::block ? record_alignment
                                   : disk::block - static_cast<std::uint32_t>(geometry_.offset(r.at) % disk::block);
}

// Gives up the piece that the disk refused, and says how long it was.
std::uint32_t log_reads::drop_refused(request& r) {
    const auto refused = std::ranges::find_if(r.pieces, [&](const piece& p) { return p.error != 0 && p.covers(r.at); });
    if (refused == r.pieces.end())
        return 0;
    const std::uint32_t bytes = refused->bytes;
    drop_piece(r, refused);
    return bytes;
}

void log_reads::show(request& r, const core::log_record& record) {
    shown_any_ = true;
    const std::size_t index = r.shown++;
    r.at = 0;
    r.into->on_record(index, record);
    drop_shown(r);
}

void log_reads::show_damage(request& r, core::log_position at) {
    ++damaged_;
    damaged_at_ = at;
    drop_refused(r);  // the next one is tried again
    const core::log_position resume = r.at;
    show(r, {.at = at, .kind = 0, .flags = 0, .payload = {}});
    r.at = r.reads_on() ? resume : 0;
}

}  // namespace linnet::store
