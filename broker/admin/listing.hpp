#pragma once

#include "broker/admin/page_request.hpp"
#include "broker/admin/tour.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace linnet::admin {

using row_place = std::variant<std::monostate, core::queue_handle, core::session_handle>;

// One thing of a list: what it is found and sorted by, and its JSON or where that is to be had.
struct row {
    std::string vhost;
    std::string name;
    row_place place{};
    std::uint32_t number = 0;  // within the place: a channel's
    std::string json{};
    std::string sort_text{};
    double sort_number = 0;
    bool sorts_by_number = false;
};

class row_list;
class queue_walk;

// Where rows come from.
struct row_source {
    using writer = std::function<void(json_writer&)>;
    std::vector<core::shard_id> where;
    // Adds some of that shard's rows; true: those were all.
    std::function<bool(core::shard& here, cursor& at, row_list& to)> collect;
    // Writes the JSON of those rows whose place is on that shard, for which it was not written when they were
    // collected. One that has gone meanwhile stays without. Empty: all rows have theirs.
    std::function<void(core::shard& here, std::span<row> rows, const column_list& columns)> describe{};
    // Queues in the order of their names need no collecting where only a page of them is wanted: the control knows it.
    std::function<bool(core::shard& control, queue_walk& page)> walk{};
};

// The rows that a request wants, in order of what it sorts by: in runs, each sorted when it is full, so that order
// costs little for each row as it comes and as it goes, and never much at once. Of a page near the beginning, which is
// what people look at, only so many rows are kept as can be on it: the others are counted and cost a comparison.
class row_list {
public:
    explicit row_list(page_request p);

    // A row that will be described once it is known to be wanted; `write` is called now if it must be sorted by more
    // than its name.
    void add(std::string_view vhost, std::string_view name, row_place place, const row_source::writer& write);
    // Likewise, where what it is sorted by is a number and known without writing anything.
    void add_numbered(std::string_view vhost, std::string_view name, row_place place, double number);
    // A row that is at hand.
    void add_whole(row r, const row_source::writer& write);

    [[nodiscard]] const page_request& asked() const noexcept { return asked_; }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    [[nodiscard]] std::uint64_t found() const noexcept { return found_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

    // All have been added. Leaves out the first `left` rows, a piece a call; true: done.
    [[nodiscard]] bool skip_some(std::uint64_t& left);
    // The next one.
    [[nodiscard]] row take();

private:
    // What it sorts by; the text that was asked for may be any member's.
    struct order_key {
        bool is_text = true;
        double number = 0;
        std::string_view text;
        std::string_view vhost;
        std::string_view name;
    };
    // Rows and the order they come in; those before `next` have been taken or skipped.
    struct run {
        std::vector<row> rows;
        std::vector<std::uint32_t> order;
        std::size_t next = 0;
        std::size_t end = 0;  // while rows are skipped: the last of those lies before it

        [[nodiscard]] row& at(std::size_t place) noexcept { return rows[order[place]]; }
        [[nodiscard]] const row& at(std::size_t place) const noexcept { return rows[order[place]]; }
    };
    [[nodiscard]] static order_key key_of(const row& r) noexcept;
    [[nodiscard]] bool later(const order_key& a, const order_key& b) const noexcept;
    // Of the next rows of two runs.
    [[nodiscard]] bool comes_later(std::uint32_t a, std::uint32_t b) const noexcept;
    [[nodiscard]] bool wanted(std::string_view name);
    [[nodiscard]] bool too_late(const order_key& k) const noexcept;
    void put(row r);
    void drop_late_ones();
    void close_run();
    void begin_to_take();
    [[nodiscard]] bool narrow(std::uint64_t& left);

    page_request asked_;
    std::size_t kept_max_;   // 0: all
    std::vector<row> rows_;  // of no run yet
    bool dropped_ = false;   // then no row that comes later than rows_[kept_max_ - 1] is wanted
    std::vector<run> runs_;
    std::vector<std::uint32_t> next_of_;  // a heap of the runs that have rows left, once rows are taken
    bool takes_ = false;
    std::uint64_t total_ = 0;
    std::uint64_t found_ = 0;
    std::uint64_t size_ = 0;
};

// Answers with a list: filtered, sorted and paged, gathered from wherever its things live. A long one that is wanted
// whole is streamed, described a hundred at a time as its reader takes them.
void answer_list(call_ptr c, row_source s);

}  // namespace linnet::admin
