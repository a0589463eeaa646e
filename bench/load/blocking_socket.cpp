#include "bench/load/blocking_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace linnet::load {
namespace {

constexpr std::size_t read_bytes = 1U << 16;
// An idle connection of thousands must not hold a buffer that only its set-up needed.
constexpr std::size_t kept_bytes_max = 4096;

int open_socket(const addrinfo& at) noexcept {
    const int fd = ::socket(at.ai_family, at.ai_socktype | SOCK_CLOEXEC, at.ai_protocol);
    if (fd < 0)
        return -1;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience{blocking_socket::reply_seconds, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (::connect(fd, at.ai_addr, at.ai_addrlen) == 0)
        return fd;
    const int why = errno;
    ::close(fd);
    errno = why;
    return -1;
}

}  // namespace

outcome<blocking_socket> blocking_socket::connect(const std::string& host, const std::string& port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0)
        return failure("{}:{}: {}", host, port, ::gai_strerror(error));
    int fd = -1;
    for (const addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next)
        fd = open_socket(*at);
    ::freeaddrinfo(found);
    if (fd < 0)
        return failure("cannot connect to {}:{}: {}", host, port, std::strerror(errno));
    return blocking_socket{fd};
}

blocking_socket::blocking_socket(blocking_socket&& other) noexcept { *this = std::move(other); }

blocking_socket& blocking_socket::operator=(blocking_socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    out_ = std::move(other.out_);
    in_ = std::move(other.in_);
    in_at_ = std::exchange(other.in_at_, 0);
    return *this;
}

blocking_socket::~blocking_socket() { close(); }

outcome<void> blocking_socket::flush() {
    std::size_t done = 0;
    while (done < out_.size()) {
        const ssize_t n = ::send(fd_, out_.data() + done, out_.size() - done, MSG_NOSIGNAL);
        if (n <= 0)
            return failure("the broker closed the connection: {}", std::strerror(errno));
        done += static_cast<std::size_t>(n);
    }
    out_.clear();
    return {};
}

outcome<void> blocking_socket::read_some() {
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(in_at_));
    in_at_ = 0;
    const std::size_t before = in_.size();
    in_.resize(before + read_bytes);
    const ssize_t n = ::recv(fd_, in_.data() + before, read_bytes, 0);
    in_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (in_.size() <= kept_bytes_max)
        in_.shrink_to_fit();
    if (n == 0)
        return failure("the broker closed the connection");
    if (n < 0)
        return failure("{}", errno == EAGAIN ? "no answer" : std::strerror(errno));
    return {};
}

void blocking_socket::close() noexcept {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

int blocking_socket::release(std::vector<std::uint8_t>& unread) {
    unread.insert(unread.end(), in_.begin() + static_cast<std::ptrdiff_t>(in_at_), in_.end());
    in_.clear();
    in_at_ = 0;
    return std::exchange(fd_, -1);
}

}  // namespace linnet::load
