#include "protocol/http/request_parser.hpp"

namespace linnet::http {
namespace {

constexpr std::size_t method_bytes_max = 32;
constexpr std::size_t around_target_bytes = method_bytes_max + std::string_view{"  HTTP/1.1\r\n"}.size();

}  // namespace

request_parser::step request_parser::next(wire::bytes_view input) {
    switch (stage_) {
        case stage::head: return take_head(input);
        case stage::limit: return admit_body(input);
        case stage::body: return take_body(input);
        case stage::refused: return {request_event::refused, 0, {}, why_};
    }
    return {request_event::refused, 0, {}, why_};
}

request_parser::step request_parser::take_head(wire::bytes_view input) {
    if (collector_.whole())
        start_over();
    const head_limits limits{limits_.target_bytes_max + around_target_bytes, limits_.head_bytes_max,
                             limits_.fields_max};
    const auto found = collector_.take(wire::as_text(input), limits);
    switch (found.now) {
        case head_collector::state::more: return {request_event::need_more, found.bytes};
        case head_collector::state::refused: return refuse(found.why, found.bytes);
        case head_collector::state::whole: break;
    }
    if (const auto why = understand())
        return refuse(*why, found.bytes);
    body_limit_ = limits_.body_bytes_max;
    stage_ = stage::limit;
    return {request_event::head, found.bytes};
}

void request_parser::start_over() {
    request_.clear();  // before what it views goes
    collector_.start_over();
}

std::optional<fault> request_parser::understand() {
    request_line start;
    const auto unreadable = parse_request_head(collector_.head(), start, request_.fields);
    request_.method = method_of(start.method);
    request_.method_name = start.method;
    request_.minor_version = start.minor_version;
    if (unreadable)
        return unreadable;
    if (start.method.size() > method_bytes_max)
        return fault::start_line_malformed;
    if (start.target.size() > limits_.target_bytes_max)
        return fault::target_too_long;
    if (const auto why = request_.target.parse(start.target))
        return why;
    if (request_.target.is_asterisk() && request_.method != method::options)
        return fault::target_malformed;
    body_length length;
    if (const auto why = read_body_length(request_.fields, start.minor_version, length))
        return why;
    request_.content_length = length.content_length;
    request_.chunked = length.chunked;
    request_.keep_alive = keeps_alive(request_.fields, start.minor_version);
    if (request_.fields.count("Authorization") > 1)
        return fault::field_repeated;
    if (const auto why = find_host())
        return why;
    if (start.minor_version > 0 && request_.fields.lists("Connection", "upgrade"))
        request_.upgrade = request_.fields.get("Upgrade");
    return find_expectation();
}

std::optional<fault> request_parser::find_host() {
    const auto host = request_.fields.find("Host");
    if (!host && request_.minor_version > 0)
        return fault::host_missing;
    if (request_.fields.count("Host") > 1)
        return fault::host_repeated;
    if (host && !is_authority(*host))
        return fault::host_malformed;
    const std::string_view authority = request_.target.authority();
    request_.host = authority.empty() ? host.value_or("") : authority;
    return std::nullopt;
}

std::optional<fault> request_parser::find_expectation() {
    const std::string expected = request_.fields.joined("Expect");
    if (!expected.empty() && request_.minor_version > 0 && !equal_ignoring_case(expected, "100-continue"))
        return fault::expectation_unknown;
    request_.expects_continue = !expected.empty() && request_.minor_version > 0 && request_.has_body();
    return std::nullopt;
}

request_parser::step request_parser::admit_body(wire::bytes_view input) {
    using kind = body_reader::kind;
    body_.start(request_.chunked      ? kind::chunked
                : request_.has_body() ? kind::length
                                      : kind::empty,
                request_.content_length.value_or(0), body_limit_);
    if (body_.over_limit())
        return refuse(fault::body_too_large, 0);
    stage_ = stage::body;
    if (request_.expects_continue)
        return {request_event::continue_wanted, 0};
    return take_body(input);
}

request_parser::step request_parser::take_body(wire::bytes_view input) {
    const auto found = body_.next(input);
    switch (found.what) {
        case body_reader::outcome::need_more: return {request_event::need_more, found.taken};
        case body_reader::outcome::piece: return {request_event::body, found.taken, found.piece};
        case body_reader::outcome::refused: return refuse(found.why, found.taken);
        case body_reader::outcome::end: break;
    }
    stage_ = stage::head;
    return {request_event::end, found.taken};
}

request_parser::step request_parser::refuse(fault why, std::size_t taken) noexcept {
    stage_ = stage::refused;
    why_ = why;
    return {request_event::refused, taken, {}, why};
}

preface_match match_http2_preface(wire::bytes_view input) noexcept {
    const std::string_view begun = wire::as_text(input).substr(0, http2_preface.size());
    if (begun != http2_preface.substr(0, begun.size()))
        return preface_match::mismatch;
    return begun.size() == http2_preface.size() ? preface_match::complete : preface_match::need_more;
}

}  // namespace linnet::http
