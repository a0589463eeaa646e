#include "protocol/http/sse.hpp"

#include "protocol/http/base64.hpp"
#include "protocol/http/json_text.hpp"
#include "protocol/http/media_type.hpp"
#include "protocol/wire/utf8.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

constexpr std::string_view enclosed_mark = ";base64";
// In an id a NUL makes readers drop it; in a name it is of no use to anybody.
constexpr std::string_view not_in_a_line{"\r\n\0", 3};

void append_line(std::string& out, std::string_view field, std::string_view value) {
    out += field;
    out += ": ";  // readers take one space away, so that one of the value's own stays
    for (const char c : value) {
        if (not_in_a_line.find(c) == std::string_view::npos)
            out += c;
    }
    out += '\n';
}

void append_head(std::string& out, std::string_view id, std::string_view name) {
    if (!id.empty())
        append_line(out, "id", id);
    if (!name.empty())
        append_line(out, "event", name);
}

void append_data(std::string& out, std::string_view data) {
    // What is sent raw has none of them, and one character is found much faster than one of two.
    const bool has_returns = data.find('\r') != std::string_view::npos;
    for (;;) {
        const std::size_t end = std::min(has_returns ? data.find_first_of("\r\n") : data.find('\n'), data.size());
        out += "data: ";
        out += data.substr(0, end);
        out += '\n';
        if (end == data.size())
            return;
        data.remove_prefix(end + (data.substr(end, 2) == "\r\n" ? 2 : 1));
    }
}

void append_enclosed(std::string& out, const sse_message& message) {
    append_head(out, message.id, std::string{message.name.empty() ? "message" : message.name}.append(enclosed_mark));
    out += "data: {\"content_type\":";
    append_json_string(out, message.content_type);
    out += ",\"base64\":\"";
    append_base64(out, message.body);
    out += "\"}\n\n";
}

}  // namespace

void append_event(std::string& out, const sse_event& event) {
    append_head(out, event.id, event.name);
    append_data(out, event.data);
    out += '\n';
}

bool is_sent_raw(const sse_message& message) {
    // A name that loses a character could end up with the mark.
    return !message.name.ends_with(enclosed_mark) &&
           message.name.find_first_of(not_in_a_line) == std::string_view::npos && is_text_type(message.content_type) &&
           message.body.find('\r') == std::string_view::npos && wire::is_utf8(message.body);
}

void append_message(std::string& out, const sse_message& message) {
    if (is_sent_raw(message))
        append_event(out, {message.id, message.name, message.body});
    else
        append_enclosed(out, message);
}

void append_gap(std::string& out, std::string_view id, std::uint64_t from, std::uint64_t to) {
    const std::string data = "{\"from\":" + std::to_string(from) + ",\"to\":" + std::to_string(to) + '}';
    append_event(out, {id, "gap", data});
}

void append_retry(std::string& out, std::uint32_t ms) { out += "retry: " + std::to_string(ms) + "\n\n"; }

}  // namespace linnet::http
