#include "tests/protocol/http_events.hpp"

namespace linnet::http {
namespace {

using test::expect_same_at_every_cut;
using test::request_recorder;
using test::requests_of;

constexpr std::string_view conversation = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                                          "\r\nPOST /v1/%2F/q/a%20b?wait=3&x=%3D HTTP/1.1\r\nhost: [::1]:8080\r\n"
                                          "Content-Length: 5\r\nX-Empty:\r\nX-Tab: \ta\tb \t\r\n\r\nhello"
                                          "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n"
                                          "Expect: 100-Continue\r\n\r\n"
                                          "3\r\nabc\r\n00A;x=\"y;z\";n\r\n0123456789\r\n0;last\r\nX-Sum: 7\r\n\r\n"
                                          "GET http://b:80?q HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\n\r\n"
                                          "GET /old HTTP/1.0\r\n\r\n"
                                          "OPTIONS * HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";

constexpr std::string_view heard =
    "GET /[]? host=a Host=a body=.\n"
    "POST /v1/%2F/q/a%20b[v1|/|q|a b]?wait=3&x=%3D host=[::1]:8080 host=[::1]:8080 Content-Length=5 X-Empty= "
    "X-Tab=a\tb body=hello.\n"
    "PUT /c[c]? host=a Host=a Transfer-Encoding=Chunked Expect=100-Continue body= continue?abc0123456789.\n"
    "GET /[]?q host=b:80 Host=a Connection=close, x close body=.\n"
    "GET /old[old]? host= close body=.\n"
    "OPTIONS []? host= Connection=Keep-Alive body=.\n";

TEST(HttpRequest, ReadsAPipelinedConversation) { EXPECT_EQ(requests_of(conversation), heard); }

TEST(HttpRequest, HearsTheSameHoweverTheBytesAreCut) { expect_same_at_every_cut(conversation); }

TEST(HttpRequest, RefusesNoPrefixOfWhatItReads) {
    for (std::size_t size = 0; size <= conversation.size(); ++size) {
        request_recorder recorder;
        ASSERT_TRUE(recorder.feed(conversation.substr(0, size))) << size;
        ASSERT_EQ(heard.substr(0, recorder.heard.size()), recorder.heard) << size;
    }
}

TEST(HttpRequest, LeavesWhatStandsBehindARequest) {
    const std::string_view two = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    request_parser parser;
    EXPECT_TRUE(parser.idle());
    const auto head = parser.next(wire::as_bytes(two));
    ASSERT_EQ(head.what, request_event::head);
    EXPECT_EQ(head.taken, two.size() / 2);
    const auto end = parser.next(wire::as_bytes(two.substr(head.taken)));
    ASSERT_EQ(end.what, request_event::end);
    EXPECT_EQ(end.taken, 0U);
    // Alive until the next one is asked for.
    EXPECT_EQ(parser.request().target.path(), "/1");
    EXPECT_TRUE(parser.idle());
    ASSERT_EQ(parser.next(wire::as_bytes(two.substr(head.taken))).what, request_event::head);
    EXPECT_EQ(parser.request().target.path(), "/2");
}

TEST(HttpRequest, OutlivesTheBufferThatItWasReadFrom) {
    request_parser parser;
    {
        const std::string gone = "POST /a%20b?x=1 HTTP/1.1\r\nHost: h\r\nX-Name: value\r\nContent-Length: 1\r\n\r\n";
        ASSERT_EQ(parser.next(wire::as_bytes(gone)).what, request_event::head);
    }
    EXPECT_EQ(parser.request().fields.get("x-name"), "value");
    EXPECT_EQ(parser.request().target.segments()[0], "a b");
    EXPECT_EQ(parser.request().target.query().find("x"), "1");
}

TEST(HttpRequest, IsIdleOnlyBetweenRequests) {
    request_parser parser;
    const auto feed = [&](std::string_view text) { return parser.next(wire::as_bytes(text)).what; };
    ASSERT_EQ(feed("POST / HT"), request_event::need_more);
    EXPECT_FALSE(parser.idle());
    ASSERT_EQ(feed("TP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n"), request_event::head);
    EXPECT_FALSE(parser.idle());
    EXPECT_TRUE(parser.body_pending());
    ASSERT_EQ(feed("xy"), request_event::body);
    EXPECT_TRUE(parser.body_pending());
    ASSERT_EQ(feed(""), request_event::end);
    EXPECT_FALSE(parser.body_pending());
    EXPECT_TRUE(parser.idle());
}

TEST(HttpRequest, ForgetsTheRequestBefore) {
    request_parser parser;
    const std::string_view first = "PUT /x HTTP/1.1\r\nHost: a\r\nUpgrade: w\r\nConnection: upgrade\r\n\r\n";
    ASSERT_EQ(parser.next(wire::as_bytes(first)).what, request_event::head);
    EXPECT_EQ(parser.request().upgrade, "w");
    ASSERT_EQ(parser.next({}).what, request_event::end);
    ASSERT_EQ(parser.next(wire::as_bytes("\x16")).what, request_event::refused);
    EXPECT_EQ(parser.request().method, method::other);
    EXPECT_TRUE(parser.request().fields.empty());
    EXPECT_TRUE(parser.request().upgrade.empty());
}

// ---- Connection, Expect, Upgrade --------------------------------------------------------------

TEST(HttpRequest, KnowsWhetherTheConnectionStays) {
    struct {
        const char* version;
        const char* connection;
        bool stays;
    } const table[] = {{"1.1", "", true},
                       {"1.1", "Connection: close\r\n", false},
                       {"1.1", "Connection: keep-alive\r\nConnection: Close\r\n", false},
                       {"1.1", "Connection: x, close\r\n", false},
                       {"1.1", "Connection: closed\r\n", true},
                       {"1.1", "Proxy-Connection: close\r\n", true},
                       {"1.0", "", false},
                       {"1.0", "Connection: keep-alive\r\n", true},
                       {"1.0", "Connection: keep-alive, close\r\n", false}};
    for (const auto& row : table) {
        request_parser parser;
        const std::string text = std::string{"GET / HTTP/"} + row.version + "\r\nHost: a\r\n" + row.connection + "\r\n";
        ASSERT_EQ(parser.next(wire::as_bytes(text)).what, request_event::head) << text;
        EXPECT_EQ(parser.request().keep_alive, row.stays) << text;
    }
}

TEST(HttpRequest, TellsAnUpgradeOnlyWhenBothFieldsSayIt) {
    struct {
        const char* head;
        const char* upgrade;
    } const table[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", "websocket"},
        {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", ""},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", ""},
        {"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", ""}};
    for (const auto& row : table) {
        request_parser parser;
        ASSERT_EQ(parser.next(wire::as_bytes(row.head)).what, request_event::head);
        EXPECT_EQ(parser.request().upgrade, row.upgrade) << row.head;
    }
}

TEST(HttpRequest, AsksForTheBodyOnlyWhenItIsWaitedFor) {
    const std::string head = "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";
    EXPECT_EQ(requests_of(head + "Content-Length: 1\r\n\r\nx").find(" continue?"),
              requests_of(head + "Content-Length: 1\r\n\r\nx").find("x.") - 10);
    EXPECT_EQ(requests_of(head + "\r\n").find("continue?"), std::string::npos);
    EXPECT_EQ(requests_of("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx").find("continue?"),
              std::string::npos);
    // Too large is said instead of being asked for.
    EXPECT_TRUE(requests_of(head + "Content-Length: 99999999999\r\n\r\n").ends_with("body=!body too large"));
}

// ---- Limits -----------------------------------------------------------------------------------

TEST(HttpRequest, RefusesLargeBodiesBeforeAByteOfThem) {
    const std::string gibibyte = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\n\r\n";
    request_parser parser;
    ASSERT_EQ(parser.next(wire::as_bytes(gibibyte)).what, request_event::head);
    EXPECT_EQ(parser.request().content_length, 1073741824U);
    const auto refused = parser.next({});
    ASSERT_EQ(refused.what, request_event::refused);
    EXPECT_EQ(status_of(refused.why), status::content_too_large);
    EXPECT_TRUE(requests_of("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40000000\r\n")
                    .ends_with("body=!body too large"));
}

TEST(HttpRequest, CountsABodyInChunksAsAWhole) {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    const parser_limits ten{.body_bytes_max = 10};
    EXPECT_TRUE(requests_of(head + "5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n", ten).ends_with("body=0123456789.\n"));
    EXPECT_TRUE(requests_of(head + "5\r\n01234\r\n6\r\n567890\r\n", ten).ends_with("body=01234!body too large"));
    expect_same_at_every_cut(head + "5\r\n01234\r\n6\r\n567890\r\n", ten);
}

TEST(HttpRequest, TakesAnotherBodyLimitForOneRequest) {
    request_parser parser{{.body_bytes_max = 4}};
    const std::string_view head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n";
    ASSERT_EQ(parser.next(wire::as_bytes(head)).what, request_event::head);
    parser.limit_body(6);
    ASSERT_EQ(parser.next(wire::as_bytes("123456")).what, request_event::body);
    ASSERT_EQ(parser.next({}).what, request_event::end);
    // The next one has its own.
    ASSERT_EQ(parser.next(wire::as_bytes(head)).what, request_event::head);
    ASSERT_EQ(parser.next({}).what, request_event::refused);
}

TEST(HttpRequest, KeepsToItsLimitsToTheByte) {
    const parser_limits limits{.target_bytes_max = 20, .head_bytes_max = 100, .fields_max = 3};
    const auto with_target = [](std::size_t bytes) {
        return "GET /" + std::string(bytes - 1, 't') + " HTTP/1.1\r\nHost: a\r\n\r\n";
    };
    EXPECT_TRUE(requests_of(with_target(20), limits).ends_with(".\n"));
    EXPECT_EQ(requests_of(with_target(21), limits), "!start line too long");
    EXPECT_EQ(requests_of("GET /" + std::string(100, 't'), limits), "!start line too long");  // without its end

    const auto with_head = [](std::size_t bytes) {
        const std::string before = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        return before + std::string(bytes - before.size() - 4, 'x') + "\r\n\r\n";
    };
    EXPECT_TRUE(requests_of(with_head(100), limits).ends_with(".\n"));
    EXPECT_EQ(requests_of(with_head(101), limits), "!header fields too large");

    const std::string three = "GET / HTTP/1.1\r\nHost: a\r\nB: 2\r\nC: 3\r\n";
    EXPECT_TRUE(requests_of(three + "\r\n", limits).ends_with(".\n"));
    EXPECT_EQ(requests_of(three + "D: 4\r\n", limits), "!too many header fields");
    for (const auto& text : {with_target(20), with_target(21), with_head(100), with_head(101), three + "D: 4\r\n\r\n"})
        expect_same_at_every_cut(text, limits);
}

TEST(HttpRequest, BoundsWhatChunksCarryBesideTheirBytes) {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    std::string many = head;
    for (int i = 0; i < 100; ++i)
        many += "1;" + std::string(50, 'e') + "\r\nx\r\n";
    EXPECT_TRUE(requests_of(many).ends_with("x!chunk extensions too large"));
    EXPECT_TRUE(requests_of(head + "1;" + std::string(5000, 'e')).ends_with("!chunk extensions too large"));
    EXPECT_TRUE(requests_of(head + "0\r\nT: " + std::string(9000, 't')).ends_with("!trailer fields too large"));
}

// ---- Ten thousand at once ---------------------------------------------------------------------

TEST(HttpRequest, ReadsTenThousandPipelinedRequests) {
    std::string text;
    for (int i = 0; i < 10'000; ++i)
        text += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    request_parser parser;
    wire::bytes_view input = wire::as_bytes(text);
    int seen = 0;
    for (auto step = parser.next(input); step.what != request_event::need_more; step = parser.next(input)) {
        ASSERT_NE(step.what, request_event::refused);
        if (step.what == request_event::head) {
            ASSERT_EQ(parser.request().target.segments()[0], std::to_string(seen));
            ++seen;
        }
        input = input.subspan(step.taken);
    }
    EXPECT_EQ(seen, 10'000);
}

// ---- Targets ----------------------------------------------------------------------------------

TEST(HttpTarget, SplitsBeforeItDecodes) {
    const std::string slash_in_middle = "a/b";
    struct {
        const char* text;
        std::vector<std::string> segments;
    } const table[] = {{"/", {""}},
                       {"/a", {"a"}},
                       {"/a/", {"a", ""}},
                       {"//a", {"", "a"}},
                       {"/a%2Fb/c%2f", {slash_in_middle, "c/"}},
                       {"/%41%7a%C3%A4%0a", {"Az\xC3\xA4\n"}},
                       {"/a+b%2Bc", {"a+b+c"}},
                       {"/...", {"..."}},
                       {"/.a/..b", {".a", "..b"}},
                       {"/%25%32%65", {"%2e"}},  // decoded once only
                       {"/a|b^{c}\\'", {"a|b^{c}\\'"}},
                       {"/a:b@c;d=e", {"a:b@c;d=e"}},
                       {"/a?/b/../c", {"a"}},
                       {"HTTP://h", {""}},
                       {"https://h:1/x%20y", {"x y"}}};
    for (const auto& row : table) {
        target found;
        EXPECT_EQ(found.parse(row.text), std::nullopt) << row.text;
        EXPECT_EQ(std::vector<std::string>(found.segments().begin(), found.segments().end()), row.segments) << row.text;
    }
}

TEST(HttpTarget, KeepsWhatItHasDecoded) {
    std::string path;
    std::vector<std::string> wanted;
    for (int i = 0; i < 50; ++i) {
        path += "/%2F" + std::to_string(i) + "-longer-than-a-short-string";
        wanted.push_back("/" + std::to_string(i) + "-longer-than-a-short-string");
    }
    target found;
    ASSERT_EQ(found.parse(path), std::nullopt);
    EXPECT_EQ(std::vector<std::string>(found.segments().begin(), found.segments().end()), wanted);
}

TEST(HttpTarget, RefusesWhatTwoReadersMayReadDifferently) {
    struct {
        std::string text;
        fault why;
    } const table[] = {{"", fault::target_malformed},
                       {"a", fault::target_malformed},
                       {"a/b", fault::target_malformed},
                       {"h:443", fault::target_malformed},
                       {"ftp://h/", fault::target_malformed},
                       {"http://", fault::target_malformed},
                       {"http:///a", fault::target_malformed},
                       {"http://u@h/", fault::target_malformed},
                       {"http://h:x/", fault::target_malformed},
                       {"http://h:123456/", fault::target_malformed},
                       {"http://[::1/", fault::target_malformed},
                       {"http://[]/", fault::target_malformed},
                       {"/a#b", fault::target_malformed},
                       {"/a b", fault::target_malformed},
                       {"/\xC3\xA4", fault::target_malformed},
                       {"/a\x7F", fault::target_malformed},
                       {std::string{"/a\0b", 4}, fault::target_malformed},
                       {"/%", fault::escape_malformed},
                       {"/%2", fault::escape_malformed},
                       {"/%zz", fault::escape_malformed},
                       {"/%2g", fault::escape_malformed},
                       {"/%%20", fault::escape_malformed},
                       {"/%u0041", fault::escape_malformed},
                       {"/%00", fault::escape_malformed},
                       {"/a%2", fault::escape_malformed},
                       {"/?a=%", fault::escape_malformed},
                       {"/?a=%00", fault::escape_malformed},
                       {"/.", fault::target_climbs},
                       {"/..", fault::target_climbs},
                       {"/a/../b", fault::target_climbs},
                       {"/a/./b", fault::target_climbs},
                       {"/a/%2e%2E/b", fault::target_climbs},
                       {"/.%2e", fault::target_climbs},
                       {"/%2e", fault::target_climbs},
                       {"http://h/..", fault::target_climbs}};
    for (const auto& row : table) {
        target found;
        EXPECT_EQ(found.parse(row.text), row.why) << row.text;
    }
}

TEST(HttpTarget, EncodesASegmentSoThatItDecodesToItself) {
    std::string every;
    for (int byte = 1; byte < 256; ++byte)
        every += static_cast<char>(byte);
    std::string path = "/";
    append_percent_encoded(path, every);
    target found;
    ASSERT_EQ(found.parse(path), std::nullopt);
    ASSERT_EQ(found.segments().size(), 1U);
    EXPECT_EQ(found.segments()[0], every);
}

TEST(HttpQuery, FindsAndDecodes) {
    const query_view query{"a=1&b=x+y%2Bz&&c&=e&d=%26%3D&a=2&%61b=3&f=a=b"};
    EXPECT_EQ(query.find("a"), "1");
    EXPECT_EQ(query.find("b"), "x y+z");
    EXPECT_EQ(query.find("b", plus::is_plus), "x+y+z");
    EXPECT_EQ(query.find("c"), "");
    EXPECT_EQ(query.find("d"), "&=");
    EXPECT_EQ(query.find("ab"), "3");
    EXPECT_EQ(query.find("f"), "a=b");
    EXPECT_EQ(query.find("A"), std::nullopt);
    EXPECT_EQ(query.find(""), "e");
    EXPECT_EQ(query.pairs().size(), 8U);
    EXPECT_EQ(query.pairs()[6].name, "ab");
    EXPECT_TRUE(query_view{}.pairs().empty());
    EXPECT_EQ(query_view{"&&"}.find("a"), std::nullopt);
}

}  // namespace
}  // namespace linnet::http
