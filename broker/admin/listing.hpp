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

// Where rows come from.
struct row_source {
    using writer = std::function<void(json_writer&)>;
    std::vector<core::shard_id> where;
    // Adds some of that shard's rows; true: those were all.
    std::function<bool(core::shard& here, cursor& at, row_list& to)> collect;
    // Writes the JSON of those rows whose place is on that shard, for which it was not written when they were
    // collected. One that has gone meanwhile stays without. Empty: all rows have theirs.
    std::function<void(core::shard& here, std::span<row> rows, const column_list& columns)> describe{};
};

// The rows that a request wants, in order of what it sorts by. All of them are a heap, so that order costs little for
// each row as it comes and for each row as it goes, and never much at once. Of a page near the beginning, which is what
// people look at, only so many rows are kept as can be on it: the others are counted and cost a comparison.
class row_list {
public:
    explicit row_list(page_request p);

    // A row that will be described once it is known to be wanted; `write` is called now if it must be sorted by more
    // than its name.
    void add(std::string_view vhost, std::string_view name, row_place place, const row_source::writer& write);
    // A row that is at hand.
    void add_whole(row r, const row_source::writer& write);

    [[nodiscard]] const page_request& asked() const noexcept { return asked_; }
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    [[nodiscard]] std::uint64_t found() const noexcept { return found_; }
    [[nodiscard]] std::uint64_t size() const noexcept { return rows_.size(); }
    // The next one; all have been added.
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
    [[nodiscard]] static order_key key_of(const row& r) noexcept;
    [[nodiscard]] bool later(const order_key& a, const order_key& b) const noexcept;
    [[nodiscard]] bool wanted(std::string_view name);
    [[nodiscard]] bool too_late(const order_key& k) const noexcept;
    void put(row r);
    void drop_late_ones();

    page_request asked_;
    std::size_t kept_max_;  // 0: all
    std::vector<row> rows_;
    bool dropped_ = false;  // then no row that comes later than rows_[kept_max_ - 1] is wanted
    bool in_order_ = true;  // rows_ is a heap
    std::uint64_t total_ = 0;
    std::uint64_t found_ = 0;
};

// Answers with a list: filtered, sorted and paged, gathered from wherever its things live. A long one that is wanted
// whole is streamed, described a hundred at a time as its reader takes them.
void answer_list(call_ptr c, row_source s);

}  // namespace linnet::admin
