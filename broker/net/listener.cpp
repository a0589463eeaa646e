#include "broker/net/listener.hpp"

#include "broker/base/log.hpp"
#include "broker/net/admission.hpp"
#include "broker/net/reactor.hpp"
#include "broker/net/unsent_bound.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace linnet::net {

listener::listener(reactor& r, options o, admission& admitted_by, session_factory make_session)
    : reactor_(r),
      options_(std::move(o)),
      admission_(admitted_by),
      make_session_(std::move(make_session)),
      acceptor_(r.context()) {}

result<void, std::string> listener::open() {
    asio::error_code failed;
    const auto address = asio::ip::make_address(options_.address, failed);
    if (failed) {
        return fail(fmt::format("'{}' is not an address", options_.address));
    }
    const asio::ip::tcp::endpoint at(address, options_.port);
    const auto problem = [&](std::string_view doing) {
        return fail(fmt::format("cannot {} {}:{}: {}", doing, options_.address, options_.port, failed.message()));
    };
    if (options_.first && options_.port != 0) {
        asio::ip::tcp::acceptor probe(reactor_.context());
        probe.open(at.protocol(), failed);
        if (!failed) {
            probe.set_option(asio::ip::tcp::acceptor::reuse_address(true), failed);
            probe.bind(at, failed);
        }
        if (failed) {
            return problem("bind");
        }
    }
    acceptor_.open(at.protocol(), failed);
    if (failed) {
        return problem("open a socket for");
    }
    const int fd = acceptor_.native_handle();
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    acceptor_.bind(at, failed);
    if (failed) {
        return problem("bind");
    }
    acceptor_.listen(options_.backlog, failed);
    if (failed) {
        return problem("listen on");
    }
    acceptor_.non_blocking(true, failed);
    port_ = acceptor_.local_endpoint(failed).port();
    return {};
}

void listener::start() { wait(); }

void listener::close() {
    stop();
    asio::error_code ignored;  // it is going away in any case
    acceptor_.close(ignored);
}

void listener::wait() {
    acceptor_.async_wait(asio::ip::tcp::acceptor::wait_read, [this](const asio::error_code& failed) {
        if (failed) {
            return;
        }
        reactor_.enter();
        accept_some();
    });
}

void listener::on_timer(mono_ns /*now*/) { accept_some(); }

void listener::accept_some() {
    if (!acceptor_.is_open()) {
        return;
    }
    bool more = true;
    for (int i = 0; i < accepts_a_turn && more; ++i) {
        if (!accept_one(more)) {
            auto& shard = reactor_.shard();
            shard.timers().start(*this, shard.now() + pause);
            return;
        }
    }
    wait();
}

// The kernel gives them out from below: while there are gaps below a high one, they are what is asked for first.
bool listener::leaves_enough(int descriptor) const {
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
           limit.rlim_cur > static_cast<std::uint64_t>(descriptor) + options_.descriptors_kept;
}

bool listener::out_of_descriptors() {
    const int next = ::fcntl(acceptor_.native_handle(), F_DUPFD_CLOEXEC, 0);
    if (next >= 0) {
        ::close(next);
    }
    return next < 0 || !leaves_enough(next);
}

void listener::complain(int why) {
    if (!std::exchange(complained_, true)) {
        log::warning({.domain = "connection"}, "cannot accept connections now (errno {}): waiting for some to end",
                     why);
    }
}

bool listener::accept_one(bool& more) {
    if (short_ && out_of_descriptors()) {
        complain(EMFILE);
        more = false;
        return false;
    }
    asio::ip::tcp::endpoint from;
    auto length = static_cast<socklen_t>(from.capacity());
    const int fd = ::accept4(acceptor_.native_handle(), from.data(), &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        more = false;
        const int why = errno;
        if (why != EMFILE && why != ENFILE && why != ENOBUFS && why != ENOMEM) {
            return true;  // nobody there, or gone again
        }
        complain(why);
        return false;
    }
    complained_ = false;
    short_ = short_ || !leaves_enough(fd);
    from.resize(length);
    tcp_socket socket(reactor_.context());
    asio::error_code failed;
    socket.assign(from.protocol(), fd, failed);
    if (failed) {
        ::close(fd);
        return true;
    }
    welcome(std::move(socket), from);
    return true;
}

void listener::welcome(tcp_socket socket, const asio::ip::tcp::endpoint& from) {
    // We batch by ourselves: Nagle's algorithm on top stalls on the peer's delayed acknowledgement.
    const int on = 1;
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    bound_unsent(socket.native_handle());
    asio::error_code gone;
    const auto to = socket.local_endpoint(gone);
    if (gone) {
        return;
    }
    if (const auto address = from.address().to_string(); !admission_.enter(address)) {
        log::warning({.domain = "connection", .conn = address}, "connection refused: limit reached");
        return;
    }
    const connection_ptr c(new connection(reactor_, std::move(socket), {from, to}, terms_));
    reactor_.add(c);
    c->start(make_session_, tls_);
}

}  // namespace linnet::net
