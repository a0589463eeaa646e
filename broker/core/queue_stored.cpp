#include "broker/core/queue.hpp"

#include "broker/base/assert.hpp"
#include "broker/base/give_back.hpp"
#include "broker/base/log.hpp"

#include <algorithm>
#include <array>
#include <utility>

// What the log has of a queue: its index, the window in memory, and recovery.

namespace linnet::core {

namespace {

// shrink() leaves so many at a head: the next consumer need not wait for the disk.
constexpr std::size_t kept_at_head = 2;
// Until somebody looks again whether the log can follow.
constexpr mono_ns congestion_pause = 10 * ns_per_ms;
// In one record: some hundred KiB at most.
constexpr std::size_t settled_runs_max = 16 * 1024;
// For somebody who asks after one message.
constexpr std::size_t looked_through_max = 1024;

}  // namespace

// ---- The index ---------------------------------------------------------------------------------

queue::found queue::locate(position pos) noexcept {
    for (auto& l : lanes_) {
        if (const auto p = l.index.find(pos)) {
            return {&l, *p};
        }
    }
    return {};
}

std::optional<index_entry> queue::entry_of(position pos) const {
    for (const auto& l : lanes_) {
        if (const auto p = l.index.find(pos)) {
            return l.index.get(*p);
        }
    }
    return std::nullopt;
}

void queue::note(const queue_item& item, const stored_ref& where, entry_state s) {
    index_entry e;
    e.pos = item.pos;
    e.where = where;
    e.body_bytes = item.msg->body_bytes();
    e.delivery_count = item.delivery_count;
    e.deadline = item.deadline;
    e.state = s;
    e.redelivered = item.redelivered;
    e.fleeting = !records(*item.msg);
    e.received = item.received;
    lane_of(item.msg->priority()).index.add(e);
}

void queue::forget(const found& f) {
    const index_entry e = f.in->index.get(f.at);
    keeping_.log->release(e.where);
    if (!e.fleeting) {
        add_settled(e.pos);
    }
    f.in->index.erase(f.at);
}

void queue::add_settled(position pos) {
    if (settled_.empty()) {
        context_.on_settled(*this);
    } else {
        journal::run& last = settled_.back();
        if (pos == last.first + last.count) {
            ++last.count;
            return;
        }
        if (pos + 1 == last.first) {
            --last.first;
            ++last.count;
            return;
        }
    }
    settled_.push_back({pos, 1});
}

// In order and joined, they take the least bytes: a queue's messages are mostly settled in runs, if not by one
// consumer.
void queue::record_settled() {
    std::ranges::sort(settled_, {}, &journal::run::first);
    std::size_t n = 0;
    for (const journal::run& r : settled_) {
        if (n != 0 && settled_[n - 1].first + settled_[n - 1].count == r.first) {
            settled_[n - 1].count += r.count;
        } else {
            settled_[n++] = r;
        }
    }
    for (std::span<const journal::run> rest(settled_.data(), n); !rest.empty();) {
        const auto part = rest.first(std::min(rest.size(), settled_runs_max));
        keeping_.log->record_settled(keeping_.uid, part);
        rest = rest.subspan(part.size());
    }
    settled_.clear();
    if (settled_.capacity() > settled_runs_max) {
        give_back(settled_);
    }
}

bool queue::note_lent(position pos, bool no_ack) {
    const found f = locate(pos);
    if (!f) {
        return false;
    }
    if (no_ack) {
        forget(f);
        return false;
    }
    f.in->index.set_state(f.at, entry_state::lent);
    return true;
}

void queue::note_attempts(const queue_item& item) {
    const found f = locate(item.pos);
    if (!f) {
        return;
    }
    const bool fleeting = f.in->index.get(f.at).fleeting;
    f.in->index.set_attempts(f.at, item.delivery_count, true);
    if (item.received) {
        f.in->index.set_received(*f.in->index.find(item.pos));
    }
    if (!fleeting) {
        keeping_.log->record_attempts(keeping_.uid, item.pos, attempts_of(item));
    }
}

// What has been sent does not expire, nor is its position free, before its consumer is done with it.
bool queue::note_received(position pos) {
    owner_.check();
    const found f = locate(pos);
    if (!f || f.in->index.get(f.at).fleeting) {
        return false;
    }
    if (!f.in->index.get(f.at).received) {
        f.in->index.set_received(f.at);
        keeping_.log->record_attempts(keeping_.uid, pos, attempts_of(f.in->index.get(f.at)));
    }
    return true;
}

std::uint64_t queue::own_bytes() const noexcept {
    std::uint64_t sum = sizeof(*this) + lanes_.capacity() * sizeof(lane);
    for (const auto& l : lanes_) {
        sum += l.head.bytes() + l.tail.bytes() + l.index.bytes() + l.dues.capacity() * sizeof(due);
    }
    sum += groups_ == nullptr ? 0 : groups_->bytes();
    sum += dedup_ == nullptr ? 0 : dedup_->footprint();
    sum += returning_ == nullptr ? 0 : returning_->size() * sizeof(bare);
    return sum;
}

// ---- Arriving ----------------------------------------------------------------------------------

admission queue::admit(const message& m) {
    if (is_duplicate(m)) {
        tell(flight_step::duplicate, m, next_position_);
        return admission::duplicate;
    }
    if (ready_ == 0) {
        const consumer* c = peek_taker();
        if (c != nullptr) {
            // A key is remembered with the record of its message.
            // Of groups, whose message it is may be somebody else's to say.
            const bool at_once = dedup_ == nullptr && groups_ == nullptr;
            return c->a.no_ack && c->a.sink != nullptr && at_once ? admission::pass : admission::take;
        }
    }
    if (spec_.settings.overflow != overflow_policy::drop_head && full_for_one_more(m)) {
        return spec_.settings.overflow == overflow_policy::reject_publish_dlx ? admission::pass : admission::refuse;
    }
    return admission::take;
}

void queue::enqueue_stored(message_ptr m, position pos, const stored_ref& where) {
    owner_.check();
    queue_item item{std::move(m), pos, 0, 0, false, true};
    item.redelivered = item.msg->traits().repeated;
    item.deadline = deadline_of(*item.msg);
    if (dedup_ != nullptr) {
        note_key(*item.msg);
    }
    if (ready_ == 0 && groups_ == nullptr) {
        if (consumer* c = next_taker()) {
            note(item, where, entry_state::lent);
            if (item.deadline != 0) {
                watch_lent(item);
            }
            lend(*c, std::move(item));
            return;
        }
    }
    note(item, where, entry_state::resident);
    if (item.deadline != 0) {
        if (item.deadline <= context_.now()) {
            die(std::move(item), death_reason::expired);
            return;
        }
        watch(lane_of(item.msg->priority()), pos, item.deadline);
    }
    const bool can_expire = item.deadline != 0;
    tell(flight_step::queued, *item.msg, pos);
    store(std::move(item));
    if (can_expire) {
        arm_timer();
    }
    if (spec_.settings.max_length || spec_.settings.max_length_bytes) {
        drop_overflow();
    }
    if (groups_ != nullptr) {
        static_cast<void>(pump_groups());
    }
}

void queue::expect(const message& m) {
    ++expected_;
    expected_bytes_ += m.body_bytes();
    if (dedup_ != nullptr) {
        note_key(m);
    }
}

void queue::enqueue_expected(message_ptr m, position pos, const stored_ref& where) {
    --expected_;
    expected_bytes_ -= m->body_bytes();
    enqueue_stored(std::move(m), pos, where);
}

bool queue::window_full(const lane& l) const noexcept {
    return l.head.size() >= keeping_.window_messages ||
           (ready_bytes_ - paged_bytes_ > keeping_.window_bytes && !l.head.empty());
}

// A message that the log has, or one that it does not have behind one that is paged.
void queue::store_stored(lane& l, queue_item&& item) {
    const bool to_tail = item.pos > l.first_paged;
    item_ring& ring = to_tail ? l.tail : l.head;
    const bool at_end = ring.empty() || ring.back().pos < item.pos;
    if (item.stored && (to_tail || (at_end && window_full(l)))) {
        page_out(l, item, item.msg->body_bytes());
        return;
    }
    if (item.stored) {
        l.index.set_state(*l.index.find(item.pos), entry_state::resident);
    }
    if (at_end) {
        ring.push_back(std::move(item));
    } else {
        ring.insert(std::move(item));
    }
}

void queue::page_out(lane& l, const queue_item& item, std::uint32_t body_bytes) {
    const auto p = *l.index.find(item.pos);
    l.index.set_attempts(p, item.delivery_count, item.redelivered);
    l.index.set_state(*l.index.find(item.pos), entry_state::paged);
    ++paged_;
    paged_bytes_ += body_bytes;
    if (item.pos < l.first_paged) {
        if (l.first_paged == nowhere) {
            l.low_water = l.head.size() / 2;
        }
        l.first_paged = item.pos;
        l.first_paged_deadline = item.deadline;
    }
}

// ---- Reading back ------------------------------------------------------------------------------

void queue::find_first_paged(lane& l, position from) {
    if (const auto p = l.index.next_paged(from)) {
        const index_entry e = l.index.get(*p);
        l.first_paged = e.pos;
        l.first_paged_deadline = e.deadline;
    } else {
        l.first_paged = nowhere;
        l.first_paged_deadline = 0;
    }
    join_tail(l);
}

// What of the tail no longer has anything paged before it belongs to the head.
void queue::join_tail(lane& l) {
    if (l.first_paged == nowhere && l.tail.size() > l.head.size()) {
        // The shorter goes to the longer.
        while (!l.head.empty()) {
            l.tail.insert(l.head.pop_back());
        }
        std::swap(l.head, l.tail);
        return;
    }
    while (!l.tail.empty() && l.tail.front().pos < l.first_paged) {
        l.head.push_back(l.tail.pop_front());
    }
}

void queue::count_loaded(lane& l, const index_entry& e) {
    --paged_;
    paged_bytes_ -= e.body_bytes;
    if (e.pos == l.first_paged) {
        find_first_paged(l, e.pos + 1);
    }
}

// Ready and paged, and to go without having been seen.
void queue::drop_paged(lane& l, queue_index::place p) {
    const index_entry e = l.index.get(p);
    count_out(e.body_bytes, e.deadline);
    forget({&l, p});
    count_loaded(l, e);
}

void queue::load(lane& l) {
    if (fetching_ != 0) {
        return;  // on_loaded() comes, and whoever wanted this asks again
    }
    std::vector<journal::wanted> which;
    std::uint64_t bytes = 0;
    for (auto p = l.index.next_paged(l.first_paged);
         p && which.size() < keeping_.window_messages && (bytes < keeping_.window_bytes || which.empty());) {
        const index_entry e = l.index.get(*p);
        which.push_back({e.pos, e.where});
        bytes += e.body_bytes;
        p = l.index.next_paged(e.pos + 1);
    }
    l.low_water = which.size() / 2;
    fetching_ += which.size();
    keeping_.log->fetch(keeping_.uid, which);
}

// Before the head runs dry, so that consumers need not wait.
void queue::read_ahead() {
    if (fetching_ != 0 || order_.empty()) {
        return;
    }
    lane* l = head_lane();
    if (l != nullptr && l->first_paged != nowhere && l->head.size() <= l->low_water) {
        load(*l);
    }
}

bool queue::head_at_hand() {
    if (with_deadline_ != 0) {
        drop_expired();
    }
    if (groups_ != nullptr && find_free_group()) {
        return true;
    }
    lane* l = head_lane();
    if (l == nullptr || !l->head.empty()) {
        return true;
    }
    load(*l);
    return false;
}

queue_item queue::item_of(const index_entry& e, message_ptr m) const noexcept {
    return {std::move(m), e.pos,     e.deadline, e.delivery_count, e.redelivered || e.pos < delivered_below_,
            true,         e.received};
}

void queue::on_fetched(position pos, message_ptr m) {
    owner_.check();
    if (closing_) {
        return;
    }
    --fetching_;
    if (!take_returning(pos, m)) [[likely]] {
        take_fetched(pos, std::move(m));
    }
    if (fetching_ != 0) {
        return;
    }
    // In turn with what consumers wait for.
    if (lane* l = head_lane(); returning_ != nullptr && l != nullptr && l->head.empty()) {
        load(*l);
    } else {
        fetch_returning();
    }
    if (with_deadline_ != 0) {
        drop_expired();
    }
    drop_overflow();
    arm_timer();
    context_.on_loaded(*this);
}

// Meanwhile it may have gone, or something may stand before it again: then it is read another time.
void queue::take_fetched(position pos, message_ptr m) {
    const found f = locate(pos);
    if (!f) {
        return;
    }
    const index_entry e = f.in->index.get(f.at);
    const bool doomed = e.state == entry_state::doomed;
    if (!doomed && (e.state != entry_state::paged || (pos != f.in->first_paged && m))) {
        return;
    }
    if (!m) {
        on_damaged(*f.in, f.at);
    } else if (doomed) {
        --doomed_;
        die(item_of(e, std::move(m)), death_reason::expired);
    } else if (waits_since_recovery(e)) {
        wait_since_recovery(*f.in, f.at, std::move(m));
    } else {
        f.in->index.set_state(f.at, entry_state::resident);
        f.in->head.push_back(item_of(e, std::move(m)));
        count_loaded(*f.in, e);
    }
}

// There is nothing left to deliver, nor to dead-letter.
void queue::on_damaged(lane& l, queue_index::place p) {
    const index_entry e = l.index.get(p);
    log::error({.domain = "queue"}, "queue '{}': message {} is damaged in the log (at {}, {} bytes) and dropped",
               spec_.name, e.pos, e.where.at, e.where.bytes);
    ++damaged_;
    doomed_ -= e.state == entry_state::doomed ? 1 : 0;
    if (e.state == entry_state::paged) {
        drop_paged(l, p);
    } else {
        forget({&l, p});
    }
}

// It has expired in the middle, and its dead-letter exchange wants to see it.
void queue::doom(lane& l, queue_index::place p) {
    const index_entry e = l.index.get(p);
    l.index.set_state(p, entry_state::doomed);
    count_out(e.body_bytes, e.deadline);
    count_loaded(l, e);
    ++doomed_;
    ++fetching_;
    const journal::wanted one{e.pos, e.where};
    keeping_.log->fetch(keeping_.uid, {&one, 1});
}

// ---- What comes back without its message ---------------------------------------------------------

// Why it does not become ready again, if so.
std::optional<death_reason> queue::end_of(const delivery& d, coming_back how) const noexcept {
    const auto& s = spec_.settings;
    if (how == coming_back::rejected) {
        return death_reason::rejected;
    }
    const std::uint32_t attempts = d.delivery_count + 1;
    const bool failed = how == coming_back::failed;
    if (failed && ((s.delivery_limit && attempts > *s.delivery_limit) || (s.retry && s.retry->exhausted(attempts)))) {
        return death_reason::delivery_limit;
    }
    const bool pauses = failed && s.retry && s.retry->pause_after(attempts) != 0;
    if (!pauses && d.deadline != 0 && d.deadline <= context_.now()) {
        return death_reason::expired;
    }
    return std::nullopt;
}

// A dead-letter exchange has to see it, and it has no message, or stands behind one that has none.
bool queue::waits_to_return(delivery& d, coming_back how) {
    if ((d.msg && returning_ == nullptr) || !spec_.settings.dead_letter_exchange || !end_of(d, how)) [[likely]] {
        return false;
    }
    wait_to_return(std::move(d), how);
    return true;
}

// It stays lent. Should the end of the process come first, it has been delivered.
void queue::wait_to_return(delivery&& d, coming_back how) {
    note_attempts({{}, d.pos, d.deadline, d.delivery_count, true, true, d.received});
    if (returning_ == nullptr) {
        returning_ = std::make_unique<std::deque<bare>>();
    }
    returning_->push_back({std::move(d), how});
    fetch_returning();
}

// Ready again, it is paged as if it had never been in memory.
// What stands behind it in memory at the head stands behind something paged now.
void queue::store_paged(const queue_item& item) {
    const found f = locate(item.pos);
    lane& l = *f.in;
    const std::uint32_t body_bytes = l.index.get(f.at).body_bytes;
    while (!l.head.empty() && l.head.back().pos > item.pos) {
        queue_item later = l.head.pop_back();
        if (later.stored) {
            page_out(l, later, later.msg->body_bytes());
        } else {
            l.tail.insert(std::move(later));
        }
    }
    ++ready_;
    ready_bytes_ += body_bytes;
    if (item.deadline != 0) {
        ++with_deadline_;
        watch_again(l, item.pos, item.deadline);
    }
    page_out(l, item, body_bytes);
}

// A window of them at a time, and none while the log cannot follow: their dead letters are for it to store.
void queue::fetch_returning() {
    if (returning_ == nullptr || fetching_ != 0) {
        returning_again_ = 0;  // on_fetched() goes on
        return;
    }
    if (keeping_.log->congested()) {
        if (const mono_ns now = context_.now(); returning_again_ <= now) {
            returning_again_ = now + congestion_pause;
        }
        arm_timer();
        return;
    }
    returning_again_ = 0;
    std::vector<journal::wanted> which;
    std::uint64_t bytes = 0;
    for (const bare& b : *returning_) {
        if (which.size() == keeping_.window_messages || bytes >= keeping_.window_bytes) {
            break;
        }
        if (!b.d.msg) {
            const auto e = entry_of(b.d.pos);
            which.push_back({b.d.pos, e->where});
            bytes += e->body_bytes;
        }
    }
    returning_asked_ = which.size();
    fetching_ += which.size();
    keeping_.log->fetch(keeping_.uid, which);
}

// It was one of those: it goes on, and what waited behind it.
bool queue::take_returning(position pos, message_ptr& m) {
    if (returning_asked_ == 0 || returning_->front().d.pos != pos) [[likely]] {
        return false;
    }
    --returning_asked_;
    if (m) {
        returning_->front().d.msg = std::move(m);
    } else {
        const found f = locate(pos);
        if (returning_->front().how != coming_back::untouched) {
            release(returning_->front().d.consumer, 1, f.in->index.get(f.at).body_bytes);
        }
        on_damaged(*f.in, f.at);
        returning_->pop_front();
    }
    while (!returning_->empty() && returning_->front().d.msg) {
        bare b = std::move(returning_->front());
        returning_->pop_front();
        take_back(std::move(b.d), b.how);
    }
    if (returning_->empty()) {
        returning_.reset();
        if (unused() && had_consumer_ && spec_.auto_delete) {
            context_.on_unused(*this);  // it stayed for them
        }
    }
    return true;
}

// ---- Letting go --------------------------------------------------------------------------------

// How much of the head is what read_ahead() would have there: it reads a window when half of one is left.
std::size_t queue::window_at_head(lane& l) const noexcept {
    const std::size_t most = std::min<std::size_t>(l.head.size(),
                                                   keeping_.window_messages + keeping_.window_messages / 2);
    const std::uint64_t most_bytes = keeping_.window_bytes + keeping_.window_bytes / 2;
    std::size_t n = 0;
    for (std::uint64_t bytes = 0; n < most && bytes <= most_bytes; ++n) {
        bytes += l.head[n].msg->body_bytes();
    }
    return n;
}

bool queue::moves() const noexcept { return pumped_at_ != 0 && context_.now() - pumped_at_ < ns_per_s; }

std::uint64_t queue::shrink(std::uint64_t bytes, gives what, bool spares) {
    owner_.check();
    std::uint64_t freed = 0;
    if (keeping_.log != nullptr) {
        for (auto l = lanes_.begin(); l != lanes_.end() && freed < bytes; ++l) {
            freed += shrink(*l, bytes - freed, what, spares && moves());
        }
    }
    return freed;
}

std::uint64_t queue::shrink(lane& l, std::uint64_t bytes, gives what, bool spares) {
    std::uint64_t freed = 0;
    std::vector<queue_item> items;
    const auto take = [&](item_ring& ring, std::size_t kept) {
        while (freed < bytes && ring.size() > kept && (what == gives::all || ring.back().stored)) {
            items.push_back(ring.pop_back());
            freed += items.back().msg->footprint();
        }
    };
    take(l.tail, 0);
    take(l.head, spares ? std::max(window_at_head(l), kept_at_head) : kept_at_head);
    l.tail.fit();
    l.head.fit();
    // The first first, as the index and the log like it.
    for (; !items.empty(); items.pop_back()) {
        spill(l, std::move(items.back()));
    }
    return freed;
}

void queue::spill(lane& l, queue_item&& item) {
    if (!item.stored) {
        const message_place place{keeping_.uid | fleeting_owner, item.pos, item.delivery_count};
        note(item, keeping_.log->record_message(*item.msg, context_.wall_now(), {&place, 1}), entry_state::resident);
    }
    page_out(l, item, item.msg->body_bytes());
}

std::uint64_t queue::purge() {
    owner_.check();
    if (with_deadline_ != 0) {
        drop_expired();
    }
    const std::uint64_t count = ready_ + drop_paused();
    while (groups_ != nullptr && groups_->take_oldest()) {}
    for (auto& l : lanes_) {
        l.head.clear();
        l.tail.clear();
        l.first_paged = nowhere;
        l.first_paged_deadline = 0;
        give_back(l.dues);
        // Where nothing between them is kept, runs join over positions that the log never had. Not so with other
        // lanes' messages between, nor with such as the log has and the index is only going to have.
        bool joins = false;
        l.index.sweep(0, nowhere, [&](const index_entry& e) {
            if (e.state != entry_state::paged && e.state != entry_state::resident) {
                joins = false;
                return false;
            }
            keeping_.log->release(e.where);
            if (e.fleeting) {
                return true;
            }
            if (joins && lanes_.size() == 1 && expected_ == 0) {
                settled_.back().count = e.pos + 1 - settled_.back().first;
            } else {
                add_settled(e.pos);
            }
            joins = true;
            return true;
        });
    }
    ready_ = ready_bytes_ = paged_ = paged_bytes_ = with_deadline_ = 0;
    return count;
}

void queue::let_go() {
    for (auto& l : lanes_) {
        l.index.sweep(0, nowhere, [&](const index_entry& e) {
            keeping_.log->release(e.where);
            return true;
        });
    }
}

void queue::settle_stored(consumer_id id, std::span<const position> which, std::uint64_t /*bytes*/) {
    owner_.check();
    for (const position pos : which) {
        if (const found f = locate(pos)) {
            if (const index_entry e = f.in->index.get(f.at); e.state == entry_state::lent) {
                release({}, 1, e.body_bytes);
                ++counts_.ack;
            }
            forget(f);
            if (groups_ != nullptr) {
                static_cast<void>(groups_->lent_is_done(pos));
            }
        } else if (groups_ != nullptr && groups_->lent_is_done(pos)) {
            --unacked_;
        }
    }
    if (consumer* c = find(id)) {
        c->in_flight -= std::min(static_cast<std::uint32_t>(which.size()), c->in_flight);
    }
}

void queue::settle_recovered(std::span<const position> which) {
    owner_.check();
    for (const position pos : which) {
        // It may have been lent before it was durable, and lost: its position is another one's by now.
        const found f = pos < recovered_end_ ? locate(pos) : found{};
        const auto state = f ? f.in->index.get(f.at).state : entry_state::lent;
        if (state == entry_state::paged) {
            drop_paged(*f.in, f.at);
        } else if (state == entry_state::doomed) {
            --doomed_;
            forget(f);
        }
    }
}

// ---- record_owner ------------------------------------------------------------------------------

whereabouts queue::find_message(position low_bits) const {
    // The last one below what is next that ends in them.
    position pos = (next_position_ & ~flight_position_mask) | low_bits;
    if (pos >= next_position_ && pos > flight_position_mask) {
        pos -= flight_position_mask + 1;
    }
    const bool in_memory = std::ranges::any_of(lanes_,
                                               [pos](const lane& l) { return l.head.has(pos) || l.tail.has(pos); });
    if (in_memory) {
        return whereabouts::ready;
    }
    // Neither is in order of positions: where there are many, nobody waits while they are looked through.
    const bool too_many = retries_.size() > looked_through_max ||
                          (groups_ != nullptr && groups_->ready() > looked_through_max);
    if (retries_.size() <= looked_through_max && retries_.has(pos)) {
        return whereabouts::waiting;
    }
    if (groups_ != nullptr && groups_->ready() <= looked_through_max && groups_->has(pos)) {
        return whereabouts::ready;
    }
    const auto e = entry_of(pos);
    if (!e && too_many) {
        return whereabouts::unknown;
    }
    if (!e || e->state == entry_state::doomed || e->state == entry_state::dying) {
        return whereabouts::nowhere;
    }
    return e->state == entry_state::lent ? whereabouts::lent : whereabouts::ready;
}

record_range queue::place_of(position pos) const {
    const auto e = entry_of(pos);
    return e ? record_range{e->where.at, e->where.bytes} : record_range{};
}

std::uint32_t queue::attempts(position pos) const {
    const auto e = entry_of(pos);
    return e ? attempts_of(*e) : 0;
}

// Its session has decided that it does not expire any more: the index must not know better.
void queue::forget_deadline(position pos) {
    if (const found f = locate(pos); f && f.in->index.get(f.at).deadline != 0) {
        f.in->index.clear_deadline(f.at);
    }
}

void queue::on_moved(position pos, const stored_ref& to) {
    if (const found f = locate(pos)) {
        f.in->index.set_where(f.at, to);
    }
}

// ---- Recovery ----------------------------------------------------------------------------------

void queue::on_recovered(const recovered_message& m) {
    // Positions mostly rise: only what cleaning has copied is found again.
    if (const found f = m.pos < next_position_ ? locate(m.pos) : found{}) {
        keeping_.log->release(f.in->index.get(f.at).where);
        f.in->index.set_where(f.at, m.where);
        return;
    }
    index_entry e;
    e.pos = m.pos;
    e.where = m.where;
    e.body_bytes = m.body_bytes;
    e.delivery_count = m.attempts & attempts_mask;
    e.received = (m.attempts & received_bit) != 0;
    e.deadline = e.received ? 0 : deadline_of(m);
    e.state = entry_state::paged;
    e.redelivered = m.attempts != 0 || m.repeated;
    next_position_ = std::max(next_position_, m.pos + 1);
    lane& l = lane_of(m.priority);
    l.index.add(e);
    ++ready_;
    ++paged_;
    ready_bytes_ += m.body_bytes;
    paged_bytes_ += m.body_bytes;
    with_deadline_ += e.deadline != 0 ? 1 : 0;
}

// Time went on while the broker was down. A wall clock set back meanwhile must not make messages older than young.
mono_ns queue::deadline_of(const recovered_message& m) const noexcept {
    mono_ns ttl = m.time_to_live;
    if (spec_.settings.message_ttl && (ttl < 0 || *spec_.settings.message_ttl < ttl)) {
        ttl = *spec_.settings.message_ttl;
    }
    if (ttl < 0) {
        return 0;
    }
    const mono_ns left = std::max<mono_ns>(ttl - std::max<mono_ns>(context_.wall_now() - m.stored_at, 0), 0);
    const mono_ns now = context_.now();
    return left > never - now ? 0 : now + left;
}

void queue::on_recovered_settled(position first, std::uint64_t count) {
    for (auto& l : lanes_) {
        l.index.sweep(first, first + count, [&](const index_entry& e) {
            keeping_.log->release(e.where);
            count_out(e.body_bytes, e.deadline);
            --paged_;
            paged_bytes_ -= e.body_bytes;
            return true;
        });
    }
}

void queue::on_recovered_attempts(position pos, std::uint32_t attempts) {
    const found f = locate(pos);
    if (!f) {
        return;
    }
    f.in->index.set_attempts(f.at, attempts & attempts_mask, true);
    if ((attempts & received_bit) != 0) {
        const auto now_at = *f.in->index.find(pos);
        with_deadline_ -= f.in->index.get(now_at).deadline != 0 ? 1 : 0;
        f.in->index.set_received(now_at);
    }
}

void queue::on_recovery_end(bool clean) {
    delivered_below_ = clean ? delivered_below_ : next_position_;
    began_at_ = next_position_;
    recovered_at_ = context_.now();
    recovered_end_ = next_position_;
    if (dedup_ != nullptr) {
        dedup_->recovered(context_.now(), context_.wall_now());
    }
    for (auto& l : lanes_) {
        find_first_paged(l, 0);
        if (with_deadline_ != 0) {
            order_recovered(l);
        }
    }
    arm_timer();
}

void queue::on_clean_end() {
    if (keeping_.log == nullptr) {
        return;
    }
    // A successor may be on the disk that nobody has told us of: then the dead one, which we find again, is in doubt.
    for (auto& l : lanes_) {
        l.index.sweep(dying_from_, dying_below_, [&](const index_entry& e) {
            if (e.state == entry_state::dying && !e.fleeting) {
                keeping_.log->record_attempts(keeping_.uid, e.pos, attempts_of(e) | had_bit);
            }
            return false;
        });
    }
    const auto is_empty = [](const lane& l) { return l.index.empty(); };
    if (delivered_below_ != 0 && !std::ranges::all_of(lanes_, is_empty)) {
        keeping_.log->record_doubt(keeping_.uid, delivered_below_);
    }
}

// What was copied by cleaning came late: only now are the deadlines seen in their order.
void queue::order_recovered(lane& l) {
    l.index.sweep(0, nowhere, [&](const index_entry& e) {
        if (e.deadline == 0) {
            l.latest = never;  // whatever comes behind it can expire before it
        } else {
            watch(l, e.pos, e.deadline);
        }
        return false;
    });
}

}  // namespace linnet::core
