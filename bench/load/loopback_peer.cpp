#include "bench/load/loopback_peer.hpp"

#include "bench/load/stamp.hpp"
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"

#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <ctime>
#include <map>
#include <netinet/tcp.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace linnet::load {
namespace {

constexpr std::size_t read_bytes = 256 * 1024;
constexpr std::size_t backlog_max = 1024 * 1024;
constexpr std::uint32_t frame_max = 131072;

struct connection;

struct consumer {
    connection* on;
    std::uint16_t channel;
    std::string tag;
    std::uint64_t delivered = 0;
};

struct queue {
    std::vector<consumer> consumers;
    std::size_t next = 0;
};

// What a channel that publishes is in the middle of.
struct publishing {
    bool confirms = false;
    std::uint64_t number = 0;
    std::uint64_t confirmed = 0;
    std::string exchange;
    std::string key;
    std::vector<std::uint8_t> properties;
    std::vector<std::uint8_t> body;
    std::uint64_t body_size = 0;
};

struct connection {
    int fd;
    bool greeted = false;
    bool closing = false;
    std::vector<std::uint8_t> in{};
    std::vector<std::uint8_t> out{};
    std::size_t out_begin = 0;
    std::map<std::uint16_t, publishing> channels{};

    [[nodiscard]] std::size_t backlog() const noexcept { return out.size() - out_begin; }
};

}  // namespace

class loopback_peer::server {
public:
    server(role r, mischief m) : role_{r}, mischief_{m}, listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        ::bind(listener_, reinterpret_cast<sockaddr*>(&at), size);
        ::listen(listener_, 128);
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
        port = ntohs(at.sin_port);
    }
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    ~server() {
        for (auto& each : connections_)
            ::close(each->fd);
        ::close(listener_);
    }

    void run(const std::atomic<bool>& stopping) {
        while (!stopping.load(std::memory_order_relaxed)) {
            wait();
            for (auto& each : connections_)
                serve(*each);
            drop_closed();
        }
    }

    std::uint16_t port = 0;

private:
    void wait() {
        std::vector<pollfd> fds{{listener_, POLLIN, 0}};
        for (auto& each : connections_) {
            const auto events = static_cast<short>((may_read() ? POLLIN : 0) | (each->backlog() != 0 ? POLLOUT : 0));
            fds.push_back({each->fd, events, 0});
        }
        const bool flooding = role_ == role::source && !queues_.empty();
        ::poll(fds.data(), fds.size(), flooding ? 0 : 20);
        if ((fds[0].revents & POLLIN) == 0)
            return;
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            return;
        const int on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections_.push_back(std::make_unique<connection>(connection{fd}));
    }

    bool may_read() const {
        for (const auto& each : connections_) {
            if (each->backlog() > backlog_max)
                return false;
        }
        return true;
    }

    void serve(connection& c) {
        if (may_read())
            read(c);
        if (role_ == role::source)
            flood(c);
        write(c);
    }

    void read(connection& c) {
        const std::size_t before = c.in.size();
        c.in.resize(before + read_bytes);
        const ssize_t n = ::recv(c.fd, c.in.data() + before, read_bytes, MSG_DONTWAIT);
        c.in.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (n == 0)
            c.closing = true;
        std::size_t at = 0;
        if (!c.greeted && c.in.size() >= amqp::protocol_header.size()) {
            c.greeted = true;
            at = amqp::protocol_header.size();
            reply(c, 0, amqp::connection_start{0, 9, {}, amqp::long_string{"PLAIN"}, amqp::long_string{"en_US"}});
        }
        while (c.greeted) {
            const auto frame = amqp::decode_frame(wire::bytes_view{c.in}.subspan(at), 0);
            if (!frame)
                break;
            on_frame(c, *frame);
            at += frame->size();
        }
        c.in.erase(c.in.begin(), c.in.begin() + static_cast<std::ptrdiff_t>(at));
        confirm(c);
    }

    void write(connection& c) {
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

    template <class Method>
    void reply(connection& c, std::uint16_t channel, const Method& m) {
        amqp::append_method(c.out, channel, m);
    }

    void on_frame(connection& c, const amqp::frame& f) {
        if (f.type == amqp::frame_type::method) {
            on_method(c, f.channel, wire::load<amqp::method_id>(f.payload.data()), f.payload.subspan(4));
        } else if (f.type == amqp::frame_type::header) {
            publishing& p = c.channels[f.channel];
            const auto header = amqp::decode_content_header(f.payload);
            p.body_size = header->body_size;
            p.properties.assign(header->properties.begin(), header->properties.end());
            p.body.clear();
            if (p.body_size == 0)
                published(p);
        } else if (f.type == amqp::frame_type::body) {
            publishing& p = c.channels[f.channel];
            p.body.insert(p.body.end(), f.payload.begin(), f.payload.end());
            if (p.body.size() == p.body_size)
                published(p);
        }
    }

    void on_method(connection& c, std::uint16_t channel, amqp::method_id id, wire::bytes_view arguments) {
        switch (id) {
            case amqp::basic_publish::id: {
                const auto m = amqp::decode<amqp::basic_publish>(arguments);
                c.channels[channel].exchange = m->exchange;
                c.channels[channel].key = m->routing_key;
                return;
            }
            case amqp::connection_start_ok::id: return reply(c, 0, amqp::connection_tune{2047, frame_max, 0});
            case amqp::connection_open::id: return reply(c, 0, amqp::connection_open_ok{});
            case amqp::connection_close::id: return reply(c, 0, amqp::connection_close_ok{});
            case amqp::channel_open::id: return reply(c, channel, amqp::channel_open_ok{});
            case amqp::channel_close::id: return reply(c, channel, amqp::channel_close_ok{});
            case amqp::exchange_declare::id: return reply(c, channel, amqp::exchange_declare_ok{});
            case amqp::exchange_delete::id: return reply(c, channel, amqp::exchange_delete_ok{});
            case amqp::basic_qos::id: return reply(c, channel, amqp::basic_qos_ok{});
            case amqp::confirm_select::id:
                c.channels[channel].confirms = true;
                return reply(c, channel, amqp::confirm_select_ok{});
            case amqp::queue_declare::id: {
                const auto m = amqp::decode<amqp::queue_declare>(arguments);
                queues_[std::string{m->queue}];
                return reply(c, channel, amqp::queue_declare_ok{m->queue, 0, 0});
            }
            case amqp::queue_bind::id: {
                const auto m = amqp::decode<amqp::queue_bind>(arguments);
                if (!m->no_wait)
                    reply(c, channel, amqp::queue_bind_ok{});
                return;
            }
            case amqp::queue_delete::id: {
                const auto m = amqp::decode<amqp::queue_delete>(arguments);
                queues_.erase(std::string{m->queue});
                return reply(c, channel, amqp::queue_delete_ok{});
            }
            case amqp::basic_consume::id: {
                const auto m = amqp::decode<amqp::basic_consume>(arguments);
                queues_[std::string{m->queue}].consumers.push_back({&c, channel, std::string{m->consumer_tag}});
                return reply(c, channel, amqp::basic_consume_ok{m->consumer_tag});
            }
            default: return;  // acknowledgements and tune-ok need no answer
        }
    }

    void published(publishing& p) {
        ++p.number;
        if (role_ == role::sink)
            return;
        ++messages_;
        if (is_due(mischief_.drop_every))
            return;
        if (is_due(mischief_.swap_every)) {
            held_ = p;
            return;
        }
        route(p);
        if (is_due(mischief_.repeat_every))
            route(p);
        if (!held_.key.empty())
            route(std::exchange(held_, {}));
    }

    bool is_due(std::uint64_t every) const noexcept { return every != 0 && messages_ % every == 0; }

    void route(const publishing& p) {
        if (p.exchange.empty()) {
            const auto found = queues_.find(p.key);
            if (found != queues_.end())
                enqueue(found->second, p);
            return;
        }
        for (auto& [name, each] : queues_)
            enqueue(each, p);
    }

    void enqueue(queue& q, const publishing& p) {
        if (q.consumers.empty())
            return;
        consumer& to = q.consumers[q.next++ % q.consumers.size()];
        const amqp::basic_deliver m{to.tag, ++to.delivered, false, p.exchange, p.key};
        amqp::append_content(to.on->out, to.channel, m, p.properties, p.body, frame_max);
    }

    // One acknowledgement for all that a read brought.
    void confirm(connection& c) {
        for (auto& [number, channel] : c.channels) {
            if (!channel.confirms || channel.confirmed == channel.number)
                continue;
            channel.confirmed = channel.number;
            reply(c, number, amqp::basic_ack{channel.number, true});
        }
    }

    void flood(connection& c) {
        if (c.backlog() > backlog_max / 4)
            return;
        for (auto& [name, q] : queues_) {
            for (consumer& each : q.consumers) {
                if (each.on == &c)
                    flood(each);
            }
        }
    }

    // A prebuilt block, so that the source is not what is measured; only the stamps are new.
    void flood(consumer& to) {
        constexpr std::size_t count = 1000;
        if (block_.empty()) {
            const std::array<std::uint8_t, stamp_bytes> body{};
            amqp::append_content(block_, to.channel, amqp::basic_deliver{to.tag, 1, false, "", "linnet-bench"},
                                 amqp::no_properties, body, frame_max);
            message_bytes_ = block_.size();
            for (std::size_t i = 1; i < count; ++i) {
                block_.resize(block_.size() + message_bytes_);
                std::memcpy(block_.data() + i * message_bytes_, block_.data(), message_bytes_);
            }
        }
        timespec t{};
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        const std::int64_t now = std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
        for (std::size_t i = 0; i < count; ++i) {
            std::uint8_t* payload = block_.data() + (i + 1) * message_bytes_ - 1 - stamp_bytes;
            write_stamp(payload, stamp_bytes, {sequence_++, 0, now});
        }
        to.on->out.insert(to.on->out.end(), block_.begin(), block_.end());
    }

    void drop_closed() {
        std::erase_if(connections_, [&](const auto& each) {
            if (!each->closing)
                return false;
            for (auto& [name, q] : queues_) {
                std::erase_if(q.consumers, [&](const consumer& k) { return k.on == each.get(); });
            }
            ::close(each->fd);
            return true;
        });
    }

    const role role_;
    const mischief mischief_;
    const int listener_;
    std::vector<std::unique_ptr<connection>> connections_;
    std::map<std::string, queue> queues_;
    std::uint64_t messages_ = 0;
    publishing held_;
    std::vector<std::uint8_t> block_;
    std::size_t message_bytes_ = 0;
    std::uint32_t sequence_ = 0;
};

loopback_peer::loopback_peer(role r, mischief m) : server_{std::make_unique<server>(r, m)} {
    port_ = server_->port;
    thread_ = std::thread{[this] { server_->run(stopping_); }};
}

loopback_peer::~loopback_peer() {
    stopping_.store(true, std::memory_order_relaxed);
    thread_.join();
}

}  // namespace linnet::load
