#pragma once

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

// Who a peer is. Hashing a password takes some 20 ms, so it happens on threads of its own; a repeated
// login is answered from a cache at once.
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
    // A user known by its client certificate: no password. Unknown users are refused.
    [[nodiscard]] virtual login_verdict verify_certificate(std::string_view user) = 0;
};

}  // namespace linnet::session
