#include "bench/load/http_link.hpp"

namespace linnet::load {

std::size_t http_link::scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) {
    const std::uint8_t* at = begin;
    while (error().empty()) {
        const auto step = parser_.next({at, end});
        at += step.taken;
        switch (step.what) {
            case http::response_event::need_more: return static_cast<std::size_t>(at - begin);
            case http::response_event::head:
                code_ = parser_.response().code;
                keep_alive_ = parser_.response().keep_alive;
                break;
            case http::response_event::body: break;
            case http::response_event::end: on_answer(now_ns); break;
            case http::response_event::refused:
                fail(fmt::format("the server's answer is not HTTP: {}", http::describe(step.why)));
                break;
        }
    }
    return static_cast<std::size_t>(at - begin);
}

void http_link::on_answer(std::int64_t now_ns) {
    if (parser_.response().is_interim())
        return;
    ++answers_[code_];
    ++answered_;
    if (producers_.empty())
        return fail("the server answered what was not asked");
    producer_pace& pace = producers_.front().pace;
    pace.settle(pace.oldest(), false, [&](std::int64_t intended_ns) {
        if (code_ < 300)
            at_.metering.confirmed(intended_ns, now_ns);
        else
            ++at_.metering.now.nacked;
    });
    if (!keep_alive_)
        fail(fmt::format("the server ended the connection with its answer {} to request {}", code_, answered_));
}

}  // namespace linnet::load
