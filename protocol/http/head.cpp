#include "protocol/http/head.hpp"

#include <algorithm>
#include <cstring>

namespace linnet::http {

void head_collector::start_over() {
    if (head_.capacity() > kept_bytes)
        head_ = {};
    head_.clear();
    lines_ = line_bytes_ = 0;
    skipped_blank_ = whole_ = false;
}

head_collector::taken head_collector::take(std::string_view input, const head_limits& limits) {
    std::size_t from = 0;  // behind a skipped empty line
    std::size_t at = 0;
    for (;;) {
        if (lines_ == 0 && line_bytes_ == 0 && at < input.size() && !is_token_char(input[at]) && input[at] != '\r')
            return {state::refused, at, fault::start_line_malformed};
        const std::size_t left = input.size() - at;
        const std::size_t head_room = limits.head_bytes_max - head_.size() - (at - from);
        const std::size_t line_room = lines_ == 0 ? limits.start_line_bytes_max -
                                                        std::min(line_bytes_, limits.start_line_bytes_max)
                                                  : head_room;
        const std::size_t room = std::min({left, head_room, line_room});
        const void* const feed = room == 0 ? nullptr : std::memchr(input.data() + at, '\n', room);
        if (feed == nullptr) {
            if (room < left)
                return {state::refused, at, lines_ == 0 ? fault::target_too_long : fault::head_too_large};
            if (left > 0) {
                line_first_ = line_bytes_ == 0 ? input[at] : line_first_;
                line_bytes_ += left;
                last_ = input.back();
            }
            head_.append(input.substr(from));
            return {state::more, input.size()};
        }
        const auto bytes = static_cast<std::size_t>(static_cast<const char*>(feed) - (input.data() + at)) + 1;
        const line_end line{line_bytes_ + bytes, line_bytes_ == 0 ? input[at] : line_first_,
                            bytes > 1 ? input[at + bytes - 2] : (line_bytes_ > 0 ? last_ : '\0')};
        at += bytes;
        line_kind kind{};
        if (const auto why = end_line(line, limits, kind))
            return {state::refused, at, *why};
        if (kind == line_kind::leading_blank) {
            head_.clear();  // its carriage return may have come earlier
            from = at;
        } else if (kind == line_kind::blank) {
            head_.append(input.substr(from, at - from));
            whole_ = true;
            return {state::whole, at};
        }
    }
}

std::optional<fault> head_collector::end_line(line_end line, const head_limits& limits, line_kind& kind) noexcept {
    line_bytes_ = 0;
    if (line.before_feed != '\r')
        return fault::line_ending_malformed;
    if (line.line_bytes == 2) {
        // RFC 9112, section 2.2: some clients end a body with an empty line that no length counts. One is forgiven.
        if (lines_ == 0 && skipped_blank_)
            return fault::start_line_malformed;
        kind = lines_ == 0 ? line_kind::leading_blank : line_kind::blank;
        skipped_blank_ = true;
        return std::nullopt;
    }
    kind = line_kind::text;
    if (lines_ > 0 && (line.first == ' ' || line.first == '\t'))
        return lines_ == 1 ? fault::field_malformed : fault::field_folded;
    if (++lines_ > limits.fields_max + 1)
        return fault::fields_too_many;
    return std::nullopt;
}

std::optional<fault> read_body_length(const field_list& fields, unsigned minor_version, body_length& into) {
    into = {};
    const std::size_t lengths = fields.count("Content-Length");
    const std::size_t encodings = fields.count("Transfer-Encoding");
    if (lengths > 0 && encodings > 0)
        return fault::transfer_encoding_and_length;
    if (lengths > 1)
        return fault::content_length_repeated;
    if (encodings > 0) {
        if (encodings > 1 || !equal_ignoring_case(fields.get("Transfer-Encoding"), "chunked"))
            return fault::transfer_encoding_unknown;
        if (minor_version == 0)
            return fault::transfer_encoding_too_old;
        into.chunked = true;
    }
    if (lengths > 0) {
        into.content_length = parse_decimal(fields.get("Content-Length"));
        if (!into.content_length)
            return fault::content_length_malformed;
    }
    return std::nullopt;
}

bool keeps_alive(const field_list& fields, unsigned minor_version) noexcept {
    if (fields.lists("Connection", "close"))
        return false;
    return minor_version > 0 || fields.lists("Connection", "keep-alive");
}

}  // namespace linnet::http
