#pragma once

#include "broker/app/verifier_pool.hpp"
#include "broker/net/reactor.hpp"
#include "broker/session/authenticator.hpp"

#include <cstdint>
#include <unordered_map>

namespace linnet::app {

// Takes logins from the sessions of one reactor to the verifier pool, and the verdicts back.
//
// Threads: the reactor's. The pool's callback only posts: it names a ticket, never a session, so that one
//          which ended meanwhile is simply not found.
class login_desk final : public session::authenticator {
public:
    login_desk(net::reactor& home, verifier_pool& pool) : home_(home), pool_(pool) {}

    [[nodiscard]] std::optional<session::login_verdict> verify(const session::credentials& c,
                                                               session::login_port& who) override;
    [[nodiscard]] session::login_verdict verify_token(std::string_view token, std::string_view peer_address) override;
    [[nodiscard]] bool takes_tokens() const override { return pool_.takes_tokens(); }
    void forget(session::login_port& who) noexcept override;
    [[nodiscard]] session::login_verdict verify_certificate(std::string_view user, bool loopback) override;
    [[nodiscard]] std::optional<session::scram_terms> begin_scram(std::string_view user) override;
    [[nodiscard]] session::scram_verdict finish_scram(const session::scram_proof& p) override;

private:
    void settle(std::uint64_t ticket, session::login_verdict v);

    net::reactor& home_;
    verifier_pool& pool_;
    std::unordered_map<std::uint64_t, session::login_port*> waiting_;
    std::uint64_t next_ticket_ = 1;
};

}  // namespace linnet::app
