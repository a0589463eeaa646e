// The writers, read back by the parser of the other side; and the response parser by itself.
#include "protocol/http/problem.hpp"
#include "protocol/http/request_writer.hpp"
#include "tests/protocol/http_events.hpp"

namespace linnet::http {
namespace {

using test::requests_of;
using test::response_recorder;
using test::responses_of;

constexpr reply_to kept{};
constexpr reply_to closed{.keep_alive = false};
constexpr reply_to to_head{.head_only = true};
constexpr reply_to to_old{.minor_version = 0};
constexpr std::string_view date = "Sun, 06 Nov 1994 08:49:37 GMT";

// ---- Writer -----------------------------------------------------------------------------------

TEST(HttpResponse, IsWrittenWithItsLength) {
    std::string out;
    response_writer{out, kept, status::ok, date}.field("Content-Type", "text/plain").field("X-Count", 7).body("hello");
    EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n"
                   "X-Count: 7\r\nContent-Length: 5\r\n\r\nhello");
    out.clear();
    response_writer{out, kept, status::created, ""}.no_body();
    EXPECT_EQ(out, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
}

TEST(HttpResponse, SaysWhatBecomesOfTheConnection) {
    const auto written = [](reply_to to) {
        std::string out;
        response_writer{out, to, status::ok, ""}.no_body();
        return out;
    };
    EXPECT_EQ(written(kept), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_EQ(written(closed), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(written(to_old), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
    std::string out;
    response_writer{out, kept, status::ok, ""}.close().no_body();
    EXPECT_EQ(out, written(closed));
}

TEST(HttpResponse, HasNoBodyWhereNoneMayBe) {
    struct {
        reply_to to;
        status code;
        const char* head;
    } const table[] = {{to_head, status::ok, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"},
                       {kept, status::no_content, "HTTP/1.1 204 No Content\r\n\r\n"},
                       {kept, status::not_modified, "HTTP/1.1 304 Not Modified\r\n\r\n"}};
    for (const auto& row : table) {
        std::string out;
        response_writer{out, row.to, row.code, ""}.body("body");
        EXPECT_EQ(out, row.head);
        out.clear();
        EXPECT_FALSE((response_writer{out, row.to, row.code, ""}.length(4)));
        EXPECT_EQ(out, row.head);
        out.clear();
        EXPECT_EQ((response_writer{out, row.to, row.code, ""}.stream()), stream_form::nothing);
        EXPECT_EQ(responses_of(out, row.to.head_only ? asked::head_only : asked::with_body).back(), '\n') << out;
    }
    std::string out;
    EXPECT_TRUE((response_writer{out, kept, status::ok, ""}.length(4)));
    EXPECT_FALSE((response_writer{out, kept, status::ok, ""}.length(0)));
}

TEST(HttpResponse, StreamsInChunksOrUntilItCloses) {
    std::string out;
    ASSERT_EQ((response_writer{out, kept, status::ok, ""}.stream()), stream_form::chunks);
    append_chunk(out, "hello");
    append_chunk(out, "");  // would have been the last one
    append_chunk(out, std::string(300, 'x'));
    out += last_chunk;
    EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n12c\r\n" +
                       std::string(300, 'x') + "\r\n0\r\n\r\n");
    EXPECT_EQ(responses_of(out), "200 OK Transfer-Encoding=chunked body=hello" + std::string(300, 'x') + ".\n");

    out.clear();
    ASSERT_EQ((response_writer{out, to_old, status::ok, ""}.stream()), stream_form::until_close);
    EXPECT_EQ(out, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

TEST(HttpResponse, CannotBeBrokenFromInside) {
    std::string every;
    for (int byte = 0; byte < 256; ++byte)
        every += static_cast<char>(byte);
    std::string out;
    response_writer{out, kept, status::ok, ""}
        .field("Location", "/a\r\nSet-Cookie: evil=1\r\n\r\n<html>")
        .field("X\r\nInjected", "1")
        .field("X: y\r\nInjected", "1")
        .field("", "1")
        .field("Content-Length", "0")
        .field("transfer-encoding", "chunked")
        .field("Connection", "close")
        .field("X-Every", every)
        .body("safe");
    const std::string heard = responses_of(out);
    EXPECT_TRUE(heard.starts_with("200 OK Location=/a  Set-Cookie: evil=1    <html> X-Every=")) << heard;
    EXPECT_TRUE(heard.ends_with(" Content-Length=4 body=safe.\n")) << heard;
    EXPECT_EQ(heard.find("Injected"), std::string::npos);
    std::string upgrade;
    const field more[] = {{"Sec-WebSocket-Accept", "x\r\ny"}, {"Connection", "close"}, {"a b", "c"}};
    append_upgrade(upgrade, "websocket", date, more);
    EXPECT_EQ(upgrade, "HTTP/1.1 101 Switching Protocols\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                       "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x  y\r\n\r\n");
}

TEST(HttpResponse, NamesEveryStatusAndEveryFault) {
    for (unsigned code = 100; code < 600; ++code) {
        if (const auto reason = reason_of(static_cast<status>(code)); !reason.empty()) {
            EXPECT_TRUE(is_field_value(reason));
        }
    }
    for (unsigned each = 0; each <= static_cast<unsigned>(fault::message_truncated); ++each) {
        const auto why = static_cast<fault>(each);
        EXPECT_NE(describe(why), "unknown fault");
        EXPECT_FALSE(reason_of(status_of(why)).empty());
        EXPECT_GE(number_of(status_of(why)), 400U);
    }
}

TEST(HttpProblem, IsJsonWhateverIsInIt) {
    EXPECT_EQ(problem_json({.code = status::not_found}), R"({"status":404,"title":"Not Found"})");
    EXPECT_EQ(problem_json({.code = status::conflict,
                            .type = "urn:x",
                            .title = "T",
                            .detail = "no \"queue\" \\ \n\x01\xFF\xC3\xA4",
                            .instance = "/i"}),
              R"({"status":409,"type":"urn:x","title":"T","detail":"no \"queue\" \\ \n\u0001)"
              "\xEF\xBF\xBD\xC3\xA4"
              R"(","instance":"/i"})");
    std::string out;
    const field more[] = {{"Retry-After", "3"}};
    append_problem(out, to_head, {.code = status::too_many_requests}, "", more);
    EXPECT_EQ(out, "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/problem+json\r\n"
                   "Cache-Control: no-store\r\nRetry-After: 3\r\nContent-Length: 42\r\n\r\n");
}

TEST(HttpProblem, HasNoBodyForAHeadThatIsRefused) {
    request_parser parser;
    const auto refused = parser.next(wire::as_bytes("HEAD / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"));
    ASSERT_EQ(refused.what, request_event::refused);
    std::string out;
    append_problem(out, parser.request(), refused.why, "");
    EXPECT_TRUE(out.ends_with("Connection: close\r\n\r\n")) << out;
}

TEST(HttpProblem, AnswersWhatTheParserRefuses) {
    request_parser parser;
    const auto refused = parser.next(wire::as_bytes("GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n"));
    ASSERT_EQ(refused.what, request_event::refused);
    std::string out;
    append_problem(out, parser.request(), refused.why, "");
    EXPECT_EQ(responses_of(out), "400 Bad Request Content-Type=application/problem+json Cache-Control=no-store "
                                 "Content-Length=70 Connection=close close "
                                 R"(body={"status":400,"title":"Bad Request","detail":"malformed header field"}.)"
                                 "\n");
}

// ---- Parser -----------------------------------------------------------------------------------

constexpr std::string_view stream = "HTTP/1.1 100 Continue\r\n\r\n"
                                    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
                                    "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nde\r\n0\r\nT: t\r\n\r\n"
                                    "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"
                                    "HTTP/1.1 304 Not Modified\r\n\r\n"
                                    "HTTP/1.0 200 Fine\r\nContent-Length: 0\r\n\r\n"
                                    "HTTP/1.1 200 OK\r\n\r\nthe rest";
constexpr std::string_view heard_of_stream = "100 Continue body=.\n"
                                             "200 OK Content-Length=3 body=abc.\n"
                                             "200  Transfer-Encoding=chunked body=de.\n"
                                             "204 No Content Content-Length=9 body=.\n"
                                             "304 Not Modified body=.\n"
                                             "200 Fine Content-Length=0 close body=.\n"
                                             "200 OK close body=the rest";

TEST(HttpResponseParser, HearsTheSameHoweverTheBytesAreCut) {
    EXPECT_EQ(responses_of(stream), heard_of_stream);
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        response_recorder recorder;
        ASSERT_TRUE(recorder.feed(stream.substr(0, cut))) << cut;
        ASSERT_EQ(heard_of_stream.substr(0, recorder.heard.size()), recorder.heard) << cut;
        ASSERT_TRUE(recorder.feed(stream.substr(cut))) << cut;
        ASSERT_EQ(recorder.heard, heard_of_stream) << cut;
    }
}

TEST(HttpResponseParser, TellsAClosedBodyFromATornOne) {
    struct {
        std::string text;
        bool whole;
    } const table[] = {{"", true},
                       {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", true},
                       {"HTTP/1.1 200 OK\r\n\r\n", true},
                       {"HTTP/1.1 200 OK\r\n\r\nx", true},
                       {"HTTP/1.1 200 OK\r\n", false},
                       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nx", false},
                       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", false},
                       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", true}};
    for (const auto& row : table) {
        response_recorder recorder;
        ASSERT_TRUE(recorder.feed(row.text));
        recorder.close();
        EXPECT_EQ(recorder.heard.ends_with("closed"), row.whole) << row.text;
        EXPECT_EQ(recorder.heard.ends_with("!the message ends before its end"), !row.whole) << row.text;
    }
}

TEST(HttpResponseParser, TakesNoBodyForAHead) {
    EXPECT_EQ(responses_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", asked::head_only),
              "200 OK Content-Length=5 body=.\n");
}

TEST(HttpResponseParser, Refuses) {
    for (const char* text : {"HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n",
                             "HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 600 X\r\n\r\n", "ICY 200 OK\r\n\r\n",
                             "HTTP/1.1 200 OK\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"}) {
        EXPECT_NE(responses_of(text).find('!'), std::string::npos) << text;
    }
    response_recorder bounded{asked::with_body, {.body_bytes_max = 3}};
    EXPECT_FALSE(bounded.feed("HTTP/1.1 200 OK\r\n\r\nabcd"));
    EXPECT_EQ(bounded.heard, "200 OK close body=abc!body too large");
}

// ---- Requests ---------------------------------------------------------------------------------

TEST(HttpRequestWriter, WritesWhatTheParserReads) {
    const field fields[] = {{"Authorization", "Basic YTpi"}, {"X", "a\r\nInjected: 1"}, {"bad name", "x"}};
    std::string out;
    append_request(out, method::post, "/v1/%2F/q/a", "h:1", fields, "body");
    EXPECT_EQ(out, "POST /v1/%2F/q/a HTTP/1.1\r\nHost: h:1\r\nAuthorization: Basic YTpi\r\nX: a  Injected: 1\r\n"
                   "Content-Length: 4\r\n\r\nbody");
    append_request(out, method::get, "/ \r\n\xC3", "h", {}, "");
    append_request(out, method::put, "/", "h", {}, "");
    append_request_head(out, method::put, "/", "h", {}, std::nullopt, expect::continue_);
    append_chunk(out, "xyz");
    out += last_chunk;
    EXPECT_EQ(requests_of(out),
              "POST /v1/%2F/q/a[v1|/|q|a]? host=h:1 Host=h:1 Authorization=Basic YTpi X=a  Injected: 1 "
              "Content-Length=4 body=body.\n"
              "GET /%20%0D%0A%C3[ \r\n\xC3]? host=h Host=h body=.\n"
              "PUT /[]? host=h Host=h Content-Length=0 body=.\n"
              "PUT /[]? host=h Host=h Transfer-Encoding=chunked Expect=100-continue body= continue?xyz.\n");
}

}  // namespace
}  // namespace linnet::http
