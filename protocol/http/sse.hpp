// Server-sent events (the HTML standard, section 9.2): the text that an EventSource reads.
//
// The stream is UTF-8 lines, and CR, LF and CR LF are all line ends in it, so only some bodies survive as they are:
// text without a carriage return does, each of its lines on a `data:` of its own. Everything else travels in one
// line of JSON, with its bytes in base64, and its event's name says so by the ending `;base64`. A reader can tell
// the two for certain: an event that is itself named so is enclosed as well.
//
// Owns:     nothing; it appends to the text that it was given. A message is encoded once and sent to every reader.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::http {

inline constexpr std::string_view event_stream_type = "text/event-stream";

// The fields of an event, unset when empty. Line ends and NUL in `id` and `name` are left out.
struct sse_event {
    std::string_view id{};
    std::string_view name{};
    std::string_view data{};
};

// As it stands; the reader sees every line end in `data` as a line feed.
void append_event(std::string& out, const sse_event& event);

// A message, whatever its bytes. `name`: its type or its content type. Raw when `content_type` is one of text's and
// the body survives, else enclosed: event "<name>;base64", data {"content_type":...,"base64":...}.
struct sse_message {
    std::string_view id{};
    std::string_view name{};
    std::string_view content_type{};
    std::string_view body{};
};
void append_message(std::string& out, const sse_message& message);
[[nodiscard]] bool is_sent_raw(const sse_message& message);

// `from` to `to`: the positions that were lost, both included. `id` is the last one of them, so that a reader who
// reconnects does not ask for them again.
void append_gap(std::string& out, std::string_view id, std::uint64_t from, std::uint64_t to);

// How long the reader waits before it connects again.
void append_retry(std::string& out, std::uint32_t ms);

// A comment, which no reader sees: it keeps proxies from closing a quiet stream, and finds readers that have gone.
inline constexpr std::string_view sse_heartbeat = ":\n\n";

}  // namespace linnet::http
