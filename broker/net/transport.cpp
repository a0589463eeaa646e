#include "broker/net/transport.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace linnet::net {

void transport::ssl_deleter::operator()(SSL* s) const noexcept { SSL_free(s); }

void transport::start_tls(SSL* ssl) noexcept {
    ssl_.reset(ssl);
    SSL_set_fd(ssl, fd_);
    SSL_set_accept_state(ssl);
    // A write that was refused is tried again from wherever the output has moved to.
    SSL_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

io_result transport::status_of(int returned) noexcept {
    switch (SSL_get_error(ssl_.get(), returned)) {
        case SSL_ERROR_WANT_READ: return {io_status::wants_read};
        case SSL_ERROR_WANT_WRITE: return {io_status::wants_write};
        case SSL_ERROR_ZERO_RETURN: return {io_status::closed};
        default: ERR_clear_error(); return {io_status::failed};
    }
}

io_result transport::handshake() noexcept {
    if (!ssl_) {
        return {io_status::done};
    }
    ERR_clear_error();
    const int returned = SSL_accept(ssl_.get());
    return returned == 1 ? io_result{io_status::done} : status_of(returned);
}

io_result transport::read(std::span<std::uint8_t> into) noexcept {
    if (ssl_) {
        // TLS records are at most 16 KiB; take as many as there are.
        std::size_t total = 0;
        while (total < into.size()) {
            ERR_clear_error();
            const int wanted = static_cast<int>(
                std::min<std::size_t>(into.size() - total, std::numeric_limits<int>::max()));
            const int n = SSL_read(ssl_.get(), into.data() + total, wanted);
            if (n <= 0) {
                return total != 0 ? io_result{io_status::done, total} : status_of(n);
            }
            total += static_cast<std::size_t>(n);
        }
        return {io_status::done, total};
    }
    for (;;) {
        const auto n = ::recv(fd_, into.data(), into.size(), 0);
        if (n > 0) {
            return {io_status::done, static_cast<std::size_t>(n)};
        }
        if (n == 0) {
            return {io_status::closed};
        }
        if (errno == EINTR) {
            continue;
        }
        return {errno == EAGAIN || errno == EWOULDBLOCK ? io_status::wants_read : io_status::failed};
    }
}

io_result transport::write(std::span<const iovec> from) noexcept {
    if (ssl_) {
        std::size_t total = 0;
        for (const auto& v : from) {
            ERR_clear_error();
            const int wanted = static_cast<int>(std::min<std::size_t>(v.iov_len, std::numeric_limits<int>::max()));
            const int n = SSL_write(ssl_.get(), v.iov_base, wanted);
            if (n <= 0) {
                return total != 0 ? io_result{io_status::done, total} : status_of(n);
            }
            total += static_cast<std::size_t>(n);
            if (static_cast<std::size_t>(n) < v.iov_len) {
                break;
            }
        }
        return {io_status::done, total};
    }
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(from.data());
    message.msg_iovlen = from.size();
    for (;;) {
        const auto n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
        if (n >= 0) {
            return {io_status::done, static_cast<std::size_t>(n)};
        }
        if (errno == EINTR) {
            continue;
        }
        return {errno == EAGAIN || errno == EWOULDBLOCK ? io_status::wants_write : io_status::failed};
    }
}

void transport::end_output() noexcept {
    if (ssl_) {
        ERR_clear_error();
        static_cast<void>(SSL_shutdown(ssl_.get()));  // whether the peer answers is its own business
    }
    ::shutdown(fd_, SHUT_WR);
}

namespace {

// By its type: two bytes of a BMPString are one letter, and not two of another name. Empty: it is no name.
[[nodiscard]] std::string text_of(const ASN1_STRING* s) {
    unsigned char* data = nullptr;
    const int n = ASN1_STRING_to_UTF8(&data, s);
    if (n < 0) {
        return {};
    }
    std::string text(reinterpret_cast<const char*>(data), static_cast<std::size_t>(n));
    OPENSSL_free(data);
    return text.find('\0') == std::string::npos ? text : std::string{};
}

// The first one decides, as with RabbitMQ: one that is no name is not passed over for the next.
[[nodiscard]] std::string alternative_name(X509* certificate) {
    auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    std::string found;
    for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names); ++i) {
        const auto* name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS || name->type == GEN_EMAIL) {
            found = text_of(name->d.ia5);
            break;
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

[[nodiscard]] std::string common_name(X509* certificate) {
    auto* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return {};  // none, or nobody can say which
    }
    return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

// RFC 2253's form, as RabbitMQ's distinguished_name: "CN=client,O=Example,C=SE".
[[nodiscard]] std::string distinguished_name(X509* certificate) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> text(BIO_new(BIO_s_mem()), &BIO_free);
    if (text == nullptr || X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) {
        return {};
    }
    const char* data = nullptr;
    const auto n = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(n)};
}

}  // namespace

std::string transport::certificate_name(certificate_user from) const {
    if (!ssl_ || SSL_get_verify_result(ssl_.get()) != X509_V_OK) {
        return {};
    }
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl_.get()), &X509_free);
    if (certificate == nullptr) {
        return {};
    }
    switch (from) {
        case certificate_user::common_name: return common_name(certificate.get());
        case certificate_user::distinguished_name: return distinguished_name(certificate.get());
        case certificate_user::alternative_name: return alternative_name(certificate.get());
    }
    return {};
}

}  // namespace linnet::net
