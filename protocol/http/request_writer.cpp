#include "protocol/http/request_writer.hpp"

#include "protocol/http/percent.hpp"
#include "protocol/wire/check.hpp"

namespace linnet::http {
namespace {

// Without a body these say nothing of one (RFC 9110, section 8.6); the others say that it is empty.
bool is_usually_bodiless(method m) {
    return m == method::get || m == method::head || m == method::delete_ || m == method::options;
}

void append_target(std::string& out, std::string_view target) {
    for (const char& c : target) {
        if (c > ' ' && c < 0x7F)
            out += c;
        else
            append_percent_encoded(out, {&c, 1});
    }
}

}  // namespace

void append_request_head(std::string& out, method m, std::string_view target, std::string_view host,
                         std::span<const field> fields, std::optional<std::uint64_t> body_bytes, expect wish) {
    LINNET_WIRE_CHECK(m != method::other);
    out += name_of(m);
    out += ' ';
    append_target(out, target);
    out += " HTTP/1.1\r\n";
    append_field(out, "Host", host);
    for (const field& each : fields)
        append_field(out, each.name, each.value);
    if (!body_bytes)
        append_field(out, "Transfer-Encoding", "chunked");
    else if (*body_bytes > 0 || !is_usually_bodiless(m))
        append_field(out, "Content-Length", std::to_string(*body_bytes));
    if (wish == expect::continue_)
        append_field(out, "Expect", "100-continue");
    out += "\r\n";
}

void append_request(std::string& out, method m, std::string_view target, std::string_view host,
                    std::span<const field> fields, std::string_view body) {
    append_request_head(out, m, target, host, fields, body.size(), expect::nothing);
    out += body;
}

}  // namespace linnet::http
