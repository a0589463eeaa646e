#include "broker/app/login_desk.hpp"

#include <utility>

namespace linnet::app {

std::optional<session::login_verdict> login_desk::verify(const session::credentials& c, session::login_port& who) {
    const auto ticket = next_ticket_++;
    auto known = pool_.verify(c, [this, ticket](session::login_verdict v) {
        home_.post([this, ticket, v = std::move(v)]() mutable { settle(ticket, std::move(v)); });
    });
    if (!known) {
        waiting_.emplace(ticket, &who);
    }
    return known;
}

void login_desk::settle(std::uint64_t ticket, session::login_verdict v) {
    const auto at = waiting_.find(ticket);
    if (at == waiting_.end()) {
        return;
    }
    auto* who = at->second;
    waiting_.erase(at);
    who->on_login(std::move(v));
}

void login_desk::forget(session::login_port& who) noexcept {
    std::erase_if(waiting_, [&](const auto& entry) { return entry.second == &who; });
}

session::login_verdict login_desk::verify_certificate(std::string_view user) { return pool_.verify_certificate(user); }

}  // namespace linnet::app
