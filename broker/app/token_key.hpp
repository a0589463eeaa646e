#pragma once

#include "broker/base/result.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::app {

// How a token may be signed (RFC 7518, RFC 8037). There is no "none", and what verifies by a public key is never tried
// with a secret.
enum class token_algorithm : std::uint8_t { rs256, es256, eddsa, hs256 };
[[nodiscard]] std::optional<token_algorithm> token_algorithm_named(std::string_view name) noexcept;

// What one issuer's signatures are checked with. The key decides on the algorithm, not the token.
//
// Threads: any.
class token_key {
public:
    // An entry of a key set (RFC 7517) is read by read_key_set().
    struct public_key;  // OpenSSL's
    token_key(std::string id, token_algorithm fits, std::shared_ptr<const public_key> key);
    // HS256.
    [[nodiscard]] static token_key of_secret(std::string secret);

    [[nodiscard]] const std::string& id() const noexcept { return id_; }
    [[nodiscard]] token_algorithm algorithm() const noexcept { return algorithm_; }
    [[nodiscard]] bool verifies(std::string_view text, std::string_view signature) const;

private:
    std::string id_;  // empty: it has none
    token_algorithm algorithm_;
    std::shared_ptr<const public_key> key_;
    std::string secret_;
};

// The keys of a set (RFC 7517) that can verify: RSA from 2048 bits, P-256 and Ed25519. Others are passed over, as the
// RFC has it; symmetric ones are, too, for a set is public. Fails with a sentence, also when none is left.
[[nodiscard]] result<std::vector<token_key>, std::string> read_key_set(std::string_view json);

// Without padding, and in the one spelling that each sequence of bytes has.
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

}  // namespace linnet::app
