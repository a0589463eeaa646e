#include "broker/core/stream.hpp"

#include "broker/core/rabbit_text.hpp"

#include <algorithm>
#include <utility>

namespace linnet::core {

namespace {

constexpr std::uint32_t slot_of(consumer_id id) noexcept { return static_cast<std::uint32_t>(id.value & 0xffff'ffffU); }
constexpr consumer_id make_consumer_id(std::uint32_t slot, std::uint32_t generation) noexcept {
    return {std::uint64_t{generation} << 32 | slot};
}

}  // namespace

stream::stream(stream_context& context, queue_handle self, const queue_spec& spec)
    : context_(context),
      self_(self),
      spec_(spec),
      // A stream that outlives the process is named for good; one in memory begins anew with each.
      epoch_((spec.uid & fleeting_owner) == 0 && spec.uid != 0 ? spec.uid
                                                               : static_cast<std::uint64_t>(context.wall_now())),
      chunks_(context.pool(), [this] { context_.on_readable(*this); }) {}

stream::~stream() = default;

// ---- Recovery ----------------------------------------------------------------------------------

void stream::replay(const log_record& r) {
    if (!replayed_.read(r)) {
        keys_record mark;
        errand_name run;
        if (r.kind == static_cast<std::uint8_t>(record_kind::keys) && decode(r.payload, mark) &&
            errand_marks::decode(mark.keys, run)) {
            marks_.note(run, r.at);
        }
        return;
    }
    if (const errand_name by = replayed_.brought_by(); by.number != 0) {
        marks_.note(by, r.at);
    }
    const position offset = replayed_.offset();
    if (index_.empty()) {
        first_ = offset;
    }
    index_.add(offset, r.at, replayed_.stored_at());
    last_batch_ = offset;
    next_ = offset + 1;
    last_at_ = r.at;
    last_stored_at_ = replayed_.stored_at();
}

void stream::open(std::unique_ptr<durable_log> log) {
    log_ = std::move(log);
    readable_ = began_at_ = next_;
    opened_ = context_.now();
    opened_wall_ = context_.wall_now();
    watch_age();
}

// ---- Writing -----------------------------------------------------------------------------------

void stream::activate() {
    if (!active_) {
        active_ = true;
        context_.on_active(*this);
    }
}

enqueue_result stream::append(message_ptr m, const errand_name& brought_by) {
    owner_.check();
    if (!stream_record_writer::fits(*m, log_->capabilities().record_bytes_max)) [[unlikely]] {
        return enqueue_result::refused;
    }
    const wall_ns now = context_.wall_now();
    const position offset = next_++;
    last_at_ = writer_.append(*log_, spec_.uid, offset, now, *m, brought_by).at;
    last_end_ = log_->end();
    if (brought_by.number != 0) {
        marks_.note(brought_by, last_at_, last_end_);
    }
    last_stored_at_ = now;
    index_.add(offset, last_at_, now);
    if (!order_.empty()) {
        keep_newest(std::move(m), now);
    }
    activate();
    return enqueue_result::accepted;
}

void stream::keep_newest(message_ptr m, wall_ns now) {
    newest_bytes_ += m->footprint();
    newest_.push_back({std::move(m), now, nullptr});
    while (newest_.size() > 1 && (newest_.size() > newest_count_max || newest_bytes_ > newest_bytes_max)) {
        newest_bytes_ -= newest_.front().msg->footprint();
        newest_.pop_front();
    }
}

void stream::wait(const durable_waiter& w) {
    waiters_.push_back({next_, w});
    activate();
}

void stream::flush() {
    owner_.check();
    const position ended = batches_.empty() ? readable_ : batches_.back().next;
    if (ended != next_) {
        batches_.push_back({last_end_, next_});
    }
    log_->flush();
}

bool stream::poll() {
    owner_.check();
    const bool any = log_->poll();
    note_durable();
    active_ = busy();
    return any;
}

void stream::note_durable() {
    const position before = readable_;
    while (!batches_.empty() && batches_.front().end <= log_->durable()) {
        last_batch_ = readable_;
        readable_ = batches_.front().next;
        batches_.pop_front();
    }
    while (!waiters_.empty() && waiters_.front().until <= readable_) {
        const durable_waiter w = waiters_.front().who;
        waiters_.pop_front();
        context_.on_durable(w);
    }
    if (readable_ == before) {
        return;
    }
    if (!order_.empty()) {
        context_.on_readable(*this);
    }
    if (log_->end() / log_->capabilities().segment_bytes != retained_segment_) {
        retain();
    }
}

// ---- Readers -----------------------------------------------------------------------------------

outcome<void> stream::read_arguments(const value_table& arguments, std::string_view resource, wall_ns now,
                                     attachment& into) {
    const value* offset = core::find(arguments, "x-stream-offset");
    const auto start = parse_stream_start(offset, now);
    if (!start) {
        return fail(make_error(error_kind::precondition_failed,
                               "invalid arg 'x-stream-offset' for {}: {{invalid_offset_arg,{}}}", resource,
                               erlang_term(*offset)));
    }
    if (const value* epoch = core::find(arguments, "x-stream-epoch")) {
        if (epoch->as_integer() == nullptr) {
            return fail(make_error(error_kind::precondition_failed,
                                   "invalid arg 'x-stream-epoch' for {}: \"expected integer, got {}\"", resource,
                                   rabbit_type_name(epoch->type)));
        }
        into.epoch = static_cast<std::uint64_t>(*epoch->as_integer());
    }
    auto filter = stream_filter::parse(arguments, resource);
    if (!filter) {
        return fail(filter.error());
    }
    into.start = *start;
    into.filter = std::move(*filter);
    return {};
}

stream::reader* stream::find(consumer_id id) noexcept {
    const auto slot = slot_of(id);
    return slot < readers_.size() && readers_[slot] != nullptr && readers_[slot]->id == id ? readers_[slot].get()
                                                                                           : nullptr;
}

consumer_id stream::attach(attachment a) {
    owner_.check();
    auto free_slot = std::ranges::find_if(readers_, [](const auto& r) { return r == nullptr; });
    if (free_slot == readers_.end()) {
        readers_.emplace_back();
        free_slot = readers_.end() - 1;
    }
    *free_slot = std::make_unique<reader>();
    reader& r = **free_slot;
    r.id = make_consumer_id(static_cast<std::uint32_t>(free_slot - readers_.begin()), next_generation_++);
    bool gap = false;
    r.next = begin_of(a, r.not_before, gap);
    r.a = std::move(a);
    r.under_way = remote_window - queue::remote_window_first;
    order_.push_back(&r);
    if (gap) {
        // Told by the next pump, when whoever attaches knows the reader's id.
        r.next = first_;
        r.lost_history = true;
    }
    return r.id;
}

position stream::next_of(consumer_id id) noexcept {
    const reader* r = find(id);
    return r == nullptr ? next_ : r->next;
}

void stream::detach(consumer_id id) {
    owner_.check();
    reader* r = find(id);
    if (r == nullptr) {
        return;
    }
    std::erase(order_, r);
    turn_ = 0;
    readers_[slot_of(id)].reset();
    if (order_.empty()) {
        newest_.clear();
        newest_.shrink_to_fit();
        newest_bytes_ = 0;
        chunks_.clear();
    }
}

void stream::set_prefetch(consumer_id id, std::uint32_t prefetch) {
    if (reader* r = find(id)) {
        r->a.prefetch = prefetch;
    }
}

void stream::add_credit(consumer_id id, std::uint32_t count) {
    if (reader* r = find(id)) {
        r->under_way -= std::min(count, r->under_way);
    }
}

void stream::settle(consumer_id id, std::uint32_t count) noexcept {
    counts_.ack += count;
    if (reader* r = find(id)) {
        r->in_flight -= std::min(count, r->in_flight);
    }
}

// ---- Figures -----------------------------------------------------------------------------------

queue_figures stream::figures() {
    if (window_ == nullptr) {
        window_ = std::make_unique<rate_window<message_counts>>();
    }
    queue_figures f;
    for (const reader* r : order_) {
        f.unacked += r->in_flight;
        f.consumers_active += can_take(*r) ? 1 : 0;
    }
    // What is lent stays: it is told apart only so that both together are what there is.
    f.unacked = std::min(f.unacked, message_count());
    f.ready = f.paged = message_count() - f.unacked;
    f.stored = message_count();
    f.consumers = order_.size();
    f.memory_bytes = sizeof(*this) + newest_bytes_;
    f.counts = counts_;
    f.counts.publish = next_ - began_at_;
    f.seen = window_->look(f.counts, context_.now(), context_.wall_now());
    return f;
}

std::vector<consumer_look> stream::consumers() const {
    std::vector<consumer_look> all;
    for (const reader* r : order_) {
        all.push_back({r->a.label, r->a.session, r->a.place, r->a.prefetch, r->a.no_ack, false, true, r->a.arguments});
    }
    return all;
}

// ---- The whole ---------------------------------------------------------------------------------

void stream::apply(const queue_spec& spec) {
    owner_.check();
    spec_ = spec;
    retain();
    watch_age();
}

std::uint64_t stream::shut_down() {
    owner_.check();
    stop();
    for (reader* r : std::exchange(order_, {})) {
        if (r->a.sink != nullptr) {
            context_.forget_local(*r->a.sink, self_, r->id);
            r->a.sink->on_cancelled(r->a.tag, cancel_reason::queue_deleted);
        } else {
            context_.cancel_remote(r->a.remote, cancel_reason::queue_deleted);
        }
    }
    return message_count();
}

std::vector<durable_waiter> stream::let_go() {
    std::vector<durable_waiter> all;
    for (const waiting& w : std::exchange(waiters_, {})) {
        all.push_back(w.who);
    }
    return all;
}

}  // namespace linnet::core
