// Requests: reading them, who asks, and whom to hand them to.

#include "broker/session/http_session.hpp"

#include "broker/base/assert.hpp"
#include "protocol/http/authorization.hpp"
#include "protocol/http/problem.hpp"
#include "protocol/wire/bytes.hpp"

#include <algorithm>
#include <array>

namespace linnet::session {
namespace {

constexpr std::array<std::string_view, 3> probes{"/livez", "/readyz", "/startupz"};
// A login is asked for again after so long, though the connection lasts.
constexpr mono_ns belief = 10 * ns_per_s;
// A body beyond this grows as it arrives, so that one which is only announced costs nothing.
constexpr std::uint64_t body_reserve_bytes = 64 * 1024;

constexpr std::int64_t own_bytes = sizeof(http_session) + sizeof(http::request_parser);

bool asks_for_websocket(const http::request& r) { return !r.upgrade.empty() && r.fields.lists("Upgrade", "websocket"); }

bool is_probe(std::string_view path) { return std::ranges::find(probes, path) != probes.end(); }

bool only_reads(http::method m) {
    return m == http::method::get || m == http::method::head || m == http::method::options;
}

http::cors_policy cors_of(const http_settings& s) {
    http::cors_policy p;
    p.any_origin = std::ranges::find(s.origins, "*") != s.origins.end();
    p.credentials = !p.any_origin;
    if (!p.any_origin) {
        p.origins = s.origins;
    }
    p.response_fields = "Location, ETag, Retry-After, Message-Id, Durability, Lease, Delivery-Attempt";
    return p;
}

}  // namespace

http_session::http_session(host& h, core::shard& s, const http_settings& settings)
    : host_(h),
      peer_(h.peer()),
      shard_(s),
      settings_(settings),
      cors_(cors_of(settings)),
      parser_(std::make_unique<http::request_parser>()),
      next_piece_(h),
      grant_end_(*this) {
    shard_.note_connection_bytes(own_bytes);
    watch(settings_.request_timeout);
}

http_session::~http_session() {
    shard_.note_connection_bytes(-own_bytes);
    stop();
    lose_call();
}

// ---- Input ---------------------------------------------------------------------------------------

std::size_t http_session::on_bytes(std::span<const std::uint8_t> in) {
    if (become_ != nullptr) {
        return become_->on_bytes(in);
    }
    const auto taken = take(in);
    return become_ == nullptr ? taken : taken + become_->on_bytes(in.subspan(taken));
}

std::size_t http_session::on_input(std::span<std::uint8_t> in) {
    if (become_ != nullptr) [[likely]] {
        return become_->on_input(in);
    }
    const auto taken = take(in);
    return become_ == nullptr ? taken : taken + become_->on_input(in.subspan(taken));
}

std::size_t http_session::take(std::span<const std::uint8_t> in) {
    const auto all = in.size();
    while (phase_ != phase::done && become_ == nullptr) {
        if (!may_read()) {
            // While nothing comes the socket is read on, so that the peer's end is seen.
            if (!in.empty()) {
                pause();
            }
            return all - in.size();
        }
        const auto step = parser_->next(in);
        in = in.subspan(step.taken);
        switch (step.what) {
            case http::request_event::need_more: wait_for_more(); return all;
            case http::request_event::head: on_head(); break;
            case http::request_event::continue_wanted: say(http::continue_response); break;
            case http::request_event::body: on_body(step.body); break;
            case http::request_event::end: on_end(); break;
            case http::request_event::refused:
                text_.clear();
                http::append_problem(text_, parser_->request(), step.why, date());
                say(text_);
                hang_up();
                break;
        }
    }
    return phase_ == phase::done ? all : all - in.size();
}

// A client that does not read its answers gets no further ones.
bool http_session::may_read() noexcept {
    if (phase_ != phase::reading) {
        return false;
    }
    if (!stuck_ && passes_high(host_)) {
        stuck_ = true;
        pause();
        watch_reader();
    }
    return !stuck_;
}

void http_session::wait_for_more() {
    if (parser_->idle()) {
        began_ = 0;
        watch(settings_.idle_timeout);
        return;
    }
    if (began_ == 0) {
        began_ = shard_.now();
        body_taken_ = 0;
    }
    const auto earned = static_cast<mono_ns>(body_taken_ / settings_.body_bytes_a_second) * ns_per_s;
    watch(std::max<mono_ns>(began_ + settings_.request_timeout + earned - shard_.now(), 0));
}

void http_session::on_head() {
    const auto& r = parser_->request();
    body_.clear();
    body_taken_ = 0;
    began_ = began_ == 0 ? shard_.now() : began_;
    answered_early_ = false;
    served_ = asks_for_websocket(r) ? nullptr : served_at(r.target.path());
    if (served_ == nullptr || http::is_preflight(r)) {
        parser_->limit_body(0);
    } else if ((!only_reads(r.method) || served_->handler->takes_by_get(r.target.segments())) && is_foreign_page(r)) {
        refuse({.code = http::status::forbidden, .detail = "pages of that origin may not do this here"});
    } else if (served_->who == http_settings::access::login) {
        log_in();
    } else {
        admit();
    }
}

void http_session::on_body(std::span<const std::uint8_t> piece) {
    body_taken_ += piece.size();
    if (!answered_early_) {
        body_ += wire::as_text(piece);
    }
}

void http_session::on_end() {
    began_ = 0;
    if (answered_early_) {
        return;
    }
    const auto& r = parser_->request();
    if (asks_for_websocket(r)) {
        open_websocket();
    } else if (served_ == nullptr) {
        answer_unserved();
    } else if (http::is_preflight(r)) {
        answer_preflight();
    } else {
        stop();
        watch_grant();
        phase_ = phase::answering;
        rights_changed_ = false;
        call_ = std::make_shared<http_call>();
        call_->port = this;
        served_->handler->on_request(view(), http_responder(call_));
    }
}

const http_settings::served* http_session::served_at(std::string_view path) const {
    const auto begins = [&](const http_settings::served& s) {
        const std::string_view prefix = s.prefix;
        return path.starts_with(prefix) || (prefix.ends_with('/') && path == prefix.substr(0, prefix.size() - 1));
    };
    const auto found = std::ranges::find_if(settings_.handlers, begins);
    return found == settings_.handlers.end() ? nullptr : &*found;
}

// A browser sends the credentials that it keeps for us whichever page asks it to.
bool http_session::is_foreign_page(const http::request& r) const {
    if (const auto origin = r.fields.find("Origin")) {
        return !page_may_call(*origin, r.host, settings_.origins);
    }
    // Pictures, frames and links are asked for without an Origin (Fetch Metadata, 2.2).
    const auto site = r.fields.get("Sec-Fetch-Site");
    return site == "cross-site" || site == "same-site";
}

http_request http_session::view() const noexcept {
    return {.head = parser_->request(), .body = body_, .user = user_, .peer = peer_};
}

// ---- Logging in ----------------------------------------------------------------------------------

void http_session::log_in() {
    const auto& r = parser_->request();
    const auto given = r.fields.get("Authorization");
    if (!user_.name.empty() && given == authorization_ && shard_.now() < believed_until_) {
        admit();
        return;
    }
    user_ = {};
    authorization_ = given;
    if (given.empty() && settings_.certificates && !peer_.certificate_name.empty()) {
        on_verdict(settings_.logins->verify_certificate(peer_.certificate_name, peer_.loopback));
        return;
    }
    const auto read = http::parse_authorization(given);
    if (const auto* bearer = read ? std::get_if<http::bearer_token>(&*read) : nullptr) {
        on_verdict(settings_.logins->verify_token(bearer->token, peer_.peer_address));
        return;
    }
    const auto* basic = read ? std::get_if<http::basic_credentials>(&*read) : nullptr;
    if (basic == nullptr) {
        refuse_login();
        return;
    }
    phase_ = phase::logging_in;
    const auto at_once = settings_.logins->verify({basic->user, basic->password, peer_.peer_address, peer_.loopback},
                                                  *this);
    if (at_once) {
        on_verdict(*at_once);
    } else {
        stop();
        pause();
    }
}

void http_session::on_login(login_verdict v) {
    if (phase_ != phase::logging_in) {
        return;
    }
    on_verdict(v);
    // The rest of this request may be here already.
    static_cast<void>(take({}));
    if (phase_ != phase::done) {
        resume();
    }
}

void http_session::on_verdict(const login_verdict& v) {
    phase_ = phase::reading;
    if (v.result != login_result::accepted) {
        refuse_login();
        return;
    }
    user_ = {.name = v.user, .tags = v.tags, .grant = v.grant};
    believed_until_ = shard_.now() + belief;
    if (v.grant != nullptr) {
        believed_until_ = std::min(believed_until_, shard_.now() + v.grant->ends_at() - shard_.wall_now());
    }
    admit();
}

void http_session::admit() {
    auto& handler = *served_->handler;
    if (auto no = handler.before_body(view())) {
        answer_early(std::move(*no));
        return;
    }
    parser_->limit_body(handler.body_bytes_max());
    const auto& r = parser_->request();
    body_.reserve(std::min(r.content_length.value_or(0), body_reserve_bytes));
}

// ---- Without a handler ---------------------------------------------------------------------------

void http_session::answer_unserved() {
    const auto& r = parser_->request();
    const auto path = r.target.path();
    const bool reads = r.method == http::method::get || r.method == http::method::head;
    if (is_probe(path) && reads) {
        answer_probe(path == probes.front() || settings_.ready());
    } else if (is_probe(path)) {
        constexpr std::array<http::field, 1> allowed{{{"Allow", "GET, HEAD"}}};
        say_problem({.code = http::status::method_not_allowed, .detail = "a probe is asked with GET"},
                    http::reply_to::request(r), allowed);
    } else {
        say_problem({.code = http::status::not_found, .detail = "nothing is served at this path"},
                    http::reply_to::request(r));
    }
    if (!r.keep_alive) {
        hang_up();
    }
}

void http_session::answer_probe(bool good) {
    text_.clear();
    http::response_writer{text_, http::reply_to::request(parser_->request()),
                          good ? http::status::ok : http::status::service_unavailable, date()}
        .field("Content-Type", "application/json")
        .field("Cache-Control", "no-store")
        .body(good ? R"({"status":"ok"})" : R"({"status":"failed","reason":"not in service"})");
    say(text_);
}

// ---- WebSocket -----------------------------------------------------------------------------------

const http_settings::carried* http_session::carried_by(std::string_view protocol, std::string_view path) const {
    for (const auto& c : settings_.websockets) {
        const auto& names = protocol.empty() ? c.paths : c.protocols;
        if (std::ranges::find(names, protocol.empty() ? path : protocol) != names.end()) {
            return &c;
        }
    }
    return nullptr;
}

void http_session::open_websocket() {
    const auto& r = parser_->request();
    websocket_request asked;
    asked.method = r.method_name;
    asked.http_1_1 = r.minor_version >= 1;
    asked.host = r.host;
    asked.upgrade = r.fields.lines("Upgrade");
    asked.connection = r.fields.lines("Connection");
    asked.key = r.fields.joined("Sec-WebSocket-Key");
    asked.version = r.fields.joined("Sec-WebSocket-Version");
    asked.protocols = r.fields.lines("Sec-WebSocket-Protocol");
    asked.extensions = r.fields.lines("Sec-WebSocket-Extensions");
    asked.origin = r.fields.find("Origin");
    websocket_policy policy;
    for (const auto& c : settings_.websockets) {
        policy.protocols.insert(policy.protocols.end(), c.protocols.begin(), c.protocols.end());
    }
    policy.origins = settings_.origins;
    policy.compress = settings_.compress;
    const auto verdict = answer_websocket(asked, policy);
    if (!verdict.accepted) {
        say(verdict.response);
        hang_up();
        return;
    }
    const auto* what = carried_by(verdict.protocol, r.target.path());
    if (what == nullptr) {
        say_problem({.code = http::status::not_found,
                     .detail = "neither the sub-protocol nor the path names a protocol that is spoken here"},
                    http::reply_to::refused(r));
        hang_up();
        return;
    }
    say(verdict.response);
    stop();
    user_ = {};
    become_ = std::make_unique<websocket_session>(
        host_, shard_,
        websocket_session::settings{.message_bytes_max = what->message_bytes_max,
                                    .deflate = verdict.deflate,
                                    .ping_interval = settings_.ping_interval},
        what->make);
}

// ---- The rest ------------------------------------------------------------------------------------

void http_session::before_flush() {
    if (become_ != nullptr) {
        become_->before_flush();
        parser_.reset();
    } else {
        pump();
    }
}

void http_session::on_output_drained() {
    if (become_ != nullptr) {
        become_->on_output_drained();
        return;
    }
    if (std::exchange(stuck_, false) && phase_ == phase::reading) {
        wait_for_more();
        resume();
    }
    if (source_ != nullptr) {
        stop();
        host_.flush_soon();
    }
}

void http_session::on_peer_closed() {
    if (become_ != nullptr) {
        become_->on_peer_closed();
        return;
    }
    lose_call();
}

void http_session::on_reply(core::reply&&) { LINNET_ASSERT(false, "HTTP asked for nothing"); }
void http_session::on_publish_settled(std::uint64_t, std::uint64_t, bool) {
    LINNET_ASSERT(false, "HTTP published nothing");
}

void http_session::on_shutdown(std::string_view reason) {
    if (become_ != nullptr) {
        become_->on_shutdown(reason);
        return;
    }
    if (phase_ == phase::answering || phase_ == phase::logging_in) {
        constexpr std::array<http::field, 1> later{{{"Retry-After", "1"}}};
        say_problem({.code = http::status::service_unavailable, .detail = reason},
                    http::reply_to::refused(parser_->request()), later);
    }
    if (!ends_with_stream()) {
        hang_up();
    }
}

// A reader of events comes back, goes on from the last that it has seen, and is judged then.
void http_session::on_rights_changed() {
    if (become_ != nullptr) {
        become_->on_rights_changed();
    } else if (phase_ == phase::streaming && endless_) {
        finish_stream();
        hang_up();
    } else {
        rights_changed_ = true;  // events that have not begun yet
    }
}

void http_session::on_timer(mono_ns /*now*/) {
    if (phase_ == phase::done || become_ != nullptr) {
        return;
    }
    const bool held_up = stuck_ || phase_ == phase::streaming;
    const auto left = host_.out().pending();
    if ((held_up || parser_->idle()) && left != 0 && left < unsent_) {
        watch_reader();  // slow, but it reads
        return;
    }
    if (held_up) {
        lose_call();
        phase_ = phase::done;
        host_.abort();
        return;
    }
    if (!parser_->idle()) {
        say_problem({.code = http::status::request_timeout, .detail = "the request took too long"},
                    http::reply_to::refused(parser_->request()));
    }
    hang_up();
}

// While a request is at work: the next one's token is looked at anyway.
void http_session::watch_grant() {
    if (user_.grant != nullptr) {
        const auto left = std::max<mono_ns>(user_.grant->ends_at() - shard_.wall_now(), ns_per_ms);
        shard_.timers().start(grant_end_, shard_.now() + left);
    }
}

void http_session::on_grant_end() {
    if (user_.grant == nullptr || (phase_ != phase::answering && phase_ != phase::streaming)) {
        return;
    }
    if (shard_.wall_now() < user_.grant->ends_at()) {
        watch_grant();
        return;
    }
    if (phase_ == phase::answering) {
        write_answer(login_refusal(), http::reply_to::refused(parser_->request()));
    } else if (endless_) {
        finish_stream();
    } else if (ends_with_stream()) {
        return;
    }
    hang_up();
}

// Until it is looked again whether it reads what is there.
void http_session::watch_reader() {
    unsent_ = host_.out().pending();
    watch(settings_.idle_timeout);
}

void http_session::watch(mono_ns how_long) { shard_.timers().start(*this, shard_.now() + how_long); }

void http_session::say(std::string_view text) {
    host_.out().append(wire::as_bytes(text));
    host_.flush_soon();
}

void http_session::hang_up() {
    if (phase_ != phase::done) {
        lose_call();
        phase_ = phase::done;
        stop();
        host_.close_after_flush();
    }
}

void http_session::pause() {
    if (!std::exchange(paused_, true)) {
        host_.pause_reading();
    }
}

void http_session::resume() {
    if (std::exchange(paused_, false)) {
        host_.resume_reading();
    }
}

}  // namespace linnet::session
