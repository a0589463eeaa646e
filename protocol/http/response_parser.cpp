#include "protocol/http/response_parser.hpp"

namespace linnet::http {

response_parser::step response_parser::next(wire::bytes_view input, asked request) {
    switch (stage_) {
        case stage::head: return take_head(input, request);
        case stage::body: return take_body(input);
        case stage::refused: break;
    }
    return {response_event::refused, 0, {}, why_};
}

response_parser::step response_parser::take_head(wire::bytes_view input, asked request) {
    if (collector_.whole()) {
        response_ = {};  // before what it views goes
        collector_.start_over();
    }
    const auto found = collector_.take(wire::as_text(input),
                                       {limits_.head_bytes_max, limits_.head_bytes_max, limits_.fields_max});
    switch (found.now) {
        case head_collector::state::more: return {response_event::need_more, found.bytes};
        case head_collector::state::refused: return refuse(found.why, found.bytes);
        case head_collector::state::whole: break;
    }
    if (const auto why = understand(request))
        return refuse(*why, found.bytes);
    stage_ = stage::body;
    return {response_event::head, found.bytes};
}

std::optional<fault> response_parser::understand(asked request) {
    status_line start;
    if (const auto why = parse_response_head(collector_.head(), start, response_.fields))
        return why;
    response_.code = start.code;
    response_.reason = start.reason;
    response_.minor_version = start.minor_version;
    if (start.code < 100 || start.code > 599)
        return fault::start_line_malformed;
    body_length length;
    if (const auto why = read_body_length(response_.fields, start.minor_version, length))
        return why;
    response_.content_length = length.content_length;
    response_.chunked = length.chunked;
    response_.keep_alive = keeps_alive(response_.fields, start.minor_version);
    start_body(request);
    return std::nullopt;
}

// RFC 9112, section 6.3.
void response_parser::start_body(asked request) noexcept {
    using kind = body_reader::kind;
    kind how = kind::until_close;
    if (request == asked::head_only || is_bodiless(response_.code))
        how = kind::empty;
    else if (response_.chunked)
        how = kind::chunked;
    else if (response_.content_length)
        how = kind::length;
    if (how == kind::until_close)
        response_.keep_alive = false;
    body_.start(how, response_.content_length.value_or(0), limits_.body_bytes_max);
}

response_parser::step response_parser::take_body(wire::bytes_view input) {
    const auto found = body_.next(input);
    switch (found.what) {
        case body_reader::outcome::need_more: return {response_event::need_more, found.taken};
        case body_reader::outcome::piece: return {response_event::body, found.taken, found.piece};
        case body_reader::outcome::refused: return refuse(found.why, found.taken);
        case body_reader::outcome::end: break;
    }
    stage_ = stage::head;
    return {response_event::end, found.taken};
}

response_parser::step response_parser::at_close() {
    switch (stage_) {
        case stage::head:
            if (collector_.empty() || collector_.whole())
                return {response_event::end, 0};
            return refuse(fault::message_truncated, 0);
        case stage::body:
            if (!body_.ends_here())
                return refuse(fault::message_truncated, 0);
            stage_ = stage::head;
            return {response_event::end, 0};
        case stage::refused: break;
    }
    return {response_event::refused, 0, {}, why_};
}

response_parser::step response_parser::refuse(fault why, std::size_t taken) noexcept {
    stage_ = stage::refused;
    why_ = why;
    return {response_event::refused, taken, {}, why};
}

}  // namespace linnet::http
