#include "broker/app/placed_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

namespace linnet::app {

namespace {

constexpr std::size_t depth_max = 64;
constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

// What the library reads through, so that its events can be placed: it says nothing about where it is.
class counting_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    counting_iterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
    reference operator*() const { return *at_; }
    counting_iterator& operator++() {
        *reached_ = ++at_;
        return *this;
    }
    counting_iterator operator++(int) {
        auto before = *this;
        ++*this;
        return before;
    }
    bool operator==(const counting_iterator& other) const { return at_ == other.at_; }

private:
    const char* at_;
    const char** reached_;
};

// Builds the tree from the library's events.
class builder {
public:
    using number_integer_t = nlohmann::json::number_integer_t;
    using number_unsigned_t = nlohmann::json::number_unsigned_t;
    using number_float_t = nlohmann::json::number_float_t;
    using string_t = nlohmann::json::string_t;
    using binary_t = nlohmann::json::binary_t;

    builder(std::string_view text, const char** reached) : text_(text), reached_(reached), line_start_(text.data()) {}

    bool null() { return add({}, word_start()); }
    bool boolean(bool b) { return add(b, word_start()); }
    bool number_integer(number_integer_t n) { return add(std::int64_t{n}, word_start()); }
    bool number_unsigned(number_unsigned_t n) {
        if (n > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max())) {
            return refuse(word_start(), "the number is too large");
        }
        return add(static_cast<std::int64_t>(n), word_start());
    }
    bool number_float(number_float_t n, const string_t& text) {
        if (text.find_first_of(".eE") == string_t::npos) {
            return refuse(word_start(), "the number is too large");
        }
        return add(n, word_start());
    }
    bool string(string_t& s) { return add(std::move(s), string_start()); }
    bool binary(binary_t&) { return false; }
    bool start_object(std::size_t) { return open(placed_json::object{}); }
    bool start_array(std::size_t) { return open(placed_json::list{}); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(string_t& name) {
        if (open_.back().node.find(name) != nullptr) {
            return refuse(string_start(), fmt::format("\"{}\" is there already", name));
        }
        open_.back().name = std::move(name);
        return true;
    }
    bool parse_error(std::size_t read, const std::string&, const nlohmann::json::exception& e) {
        // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ...": the place is
        // ours.
        std::string_view what = e.what();
        if (const auto at = what.find("] "); at != std::string_view::npos) {
            what.remove_prefix(at + 2);
        }
        if (const auto at = what.find(": "); what.starts_with("parse error") && at != std::string_view::npos) {
            what.remove_prefix(at + 2);
        }
        // The end of the text counts as read, too.
        return refuse(text_.data() + std::min(read == 0 ? 0 : read - 1, text_.size()), std::string(what));
    }

    [[nodiscard]] placed_json take() { return std::move(root_); }
    [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }
    [[nodiscard]] std::uint32_t complaint_line() const noexcept { return complaint_line_; }
    [[nodiscard]] std::uint32_t complaint_column() const noexcept { return complaint_column_; }

private:
    struct level {
        placed_json node;
        std::string name;  // of the member that comes next
    };

    // Where the token began whose last byte, or the one behind it, has just been read.
    [[nodiscard]] const char* string_start() const {
        const char* at = *reached_ - 2;  // before the closing quote
        for (;; --at) {
            if (*at == '"') {
                const char* back = at;
                while (back != text_.data() && back[-1] == '\\') {
                    --back;
                }
                if ((at - back) % 2 == 0) {
                    return at;
                }
            }
        }
    }
    [[nodiscard]] const char* word_start() const {
        const auto of_word = [](char c) {
            return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' || c == 'E';
        };
        const char* at = *reached_;
        // A number is known to end only by what follows it.
        while (at != text_.data() && !of_word(at[-1])) {
            --at;
        }
        while (at != text_.data() && of_word(at[-1])) {
            --at;
        }
        return at;
    }

    void place(const char* at, std::uint32_t& line, std::uint32_t& column) {
        for (; counted_ < at; ++counted_) {
            if (*counted_ == '\n') {
                ++line_;
                line_start_ = counted_ + 1;
            }
        }
        line = line_;
        column = static_cast<std::uint32_t>(at - line_start_) + 1;
    }
    bool refuse(const char* at, std::string why) {
        complaint_ = std::move(why);
        place(at, complaint_line_, complaint_column_);
        return false;
    }
    template <class T>
    bool add(T&& value, const char* at) {
        placed_json made;
        made.value = std::forward<T>(value);
        place(at, made.line, made.column);
        return put(std::move(made));
    }
    bool add(std::monostate, const char* at) { return add<std::monostate>(std::monostate{}, at); }
    bool put(placed_json&& made) {
        if (open_.empty()) {
            root_ = std::move(made);
        } else if (auto* list = std::get_if<placed_json::list>(&open_.back().node.value)) {
            list->push_back(std::move(made));
        } else {
            auto& object = std::get<placed_json::object>(open_.back().node.value);
            object.emplace_back(std::move(open_.back().name), std::move(made));
        }
        return true;
    }
    template <class T>
    bool open(T&& container) {
        const char* at = *reached_ - 1;
        if (open_.size() == depth_max) {
            return refuse(at, fmt::format("nested more than {} deep", depth_max));
        }
        level made;
        made.node.value = std::forward<T>(container);
        place(at, made.node.line, made.node.column);
        open_.push_back(std::move(made));
        return true;
    }
    bool close() {
        auto done = std::move(open_.back().node);
        open_.pop_back();
        return put(std::move(done));
    }

    std::string_view text_;
    const char** reached_;
    std::vector<level> open_;
    placed_json root_;

    // Lines are counted once, going forward; every place asked for lies behind the one before.
    const char* counted_ = text_.data();
    const char* line_start_;
    std::uint32_t line_ = 1;

    std::string complaint_;
    std::uint32_t complaint_line_ = 0;
    std::uint32_t complaint_column_ = 0;
};

[[nodiscard]] nlohmann::ordered_json to_library(const placed_json& v) {
    using nlohmann::ordered_json;
    struct {
        ordered_json operator()(std::monostate) const { return nullptr; }
        ordered_json operator()(bool b) const { return b; }
        ordered_json operator()(std::int64_t n) const { return n; }
        ordered_json operator()(double d) const { return d; }
        ordered_json operator()(const std::string& s) const { return s; }
        ordered_json operator()(const placed_json::list& list) const {
            auto made = ordered_json::array();
            for (const auto& item : list) {
                made.push_back(to_library(item));
            }
            return made;
        }
        ordered_json operator()(const placed_json::object& object) const {
            auto made = ordered_json::object();
            for (const auto& [name, item] : object) {
                made[name] = to_library(item);
            }
            return made;
        }
    } convert;
    return std::visit(convert, v.value);
}

}  // namespace

placed_json::placed_json() = default;
placed_json::placed_json(const placed_json&) = default;
placed_json::placed_json(placed_json&&) noexcept = default;
placed_json& placed_json::operator=(const placed_json&) = default;
placed_json& placed_json::operator=(placed_json&&) noexcept = default;
placed_json::~placed_json() = default;

std::string_view placed_json::kind() const noexcept {
    static constexpr std::array<std::string_view, 7> names{"null",     "a boolean", "an integer", "a number",
                                                           "a string", "a list",    "an object"};
    return names[value.index()];
}

const placed_json* placed_json::find(std::string_view name) const noexcept {
    const auto* members = as<object>();
    if (members == nullptr) {
        return nullptr;
    }
    const auto at = std::ranges::find(*members, name, &member::first);
    return at == members->end() ? nullptr : &at->second;
}

result<placed_json, placed_error> parse_json(std::string_view text, const std::string& source) {
    if (text.starts_with(byte_order_mark)) {
        text.remove_prefix(byte_order_mark.size());
    }
    const char* reached = text.data();
    builder b(text, &reached);
    const counting_iterator begin(text.data(), &reached);
    const counting_iterator end(text.data() + text.size(), &reached);
    if (!nlohmann::json::sax_parse(begin, end, &b)) {
        return fail(placed_error{{source, b.complaint_line(), b.complaint_column()}, b.complaint()});
    }
    return b.take();
}

std::string to_text(const placed_json& v) {
    return to_library(v).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace linnet::app
