#include "broker/core/dedup_window.hpp"

#include "broker/base/give_back.hpp"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace linnet::core {

namespace {

// Little-endian, whatever the machine.
void put(std::vector<std::uint8_t>& out, std::uint64_t word) {
    for (unsigned i = 0; i < 8; ++i) {
        out.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
    }
}
[[nodiscard]] std::uint64_t number_at(std::span<const std::uint8_t> in, std::size_t at) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < 8; ++i) {
        word |= std::uint64_t{in[at + i]} << (8 * i);
    }
    return word;
}

[[nodiscard]] std::uint32_t ms_of(mono_ns t) noexcept { return static_cast<std::uint32_t>(t / ns_per_ms); }

}  // namespace

fingerprint dedup_window::entry::print() const noexcept {
    return {std::uint64_t{words[0]} | std::uint64_t{words[1]} << 32,
            std::uint64_t{words[2]} | std::uint64_t{words[3]} << 32};
}

dedup_window::dedup_window(const limits& l) : limits_(l), salt_(random_hash_key()) {}

void dedup_window::set_limits(const limits& l, mono_ns now) {
    limits_ = l;
    expire(now);
}

bool dedup_window::contains(const fingerprint& f, mono_ns now) {
    expire(now);
    if (table_.empty()) {
        return false;
    }
    for (std::size_t i = home_of(f); table_[i] != empty_place; i = (i + 1) & (table_.size() - 1)) {
        if (entry_of(table_[i]).print() == f) {
            return true;
        }
    }
    return false;
}

void dedup_window::add(const fingerprint& f, mono_ns now, log_position recorded_at) {
    expire(now);
    last_add_ = now;
    push(f, ms_of(now), recorded_at);
}

std::size_t dedup_window::footprint() const noexcept {
    return ring_.size() * sizeof(entry) + table_.size() * sizeof(table_[0]) + recorded_.size() * sizeof(recorded_range);
}

// ---- The ring and its table --------------------------------------------------------------------

void dedup_window::expire(mono_ns now) {
    // Older than the youngest is everything: this also keeps the wrapping times unambiguous.
    if (!ring_.empty() && now - last_add_ >= limits_.window) {
        clear();
        return;
    }
    const auto window_ms = static_cast<std::uint32_t>(limits_.window / ns_per_ms);
    while (!ring_.empty() && ms_of(now) - ring_.front().time_ms >= window_ms) {
        pop_oldest();
    }
    while (ring_.size() > limits_.length_max) {
        pop_oldest();
    }
}

void dedup_window::clear() {
    first_ = end();
    ring_ = {};
    give_back(table_);
    recorded_.clear();
}

void dedup_window::pop_oldest() {
    unfile(static_cast<std::uint32_t>(first_));
    ring_.pop_front();
    ++first_;
    while (recorded_.size() > 1 && recorded_[1].first <= first_) {
        recorded_.pop_front();
    }
    if (ring_.empty()) {
        recorded_.clear();  // a range without keys would be recorded again and again
    }
    if (table_.size() > 64 && ring_.size() < table_.size() / 8) {
        rebuild_table(table_.size() / 4);
    }
}

void dedup_window::push(const fingerprint& f, std::uint32_t time_ms, log_position recorded_at) {
    if (ring_.size() >= limits_.length_max) {
        if (limits_.length_max == 0) {
            return;
        }
        pop_oldest();
    }
    const std::uint64_t sequence = end();
    ring_.push_back({{static_cast<std::uint32_t>(f.low), static_cast<std::uint32_t>(f.low >> 32),
                      static_cast<std::uint32_t>(f.high), static_cast<std::uint32_t>(f.high >> 32)},
                     time_ms});
    if (recorded_.empty() || (recorded_.back().at == 0) != (recorded_at == 0) ||
        sequence - recorded_.back().first >= keys_a_range) {
        recorded_.push_back({sequence, recorded_at});
    }
    recorded_.back().at = std::min(recorded_.back().at, recorded_at);
    if (ring_.size() > table_.size() / 8 * 7) {
        rebuild_table(std::max<std::size_t>(64, table_.size() * 2));
    } else {
        file(static_cast<std::uint32_t>(sequence), f);
    }
}

void dedup_window::file(std::uint32_t sequence, const fingerprint& f) noexcept {
    std::size_t i = home_of(f);
    while (table_[i] != empty_place) {
        i = (i + 1) & (table_.size() - 1);
    }
    table_[i] = sequence;
}

void dedup_window::rebuild_table(std::size_t places) {
    table_ = std::vector<std::uint32_t>(places, empty_place);
    auto sequence = static_cast<std::uint32_t>(first_);
    for (const entry& e : ring_) {
        file(sequence++, e.print());
    }
}

// Closes the gap: what stands behind it and not at its own home moves up, so no tombstones gather.
void dedup_window::unfile(std::uint32_t sequence) noexcept {
    const std::size_t mask = table_.size() - 1;
    std::size_t gap = home_of(entry_of(sequence).print());
    while (table_[gap] != sequence) {
        gap = (gap + 1) & mask;
    }
    for (std::size_t i = (gap + 1) & mask; table_[i] != empty_place; i = (i + 1) & mask) {
        const std::size_t home = home_of(entry_of(table_[i]).print());
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            table_[gap] = table_[i];
            gap = i;
        }
    }
    table_[gap] = empty_place;
}

// ---- Durability --------------------------------------------------------------------------------

void dedup_window::write_head(std::vector<std::uint8_t>& out) const {
    out.clear();
    put(out, salt_.low);
    put(out, salt_.high);
}

void dedup_window::write_record(const fingerprint& f, wall_ns now, std::vector<std::uint8_t>& out) const {
    write_head(out);
    put(out, f.low);
    put(out, f.high);
    put(out, static_cast<std::uint64_t>(now));
}

// The next run of keys whose records lie below `keep`.
bool dedup_window::collect(log_position keep, mono_ns now, wall_ns wall_now, std::vector<std::uint8_t>& out) {
    const auto endangered = [keep](const recorded_range& r) { return r.at != 0 && r.at < keep; };
    const auto begin = std::ranges::find_if(recorded_, endangered);
    if (begin == recorded_.end()) {
        return false;
    }
    const auto stop = std::find_if_not(begin, recorded_.end(), endangered);
    collected_first_ = std::max(begin->first, first_);
    collected_end_ = std::min(stop == recorded_.end() ? end() : stop->first, collected_first_ + record_entries_max);
    write_head(out);
    for (std::uint64_t s = collected_first_; s != collected_end_; ++s) {
        const entry& e = entry_of(static_cast<std::uint32_t>(s));
        const fingerprint f = e.print();
        put(out, f.low);
        put(out, f.high);
        put(out, static_cast<std::uint64_t>(wall_now - (ms_of(now) - e.time_ms) * ns_per_ms));
    }
    return true;
}

void dedup_window::note_recorded(log_position where) {
    auto at = std::ranges::find_if(recorded_, [this](const auto& r) { return r.first >= collected_first_; });
    // The first range may begin before the first key that is still there.
    if (at == recorded_.end() || at->first > collected_first_) {
        at = std::prev(at);
    }
    log_position covered = at->at;
    std::size_t i = static_cast<std::size_t>(at - recorded_.begin());
    std::size_t last = i;
    while (last < recorded_.size() && recorded_[last].first < collected_end_) {
        covered = recorded_[last++].at;
    }
    const bool cut = last == recorded_.size() ? collected_end_ < end() : collected_end_ < recorded_[last].first;
    const auto from = recorded_.begin() + static_cast<std::ptrdiff_t>(i);
    recorded_.erase(from, recorded_.begin() + static_cast<std::ptrdiff_t>(last));
    const auto place = [&](std::size_t n) { return recorded_.begin() + static_cast<std::ptrdiff_t>(n); };
    recorded_.insert(place(i), {collected_first_, where});
    if (cut) {
        recorded_.insert(place(i + 1), {collected_end_, covered});
    }
}

bool dedup_window::on_record(std::span<const std::uint8_t> record, log_position at) {
    if (record.size() < record_head || (record.size() - record_head) % record_entry != 0) {
        return false;
    }
    salt_ = {number_at(record, 0), number_at(record, 8)};
    for (std::size_t i = record_head; i < record.size(); i += record_entry) {
        recovering_.push_back(
            {{number_at(record, i), number_at(record, i + 8)}, static_cast<wall_ns>(number_at(record, i + 16)), at});
    }
    return true;
}

void dedup_window::recovered(mono_ns now, wall_ns wall_now) {
    // Keys recorded again come later in the log than younger ones, and twice: of each the latest counts.
    std::ranges::sort(recovering_, [](const recovering& a, const recovering& b) {
        return std::tie(a.print.low, a.print.high, a.at) < std::tie(b.print.low, b.print.high, b.at);
    });
    std::vector<recovering> keys;
    for (const recovering& r : std::exchange(recovering_, {})) {
        if (keys.empty() || keys.back().print != r.print) {
            keys.push_back(r);
        } else {
            keys.back().when = std::max(keys.back().when, r.when);
            keys.back().at = r.at;
        }
    }
    std::ranges::sort(keys, {}, &recovering::when);
    for (const recovering& r : keys) {
        const wall_ns age = std::max<wall_ns>(wall_now - r.when, 0);  // the clock may have been set back
        if (age < limits_.window) {
            last_add_ = now - age;
            push(r.print, ms_of(now) - ms_of(age), r.at);
        }
    }
}

}  // namespace linnet::core
