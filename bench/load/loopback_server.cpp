#include "bench/load/loopback_server.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <ctime>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace linnet::load {
namespace {

constexpr std::size_t read_bytes = 256 * 1024;

std::unique_ptr<loopback_server> make_server(protocol speaks, loopback_peer::role r, loopback_peer::mischief m) {
    switch (speaks) {
        case protocol::amqp: return make_amqp_loopback(r, m);
        case protocol::mqtt: return make_mqtt_loopback(r, m);
        case protocol::http: return make_http_loopback(r, m);
    }
    return nullptr;
}

}  // namespace

loopback_server::loopback_server(loopback_peer::role r, loopback_peer::mischief m)
    : role_{r}, mischief_{m}, listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    ::bind(listener_, reinterpret_cast<sockaddr*>(&at), size);
    ::listen(listener_, 128);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
}

loopback_server::~loopback_server() {
    for (auto& each : connections_)
        ::close(each->fd);
    ::close(listener_);
}

void loopback_server::run(const std::atomic<bool>& stopping) {
    while (!stopping.load(std::memory_order_relaxed)) {
        wait();
        for (auto& each : connections_)
            serve(*each);
        drop_closed();
    }
}

void loopback_server::wait() {
    std::vector<pollfd> fds{{listener_, POLLIN, 0}};
    for (auto& each : connections_) {
        const auto events = static_cast<short>((may_read() ? POLLIN : 0) | (each->backlog() != 0 ? POLLOUT : 0));
        fds.push_back({each->fd, events, 0});
    }
    const bool flooding = role_ == loopback_peer::role::source && !block_.empty();
    ::poll(fds.data(), fds.size(), flooding ? 0 : 20);
    if ((fds[0].revents & POLLIN) == 0)
        return;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_.push_back(make_connection(fd));
}

bool loopback_server::may_read() const {
    return std::none_of(connections_.begin(), connections_.end(),
                        [](const auto& each) { return each->backlog() > backlog_max; });
}

void loopback_server::serve(connection& c) {
    if (may_read())
        read(c);
    if (role_ == loopback_peer::role::source)
        flood(c);
    write(c);
}

void loopback_server::read(connection& c) {
    const std::size_t before = c.in.size();
    c.in.resize(before + read_bytes);
    const ssize_t n = ::recv(c.fd, c.in.data() + before, read_bytes, MSG_DONTWAIT);
    c.in.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0)
        c.closing = true;
    const std::size_t done = on_input(c);
    c.in.erase(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(done));
}

void loopback_server::write(connection& c) {
    if (c.backlog() == 0)
        return;
    const ssize_t n = ::send(c.fd, c.out.data() + c.out_begin, c.backlog(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0)
        c.out_begin += static_cast<std::size_t>(n);
    if (c.backlog() == 0) {
        c.out.clear();
        c.out_begin = 0;
    } else if (c.out_begin > backlog_max) {
        c.out.erase(c.out.begin(), c.out.begin() + static_cast<std::ptrdiff_t>(c.out_begin));
        c.out_begin = 0;
    }
}

void loopback_server::published(const message& m) {
    if (role_ == loopback_peer::role::sink)
        return;
    ++messages_;
    if (is_due(mischief_.drop_every))
        return;
    if (is_due(mischief_.swap_every)) {
        held_ = m;
        return;
    }
    route(m);
    if (is_due(mischief_.repeat_every))
        route(m);
    if (!held_.key.empty())
        route(std::exchange(held_, {}));
}

// A prebuilt block, so that the source is not what is measured; only the stamps are new.
void loopback_server::flood(connection& c) {
    constexpr std::size_t count = 1000;
    if (c.backlog() > backlog_max / 4)
        return;
    if (block_.empty()) {
        block_ = sample_delivery(c);
        delivery_bytes_ = block_.size();
        for (std::size_t i = 1; i < count && delivery_bytes_ != 0; ++i) {
            block_.resize(block_.size() + delivery_bytes_);
            std::memcpy(block_.data() + i * delivery_bytes_, block_.data(), delivery_bytes_);
        }
    } else if (sample_delivery(c).empty()) {
        return;
    }
    if (block_.empty())
        return;
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    const std::int64_t now = std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t size = stamp_bytes_of(form());
        std::uint8_t* payload = block_.data() + (i + 1) * delivery_bytes_ - delivery_trailer() - size;
        write_stamp(payload, size, {sequence_++, 0, now}, form());
    }
    c.out.insert(c.out.end(), block_.begin(), block_.end());
}

void loopback_server::drop_closed() {
    std::erase_if(connections_, [&](const auto& each) {
        if (!each->closing)
            return false;
        forget(*each);
        ::close(each->fd);
        return true;
    });
}

loopback_peer::loopback_peer(protocol speaks, role r, mischief m) : server_{make_server(speaks, r, m)} {
    port_ = server_->port();
    thread_ = std::thread{[this] { server_->run(stopping_); }};
}

loopback_peer::~loopback_peer() {
    stopping_.store(true, std::memory_order_relaxed);
    thread_.join();
}

}  // namespace linnet::load
