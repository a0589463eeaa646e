#pragma once

#include "broker/core/access_grant.hpp"
#include "broker/core/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session {

struct credentials {
    std::string user;
    std::string password;
    std::string peer_address;
    bool loopback = false;
};

enum class login_result : std::uint8_t {
    accepted,
    refused,        // unknown user or wrong password: never tell which
    loopback_only,  // the right password from the wrong place
    throttled,      // too many failures: as refused for the peer
};

struct login_verdict {
    login_result result = login_result::refused;
    std::string user;
    std::vector<std::string> tags;
    core::grant_ptr grant{};  // its rights, until it ends; null: the topology has the user's, and they do not end
};

// SCRAM-SHA-256 (scram.hpp): what a client is told to prove itself with. A user who is unknown, or whose password is
// not kept in that form, gets terms that cannot be told from others', and always the same.
struct scram_terms {
    std::string salt;
    std::uint32_t iterations = 0;
    std::string nonce;  // ours: random, printable
};
// ... and how it has done so.
struct scram_proof {
    std::string user;
    std::string said;   // what both have said so far: RFC 5802's AuthMessage
    std::string proof;  // the client's
    std::string peer_address;
    bool loopback = false;
};
struct scram_verdict {
    login_verdict login;
    std::string signature;  // the server's proof that it knows the user, too
};

// Told of a verdict that took its time.
class login_port {
public:
    login_port() = default;
    login_port(const login_port&) = delete;
    login_port& operator=(const login_port&) = delete;
    virtual ~login_port() = default;
    virtual void on_login(login_verdict v) = 0;
};

// Who a peer is. A token may come as a password as well: its user is who the token says. Hashing a password takes some
// 20 ms, so it happens on threads of its own; a repeated login is answered from a cache at once.
//
// Threads: called on the session's shard; the verdict comes back there, through login_port, unless it was
//          returned. A session that ends meanwhile must call forget().
class authenticator {
public:
    authenticator() = default;
    authenticator(const authenticator&) = delete;
    authenticator& operator=(const authenticator&) = delete;
    virtual ~authenticator() = default;

    [[nodiscard]] virtual std::optional<login_verdict> verify(const credentials& c, login_port& who) = 0;
    virtual void forget(login_port& who) noexcept = 0;
    // Who has been given this token (RFC 6750). Answers at once. Where no tokens are taken, all are refused.
    [[nodiscard]] virtual login_verdict verify_token(std::string_view token, std::string_view peer_address) {
        static_cast<void>(token);
        static_cast<void>(peer_address);
        return {};
    }
    [[nodiscard]] virtual bool takes_tokens() const { return false; }
    // A user known by its client certificate: no password. Unknown users are refused, and those who may come from this
    // machine only, unless `loopback`.
    [[nodiscard]] virtual login_verdict verify_certificate(std::string_view user, bool loopback) = 0;

    // None: SCRAM-SHA-256 is not spoken here. Both answer at once: the work is the client's.
    [[nodiscard]] virtual std::optional<scram_terms> begin_scram(std::string_view user) {
        static_cast<void>(user);
        return std::nullopt;
    }
    [[nodiscard]] virtual scram_verdict finish_scram(const scram_proof& p) {
        static_cast<void>(p);
        return {};
    }
};

}  // namespace linnet::session
