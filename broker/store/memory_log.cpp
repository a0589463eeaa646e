#include "broker/store/memory_log.hpp"

#include "broker/store/log_file.hpp"
#include "broker/store/record.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <unistd.h>

namespace linnet::store {

memory_log::memory_log(std::uint64_t segment_bytes)
    : segment_bytes_{segment_bytes},
      begin_{segment_bytes + segment_header_bytes},
      end_{begin_},
      flushed_{begin_},
      durable_{begin_} {}

memory_log::appended memory_log::append(std::uint8_t kind, std::uint8_t flags, parts payload) {
    owner_.check();
    stored s{.at = end_, .kind = kind, .flags = flags, .size = 0, .bytes = {}};
    std::size_t bytes = 0;
    for (const auto& part : payload)
        bytes += part.size();
    s.bytes.reserve(bytes);
    for (const auto& part : payload)
        s.bytes.insert(s.bytes.end(), part.begin(), part.end());
    const auto size = static_cast<std::uint32_t>(record_bytes(bytes));
    s.size = size;
    records_.push_back(std::move(s));
    // A record begins and ends in the segments that its position says; the next one skips the header it meets.
    const core::log_position at = end_;
    end_ += size;
    if (end_ / segment_bytes_ != at / segment_bytes_)
        end_ = std::max(end_, end_ / segment_bytes_ * segment_bytes_ + segment_header_bytes);
    return {.at = at, .bytes = size};
}

void memory_log::flush() {
    owner_.check();
    if (flushed_ == end_)
        return;
    flushed_ = end_;
    wake();
}

bool memory_log::may_move() const noexcept {
    return !held_ && health_ != core::log_health::failed && durable_ != flushed_;
}

bool memory_log::poll() {
    owner_.check();
    const bool moved = may_move();
    if (moved)
        durable_ = flushed_;
    // Readers may ask for more, append and drop: what they add is served by the next poll().
    const std::vector<request> asked = std::exchange(asked_, {});
    for (const request& r : asked)
        serve(r);
    trim();
    return moved || !asked.empty();
}

bool memory_log::busy() const noexcept { return durable_ != flushed_ || !asked_.empty(); }

void memory_log::read(std::span<const core::record_range> which, core::log_reader& into) {
    owner_.check();
    request r{.into = &into, .which = {}};
    r.which.reserve(which.size());
    for (const core::record_range& one : which)
        r.which.push_back(one.at);
    asked_.push_back(std::move(r));
    wake();
}

void memory_log::read_on(core::log_position from, std::uint32_t bytes_max, core::log_reader& into) {
    owner_.check();
    asked_.push_back({.into = &into, .which = {}, .from = from, .until = from + bytes_max});
    wake();
}

void memory_log::serve(const request& r) {
    std::size_t index = 0;
    for (const core::log_position at : r.which) {
        const auto found = first_from(at);
        if (found != records_.end() && found->at == at)
            r.into->on_record(index, {found->at, found->kind, found->flags, found->bytes, found->size});
        else
            r.into->on_record(index, {at, 0, 0, {}});
        ++index;
    }
    const core::log_position until = std::min(r.until, durable_);
    // By position: `on_record` may append.
    for (core::log_position next = r.from; next < until;) {
        const auto found = first_from(next);
        if (found == records_.end() || found->at >= until)
            break;
        next = found->at + 1;
        r.into->on_record(index++, {found->at, found->kind, found->flags, found->bytes, found->size});
    }
    r.into->on_done();
}

void memory_log::scan(core::log_position from, const std::function<bool(const core::log_record&)>& f) {
    owner_.check();
    for (auto r = first_from(from); r != records_.end() && r->at < durable_; ++r)
        if (!f({r->at, r->kind, r->flags, r->bytes, r->size}))
            return;
}

void memory_log::drop_before(core::log_position keep) {
    owner_.check();
    const core::log_position segment = std::min(keep, durable_) / segment_bytes_ * segment_bytes_;
    begin_ = std::max(begin_, segment + segment_header_bytes);
    wake();  // poll() frees them: a reader may be looking at one right now
}

void memory_log::trim() {
    while (!records_.empty() && records_.front().at < begin_)
        records_.pop_front();
}

memory_log::records::const_iterator memory_log::first_from(core::log_position at) const {
    return std::lower_bound(records_.begin(), records_.end(), std::max(at, begin_),
                            [](const stored& s, core::log_position p) { return s.at < p; });
}

core::log_capabilities memory_log::capabilities() const noexcept {
    return {.what = core::survives::nothing,
            .replicated = false,
            .record_bytes_max = record_payload_max,
            .segment_bytes = segment_bytes_};
}

bool memory_log::close() {
    owner_.check();
    flush();
    if (may_move())
        durable_ = flushed_;
    return durable_ == end_;
}

void memory_log::release() {
    held_ = false;
    wake();
}

void memory_log::set_health(core::log_health h, std::string complaint) {
    health_ = h;
    complaint_ = std::move(complaint);
    wake();
}

void memory_log::damage(core::log_position at) {
    const auto found = first_from(at);
    if (found == records_.end() || found->at != at)
        return;
    stored& s = records_[static_cast<std::size_t>(found - records_.begin())];
    s.kind = 0;
    s.flags = 0;
    s.bytes.clear();
}

void memory_log::wake() const {
    if (wake_fd_ < 0)
        return;
    // It can fail only by being at its maximum: then the shard is woken anyway.
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

std::unique_ptr<core::durable_log> make_memory_log() { return std::make_unique<memory_log>(); }

}  // namespace linnet::store
