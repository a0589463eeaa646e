#include "bench/load/http_dialogue.hpp"

#include "bench/load/http_words.hpp"
#include "protocol/http/request_writer.hpp"
#include "protocol/http/response_parser.hpp"
#include "protocol/http/sse.hpp"

#include <array>

namespace linnet::load {

http_dialogue::http_dialogue(blocking_socket socket, const broker_uri& uri)
    : socket_{std::move(socket)}, host_{host_of(uri)}, authorization_{authorization_of(uri)} {}

outcome<http_dialogue> http_dialogue::connect(const broker_uri& uri) {
    auto socket = blocking_socket::connect(uri.host, uri.port);
    if (!socket)
        return tl::unexpected{socket.error()};
    return http_dialogue{std::move(*socket), uri};
}

void http_dialogue::send(http::method how, std::string_view target, std::string_view accept, std::string_view body) {
    const std::array fields{http::field{"Authorization", authorization_}, http::field{"Accept", accept},
                            http::field{"Content-Type", "application/json"}};
    const std::size_t count = body.empty() ? fields.size() - 1 : fields.size();
    std::string text;
    http::append_request(text, how, target, host_, std::span{fields}.first(count), body);
    socket_.out().insert(socket_.out().end(), text.begin(), text.end());
}

outcome<http_dialogue::answer> http_dialogue::ask(http::method how, std::string_view target, std::string_view body) {
    send(how, target, "*/*", body);
    if (auto done = socket_.flush(); !done)
        return tl::unexpected{done.error()};
    http::response_parser parser{{.body_bytes_max = answer_bytes_max}};
    const auto request = how == http::method::head ? http::asked::head_only : http::asked::with_body;
    answer a;
    for (;;) {
        const auto step = parser.next(socket_.unread(), request);
        switch (step.what) {
            case http::response_event::head:
                a.code = parser.response().code;
                a.server = parser.response().fields.get("Server");
                break;
            case http::response_event::body: a.body += wire::as_text(step.body); break;
            case http::response_event::end:
                socket_.take(step.taken);
                if (!parser.response().is_interim())
                    return a;
                continue;
            case http::response_event::refused: return failure("{}: not HTTP: {}", target, http::describe(step.why));
            case http::response_event::need_more: break;
        }
        socket_.take(step.taken);
        if (step.what != http::response_event::need_more)
            continue;
        if (auto done = socket_.read_some(); !done) {
            // An answer may end with its connection.
            if (a.code != 0 && parser.at_close().what == http::response_event::end)
                return a;
            return failure("{} {}: {}", http::name_of(how), target, done.error());
        }
    }
}

outcome<void> http_dialogue::open_events(std::string_view target) {
    send(http::method::get, target, http::event_stream_type, {});
    if (auto done = socket_.flush(); !done)
        return done;
    // Its link reads the head once more: what it says of the body's form is the link's to know.
    while (wire::as_text(socket_.unread()).find("\r\n\r\n") == std::string_view::npos) {
        if (auto done = socket_.read_some(); !done)
            return failure("GET {}: {}", target, done.error());
    }
    http::response_parser parser;
    if (const auto step = parser.next(socket_.unread()); step.what != http::response_event::head)
        return failure("GET {}: not HTTP: {}", target, http::describe(step.why));
    const auto& r = parser.response();
    if (r.code != 200 || !r.fields.get("Content-Type").starts_with(http::event_stream_type))
        return failure("GET {}: answered {} {} ({}) instead of events", target, r.code, r.reason,
                       r.fields.get("Content-Type"));
    return {};
}

}  // namespace linnet::load
