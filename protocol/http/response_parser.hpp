// Reads responses, for the programs that are HTTP's clients: the load generator and the command line.
//
// As request_parser, from the other side: `head`, `body` any number of times, `end`, and the next one after it. An
// interim response (1xx) is a head and an end by itself. After a 101 the bytes behind `end` are the other protocol's.
//
// Owns:     a copy of the head, which response() views; body pieces view the input.
// Bounds:   response_limits.
// Fails:    `refused`, for good.
#pragma once

#include "protocol/http/body_reader.hpp"
#include "protocol/http/head.hpp"

namespace linnet::http {

struct response_limits {
    std::size_t head_bytes_max = 64 * 1024;
    std::size_t fields_max = 200;
    std::uint64_t body_bytes_max = body_reader::unlimited;
};

struct response {
    unsigned code = 0;
    std::string_view reason;
    unsigned minor_version = 1;
    field_list fields;
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
    bool keep_alive = true;

    [[nodiscard]] bool is_interim() const noexcept { return code < 200; }
};

enum class response_event : std::uint8_t { need_more, head, body, end, refused };

// What the request was: the answer to HEAD has a length and no body.
enum class asked : std::uint8_t { with_body, head_only };

class response_parser {
public:
    struct step {
        response_event what;
        std::size_t taken;
        wire::bytes_view body{};
        fault why{};
    };

    explicit response_parser(const response_limits& limits = {}) noexcept : limits_{limits} {}
    response_parser(const response_parser&) = delete;
    response_parser& operator=(const response_parser&) = delete;

    // `request`: what the response that comes next answers.
    [[nodiscard]] step next(wire::bytes_view input, asked request = asked::with_body);
    // The peer has closed. `end` when that ended a body, or nothing was under way; else `refused`.
    [[nodiscard]] step at_close();

    // From `head` on, until next() is called after `end`.
    [[nodiscard]] const http::response& response() const noexcept { return response_; }

private:
    enum class stage : std::uint8_t { head, body, refused };

    [[nodiscard]] step take_head(wire::bytes_view input, asked request);
    [[nodiscard]] step take_body(wire::bytes_view input);
    [[nodiscard]] step refuse(fault why, std::size_t taken) noexcept;
    [[nodiscard]] std::optional<fault> understand(asked request);
    void start_body(asked request) noexcept;

    response_limits limits_;
    head_collector collector_;
    http::response response_;
    body_reader body_;
    stage stage_ = stage::head;
    fault why_{};
};

}  // namespace linnet::http
