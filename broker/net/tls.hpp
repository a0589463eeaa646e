#pragma once

#include "broker/base/result.hpp"

#include <memory>
#include <string>

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace linnet::net {

enum class peer_verification : std::uint8_t { none, optional, required };

struct tls_options {
    std::string certificate_file;  // PEM, with its chain
    std::string key_file;
    std::string ca_file;           // whom client certificates must come from
    peer_verification verify = peer_verification::none;
    std::string minimum_version = "1.2";  // or "1.3"
    std::string ciphers;           // of TLS 1.2, in OpenSSL's words; empty: its default
};

// A certificate, its key and what is asked of peers, ready to accept with. Immutable: a reload makes a new
// one, live connections keep the one they began with.
//
// Threads: any, OpenSSL counts references atomically.
class tls_context {
public:
    // Fails with the file and OpenSSL's reason.
    [[nodiscard]] static result<std::shared_ptr<tls_context>, std::string> load(const tls_options& options);

    [[nodiscard]] SSL* new_session() const;  // owned by the caller; null when out of memory

private:
    struct deleter {
        void operator()(SSL_CTX* c) const noexcept;
    };
    std::unique_ptr<SSL_CTX, deleter> context_;
};

}  // namespace linnet::net
