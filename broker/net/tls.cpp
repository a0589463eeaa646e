#include "broker/net/tls.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace linnet::net {

namespace {

constexpr int verify_depth_max = 8;

[[nodiscard]] std::string reason(std::string_view what, std::string_view file) {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* why = code == 0 ? nullptr : ERR_reason_error_string(code);
    return fmt::format("{} '{}': {}", what, file, why == nullptr ? "unknown error" : why);
}

}  // namespace

void tls_context::deleter::operator()(SSL_CTX* c) const noexcept { SSL_CTX_free(c); }

result<std::shared_ptr<tls_context>, std::string> tls_context::load(const tls_options& o) {
    ERR_clear_error();
    auto made = std::make_shared<tls_context>();
    made->context_.reset(SSL_CTX_new(TLS_server_method()));
    SSL_CTX* c = made->context_.get();
    if (c == nullptr) {
        return fail(reason("cannot set up TLS", o.certificate_file));
    }
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_min_proto_version(c, o.minimum_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION);
    if (SSL_CTX_use_certificate_chain_file(c, o.certificate_file.c_str()) != 1) {
        return fail(reason("cannot read the certificate", o.certificate_file));
    }
    made->name_from_ = o.name_from;
    if (!o.key_password.empty()) {
        // OpenSSL keeps the pointer for as long as it reads the file below, no longer.
        SSL_CTX_set_default_passwd_cb_userdata(c, const_cast<char*>(o.key_password.c_str()));
    } else {
        // Without this an encrypted key would make OpenSSL ask on the terminal.
        SSL_CTX_set_default_passwd_cb(c, [](char*, int, int, void*) { return 0; });
    }
    if (SSL_CTX_use_PrivateKey_file(c, o.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        return fail(reason("cannot read the private key", o.key_file));
    }
    if (SSL_CTX_check_private_key(c) != 1) {
        return fail(reason("the private key does not belong to the certificate", o.key_file));
    }
    if (!o.ciphers.empty() && SSL_CTX_set_cipher_list(c, o.ciphers.c_str()) != 1) {
        return fail(reason("no usable cipher in", o.ciphers));
    }
    if (!o.ca_file.empty()) {
        if (SSL_CTX_load_verify_locations(c, o.ca_file.c_str(), nullptr) != 1) {
            return fail(reason("cannot read the CA certificates", o.ca_file));
        }
        SSL_CTX_set_client_CA_list(c, SSL_load_client_CA_file(o.ca_file.c_str()));
    }
    int mode = SSL_VERIFY_NONE;
    if (o.verify != peer_verification::none) {
        mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE;
        if (o.verify == peer_verification::required) {
            mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
        }
    }
    SSL_CTX_set_verify(c, mode, nullptr);
    SSL_CTX_set_verify_depth(c, verify_depth_max);
    // Resumed sessions must not cross from one set-up of verification to another.
    static constexpr unsigned char id[] = "linnet";
    SSL_CTX_set_session_id_context(c, id, sizeof(id) - 1);
    return made;
}

SSL* tls_context::new_session() const { return SSL_new(context_.get()); }

}  // namespace linnet::net
