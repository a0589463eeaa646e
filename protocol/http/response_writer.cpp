#include "protocol/http/response_writer.hpp"

#include "protocol/wire/check.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace linnet::http {
namespace {

void append_number(std::string& out, std::uint64_t value, int base = 10) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
    out.append(digits.data(), end);
}

void append_status_line(std::string& out, status code) {
    out += "HTTP/1.1 ";
    append_number(out, number_of(code));
    out += ' ';
    out += reason_of(code);
    out += "\r\n";
}

void append_trusted_field(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
}

bool is_framing(std::string_view name) {
    const auto same = [&](std::string_view ours) { return equal_ignoring_case(ours, name); };
    return same("Content-Length") || same("Transfer-Encoding") || same("Connection");
}

}  // namespace

bool append_field(std::string& out, std::string_view name, std::string_view value) {
    if (!is_token(name))
        return false;
    const std::size_t begin = out.size() + name.size() + 2;
    append_trusted_field(out, name, value);
    if (!is_field_value(value)) [[unlikely]] {
        const auto from = out.begin() + static_cast<std::ptrdiff_t>(begin);
        std::replace_if(from, from + static_cast<std::ptrdiff_t>(value.size()), is_control, ' ');
    }
    return true;
}

response_writer::response_writer(std::string& out, reply_to to, status code, std::string_view date)
    : out_{out}, to_{to}, status_{code} {
    append_status_line(out_, code);
    if (!date.empty())
        append_field(out_, "Date", date);
}

response_writer::~response_writer() { LINNET_WIRE_CHECK(ended_); }

response_writer& response_writer::field(std::string_view name, std::string_view value) {
    LINNET_WIRE_CHECK(!ended_);
    if (!is_framing(name))
        append_field(out_, name, value);
    return *this;
}

response_writer& response_writer::field(std::string_view name, std::uint64_t value) {
    std::string digits;
    append_number(digits, value);
    return field(name, digits);
}

void response_writer::body(std::string_view content) {
    if (length(content.size()))
        out_ += content;
}

bool response_writer::length(std::uint64_t bytes) {
    // RFC 9110, section 8.6: 1xx and 204 must not have a length, and that of a 304 would be the other response's.
    if (!is_bodiless(number_of(status_))) {
        out_ += "Content-Length: ";
        append_number(out_, bytes);
        out_ += "\r\n";
    }
    end_head();
    return may_have_body() && bytes > 0;
}

stream_form response_writer::stream() {
    if (is_bodiless(number_of(status_))) {
        end_head();
        return stream_form::nothing;
    }
    const bool chunks = to_.minor_version > 0;
    if (chunks)
        append_trusted_field(out_, "Transfer-Encoding", "chunked");
    else
        close();
    end_head();
    if (!may_have_body())
        return stream_form::nothing;
    return chunks ? stream_form::chunks : stream_form::until_close;
}

void response_writer::end_head() {
    LINNET_WIRE_CHECK(!ended_);
    if (!to_.keep_alive)
        append_trusted_field(out_, "Connection", "close");
    else if (to_.minor_version == 0)
        append_trusted_field(out_, "Connection", "keep-alive");
    out_ += "\r\n";
    ended_ = true;
}

void append_chunk_head(std::string& out, std::size_t bytes) {
    LINNET_WIRE_CHECK(bytes > 0);
    append_number(out, bytes, 16);
    out += "\r\n";
}

void append_chunk(std::string& out, std::string_view bytes) {
    if (bytes.empty())
        return;
    append_chunk_head(out, bytes.size());
    out += bytes;
    out += chunk_end;
}

void append_upgrade(std::string& out, std::string_view protocol, std::string_view date, std::span<const field> more) {
    append_status_line(out, status::switching_protocols);
    if (!date.empty())
        append_field(out, "Date", date);
    append_trusted_field(out, "Connection", "Upgrade");
    append_field(out, "Upgrade", protocol);
    for (const field& each : more) {
        if (!is_framing(each.name))
            append_field(out, each.name, each.value);
    }
    out += "\r\n";
}

}  // namespace linnet::http
