#include "broker/core/queue_index.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace linnet::core {

namespace {

// The columns of a chunk of `n` entries, by their offsets. `n` is a multiple of four, so each is aligned.
constexpr std::size_t body_column(std::size_t) noexcept { return 0; }
constexpr std::size_t bytes_column(std::size_t n) noexcept { return 4 * n; }
constexpr std::size_t place_low_column(std::size_t n) noexcept { return 8 * n; }
constexpr std::size_t place_high_column(std::size_t n) noexcept { return 12 * n; }
constexpr std::size_t position_column(std::size_t n) noexcept { return 14 * n; }
constexpr std::size_t flags_column(std::size_t n) noexcept { return 16 * n; }
constexpr std::size_t always_bytes = 17;

constexpr std::uint8_t state_bits = 7;
constexpr std::uint8_t redelivered_bit = 8;
constexpr std::uint8_t fleeting_bit = 16;
constexpr std::uint8_t receipt_bit = 32;
constexpr std::uint64_t span_48 = std::uint64_t{1} << 48U;
constexpr std::uint64_t span_16 = std::uint64_t{1} << 16U;

// So many chunks at the front stay in memory: consumers are about to read them.
constexpr std::size_t front_chunks = 2;
// How far one search for a chunk to swap out goes.
constexpr std::size_t search_max = 64;
// Kept by an empty queue; larger ones give their memory back.
constexpr std::size_t chunk_kept_max = 64;

// Records that come later lie behind this one, but for those that were copied meanwhile.
[[nodiscard]] constexpr log_position base_for(log_position first) noexcept {
    constexpr log_position slack = span_48 / 2;
    return first > slack ? first - slack : 0;
}

template <class T>
[[nodiscard]] T at(const std::uint8_t* column, std::uint32_t i) noexcept {
    T value;
    std::memcpy(&value, column + i * sizeof(T), sizeof(T));
    return value;
}
template <class T>
void put(std::uint8_t* column, std::uint32_t i, std::uint64_t value) noexcept {
    const auto narrow = static_cast<T>(value);
    std::memcpy(column + i * sizeof(T), &narrow, sizeof(T));
}

}  // namespace

queue_index::queue_index(queue_index&& other) noexcept
    : chunks_(std::move(other.chunks_)),
      held_(std::exchange(other.held_, 0)),
      front_(std::exchange(other.front_, 0)),
      hand_(std::exchange(other.hand_, 0)),
      live_(std::exchange(other.live_, 0)),
      paged_(std::exchange(other.paged_, 0)),
      swap_(other.swap_) {
    other.chunks_.clear();
}

queue_index::~queue_index() {
    while (!chunks_.empty()) {
        drop_chunk(front_);
    }
}

// ---- A chunk -----------------------------------------------------------------------------------

std::size_t queue_index::bytes_of(std::uint32_t capacity, std::uint8_t columns) noexcept {
    const std::size_t each = always_bytes + ((columns & with_share) != 0 ? 4U : 0U) +
                             ((columns & with_attempts) != 0 ? 4U : 0U) + ((columns & with_deadline) != 0 ? 6U : 0U);
    return each * capacity;
}

std::uint8_t queue_index::columns_for(const index_entry& e) noexcept {
    const unsigned need = (e.where.share != e.where.bytes ? unsigned{with_share} : 0U) |
                          (e.delivery_count != 0 ? unsigned{with_attempts} : 0U) |
                          (e.deadline != 0 ? unsigned{with_deadline} : 0U);
    return static_cast<std::uint8_t>(need);
}

entry_state queue_index::state_at(const chunk& c, std::uint32_t i) noexcept {
    return static_cast<entry_state>(c.data[flags_column(c.capacity) + i] & state_bits);
}

position queue_index::position_at(const chunk& c, std::uint32_t i) noexcept {
    return c.first + at<std::uint16_t>(c.data.get() + position_column(c.capacity), i);
}

index_entry queue_index::read(const chunk& c, std::uint32_t i) noexcept {
    const std::uint8_t* data = c.data.get();
    const std::size_t n = c.capacity;
    const std::uint8_t flags = data[flags_column(n) + i];
    index_entry e;
    e.pos = position_at(c, i);
    e.where.at = c.base + at<std::uint32_t>(data + place_low_column(n), i) +
                 (std::uint64_t{at<std::uint16_t>(data + place_high_column(n), i)} << 32U);
    e.where.bytes = at<std::uint32_t>(data + bytes_column(n), i);
    e.where.share = e.where.bytes;
    e.body_bytes = at<std::uint32_t>(data + body_column(n), i);
    e.state = static_cast<entry_state>(flags & state_bits);
    e.redelivered = (flags & redelivered_bit) != 0;
    e.fleeting = (flags & fleeting_bit) != 0;
    e.received = (flags & receipt_bit) != 0;
    const std::uint8_t* more = data + always_bytes * n;
    if ((c.columns & with_share) != 0) {
        e.where.share = at<std::uint32_t>(more, i);
        more += 4 * n;
    }
    if ((c.columns & with_attempts) != 0) {
        e.delivery_count = at<std::uint32_t>(more, i);
        more += 4 * n;
    }
    if ((c.columns & with_deadline) != 0) {
        e.deadline = ns_per_ms * static_cast<mono_ns>(at<std::uint32_t>(more, i) +
                                                      (std::uint64_t{at<std::uint16_t>(more + 4 * n, i)} << 32U));
    }
    return e;
}

// Every column that `e` needs must be there.
void queue_index::write(chunk& c, std::uint32_t i, const index_entry& e) noexcept {
    std::uint8_t* data = c.data.get();
    const std::size_t n = c.capacity;
    const std::uint64_t from_base = e.where.at - c.base;
    put<std::uint32_t>(data + body_column(n), i, e.body_bytes);
    put<std::uint32_t>(data + bytes_column(n), i, e.where.bytes);
    put<std::uint32_t>(data + place_low_column(n), i, from_base);
    put<std::uint16_t>(data + place_high_column(n), i, from_base >> 32U);
    put<std::uint16_t>(data + position_column(n), i, e.pos - c.first);
    data[flags_column(n) + i] = static_cast<std::uint8_t>(
        static_cast<unsigned>(e.state) | (e.redelivered ? redelivered_bit : 0U) | (e.fleeting ? fleeting_bit : 0U) |
        (e.received ? receipt_bit : 0U));
    std::uint8_t* more = data + always_bytes * n;
    if ((c.columns & with_share) != 0) {
        put<std::uint32_t>(more, i, e.where.share);
        more += 4 * n;
    }
    if ((c.columns & with_attempts) != 0) {
        put<std::uint32_t>(more, i, e.delivery_count);
        more += 4 * n;
    }
    if ((c.columns & with_deadline) != 0) {
        const auto ms = static_cast<std::uint64_t>((e.deadline + ns_per_ms - 1) / ns_per_ms);
        put<std::uint32_t>(more, i, ms);
        put<std::uint16_t>(more + 4 * n, i, ms >> 32U);
    }
}

std::uint32_t queue_index::lower_bound(const chunk& c, position pos) noexcept {
    std::uint32_t low = 0;
    std::uint32_t high = c.size;
    while (low < high) {
        const std::uint32_t middle = (low + high) / 2;
        if (position_at(c, middle) < pos) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Whether its relative numbers reach.
bool queue_index::takes(const chunk& c, const index_entry& e) noexcept {
    return e.pos >= c.first && e.pos - c.first < span_16 && e.where.at >= c.base && e.where.at - c.base < span_48;
}

void queue_index::repack(chunk& c, std::uint32_t capacity, std::uint8_t columns) {
    chunk into;
    into.first = c.first;
    into.base = c.base;
    into.capacity = static_cast<std::uint16_t>(capacity);
    into.columns = columns;
    const std::size_t bytes = bytes_of(capacity, columns);
    into.data = std::make_unique_for_overwrite<std::uint8_t[]>(bytes);
    for (std::uint32_t i = 0; i < c.size; ++i) {
        if (state_at(c, i) != entry_state::gone) {
            write(into, into.size++, read(c, i));
        }
    }
    note(static_cast<std::int64_t>(bytes) -
         static_cast<std::int64_t>(c.data != nullptr ? bytes_of(c.capacity, c.columns) : 0));
    into.live = c.live;
    into.paged = c.paged;
    c = std::move(into);
}

void queue_index::make_room_in(chunk& c, const index_entry& e) {
    const auto columns = static_cast<std::uint8_t>(c.columns | columns_for(e));
    if (c.size < c.capacity && columns == c.columns) [[likely]] {
        return;
    }
    // Many of its entries may be gone: then the room is there already.
    const std::uint32_t need = c.size < c.capacity ? c.capacity : c.live + c.live / 2 + 4U;
    const auto rounded = (need + 3U) & ~3U;
    repack(c, std::clamp(rounded, chunk_entries_min, chunk_entries_max), columns);
}

void queue_index::count_state(chunk& c, entry_state from, entry_state to) noexcept {
    const int paged = (to == entry_state::paged ? 1 : 0) - (from == entry_state::paged ? 1 : 0);
    const int live = (to != entry_state::gone ? 1 : 0) - (from != entry_state::gone ? 1 : 0);
    c.paged = static_cast<std::uint16_t>(c.paged + paged);
    c.live = static_cast<std::uint16_t>(c.live + live);
    paged_ += static_cast<std::uint64_t>(paged);
    live_ += static_cast<std::uint64_t>(live);
}

// ---- All chunks --------------------------------------------------------------------------------

void queue_index::note(std::int64_t bytes) const noexcept {
    held_ += static_cast<std::uint64_t>(bytes);
    if (swap_ != nullptr) {
        swap_->note(bytes);
    }
}

std::size_t queue_index::chunk_of(position pos) const noexcept {
    const auto first = chunks_.begin() + static_cast<std::ptrdiff_t>(front_);
    const auto behind = std::ranges::upper_bound(first, chunks_.end(), pos, {}, &chunk::first);
    return static_cast<std::size_t>(behind - chunks_.begin()) - (behind == first ? 0U : 1U);
}

void queue_index::new_chunk(std::size_t before, const index_entry& first) {
    chunk c;
    c.first = first.pos;
    c.base = base_for(first.where.at);
    repack(c, chunk_entries_min, columns_for(first));
    chunks_.insert(chunks_.begin() + static_cast<std::ptrdiff_t>(before), std::move(c));
}

void queue_index::add(const index_entry& e) {
    if (chunks_.empty()) {
        new_chunk(front_, e);
    }
    load(chunks_.size() - 1);  // it may have become the last one while it was swapped out
    const chunk& last = chunks_.back();
    if (last.size == 0 || e.pos > position_at(last, last.size - 1U)) [[likely]] {
        append(e);
    } else {
        insert(e);
    }
}

void queue_index::append(const index_entry& e) {
    if (chunks_.back().live == 0) {
        // Nothing in it counts any more: it begins anew here.
        chunk& c = chunks_.back();
        c.size = 0;
        c.first = e.pos;
        c.base = base_for(e.where.at);
    }
    const chunk& last = chunks_.back();
    if (!takes(last, e) || (last.size == chunk_entries_max && last.live > chunk_entries_max / 2)) {
        new_chunk(chunks_.size(), e);
        relieve();
    }
    chunk& c = chunks_.back();
    make_room_in(c, e);
    write(c, c.size++, e);
    count_state(c, entry_state::gone, e.state);
}

// Recovery alone comes here: a message that cleaning has copied is found behind younger ones.
void queue_index::insert(const index_entry& e) {
    std::size_t at = chunk_of(e.pos);
    load(at);
    const bool behind = e.pos > position_at(chunks_[at], chunks_[at].size - 1U);
    if (!takes(chunks_[at], e) || (behind && chunks_[at].size == chunk_entries_max)) {
        at += e.pos > chunks_[at].first ? 1U : 0U;
        new_chunk(at, e);
    } else if (chunks_[at].live == chunk_entries_max) {
        split(at);
        at = chunk_of(e.pos);
    }
    chunk& c = chunks_[at];
    make_room_in(c, e);
    const std::uint32_t i = lower_bound(c, e.pos);
    if (i < c.size && position_at(c, i) == e.pos) {
        LINNET_DEBUG_ASSERT(state_at(c, i) == entry_state::gone, "position {} twice", e.pos);
    } else {
        open_gap(c, i);
    }
    write(c, i, e);
    count_state(c, entry_state::gone, e.state);
}

void queue_index::open_gap(chunk& c, std::uint32_t i) noexcept {
    std::uint8_t* column = c.data.get();
    const std::uint32_t after = c.size - i;
    const auto shift = [&](std::size_t width) {
        std::memmove(column + (i + 1) * width, column + i * width, after * width);
        column += c.capacity * width;
    };
    for (const std::size_t width : {4U, 4U, 4U, 2U, 2U, 1U}) {
        shift(width);
    }
    for (const auto optional : {with_share, with_attempts, with_deadline}) {
        if ((c.columns & optional) != 0) {
            shift(4);
        }
    }
    if ((c.columns & with_deadline) != 0) {
        shift(2);
    }
    ++c.size;
}

// The upper half becomes a chunk of its own.
void queue_index::split(std::size_t at) {
    const std::uint32_t middle = chunks_[at].size / 2U;
    index_entry first = read(chunks_[at], middle);
    new_chunk(at + 1, first);
    chunk& low = chunks_[at];
    chunk& high = chunks_[at + 1];
    high.base = low.base;
    repack(high, chunk_entries_max, low.columns);
    for (std::uint32_t i = middle; i < low.size; ++i) {
        const index_entry e = read(low, i);
        write(high, high.size++, e);
        high.live = static_cast<std::uint16_t>(high.live + (e.state != entry_state::gone ? 1 : 0));
        high.paged = static_cast<std::uint16_t>(high.paged + (e.state == entry_state::paged ? 1 : 0));
    }
    low.size = static_cast<std::uint16_t>(middle);
    low.live = static_cast<std::uint16_t>(low.live - high.live);
    low.paged = static_cast<std::uint16_t>(low.paged - high.paged);
}

// ---- Looking and changing ----------------------------------------------------------------------

std::optional<queue_index::place> queue_index::find(position pos) const {
    const std::size_t c = chunk_of(pos);
    if (c >= chunks_.size() || pos < chunks_[c].first) {
        return std::nullopt;
    }
    load(c);
    const std::uint32_t i = lower_bound(chunks_[c], pos);
    if (i == chunks_[c].size || position_at(chunks_[c], i) != pos || state_at(chunks_[c], i) == entry_state::gone) {
        return std::nullopt;
    }
    return place{c, i};
}

std::optional<queue_index::place> queue_index::next_paged(position from) const {
    for (std::size_t c = chunk_of(from); c < chunks_.size(); ++c) {
        if (chunks_[c].paged == 0) {
            continue;
        }
        load(c);
        for (std::uint32_t i = lower_bound(chunks_[c], from); i < chunks_[c].size; ++i) {
            if (state_at(chunks_[c], i) == entry_state::paged) {
                return place{c, i};
            }
        }
    }
    return std::nullopt;
}

index_entry queue_index::get(place p) const noexcept { return read(chunks_[p.chunk], p.at); }

void queue_index::set_state(place p, entry_state s) noexcept {
    chunk& c = chunks_[p.chunk];
    std::uint8_t& flags = c.data[flags_column(c.capacity) + p.at];
    count_state(c, static_cast<entry_state>(flags & state_bits), s);
    flags = static_cast<std::uint8_t>((flags & ~state_bits) | static_cast<unsigned>(s));
}

void queue_index::rewrite(place p, const index_entry& e) {
    chunk& c = chunks_[p.chunk];
    LINNET_ASSERT(takes(c, e), "a log of 2^48 bytes between {} and {}", c.base, e.where.at);
    const auto columns = static_cast<std::uint8_t>(c.columns | columns_for(e));
    if (columns == c.columns) [[likely]] {
        write(c, p.at, e);
        return;
    }
    repack(c, c.capacity, columns);
    write(c, lower_bound(c, e.pos), e);
}

void queue_index::set_where(place p, const stored_ref& where) {
    index_entry e = get(p);
    e.where = where;
    rewrite(p, e);
}

void queue_index::set_attempts(place p, std::uint32_t delivery_count, bool redelivered) {
    index_entry e = get(p);
    if (e.delivery_count != delivery_count || e.redelivered != redelivered) {
        e.delivery_count = delivery_count;
        e.redelivered = redelivered;
        rewrite(p, e);
    }
}

void queue_index::set_received(place p) {
    index_entry e = get(p);
    e.received = true;
    e.redelivered = true;
    e.deadline = 0;
    rewrite(p, e);
}

void queue_index::clear_deadline(place p) {
    index_entry e = get(p);
    e.deadline = 0;
    rewrite(p, e);
}

void queue_index::erase(place p) {
    set_state(p, entry_state::gone);
    tidy(p.chunk);
}

void queue_index::tidy(std::size_t at) {
    chunk& c = chunks_[at];
    if (c.live == 0) {
        // A short queue keeps its one small chunk: append() begins it anew.
        if (chunks_.size() - front_ == 1 && c.capacity <= chunk_kept_max) {
            return;
        }
        drop_chunk(at);
        return;
    }
    if (c.size > chunk_entries_min && c.live * 4U < c.size) {
        repack(c, std::max((c.live + 3U) & ~3U, chunk_entries_min), c.columns);
    }
}

void queue_index::drop_chunk(std::size_t at) {
    chunk& c = chunks_[at];
    if (c.swapped != chunk_swap::none) {
        swap_->forget(c.swapped);
    } else {
        note(-static_cast<std::int64_t>(bytes_of(c.capacity, c.columns)));
    }
    c = chunk{};
    if (at != front_) {
        chunks_.erase(chunks_.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (++front_ == chunks_.size()) {
        chunks_ = std::vector<chunk>();
        front_ = 0;
    } else if (front_ * 2 > chunks_.size()) {
        // Consumers empty the front; its headers go all at once, now and then.
        chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(front_));
        front_ = 0;
    }
}

// ---- Swapping ----------------------------------------------------------------------------------

std::uint64_t queue_index::swapped_chunks() const noexcept {
    return static_cast<std::uint64_t>(
        std::ranges::count_if(chunks_, [](const chunk& c) { return c.swapped != chunk_swap::none; }));
}

void queue_index::load(std::size_t at) const {
    if (at >= chunks_.size() || chunks_[at].swapped == chunk_swap::none) [[likely]] {
        return;
    }
    chunk& c = chunks_[at];
    const std::size_t bytes = bytes_of(c.capacity, c.columns);
    c.data = std::make_unique_for_overwrite<std::uint8_t[]>(bytes);
    swap_->load(std::exchange(c.swapped, chunk_swap::none), {c.data.get(), bytes});
    note(static_cast<std::int64_t>(bytes));
    hand_ = at;  // so that the search below begins elsewhere
    relieve();
}

// Over the budget: one or two of our own chunks leave. The hand goes backwards, for what lies behind is needed last.
void queue_index::relieve() const {
    if (swap_ == nullptr || !swap_->over_budget() || chunks_.size() - front_ <= front_chunks + 1) [[likely]] {
        return;
    }
    int left = 2;
    for (std::size_t n = std::min(search_max, chunks_.size() - front_ - 1); n > 0 && left > 0; --n) {
        hand_ = hand_ <= front_ || hand_ >= chunks_.size() ? chunks_.size() - 1 : hand_ - 1;
        left -= swap_out(hand_) ? 1 : 0;
    }
}

bool queue_index::swap_out(std::size_t at) const {
    chunk& c = chunks_[at];
    const bool wanted = at < front_ + front_chunks || at + 1 == chunks_.size() || c.swapped != chunk_swap::none;
    if (wanted || c.paged != c.live) {
        return false;
    }
    const std::size_t bytes = bytes_of(c.capacity, c.columns);
    c.swapped = swap_->save({c.data.get(), bytes});
    if (c.swapped == chunk_swap::none) {
        return false;
    }
    c.data.reset();
    note(-static_cast<std::int64_t>(bytes));
    return true;
}

}  // namespace linnet::core
