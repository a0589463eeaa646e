// The head of a message, from its bytes to its fields: collected, parsed by Boost.Beast, then held to rules that
// Beast does not have. Internal to this room; request_parser and response_parser are its faces.
#pragma once

#include "protocol/http/fault.hpp"
#include "protocol/http/field.hpp"

#include <cstddef>

namespace linnet::http {

struct head_limits {
    std::size_t start_line_bytes_max;
    std::size_t head_bytes_max;
    std::size_t fields_max;
};

// Gathers a head line by line until the empty one.
//
// What is refused here is refused at its first wrong byte, however the bytes were cut: the order of the checks is
// the order of the bytes. Beast gets the head in one piece, so its answer cannot depend on the cuts either.
//
// Owns:     a copy of the head, which views into it rely on. A head is a few hundred bytes; copying it is what
//           lets a request outlive the shared buffer that it was read into.
// Bounds:   by head_limits; a buffer that has grown beyond `kept_bytes` is given back before the next head.
class head_collector {
public:
    enum class state : std::uint8_t { more, whole, refused };
    struct taken {
        state now;
        std::size_t bytes;
        fault why{};  // of `refused`
    };

    [[nodiscard]] taken take(std::string_view input, const head_limits& limits);
    [[nodiscard]] std::string_view head() const noexcept { return head_; }
    [[nodiscard]] bool empty() const noexcept { return head_.empty(); }
    [[nodiscard]] bool whole() const noexcept { return whole_; }
    void start_over();

private:
    static constexpr std::size_t kept_bytes = 4096;

    struct line_end {
        std::size_t line_bytes;
        char first;
        char before_feed;
    };
    enum class line_kind : std::uint8_t { text, blank, leading_blank };
    [[nodiscard]] std::optional<fault> end_line(line_end line, const head_limits& limits, line_kind& kind) noexcept;

    std::string head_;
    std::size_t lines_ = 0;
    std::size_t line_bytes_ = 0;  // of the line that has not ended yet
    char line_first_ = 0;
    char last_ = 0;
    bool skipped_blank_ = false;
    bool whole_ = false;
};

struct request_line {
    std::string_view method;
    std::string_view target;
    unsigned minor_version = 1;
};

struct status_line {
    unsigned code = 0;
    std::string_view reason;
    unsigned minor_version = 1;
};

// `head` ends with its empty line, and no line of it is folded. Everything found views it.
[[nodiscard]] std::optional<fault> parse_request_head(std::string_view head, request_line& start, field_list& fields);
[[nodiscard]] std::optional<fault> parse_response_head(std::string_view head, status_line& start, field_list& fields);

// What the fields say of the body's length.
struct body_length {
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
};

// Two readers who disagree on where a body ends are how requests are smuggled, so only what has one reading passes:
// one Content-Length of digits, or one Transfer-Encoding that is `chunked`, or neither.
[[nodiscard]] std::optional<fault> read_body_length(const field_list& fields, unsigned minor_version,
                                                    body_length& into);

// Whether the connection may serve another message after this one.
[[nodiscard]] bool keeps_alive(const field_list& fields, unsigned minor_version) noexcept;

}  // namespace linnet::http
