#pragma once

#include "broker/app/token_key.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/result.hpp"
#include "broker/core/access_grant.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::app {

struct token_rules {
    std::string resource_server;  // what `aud` must name, and what scopes begin with
    std::string issuer;           // what `iss` must be; empty: anybody whose key is known
    std::string more_scopes;      // a further claim that scopes stand in; empty: `scope` alone
    mono_ns leeway = 0;           // how far clocks may differ
    std::vector<token_algorithm> algorithms;
    std::vector<token_key> keys;
};

// Who a token makes somebody, and until when.
struct accepted_token {
    std::string user;
    std::vector<std::string> tags;
    core::grant_ptr grant;
};

struct token_fault {
    enum class kind : std::uint8_t {
        forged,   // not signed by anybody we know: a guess
        invalid,  // signed, but not for now, for us, or not in a form that we understand
    };
    kind what = kind::forged;
    std::string why;  // for the log; the client learns nothing of it
};

// Checks JSON Web Tokens (RFC 7519, RFC 8725) that an authorisation server has signed, and reads them as RabbitMQ's
// OAuth 2.0 plugin does: the user is `sub`, else `client_id`; rights are scopes such as "rabbitmq.read:*/*"
// (scope_grant.hpp), tags such as "rabbitmq.tag:administrator".
//
// The claims are not looked at before the signature has been found good. A key is found by the token's `kid`, a name
// and nothing else, among those that fit its algorithm; keys that a token brings or points to (`jwk`, `jku`, `x5c`,
// `x5u`) are not looked at, and one with critical extensions (`crit`) is refused, for none are understood.
//
// Threads: any; immutable.
// Bounds:  64 KiB a token, 4 KiB its header.
class token_verifier {
public:
    static constexpr std::size_t token_bytes_max = 64 * 1024;

    explicit token_verifier(token_rules rules) : rules_(std::move(rules)) {}

    [[nodiscard]] result<accepted_token, token_fault> verify(std::string_view token, wall_ns now) const;

private:
    const token_rules rules_;
};

// Three parts, of which the first begins as a JSON object does: no password that people think of.
[[nodiscard]] bool looks_like_token(std::string_view text) noexcept;

}  // namespace linnet::app
