#include "broker/app/login_desk.hpp"

#include <utility>

namespace linnet::app {

std::optional<session::login_verdict> login_desk::verify(const session::credentials& c, session::login_port& who) {
    if (looks_like_token(c.password) && pool_.takes_tokens()) {
        return pool_.verify_token(c.password, c.peer_address);
    }
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

std::optional<session::scram_terms> login_desk::begin_scram(std::string_view user) { return pool_.begin_scram(user); }

session::login_verdict login_desk::verify_token(std::string_view token, std::string_view peer_address) {
    return pool_.verify_token(token, peer_address);
}

session::scram_verdict login_desk::finish_scram(const session::scram_proof& p) { return pool_.finish_scram(p); }

session::login_verdict login_desk::verify_certificate(std::string_view user, bool loopback) {
    return pool_.verify_certificate(user, loopback);
}

}  // namespace linnet::app
