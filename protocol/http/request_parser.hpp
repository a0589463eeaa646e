// Reads requests from a connection's bytes, one after the other.
//
//     for (;;) {
//         const auto step = parser.next(input);
//         input = input.subspan(step.taken);
//         switch (step.what) { ... need_more ends the loop, `refused` the connection ... }
//     }
//
// The bytes may be cut anywhere: the same bytes give the same events, but for how the body's pieces are cut. A
// request is `head`, then `continue_wanted` if the client waits to be asked for the body, then `body` any number of
// times, then `end`. Nothing is read beyond `end`, so pipelined requests stay where they are until next() is called
// again; that starts the next request and ends the life of this one. After an upgrade nobody calls it again: the
// bytes behind `end` are the other protocol's.
//
// Why strict: whatever two servers in a row may read differently is refused, see fault.hpp. Where Boost.Beast, which
// reads the grammar, is more lenient, the checks stand beside it; tests/protocol/http_smuggling_test.cpp has the list.
//
// Owns:     a copy of the head, which request() views; body pieces view the input.
// Bounds:   parser_limits. A body is never buffered, and one that announces more than the limit is refused before
//           any of it is read.
// Fails:    `refused`, for good: fault says why, status_of() what to answer before closing.
#pragma once

#include "protocol/http/body_reader.hpp"
#include "protocol/http/head.hpp"
#include "protocol/http/request.hpp"

namespace linnet::http {

struct parser_limits {
    std::size_t target_bytes_max = 8 * 1024;
    std::size_t head_bytes_max = 16 * 1024;  // start line and fields
    std::size_t fields_max = 100;
    std::uint64_t body_bytes_max = 16 * 1024 * 1024;
};

enum class request_event : std::uint8_t { need_more, head, continue_wanted, body, end, refused };

class request_parser {
public:
    struct step {
        request_event what;
        std::size_t taken;
        wire::bytes_view body{};
        fault why{};
    };

    explicit request_parser(const parser_limits& limits = {}) noexcept : limits_{limits} {}
    request_parser(const request_parser&) = delete;
    request_parser& operator=(const request_parser&) = delete;

    [[nodiscard]] step next(wire::bytes_view input);

    // From `head` on, until next() is called after `end`. After `refused` as far as it was understood.
    [[nodiscard]] const http::request& request() const noexcept { return request_; }
    // Another limit for this request's body alone: to be called on `head`.
    void limit_body(std::uint64_t bytes) noexcept { body_limit_ = bytes; }
    // Between requests, nothing of the next one has come: a connection may be closed here without a word.
    [[nodiscard]] bool idle() const noexcept {
        return stage_ == stage::head && (collector_.empty() || collector_.whole());
    }
    // Within a body: whoever answers now must either read on to `end` or close.
    [[nodiscard]] bool body_pending() const noexcept { return stage_ == stage::limit || stage_ == stage::body; }

private:
    enum class stage : std::uint8_t { head, limit, body, refused };

    [[nodiscard]] step take_head(wire::bytes_view input);
    [[nodiscard]] step take_body(wire::bytes_view input);
    [[nodiscard]] step admit_body(wire::bytes_view input);
    [[nodiscard]] step refuse(fault why, std::size_t taken) noexcept;
    void start_over();
    [[nodiscard]] std::optional<fault> understand();
    [[nodiscard]] std::optional<fault> find_host();
    [[nodiscard]] std::optional<fault> find_expectation();

    parser_limits limits_;
    std::uint64_t body_limit_ = 0;
    head_collector collector_;
    http::request request_;
    body_reader body_;
    stage stage_ = stage::head;
    fault why_{};
};

// The first bytes of a connection that speaks HTTP/2 without having asked. A port that serves several protocols
// looks at them before there is a parser.
inline constexpr std::string_view http2_preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class preface_match : std::uint8_t { complete, need_more, mismatch };
[[nodiscard]] preface_match match_http2_preface(wire::bytes_view input) noexcept;

}  // namespace linnet::http
