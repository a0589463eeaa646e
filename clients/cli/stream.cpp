#include "clients/cli/stream.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace linnet::cli {
namespace {

std::string openssl_error() {
    auto text = std::array<char, 256>{};
    const auto code = ERR_get_error();
    if (code == 0) {
        return "the peer closed the connection";
    }
    ERR_error_string_n(code, text.data(), text.size());
    return text.data();
}

bool is_address(const std::string& host) {
    auto storage = std::array<unsigned char, sizeof(in6_addr)>{};
    return inet_pton(AF_INET, host.c_str(), storage.data()) == 1 ||
           inet_pton(AF_INET6, host.c_str(), storage.data()) == 1;
}

}  // namespace

stream::~stream() {
    tls_.reset();
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

std::string stream::connect(const server_uri& uri) {
    auto error = connect_tcp(uri);
    if (error.empty() && uri.tls) {
        error = start_tls(uri);
    }
    return error;
}

std::string stream::connect_tcp(const server_uri& uri) {
    auto hints = addrinfo{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int status = ::getaddrinfo(uri.host.c_str(), std::to_string(uri.port).c_str(), &hints, &found);
        status != 0) {
        return fmt::format("\"{}\" cannot be resolved: {}", uri.host, ::gai_strerror(status));
    }
    const auto owned = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>{found, ::freeaddrinfo};
    auto error = std::string{};
    for (const auto* address = found; address != nullptr; address = address->ai_next) {
        fd_ = ::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        error.clear();
        if (fd_ >= 0 && ::connect(fd_, address->ai_addr, address->ai_addrlen) != 0) {
            int status = errno;
            if (status == EINPROGRESS) {
                error = wait(POLLOUT);
                auto size = socklen_t{sizeof(status)};
                ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &status, &size);
            }
            if (error.empty() && status != 0) {
                error = std::strerror(status);
            }
        } else if (fd_ < 0) {
            error = std::strerror(errno);
        }
        if (error.empty()) {
            const int on = 1;
            ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
            return {};
        }
        ::close(fd_);
        fd_ = -1;
    }
    return error;
}

std::string stream::start_tls(const server_uri& uri) {
    context_ = {SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
    if (uri.ca_file.empty()) {
        SSL_CTX_set_default_verify_paths(context_.get());
    } else if (SSL_CTX_load_verify_locations(context_.get(), uri.ca_file.c_str(), nullptr) != 1) {
        return fmt::format("\"{}\" cannot be read: {}", uri.ca_file, openssl_error());
    }
    SSL_CTX_set_verify(context_.get(), uri.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    tls_ = {SSL_new(context_.get()), SSL_free};
    SSL_set_fd(tls_.get(), fd_);
    if (is_address(uri.host)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_.get()), uri.host.c_str());
    } else {
        SSL_set1_host(tls_.get(), uri.host.c_str());
        // Not SSL_set_tlsext_host_name, whose macro casts as C does.
        SSL_ctrl(tls_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 const_cast<char*>(uri.host.c_str()));
    }
    for (;;) {
        const int result = SSL_connect(tls_.get());
        if (result == 1) {
            return {};
        }
        if (auto error = wait_for_tls(result); !error.empty()) {
            const auto verdict = SSL_get_verify_result(tls_.get());
            return verdict != X509_V_OK && uri.verify
                       ? fmt::format("the certificate is refused: {}", X509_verify_cert_error_string(verdict))
                       : fmt::format("TLS: {}", error);
        }
    }
}

std::string stream::wait(short events) const {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - std::chrono::steady_clock::now());
        auto poll_for = pollfd{fd_, events, 0};
        const int ready = ::poll(&poll_for, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready > 0) {
            return {};
        }
        if (ready == 0) {
            return timed_out;
        }
        if (errno != EINTR) {
            return std::strerror(errno);
        }
    }
}

std::string stream::wait_for_tls(int result) {
    switch (SSL_get_error(tls_.get(), result)) {
        case SSL_ERROR_WANT_READ: return wait(POLLIN);
        case SSL_ERROR_WANT_WRITE: return wait(POLLOUT);
        case SSL_ERROR_SYSCALL: return errno != 0 ? std::strerror(errno) : "the peer closed the connection";
    }
    return openssl_error();
}

std::string stream::write(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const auto done = tls_ ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                               : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (done > 0) {
            bytes = bytes.subspan(static_cast<std::size_t>(done));
            continue;
        }
        if (!tls_ && errno != EAGAIN && errno != EINTR) {
            return std::strerror(errno);
        }
        if (auto error = tls_ ? wait_for_tls(static_cast<int>(done)) : wait(POLLOUT); !error.empty()) {
            return error;
        }
    }
    return {};
}

std::string stream::read(std::span<std::uint8_t> into, std::size_t& size) {
    size = 0;
    for (;;) {
        const auto done = tls_ ? SSL_read(tls_.get(), into.data(), static_cast<int>(into.size()))
                               : ::recv(fd_, into.data(), into.size(), 0);
        if (done > 0) {
            size = static_cast<std::size_t>(done);
            return {};
        }
        if (tls_ && SSL_get_error(tls_.get(), static_cast<int>(done)) == SSL_ERROR_ZERO_RETURN) {
            return {};
        }
        if (!tls_ && done == 0) {
            return {};
        }
        if (!tls_ && errno != EAGAIN && errno != EINTR) {
            return std::strerror(errno);
        }
        if (auto error = tls_ ? wait_for_tls(static_cast<int>(done)) : wait(POLLIN); !error.empty()) {
            return error;
        }
    }
}

std::optional<int> stream::certificate_days() const {
    const auto certificate = std::unique_ptr<X509, decltype(&X509_free)>{
        tls_ ? SSL_get1_peer_certificate(tls_.get()) : nullptr, X509_free};
    int days = 0;
    int seconds = 0;
    if (!certificate || ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(certificate.get())) != 1) {
        return std::nullopt;
    }
    return days;
}

std::string stream::tls_version() const { return tls_ ? SSL_get_version(tls_.get()) : ""; }

}  // namespace linnet::cli
