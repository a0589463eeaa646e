// Requests that two servers in a row might read differently: each is refused, however its bytes are cut, and nothing
// behind it is read as a request.
//
// The tables say as well what Boost.Beast lets through by itself, and the test asks it: so no check beside it is
// needless, and a newer Beast shows what it has learned.
#include "tests/protocol/http_events.hpp"

#include <boost/beast/http/basic_parser.hpp>

namespace linnet::http {
namespace {

// What Beast says of the same bytes, with its own reading of the body.
enum class beast : std::uint8_t { refuses, accepts };

struct refusal {
    const char* what;
    std::string text;
    fault why;
    beast alone = beast::refuses;
};

class beast_parser final : public boost::beast::http::basic_parser<true> {
    using text = boost::beast::string_view;
    using verdict = boost::beast::error_code;
    using verb = boost::beast::http::verb;
    using field_id = boost::beast::http::field;

    void on_request_impl(verb, text, text, int, verdict&) override {}
    void on_response_impl(int, text, int, verdict&) override {}
    void on_field_impl(field_id, text, text, verdict&) override {}
    void on_header_impl(verdict&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, verdict&) override {}
    std::size_t on_body_impl(text body, verdict&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t, text, verdict&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, text body, verdict&) override { return body.size(); }
    void on_finish_impl(verdict&) override {}
};

beast ask_beast(std::string_view text) {
    beast_parser parser;
    parser.eager(true);
    boost::beast::error_code why;
    (void)parser.put(boost::beast::net::const_buffer{text.data(), text.size()}, why);
    return parser.is_done() && !why ? beast::accepts : beast::refuses;
}

// A request with these fields, and one behind it that must never be seen.
std::string with(std::string_view fields) {
    return "POST / HTTP/1.1\r\nHost: a\r\n" + std::string{fields} +
           "\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
}

std::string chunks(std::string_view body) {
    return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string{body} +
           "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
}

std::string plain(std::string_view head) { return std::string{head} + "\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"; }

void expect_refused(const refusal& row) {
    const std::string heard = test::requests_of(row.text);
    EXPECT_TRUE(heard.ends_with("!" + std::string{describe(row.why)})) << row.what << ": " << heard;
    EXPECT_EQ(heard.find("smuggled"), std::string::npos) << row.what;
    test::expect_same_at_every_cut(row.text);
    EXPECT_EQ(ask_beast(row.text), row.alone) << row.what;
}

TEST(HttpSmuggling, LengthsThatContradict) {
    const refusal table[] = {
        {"CL, TE", with("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), fault::transfer_encoding_and_length},
        {"TE, CL", with("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"), fault::transfer_encoding_and_length},
        {"CL 0, TE", with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), fault::transfer_encoding_and_length},
        {"CL, TE of another kind", with("Content-Length: 4\r\nTransfer-Encoding: identity\r\n"),
         fault::transfer_encoding_and_length},
        {"TE of another kind, CL", with("Transfer-Encoding: x\r\nContent-Length: 4\r\n"),
         fault::transfer_encoding_and_length, beast::accepts},
        {"two lengths", with("Content-Length: 4\r\nContent-Length: 5\r\n"), fault::content_length_repeated},
        {"one length twice", with("Content-Length: 4\r\nContent-Length: 4\r\n"), fault::content_length_repeated,
         beast::accepts},
        {"one length twice in one field", with("Content-Length: 4, 4\r\n"), fault::content_length_malformed,
         beast::accepts},
        {"two lengths in one field", with("Content-Length: 4, 5\r\n"), fault::content_length_repeated},
        {"a length in a list", with("Content-Length: ,4\r\n"), fault::content_length_malformed},
    };
    for (const refusal& row : table)
        expect_refused(row);
}

TEST(HttpSmuggling, LengthsThatAreNone) {
    for (const char* length : {"", "+4", "-1", "0x4", "4 4", "4;", "4.0", "four", "18446744073709551616",
                               "99999999999999999999999", "4\t4", "\"4\""}) {
        expect_refused(
            {length, with("Content-Length: " + std::string{length} + "\r\n"), fault::content_length_malformed});
    }
}

TEST(HttpSmuggling, EncodingsOtherThanChunked) {
    for (const char* encoding :
         {"identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "xchunked", "chunkedx",
          "\"chunked\"", "chunked;q=1", ", chunked", "chunked,", "", "chunk ed", "chunked, identity"}) {
        expect_refused({encoding, with("Transfer-Encoding: " + std::string{encoding} + "\r\n"),
                        fault::transfer_encoding_unknown, beast::accepts});
    }
    expect_refused({"twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                    fault::transfer_encoding_unknown});
    expect_refused({"hidden behind another", with("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n"),
                    fault::transfer_encoding_unknown, beast::accepts});
    expect_refused({"in HTTP/1.0",
                    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
                    fault::transfer_encoding_too_old, beast::accepts});
}

TEST(HttpSmuggling, LinesThatEndOtherwise) {
    const refusal table[] = {
        {"bare LF in the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", fault::line_ending_malformed},
        {"bare LF in a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", fault::line_ending_malformed},
        {"bare LF as the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\nGET /smuggled", fault::line_ending_malformed},
        {"bare LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", fault::start_line_malformed},
        {"bare CR in a field", plain("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb"), fault::line_ending_malformed},
        {"bare CR in the target", plain("GET /\r/ HTTP/1.1\r\nHost: a"), fault::target_malformed},
        {"CR CR LF", plain("GET / HTTP/1.1\r\nHost: a\r\nX: y\r"), fault::line_ending_malformed},
        {"a line of CR CR LF", plain("GET / HTTP/1.1\r\nHost: a\r\n\r"), fault::line_ending_malformed},
        {"folded", plain("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z"), fault::field_folded, beast::accepts},
        {"folded with a tab", plain("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tz"), fault::field_folded, beast::accepts},
        {"folded and hidden", plain("GET / HTTP/1.1\r\nHost: a\r\nX:\r\n Content-Length: 5"), fault::field_folded,
         beast::accepts},
        {"blank before the first field", plain("GET / HTTP/1.1\r\n Host: a"), fault::field_malformed},
        {"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", fault::start_line_malformed},
    };
    for (const refusal& row : table)
        expect_refused(row);
}

TEST(HttpSmuggling, FieldsThatAreNone) {
    for (const std::string& field :
         {std::string{"X : y"}, std::string{"X\t: y"}, std::string{": y"}, std::string{"X"}, std::string{"X Y: z"},
          std::string{"X(): y"}, std::string{"\"X\": y"}, std::string{"X\xC3: y"}, std::string{"X: a\x01"},
          std::string{"X: a\x7F"}, std::string{"X: a\0b", 6}, std::string{"X\0: b", 5},
          std::string{"Transfer-Encoding : chunked"}, std::string{"Content-Length : 5"},
          std::string{"Connection: a b"}}) {
        expect_refused({field.c_str(), plain("GET / HTTP/1.1\r\nHost: a\r\n" + field), fault::field_malformed});
    }
    expect_refused({"two passwords",
                    plain("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic YTpi\r\nauthorization: x"),
                    fault::field_repeated, beast::accepts});
}

TEST(HttpSmuggling, Hosts) {
    const refusal table[] = {
        {"none", plain("GET / HTTP/1.1\r\nX: y"), fault::host_missing, beast::accepts},
        {"none beside a whole URI", plain("GET http://a/ HTTP/1.1"), fault::host_missing, beast::accepts},
        {"two", plain("GET / HTTP/1.1\r\nHost: a\r\nHost: b"), fault::host_repeated, beast::accepts},
        {"one twice", plain("GET / HTTP/1.1\r\nHost: a\r\nhost: a"), fault::host_repeated, beast::accepts},
        {"two in HTTP/1.0", plain("GET / HTTP/1.0\r\nHost: a\r\nHost: b"), fault::host_repeated, beast::accepts},
        {"empty", plain("GET / HTTP/1.1\r\nHost:"), fault::host_malformed, beast::accepts},
        {"a list", plain("GET / HTTP/1.1\r\nHost: a, b"), fault::host_malformed, beast::accepts},
        {"a user", plain("GET / HTTP/1.1\r\nHost: u@a"), fault::host_malformed, beast::accepts},
        {"a path", plain("GET / HTTP/1.1\r\nHost: a/b"), fault::host_malformed, beast::accepts},
        {"no port", plain("GET / HTTP/1.1\r\nHost: a:b"), fault::host_malformed, beast::accepts},
    };
    for (const refusal& row : table)
        expect_refused(row);
}

TEST(HttpSmuggling, StartLines) {
    const refusal table[] = {
        {"two blanks", plain("GET  / HTTP/1.1\r\nHost: a"), fault::target_malformed},
        {"two blanks behind", plain("GET /  HTTP/1.1\r\nHost: a"), fault::start_line_malformed},
        {"a tab", plain("GET\t/ HTTP/1.1\r\nHost: a"), fault::start_line_malformed},
        {"a blank at the end", plain("GET / HTTP/1.1 \r\nHost: a"), fault::start_line_malformed},
        {"a blank in front", plain(" GET / HTTP/1.1\r\nHost: a"), fault::start_line_malformed},
        {"no version", plain("GET /"), fault::target_malformed},
        {"no target", plain("GET HTTP/1.1"), fault::target_malformed},
        {"no protocol", plain("GET / HTP/1.1"), fault::start_line_malformed},
        {"small letters", plain("GET / http/1.1\r\nHost: a"), fault::start_line_malformed},
        {"HTTP/2.0", plain("GET / HTTP/2.0\r\nHost: a"), fault::version_unsupported},
        {"HTTP/1.2", plain("GET / HTTP/1.2\r\nHost: a"), fault::version_unsupported},
        {"HTTP/0.9", plain("GET / HTTP/0.9\r\nHost: a"), fault::version_unsupported},
        {"HTTP/1.10", plain("GET / HTTP/1.10\r\nHost: a"), fault::start_line_malformed},
        {"a method that is no token", plain("G(T / HTTP/1.1\r\nHost: a"), fault::start_line_malformed},
        {"a long method", plain(std::string(33, 'M') + " / HTTP/1.1\r\nHost: a"), fault::start_line_malformed,
         beast::accepts},
        {"bytes that are not ASCII", plain("GET /\xFF HTTP/1.1\r\nHost: a"), fault::target_malformed, beast::accepts},
        {"a fragment", plain("GET /a#b HTTP/1.1\r\nHost: a"), fault::target_malformed, beast::accepts},
        {"a tunnel", plain("CONNECT a:443 HTTP/1.1\r\nHost: a"), fault::target_malformed, beast::accepts},
        {"an asterisk", plain("GET * HTTP/1.1\r\nHost: a"), fault::target_malformed, beast::accepts},
        {"climbing", plain("GET /v1/%2e%2e/api HTTP/1.1\r\nHost: a"), fault::target_climbs, beast::accepts},
        {"a TLS hello", "\x16\x03\x01\x02", fault::start_line_malformed},
        {"HTTP/2 unasked", std::string{http2_preface}, fault::http2_preface},
    };
    for (const refusal& row : table)
        expect_refused(row);
}

TEST(HttpSmuggling, ExpectationsOtherThanContinue) {
    for (const char* expected :
         {"Expect: 200-ok\r\n", "Expect: 100-continue, x\r\n", "Expect: 100-continue\r\nExpect: 100-continue\r\n"})
        expect_refused({expected, with(std::string{expected} + "Content-Length: 5\r\n"), fault::expectation_unknown,
                        beast::accepts});
}

TEST(HttpSmuggling, Chunks) {
    const fault malformed = fault::chunk_malformed;
    const refusal table[] = {
        {"no size", chunks("\r\n"), malformed},
        {"a sign", chunks("+1\r\nx\r\n0\r\n\r\n"), malformed},
        {"0x", chunks("0x1\r\nx\r\n0\r\n\r\n"), malformed},
        {"a blank before", chunks(" 1\r\nx\r\n0\r\n\r\n"), malformed},
        {"a blank behind", chunks("1 \r\nx\r\n0\r\n\r\n"), malformed},
        {"a blank and an extension", chunks("1 ;a\r\nx\r\n0\r\n\r\n"), malformed, beast::accepts},
        {"17 digits", chunks("00000000000000001\r\nx\r\n0\r\n\r\n"), malformed, beast::accepts},
        {"beyond 64 bits", chunks("10000000000000001\r\nx\r\n"), malformed},
        {"all of 64 bits", chunks("ffffffffffffffff\r\nx\r\n"), fault::body_too_large},
        {"bare LF behind the size", chunks("1\nx\r\n0\r\n\r\n"), malformed},
        {"bare CR behind the size", chunks("1\rx\r\n0\r\n\r\n"), malformed},
        {"bare LF in an extension", chunks("1;a\nx\r\n0\r\n\r\n"), malformed},
        {"bare CR in an extension", chunks("1;a\rb\r\nx\r\n0\r\n\r\n"), malformed},
        {"NUL in an extension", chunks(std::string_view{"1;a\0\r\nx\r\n0\r\n\r\n", 15}), malformed},
        {"a chunk that is longer", chunks("1\r\nxy\r\n0\r\n\r\n"), malformed},
        {"a chunk that is longer and ends in LF", chunks("1\r\nxy\n0\r\n\r\n"), malformed},
        {"a chunk that is shorter", chunks("3\r\nx\r\n0\r\n\r\n"), malformed},
        {"a chunk that ends in LF", chunks("1\r\nx\n0\r\n\r\n"), malformed},
        {"a trailer without a colon", chunks("0\r\nX\r\n\r\n"), fault::trailer_malformed},
        {"a trailer that is folded", chunks("0\r\nX: y\r\n z\r\n\r\n"), fault::trailer_malformed, beast::accepts},
        {"a trailer with a blank", chunks("0\r\nX : y\r\n\r\n"), fault::trailer_malformed},
        {"a trailer that ends in LF", chunks("0\r\nX: y\n\r\n"), fault::trailer_malformed},
        {"an end of LF", chunks("0\r\n\n"), fault::trailer_malformed},
        {"an end of CR", chunks("0\r\n\rx"), fault::trailer_malformed},
        {"a request for a trailer", chunks("0\r\n"), fault::trailer_malformed},
    };
    for (const refusal& row : table)
        expect_refused(row);
}

TEST(HttpPreface, IsKnownByItsFirstBytes) {
    for (std::size_t size = 0; size < http2_preface.size(); ++size) {
        EXPECT_EQ(match_http2_preface(wire::as_bytes(http2_preface.substr(0, size))), preface_match::need_more);
        std::string other{http2_preface.substr(0, size + 1)};
        other.back() = static_cast<char>(other.back() ^ 1);
        EXPECT_EQ(match_http2_preface(wire::as_bytes(other)), preface_match::mismatch);
    }
    EXPECT_EQ(match_http2_preface(wire::as_bytes(std::string{http2_preface} + "frame")), preface_match::complete);
}

}  // namespace
}  // namespace linnet::http
