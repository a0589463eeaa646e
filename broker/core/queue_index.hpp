#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/chunk_swap.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/record_owner.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace linnet::core {

enum class entry_state : std::uint8_t {
    gone,      // settled; its room is given back with others'
    paged,     // ready, and in the log alone
    resident,  // ready, and in memory too
    lent,
    doomed,  // dead, and on its way from the log to be dead-lettered
    dying,   // dead-lettered; its successor is not durable yet
};

// A message that the log has, as its queue knows it.
struct index_entry {
    position pos = 0;
    stored_ref where;
    std::uint32_t body_bytes = 0;
    std::uint32_t delivery_count = 0;
    mono_ns deadline = 0;  // 0: never. Kept in milliseconds, rounded up.
    entry_state state = entry_state::resident;
    bool redelivered = false;
    bool fleeting = false;  // recorded for want of memory only: never recovered
    bool received = false;  // as delivery has it
};

// The messages of one lane of a queue that the log has, in the order of their positions.
//
// A queue can be far longer than memory, so an entry is small: chunks of up to 1024, each column an array of its own,
// relative to the chunk's first. Columns that most messages do not need (deadline, delivery count, a share other than
// the whole record) exist in those chunks alone that hold such a message. Positions mostly come in order, so adding is
// an append; recovery alone inserts (a message that cleaning has copied comes late).
//
// Whole chunks of paged messages go to the chunk_swap, when there is one and it is over its budget, and come back when
// any of their messages is touched.
//
// Threads: the queue's.
// Owns:    its chunks, and their tickets in the swap. Borrows the swap.
// Bounds:  17 bytes a message; 6 more with deadlines, 4 with delivery counts, 4 with shared records. Finding costs
//          O(log n), adding at the end and erasing O(1). What is gone gives its room back by chunk: a chunk three
//          quarters of which are gone shrinks.
class queue_index {
public:
    explicit queue_index(chunk_swap* swap = nullptr) noexcept : swap_(swap) {}
    queue_index(queue_index&& other) noexcept;
    queue_index& operator=(queue_index&&) = delete;
    ~queue_index();

    // Where an entry is; good until the next add(), erase(), find() or next_paged().
    struct place {
        std::size_t chunk = 0;
        std::uint32_t at = 0;
    };

    // The position must not be there.
    void add(const index_entry& e);
    // None: unknown, or gone.
    [[nodiscard]] std::optional<place> find(position pos) const;
    // The first paged one at `from` or behind.
    [[nodiscard]] std::optional<place> next_paged(position from) const;

    [[nodiscard]] index_entry get(place p) const noexcept;
    void set_state(place p, entry_state s) noexcept;
    void set_where(place p, const stored_ref& where);
    void set_attempts(place p, std::uint32_t delivery_count, bool redelivered);
    // It does not expire any more, either.
    void set_received(place p);
    void clear_deadline(place p);
    void erase(place p);

    // Shows the entries from `first` to before `last`; those are erased for which `f` says so.
    template <class F>
    void sweep(position first, position last, F&& f) {
        for (std::size_t c = chunk_of(first); c < chunks_.size() && chunks_[c].first < last;) {
            // By position: a chunk may go meanwhile, and others move up.
            const bool more = c + 1 < chunks_.size();
            const position next = more ? chunks_[c + 1].first : last;
            sweep_chunk(c, first, last, f);
            if (!more) {
                return;
            }
            c = chunk_of(next);
        }
    }

    [[nodiscard]] bool empty() const noexcept { return live_ == 0; }
    [[nodiscard]] std::uint64_t size() const noexcept { return live_; }
    [[nodiscard]] std::uint64_t paged_count() const noexcept { return paged_; }
    [[nodiscard]] std::uint64_t swapped_chunks() const noexcept;
    // Of memory.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return held_ + chunks_.capacity() * sizeof(chunk); }

    static constexpr std::uint32_t chunk_entries_max = 1024;

private:
    static constexpr std::uint32_t chunk_entries_min = 16;
    static constexpr std::uint8_t with_share = 1;
    static constexpr std::uint8_t with_attempts = 2;
    static constexpr std::uint8_t with_deadline = 4;

    struct chunk {
        position first = 0;
        log_position base = 0;  // places are counted from here
        std::unique_ptr<std::uint8_t[]> data;
        chunk_swap::ticket swapped = chunk_swap::none;  // then there is no data
        std::uint16_t size = 0;                         // entries, gone ones included
        std::uint16_t capacity = 0;
        std::uint16_t live = 0;
        std::uint16_t paged = 0;
        std::uint8_t columns = 0;
    };

    [[nodiscard]] static std::size_t bytes_of(std::uint32_t capacity, std::uint8_t columns) noexcept;
    [[nodiscard]] static index_entry read(const chunk& c, std::uint32_t at) noexcept;
    static void write(chunk& c, std::uint32_t at, const index_entry& e) noexcept;
    [[nodiscard]] static entry_state state_at(const chunk& c, std::uint32_t at) noexcept;
    [[nodiscard]] static position position_at(const chunk& c, std::uint32_t at) noexcept;
    [[nodiscard]] static std::uint8_t columns_for(const index_entry& e) noexcept;
    // The first entry of that chunk at `pos` or behind.
    [[nodiscard]] static std::uint32_t lower_bound(const chunk& c, position pos) noexcept;
    [[nodiscard]] static bool takes(const chunk& c, const index_entry& e) noexcept;

    // The chunk that holds `pos`, if any does: the last one that does not begin behind it.
    [[nodiscard]] std::size_t chunk_of(position pos) const noexcept;
    void append(const index_entry& e);
    void insert(const index_entry& e);
    static void open_gap(chunk& c, std::uint32_t at) noexcept;
    void rewrite(place p, const index_entry& e);
    void split(std::size_t at);
    void new_chunk(std::size_t before, const index_entry& first);
    // Copies what lives into a block of that size.
    void repack(chunk& c, std::uint32_t capacity, std::uint8_t columns);
    void make_room_in(chunk& c, const index_entry& e);
    void drop_chunk(std::size_t at);
    void note(std::int64_t bytes) const noexcept;
    void load(std::size_t at) const;
    void relieve() const;
    [[nodiscard]] bool swap_out(std::size_t at) const;
    void count_state(chunk& c, entry_state from, entry_state to) noexcept;
    // After an entry of it went.
    void tidy(std::size_t at);

    template <class F>
    void sweep_chunk(std::size_t at, position first, position last, F&& f) {
        load(at);
        for (std::uint32_t i = lower_bound(chunks_[at], first); i < chunks_[at].size; ++i) {
            const index_entry e = read(chunks_[at], i);
            if (e.pos >= last) {
                break;
            }
            if (e.state != entry_state::gone && f(e)) {
                set_state({at, i}, entry_state::gone);
            }
        }
        tidy(at);
    }

    // Loading a chunk changes nothing that can be seen, so looking may do it.
    mutable std::vector<chunk> chunks_;
    mutable std::uint64_t held_ = 0;
    std::size_t front_ = 0;         // chunks before it are empty
    mutable std::size_t hand_ = 0;  // where to look next for a chunk to swap out
    std::uint64_t live_ = 0;
    std::uint64_t paged_ = 0;
    chunk_swap* swap_;
};

}  // namespace linnet::core
