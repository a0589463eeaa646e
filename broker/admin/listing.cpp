#include "broker/admin/listing.hpp"

#include "broker/admin/queue_walk.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

namespace linnet::admin {
namespace {

using session::http_answer;
using session::http_body;
using session::http_source;
using session::http_stream;

constexpr std::size_t batch_rows = 100;
constexpr std::size_t described_a_turn = 50;
constexpr std::uint64_t few_rows = 2000;  // that many can be put in order in one turn
constexpr std::size_t run_rows = 512;
constexpr std::size_t compared_a_turn = 8000;  // where rows are skipped
constexpr std::size_t page_frame_bytes = 256;  // of an answer, around its rows
constexpr std::size_t streamed_from_rows = page_request::page_size_max + 1;

// Written with that one column, an object holds nothing else: {"a":{"b":VALUE}}.
std::string_view only_value(std::string_view json, std::string_view path) {
    for (std::size_t depth = static_cast<std::size_t>(std::ranges::count(path, '.')) + 1; depth != 0; --depth) {
        const auto colon = json.find(':');
        if (colon == std::string_view::npos) {
            return {};  // it has no such member
        }
        json = json.substr(colon + 1, json.size() - colon - 2);
    }
    return json;
}

void sort_by(row& r, const std::string& path, const row_source::writer& write) {
    std::string text;
    const column_list only{path};
    json_writer w(text, &only);
    write(w);
    const auto value = only_value(text, path);
    r.sort_text = value;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), r.sort_number);
    r.sorts_by_number = !value.empty() && read.ec == std::errc{} && read.ptr == value.data() + value.size();
}

}  // namespace

// ---- row_list ----------------------------------------------------------------------------------

row_list::row_list(page_request p)
    : asked_(std::move(p)),
      kept_max_(asked_.paged && asked_.page <= few_rows / asked_.page_size ? asked_.page * asked_.page_size : 0) {}

row_list::order_key row_list::key_of(const row& r) noexcept {
    return {!r.sorts_by_number, r.sort_number, r.sort_text, r.vhost, r.name};
}

bool row_list::later(const order_key& a, const order_key& b) const noexcept {
    if (!asked_.sort.empty()) {
        const auto differs = a.is_text != b.is_text ? (a.is_text ? 1 : -1)
                             : a.number != b.number ? (a.number > b.number ? 1 : -1)
                                                    : a.text.compare(b.text);
        if (differs != 0) {
            return asked_.reverse ? differs < 0 : differs > 0;
        }
    }
    const auto of_vhost = a.vhost.compare(b.vhost);
    const auto differs = of_vhost != 0 ? of_vhost : a.name.compare(b.name);
    return asked_.reverse && asked_.sort.empty() ? differs < 0 : differs > 0;
}

bool row_list::comes_later(std::uint32_t a, std::uint32_t b) const noexcept {
    return later(key_of(runs_[a].at(runs_[a].next)), key_of(runs_[b].at(runs_[b].next)));
}

bool row_list::wanted(std::string_view name) {
    ++total_;
    const bool found = asked_.finds(name);
    found_ += found ? 1 : 0;
    return found;
}

bool row_list::too_late(const order_key& k) const noexcept {
    return dropped_ && later(k, key_of(rows_[kept_max_ - 1]));
}

void row_list::put(row r) {
    if (too_late(key_of(r))) {
        return;
    }
    rows_.push_back(std::move(r));
    ++size_;
    if (kept_max_ == 0 && rows_.size() == run_rows) {
        close_run();
    } else if (kept_max_ != 0 && rows_.size() == 2 * kept_max_) {
        drop_late_ones();
    }
}

void row_list::drop_late_ones() {
    const auto end = rows_.begin() + static_cast<std::ptrdiff_t>(kept_max_);
    std::ranges::nth_element(rows_, end - 1,
                             [this](const row& a, const row& b) { return later(key_of(b), key_of(a)); });
    rows_.erase(end, rows_.end());
    size_ = rows_.size();
    dropped_ = true;
}

void row_list::close_run() {
    if (rows_.empty()) {
        return;
    }
    if (kept_max_ != 0 && rows_.size() > kept_max_) {
        drop_late_ones();
    }
    run& made = runs_.emplace_back();
    made.rows = std::exchange(rows_, {});
    made.order.resize(made.rows.size());
    made.end = made.rows.size();
    std::iota(made.order.begin(), made.order.end(), 0U);
    // What equals is as it came.
    std::ranges::stable_sort(made.order, [&](std::uint32_t a, std::uint32_t b) {
        return later(key_of(made.rows[b]), key_of(made.rows[a]));
    });
}

void row_list::add(std::string_view vhost, std::string_view name, row_place place, const row_source::writer& write) {
    if (!wanted(name)) {
        return;
    }
    const bool by_name = asked_.sort.empty() || asked_.sort == "name";
    const auto text = asked_.sort.empty() ? std::string_view{} : name;
    if (by_name && too_late({.text = text, .vhost = vhost, .name = name})) {
        return;
    }
    row r{std::string(vhost), std::string(name), place};
    if (by_name) {
        r.sort_text = text;
    } else {
        sort_by(r, asked_.sort, write);
    }
    put(std::move(r));
}

void row_list::add_numbered(std::string_view vhost, std::string_view name, row_place place, double number) {
    if (!wanted(name) || too_late({.is_text = false, .number = number, .text = {}, .vhost = vhost, .name = name})) {
        return;
    }
    row r{std::string(vhost), std::string(name), place};
    r.sort_number = number;
    r.sorts_by_number = true;
    put(std::move(r));
}

void row_list::add_whole(row r, const row_source::writer& write) {
    if (!wanted(r.name)) {
        return;
    }
    if (!asked_.sort.empty()) {
        sort_by(r, asked_.sort, write);
    }
    if (too_late(key_of(r))) {
        return;
    }
    json_writer w(r.json, &asked_.columns);
    write(w);
    put(std::move(r));
}

// Of all rows that may be the last one skipped, one from the middle of the longest piece of a run tells what lies
// before it in every run: either all of that is skipped, or nothing behind it. False: it cannot be had more exactly so.
bool row_list::narrow(std::uint64_t& left) {
    const auto longest = std::ranges::max_element(runs_, {}, [](const run& r) { return r.end - r.next; });
    if (longest == runs_.end() || longest->end == longest->next) {
        return false;
    }
    const auto pivot = key_of(longest->at(longest->next + (longest->end - longest->next) / 2));
    std::vector<std::size_t> before;
    before.reserve(runs_.size());
    std::uint64_t count = 0;
    for (const run& r : runs_) {
        const auto from = r.order.begin() + static_cast<std::ptrdiff_t>(r.next);
        const auto to = r.order.begin() + static_cast<std::ptrdiff_t>(r.end);
        const auto at = std::partition_point(from, to,
                                             [&](std::uint32_t i) { return later(pivot, key_of(r.rows[i])); });
        before.push_back(static_cast<std::size_t>(at - r.order.begin()));
        count += static_cast<std::uint64_t>(at - from);
    }
    if (count != 0 && count <= left) {
        left -= count;
        size_ -= count;
        for (std::size_t i = 0; i < runs_.size(); ++i) {
            runs_[i].next = before[i];
        }
        return true;
    }
    if (count == 0) {
        return false;  // it is the very next one
    }
    for (std::size_t i = 0; i < runs_.size(); ++i) {
        runs_[i].end = before[i];
    }
    return true;
}

bool row_list::skip_some(std::uint64_t& left) {
    if (!takes_) {
        close_run();
        for (std::size_t compared = 0; left != 0; compared += 10 * runs_.size()) {
            if (compared >= compared_a_turn) {
                return false;
            }
            if (!narrow(left)) {
                break;
            }
        }
        begin_to_take();
    }
    // What is left is next to the first one that stays.
    for (std::size_t n = 0; left != 0 && size_ != 0; ++n, --left) {
        if (n == few_rows) {
            return false;
        }
        static_cast<void>(take());
    }
    return true;
}

void row_list::begin_to_take() {
    takes_ = true;
    close_run();
    for (std::uint32_t i = 0; i < runs_.size(); ++i) {
        if (runs_[i].next < runs_[i].rows.size()) {
            next_of_.push_back(i);
        }
    }
    std::ranges::make_heap(next_of_, [this](std::uint32_t a, std::uint32_t b) { return comes_later(a, b); });
}

row row_list::take() {
    if (!takes_) {
        begin_to_take();
    }
    const auto order = [this](std::uint32_t a, std::uint32_t b) { return comes_later(a, b); };
    std::ranges::pop_heap(next_of_, order);
    run& from = runs_[next_of_.back()];
    row r = std::move(from.at(from.next++));
    if (from.next < from.rows.size()) {
        std::ranges::push_heap(next_of_, order);
    } else {
        next_of_.pop_back();
    }
    --size_;
    return r;
}

// ---- The answer --------------------------------------------------------------------------------

namespace {

core::shard_id shard_of(const row& r) {
    struct {
        core::shard_id operator()(std::monostate) const { return {}; }
        core::shard_id operator()(core::queue_handle h) const { return h.shard; }
        core::shard_id operator()(core::session_handle h) const { return h.shard; }
    } of;
    return std::visit(of, r.place);
}

class listing : public std::enable_shared_from_this<listing> {
public:
    listing(call_ptr c, row_source s, page_request p)
        : call_(std::move(c)), source_(std::move(s)), rows_(std::move(p)) {}

    void start() {
        const auto& asked = rows_.asked();
        const bool by_name = asked.sort.empty() || asked.sort == "name";
        if (asked.paged && by_name && source_.walk != nullptr) {
            walk();
        } else {
            collect();
        }
    }

private:
    // ---- What there is -------------------------------------------------------------------------
    void collect() {
        tour::start(call_->all, call_->home(), source_.where,
                    {[self = shared_from_this()](core::shard& here, cursor& at) {
                         return self->source_.collect(here, at, self->rows_);
                     },
                     [self = shared_from_this()] { self->collected(); }});
    }

    void collected() {
        const auto& asked = rows_.asked();
        found_ = rows_.found();
        total_ = rows_.total();
        if (!asked.paged) {
            left_ = rows_.size();
            if (left_ >= streamed_from_rows) {
                stream();
            } else {
                take_batch(left_);
                describe([self = shared_from_this()] { self->call_->json(std::move(self->text_) + "]"); });
            }
            return;
        }
        if (!has_page()) {
            return;
        }
        tour::start(call_->all, call_->home(), {call_->home()},
                    {[self = shared_from_this(), left = (asked.page - 1) * asked.page_size](
                         core::shard&, cursor&) mutable { return self->rows_.skip_some(left); },
                     [self = shared_from_this()] {
                         self->left_ = std::min(self->rows_.asked().page_size, self->rows_.size());
                         self->take_batch(self->left_);
                         self->describe([self] { self->answer_page(); });
                     }});
    }

    void walk() {
        auto page = std::make_shared<queue_walk>(rows_.asked());
        tour::start(call_->all, call_->home(), {core::control_shard},
                    {[self = shared_from_this(), page](core::shard& control, cursor&) {
                         return self->source_.walk(control, *page);
                     },
                     [self = shared_from_this(), page] { self->walked(*page); }});
    }

    void walked(queue_walk& page) {
        if (!rows_.asked().sort.empty() && page.vhosts() > 1) {
            collect();  // names first, whatever the vhost: that is another order
            return;
        }
        found_ = page.found();
        total_ = page.total();
        if (has_page()) {
            batch_ = std::move(page.rows());
            describe([self = shared_from_this()] { self->answer_page(); });
        }
    }

    // False: answered.
    bool has_page() {
        const auto& asked = rows_.asked();
        const auto begin = (asked.page - 1) * asked.page_size;
        if (asked.page == 1 || (asked.page - 1 <= found_ / asked.page_size && begin <= found_)) {
            return true;
        }
        call_->answer(error_answer(http::status::bad_request, "page_out_of_range",
                                   "the list has no page " + std::to_string(asked.page)));
        return false;
    }

    // ---- What is shown of it -------------------------------------------------------------------
    void answer_page() {
        const auto& asked = rows_.asked();
        text_ += ']';
        std::string out;
        out.reserve(text_.size() + page_frame_bytes);
        json_writer w(out);
        w.object()
            .member("filtered_count", found_)
            .member("item_count", shown_)
            .key("items")
            .raw(text_)
            .member("page", asked.page)
            .member("page_count", (found_ + asked.page_size - 1) / asked.page_size)
            .member("page_size", asked.page_size)
            .member("total_count", total_)
            .end();
        call_->json(std::move(out));
    }

    void take_batch(std::size_t count) {
        for (batch_.clear(); count != 0 && left_ != 0; --count, --left_) {
            batch_.push_back(rows_.take());
        }
    }

    // Adds the batch's JSON to text_, then `then` runs. A page of long rows is more than a turn's work.
    void describe(std::function<void()> then) {
        if (source_.describe == nullptr || batch_.empty()) {
            add_batch();
            then();
            return;
        }
        std::ranges::for_each(batch_, [this](const row& r) { note(shard_of(r)); });
        tour::start(call_->all, call_->home(), std::exchange(visits_, {}),
                    {[self = shared_from_this()](core::shard& here, cursor& at) {
                         const std::span all(self->batch_);
                         const auto part = all.subspan(at, std::min(described_a_turn, all.size() - at));
                         self->source_.describe(here, part, self->rows_.asked().columns);
                         at += static_cast<cursor>(part.size());
                         return at == all.size();
                     },
                     [self = shared_from_this(), then = std::move(then)] {
                         self->add_batch();
                         then();
                     }});
    }
    void note(core::shard_id s) {
        if (std::ranges::find(visits_, s) == visits_.end()) {
            visits_.push_back(s);
        }
    }
    void add_batch() {
        for (const auto& r : batch_) {
            if (!r.json.empty()) {
                text_ += shown_ == 0 ? "" : ",";
                text_ += r.json;
                ++shown_;
            }
        }
    }

    // ---- A long list, as it is read ------------------------------------------------------------
    class reader final : public http_source {
    public:
        explicit reader(std::shared_ptr<listing> l) noexcept : of_(std::move(l)) {}
        progress write(http_body& to) override { return of_->write(to); }

    private:
        std::shared_ptr<listing> of_;
    };

    void stream() {
        http_answer head{.fields = {{"Content-Type", "application/json"}, {"Cache-Control", "no-cache"}}};
        stream_ = call_->responder().stream(std::move(head), std::make_unique<reader>(shared_from_this()));
    }
    http_source::progress write(http_body& to) {
        if (!text_.empty()) {
            to.append(text_);
            text_.clear();
            return http_source::progress::more;
        }
        if (left_ == 0) {
            to.append("]");
            return http_source::progress::done;
        }
        if (!std::exchange(describing_, true)) {
            call_->all.post(call_->home(), [self = shared_from_this()] {
                self->take_batch(batch_rows);
                self->describe([self] {
                    self->describing_ = false;
                    self->stream_.wake();
                });
            });
        }
        return http_source::progress::waits;
    }

    call_ptr call_;
    row_source source_;
    row_list rows_;
    std::uint64_t found_ = 0;
    std::uint64_t total_ = 0;
    std::uint64_t left_ = 0;  // to be shown yet
    std::uint64_t shown_ = 0;
    std::vector<row> batch_;
    std::vector<core::shard_id> visits_;
    std::string text_ = "[";
    http_stream stream_;
    bool describing_ = false;
};

}  // namespace

void answer_list(call_ptr c, row_source s) {
    auto asked = page_request::read(*c);
    if (!asked) {
        c->bad_request(asked.error());
        return;
    }
    std::make_shared<listing>(std::move(c), std::move(s), std::move(*asked))->start();
}

}  // namespace linnet::admin
