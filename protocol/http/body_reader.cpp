#include "protocol/http/body_reader.hpp"

#include "protocol/http/syntax.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

constexpr unsigned size_digits_max = 16;  // 64 bits

constexpr int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    const char lower = to_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

void body_reader::start(kind how, std::uint64_t length, std::uint64_t limit) noexcept {
    *this = {};
    kind_ = how;
    left_ = how == kind::length ? length : 0;
    limit_ = limit;
}

body_reader::step body_reader::next(wire::bytes_view input) noexcept {
    switch (kind_) {
        case kind::empty: return {outcome::end, 0};
        case kind::length:
        case kind::until_close: return plain(input);
        case kind::chunked: return chunked(input);
    }
    return {outcome::end, 0};
}

body_reader::step body_reader::plain(wire::bytes_view input) noexcept {
    if (over_limit())
        return {outcome::refused, 0, {}, fault::body_too_large};
    if (kind_ == kind::length && left_ == 0)
        return {outcome::end, 0};
    if (input.empty())
        return {outcome::need_more, 0};
    if (kind_ == kind::length) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
        left_ -= size;
        limit_ -= size;
        return {outcome::piece, size, input.first(size)};
    }
    // What is still allowed is handed on first, so that the cuts of the input do not matter.
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(limit_, input.size()));
    if (size == 0)
        return {outcome::refused, 0, {}, fault::body_too_large};
    limit_ -= size;
    return {outcome::piece, size, input.first(size)};
}

body_reader::step body_reader::chunked(wire::bytes_view input) noexcept {
    for (std::size_t i = 0; i < input.size(); ++i) {
        if (at_ == at::data) {
            const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - i));
            left_ -= size;
            if (left_ == 0)
                at_ = at::data_return;
            return {outcome::piece, i + size, input.subspan(i, size)};
        }
        if (!take_byte(static_cast<char>(input[i])))
            return {outcome::refused, i, {}, why_};
        if (done_)
            return {outcome::end, i + 1};
    }
    return {outcome::need_more, input.size()};
}

bool body_reader::take_byte(char c) noexcept {
    switch (at_) {
        case at::size_first:
        case at::size: return take_size(c);
        case at::extension:
            if (c == '\r') {
                at_ = at::size_feed;
                return true;
            }
            if (is_control(c) && c != '\t')
                return refuse(fault::chunk_malformed);
            return ++extension_bytes_ <= extension_bytes_max || refuse(fault::chunk_extensions_too_large);
        case at::size_feed: return expect(c, '\n', at::data) && begin_chunk();
        case at::data: return true;  // never here: pieces are cut by chunked()
        case at::data_return: return expect(c, '\r', at::data_feed);
        case at::data_feed: return expect(c, '\n', at::size_first);
        case at::trailer_first:
        case at::trailer_name:
        case at::trailer_value:
        case at::trailer_feed: return take_trailer(c);
        case at::last_feed:
            if (c != '\n')
                return refuse(fault::trailer_malformed);
            done_ = true;
            return true;
    }
    return false;
}

bool body_reader::take_size(char c) noexcept {
    const int digit = hex_value(c);
    if (at_ == at::size_first) {
        left_ = 0;
        digits_ = 0;
        at_ = at::size;
        if (digit < 0)
            return refuse(fault::chunk_malformed);
    }
    if (digit >= 0) {
        left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
        return ++digits_ <= size_digits_max || refuse(fault::chunk_malformed);
    }
    if (c == ';')
        at_ = at::extension;
    else if (c == '\r')
        at_ = at::size_feed;
    else
        return refuse(fault::chunk_malformed);
    return c == '\r' || ++extension_bytes_ <= extension_bytes_max || refuse(fault::chunk_extensions_too_large);
}

// The size's line has ended: a chunk begins, or the trailer.
bool body_reader::begin_chunk() noexcept {
    if (left_ > limit_)
        return refuse(fault::body_too_large);
    limit_ -= left_;
    if (left_ == 0)
        at_ = at::trailer_first;
    return true;
}

bool body_reader::take_trailer(char c) noexcept {
    if (++trailer_bytes_ > trailer_bytes_max)
        return refuse(fault::trailer_too_large);
    switch (at_) {
        case at::trailer_first:
            at_ = c == '\r' ? at::last_feed : at::trailer_name;
            return c == '\r' || is_token_char(c) || refuse(fault::trailer_malformed);
        case at::trailer_name:
            if (c == ':')
                at_ = at::trailer_value;
            return c == ':' || is_token_char(c) || refuse(fault::trailer_malformed);
        case at::trailer_value:
            if (c == '\r')
                at_ = at::trailer_feed;
            return c == '\r' || c == '\t' || !is_control(c) || refuse(fault::trailer_malformed);
        case at::trailer_feed: at_ = at::trailer_first; return c == '\n' || refuse(fault::trailer_malformed);
        case at::size_first:
        case at::size:
        case at::extension:
        case at::size_feed:
        case at::data:
        case at::data_return:
        case at::data_feed:
        case at::last_feed: break;
    }
    return false;
}

bool body_reader::expect(char c, char wanted, at then) noexcept {
    at_ = then;
    return c == wanted || refuse(fault::chunk_malformed);
}

}  // namespace linnet::http
