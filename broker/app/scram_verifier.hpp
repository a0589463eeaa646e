#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::app {

// What the server keeps of a password for SCRAM-SHA-256 (RFC 5802, RFC 7677): enough to tell who knows it, and to
// prove that it knows it, not enough to log in anywhere.
//
// Threads: any.
// Bounds:  parse() takes iterations from 4096 (the RFC's floor: fewer are cheap to guess) to a million.
class scram_verifier {
public:
    static constexpr std::uint32_t iterations_min = 4096;
    static constexpr std::uint32_t iterations_max = 1'000'000;

    // SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, in base64.
    [[nodiscard]] static std::optional<scram_verifier> parse(std::string_view text);
    [[nodiscard]] static scram_verifier of(std::string_view password, std::string salt, std::uint32_t iterations);
    [[nodiscard]] std::string to_text() const;

    [[nodiscard]] const std::string& salt() const noexcept { return salt_; }
    [[nodiscard]] std::uint32_t iterations() const noexcept { return iterations_; }

    // Does the proof come from somebody who knows the password? In constant time.
    [[nodiscard]] bool accepts(std::string_view said, std::string_view proof) const;
    [[nodiscard]] std::string signature(std::string_view said) const;
    // The password itself, as other mechanisms send it: a millisecond of work.
    [[nodiscard]] bool opens_with(std::string_view password) const;

private:
    scram_verifier() = default;

    std::uint32_t iterations_ = 0;
    std::string salt_;
    std::string stored_key_;
    std::string server_key_;
};

// For what must look the same to everybody each time: keyed by something only this process knows.
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view text);
[[nodiscard]] std::string random_text(std::size_t bytes);

// A verifier with a salt of its own.
[[nodiscard]] std::string scram_sha256(std::string_view password, std::uint32_t iterations);

}  // namespace linnet::app
