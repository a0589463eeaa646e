#pragma once

#include "broker/net/tls.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace linnet::net {

enum class io_status : std::uint8_t {
    done,         // `bytes` were moved
    wants_read,   // nothing to be had now: wait until readable
    wants_write,  // wait until writable
    closed,       // the peer ended the stream in good order
    failed,
};

struct io_result {
    io_status status;
    std::size_t bytes = 0;
};

// Bytes to and from a non-blocking socket, in the clear or through TLS. Does not own the descriptor.
//
// Threads: its reactor's.
// Fails:   io_status::failed; the connection is then useless.
class transport {
public:
    explicit transport(int fd) noexcept : fd_(fd) {}

    // Takes over `ssl`, which has been prepared for accepting.
    void start_tls(SSL* ssl) noexcept;
    [[nodiscard]] bool encrypted() const noexcept { return ssl_ != nullptr; }
    // done once the peers agree.
    [[nodiscard]] io_result handshake() noexcept;

    [[nodiscard]] io_result read(std::span<std::uint8_t> into) noexcept;
    [[nodiscard]] io_result write(std::span<const iovec> from) noexcept;
    // No more output follows (close_notify, FIN).
    void end_output() noexcept;

    // The user that the verified client certificate names; empty without one. A name with a NUL inside
    // names nobody.
    [[nodiscard]] std::string certificate_name(certificate_user from) const;

private:
    [[nodiscard]] io_result status_of(int returned) noexcept;
    struct ssl_deleter {
        void operator()(SSL* s) const noexcept;
    };
    int fd_;
    std::unique_ptr<SSL, ssl_deleter> ssl_;
};

}  // namespace linnet::net
