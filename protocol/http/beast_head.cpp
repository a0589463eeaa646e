// The only file that sees Boost.Beast: its grammar of start lines and fields, run over a head that is whole.
//
// Beast's own reading of bodies is left out (`skip`): it takes chunk extensions of any length, waits for trailers
// in one piece, and takes Transfer-Encoding fields other than `chunked` for none at all. See body_reader.
#include "protocol/http/head.hpp"

#include <boost/beast/http/basic_parser.hpp>

namespace linnet::http {
namespace {

namespace beast = boost::beast;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// What Beast calls back with, put down in our own words.
template <bool IsRequest, class Start>
class head_reader final : public beast::http::basic_parser<IsRequest> {
public:
    head_reader(std::size_t head_bytes, Start& start, field_list& fields) : start_{start}, fields_{fields} {
        this->header_limit(static_cast<std::uint32_t>(head_bytes + 1));
        this->skip(true);
    }

private:
    using verb = beast::http::verb;
    using error_code = beast::error_code;

    void on_request_impl(verb, beast::string_view method, beast::string_view target, int version,
                         error_code&) override {
        if constexpr (IsRequest)
            start_ = {view(method), view(target), static_cast<unsigned>(version % 10)};
    }
    void on_response_impl(int code, beast::string_view reason, int version, error_code&) override {
        if constexpr (!IsRequest)
            start_ = {static_cast<unsigned>(code), view(reason), static_cast<unsigned>(version % 10)};
    }
    void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value, error_code&) override {
        fields_.add({view(name), view(value)});
    }
    void on_header_impl(error_code&) override {}
    void on_finish_impl(error_code&) override {}
    // With `skip` there is no body to tell of.
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(beast::string_view, error_code&) override { return 0; }
    void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, error_code&) override { return 0; }

    Start& start_;
    field_list& fields_;
};

// HTTP/ digit . digit
bool is_version(std::string_view text) {
    const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '9'; };
    return text.size() == 8 && text.substr(0, 5) == "HTTP/" && digit(5) && text[6] == '.' && digit(7);
}

// A version of HTTP that we do not speak, or no version, or one that stands in the wrong place.
fault version_fault(std::string_view head, bool is_request) {
    const std::string_view line = head.substr(0, head.find('\r'));
    const std::size_t space = is_request ? line.rfind(' ') : line.find(' ');
    if (space == std::string_view::npos)
        return fault::start_line_malformed;
    const std::string_view version = is_request ? line.substr(space + 1) : line.substr(0, space);
    const bool spoken = version == "HTTP/1.0" || version == "HTTP/1.1";
    return is_version(version) && !spoken ? fault::version_unsupported : fault::start_line_malformed;
}

// Beast stops at the field that contradicts an earlier one; `fields` has those before it.
fault fault_of(const beast::error_code& why, std::string_view head, bool is_request, const field_list& fields) {
    using error = beast::http::error;
    if (why == error::bad_version)
        return version_fault(head, is_request);
    if (why == error::bad_method || why == error::bad_status || why == error::bad_reason)
        return fault::start_line_malformed;
    if (why == error::bad_target)
        return fault::target_malformed;
    if (why == error::bad_content_length)
        return fields.has("Transfer-Encoding") ? fault::transfer_encoding_and_length : fault::content_length_malformed;
    if (why == error::multiple_content_length)
        return fault::content_length_repeated;
    if (why == error::bad_transfer_encoding)
        return fields.has("Content-Length") ? fault::transfer_encoding_and_length : fault::transfer_encoding_unknown;
    if (why == error::bad_line_ending)
        return fault::line_ending_malformed;
    return fault::field_malformed;
}

template <bool IsRequest, class Start>
std::optional<fault> parse_head(std::string_view head, Start& start, field_list& fields) {
    start = {};
    fields.clear();
    head_reader<IsRequest, Start> reader{head.size(), start, fields};
    beast::error_code why;
    const std::size_t taken = reader.put(beast::net::const_buffer{head.data(), head.size()}, why);
    if (why)
        return fault_of(why, head, IsRequest, fields);
    // Whoever collected the head and Beast agree on where it ends, or somebody is being deceived.
    return reader.is_done() && taken == head.size() ? std::nullopt : std::optional{fault::field_malformed};
}

}  // namespace

std::optional<fault> parse_request_head(std::string_view head, request_line& start, field_list& fields) {
    if (head == "PRI * HTTP/2.0\r\n\r\n")
        return fault::http2_preface;
    return parse_head<true>(head, start, fields);
}

std::optional<fault> parse_response_head(std::string_view head, status_line& start, field_list& fields) {
    return parse_head<false>(head, start, fields);
}

}  // namespace linnet::http
