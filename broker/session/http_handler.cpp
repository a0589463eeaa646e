#include "broker/session/http_handler.hpp"

#include <algorithm>

namespace linnet::session {

bool http_user::has_tag(std::string_view tag) const noexcept { return std::ranges::find(tags, tag) != tags.end(); }

http_answer problem_answer(const http::problem& p, std::vector<std::pair<std::string, std::string>> more) {
    http_answer a{.code = p.code, .fields = std::move(more), .body = http::problem_json(p)};
    a.fields.emplace_back("Content-Type", http::problem_content_type);
    a.fields.emplace_back("Cache-Control", "no-store");
    return a;
}

http_answer method_not_allowed(std::string_view allowed) {
    return problem_answer({.code = http::status::method_not_allowed, .detail = "that is not done here"},
                          {{"Allow", std::string(allowed)}});
}

// ---- http_responder ------------------------------------------------------------------------------

http_responder& http_responder::operator=(http_responder&& other) noexcept {
    if (this != &other) {
        const http_responder before(std::move(call_));
        call_ = std::move(other.call_);
    }
    return *this;
}

http_responder::~http_responder() {
    if (call_ != nullptr) {
        std::move(*this).answer(
            problem_answer({.code = http::status::internal_error, .detail = "nobody answered this request"}));
    }
}

void http_responder::answer(http_answer a) && {
    const auto call = std::exchange(call_, nullptr);
    call->gone = nullptr;
    if (call->port != nullptr) {
        call->port->answered(std::move(a));
    }
}

http_stream http_responder::stream(http_answer head, std::unique_ptr<http_source> body) && {
    auto call = std::exchange(call_, nullptr);
    call->gone = nullptr;
    if (call->port != nullptr) {
        call->port->streamed(std::move(head), std::move(body));
    }
    return http_stream(std::move(call));
}

void http_responder::on_gone(std::function<void()> f) { call_->gone = std::move(f); }

bool http_responder::gone() const noexcept { return call_ == nullptr || call_->port == nullptr; }

void http_responder::hold(core::vhost_seat s) noexcept {
    if (!gone()) {
        call_->seat = std::move(s);
    }
}

// ---- http_stream ---------------------------------------------------------------------------------

void http_stream::wake() {
    if (!ended()) {
        call_->port->woken();
    }
}

bool http_stream::ended() const noexcept { return call_ == nullptr || call_->port == nullptr; }

}  // namespace linnet::session
