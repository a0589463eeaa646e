#include "broker/store/recovery.hpp"

#include "broker/store/aligned_buffer.hpp"
#include "broker/store/crc32c.hpp"
#include "broker/store/little_endian.hpp"
#include "broker/store/record.hpp"
#include "broker/store/record_assembler.hpp"
#include "broker/store/segment_window.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

namespace linnet::store {
namespace {

constexpr std::uint32_t block = disk::block;
// What a gap takes at least; no record is smaller.
constexpr std::uint32_t gap_bytes = record_bytes(0);
using words = std::string;

std::uint64_t down_to_block(std::uint64_t offset) noexcept { return offset / block * block; }

class recovery {
public:
    using visitor = std::function<void(const core::log_record&)>;
    using observer = std::function<void(std::uint64_t, std::uint64_t)>;

    recovery(disk& d, const log_options& o, const visitor& visit, const observer& progress)
        : disk_{d}, options_{o}, visit_{visit}, progress_{progress} {}

    result<recovered_log, words> run() {
        out_.geometry.bytes = options_.segment_bytes;
        if (auto done = gather(); !done)
            return fail(std::move(done.error()));
        if (out_.segments.empty()) {
            out_.end = out_.geometry.first_of(1);
            out_.report.clean = true;  // nothing was ever begun
            return std::move(out_);
        }
        window_.emplace(disk_, out_.geometry.bytes, part_bytes_max, segment_window::ahead::yes);
        if (auto done = walk(); !done)
            return fail(std::move(done.error()));
        if (auto done = mend(); !done)
            return fail(std::move(done.error()));
        return std::move(out_);
    }

private:
    using outcome = result<void, words>;
    // A record that belongs to a group of which more is to come.
    struct held_record {
        core::log_record r;
        std::vector<std::uint8_t> payload;
    };
    // Bytes of a segment that are to be left out for good; `to` 0: the rest of it.
    struct hole {
        std::size_t segment = 0;
        std::uint32_t from = 0;
        std::uint32_t to = 0;
    };
    // Where the walk is.
    struct place {
        std::size_t segment = 0;  // index into out_.segments
        std::uint32_t offset = segment_header_bytes;
    };

    // ---- The folder ----------------------------------------------------------------------------
    outcome gather();
    outcome add_segment(std::uint64_t number, const words& name);
    outcome check(const segment_header& h, std::uint64_t number, std::uint64_t size) const;
    outcome add_spare(const words& name);

    // ---- The walk ------------------------------------------------------------------------------
    outcome walk();
    [[nodiscard]] std::optional<stored_record> record_at(const place& p);
    outcome take(const place& p, const stored_record& r);
    void take_record(const core::log_record& r);
    void let_go_of_group();
    [[nodiscard]] words chain_fault(const commit& c) const;
    outcome take_commit(const place& p, const stored_record& r, const commit& c);
    // True: the walk goes on at `p`, which has moved. False: the log ends there.
    result<bool, words> pass_damage(place& p);
    [[nodiscard]] core::log_position stated_durable_behind(const place& p);
    void sweep(const segment& s, std::uint32_t from, core::log_position& durable);
    [[nodiscard]] std::optional<std::uint32_t> next_record(const place& p);

    // ---- Mending -------------------------------------------------------------------------------
    outcome mend();
    outcome make_certain();
    outcome close_hole(const hole& h);
    outcome write_gap(const segment& s, std::uint32_t at, std::uint16_t skip);
    outcome drop_behind(std::uint64_t number);
    outcome clear_behind();
    outcome leave_full_segment();
    [[nodiscard]] std::uint32_t last_used_byte(const segment& s, std::uint32_t from);

    [[nodiscard]] core::log_position position(const place& p) const {
        return out_.geometry.at(out_.segments[p.segment].number, p.offset);
    }
    [[nodiscard]] words name(const segment& s) const { return segment_name(options_.log_number, s.number); }
    [[nodiscard]] words where(const place& p) const {
        return fmt::format("{} at offset {}", name(out_.segments[p.segment]), p.offset);
    }
    void note_damage(const place& p, words what) {
        out_.report.skipped.push_back({.at = position(p),
                                       .segment = name(out_.segments[p.segment]),
                                       .offset = p.offset,
                                       .what = std::move(what)});
    }
    void report_progress(std::uint64_t segments) const {
        if (progress_)
            progress_(segments * out_.geometry.bytes, out_.segments.size() * out_.geometry.bytes);
    }

    disk& disk_;
    const log_options& options_;
    const visitor& visit_;
    const observer& progress_;
    recovered_log out_;
    std::optional<segment_window> window_;

    record_assembler assembler_;
    std::vector<held_record> group_;
    std::uint32_t batch_count_ = 0;
    std::uint32_t batch_crcs_ = 0;
    bool chain_known_ = false;              // a commit has been seen, and nothing been left out since
    bool batch_closes_ = false;             // the batch that is being read holds a clean end
    bool ended_clean_ = false;              // the last commit seen was of such a batch
    core::log_position known_durable_ = 0;  // by the last commit
    std::optional<core::log_position> stated_durable_;
    core::log_position swept_end_ = 0;  // of the last commit behind the first damage
    std::vector<hole> holes_;
};

// ---- The folder --------------------------------------------------------------------------------

recovery::outcome recovery::gather() {
    const auto names = disk_.list();
    if (!names)
        return fail(to_text(names.error()));
    std::map<std::uint64_t, words> found;
    for (const words& one : *names) {
        if (const auto number = number_of_segment(one, options_.log_number))
            found.emplace(*number, one);
        else if (number_of_spare(one, options_.log_number))
            if (auto done = add_spare(one); !done)
                return done;
    }
    for (const auto& [number, one] : found)
        if (auto done = add_segment(number, one); !done)
            return done;
    return {};
}

// A spare is there to save work. One that does not fit is removed.
recovery::outcome recovery::add_spare(const words& name) {
    const auto file = disk_.open(name);
    if (!file)
        return fail(to_text(file.error()));
    const auto size = disk_.size(*file);
    if (!size)
        return fail(to_text(size.error()));
    if (*size == options_.segment_bytes && out_.spares.size() < segment_chain::spares_max) {
        out_.spares.push_back({.name = name, .file = *file});
        return {};
    }
    disk_.close(*file);
    if (const auto removed = disk_.remove(name); !removed)
        return fail(to_text(removed.error()));
    return {};
}

recovery::outcome recovery::add_segment(std::uint64_t number, const words& name) {
    if (!out_.segments.empty() && number != out_.segments.back().number + 1)
        return fail(fmt::format("{} is missing: {} is followed by {}",
                                segment_name(options_.log_number, out_.segments.back().number + 1),
                                segment_name(options_.log_number, out_.segments.back().number), name));
    const auto file = disk_.open(name);
    if (!file)
        return fail(to_text(file.error()));
    const auto size = disk_.size(*file);
    if (!size)
        return fail(to_text(size.error()));
    if (*size < segment_header_bytes)
        return fail(fmt::format("{} is cut short: {} bytes are no segment", name, *size));
    aligned_buffer header{segment_header_bytes};
    if (const auto read = disk_.read_now(*file, 0, header.first(segment_header_bytes)); !read)
        return fail(fmt::format("{}: {}", name, to_text(read.error())));
    const auto h = decode_segment_header(std::as_const(header).first(segment_header_bytes));
    if (!h)
        return fail(fmt::format("{}: {}", name, h.error()));
    if (auto fits = check(*h, number, *size); !fits)
        return fail(fmt::format("{} {}", name, fits.error()));
    if (!out_.segments.empty())
        disk_.seal(out_.segments.back().file);
    out_.geometry.bytes = h->bytes;
    out_.last_epoch = std::max(out_.last_epoch, h->epoch);
    out_.segments.push_back(
        {.number = number, .epoch = h->epoch, .seed = segment_seed(*h), .file = *file, .ready = true, .marks = {}});
    return {};
}

recovery::outcome recovery::check(const segment_header& h, std::uint64_t number, std::uint64_t size) const {
    if (h.major != format_major)
        return fail(fmt::format("is of format {}.{}: this version reads format {}", h.major, h.minor, format_major));
    if (h.store_id != options_.store_id)
        return fail(fmt::format("belongs to the store {:016x}, not to {:016x}", h.store_id, options_.store_id));
    if (h.log_number != options_.log_number)
        return fail(fmt::format("belongs to log {}", h.log_number));
    if (h.number != number)
        return fail(fmt::format("holds segment {:016x}", h.number));
    if (h.bytes < min_segment_bytes || h.bytes % block != 0)
        return fail(fmt::format("states a size of {} bytes", h.bytes));
    if (!out_.segments.empty() && h.bytes != out_.geometry.bytes)
        return fail(fmt::format("states {} bytes, those before it {}", h.bytes, out_.geometry.bytes));
    if (size != h.bytes)
        return fail(fmt::format("is cut short: {} of {} bytes", size, h.bytes));
    return {};
}

// ---- The walk ----------------------------------------------------------------------------------

recovery::outcome recovery::walk() {
    place p;
    const auto enter = [&](std::size_t segment) {
        report_progress(segment);
        p = {.segment = segment};
        window_->enter(out_.segments[segment].file);
    };
    enter(0);
    for (;;) {
        const segment& s = out_.segments[p.segment];
        // A segment may be filled to its last byte; then nothing says that it ends.
        bool segment_ended = p.offset + gap_bytes > out_.geometry.bytes;
        if (const auto r = segment_ended ? std::nullopt : record_at(p)) {
            if (auto taken = take(p, *r); !taken)
                return taken;
            note_record(out_.segments[p.segment], out_.geometry, p.offset);
            segment_ended = r->last_of_segment();
            p.offset += segment_ended ? 0 : static_cast<std::uint32_t>(r->stride());
        } else if (!segment_ended) {
            const std::size_t before = p.segment;
            const auto goes_on = pass_damage(p);
            if (!goes_on)
                return fail(goes_on.error());
            if (!*goes_on)
                break;
            segment_ended = p.segment != before;
            p.segment = before;
        }
        if (!segment_ended)
            continue;
        if (p.segment + 1 == out_.segments.size()) {
            out_.end = out_.geometry.first_of(s.number + 1);
            report_progress(out_.segments.size());
            return {};
        }
        enter(p.segment + 1);
    }
    out_.end = position(p);
    report_progress(out_.segments.size());
    return {};
}

std::optional<stored_record> recovery::record_at(const place& p) {
    const auto header = window_->from(p.offset, record_header_bytes);
    const std::uint32_t bytes = claimed_bytes(header);
    if (bytes == 0)
        return std::nullopt;
    return record_in(out_.segments[p.segment], out_.geometry, p.offset, window_->from(p.offset, bytes));
}

recovery::outcome recovery::take(const place& p, const stored_record& r) {
    if (const auto c = decode_commit(r))
        return take_commit(p, r, *c);
    ++batch_count_;
    std::array<std::uint8_t, sizeof r.crc> link{};
    store(link.data(), r.crc);
    batch_crcs_ = crc32c(batch_crcs_, link);
    if (!r.own()) {
        if (const auto whole = assembler_.feed(position(p), r))
            take_record(*whole);
        return {};
    }
    if (const auto epoch = decode_epoch(r)) {
        // What an earlier opening had begun and not finished is never finished.
        assembler_.reset();
        group_.clear();
        // Nor does it count for the first commit of the new epoch.
        chain_known_ = false;
        out_.last_epoch = std::max(out_.last_epoch, *epoch);
    }
    if (r.is(own_kind::gap)) {
        assembler_.reset();
        chain_known_ = false;
    }
    batch_closes_ = r.is(own_kind::clean_end);
    return {};
}

void recovery::take_record(const core::log_record& r) {
    if ((r.flags & core::record_flags::more) != 0) {
        group_.push_back({.r = r, .payload = {r.payload.begin(), r.payload.end()}});
        return;
    }
    let_go_of_group();
    ++out_.report.records;
    out_.report.bytes += r.bytes;
    visit_(r);
}

void recovery::let_go_of_group() {
    for (held_record& h : group_) {
        h.r.payload = h.payload;
        ++out_.report.records;
        out_.report.bytes += h.r.bytes;
        visit_(h.r);
    }
    group_.clear();
}

words recovery::chain_fault(const commit& c) const {
    if (!chain_known_)
        return {};
    if (c.previous != out_.last_commit || c.index != out_.last_index + 1)
        return fmt::format("commit {} does not follow commit {}", c.index, out_.last_index);
    if (c.count != batch_count_ || c.crc != batch_crcs_)
        return fmt::format("commit {} counts {} records, and {} lie before it", c.index, c.count, batch_count_);
    return {};
}

recovery::outcome recovery::take_commit(const place& p, const stored_record& r, const commit& c) {
    if (words fault = chain_fault(c); !fault.empty()) {
        if (!options_.salvage)
            return fail(fmt::format("{}: {}: older bytes stand where newer ones had been stored", where(p), fault));
        note_damage(p, std::move(fault));
        // What it says of the chain is given up: the next opening shall not stumble over it.
        const std::uint32_t behind = r.last_of_segment() ? 0 : p.offset + static_cast<std::uint32_t>(r.stride());
        holes_.push_back({.segment = p.segment, .from = p.offset, .to = behind});
    }
    chain_known_ = true;
    batch_count_ = 0;
    batch_crcs_ = 0;
    ended_clean_ = std::exchange(batch_closes_, false);
    out_.last_commit = position(p);
    known_durable_ = c.durable;
    out_.last_index = c.index;
    out_.last_epoch = std::max(out_.last_epoch, c.epoch);
    return {};
}

result<bool, words> recovery::pass_damage(place& p) {
    if (!stated_durable_)
        stated_durable_ = stated_durable_behind(p);
    if (window_->error() && (!options_.salvage || lacks_means(window_->error()->code)))
        return fail(fmt::format("{}: {}", where(p), to_text(*window_->error())));
    if (position(p) >= *stated_durable_)
        return false;
    if (!options_.salvage)
        return fail(
            fmt::format("{}: damaged within what had been stored (up to position {})", where(p), *stated_durable_));
    window_->enter(out_.segments[p.segment].file);
    const auto next = next_record(p);
    note_damage(p, next ? fmt::format("{} bytes are damaged", *next - p.offset)
                        : words{"the rest of the segment is damaged"});
    holes_.push_back({.segment = p.segment, .from = p.offset, .to = next.value_or(0)});
    assembler_.reset();
    chain_known_ = false;
    batch_closes_ = false;
    if (next)
        p.offset = *next;
    else
        ++p.segment;
    return true;
}

// What the commits behind that place say to have been on stable storage when they were written.
core::log_position recovery::stated_durable_behind(const place& p) {
    core::log_position durable = 0;
    // Behind a clean end its segment holds nothing: a start need not read it all.
    const bool clean = ended_clean_ && batch_count_ == 0;
    for (std::size_t i = p.segment + (clean ? 1 : 0); i < out_.segments.size(); ++i)
        sweep(out_.segments[i], i == p.segment ? p.offset : segment_header_bytes, durable);
    window_->enter(out_.segments[p.segment].file);
    return durable;
}

void recovery::sweep(const segment& s, std::uint32_t from, core::log_position& durable) {
    window_->enter(s.file);
    for (std::uint64_t at = from; at + commit_bytes <= out_.geometry.bytes; at += record_alignment) {
        const auto bytes = window_->from(at, commit_bytes);
        if (claimed_bytes(bytes) != commit_bytes)
            continue;
        const auto r = parse_record(bytes.first(commit_bytes), s.seed + static_cast<std::uint32_t>(at));
        if (!r)
            continue;
        const auto c = decode_commit(*r);
        if (!c)
            continue;
        durable = std::max(durable, c->durable);
        swept_end_ = out_.geometry.at(s.number, at + commit_bytes);
    }
}

std::optional<std::uint32_t> recovery::next_record(const place& p) {
    place at = p;
    for (at.offset += gap_bytes; at.offset + record_header_bytes <= out_.geometry.bytes; at.offset += record_alignment)
        if (record_at(at))
            return at.offset;
    return std::nullopt;
}

// ---- Mending -----------------------------------------------------------------------------------

recovery::outcome recovery::mend() {
    window_->enter(out_.segments.back().file);  // what it reads ahead may be of a file that is dropped
    for (const hole& h : holes_)
        if (auto done = close_hole(h); !done)
            return done;
    const core::log_position found_end = out_.end;
    if (!group_.empty())
        out_.end = std::min(out_.end, group_.front().r.at);
    if (assembler_.unfinished() != 0)
        out_.end = std::min(out_.end, assembler_.unfinished());
    if (auto done = make_certain(); !done)
        return done;
    out_.report.clean = ended_clean_ && batch_count_ == 0 && out_.end == found_end;
    out_.report.cut_bytes = std::max(found_end, swept_end_) - out_.end;
    if (auto done = drop_behind(out_.geometry.number(out_.end)); !done)
        return done;
    if (auto done = clear_behind(); !done)
        return done;
    return leave_full_segment();
}

// What a process that was killed had written and not synced has been read, and will be built upon: a crash of the
// machine must not take it back.
recovery::outcome recovery::make_certain() {
    for (const segment& s : out_.segments) {
        if (s.number < out_.geometry.number(known_durable_))
            continue;
        if (const auto synced = disk_.sync_now(s.file); !synced)
            return fail(fmt::format("{}: {}", name(s), to_text(synced.error())));
    }
    if (const auto synced = disk_.sync_folder(); !synced)
        return fail(to_text(synced.error()));
    return {};
}

// Where not even two commits fit any more, as holes may leave it, nothing can be appended.
recovery::outcome recovery::leave_full_segment() {
    const segment& s = out_.segments.back();
    const std::uint32_t end = out_.geometry.offset(out_.end);
    if (out_.geometry.number(out_.end) != s.number || end + 2 * commit_bytes <= out_.geometry.bytes)
        return {};
    out_.end = out_.geometry.first_of(s.number + 1);
    out_.block.clear();
    return write_gap(s, end, skip_to_next_segment);
}

recovery::outcome recovery::close_hole(const hole& h) {
    const segment& s = out_.segments[h.segment];
    if (h.to == 0)
        return write_gap(s, h.from, skip_to_next_segment);
    std::uint32_t at = h.from;
    while (at < h.to) {
        // What remains must have room for another gap, or be nothing.
        constexpr std::uint32_t gap_skip_max = skip_to_next_segment - 3U;
        constexpr std::uint32_t least = gap_bytes / record_alignment;
        const std::uint32_t units = (h.to - at) / record_alignment - least;
        const std::uint32_t skip = units <= gap_skip_max ? units : gap_skip_max - least;
        if (auto done = write_gap(s, at, static_cast<std::uint16_t>(skip)); !done)
            return done;
        at += gap_bytes + skip * record_alignment;
    }
    return {};
}

recovery::outcome recovery::write_gap(const segment& s, std::uint32_t at, std::uint16_t skip) {
    const std::uint64_t base = down_to_block(at);
    const std::uint64_t end = std::min<std::uint64_t>(base + 2 * block, out_.geometry.bytes);
    aligned_buffer bytes{2 * block};
    const auto blocks = bytes.first(end - base);
    // Unreadable ones are written anew as zeros, which is what they count for.
    const auto read = disk_.read_now(s.file, base, blocks);
    if (!read && lacks_means(read.error().code))
        return fail(fmt::format("{}: {}", name(s), to_text(read.error())));
    if (!read)
        std::fill(blocks.begin(), blocks.end(), std::uint8_t{0});
    seal_record(
        bytes.data() + (at - base),
        {.length = 0, .kind = static_cast<std::uint8_t>(own_kind::gap), .flags = stored_flags::own, .skip = skip},
        s.seed + at);
    if (const auto written = disk_.write_now(s.file, base, blocks); !written)
        return fail(fmt::format("{}: {}", name(s), to_text(written.error())));
    return {};
}

// Newest first, each made durable, so that no crash leaves a gap in the row.
recovery::outcome recovery::drop_behind(std::uint64_t number) {
    std::uint64_t next_spare = 0;
    for (const auto& s : out_.spares)
        next_spare = std::max(next_spare, number_of_spare(s.name, options_.log_number).value_or(0) + 1);
    while (!out_.segments.empty() && out_.segments.back().number > number) {
        const segment& s = out_.segments.back();
        disk_result<void> gone;
        if (out_.spares.size() < segment_chain::spares_max) {
            out_.spares.push_back({.name = spare_name(options_.log_number, next_spare++), .file = s.file});
            gone = disk_.rename(name(s), out_.spares.back().name);
        } else {
            disk_.close(s.file);
            gone = disk_.remove(name(s));
        }
        if (gone)
            gone = disk_.sync_folder();
        if (!gone)
            return fail(to_text(gone.error()));
        out_.segments.pop_back();
    }
    return {};
}

// Nothing that lies behind the end may ever be taken for a record again. After a clean end nothing does.
recovery::outcome recovery::clear_behind() {
    segment& s = out_.segments.back();
    if (out_.geometry.number(out_.end) != s.number)
        return {};
    const std::uint32_t end = out_.geometry.offset(out_.end);
    const auto base = static_cast<std::uint32_t>(down_to_block(end));
    forget_records(s, out_.geometry, end);
    window_->enter(s.file);
    const auto before = window_->from(base, end - base).first(end - base);
    out_.block.assign(before.begin(), before.end());
    const std::uint32_t dirty = out_.report.clean ? 0 : last_used_byte(s, end);
    // What cannot be read now looks like zeros, and would be written back as such over records that are good.
    // (Salvage has met errors before, and keeps what is left of the block.)
    if (window_->error() && !options_.salvage)
        return fail(fmt::format("{}: {}", name(s), to_text(*window_->error())));
    if (dirty == 0)
        return {};
    aligned_buffer zeros{std::min<std::uint64_t>(dirty - base, segment_window::window_bytes)};
    std::memset(zeros.data(), 0, zeros.size());
    std::copy(out_.block.begin(), out_.block.end(), zeros.data());
    for (std::uint64_t at = base; at < dirty; at += zeros.size()) {
        const auto piece = zeros.first(std::min<std::uint64_t>(zeros.size(), out_.geometry.bytes - at));
        if (const auto written = disk_.write_now(s.file, at, piece); !written)
            return fail(fmt::format("{}: {}", name(s), to_text(written.error())));
        std::fill_n(zeros.data(), out_.block.size(), std::uint8_t{0});
    }
    return {};
}

// One behind it; 0: nothing but zeros from there on.
std::uint32_t recovery::last_used_byte(const segment& s, std::uint32_t from) {
    window_->enter(s.file);
    std::uint64_t last = 0;
    for (std::uint64_t at = from; at < out_.geometry.bytes;) {
        const auto bytes = window_->from(at, std::min<std::uint64_t>(block - at % block, out_.geometry.bytes - at));
        const auto used = std::find_if(bytes.rbegin(), bytes.rend(), [](std::uint8_t b) { return b != 0; });
        if (used != bytes.rend())
            last = at + static_cast<std::uint64_t>(bytes.rend() - used);
        at += bytes.size();
    }
    return static_cast<std::uint32_t>(last);
}

}  // namespace

result<recovered_log, std::string> recover(disk& d, const log_options& options,
                                           const std::function<void(const core::log_record&)>& visit,
                                           const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    return recovery{d, options, visit, progress}.run();
}

}  // namespace linnet::store
