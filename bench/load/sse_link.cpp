#include "bench/load/sse_link.hpp"

#include "protocol/http/base64.hpp"

#include <algorithm>

namespace linnet::load {
namespace {

// The broker's own, about what a reader has missed; the sequences tell it, too.
constexpr std::string_view gap = "gap";
constexpr std::string_view enclosed_mark = ";base64";
constexpr std::string_view enclosed_member = "\"base64\":\"";
// A whole stamp, in groups of four characters for three bytes.
constexpr std::size_t stamp_characters = http::base64_size(stamp_bytes_of(stamp_form::text),
                                                           http::base64_form::standard);

std::optional<stamp> read_enclosed_stamp(std::string_view data) {
    const std::size_t found = data.find(enclosed_member);
    if (found == data.npos)
        return {};
    std::string_view text = data.substr(found + enclosed_member.size(), stamp_characters);
    text = text.substr(0, text.find('"'));
    const auto payload = http::base64_decoded(text.substr(0, text.size() / 4 * 4));
    return payload ? read_text_stamp(*payload) : std::nullopt;
}

}  // namespace

std::size_t sse_link::scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) {
    const std::uint8_t* at = begin;
    while (error().empty() && consumer_may_read(now_ns)) {
        const auto step = parser_.next({at, end});
        at += step.taken;
        switch (step.what) {
            case http::response_event::need_more: return static_cast<std::size_t>(at - begin);
            case http::response_event::head: break;
            case http::response_event::body:
                events_.feed(wire::as_text(step.body), [&](const scanned_event& e) { on_event(e, now_ns); });
                break;
            case http::response_event::end: fail("the server ended its events"); break;
            case http::response_event::refused:
                fail(fmt::format("the server's answer is not HTTP: {}", http::describe(step.why)));
                break;
        }
    }
    return static_cast<std::size_t>(at - begin);
}

void sse_link::on_event(const scanned_event& e, std::int64_t now_ns) {
    if (e.name == gap)
        return;
    const bool is_enclosed = e.name.ends_with(enclosed_mark);
    received(subscriptions_.front(), is_enclosed ? read_enclosed_stamp(e.data) : read_text_stamp(e.data), now_ns);
}

}  // namespace linnet::load
