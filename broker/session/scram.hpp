#pragma once

#include "broker/session/authenticator.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::session {

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";

// The server's side of one SCRAM-SHA-256 exchange (RFC 5802, RFC 7677): what is said. What is reckoned is the
// authenticator's. Three messages:
//
//     client    n,,n=user,r=<its nonce>
//     server    r=<its nonce><ours>,s=<salt>,i=<iterations>
//     client    c=biws,r=<both nonces>,p=<proof>       and the server's word in the end: v=<signature>
//
// A nonce of ours is never used again, so that what was overheard proves nothing. There is no channel binding: who
// demands one is refused; and nobody acts for somebody else.
//
// Threads: one shard's.
// Bounds:  client_message_max bytes a message.
// Fails:   a message that is none ends the exchange.
class scram_conversation {
public:
    static constexpr std::size_t client_message_max = 4096;

    // False: that is no first message, or asks for what is not offered.
    [[nodiscard]] bool take_first(std::string_view message);
    [[nodiscard]] const std::string& user() const noexcept { return user_; }
    // After the first message, once.
    [[nodiscard]] std::string challenge(const scram_terms& terms);
    // After the challenge. None: malformed, or an answer to another one. Who it is for is the caller's to fill in.
    [[nodiscard]] std::optional<scram_proof> take_last(std::string_view message) const;
    [[nodiscard]] static std::string farewell(std::string_view signature);

private:
    std::string header_;  // the client's words on channel binding
    std::string bare_;    // its first message without them
    std::string user_;
    std::string client_nonce_;
    std::string nonce_;  // both
    std::string challenge_;
};

}  // namespace linnet::session
