// Answers: whole, or streamed as fast as they are read.

#include "broker/session/http_session.hpp"

#include "broker/base/give_back.hpp"
#include "protocol/http/http_date.hpp"
#include "protocol/http/negotiate.hpp"
#include "protocol/wire/bytes.hpp"

#include <array>

namespace linnet::session {
namespace {

// Below this copying a body is cheaper than sending it from where it lies (output.hpp).
constexpr std::size_t reference_bytes = 4096;
// What one chunk gathers.
constexpr std::size_t chunk_bytes = 16 * 1024;
constexpr std::string_view bearer = "Bearer ";
// A source has so many tries in a turn: the thread has others to serve.
constexpr int pieces_a_turn = 8;
constexpr std::size_t zipped_at_once_max = 64 * 1024;  // zipping takes long: what is larger goes out in pieces
constexpr std::size_t zipped_piece_bytes = 8 * 1024;
// A buffer that one large request left behind is not kept for the small ones that follow.
constexpr std::size_t body_kept_bytes = 64 * 1024;

std::string_view value_of(const http_answer& a, std::string_view name) {
    for (const auto& [n, v] : a.fields) {
        if (http::equal_ignoring_case(n, name)) {
            return v;
        }
    }
    return {};
}

}  // namespace

// ---- The pieces of a stream ----------------------------------------------------------------------

// Gathers what a source says in one go, zips it if that was agreed, and cuts it into chunks.
class http_session::stream_body final : public http_body {
public:
    stream_body(output& out, http::stream_form form, http::gzip_writer* zip) noexcept
        : out_(out), form_(form), zip_(zip) {}

    void append(std::string_view text) override {
        if (zip_ != nullptr) {
            zip_->add(text, gathered_);
        } else {
            gathered_ += text;
        }
        if (gathered_.size() >= chunk_bytes) {
            pass_on();
        }
    }
    void append_shared(const core::message_ptr& m, std::span<const std::uint8_t> part) override {
        if (zip_ != nullptr) {
            append(wire::as_text(part));
            return;
        }
        // A chunk of its own, small as it may be: gathering would copy it once more.
        pass_on();
        begin_chunk(part.size());
        if (part.size() < reference_bytes) {
            out_.append(part);
        } else {
            out_.append_reference(m.share(), part);
        }
        end_chunk();
    }
    [[nodiscard]] std::size_t pending() const noexcept override { return out_.pending() + gathered_.size(); }

    void pass_on() {
        if (!gathered_.empty()) {
            begin_chunk(gathered_.size());
            out_.append(wire::as_bytes(gathered_));
            end_chunk();
            gathered_.clear();
        }
    }
    void finish() {
        if (zip_ != nullptr) {
            zip_->finish(gathered_);
        }
        pass_on();
        if (form_ == http::stream_form::chunks) {
            out_.append(wire::as_bytes(http::last_chunk));
        }
    }

private:
    void begin_chunk(std::size_t bytes) {
        if (form_ == http::stream_form::chunks) {
            head_.clear();
            http::append_chunk_head(head_, bytes);
            out_.append(wire::as_bytes(head_));
        }
    }
    void end_chunk() {
        if (form_ == http::stream_form::chunks) {
            out_.append(wire::as_bytes(http::chunk_end));
        }
    }

    output& out_;
    http::stream_form form_;
    http::gzip_writer* zip_;
    std::string gathered_;
    std::string head_;
};

// ---- Refusals ------------------------------------------------------------------------------------

void http_session::refuse(const http::problem& p) { answer_early(served_->handler->refusal(p)); }

void http_session::refuse_login() {
    user_ = {};
    answer_early(login_refusal());
}

http_answer http_session::login_refusal() {
    auto a = served_->handler->refusal(
        {.code = http::status::unauthorized, .detail = "user and password are wanted, or are not the right ones"});
    a.fields.emplace_back("WWW-Authenticate", "Basic realm=\"" + settings_.realm + "\", charset=\"UTF-8\"");
    if (settings_.logins->takes_tokens()) {
        const bool came = http::equal_ignoring_case(authorization_.substr(0, bearer.size()), bearer);
        a.fields.emplace_back("WWW-Authenticate",
                              "Bearer realm=\"" + settings_.realm + (came ? "\", error=\"invalid_token\"" : "\""));
    }
    return a;
}

void http_session::answer_early(http_answer a) {
    const auto& r = parser_->request();
    const bool ends = r.has_body() || !r.keep_alive;
    answered_early_ = true;
    write_answer(a, ends ? http::reply_to::refused(r) : http::reply_to::request(r));
    if (ends) {
        hang_up();
    }
}

void http_session::answer_preflight() {
    const auto& r = parser_->request();
    auto policy = cors();
    // Names of fields that applications choose (X-H-...) cannot be listed: a page that may call may send them.
    if (const auto wanted = r.fields.get("Access-Control-Request-Headers"); !wanted.empty()) {
        policy.request_fields = wanted;
    }
    text_.clear();
    http::append_preflight(text_, policy, r, date());
    say(text_);
    if (!r.keep_alive) {
        hang_up();
    }
}

const http::cors_policy& http_session::cors() {
    const auto origin = parser_->request().fields.get("Origin");
    if (!cors_.any_origin && !origin.empty()) {
        cors_.origins = settings_.origins;
        if (page_may_call(origin, {}, settings_.origins)) {
            cors_.origins.emplace_back(origin);
        }
    }
    return cors_;
}

void http_session::say_problem(const http::problem& p, http::reply_to to, std::span<const http::field> more) {
    text_.clear();
    http::append_problem(text_, to, p, date(), more);
    say(text_);
}

// ---- Whole answers -------------------------------------------------------------------------------

namespace {

// A body that is at hand, in pieces.
class text_source final : public http_source {
public:
    explicit text_source(std::string text) noexcept : text_(std::move(text)) {}
    progress write(http_body& to) override {
        const auto part = std::string_view(text_).substr(at_, zipped_piece_bytes);
        to.append(part);
        at_ += part.size();
        return at_ == text_.size() ? progress::done : progress::more;
    }

private:
    const std::string text_;
    std::size_t at_ = 0;
};

}  // namespace

void http_session::answered(http_answer a) {
    const auto to = http::reply_to::request(parser_->request());
    if (a.body.size() > zipped_at_once_max && compresses(a, to, a.body.size())) {
        auto body = std::make_unique<text_source>(std::exchange(a.body, {}));
        streamed(std::move(a), std::move(body));
        at_hand_ = true;
        return;
    }
    write_answer(a, to);
    end_call();
}

void http_session::write_answer(const http_answer& a, http::reply_to to) {
    std::string zipped;
    const bool zips = compresses(a, to, a.body.size());
    if (zips) {
        zipped = http::gzipped(a.body);
    }
    const std::string_view body = zips ? zipped : a.body;
    text_.clear();
    http::response_writer w{text_, to, a.code, date()};
    write_fields(w, a, zips);
    const bool follows = w.length(body.size());
    say(text_);
    if (follows) {
        say(body);
    }
}

bool http_session::compresses(const http_answer& a, http::reply_to to, std::size_t bytes) const {
    return to.minor_version > 0 && value_of(a, "Content-Encoding").empty() &&
           http::should_gzip(parser_->request().fields.joined("Accept-Encoding"), value_of(a, "Content-Type"), bytes);
}

void http_session::write_fields(http::response_writer& to, const http_answer& a, bool zipped) {
    for (const auto& [name, value] : a.fields) {
        to.field(name, value);
    }
    if (zipped) {
        to.field("Content-Encoding", "gzip");
    }
    if (a.body.size() >= http::gzip_bytes_min || zipped) {
        to.field("Vary", "Accept-Encoding");
    }
    http::add_cors(to, cors(), parser_->request());
}

// ---- Streams -------------------------------------------------------------------------------------

void http_session::streamed(http_answer head, std::unique_ptr<http_source> body) {
    const auto to = http::reply_to::request(parser_->request());
    const bool events = value_of(head, "Content-Type").starts_with("text/event-stream");
    const bool zips = !events && compresses(head, to, http::gzip_bytes_min);
    text_.clear();
    {
        http::response_writer w{text_, to, head.code, date()};
        write_fields(w, head, zips);
        form_ = w.stream();
    }
    say(text_);
    if (form_ == http::stream_form::nothing) {
        body.reset();
        end_call();
        return;
    }
    if (zips) {
        zip_ = std::make_unique<http::gzip_writer>();
    }
    phase_ = phase::streaming;
    endless_ = events;
    at_hand_ = false;
    source_ = std::move(body);
    source_wanted_ = true;
    if (!head.body.empty()) {
        stream_body out(host_.out(), form_, zip_.get());
        out.append(head.body);
        out.pass_on();
    }
    if (endless_ && rights_changed_) {
        finish_stream();
        hang_up();
    }
}

void http_session::woken() {
    if (source_ != nullptr && !std::exchange(source_wanted_, true)) {
        host_.flush_soon();
    }
}

void http_session::pump() {
    for (int i = 0; source_ != nullptr && source_wanted_; ++i) {
        if (host_.out().passes_high()) {  // as connection: no more comes until it is low
            watch_reader();
            return;
        }
        if (i == pieces_a_turn) {
            shard_.timers().start(next_piece_, shard_.now());
            return;
        }
        unsent_ = SIZE_MAX;  // there is room, so its reader reads
        stream_body out(host_.out(), form_, zip_.get());
        const auto now = source_->write(out);
        if (now == http_source::progress::done) {
            out.finish();
            end_stream();
            return;
        }
        out.pass_on();
        if (now == http_source::progress::broken) {
            hang_up();
            return;
        }
        source_wanted_ = now == http_source::progress::more;
    }
}

// What was said so far is whole.
void http_session::finish_stream() {
    stream_body out(host_.out(), form_, zip_.get());
    out.finish();
}

// A client that hears that its answer has no end asks again: what is at hand may as well be said. It goes on as it
// began, for others at their ends have to be served, too. False: nothing is at hand.
bool http_session::ends_with_stream() {
    is_last_ = source_ != nullptr && at_hand_;
    return is_last_;
}

void http_session::end_stream() {
    const bool closes = form_ == http::stream_form::until_close;
    source_.reset();
    zip_.reset();
    end_call();
    if (closes) {
        hang_up();
    }
}

// ---- Ends ----------------------------------------------------------------------------------------

// The answer is complete: the next request's turn.
void http_session::end_call() {
    call_->port = nullptr;
    call_->seat.release();
    call_.reset();
    phase_ = phase::reading;
    if (body_.capacity() > body_kept_bytes) {
        give_back(body_);
    }
    if (is_last_ || !parser_->request().keep_alive) {
        hang_up();
        return;
    }
    unsent_ = SIZE_MAX;
    watch(settings_.idle_timeout);
    resume();
}

// There will be no complete answer: whoever works on one hears of it.
void http_session::lose_call() {
    if (phase_ == phase::logging_in) {
        settings_.logins->forget(*this);
        phase_ = phase::reading;
    }
    if (const auto call = std::exchange(call_, nullptr)) {
        call->port = nullptr;
        call->seat.release();
        const auto gone = std::exchange(call->gone, nullptr);
        source_.reset();
        zip_.reset();
        if (gone) {
            gone();
        }
    }
}

const std::string& http_session::date() {
    if (const auto now = shard_.wall_now() / ns_per_s; now != date_s_ || date_.empty()) {
        date_s_ = now;
        date_ = http::http_date(now);
    }
    return date_;
}

}  // namespace linnet::session
