#pragma once

#include "broker/core/shard.hpp"
#include "broker/session/authenticator.hpp"
#include "broker/session/http_handler.hpp"
#include "broker/session/session.hpp"
#include "broker/session/websocket_session.hpp"
#include "protocol/http/cors.hpp"
#include "protocol/http/gzip.hpp"
#include "protocol/http/request_parser.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session {

struct http_settings {
    // What WebSocket carries: by sub-protocol, else by path.
    struct carried {
        std::vector<std::string> protocols;  // "mqtt", "mqttv3.1"
        std::vector<std::string> paths;      // "/ws/mqtt"
        websocket_session::factory make;     // needs its own host and shard only
        std::uint64_t message_bytes_max = 0;
    };
    std::vector<carried> websockets;
    // Who answers what: the first whose prefix begins the path, which is "/v1/" for /v1 as well.
    enum class access : std::uint8_t { login, open };
    struct served {
        std::string prefix;
        http_handler* handler = nullptr;
        access who = access::login;
    };
    std::vector<served> handlers;
    authenticator* logins = nullptr;  // null where nothing asks for a login
    bool certificates = false;        // a verified client certificate logs in, where there is no Authorization
    std::string realm = "Linnet";
    // Pages that may open WebSockets and call, beside our own; "*": all.
    std::vector<std::string> origins;
    bool compress = false;  // permessage-deflate, when the client offers it
    // For a head, and to log in. A body may take longer, as long as it brings body_bytes_a_second.
    mono_ns request_timeout = 10 * ns_per_s;
    std::uint64_t body_bytes_a_second = 1024;
    // Between requests; and for a client that does not read what it has asked for.
    mono_ns idle_timeout = 60 * ns_per_s;
    mono_ns ping_interval = 30 * ns_per_s;  // WebSockets that are silent for so long are asked; 0: none
    // What the probes ask.
    std::function<bool()> ready = [] { return true; };
};

// One HTTP/1.1 connection: requests in, one at a time, each handed to the handler of its path when it is whole; answers
// out, in order. Beside that the probes (/livez, /readyz, /startupz), and the way into WebSockets, after which it only
// passes on what concerns the session that they carry.
//
// Who asks is made sure of before a byte of a body is taken, so only those who may log in can make it hold one.
//
// Threads: its shard's.
// Owns:    the request at work, the source of an answer that is being streamed, the session it has become. Borrows
// host,
//          shard, settings.
// Bounds:  heads by protocol/http's limits, bodies by their handler's. What is pipelined waits in the socket. Output: a
//          stream is asked for more only below the high watermark, and no request is read above it.
// Fails:   every refusal is a problem document (RFC 9457) with its status, in its handler's words where it has one.
class http_session final : public session, private core::timer, private login_port, private http_answer_port {
public:
    http_session(host& h, core::shard& s, const http_settings& settings);
    ~http_session() override;

    // session
    [[nodiscard]] std::size_t on_bytes(std::span<const std::uint8_t> in) override;
    [[nodiscard]] std::size_t on_input(std::span<std::uint8_t> in) override;
    [[nodiscard]] bool holds_input() const noexcept override { return become_ != nullptr && become_->holds_input(); }
    void before_flush() override;
    void on_output_drained() override;
    void on_peer_closed() override;
    [[nodiscard]] std::string_view user_name() const noexcept override {
        return become_ != nullptr ? become_->user_name() : std::string_view{user_.name};
    }
    // core::session_port: this session never asks the core for anything, its handlers do.
    void on_reply(core::reply&& r) override;
    void on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) override;
    void on_settled_batch() override {}
    [[nodiscard]] core::delivery_sink* find_sink(std::uint64_t) override { return nullptr; }
    void on_alarms(core::alarms) override {}
    void on_shutdown(std::string_view reason) override;
    void on_rights_changed() override;

private:
    enum class phase : std::uint8_t {
        reading,  // of the next request, or of this one's body
        logging_in,
        answering,  // a handler is at work
        streaming,
        done,
    };
    // Wakes the pump when it has done its share of a turn and is not finished.
    struct next_piece final : core::timer {
        explicit next_piece(host& h) noexcept : host_(h) {}
        void on_timer(mono_ns) override { host_.flush_soon(); }
        host& host_;
    };
    // A token that has run out ends what it let in.
    struct grant_end final : core::timer {
        explicit grant_end(http_session& s) noexcept : session_(s) {}
        void on_timer(mono_ns) override { session_.on_grant_end(); }
        http_session& session_;
    };
    class stream_body;

    void on_timer(mono_ns now) override;
    void on_login(login_verdict v) override;
    // http_answer_port
    void answered(http_answer a) override;
    void streamed(http_answer head, std::unique_ptr<http_source> body) override;
    void woken() override;

    // ---- Input (http_session.cpp)
    // How much of it is done with; all of it, unless it has become another session or must wait.
    [[nodiscard]] std::size_t take(std::span<const std::uint8_t> in);
    [[nodiscard]] bool may_read() noexcept;
    void wait_for_more();
    void on_head();
    void on_body(std::span<const std::uint8_t> piece);
    void on_end();
    void log_in();
    void on_verdict(const login_verdict& v);
    void admit();
    [[nodiscard]] const http_settings::served* served_at(std::string_view path) const;
    [[nodiscard]] bool is_foreign_page(const http::request& r) const;
    [[nodiscard]] http_request view() const noexcept;
    void answer_probe(bool good);
    void answer_unserved();

    // ---- Answers (http_session_answer.cpp)
    // Before the body is there: closes if there is one.
    void refuse(const http::problem& p);
    void refuse_login();
    [[nodiscard]] http_answer login_refusal();
    void answer_early(http_answer a);
    void write_answer(const http_answer& a, http::reply_to to);
    [[nodiscard]] bool compresses(const http_answer& a, http::reply_to to, std::size_t bytes) const;
    void write_fields(http::response_writer& to, const http_answer& a, bool zipped);
    void answer_preflight();
    // With the page that asks now among its origins, if one of their patterns has it.
    [[nodiscard]] const http::cors_policy& cors();
    void pump();
    void finish_stream();
    [[nodiscard]] bool ends_with_stream();
    void end_stream();
    void end_call();
    void lose_call();
    void watch_grant();
    void on_grant_end();
    void say_problem(const http::problem& p, http::reply_to to, std::span<const http::field> more = {});

    void open_websocket();
    [[nodiscard]] const http_settings::carried* carried_by(std::string_view protocol, std::string_view path) const;
    [[nodiscard]] const std::string& date();
    void say(std::string_view text);
    void hang_up();
    void pause();
    void resume();
    void watch(mono_ns how_long);
    void watch_reader();

    // Constant after construction.
    host& host_;
    const peer_info peer_;  // requests refer to it
    core::shard& shard_;
    const http_settings& settings_;
    http::cors_policy cors_;

    std::unique_ptr<http::request_parser> parser_;  // none any more once it has become another session
    std::unique_ptr<websocket_session> become_;
    phase phase_ = phase::reading;
    bool paused_ = false;
    std::size_t unsent_ = SIZE_MAX;  // output, when the timer last looked
    bool stuck_ = false;             // output above the high watermark
    mono_ns began_ = 0;              // the request at work; 0: none
    std::uint64_t body_taken_ = 0;

    // The request at work.
    const http_settings::served* served_ = nullptr;
    bool answered_early_ = false;
    std::string body_;
    std::shared_ptr<http_call> call_;

    // Its answer, while it is streamed.
    std::unique_ptr<http_source> source_;
    bool source_wanted_ = false;
    bool endless_ = false;         // events: nobody can tell that some are missing
    bool at_hand_ = false;         // all of it: the answer needs nobody else to be finished
    bool is_last_ = false;         // the connection ends with it
    bool rights_changed_ = false;  // since it was asked for what is being answered
    http::stream_form form_ = http::stream_form::nothing;
    std::unique_ptr<http::gzip_writer> zip_;
    next_piece next_piece_;
    grant_end grant_end_;

    // Who has logged in, by what, and until when that is believed.
    http_user user_;
    std::string authorization_;
    mono_ns believed_until_ = 0;

    std::string text_;  // reused
    std::string date_;
    std::int64_t date_s_ = 0;
};

}  // namespace linnet::session
