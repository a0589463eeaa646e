#include "broker/store/log_file.hpp"

#include "broker/base/thread_owner.hpp"
#include "broker/store/batch_queue.hpp"
#include "broker/store/little_endian.hpp"
#include "broker/store/log_reads.hpp"
#include "broker/store/record_assembler.hpp"
#include "broker/store/recovery.hpp"
#include "broker/store/segment_chain.hpp"
#include "broker/store/segment_window.hpp"
#include "broker/store/store_cut.hpp"
#include "broker/store/sync_times.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include <unistd.h>

namespace linnet::store {
namespace {

// A batch is at most a quarter of its segment: small segments are for tests and small logs.
batch_queue::limits limits_for(const log_options& o, const segment_geometry& g) {
    constexpr std::uint32_t pad_from_max = 64 * 1024;
    const auto quarter = static_cast<std::uint32_t>(std::min<std::uint64_t>(g.bytes / 4, part_bytes_max));
    const std::uint32_t batch_bytes = std::max<std::uint32_t>(std::min(o.batch_bytes_max, quarter), 2 * disk::block) /
                                      disk::block * disk::block;
    return {.batch_bytes = batch_bytes, .pad_from = std::min(pad_from_max, batch_bytes / 4)};
}

// The log over files: batches go to the segments of a chain, reads come from both.
//
// One batch is under way for as long as what is appended meanwhile stays small: the next one is whatever came in
// during the write. Large ones go out side by side. There is no timer.
class file_log final : public core::durable_log {
public:
    file_log(std::unique_ptr<disk> d, const log_options& o, recovered_log&& found);
    ~file_log() override;

    appended append(std::uint8_t kind, std::uint8_t flags, parts payload) override;
    void flush() override;
    bool poll() override;
    [[nodiscard]] bool busy() const noexcept override;
    void tick(mono_ns now) override;
    void wake_through(int event_fd) override;

    [[nodiscard]] core::log_position end() const noexcept override { return batches_.end(); }
    [[nodiscard]] core::log_position durable() const noexcept override { return durable_; }
    [[nodiscard]] core::log_position begin() const noexcept override { return geometry_.first_of(chain_.oldest()); }

    void read(std::span<const core::record_range> which, core::log_reader& into) override;
    void read_on(core::log_position from, std::uint32_t bytes_max, core::log_reader& into) override;
    void scan(core::log_position from, const std::function<bool(const core::log_record&)>& f) override;
    void drop_before(core::log_position keep) override;

    [[nodiscard]] bool congested() const noexcept override {
        return batches_.bytes() > options_.congested_bytes || chain_.runs_short(batches_.end());
    }
    [[nodiscard]] core::log_health health() const noexcept override;
    [[nodiscard]] std::string complaint() const override;
    [[nodiscard]] core::log_capabilities capabilities() const noexcept override;
    [[nodiscard]] std::uint64_t epoch() const noexcept override { return epoch_; }
    void release_owner() const noexcept override { owner_.release(); }
    bool close() override;

    // Notes the opening, before anything else. Blocks, but not for room: then health() says that there is none.
    bool begin_epoch();

private:
    void append_own(own_kind kind, std::span<const std::uint8_t> payload);
    void append_epoch();
    void pump();
    bool write_next();
    std::size_t take_completions();
    void take(const completion& c);
    bool drain();
    void rest();
    void ring() const;
    void watch_cut();
    void look_at_cut();
    void note_cut();
    [[nodiscard]] bool failed() const noexcept { return !failure_.empty() || !chain_.failure().empty(); }

    // Constant after construction.
    const log_options options_;
    const segment_geometry geometry_;
    const std::uint64_t epoch_;
    int wake_fd_ = -1;  // borrowed

    segment_chain chain_;
    batch_queue batches_;
    log_reads reads_;
    core::log_position durable_;
    core::log_position marked_at_ = 0;  // end() behind the last mark
    bool epoch_noted_ = false;
    bool flush_wanted_ = false;
    bool closed_ = false;
    std::string failure_;
    std::uint64_t cut_seen_ = 0;
    core::log_position cut_at_ = 0;  // 0: it has been noted
    thread_owner owner_;
    // Last, so that it goes first: it borrows buffers from those above.
    std::unique_ptr<disk> disk_;
};

batch_queue::start start_of(const recovered_log& found) {
    return {.at = found.end,
            .block = found.block,
            .last_commit = found.last_commit,
            .next_index = found.last_index + 1,
            .epoch = found.last_epoch + 1};
}

file_log::file_log(std::unique_ptr<disk> d, const log_options& o, recovered_log&& found)
    : options_{o},
      geometry_{found.geometry},
      epoch_{found.last_epoch + 1},
      chain_{*d,
             geometry_,
             {.store_id = o.store_id, .log_number = o.log_number, .epoch = epoch_},
             std::move(found.segments),
             std::move(found.spares)},
      batches_{geometry_, limits_for(o, geometry_), start_of(found),
               [this](std::uint64_t number) -> segment& { return chain_.want(number); }},
      reads_{*d, geometry_, chain_, batches_},
      durable_{found.end},
      disk_{std::move(d)} {
    if (options_.cut != nullptr)
        options_.cut->enter(this);
}

file_log::~file_log() {
    if (options_.cut == nullptr)
        return;
    // Without it the others' parts would be waited for in vain. What will never be durable is no part of it.
    watch_cut();
    cut_at_ = std::min(cut_at_, durable_);
    note_cut();
    options_.cut->leave(this);
}

// ---- Writing -----------------------------------------------------------------------------------

file_log::appended file_log::append(std::uint8_t kind, std::uint8_t flags, parts payload) {
    owner_.check();
    LINNET_DEBUG_ASSERT(kind != 0 && (flags & ~stored_flags::callers) == 0 && !closed_, "kind {}, flags {}", kind,
                        flags);
    if (!epoch_noted_) [[unlikely]]
        append_epoch();
    watch_cut();
    return batches_.append(kind, flags, payload);
}

void file_log::append_own(own_kind kind, std::span<const std::uint8_t> payload) {
    const std::array one{payload};
    batches_.append(static_cast<std::uint8_t>(kind), stored_flags::own, one);
}

void file_log::append_epoch() {
    epoch_noted_ = true;
    std::array<std::uint8_t, epoch_payload_bytes> payload{};
    store(payload.data(), epoch_);
    append_own(own_kind::epoch, payload);
}

void file_log::flush() {
    owner_.check();
    if (durable_ == batches_.end())
        return;
    flush_wanted_ = true;
    pump();
    disk_->submit();
}

void file_log::pump() {
    if (failed())
        return;
    chain_.advance(batches_.end());
    for (;;) {
        if (write_next())
            continue;
        // All that is closed is under way, or must wait. The open batch joins it when the disk has nothing to do,
        // or when it is worth a write of its own beside the others.
        const bool may_close = batches_.next_to_write() == nullptr && batches_.has_open() && flush_wanted_;
        if (!may_close || (batches_.writing() != 0 && !(batches_.open_is_large() && !batches_.open().shares_block())))
            break;
        flush_wanted_ = false;
        batches_.close();
    }
    chain_.advance(batches_.end());
}

bool file_log::write_next() {
    batch* const b = batches_.next_to_write();
    if (b == nullptr || !b->home->ready || batches_.writing() >= options_.writes_max)
        return false;
    // The batch before ends in the same block: no two writes of it together.
    if (b->shares_block() && batches_.writing() != 0)
        return false;
    if (options_.syncs != nullptr)
        b->begun = options_.syncs->now();
    const auto bytes = batches_.begin_write(*b, durable_);
    disk_->write(b->home->file, b->base, bytes, b->id);
    return true;
}

bool file_log::poll() {
    owner_.check();
    watch_cut();
    // Most turns of a broker find nothing to do here, and should not pay for asking the disk.
    if (durable_ == batches_.end() && !busy() && cut_at_ == 0)
        return false;
    bool any = take_completions() > 0;
    note_cut();
    pump();
    any = reads_.run(begin(), durable_) || any;
    if (chain_.dropping()) {
        chain_.drop_one();
        if (chain_.dropping())
            ring();
    }
    disk_->submit();
    return any;
}

std::size_t file_log::take_completions() {
    std::array<completion, 32> some;
    std::size_t total = 0;
    for (std::size_t n = disk_->poll(some); n > 0; n = disk_->poll(some)) {
        for (std::size_t i = 0; i < n; ++i)
            take(some[i]);
        total += n;
    }
    // After a failure nothing is believed any more, not even what was well before it.
    if (total > 0 && !failed()) {
        durable_ = std::max(durable_, batches_.release_written());
        chain_.seal_below(geometry_.number(durable_));
    }
    return total;
}

void file_log::take(const completion& c) {
    if (c.tag == segment_chain::header_tag)
        return chain_.on_header_written(c.error);
    if (c.tag == segment_chain::prepare_tag)
        return chain_.on_prepared(c.error);
    if ((c.tag & log_reads::tag_bit) != 0)
        return reads_.on_read(c.tag, c.error);
    if (c.error == 0) {
        const auto begun = batches_.written(c.tag).begun;
        if (options_.syncs != nullptr)
            options_.syncs->add(options_.syncs->now() - begun);
    } else if (failure_.empty())
        failure_ = to_text(
            disk_error{c.error, fmt::format("write to log {} behind position {}", options_.log_number, durable_)});
}

bool file_log::busy() const noexcept {
    return batches_.writing() != 0 || chain_.busy() || chain_.dropping() || !reads_.empty();
}

void file_log::tick(mono_ns /*now*/) {
    owner_.check();
    watch_cut();
    if (durable_ == batches_.end() && !failed())
        rest();
    note_cut();
    if (reads_.retry())
        ring();
    if (!chain_.blocked())
        return;
    chain_.retry();
    pump();
    disk_->submit();
}

// Nothing is under way. What the last commits could not know yet, that they are durable themselves, is said by one
// more: damage to them can then be told from a torn end.
void file_log::rest() {
    if (durable_ == marked_at_) {
        batches_.trim();
        return;
    }
    append_own(own_kind::mark, {});
    flush();
    marked_at_ = batches_.end();  // behind the commit, which the flush has made
}

void file_log::wake_through(int event_fd) {
    wake_fd_ = event_fd;
    disk_->wake_through(event_fd);
}

void file_log::ring() const {
    if (wake_fd_ < 0)
        return;
    // It can fail only by being at its maximum: then the shard is woken anyway.
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

// ---- Reading -----------------------------------------------------------------------------------

void file_log::read(std::span<const core::record_range> which, core::log_reader& into) {
    owner_.check();
    reads_.add(which, into);
    ring();
}

void file_log::read_on(core::log_position from, std::uint32_t bytes_max, core::log_reader& into) {
    owner_.check();
    reads_.add(from, bytes_max, into);
    ring();
}

void file_log::scan(core::log_position from, const std::function<bool(const core::log_record&)>& f) {
    owner_.check();
    segment_window window{*disk_, geometry_.bytes, part_bytes_max, segment_window::ahead::no};
    record_assembler assembler;
    core::log_position at = std::max(from, begin());
    const segment* s = chain_.find(geometry_.number(at));
    if (s == nullptr)
        return;
    const auto offset = std::max<std::uint32_t>(geometry_.offset(at), segment_header_bytes);
    const auto mark = mark_before(*s, geometry_, offset);
    at = mark ? geometry_.at(s->number, *mark) : geometry_.first_of(s->number + 1);
    std::uint64_t entered = 0;
    while (at < durable_) {
        s = chain_.find(geometry_.number(at));
        if (std::exchange(entered, s->number) != s->number)
            window.enter(s->file);
        const std::uint32_t here = geometry_.offset(at);
        const std::uint32_t bytes = claimed_bytes(window.from(here, record_header_bytes));
        const auto r = record_in(*s, geometry_, here, window.from(here, bytes));
        if (!r) {
            assembler.reset();
            at = geometry_.behind(s->number, here + record_alignment);
            continue;
        }
        const auto whole = assembler.feed(at, *r);
        if (whole && whole->at >= from && !f(*whole))
            return;
        at = position_behind(*s, geometry_, here, *r);
    }
}

void file_log::drop_before(core::log_position keep) {
    owner_.check();
    if (chain_.empty())
        return;
    chain_.drop_below(geometry_.number(std::min(keep, durable_)));
    if (chain_.dropping())
        ring();
}

// ---- Backups -----------------------------------------------------------------------------------

void file_log::watch_cut() {
    if (options_.cut != nullptr && options_.cut->wanted() != cut_seen_) [[unlikely]]
        look_at_cut();
}

void file_log::look_at_cut() {
    cut_seen_ = options_.cut->wanted();
    cut_at_ = cut_seen_ == 0 ? 0 : batches_.end();
    chain_.hold(cut_seen_ != 0);
    if (chain_.dropping())
        ring();
}

void file_log::note_cut() {
    if (cut_at_ == 0 || durable_ < cut_at_)
        return;
    log_cut c{.folder = options_.folder,
              .log_number = options_.log_number,
              .segment_bytes = geometry_.bytes,
              .end = std::exchange(cut_at_, 0)};
    if (!chain_.empty()) {
        c.first = chain_.first();
        // The next segment may not be there yet, and then holds nothing.
        const segment* const s = chain_.find(geometry_.number(c.end));
        c.last = geometry_.number(c.end) - (s != nullptr && s->ready ? 0 : 1);
    }
    options_.cut->note(this, cut_seen_, std::move(c));
}

// ---- State -------------------------------------------------------------------------------------

core::log_health file_log::health() const noexcept {
    if (failed())
        return core::log_health::failed;
    return chain_.full() ? core::log_health::full : core::log_health::good;
}

std::string file_log::complaint() const {
    if (!failure_.empty())
        return failure_;
    if (!chain_.failure().empty())
        return chain_.failure();
    if (chain_.full())
        return fmt::format("log {}: no space for another segment of {} bytes", options_.log_number, geometry_.bytes);
    if (reads_.damaged() != 0)
        return fmt::format("log {}: {} damaged records met, the latest in {} at offset {}", options_.log_number,
                           reads_.damaged(), segment_name(options_.log_number, geometry_.number(reads_.damaged_at())),
                           geometry_.offset(reads_.damaged_at()));
    return {};
}

core::log_capabilities file_log::capabilities() const noexcept {
    return {.what = core::survives::power,
            .replicated = false,
            .record_bytes_max = record_payload_max,
            .segment_bytes = geometry_.bytes};
}

// ---- Opening and closing -----------------------------------------------------------------------

bool file_log::drain() {
    bool retried = false;
    while (!failed() && durable_ != batches_.end()) {
        flush_wanted_ = true;
        pump();
        if (failed())
            break;
        if (batches_.writing() != 0 || chain_.busy()) {
            disk_->wait();
            take_completions();
            continue;
        }
        // Nothing is under way and not all is written: there is no room.
        if (std::exchange(retried, true))
            return false;
        chain_.retry();
    }
    return !failed();
}

bool file_log::begin_epoch() {
    marked_at_ = batches_.end();
    if (chain_.empty())
        return true;  // with the first record: a log that is not used takes no space
    append_epoch();
    // On a full disk it waits with whatever comes next: consumers must be able to make room.
    if (drain())
        marked_at_ = batches_.end();
    owner_.release();
    return !failed();
}

bool file_log::close() {
    owner_.check();
    if (std::exchange(closed_, true) || chain_.empty())
        return !failed();
    if (!drain())
        return false;
    append_own(own_kind::clean_end, {});
    return drain();
}

}  // namespace

result<opened_log, std::string> open_log(std::unique_ptr<disk> d, const log_options& options,
                                         const std::function<void(const core::log_record&)>& visit,
                                         const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    auto found = recover(*d, options, visit, progress);
    if (!found)
        return fail(std::move(found.error()));
    recovery_report report = std::move(found->report);
    auto log = std::make_unique<file_log>(std::move(d), options, std::move(*found));
    if (!log->begin_epoch())
        return fail(fmt::format("cannot write to the log: {}", log->complaint()));
    return opened_log{.log = std::move(log), .report = std::move(report)};
}

}  // namespace linnet::store
