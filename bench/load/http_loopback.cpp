// HTTP's part of the small peer: messages by POST to Linnet's paths, events by GET; all else is answered 204.
#include "bench/load/loopback_server.hpp"
#include "protocol/http/request_parser.hpp"
#include "protocol/http/response_writer.hpp"
#include "protocol/http/sse.hpp"

#include <map>

namespace linnet::load {
namespace {

class http_loopback final : public loopback_server {
public:
    using loopback_server::loopback_server;

private:
    struct http_connection final : connection {
        using connection::connection;

        http::request_parser parser{};
        std::vector<std::uint8_t> body{};
    };

    // Who reads a name: all of them a topic, in turn a queue.
    struct readers {
        std::vector<http_connection*> all;
        bool take_turns = false;
        std::size_t next = 0;
    };

    std::unique_ptr<connection> make_connection(int fd) override { return std::make_unique<http_connection>(fd); }
    // Behind the payload: the ends of the line, the event and the chunk.
    std::size_t delivery_trailer() const noexcept override { return 2 + http::chunk_end.size(); }
    stamp_form form() const noexcept override { return stamp_form::text; }

    std::size_t on_input(connection& from) override {
        auto& c = static_cast<http_connection&>(from);
        std::size_t at = 0;
        for (;;) {
            const auto step = c.parser.next(wire::bytes_view{c.in}.subspan(at));
            at += step.taken;
            switch (step.what) {
                case http::request_event::head: c.body.clear(); break;
                case http::request_event::continue_wanted: break;
                case http::request_event::body: c.body.insert(c.body.end(), step.body.begin(), step.body.end()); break;
                case http::request_event::end: on_request(c, c.parser.request()); break;
                case http::request_event::need_more: return at;
                case http::request_event::refused: c.closing = true; return c.in.size();
            }
        }
    }

    void on_request(http_connection& c, const http::request& r) {
        const auto path = r.target.segments();
        const bool messages = path.size() > 3 && path[0] == "v1";
        if (r.method == http::method::post && messages) {
            reply(c, r, http::status::created);
            current_.key = name_in(path.subspan(3));
            current_.body = c.body;
            published(current_);
        } else if (r.method == http::method::get && path.size() > 2 && path.back() == "events") {
            const auto topic = r.target.query().find("topic");
            readers& to = readers_[topic ? *topic : std::string{path[3]}];
            to.take_turns = !topic;
            to.all.push_back(&c);
            open_events(c, r);
        } else {
            reply(c, r, http::status::no_content);
        }
    }

    static std::string name_in(std::span<const std::string_view> levels) {
        std::string name;
        for (const std::string_view each : levels)
            name.append(name.empty() ? "" : "/").append(each);
        return name;
    }

    static void reply(http_connection& c, const http::request& r, http::status code) {
        std::string text;
        http::response_writer{text, http::reply_to::request(r), code, {}}.no_body();
        append(c, text);
    }

    static void open_events(http_connection& c, const http::request& r) {
        std::string text;
        http::response_writer to{text, http::reply_to::request(r), http::status::ok, {}};
        static_cast<void>(to.field("Content-Type", http::event_stream_type).stream());
        append(c, text);
    }

    static void append(http_connection& c, std::string_view text) {
        c.out.insert(c.out.end(), text.begin(), text.end());
    }

    static std::string chunk_of(wire::bytes_view payload) {
        std::string event;
        http::append_event(event, {.data = wire::as_text(payload)});
        std::string chunk;
        http::append_chunk(chunk, event);
        return chunk;
    }

    void route(const message& m) override {
        const auto found = readers_.find(m.key);
        if (found == readers_.end() || found->second.all.empty())
            return;
        readers& to = found->second;
        const std::string chunk = chunk_of(m.body);
        if (to.take_turns)
            return append(*to.all[to.next++ % to.all.size()], chunk);
        for (http_connection* each : to.all)
            append(*each, chunk);
    }

    std::vector<std::uint8_t> sample_delivery(connection& c) override {
        for (const auto& [name, who] : readers_) {
            if (std::find(who.all.begin(), who.all.end(), &c) == who.all.end())
                continue;
            const std::vector<std::uint8_t> payload(stamp_bytes_of(form()), '0');
            const std::string chunk = chunk_of(payload);
            return {chunk.begin(), chunk.end()};
        }
        return {};
    }

    void forget(connection& c) override {
        for (auto& [name, who] : readers_)
            std::erase(who.all, &c);
    }

    std::map<std::string, readers> readers_;
    message current_;
};

}  // namespace

std::unique_ptr<loopback_server> make_http_loopback(loopback_peer::role r, loopback_peer::mischief m) {
    return std::make_unique<http_loopback>(r, m);
}

}  // namespace linnet::load
