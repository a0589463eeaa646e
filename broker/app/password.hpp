#pragma once

#include "broker/app/scram_verifier.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Password hashes: ours (Argon2id) and those that people bring from elsewhere.

namespace linnet::app {

enum class hash_cost : std::uint8_t {
    cheap,  // microseconds: a salted digest
    dear,   // milliseconds, on purpose
};

// A stored password in one of the forms
//   $argon2id$v=19$m=...,t=...,p=...$salt$hash     ours (PHC string)
//   base64(4 bytes of salt, digest)                RabbitMQ's SHA-256, SHA-512 and MD5, told apart by length
//   $2a$ $2b$ $2y$ $5$ $6$ $y$                     crypt(3): bcrypt, SHA-crypt, yescrypt
//   SCRAM-SHA-256$4096:salt$StoredKey:ServerKey    as PostgreSQL's; its user may also log in by SCRAM
//
// Threads: any.
// Bounds:  parse() refuses Argon2 parameters above 256 MiB or 16 passes: a hash is also an order to work.
class password_hash {
public:
    [[nodiscard]] static std::optional<password_hash> parse(std::string_view stored);

    // Constant time for passwords of one length, once the form is known.
    [[nodiscard]] bool matches(std::string_view password) const;
    [[nodiscard]] hash_cost cost() const noexcept;
    // Null: not in that form.
    [[nodiscard]] const scram_verifier* scram() const noexcept { return scram_ ? &*scram_ : nullptr; }

private:
    enum class form : std::uint8_t { argon2id, rabbitmq_sha256, rabbitmq_sha512, rabbitmq_md5, crypt, scram_sha256 };

    password_hash(form f, std::string text) : form_{f}, text_{std::move(text)} {}

    form form_;
    std::string text_;  // RabbitMQ's forms: the decoded bytes; else as stored
    std::optional<scram_verifier> scram_;
};

// For passwords that are kept: 19 MiB, two passes, one lane; 23 ms of one core.
[[nodiscard]] std::string argon2id(std::string_view password);

// RabbitMQ's form. For passwords that stand in plain in a configuration file anyway, where 23 ms at
// each login would buy nothing.
[[nodiscard]] std::string salted_sha256(std::string_view password);

}  // namespace linnet::app
