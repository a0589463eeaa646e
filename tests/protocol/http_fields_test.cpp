// The small readers and writers of single fields, and server-sent events.
#include "protocol/http/authorization.hpp"
#include "protocol/http/base64.hpp"
#include "protocol/http/conditional.hpp"
#include "protocol/http/cors.hpp"
#include "protocol/http/http_date.hpp"
#include "protocol/http/media_type.hpp"
#include "protocol/http/negotiate.hpp"
#include "protocol/http/prefer.hpp"
#include "protocol/http/request_parser.hpp"
#include "protocol/http/sse.hpp"

#include <gtest/gtest.h>

namespace linnet::http {
namespace {

// ---- Words ------------------------------------------------------------------------------------

TEST(HttpSyntax, TakesTheItemsOfAList) {
    std::string_view rest = " a , ,b\t,\"c,\\\"d\", e\"f,g\" ,";
    std::vector<std::string_view> items;
    while (const auto item = take_item(rest))
        items.push_back(*item);
    EXPECT_EQ(items, (std::vector<std::string_view>{"a", "b", "\"c,\\\"d\"", "e\"f,g\""}));
    std::string_view open = "a\"b, c\\";  // a string that does not end takes everything
    EXPECT_EQ(take_item(open), "a\"b, c\\");
    EXPECT_EQ(take_item(open), std::nullopt);
}

TEST(HttpSyntax, Unquotes) {
    EXPECT_EQ(unquoted("abc"), "abc");
    EXPECT_EQ(unquoted("\"a \\\"b\\\\\""), "a \"b\\");
    EXPECT_EQ(unquoted("\"\""), "");
    for (const char* text : {"", "a b", "\"", "\"a", "a\"", "\"a\"b\"", "\"a\\\""})
        EXPECT_EQ(unquoted(text), std::nullopt) << text;
}

TEST(HttpSyntax, ParsesDecimals) {
    EXPECT_EQ(parse_decimal("0"), 0U);
    EXPECT_EQ(parse_decimal("00018446744073709551615"), 18446744073709551615U);
    for (const char* text : {"", " 1", "1 ", "-1", "+1", "1.0", "0x1", "18446744073709551616", "28446744073709551615"})
        EXPECT_EQ(parse_decimal(text), std::nullopt) << text;
}

TEST(HttpFieldList, FindsWithoutRegardToCase) {
    field_list fields;
    fields.add({"Accept", "a"});
    fields.add({"X", "1, Two;q=1"});
    fields.add({"accept", "b"});
    EXPECT_EQ(fields.find("ACCEPT"), "a");
    EXPECT_EQ(fields.joined("Accept"), "a, b");
    EXPECT_EQ(fields.lines("Accept"), (std::vector<std::string_view>{"a", "b"}));
    EXPECT_TRUE(fields.lines("Y").empty());
    EXPECT_EQ(fields.count("accepT"), 2U);
    EXPECT_TRUE(fields.lists("x", "two"));
    EXPECT_FALSE(fields.lists("x", "tw"));
    EXPECT_FALSE(fields.has("Acceptx"));
    EXPECT_EQ(fields.get("Y"), "");
}

// ---- Base64, Authorization --------------------------------------------------------------------

TEST(HttpBase64, KeepsToTheTestVectorsOfItsStandard) {
    struct {
        const char* bytes;
        const char* text;
        const char* url;
    } const table[] = {{"", "", ""},
                       {"f", "Zg==", "Zg"},
                       {"fo", "Zm8=", "Zm8"},
                       {"foo", "Zm9v", "Zm9v"},
                       {"foob", "Zm9vYg==", "Zm9vYg"},
                       {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                       {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                       {"\xFB\xFF\xFE", "+//+", "-__-"}};
    for (const auto& row : table) {
        std::string text;
        std::string url;
        append_base64(text, row.bytes);
        append_base64(url, row.bytes, base64_form::url);
        EXPECT_EQ(text, row.text);
        EXPECT_EQ(url, row.url);
        EXPECT_EQ(base64_decoded(text), row.bytes);
        EXPECT_EQ(base64_decoded(url, base64_form::url), row.bytes);
        EXPECT_EQ(base64_size(std::string_view{row.bytes}.size(), base64_form::standard), text.size());
        EXPECT_EQ(base64_size(std::string_view{row.bytes}.size(), base64_form::url), url.size());
    }
}

TEST(HttpBase64, ReadsOneTextForEachValue) {
    for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Zm9v=", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "-__-",
                             "Zm9vZg==Zm9v", "Z===", "=Zm9", "Zm9vÄ"})
        EXPECT_EQ(base64_decoded(text), std::nullopt) << text;
    for (const char* text : {"Z", "Zg==", "Zh", "+//+", "Zm9", "Zm9vYmE="})
        EXPECT_EQ(base64_decoded(text, base64_form::url), std::nullopt) << text;
}

TEST(HttpBase64, BringsBackEveryByte) {
    std::string bytes;
    for (int i = 0; i < 300; ++i) {
        for (const auto form : {base64_form::standard, base64_form::url}) {
            std::string text;
            append_base64(text, bytes, form);
            ASSERT_EQ(base64_decoded(text, form), bytes);
        }
        bytes += static_cast<char>(i * 37);
    }
}

TEST(HttpAuthorization, ReadsNamesPasswordsAndTokens) {
    const auto basic = [](std::string_view value) -> std::string {
        const auto found = parse_authorization(value);
        const auto* const pair = found ? std::get_if<basic_credentials>(&*found) : nullptr;
        return pair != nullptr ? pair->user + "|" + pair->password : "none";
    };
    EXPECT_EQ(basic("Basic Z3Vlc3Q6Z3Vlc3Q="), "guest|guest");
    EXPECT_EQ(basic("bAsIc   Z3Vlc3Q6Z3Vlc3Q="), "guest|guest");
    EXPECT_EQ(basic("Basic YTpiOmM="), "a|b:c");
    EXPECT_EQ(basic("Basic Og=="), "|");
    EXPECT_EQ(basic("Basic w6Q6w7w="), "\xC3\xA4|\xC3\xBC");
    for (const char* value : {"", "Basic", "Basic ", "Basic Z3Vlc3Q=", "Basic Z3Vlc3Q6Z3Vlc3Q", "Basic YTpi YTpi",
                              "Basic YQA6Yg==", "Basic YTpiCg==", "Digest x", "Z3Vlc3Q6Z3Vlc3Q=", "Basic=YTpi"})
        EXPECT_EQ(basic(value), "none") << value;

    const auto bearer = [](std::string_view value) -> std::string {
        const auto found = parse_authorization(value);
        const auto* const token = found ? std::get_if<bearer_token>(&*found) : nullptr;
        return token != nullptr ? token->token : "none";
    };
    EXPECT_EQ(bearer("Bearer abc.DEF-_~+/12=="), "abc.DEF-_~+/12==");
    EXPECT_EQ(bearer("BEARER x"), "x");
    for (const char* value :
         {"Bearer", "Bearer ", "Bearer a b", "Bearer =", "Bearer a=b", "Bearer \"a\"", "Bearer a,b"})
        EXPECT_EQ(bearer(value), "none") << value;
}

// ---- Media types, negotiation -----------------------------------------------------------------

TEST(HttpMediaType, IsTakenApart) {
    const auto found = media_type::parse("Text/Plain ; charset=\"utf-8\"; X=a;; y=\"b;c\"");
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->is("text", "plain"));
    EXPECT_EQ(found->parameter("Charset"), "utf-8");
    EXPECT_EQ(found->parameter("x"), "a");
    EXPECT_EQ(found->parameter("y"), "b;c");
    EXPECT_EQ(found->parameter("z"), std::nullopt);
    EXPECT_TRUE(media_type::parse("application/problem+json")->has_syntax("JSON"));
    EXPECT_FALSE(media_type::parse("application/jsonp")->has_syntax("json"));
    for (const char* value : {"", "text", "text/", "/plain", "text/plain/x", "te xt/plain", "text/plain; x",
                              "text/plain; x=", "text/plain; x=\"a", "text/plain; =a", "text/plain, text/html"})
        EXPECT_FALSE(media_type::parse(value)) << value;
}

TEST(HttpMediaType, KnowsText) {
    for (const char* value : {"text/plain", "application/json; charset=utf-8", "application/vnd.x+xml", "TEXT/html",
                              "application/x-ndjson", "application/yaml"})
        EXPECT_TRUE(is_text_type(value)) << value;
    for (const char* value :
         {"", "application/octet-stream", "image/svg", "image/png", "application/gzip", "text", "model/x+json"})
        EXPECT_FALSE(is_text_type(value)) << value;
}

TEST(HttpNegotiate, ChoosesTheTypeThatSuitsBest) {
    constexpr std::string_view offered[] = {"application/json", "text/html", "text/plain"};
    struct {
        const char* accept;
        int index;
    } const table[] = {{"", 0},
                       {"*/*", 0},
                       {"text/*", 1},
                       {"text/plain", 2},
                       {"TEXT/PLAIN;charset=utf-8", 2},
                       {"text/plain;q=0.5, text/html;q=0.4", 2},
                       {"text/*;q=0.5, text/html;q=0.1, */*;q=0.2", 2},
                       {"application/json;q=0, */*", 1},
                       {"*/*;q=0", -1},
                       {"image/png", -1},
                       {"image/png, */*;q=0.1", 0},
                       {"text/html;q=1.001, text/plain", 2},
                       {"text/html;q=2, application/json;q=x", -1},
                       {"text/html;q=0.000", -1},
                       {"text/html;q=0.001", 1},
                       {",,text/html,,", 1}};
    for (const auto& row : table) {
        const auto chosen = choose_media_type(row.accept, offered);
        EXPECT_EQ(chosen ? static_cast<int>(*chosen) : -1, row.index) << row.accept;
    }
}

TEST(HttpNegotiate, CompressesWhatIsWanted) {
    for (const char* value : {"gzip", "GZIP;q=0.1", "br, gzip", "*", "identity, *;q=0.5", "x-gzip", "*;q=0, gzip"})
        EXPECT_TRUE(accepts_gzip(value)) << value;
    for (const char* value : {"", "br", "gzip;q=0", "gzip;q=0, *", "*;q=0", "identity", "gzipx", "gzip;q=a"})
        EXPECT_FALSE(accepts_gzip(value)) << value;
    EXPECT_TRUE(should_gzip("gzip", "application/json", gzip_bytes_min));
    EXPECT_FALSE(should_gzip("gzip", "application/json", gzip_bytes_min - 1));
    EXPECT_FALSE(should_gzip("gzip", "image/png", 1 << 20));
    EXPECT_FALSE(should_gzip("", "application/json", 1 << 20));
}

// ---- Conditions, preferences, dates -----------------------------------------------------------

TEST(HttpConditional, ComparesEntityTags) {
    EXPECT_EQ(make_etag(42), "\"42\"");
    struct {
        const char* field;
        bool weakly;
        bool strongly;
    } const table[] = {
        {"\"42\"", true, true},          {"W/\"42\"", true, false},  {"\"41\", \"42\"", true, true}, {"*", true, true},
        {"\"4,2\", \"42\"", true, true}, {"\"43\"", false, false},   {"42", false, false},           {"", false, false},
        {"\"42", false, false},          {"w/\"42\"", false, false}, {"\"a,*\"", false, false}};
    for (const auto& row : table) {
        EXPECT_EQ(names_etag_weakly(row.field, "\"42\""), row.weakly) << row.field;
        EXPECT_EQ(names_etag_strongly(row.field, "\"42\""), row.strongly) << row.field;
        EXPECT_FALSE(names_etag_weakly(row.field, "")) << row.field;
    }
    EXPECT_TRUE(names_etag_weakly("\"1\"", "W/\"1\""));
    EXPECT_FALSE(names_etag_strongly("W/\"1\"", "W/\"1\""));
}

TEST(HttpPrefer, ReadsWhatItKnows) {
    const preferences found = parse_prefer("foo=bar, Wait=\"10\"; x=y, wait=20, respond-async, return=minimal");
    EXPECT_EQ(found.wait_seconds, 10U);
    EXPECT_TRUE(found.respond_async);
    EXPECT_TRUE(found.return_minimal);
    EXPECT_EQ(parse_prefer("wait = 5").wait_seconds, 5U);
    EXPECT_EQ(parse_prefer("wait=99999999999").wait_seconds, 0xFFFF'FFFFU);
    for (const char* value : {"", "wait", "wait=", "wait=-1", "wait=x", "waits=1", "wait=1.5", ";wait"}) {
        EXPECT_EQ(parse_prefer(value).wait_seconds, std::nullopt) << value;
        EXPECT_FALSE(parse_prefer(value).respond_async) << value;
    }
    EXPECT_FALSE(parse_prefer("return=representation").return_minimal);
}

TEST(HttpDate, IsWrittenAsHttpHasIt) {
    EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(http_date(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
    EXPECT_EQ(http_date(1709164800), "Thu, 29 Feb 2024 00:00:00 GMT");
    EXPECT_EQ(http_date(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT");
    EXPECT_EQ(http_date(1735689599), "Tue, 31 Dec 2024 23:59:59 GMT");
    EXPECT_EQ(http_date(-1), http_date(0));
    EXPECT_EQ(http_date(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

// ---- CORS -------------------------------------------------------------------------------------

// The fields that a policy answers a request with.
std::string cors_answer(const cors_policy& policy, std::string_view request_fields, bool preflight = false) {
    request_parser parser;
    const std::string text = (preflight ? "OPTIONS" : "GET") + std::string{" / HTTP/1.1\r\nHost: a\r\n"} +
                             std::string{request_fields} + "\r\n";
    EXPECT_EQ(parser.next(wire::as_bytes(text)).what, request_event::head);
    EXPECT_EQ(is_preflight(parser.request()), preflight);
    std::string out;
    if (preflight) {
        append_preflight(out, policy, parser.request(), "");
    } else {
        response_writer to{out, {}, status::no_content, ""};
        add_cors(to, policy, parser.request());
        to.no_body();
    }
    const std::string_view status_line = "HTTP/1.1 204 No Content\r\n";
    EXPECT_TRUE(out.starts_with(status_line));
    return out.substr(status_line.size());
}

TEST(HttpCors, AnswersOnlyOriginsOfTheList) {
    const cors_policy policy{.origins = {"https://a.example", "null"}, .credentials = true, .response_fields = "ETag"};
    EXPECT_EQ(cors_answer(policy, "Origin: https://a.example\r\n"),
              "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a.example\r\n"
              "Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: ETag\r\n\r\n");
    for (const char* origin : {"https://b.example", "https://a.example.evil", "http://a.example", "https://A.example",
                               "https://a.example:443", "", "*"})
        EXPECT_EQ(cors_answer(policy, "Origin: " + std::string{origin} + "\r\n"), "Vary: Origin\r\n\r\n") << origin;
    EXPECT_EQ(cors_answer(policy, ""), "Vary: Origin\r\n\r\n");
    EXPECT_EQ(cors_answer(policy, "Origin: https://a.example\r\nOrigin: https://a.example\r\n"),
              "Vary: Origin\r\n\r\n");
    EXPECT_EQ(cors_answer({}, "Origin: https://a.example\r\n"), "\r\n");
}

TEST(HttpCors, NeverAllowsCredentialsToEverybody) {
    EXPECT_EQ(cors_answer({.any_origin = true, .credentials = true}, "Origin: https://x\r\n"),
              "Access-Control-Allow-Origin: *\r\n\r\n");
}

TEST(HttpCors, AnswersAPreflight) {
    const cors_policy policy{
        .origins = {"https://a"}, .methods = "GET, PUT", .request_fields = "X", .preflight_seconds = 5};
    const std::string asks = "Access-Control-Request-Method: PUT\r\n";
    EXPECT_EQ(cors_answer(policy, "Origin: https://a\r\n" + asks, true),
              "Vary: Origin\r\nAccess-Control-Allow-Origin: https://a\r\nAccess-Control-Allow-Methods: GET, PUT\r\n"
              "Access-Control-Allow-Headers: X\r\nAccess-Control-Max-Age: 5\r\n\r\n");
    EXPECT_EQ(cors_answer(policy, "Origin: https://b\r\n" + asks, true), "Vary: Origin\r\n\r\n");
}

// ---- Server-sent events -----------------------------------------------------------------------

// What an EventSource makes of a stream, after the HTML standard.
struct received {
    std::string id;
    std::string name;
    std::string data;

    bool operator==(const received&) const = default;
};

std::vector<received> read_events(std::string_view text) {
    std::vector<received> events;
    received next;
    bool has_data = false;
    while (!text.empty()) {
        const std::size_t end = text.find_first_of("\r\n");
        EXPECT_NE(end, std::string_view::npos) << "a line without an end";
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end + (text.substr(end, 2) == "\r\n" ? 2 : 1));
        if (line.empty()) {
            if (has_data)
                events.push_back({next.id, next.name, next.data.substr(0, next.data.size() - 1)});
            next.name = next.data = "";
            has_data = false;
            continue;
        }
        const std::size_t colon = std::min(line.find(':'), line.size());
        std::string_view value = line.substr(std::min(colon + 1, line.size()));
        if (value.starts_with(' '))
            value.remove_prefix(1);
        const std::string_view name = line.substr(0, colon);
        if (name == "data") {
            next.data.append(value).append("\n");
            has_data = true;
        } else if (name == "event") {
            next.name = value;
        } else if (name == "id" && value.find('\0') == std::string_view::npos) {
            next.id = value;
        }
    }
    return events;
}

TEST(HttpSse, WritesEventsThatComeBackAsTheyWere) {
    for (const char* body : {"", "a", "a\nb", "\n", "\n\n", "a\n", " a", "  ", ":", "data: x", "id: 1\n\nevent: y",
                             "\xC3\xA4\xF0\x9F\x90\xA6", "\xEF\xBB\xBFx"}) {
        std::string out;
        append_message(out, {"7", "type", "text/plain", body});
        EXPECT_EQ(read_events(out), (std::vector<received>{{"7", "type", body}})) << body;
    }
    std::string out;
    append_event(out, {.data = "x"});
    EXPECT_EQ(out, "data: x\n\n");
    out.clear();
    append_event(out, {"1", "n", "a\nb"});
    EXPECT_EQ(out, "id: 1\nevent: n\ndata: a\ndata: b\n\n");
}

TEST(HttpSse, TakesEveryLineEndForOne) {
    std::string out;
    append_event(out, {.data = "a\rb\r\nc\n\rd\r"});
    EXPECT_EQ(out, "data: a\ndata: b\ndata: c\ndata: \ndata: d\ndata: \n\n");
}

TEST(HttpSse, EnclosesWhatWouldNotSurvive) {
    struct {
        const char* name;
        const char* content_type;
        std::string body;
        const char* event;
        const char* data;
    } const table[] = {
        {"t", "text/plain", "a\rb", "t;base64", R"({"content_type":"text/plain","base64":"YQ1i"})"},
        {"t", "text/plain", "\xFF", "t;base64", R"({"content_type":"text/plain","base64":"/w=="})"},
        {"", "image/png", "ab", "message;base64", R"({"content_type":"image/png","base64":"YWI="})"},
        {"", "", "ab", "message;base64", R"({"content_type":"","base64":"YWI="})"},
        {"", "a\"\r\nb", "", "message;base64", R"({"content_type":"a\"\r\nb","base64":""})"},
        // What calls itself enclosed is so indeed.
        {"x;base64", "text/plain", "hi", "x;base64;base64", R"({"content_type":"text/plain","base64":"aGk="})"},
        {"x;base\n64", "text/plain", "hi", "x;base64;base64", R"({"content_type":"text/plain","base64":"aGk="})"}};
    for (const auto& row : table) {
        std::string out;
        append_message(out, {"1", row.name, row.content_type, row.body});
        EXPECT_EQ(read_events(out), (std::vector<received>{{"1", row.event, row.data}})) << row.body;
    }
}

TEST(HttpSse, CannotBeBrokenByNamesAndIds) {
    std::string out;
    append_event(out, {std::string_view{"1\n\ndata: evil\r\0x", 16}, "n\r\ndata: evil", "good"});
    EXPECT_EQ(read_events(out), (std::vector<received>{{"1data: evilx", "ndata: evil", "good"}}));
}

TEST(HttpSse, SpeaksOfGapsRetriesAndNothing) {
    std::string out;
    append_retry(out, 3000);
    out += sse_heartbeat;
    append_gap(out, "9", 4, 9);
    EXPECT_EQ(out, "retry: 3000\n\n:\n\nid: 9\nevent: gap\ndata: {\"from\":4,\"to\":9}\n\n");
    EXPECT_EQ(read_events(out), (std::vector<received>{{"9", "gap", R"({"from":4,"to":9})"}}));
}

}  // namespace
}  // namespace linnet::http
