// Feeds bytes of any kind to HTTP's parsers, as a server and as a client would get them, and to the readers of
// single fields.
//
// Beyond crashes it looks for disagreements: the same bytes must be heard the same however they are cut, nothing may
// follow a refusal, and a request that is understood and written again must be the same request. A disagreement
// aborts, which libFuzzer reports like a crash.
#include "protocol/http/authorization.hpp"
#include "protocol/http/base64.hpp"
#include "protocol/http/conditional.hpp"
#include "protocol/http/media_type.hpp"
#include "protocol/http/negotiate.hpp"
#include "protocol/http/prefer.hpp"
#include "protocol/http/request_parser.hpp"
#include "protocol/http/request_writer.hpp"
#include "protocol/http/response_parser.hpp"
#include "protocol/http/sse.hpp"
#include "protocol/wire/utf8.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace {

using namespace linnet;

void require(bool condition) {
    if (!condition)
        std::abort();
}

// Where the input is cut, and how tight the limits are, follows from the input itself: a finding is one file.
class dice {
public:
    explicit dice(wire::bytes_view bytes) {
        for (const std::uint8_t byte : bytes)
            state_ = (state_ ^ byte) * 0x100000001B3;
    }
    std::size_t below(std::size_t limit) {
        state_ = state_ * 6364136223846793005 + 1442695040888963407;
        return static_cast<std::size_t>(state_ >> 33) % limit;
    }

private:
    std::uint64_t state_ = 0xCBF29CE484222325;
};

void add_fields(std::string& heard, const http::field_list& fields) {
    for (const http::field& each : fields) {
        require(http::is_token(each.name) && http::is_field_value(each.value));
        heard.append(each.name).append("=").append(each.value).append("\n");
    }
}

// ---- As a server ------------------------------------------------------------------------------

struct server {
    explicit server(const http::parser_limits& limits) : parser{limits} {}

    // False when the parser has refused.
    bool feed(wire::bytes_view input) {
        for (;;) {
            const auto step = parser.next(input);
            require(step.taken <= input.size());
            input = input.subspan(step.taken);
            if (step.what == http::request_event::need_more) {
                require(input.empty());
                return true;
            }
            hear(step);
            if (step.what == http::request_event::refused) {
                require(!http::describe(step.why).empty());
                require(parser.next(input).what == http::request_event::refused);
                return false;
            }
        }
    }

    void hear(const http::request_parser::step& step) {
        using event = http::request_event;
        switch (step.what) {
            case event::need_more: break;
            case event::head:
                require(!within);
                within = true;
                add_head();
                break;
            case event::continue_wanted:
                require(within && parser.request().expects_continue && parser.request().has_body());
                heard += "?";
                break;
            case event::body:
                require(within && parser.request().has_body() && !step.body.empty());
                body += step.body.size();
                heard += wire::as_text(step.body);
                break;
            case event::end:
                require(within && (parser.request().chunked || body == parser.request().content_length.value_or(0)));
                within = false;
                body = 0;
                heard += ".";
                ++ended;
                break;
            case event::refused: heard.append("!").append(http::describe(step.why)); break;
        }
    }

    void add_head() {
        const http::request& r = parser.request();
        require(!(r.chunked && r.content_length));
        require(r.minor_version == 0 || !r.host.empty());
        heard.append(r.method_name).append(" ").append(r.target.text()).append("\n");
        for (const std::string_view segment : r.target.segments()) {
            require(segment != "." && segment != ".." && segment.find('\0') == std::string_view::npos);
            heard.append(segment).append("|");
        }
        add_fields(heard, r.fields);
    }

    http::request_parser parser;
    std::string heard;
    std::uint64_t body = 0;
    std::size_t ended = 0;
    bool within = false;
};

void check_requests(wire::bytes_view input, dice random) {
    http::parser_limits limits;
    if (random.below(4) == 0)
        limits = {16 + random.below(64), 64 + random.below(256), 1 + random.below(5), random.below(64)};
    server whole{limits};
    whole.feed(input);
    server cut{limits};
    std::size_t at = 0;
    const std::size_t longest = 1 + random.below(40);
    while (at < input.size()) {
        const std::size_t size = std::min(1 + random.below(longest), input.size() - at);
        if (!cut.feed(input.subspan(at, size)))
            break;
        at += size;
    }
    require(whole.heard == cut.heard);
}

// What is understood can be written again, and is understood the same.
void check_rewriting(wire::bytes_view input) {
    http::request_parser parser;
    if (parser.next(input).what != http::request_event::head)
        return;
    const http::request& first = parser.request();
    if (first.method == http::method::other || first.host.empty() || !first.target.authority().empty())
        return;
    std::vector<http::field> fields;
    for (const http::field& each : first.fields) {
        if (!http::equal_ignoring_case(each.name, "Host") && !http::equal_ignoring_case(each.name, "Expect") &&
            !http::equal_ignoring_case(each.name, "Content-Length") &&
            !http::equal_ignoring_case(each.name, "Transfer-Encoding"))
            fields.push_back(each);
    }
    std::string text;
    http::append_request(text, first.method, first.target.text(), first.host, fields, "x");
    http::request_parser again{{.head_bytes_max = 1 << 20, .fields_max = 200}};
    require(again.next(wire::as_bytes(text)).what == http::request_event::head);
    const http::request& second = again.request();
    require(second.method == first.method && second.target.text() == first.target.text());
    require(second.host == first.host && second.content_length == 1U);
    require(std::equal(second.target.segments().begin(), second.target.segments().end(),
                       first.target.segments().begin(), first.target.segments().end()));
    require(second.fields.size() == fields.size() + 2);
}

// ---- As a client ------------------------------------------------------------------------------

struct client {
    bool feed(wire::bytes_view input) {
        for (;;) {
            const auto step = parser.next(input);
            require(step.taken <= input.size());
            input = input.subspan(step.taken);
            switch (step.what) {
                case http::response_event::need_more: require(input.empty()); return true;
                case http::response_event::head:
                    heard += std::to_string(parser.response().code);
                    add_fields(heard, parser.response().fields);
                    break;
                case http::response_event::body: heard += wire::as_text(step.body); break;
                case http::response_event::end: heard += "."; break;
                case http::response_event::refused: heard.append("!").append(http::describe(step.why)); return false;
            }
        }
    }

    http::response_parser parser{{256, 5, 100}};
    std::string heard;
};

void check_responses(wire::bytes_view input, dice random) {
    client whole;
    whole.feed(input);
    client cut;
    std::size_t at = 0;
    while (at < input.size()) {
        const std::size_t size = std::min(1 + random.below(30), input.size() - at);
        if (!cut.feed(input.subspan(at, size)))
            break;
        at += size;
    }
    require(whole.heard == cut.heard);
}

// ---- Single fields ----------------------------------------------------------------------------

void check_target(std::string_view text) {
    http::target first;
    if (first.parse(text) || first.is_asterisk())
        return;
    std::string path;
    for (const std::string_view segment : first.segments()) {
        path += '/';
        http::append_percent_encoded(path, segment);
    }
    http::target second;
    require(!second.parse(path));
    require(std::equal(first.segments().begin(), first.segments().end(), second.segments().begin(),
                       second.segments().end()));
    for (const auto& pair : first.query().pairs())
        require(first.query().find(pair.name).has_value());
}

void check_fields(std::string_view text) {
    for (const auto form : {http::base64_form::standard, http::base64_form::url}) {
        if (const auto bytes = http::base64_decoded(text, form)) {
            std::string again;
            http::append_base64(again, *bytes, form);
            require(again == text);
        }
    }
    (void)http::parse_authorization(text);
    (void)http::parse_prefer(text);
    (void)http::accepts_gzip(text);
    (void)http::names_etag_weakly(text, "\"1\"");
    constexpr std::string_view offered[] = {"application/json", "text/html"};
    (void)http::choose_media_type(text, offered);
    if (const auto type = http::media_type::parse(text))
        require(http::is_token(type->type) && http::is_token(type->subtype));
}

// Whatever is said in an event, it is one event: lines of known fields, then an empty one.
void check_event(std::string_view text, dice random) {
    const std::size_t first = random.below(text.size() + 1);
    const std::size_t second = first + random.below(text.size() - first + 1);
    std::string out;
    http::append_message(
        out, {text.substr(0, first), text.substr(first, second - first), "text/plain", text.substr(second)});
    require(out.ends_with("\n\n") && out.find("\n\n") == out.size() - 2 && out.find('\r') == std::string::npos);
    std::string_view rest = out;
    while (rest.size() > 1) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        require(line.starts_with("id: ") || line.starts_with("event: ") || line.starts_with("data: "));
        rest.remove_prefix(line.size() + 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const wire::bytes_view input{data, size};
    const dice random{input};
    check_requests(input, random);
    check_rewriting(input);
    check_responses(input, random);
    const std::string_view text = wire::as_text(input);
    check_target(text);
    check_fields(text);
    check_event(text, random);
    return 0;
}
