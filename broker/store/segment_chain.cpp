#include "broker/store/segment_chain.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>
#include <utility>

namespace linnet::store {

segment_chain::segment_chain(disk& d, const segment_geometry& g, const identity& who, std::deque<segment> segments,
                             std::vector<spare> spares)
    : disk_{d},
      geometry_{g},
      who_{who},
      segments_{std::move(segments)},
      spares_{std::move(spares)},
      keep_from_{segments_.empty() ? 1 : segments_.front().number},
      sealed_below_{keep_from_} {
    for (const spare& s : spares_)
        next_spare_ = std::max(next_spare_, number_of_spare(s.name, who_.log_number).value_or(0) + 1);
    if (!segments_.empty())
        seal_below(segments_.back().number);
}

const segment* segment_chain::find(std::uint64_t number) const noexcept {
    if (segments_.empty() || number < segments_.front().number)
        return nullptr;
    const std::uint64_t place = number - segments_.front().number;
    return place < segments_.size() ? &segments_[place] : nullptr;
}

segment* segment_chain::find(std::uint64_t number) noexcept {
    return const_cast<segment*>(std::as_const(*this).find(number));
}

segment& segment_chain::want(std::uint64_t number) {
    if (segment* const s = find(number))
        return *s;
    LINNET_ASSERT(segments_.empty() || number == segments_.back().number + 1, "segment {} out of order", number);
    segment s{.number = number, .epoch = who_.epoch, .seed = 0, .marks = {}};
    s.seed = segment_seed({.log_number = who_.log_number,
                           .store_id = who_.store_id,
                           .number = number,
                           .epoch = who_.epoch,
                           .bytes = geometry_.bytes});
    segments_.push_back(std::move(s));
    return segments_.back();
}

// They are put into service in order: only the last ones can be without.
segment* segment_chain::first_unready() noexcept {
    segment* first = nullptr;
    for (auto s = segments_.rbegin(); s != segments_.rend() && !s->ready; ++s)
        first = &*s;
    return first;
}

void segment_chain::advance(core::log_position end) {
    if (segments_.empty() || heading_ || naming_waits_ || !failure_.empty())
        return;
    const std::uint64_t newest = segments_.back().number;
    const bool half_used = end >= geometry_.at(newest, geometry_.bytes / 2);
    if (half_used && segments_.back().ready)
        want(newest + 1);
    segment* const s = first_unready();
    if (s != nullptr && !spares_.empty())
        head(*s);
    else if (s != nullptr || (newest > 1 && spares_.empty()))
        make_spare();
}

bool segment_chain::runs_short(core::log_position end) const noexcept {
    if (!preparing_ || !spares_.empty() || segments_.empty()) {
        return false;
    }
    const auto ready = std::find_if(segments_.rbegin(), segments_.rend(), [](const segment& s) { return s.ready; });
    return ready != segments_.rend() && end >= geometry_.at(ready->number, geometry_.bytes / 2);
}

void segment_chain::make_spare() {
    if (preparing_ || making_waits_)
        return;
    if (std::exchange(unopened_, false))
        return on_prepared(0);  // made already, and not yet opened
    preparing_name_ = spare_name(who_.log_number, next_spare_++);
    // The first segment is wanted at once: only later ones are filled with zeros.
    if (segments_.front().number == 1 && !segments_.front().ready) {
        const auto made = disk_.create(preparing_name_, geometry_.bytes);
        if (!made)
            return note(made.error(), making_waits_);
        spares_.push_back({.name = preparing_name_, .file = *made});
        full_ = false;
        return head(segments_.front());
    }
    preparing_ = true;
    disk_.prepare(preparing_name_, geometry_.bytes, prepare_tag);
}

void segment_chain::on_prepared(int error) {
    preparing_ = false;
    if (error != 0)
        return note({.code = error, .what = "prepare " + preparing_name_}, making_waits_);
    const auto file = disk_.open(preparing_name_);
    if (!file) {
        unopened_ = true;
        return note(file.error(), making_waits_);
    }
    // In front: the last one may be getting its header just now.
    spares_.insert(spares_.begin(), {.name = preparing_name_, .file = *file});
    full_ = false;
}

void segment_chain::note(const disk_error& e, bool& waits) {
    if (lacks_room(e.code) || lacks_means(e.code))
        full_ = waits = true;
    else
        note(e);
}

void segment_chain::note(const disk_error& e) {
    if (failure_.empty())
        failure_ = to_text(e);
}

void segment_chain::head(segment& s) {
    header_ = aligned_buffer{segment_header_bytes};
    encode_segment_header({.log_number = who_.log_number,
                           .store_id = who_.store_id,
                           .number = s.number,
                           .epoch = s.epoch,
                           .bytes = geometry_.bytes},
                          header_.first(segment_header_bytes));
    heading_ = true;
    heading_number_ = s.number;
    disk_.write(spares_.back().file, 0, header_.first(segment_header_bytes), header_tag);
}

void segment_chain::on_header_written(int error) {
    heading_ = false;
    header_ = {};
    if (error != 0)
        return note({.code = error, .what = "write the header of " + spares_.back().name}, naming_waits_);
    put_into_service();
}

void segment_chain::put_into_service() {
    segment* const s = find(heading_number_);
    LINNET_ASSERT(s != nullptr && !s->ready, "segment {} does not wait", heading_number_);
    const std::string name = segment_name(who_.log_number, s->number);
    if (const auto renamed = disk_.rename(spares_.back().name, name); !renamed)
        return note(renamed.error(), naming_waits_);
    const spare from = std::move(spares_.back());
    spares_.pop_back();
    if (const auto synced = disk_.sync_folder(); !synced)
        return note(synced.error());
    s->file = from.file;
    s->ready = true;
    full_ = making_waits_;
}

void segment_chain::drop_below(std::uint64_t number) noexcept { keep_from_ = std::max(keep_from_, number); }

void segment_chain::seal_below(std::uint64_t number) {
    for (; sealed_below_ < number; ++sealed_below_) {
        if (const segment* const s = find(sealed_below_))
            disk_.seal(s->file);
    }
}

// One segment always stays: it tells the next opening how far the numbers and the epochs have come.
bool segment_chain::dropping() const noexcept {
    return segments_.size() > 1 && segments_[1].ready && segments_.front().number < keep_from_ && !held_ &&
           !naming_waits_ && failure_.empty();
}

// Each one is synced for itself: a power failure must not leave a gap in the row.
void segment_chain::drop_one() {
    if (!dropping() || segments_.front().reads != 0)
        return;
    const segment& s = segments_.front();
    const std::string name = segment_name(who_.log_number, s.number);
    if (spares_.size() < spares_max) {
        spare again{.name = spare_name(who_.log_number, next_spare_++), .file = s.file};
        if (const auto renamed = disk_.rename(name, again.name); !renamed)
            return note(renamed.error(), naming_waits_);
        spares_.insert(spares_.begin(), std::move(again));
        full_ = false;
    } else {
        if (const auto removed = disk_.remove(name); !removed)
            return note(removed.error(), naming_waits_);
        disk_.close(s.file);
    }
    segments_.pop_front();
    making_waits_ = false;
    if (const auto synced = disk_.sync_folder(); !synced)
        note(synced.error());
}

}  // namespace linnet::store
