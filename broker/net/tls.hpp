#pragma once

#include "broker/base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace linnet::net {

enum class peer_verification : std::uint8_t { none, optional, required };

// Which part of a verified client certificate names its user.
enum class certificate_user : std::uint8_t { common_name, distinguished_name, alternative_name };

struct tls_options {
    std::string certificate_file;  // PEM, with its chain
    std::string key_file;
    std::string key_password;  // empty: the key is not encrypted
    std::string ca_file;       // whom client certificates must come from
    peer_verification verify = peer_verification::none;
    std::string minimum_version = "1.2";  // or "1.3"
    std::string ciphers;                  // of TLS 1.2, in OpenSSL's words; empty: its default
    certificate_user name_from = certificate_user::common_name;
};

// A certificate, its key and what is asked of peers, ready to accept with. Immutable: a reload makes a new
// one, live connections keep the one they began with.
//
// Threads: any, OpenSSL counts references atomically.
class tls_context {
public:
    // Fails with the file and OpenSSL's reason.
    [[nodiscard]] static result<std::shared_ptr<tls_context>, std::string> load(const tls_options& options);

    [[nodiscard]] certificate_user name_from() const noexcept { return name_from_; }
    [[nodiscard]] SSL* new_session() const;  // owned by the caller; null when out of memory

private:
    struct deleter {
        void operator()(SSL_CTX* c) const noexcept;
    };
    std::unique_ptr<SSL_CTX, deleter> context_;
    certificate_user name_from_ = certificate_user::common_name;
};

}  // namespace linnet::net
