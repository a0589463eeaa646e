// Why bytes that a peer has sent are not HTTP/1.1 as Linnet speaks it, and what to tell the peer.
//
// All of them end the connection: where one message ends badly, nobody knows where the next begins.
#pragma once

#include "protocol/http/status.hpp"

namespace linnet::http {

enum class fault : std::uint8_t {
    start_line_malformed,
    version_unsupported,  // HTTP, but neither 1.0 nor 1.1
    http2_preface,
    line_ending_malformed,  // a line feed without its carriage return
    target_too_long,        // or whatever else makes the start line so
    target_malformed,
    escape_malformed,  // a % without two hexadecimal digits, or %00
    target_climbs,     // a segment . or ..
    head_too_large,
    fields_too_many,
    field_malformed,
    field_folded,
    field_repeated,  // a second Authorization
    host_missing,
    host_repeated,
    host_malformed,
    content_length_malformed,
    content_length_repeated,
    transfer_encoding_unknown,  // anything but one `chunked`
    transfer_encoding_too_old,  // in HTTP/1.0, which has none
    transfer_encoding_and_length,
    expectation_unknown,
    body_too_large,
    chunk_malformed,
    chunk_extensions_too_large,
    trailer_malformed,
    trailer_too_large,
    message_truncated,  // the peer has closed within a message
};

[[nodiscard]] constexpr status status_of(fault why) noexcept {
    switch (why) {
        case fault::version_unsupported:
        case fault::http2_preface: return status::version_not_supported;
        case fault::target_too_long: return status::uri_too_long;
        case fault::head_too_large:
        case fault::fields_too_many:
        case fault::trailer_too_large: return status::header_fields_too_large;
        case fault::transfer_encoding_unknown: return status::not_implemented;
        case fault::expectation_unknown: return status::expectation_failed;
        case fault::body_too_large: return status::content_too_large;
        case fault::start_line_malformed:
        case fault::line_ending_malformed:
        case fault::target_malformed:
        case fault::escape_malformed:
        case fault::target_climbs:
        case fault::field_malformed:
        case fault::field_folded:
        case fault::field_repeated:
        case fault::host_missing:
        case fault::host_repeated:
        case fault::host_malformed:
        case fault::content_length_malformed:
        case fault::content_length_repeated:
        case fault::transfer_encoding_too_old:
        case fault::transfer_encoding_and_length:
        case fault::chunk_malformed:
        case fault::chunk_extensions_too_large:
        case fault::trailer_malformed:
        case fault::message_truncated: return status::bad_request;
    }
    return status::bad_request;
}

[[nodiscard]] constexpr std::string_view describe(fault why) noexcept {
    switch (why) {
        case fault::start_line_malformed: return "malformed start line";
        case fault::version_unsupported: return "neither HTTP/1.0 nor HTTP/1.1";
        case fault::http2_preface: return "HTTP/2 is not spoken here";
        case fault::line_ending_malformed: return "a line does not end in CR LF";
        case fault::target_too_long: return "start line too long";
        case fault::target_malformed: return "malformed request target";
        case fault::escape_malformed: return "malformed percent-encoding in the request target";
        case fault::target_climbs: return "a segment of the path is . or ..";
        case fault::head_too_large: return "header fields too large";
        case fault::fields_too_many: return "too many header fields";
        case fault::field_malformed: return "malformed header field";
        case fault::field_folded: return "a header field goes on in a second line";
        case fault::field_repeated: return "a header field that may stand once stands twice";
        case fault::host_missing: return "no Host";
        case fault::host_repeated: return "more than one Host";
        case fault::host_malformed: return "malformed Host";
        case fault::content_length_malformed: return "malformed Content-Length";
        case fault::content_length_repeated: return "more than one Content-Length";
        case fault::transfer_encoding_unknown: return "a Transfer-Encoding other than chunked";
        case fault::transfer_encoding_too_old: return "Transfer-Encoding in HTTP/1.0";
        case fault::transfer_encoding_and_length: return "both Transfer-Encoding and Content-Length";
        case fault::expectation_unknown: return "an expectation other than 100-continue";
        case fault::body_too_large: return "body too large";
        case fault::chunk_malformed: return "malformed chunk";
        case fault::chunk_extensions_too_large: return "chunk extensions too large";
        case fault::trailer_malformed: return "malformed trailer field";
        case fault::trailer_too_large: return "trailer fields too large";
        case fault::message_truncated: return "the message ends before its end";
    }
    return "unknown fault";
}

}  // namespace linnet::http
