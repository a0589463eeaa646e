#include "broker/admin/listing.hpp"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <utility>

namespace linnet::admin {
namespace {

using session::http_answer;
using session::http_body;
using session::http_source;
using session::http_stream;

constexpr std::size_t batch_rows = 100;
constexpr std::uint64_t few_rows = 2000;  // that many can be put in order in one turn
constexpr std::size_t skipped_a_turn = 2000;
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
    const auto asked = [](const order_key& k) { return std::tuple(k.is_text, k.number, k.text); };
    if (!asked_.sort.empty() && asked(a) != asked(b)) {
        return asked_.reverse ? asked(a) < asked(b) : asked(b) < asked(a);
    }
    const auto names = [](const order_key& k) { return std::tuple(k.vhost, k.name); };
    return asked_.reverse && asked_.sort.empty() ? names(a) < names(b) : names(b) < names(a);
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
    if (kept_max_ == 0) {
        std::ranges::push_heap(rows_, [this](const row& a, const row& b) { return later(key_of(a), key_of(b)); });
        return;
    }
    in_order_ = false;
    if (rows_.size() == 2 * kept_max_) {
        drop_late_ones();
    }
}

void row_list::drop_late_ones() {
    const auto end = rows_.begin() + static_cast<std::ptrdiff_t>(kept_max_);
    std::ranges::nth_element(rows_, end - 1,
                             [this](const row& a, const row& b) { return later(key_of(b), key_of(a)); });
    rows_.erase(end, rows_.end());
    dropped_ = true;
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

row row_list::take() {
    const auto order = [this](const row& a, const row& b) { return later(key_of(a), key_of(b)); };
    if (!std::exchange(in_order_, true)) {
        std::ranges::make_heap(rows_, order);
    }
    std::ranges::pop_heap(rows_, order);
    row r = std::move(rows_.back());
    rows_.pop_back();
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

    void collect() {
        tour::start(call_->all, call_->home(), source_.where,
                    {[self = shared_from_this()](core::shard& here, cursor& at) {
                         return self->source_.collect(here, at, self->rows_);
                     },
                     [self = shared_from_this()] { self->collected(); }});
    }

private:
    void collected() {
        const auto& asked = rows_.asked();
        if (!asked.paged) {
            left_ = rows_.size();
            if (left_ >= streamed_from_rows) {
                stream();
            } else {
                next_batch(left_, [self = shared_from_this()] { self->call_->json("[" + self->text_ + "]"); });
            }
            return;
        }
        const auto skip = (asked.page - 1) * asked.page_size;
        if (asked.page > 1 && (asked.page - 1 > rows_.found() / asked.page_size || skip > rows_.found())) {
            call_->answer(error_answer(http::status::bad_request, "page_out_of_range",
                                       "the list has no page " + std::to_string(asked.page)));
            return;
        }
        tour::start(call_->all, call_->home(), {call_->home()},
                    {[self = shared_from_this(), left = skip](core::shard&, cursor&) mutable {
                         for (std::size_t n = 0; left != 0 && n < skipped_a_turn; ++n, --left) {
                             static_cast<void>(self->rows_.take());
                         }
                         return left == 0;
                     },
                     [self = shared_from_this()] { self->page(); }});
    }

    void page() {
        left_ = std::min(rows_.asked().page_size, rows_.size());
        next_batch(left_, [self = shared_from_this()] { self->answer_page(); });
    }

    void answer_page() {
        const auto& asked = rows_.asked();
        std::string out;
        json_writer w(out);
        w.object()
            .member("filtered_count", rows_.found())
            .member("item_count", shown_)
            .key("items")
            .raw("[" + text_ + "]")
            .member("page", asked.page)
            .member("page_count", (rows_.found() + asked.page_size - 1) / asked.page_size)
            .member("page_size", asked.page_size)
            .member("total_count", rows_.total())
            .end();
        call_->json(std::move(out));
    }

    // Takes so many rows off the list and describes them; their JSON is added to text_, then `then` runs.
    void next_batch(std::size_t count, std::function<void()> then) {
        batch_.clear();
        for (; count != 0 && left_ != 0; --count, --left_) {
            batch_.push_back(rows_.take());
        }
        if (source_.describe == nullptr || batch_.empty()) {
            add_batch();
            then();
            return;
        }
        std::ranges::for_each(batch_, [this](const row& r) { note(shard_of(r)); });
        tour::start(call_->all, call_->home(), std::exchange(visits_, {}),
                    {[self = shared_from_this()](core::shard& here, cursor&) {
                         self->source_.describe(here, self->batch_, self->rows_.asked().columns);
                         return true;
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
        text_ = "[";
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
                self->next_batch(batch_rows, [self] {
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
    std::uint64_t left_ = 0;  // to be shown yet
    std::uint64_t shown_ = 0;
    std::vector<row> batch_;
    std::vector<core::shard_id> visits_;
    std::string text_;
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
    std::make_shared<listing>(std::move(c), std::move(s), std::move(*asked))->collect();
}

}  // namespace linnet::admin
