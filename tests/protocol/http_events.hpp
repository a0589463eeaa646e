// What a parser says of some bytes, as a text that tests compare: however the bytes were cut, it is the same.
#pragma once

#include "protocol/http/request_parser.hpp"
#include "protocol/http/response_parser.hpp"

#include <gtest/gtest.h>

#include <string>

namespace linnet::test {

// A request a line: `GET /path[a|b]?query host=h body=...`; `!` and the fault where it ends badly.
class request_recorder {
public:
    explicit request_recorder(const http::parser_limits& limits = {}) : parser_{limits} {}

    // False when there is no use in going on.
    bool feed(std::string_view text) {
        wire::bytes_view input = wire::as_bytes(text);
        for (;;) {
            const auto step = parser_.next(input);
            EXPECT_LE(step.taken, input.size());
            input = input.subspan(step.taken);
            switch (step.what) {
                case http::request_event::need_more: EXPECT_TRUE(input.empty()); return true;
                case http::request_event::head: add_head(); break;
                case http::request_event::continue_wanted: heard += " continue?"; break;
                case http::request_event::body:
                    EXPECT_FALSE(step.body.empty());
                    heard += wire::as_text(step.body);
                    break;
                case http::request_event::end: heard += ".\n"; break;
                case http::request_event::refused:
                    heard += '!';
                    heard += http::describe(step.why);
                    // For good, whatever comes.
                    EXPECT_EQ(parser_.next(wire::as_bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).what,
                              http::request_event::refused);
                    return false;
            }
        }
    }

    [[nodiscard]] const http::request_parser& parser() const { return parser_; }
    std::string heard;

private:
    void add_head() {
        const http::request& r = parser_.request();
        heard.append(r.method_name).append(" ").append(r.target.path()).append("[");
        std::string_view between;
        for (const std::string_view segment : r.target.segments()) {
            heard.append(between).append(segment);
            between = "|";
        }
        heard.append("]?").append(r.target.query().text()).append(" host=").append(r.host);
        for (const http::field& each : r.fields)
            heard.append(" ").append(each.name).append("=").append(each.value);
        heard.append(r.keep_alive ? "" : " close").append(" body=");
    }

    http::request_parser parser_;
};

inline std::string requests_of(std::string_view text, const http::parser_limits& limits = {}) {
    request_recorder recorder{limits};
    recorder.feed(text);
    return recorder.heard;
}

// Cut in two at every place, and into single bytes: nothing else must come out.
inline void expect_same_at_every_cut(std::string_view text, const http::parser_limits& limits = {}) {
    const std::string whole = requests_of(text, limits);
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        request_recorder recorder{limits};
        if (recorder.feed(text.substr(0, cut)))
            recorder.feed(text.substr(cut));
        ASSERT_EQ(recorder.heard, whole) << "cut at " << cut;
    }
    request_recorder single{limits};
    for (std::size_t i = 0; i < text.size() && single.feed(text.substr(i, 1)); ++i) {
        ASSERT_EQ(whole.substr(0, single.heard.size()), single.heard) << "behind byte " << i;
    }
    EXPECT_EQ(single.heard, whole);
}

// The same from the client's side: `200 OK field=value ... body=...`.
class response_recorder {
public:
    explicit response_recorder(http::asked request = http::asked::with_body, const http::response_limits& limits = {})
        : parser_{limits}, request_{request} {}

    bool feed(std::string_view text) {
        wire::bytes_view input = wire::as_bytes(text);
        for (;;) {
            const auto step = parser_.next(input, request_);
            EXPECT_LE(step.taken, input.size());
            input = input.subspan(step.taken);
            switch (step.what) {
                case http::response_event::need_more: EXPECT_TRUE(input.empty()); return true;
                case http::response_event::head: add_head(); break;
                case http::response_event::body: heard += wire::as_text(step.body); break;
                case http::response_event::end: heard += ".\n"; break;
                case http::response_event::refused: refused(step.why); return false;
            }
        }
    }
    void close() {
        const auto step = parser_.at_close();
        if (step.what == http::response_event::refused)
            refused(step.why);
        else
            heard += "closed";
    }

    [[nodiscard]] const http::response_parser& parser() const { return parser_; }
    std::string heard;

private:
    void add_head() {
        const http::response& r = parser_.response();
        heard.append(std::to_string(r.code)).append(" ").append(r.reason);
        for (const http::field& each : r.fields)
            heard.append(" ").append(each.name).append("=").append(each.value);
        heard.append(r.keep_alive ? "" : " close").append(" body=");
    }
    void refused(http::fault why) { heard.append("!").append(http::describe(why)); }

    http::response_parser parser_;
    http::asked request_;
};

inline std::string responses_of(std::string_view text, http::asked request = http::asked::with_body) {
    response_recorder recorder{request};
    recorder.feed(text);
    return recorder.heard;
}

}  // namespace linnet::test
